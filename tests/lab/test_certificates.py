"""A certificate is issued and renewed: the real cert-manager, an ACME server, the gateway's own way in.

The tests run in order and build on one another.
"""

from __future__ import annotations

import base64
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes
import pulumi_openstack
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from openstack.connection import Connection

from components.certificates import Certificates, CertificatesArgs
from components.dns_record import DnsRecord, DnsRecordArgs
from components.floating_address import FloatingAddress, FloatingAddressArgs
from components.ingress import Ingress, IngressArgs
from lab import paths
from lab.kubernetes.folders import Folder
from lab.openstack.contents import ZONE
from lab.ports import ACME, HOST, WEB
from tests.lab.cluster_under_test import ClusterUnderTest, Kubernetes, wait_for
from tests.lab.conformance.stacks import Stack
from tests.lab.test_clusters import network, standing_cluster, template

__all__ = ["network", "template"]

NAMESPACE = "jupyterhub"
DESCRIPTION = f"made by tests/lab/test_certificates.py, {uuid.uuid4().hex[:8]}"
CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"
ISSUERS = "/apis/cert-manager.io/v1/clusterissuers"
CHALLENGES = f"/apis/acme.cert-manager.io/v1/namespaces/{NAMESPACE}/challenges"
AUTHORITY = Path(__file__).parent / "pebble-authority.pem"
"""The authority that Pebble publishes for tests: the lab's ACME server is known by it."""


@pytest.fixture(scope="module")
def cluster(cloud: Connection, network: Any, template: Any) -> Iterator[ClusterUnderTest]:
    """A cluster with one node, of the core group."""
    with standing_cluster(cloud, f"certificates-{uuid.uuid4().hex[:6]}", network.name, template.id) as made:
        yield made


@pytest.fixture(scope="module")
def kubernetes(
    cloud: Connection, cluster: ClusterUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Kubernetes:
    """Its API server."""
    return Kubernetes(cloud, cluster, tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(scope="module")
def zone(cloud: Connection) -> Any:
    """The project's zone."""
    (found,) = [zone for zone in cloud.dns.zones() if zone.name == ZONE]
    return found


@pytest.fixture(scope="module")
def host() -> str:
    """A host name that nobody else uses."""
    return f"hub-{uuid.uuid4().hex[:8]}.{ZONE.rstrip('.')}"


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, lab_environment: dict[str, str], cluster: ClusterUnderTest
) -> Iterator[Stack]:
    """The stack; what is in it at the end is destroyed, before the cluster is."""
    folder = tmp_path_factory.mktemp("certificates")
    variables = {
        **lab_environment,
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "OS_CLIENT_CONFIG_FILE": str(paths.CLOUDS_YAML),
    }
    stack = Stack("certificates", folder, variables)
    yield stack
    stack.empty()


@pytest.fixture(scope="module")
def program(cluster: ClusterUnderTest, zone: Any, host: str) -> Callable[[], None]:
    """The whole way in, to a hub that is not there."""
    kubeconfig = yaml.safe_dump(Folder(path=paths.CLUSTERS / cluster.uuid).control_plane().kubeconfig())

    def declare() -> None:
        cloud = pulumi.ResourceOptions(providers=[pulumi_openstack.Provider("cloud", cloud="lab")])
        inside = pulumi.ResourceOptions(
            providers=[pulumi_kubernetes.Provider("kubernetes", kubeconfig=pulumi.Output.secret(kubeconfig))]
        )
        address = FloatingAddress(
            "address",
            FloatingAddressArgs(external_network="public", description=DESCRIPTION, protect=False),
            cloud,
        )
        record = DnsRecord("dns", DnsRecordArgs(zone_id=zone.id, host=host, address=address.address), cloud)
        namespace = pulumi_kubernetes.core.v1.Namespace(
            "namespace",
            metadata=pulumi_kubernetes.meta.v1.ObjectMetaArgs(name=NAMESPACE),
            opts=pulumi.ResourceOptions(provider=inside.providers[0]),  # type: ignore[index]
        )
        ingress = Ingress(
            "ingress",
            IngressArgs(
                host=host,
                address=address.address,
                hub_namespace=namespace.metadata["name"],
                tls_secret="hub-tls",
                chart=str(paths.STATE / "charts" / "traefik"),
                repository=None,
                version=None,
                after=[],
            ),
            inside,
        )
        Certificates(
            "certificates",
            CertificatesArgs(
                host=host,
                hub_namespace=namespace.metadata["name"],
                tls_secret="hub-tls",
                email="operator@projects.example",
                acme=f"https://{HOST}:{ACME}/dir",
                acme_ca=AUTHORITY.read_text(),
                ingress_class=ingress.class_name,
                ingress_inside=ingress.inside,
                chart=str(paths.STATE / "charts" / "cert-manager"),
                repository=None,
                version=None,
                after=[record, ingress],
            ),
            inside,
        )
        pulumi.export("address", address.address)

    return declare


def certificate_of(kubernetes: Kubernetes, secret: str) -> x509.Certificate:
    """The first certificate of a Secret."""
    data = kubernetes.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret}")["data"]
    return x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))


