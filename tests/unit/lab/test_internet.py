"""The way from a host name into a cluster: names by the wire, and who answers behind which objects."""

from __future__ import annotations

import copy
import json
import socket
import threading
from typing import Any

import pytest

from lab.internet import names, pebble, routes
from lab.internet.routes import NoRouteError, Objects

HOST = "hub.gateway.projects.example"
PATH = "/.well-known/acme-challenge/token"
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def pod(name: str, image: str, *, args: tuple[str, ...] = (), **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "jupyterhub", "uid": f"uid-{name}", "labels": labels},
        "spec": {"containers": [{"image": image, "args": list(args)}]},
        "status": READY,
    }


def service(name: str, app: str, port: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "jupyterhub"},
        "spec": {"selector": {"app": app}, "ports": [{"port": port}], **more.pop("spec", {})},
        **more,
    }


def ingress(name: str, path: str, kind: str = "Prefix", class_name: str = "traefik") -> dict[str, Any]:
    entry = {"path": path, "pathType": kind, "backend": {"service": {"name": name}}}
    return {
        "metadata": {"name": name, "namespace": "jupyterhub"},
        "spec": {"ingressClassName": class_name, "rules": [{"host": HOST, "http": {"paths": [entry]}}]},
    }


@pytest.fixture
def objects() -> dict[str, list[Any]]:
    """A challenge that can be answered."""
    words = (f"--domain={HOST}", "--token=token", "--key=token.thumbprint=")
    return {
        "services": [
            service(
                "traefik",
                "traefik",
                80,
                spec={"clusterIP": "172.24.0.5"},
                status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
            ),
            service("solver", "solver", 8089),
            service("proxy-public", "proxy", 80),
        ],
        "pods": [
            pod("traefik", "docker.io/traefik:v3.7.12", app="traefik"),
            pod("solver", "quay.io/jetstack/cert-manager-acmesolver:v1.21.2", args=words, app="solver"),
            pod("proxy", "quay.io/jupyterhub/configurable-http-proxy:5", app="proxy"),
        ],
        "ingresses": [ingress("proxy-public", "/"), ingress("solver", PATH, "ImplementationSpecific")],
        "classes": [{"metadata": {"name": "traefik"}, "spec": {"controller": routes.CONTROLLER}}],
    }


def ask(objects: dict[str, list[Any]], host: str = HOST, path: str = PATH) -> str:
    cluster = Objects(**objects)
    entrance = routes.load_balancer(cluster, "203.0.113.7")
    assert entrance is not None
    return routes.answer(cluster, entrance, host, path)


def refused(objects: dict[str, list[Any]], host: str = HOST, path: str = PATH) -> tuple[int, str]:
    with pytest.raises(NoRouteError) as refusal:
        ask(objects, host, path)
    return refusal.value.status, str(refusal.value)


def test_a_challenge_is_answered_with_the_key_that_the_solver_is_told(objects: dict[str, list[Any]]) -> None:
    assert ask(objects) == "token.thumbprint="


def test_addresses_lead_to_their_services(objects: dict[str, list[Any]]) -> None:
    cluster = Objects(**objects)
    inside = routes.cluster_service(cluster, "172.24.0.5")
    assert inside is not None
    assert inside is routes.load_balancer(cluster, "203.0.113.7")
    assert routes.load_balancer(cluster, "203.0.113.8") is None
    assert routes.cluster_service(cluster, "172.24.0.6") is None


def test_the_longest_path_wins_and_the_rest_is_the_hubs(objects: dict[str, list[Any]]) -> None:
    assert refused(objects, path="/hub/login") == (
        502,
        "the pods behind Service jupyterhub/proxy-public do not really run here",
    )


def test_another_challenge_than_the_solvers_is_not_found(objects: dict[str, list[Any]]) -> None:
    assert refused(objects, path=f"{PATH}-guess")[0] == 404


