"""Waits until nothing is left in a cluster that its deletion would orphan in the cloud.

Run as ``python -m operations.reclaim`` with the cluster's credentials in the variable KUBECONFIG_TEXT. Ends
with status 0 once no Service of type LoadBalancer and no PersistentVolume with reclaim policy Delete is left,
and with status 1 and one sentence when that takes too long or cannot be seen.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

PATIENCE_SECONDS = 1200.0
UNREACHABLE_SECONDS = 60.0
POLL_SECONDS = 2.0
REQUEST_SECONDS = 10.0


class ReclaimError(Exception):
    """What cannot be waited for; the text says what the operator should do."""


def left_behind(services: Iterable[Mapping[str, Any]], volumes: Iterable[Mapping[str, Any]]) -> list[str]:
    """What the cluster's deletion would orphan, each in words.

    Args:
        services: Kubernetes Services as the API gives them.
        volumes: its PersistentVolumes.
    """
    return [
        *(
            f"load balancer {service['metadata']['namespace']}/{service['metadata']['name']}"
            for service in services
            if service["spec"].get("type") == "LoadBalancer"
        ),
        *(
            f"volume {volume['metadata']['name']}{_claim(volume)}"
            for volume in volumes
            if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        ),
    ]


def retained(volumes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the volumes that outlive the cluster because their reclaim policy is Retain."""
    return [
        f"{volume['metadata']['name']}{_claim(volume)}"
        for volume in volumes
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain"
    ]


def wait_until_gone(
    look: Callable[[], Sequence[str]],
    *,
    patience: float = PATIENCE_SECONDS,
    unreachable: float = UNREACHABLE_SECONDS,
    poll: float = POLL_SECONDS,
) -> None:
    """Looks again and again until nothing is left.

    Args:
        look: tells what is left.
        patience: seconds for all of it.
        unreachable: seconds for which the cluster may fail to answer, in a row.
        poll: seconds between two looks.

    Raises:
        ReclaimError: if something is left when the patience is over, or the cluster cannot be asked.
    """
    deadline = time.monotonic() + patience
    last_answer = time.monotonic()
    told: Sequence[str] = ()
    while True:
        try:
            left = look()
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, ApiException) and error.status in (401, 403):
                raise ReclaimError(
                    "The cluster refuses our credentials: run `pulumi refresh`, then destroy again."
                ) from None
            if time.monotonic() - last_answer > unreachable:
                raise ReclaimError(
                    "The cluster's API does not answer, so its volumes cannot be seen. If the cluster is "
                    "gone already, look for volumes named pvc-* in the project, take the reclaim guard out "
                    "of the state with `pulumi state delete`, and destroy again."
                ) from None
        else:
            last_answer = time.monotonic()
            if not left:
                return
            if left != told:
                print(f"Waiting for {', '.join(left)}", flush=True)
                told = left
            if time.monotonic() > deadline:
                raise ReclaimError(
                    f"Still there after {patience:.0f} s: {', '.join(left)}. Delete what uses them "
                    "(`kubectl get pods,services,pvc --all-namespaces` shows it), then destroy again."
                )
        time.sleep(poll)


def main() -> int:
    """Waits, and tells the outcome.

    Returns:
        The exit status.
    """
    text = os.environ.get("KUBECONFIG_TEXT")
    if not text:
        print("The variable KUBECONFIG_TEXT is empty: it holds the cluster's credentials.", file=sys.stderr)
        return 1
    settings = client.Configuration()
    # Retries of the client's own would hide for minutes that nobody answers.
    settings.retries = False
    load: Callable[..., None] = config.load_kube_config_from_dict
    load(yaml.safe_load(text), client_configuration=settings)
    with client.ApiClient(settings) as connection:
        api = client.CoreV1Api(connection)

        def items(listed: object) -> list[dict[str, Any]]:
            plain: dict[str, Any] = connection.sanitize_for_serialization(listed)
            return list(plain["items"])

        def services() -> list[dict[str, Any]]:
            return items(api.list_service_for_all_namespaces(_request_timeout=REQUEST_SECONDS))

        def volumes() -> list[dict[str, Any]]:
            return items(api.list_persistent_volume(_request_timeout=REQUEST_SECONDS))

        kept: list[str] = []

        def look() -> list[str]:
            seen = volumes()
            # Of the last look, since one more question could fail when all is well.
            kept[:] = retained(seen)
            return left_behind(services(), seen)

        try:
            wait_until_gone(look)
        except ReclaimError as error:
            print(error, file=sys.stderr)
            return 1
    if kept:
        print(f"Kept, as their reclaim policy is Retain: {', '.join(kept)}")
    return 0


def _claim(volume: Mapping[str, Any]) -> str:
    claim = volume["spec"].get("claimRef")
    return f" of {claim['namespace']}/{claim['name']}" if claim else ""


if __name__ == "__main__":
    sys.exit(main())
