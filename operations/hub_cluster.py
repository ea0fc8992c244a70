"""The hub in its cluster: stopping and starting it, and running Jobs on its database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

CRON_JOB = "hub-backup"
"""The CronJob whose pods reach both the hub's database and its copies."""

HUB = "hub"
DATABASE_CLAIM = "hub-db-dir"
"""Names that the JupyterHub chart gives to the hub's Deployment and to its database's claim."""

PATIENCE_SECONDS = 900.0
POLL_SECONDS = 2.0
REQUEST_SECONDS = 10.0

Object = Mapping[str, Any]


class ClusterError(Exception):
    """What the cluster did not do; the text says what the operator should do."""


def job_from(cron_job: Object, purpose: str, arguments: Sequence[str], *, writes: bool) -> dict[str, Any]:
    """A Job that runs once what a CronJob runs on its schedule, with other arguments.

    Args:
        cron_job: as the API gives it.
        purpose: a part of the Job's name.
        arguments: what follows the script in its pod's command line.
        writes: whether it may change the hub's database. If so it is never tried twice.
    """
    template = cron_job["spec"]["jobTemplate"]
    pod = template["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    mounts = [
        {**mount, "readOnly": False} if writes and mount["name"] == "database" else mount
        for mount in container["volumeMounts"]
    ]
    changed = {**container, "args": [container["args"][0], *arguments], "volumeMounts": mounts}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{cron_job['metadata']['name']}-{purpose}-",
            "labels": template.get("metadata", {}).get("labels", {}),
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            # Goes with the CronJob, so that no pod holds the volumes when the stack is destroyed.
            "ownerReferences": [owner],
        },
        "spec": {
            **template["spec"],
            **({"backoffLimit": 0} if writes else {}),
            "ttlSecondsAfterFinished": 3600,
            "template": {**pod, "spec": {**pod["spec"], "containers": [changed]}},
        },
    }


def outcome(pods: Iterable[Object]) -> str:
    """What the last pod that ended has reported; empty if none did."""
    ended = [
        status["state"]["terminated"]
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if "terminated" in status.get("state", {})
    ]
    if not ended:
        return ""
    return str(max(ended, key=lambda state: str(state.get("finishedAt", ""))).get("message", "")).strip()


def obstacle(pods: Iterable[Object]) -> str:
    """Why pods do not get to work, as the cluster says it; empty if it says nothing."""
    for pod in pods:
        status = pod.get("status", {})
        for part in status.get("containerStatuses", []):
            waiting = part.get("state", {}).get("waiting", {})
            if waiting.get("message"):
                return f"{waiting.get('reason')}: {waiting['message']}"
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return str(condition.get("message", ""))
    return ""