def is_ready(kubernetes: Kubernetes, name: str) -> bool:
    """Does cert-manager say that a certificate is ready?"""
    conditions = kubernetes.call("GET", f"{CERTIFICATES}/{name}").get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def get(host: str, path: str) -> tuple[int, str]:
    """What the world sees at port 80 of a host, as the ACME server reaches it."""
    with socket.create_connection((HOST, WEB), timeout=10) as wire:
        wire.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        text = b"".join(iter(lambda: wire.recv(4096), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.timeout(600)
def test_one_run_makes_the_whole_way_in(
    stack: Stack, program: Callable[[], None], kubernetes: Kubernetes, cloud: Connection
) -> None:
    run = stack.up(program)
    service = kubernetes.call("GET", "/api/v1/namespaces/traefik/services/traefik")
    (entry,) = service["status"]["loadBalancer"]["ingress"]
    assert entry["ip"] == run.outputs["address"]
    (reserved,) = cloud.network.ips(description=DESCRIPTION)
    assert (reserved.floating_ip_address, reserved.status) == (run.outputs["address"], "ACTIVE")


def test_the_certificate_is_issued_for_the_host(kubernetes: Kubernetes, host: str) -> None:
    wait_for("the certificate is ready", lambda: is_ready(kubernetes, "hub"), 120)
    certificate = certificate_of(kubernetes, "hub-tls")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]
    assert "Pebble" in certificate.issuer.rfc4514_string()
    data = kubernetes.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/hub-tls")["data"]
    key = serialization.load_pem_private_key(base64.b64decode(data["tls.key"]), None)
    encoding = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*encoding) == certificate.public_key().public_bytes(*encoding)


def test_a_second_preview_changes_nothing(stack: Stack, program: Callable[[], None]) -> None:
    assert stack.preview(program).operations == {}


def test_who_answers_challenges_is_gone_afterwards(kubernetes: Kubernetes, host: str) -> None:
    wait_for("no challenge is left", lambda: not kubernetes.call("GET", CHALLENGES)["items"])
    wait_for(
        "no solver is left",
        lambda: not kubernetes.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")["items"],
    )
    # The rule is there, but no hub: only its own Service would tell.
    assert get(host, "/.well-known/acme-challenge/guess")[0] == 503
    assert get(f"other.{host}", "/")[0] == 504


def test_all_of_it_runs_on_the_core_node(kubernetes: Kubernetes) -> None:
    core = {node["metadata"]["name"] for node in kubernetes.nodes("default-worker")}
    for namespace in ("traefik", "cert-manager"):
        pods = kubernetes.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        assert running
        assert {pod["spec"]["nodeName"] for pod in running} <= core


