"""The hub in its cluster: stopping and starting it, and running Jobs on its database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from operations.hub_jobs import job_from, obstacle, outcome

CRON_JOB = "hub-backup"
"""The CronJob whose pods reach both the hub's database and its copies."""

JOBS = "app.kubernetes.io/name=hub-backup"
"""The label of its Jobs and of their pods."""

HUB = "hub"
DATABASE_CLAIM = "hub-db-dir"
"""Names that the JupyterHub chart gives to the hub's Deployment and to its database's claim."""

PATIENCE_SECONDS = 900.0
POLL_SECONDS = 2.0
REQUEST_SECONDS = 10.0
UNREACHABLE_SECONDS = 60.0
"""How long the cluster may be silent once it has answered: to break off then could do more harm."""


class ClusterError(Exception):
    """What the cluster did not do; the text says what the operator should do."""


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
        self._has_answered = False

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
        # Not asked twice: it might be made twice.
        made = self._batch.create_namespaced_job(self.namespace, body, _request_timeout=REQUEST_SECONDS)
        name = str(made.metadata.name)
        try:
            return self._ended(name)
        except BaseException:
            self._remove(name)
            raise

    def remove_jobs(self) -> None:
        """Removes the CronJob's Jobs, those that have ended, too; the copies stay.

        Kubernetes deletes no claim that a pod names, not even after the pod's end. So the Job of last night
        would hold up the removal of the hub, whose release has the claim of its database.

        Raises:
            ClusterError: if they do not go in time.
        """
        self._ask(
            self._batch.delete_collection_namespaced_job,
            self.namespace,
            label_selector=JOBS,
            propagation_policy="Foreground",
        )
        self._wait(lambda: not self._pods(JOBS), "The Jobs of the hub's copies do not go")

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
            self._ask(
                self._batch.delete_namespaced_job, name, self.namespace, propagation_policy="Foreground"
            )
        self._wait(
            lambda: not self._pods(f"batch.kubernetes.io/job-name={name}"), f"The Job {name} does not stop"
        )

    def _scale(self, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        self._ask(self._apps.patch_namespaced_deployment_scale, HUB, self.namespace, body)

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
        found = self._ask(self._core.list_namespaced_pod, self.namespace, label_selector=labels)
        plain: dict[str, Any] = self._connection.sanitize_for_serialization(found)
        return list(plain["items"])

    def _found(self, ask: Callable[..., object], name: str) -> dict[str, Any] | None:
        try:
            found = self._ask(ask, name, self.namespace)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        plain: dict[str, Any] = self._connection.sanitize_for_serialization(found)
        return plain

    def _ask(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Calls the API; for what does no harm if it is done twice."""
        deadline = time.monotonic() + UNREACHABLE_SECONDS
        while True:
            try:
                answer = call(*arguments, **more, _request_timeout=REQUEST_SECONDS)
            except urllib3.exceptions.HTTPError:
                if not self._has_answered or time.monotonic() > deadline:
                    raise
                time.sleep(self._poll)
            except ApiException:
                self._has_answered = True
                raise
            else:
                self._has_answered = True
                return answer


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
    try:
        load(yaml.safe_load(kubeconfig), client_configuration=settings)
    except (yaml.YAMLError, config.ConfigException, TypeError, AttributeError):
        # Without its own words, which may show what is secret.
        raise ClusterError("The cluster's credentials are no kubeconfig.") from None
    try:
        with client.ApiClient(settings) as connection:
            yield HubCluster(connection, namespace)
    except ApiException as error:
        if error.status in (401, 403):
            raise ClusterError("The cluster refuses these credentials.") from None
        raise ClusterError(f"The cluster refuses: {error.reason}") from None
    except urllib3.exceptions.HTTPError:
        raise ClusterError(f"Nobody answers at {settings.host}.") from None