class HubCluster:
    """One hub's namespace, by the cluster's API."""

    def __init__(
        self,
        connection: client.ApiClient,
        namespace: str,
        *,
        patience: float = PATIENCE_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        self.namespace = namespace
        self.address = str(connection.configuration.host)
        # The client's own types say that everything might be missing.
        self._connection: Any = connection
        self._core: Any = client.CoreV1Api(connection)
        self._apps: Any = client.AppsV1Api(connection)
        self._batch: Any = client.BatchV1Api(connection)
        self._patience = patience
        self._poll = poll

    def has_database(self) -> bool:
        """Is there a volume, or a claim to one, for the hub's database?"""
        ask = self._core.read_namespaced_persistent_volume_claim
        return self._found(ask, DATABASE_CLAIM) is not None

    def run(self, purpose: str, arguments: Sequence[str], *, writes: bool = False) -> str:
        """Runs a Job beside the hub's database and waits for its end.

        If the wait is broken off, so is the Job: when this returns or raises, nothing of it runs.

        Args:
            purpose: a part of its name.
            arguments: of the script that the CronJob runs.
            writes: whether it may change the database.

        Returns:
            What the Job reported.

        Raises:
            ClusterError: if it fails, or does not end in time.
        """
        cron_job = self._found(self._batch.read_namespaced_cron_job, CRON_JOB)
        if cron_job is None:
            raise ClusterError(
                f"There is no CronJob {CRON_JOB} in namespace {self.namespace}: `pulumi up` makes it."
            )
        body = job_from(cron_job, purpose, arguments, writes=writes)
        made = self._batch.create_namespaced_job(self.namespace, body, _request_timeout=REQUEST_SECONDS)
        name = str(made.metadata.name)
        try:
            return self._ended(name)
        except BaseException:
            self._remove(name)
            raise

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The hub is stopped and has let go of its database; it is started again afterwards, come what may.

        Users' servers go on meanwhile.

        Raises:
            ClusterError: if there is no hub, or it does not stop or start in time.
        """
        hub = self._found(self._apps.read_namespaced_deployment, HUB)
        if hub is None:
            raise ClusterError(f"There is no hub in namespace {self.namespace}.")
        labels = ",".join(f"{key}={value}" for key, value in hub["spec"]["selector"]["matchLabels"].items())
        try:
            self._scale(0)
            self._wait(lambda: not self._pods(labels), "The hub does not stop")
            yield
        except BaseException as error:
            try:
                self._start()
            except ClusterError as second:
                raise ClusterError(f"{error}\n{second}") from None
            raise
        self._start()

    def _start(self) -> None:
        self._scale(1)

        def answers() -> bool:
            hub = self._found(self._apps.read_namespaced_deployment, HUB) or {}
            generation = hub.get("metadata", {}).get("generation")
            status = hub.get("status", {})
            return bool(
                status.get("observedGeneration") == generation and status.get("availableReplicas", 0) == 1
            )

        self._wait(answers, "The hub does not start")

    def _ended(self, name: str) -> str:
        deadline = time.monotonic() + self._patience
        while True:
            job = self._found(self._batch.read_namespaced_job, name)
            pods = self._pods(f"batch.kubernetes.io/job-name={name}")
            if job is None:
                raise ClusterError(f"Somebody deleted the Job {name}.")
            ends = {end["type"] for end in job["status"].get("conditions", []) if end["status"] == "True"}
            if "Complete" in ends:
                return outcome(pods)
            if "Failed" in ends or time.monotonic() > deadline:
                reason = outcome(pods) or obstacle(pods) or "its pod has left no word"
                when = "failed" if "Failed" in ends else f"did not end within {self._patience:.0f} s"
                raise ClusterError(f"The Job {name} {when}: {reason}")
            time.sleep(self._poll)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(ApiException):
            self._batch.delete_namespaced_job(
                name, self.namespace, propagation_policy="Foreground", _request_timeout=REQUEST_SECONDS
            )
        self._wait(
            lambda: not self._pods(f"batch.kubernetes.io/job-name={name}"), f"The Job {name} does not stop"
        )

    def _scale(self, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        patch = self._apps.patch_namespaced_deployment_scale
        patch(HUB, self.namespace, body, _request_timeout=REQUEST_SECONDS)

    def _wait(self, look: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + self._patience
        while not look():
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{complaint} within {self._patience:.0f} s: "
                    f"`kubectl --namespace {self.namespace} get pods` shows more."
                )
            time.sleep(self._poll)

    def _pods(self, labels: str) -> list[dict[str, Any]]:
        found = self._core.list_namespaced_pod(
            self.namespace, label_selector=labels, _request_timeout=REQUEST_SECONDS
        )
        plain: dict[str, Any] = self._connection.sanitize_for_serialization(found)
        return list(plain["items"])

    def _found(self, ask: Callable[..., object], name: str) -> dict[str, Any] | None:
        try:
            found = ask(name, self.namespace, _request_timeout=REQUEST_SECONDS)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        plain: dict[str, Any] = self._connection.sanitize_for_serialization(found)
        return plain


@contextlib.contextmanager
def connected(kubeconfig: str, namespace: str) -> Iterator[HubCluster]:
    """The hub's namespace in the cluster of a kubeconfig.

    Args:
        kubeconfig: its text.
        namespace: the hub's.

    Raises:
        ClusterError: if the credentials are not accepted, or nobody answers.
    """
    settings = client.Configuration()
    # Retries of the client's own would hide for minutes that nobody answers.
    settings.retries = False
    load: Callable[..., None] = config.load_kube_config_from_dict
    load(yaml.safe_load(kubeconfig), client_configuration=settings)
    try:
        with client.ApiClient(settings) as connection:
            yield HubCluster(connection, namespace)
    except ApiException as error:
        if error.status in (401, 403):
            raise ClusterError("The cluster refuses these credentials.") from None
        raise ClusterError(f"The cluster refuses: {error.reason}") from None
    except urllib3.exceptions.HTTPError:
        raise ClusterError(f"Nobody answers at {settings.host}.") from None