@pytest.mark.parametrize(
    ("part", "index", "status"),
    [("pods", 0, 502), ("pods", 1, 503), ("ingresses", 1, 502), ("services", 1, 503), ("classes", 0, 404)],
)
def test_whatever_is_missing_on_the_way_ends_it(
    objects: dict[str, list[Any]], part: str, index: int, status: int
) -> None:
    del objects[part][index]
    assert refused(objects)[0] == status


def test_a_pod_that_is_not_ready_gets_nothing(objects: dict[str, list[Any]]) -> None:
    objects["pods"][0]["status"] = {"conditions": [{"type": "Ready", "status": "False"}]}
    assert refused(objects) == (502, "no ready pod of Traefik is behind Service jupyterhub/traefik")


def test_pods_of_other_namespaces_are_not_behind_a_service(objects: dict[str, list[Any]]) -> None:
    objects["pods"][1]["metadata"]["namespace"] = "elsewhere"
    assert refused(objects)[0] == 503


def test_ingresses_of_another_class_or_host_are_not_traefiks(objects: dict[str, list[Any]]) -> None:
    other = copy.deepcopy(objects)
    for each in other["ingresses"]:
        each["spec"]["ingressClassName"] = "nginx"
    assert refused(other)[0] == 404
    assert refused(objects, host="other.projects.example")[0] == 404


def test_a_pods_hosts_file_is_its_own() -> None:
    made = pod("cert-manager", "cert-manager-controller")
    made["spec"]["hostAliases"] = [{"ip": "172.24.0.5", "hostnames": ["a.example", HOST]}]
    assert routes.alias(made, HOST) == "172.24.0.5"
    assert routes.alias(made, "b.example") is None
    assert routes.alias(pod("other", "image"), HOST) is None


def query(name: str, kind: int = names.A) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return bytes.fromhex("000701000001000000000000") + labels + b"\0" + bytes([0, kind, 0, 1])


@pytest.mark.parametrize(
    ("known", "kind", "status", "count"),
    [("127.0.0.1", names.A, 0, 1), ("127.0.0.1", 28, 0, 0), (None, names.A, 3, 0)],
)
def test_names_are_answered(known: str | None, kind: int, status: int, count: int) -> None:
    answer = names.respond(query("Hub.Example", kind), lambda name: known if name == "hub.example" else "")
    assert answer is not None
    assert answer[:2] == b"\0\7"
    assert answer[2] & 0x80  # an answer
    assert answer[3] & 0xF == status
    assert answer[6:8] == count.to_bytes(2)
    if count:
        assert socket.inet_ntoa(answer[-4:]) == known


def test_a_name_that_cannot_be_told_is_a_failure_not_a_no() -> None:
    def broken(name: str) -> str | None:
        raise OSError(name)

    answer = names.respond(query("hub.example"), broken)
    assert answer is not None
    assert answer[3] & 0xF == names.SERVER_FAILURE


@pytest.mark.parametrize("message", [b"", b"\0" * 11, query("a.example")[:-3], b"\0" * 17, b"\xff" * 40])
def test_what_is_no_question_gets_no_answer(message: bytes) -> None:
    assert names.respond(message, lambda _: "127.0.0.1") is None


@pytest.mark.parametrize("known", ["203.0.113.7", None])
def test_a_question_by_the_wire_gets_the_servers_answer(known: str | None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def serve() -> None:
            message, client = server.recvfrom(512)
            answer = names.respond(message, lambda _: known)
            assert answer is not None
            server.sendto(answer, client)

        thread = threading.Thread(target=serve)
        thread.start()
        assert names.ask("hub.example", server.getsockname()) == known
        thread.join()


def test_pebble_listens_on_loopback_and_looks_for_challenges_where_the_web_is() -> None:
    found = json.loads(json.dumps(pebble.configuration()))["pebble"]
    assert found["listenAddress"] == "127.0.0.1:14000"
    assert found["httpPort"] == 5002
    assert found["profiles"]["default"]["validityPeriod"] == 90 * 24 * 3600
