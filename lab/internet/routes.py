"""Who answers for a host inside a cluster, told from the cluster's objects alone.

Plays what no process here does: the load balancer, kube-proxy, Traefik, and the pods of cert-manager that
answer challenges. Each step holds only if the objects say so: the Service is there, a pod behind it is ready,
the ingress has the class and the rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]

CONTROLLER = "traefik.io/ingress-controller"
INGRESS_IMAGE = "traefik"
SOLVER_IMAGE = "cert-manager-acmesolver"
CHALLENGES = "/.well-known/acme-challenge/"


class NoRouteError(Exception):
    """Nobody answers; the text says at which step, the number is the HTTP status for it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objects:
    """What a cluster has, of all namespaces."""

    services: Sequence[Object]
    pods: Sequence[Object]
    ingresses: Sequence[Object]
    classes: Sequence[Object]


def load_balancer(objects: Objects, address: str) -> Object | None:
    """The Service that a floating address leads to."""
    for service in objects.services:
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        if any(entry.get("ip") == address for entry in ingress):
            return service
    return None


def cluster_service(objects: Objects, address: str) -> Object | None:
    """The Service that has an address inside the cluster."""
    for service in objects.services:
        if service["spec"].get("clusterIP") == address:
            return service
    return None


def alias(pod: Object, host: str) -> str | None:
    """What a pod's own hosts file says of a name."""
    for entry in pod["spec"].get("hostAliases", []):
        if host in entry.get("hostnames", []):
            return str(entry["ip"])
    return None


def answer(objects: Objects, entrance: Object, host: str, path: str) -> str:
    """What a request for port 80 of a host gets that has come as far as a Service.

    Raises:
        NoRouteError: if it gets no further, or to a pod that runs nothing here.
    """
    if not any(int(port["port"]) == 80 for port in entrance["spec"]["ports"]):
        raise NoRouteError(502, f"{_name(entrance)} has no port 80")
    if not any(_image(pod) == INGRESS_IMAGE for pod in ready_pods(objects, entrance)):
        raise NoRouteError(502, f"no ready pod of Traefik is behind {_name(entrance)}")
    service = _backend(objects, host, path)
    pods = list(ready_pods(objects, service))
    if not pods:
        raise NoRouteError(503, f"no ready pod is behind {_name(service)}")
    for pod in pods:
        key = _challenge_key(pod, host, path)
        if key is not None:
            return key
    raise NoRouteError(502, f"the pods behind {_name(service)} do not really run here")


def ready_pods(objects: Objects, service: Object) -> Iterator[Object]:
    """The pods that a Service leads to."""
    selector = service["spec"].get("selector") or {}
    for pod in objects.pods:
        labels = pod["metadata"].get("labels") or {}
        conditions = pod.get("status", {}).get("conditions", [])
        if (
            selector
            and pod["metadata"]["namespace"] == service["metadata"]["namespace"]
            and selector.items() <= labels.items()
            and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        ):
            yield pod


def _backend(objects: Objects, host: str, path: str) -> Object:
    """The Service behind the rule with the longest path that fits."""
    served = {
        each["metadata"]["name"] for each in objects.classes if each["spec"]["controller"] == CONTROLLER
    }
    found: list[tuple[int, str, str]] = []
    for ingress in objects.ingresses:
        if ingress["spec"].get("ingressClassName") not in served:
            continue
        for rule in ingress["spec"].get("rules", []):
            for entry in rule.get("http", {}).get("paths", []) if rule.get("host") == host else []:
                if _fits(entry, path) and "service" in entry["backend"]:
                    name = entry["backend"]["service"]["name"]
                    found.append((len(entry["path"]), ingress["metadata"]["namespace"], name))
    if not found:
        raise NoRouteError(404, f"no ingress leads http://{host}{path} anywhere")
    _, namespace, name = max(found)
    for service in objects.services:
        if (service["metadata"]["namespace"], service["metadata"]["name"]) == (namespace, name):
            return service
    raise NoRouteError(503, f"there is no Service {namespace}/{name}")


def _fits(entry: Object, path: str) -> bool:
    # cert-manager asks for its path with type ImplementationSpecific, which Traefik takes as a prefix.
    return path == entry["path"] if entry.get("pathType") == "Exact" else path.startswith(entry["path"])


def _challenge_key(pod: Object, host: str, path: str) -> str | None:
    """What cert-manager's solver answers, which it is told by its arguments; None if the pod is none."""
    if _image(pod) != SOLVER_IMAGE:
        return None
    words = [word.partition("=") for word in pod["spec"]["containers"][0].get("args", [])]
    told: dict[str, str] = {name.lstrip("-"): value for name, _, value in words}
    if path != CHALLENGES + told["token"] or host != told["domain"]:
        raise NoRouteError(404, f"the solver knows another challenge than {path} of {host}")
    return told["key"]


def _image(pod: Object) -> str:
    """The name of a pod's first image, without registry and tag."""
    return str(pod["spec"]["containers"][0]["image"]).rpartition("/")[2].partition(":")[0]


def _name(service: Object) -> str:
    return f"Service {service['metadata']['namespace']}/{service['metadata']['name']}"