def test_the_routes_are_of_the_kinds_that_traefik_defines(kubernetes: Kubernetes) -> None:
    path = f"/apis/traefik.io/v1alpha1/namespaces/{NAMESPACE}"
    middleware = kubernetes.call("GET", f"{path}/middlewares/hub-uploads")
    assert middleware["spec"] == {"buffering": {"maxRequestBodyBytes": 524288000}}
    # Traefik's own definition refuses, or drops, what it does not know.
    (route,) = kubernetes.call("GET", f"{path}/ingressroutes/hub-uploads")["spec"]["routes"]
    assert {"match", "middlewares", "services", "priority", "kind"} == set(route)


def short_lived(issuer: str, host: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An issuer of certificates for ten minutes, and a certificate that is renewed after half a minute."""
    acme = {
        "server": f"https://{HOST}:{ACME}/dir",
        "profile": "short",
        "caBundle": base64.b64encode(AUTHORITY.read_bytes()).decode(),
        "privateKeySecretRef": {"name": f"{issuer}-key"},
        "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik", "serviceType": "ClusterIP"}}}],
    }
    about = {"apiVersion": "cert-manager.io/v1", "metadata": {"name": issuer}}
    spec = {
        "secretName": issuer,
        "dnsNames": [host],
        "renewBefore": "9m30s",
        "issuerRef": {"kind": "ClusterIssuer", "name": issuer},
    }
    return (
        {**about, "kind": "ClusterIssuer", "spec": {"acme": acme}},
        {**about, "kind": "Certificate", "spec": spec},
    )


@pytest.mark.timeout(300)
def test_a_certificate_is_renewed_before_its_end(kubernetes: Kubernetes, host: str) -> None:
    issuer, certificate = short_lived("short", host)
    kubernetes.call("POST", ISSUERS, issuer)
    kubernetes.call("POST", CERTIFICATES, certificate)
    try:
        wait_for("the certificate is ready", lambda: is_ready(kubernetes, "short"), 90)
        first = certificate_of(kubernetes, "short")

        def renewed() -> bool:
            return certificate_of(kubernetes, "short").serial_number != first.serial_number

        wait_for("it is renewed", renewed, 120)
        assert certificate_of(kubernetes, "short").not_valid_after_utc > first.not_valid_after_utc
        assert kubernetes.call("GET", f"{CERTIFICATES}/short")["status"]["revision"] >= 2
    finally:
        kubernetes.call("DELETE", f"{CERTIFICATES}/short")
        kubernetes.call("DELETE", f"{ISSUERS}/short")


@pytest.mark.timeout(200)
def test_without_the_address_inside_the_self_check_finds_no_route(
    kubernetes: Kubernetes, cloud: Connection, zone: Any, stack: Stack
) -> None:
    """A name that the gateway does not tell cert-manager's pod leads to the floating address, and nowhere."""
    stranger = f"stranger-{uuid.uuid4().hex[:8]}.{ZONE.rstrip('.')}"
    (reserved,) = cloud.network.ips(description=DESCRIPTION)
    record = cloud.dns.create_recordset(
        zone, name=f"{stranger}.", type="A", records=[reserved.floating_ip_address]
    )
    issuer, certificate = short_lived("stranger", stranger)
    kubernetes.call("POST", ISSUERS, issuer)
    kubernetes.call("POST", CERTIFICATES, certificate)
    try:

        def reason() -> str:
            return json.dumps(
                [each.get("status", {}) for each in kubernetes.call("GET", CHALLENGES)["items"]]
            )

        wait_for("the self-check fails", lambda: "wrong status code '504'" in reason(), 90)
        assert not is_ready(kubernetes, "stranger")
    finally:
        kubernetes.call("DELETE", f"{CERTIFICATES}/stranger")
        kubernetes.call("DELETE", f"{ISSUERS}/stranger")
        cloud.dns.delete_recordset(record, zone)


@pytest.mark.timeout(300)
def test_nothing_of_it_stays_behind(stack: Stack, cloud: Connection, zone: Any, host: str) -> None:
    stack.empty()
    assert list(cloud.network.ips(description=DESCRIPTION)) == []
    assert [each.name for each in cloud.dns.recordsets(zone) if each.name == f"{host}."] == []
