"""The way in: address, record, ingress and certificates; what they declare, and in which order."""

from __future__ import annotations

import base64
from typing import Any

import pulumi
import pulumi_command
import pulumi_kubernetes
import pulumi_openstack
import pytest

from components.certificates import Certificates, CertificatesArgs, acme_servers, issuer_of
from components.dns_record import DnsRecord, DnsRecordArgs
from components.floating_address import FloatingAddress, FloatingAddressArgs
from components.ingress import Ingress, IngressArgs
from tests.unit.recording import Run, run

HOST = "hub.gateway.projects.example"
CORE = {"capi.stackhpc.com/node-group": "default-worker"}
TOLERATION = {
    "key": "hub.jupyter.org/dedicated",
    "operator": "Equal",
    "value": "core",
    "effect": "NoSchedule",
}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def built(*, protect: bool = False, acme: str = "production", acme_ca: str | None = None) -> Run:
    def program() -> None:
        openstack = pulumi.ResourceOptions(providers=[pulumi_openstack.Provider("cloud")])
        inside = pulumi.ResourceOptions(providers=[pulumi_kubernetes.Provider("kubernetes")])
        guard = pulumi_command.local.Command("guard", delete="true")
        address = FloatingAddress(
            "address",
            FloatingAddressArgs(external_network="public", description="gateway-test", protect=protect),
            openstack,
        )
        record = DnsRecord(
            "dns", DnsRecordArgs(zone_id="zone", host=HOST, address=address.address), openstack
        )
        ingress = Ingress(
            "ingress",
            IngressArgs(
                host=HOST,
                address=address.address,
                hub_namespace="jupyterhub",
                tls_secret="hub-tls",
                chart="traefik",
                repository="https://charts.example",
                version="41.4.0",
                after=[guard],
            ),
            inside,
        )
        Certificates(
            "certificates",
            CertificatesArgs(
                host=HOST,
                hub_namespace="jupyterhub",
                tls_secret="hub-tls",
                email="operator@example.org",
                acme=acme,
                acme_ca=acme_ca,
                ingress_class=ingress.class_name,
                ingress_inside=ingress.inside,
                chart="./charts/cert-manager",
                repository=None,
                version=None,
                after=[record, ingress],
            ),
            inside,
        )

    return run(program)


@pytest.fixture(scope="module")
def made() -> Run:
    return built()


def values(made: Run, release: str) -> dict[str, Any]:
    found: dict[str, Any] = made.one(release).inputs["values"]
    return found


@pytest.mark.parametrize("protect", [True, False])
def test_the_address_alone_is_protected(protect: bool) -> None:
    made = built(protect=protect)
    protected = {resource.name for resource in made.registered if resource.request.protect}
    assert protected == ({"address-floating-ip"} if protect else set())
    assert made.one("address-floating-ip").inputs == {"pool": "public", "description": "gateway-test"}


def test_the_record_says_where_the_host_is(made: Run) -> None:
    record = made.one("dns-record").inputs
    assert (record["type"], record["name"]) == ("A", f"{HOST}.")
    assert record["records"] == ["203.0.113.7"]


def test_the_load_balancer_asks_for_the_reserved_address(made: Run) -> None:
    service = values(made, "ingress-release")["service"]
    assert service["spec"] == {"type": "LoadBalancer", "loadBalancerIP": "203.0.113.7"}


def test_plain_http_is_sent_to_https(made: Run) -> None:
    web = values(made, "ingress-release")["ports"]["web"]
    assert web["http"]["redirections"]["entryPoint"] == {
        "to": "websecure",
        "scheme": "https",
        "permanent": True,
    }
    hub = made.one("ingress-hub").inputs["metadata"]["annotations"]
    assert hub["traefik.ingress.kubernetes.io/router.entrypoints"] == "websecure"
    assert made.one("ingress-hub-uploads").inputs["spec"]["entryPoints"] == ["websecure"]


def test_bodies_alone_are_buffered_up_to_500_mebibytes(made: Run) -> None:
    assert made.one("ingress-uploads").inputs["spec"] == {"buffering": {"maxRequestBodyBytes": 524288000}}
    (route,) = made.one("ingress-hub-uploads").inputs["spec"]["routes"]
    assert route["match"] == f"Host(`{HOST}`) && (Method(`POST`) || Method(`PUT`) || Method(`PATCH`))"
    assert route["middlewares"] == [{"name": made.one("ingress-uploads").inputs["metadata"]["name"]}]
    assert route["services"] == [{"name": "proxy-public", "port": "http"}]
    assert (
        "traefik.ingress.kubernetes.io/router.middlewares"
        not in (made.one("ingress-hub").inputs["metadata"]["annotations"])
    )


def test_routes_and_certificate_agree_on_the_secret_and_the_namespace(made: Run) -> None:
    ingress, uploads = made.one("ingress-hub").inputs, made.one("ingress-hub-uploads").inputs
    certificate = made.one("certificates-hub").inputs
    assert ingress["spec"]["tls"] == [{"hosts": [HOST], "secretName": "hub-tls"}]
    assert uploads["spec"]["tls"] == {"secretName": "hub-tls"}
    assert certificate["spec"]["secretName"] == "hub-tls"
    assert certificate["spec"]["dnsNames"] == [HOST]
    assert {each["metadata"]["namespace"] for each in (ingress, uploads, certificate)} == {"jupyterhub"}
    assert ingress["spec"]["ingressClassName"] == values(made, "ingress-release")["ingressClass"]["name"]


def test_everything_runs_on_the_core_node_with_requests(made: Run) -> None:
    cert_manager = values(made, "certificates-release")
    solver = issuer(made, "letsencrypt")["solvers"][0]["http01"]["ingress"]["podTemplate"]["spec"]
    placed = [values(made, "ingress-release"), cert_manager]
    placed += [cert_manager[part] for part in ("webhook", "cainjector", "startupapicheck")]
    for part in placed:
        assert set(part["resources"]["requests"]) == {"cpu", "memory"}
    for part in [*placed, solver]:
        assert part["nodeSelector"] == CORE
        assert part["tolerations"] == [TOLERATION]


def issuer(made: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = made.one(f"certificates-{name}").inputs["spec"]["acme"]
    return found


@pytest.mark.parametrize(
    ("acme", "chosen"), [("production", "letsencrypt"), ("staging", "letsencrypt-staging")]
)
def test_both_of_lets_encrypts_servers_have_an_issuer(acme: str, chosen: str) -> None:
    made = built(acme=acme)
    assert issuer(made, "letsencrypt")["server"] == "https://acme-v02.api.letsencrypt.org/directory"
    staging = issuer(made, "letsencrypt-staging")["server"]
    assert staging == "https://acme-staging-v02.api.letsencrypt.org/directory"
    certificate = made.one("certificates-hub")
    assert certificate.inputs["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": chosen}
    assert f"certificates-{chosen}" in certificate.depends_on


def test_accounts_of_different_servers_have_different_keys(made: Run) -> None:
    keys = {issuer(made, name)["privateKeySecretRef"]["name"] for name in acme_servers("production")}
    assert len(keys) == 2


def test_another_acme_server_is_known_by_its_own_authority() -> None:
    made = built(acme="https://ca.example/dir", acme_ca=PEM)
    assert issuer(made, "acme")["server"] == "https://ca.example/dir"
    assert base64.b64decode(issuer(made, "acme")["caBundle"]).decode() == PEM
    assert issuer_of("https://ca.example/dir") == "acme"
    names = {each.name for each in made.of_type("kubernetes:cert-manager.io/v1:ClusterIssuer")}
    assert names == {"certificates-acme"}


def test_a_public_authority_is_checked_as_any_other(made: Run) -> None:
    assert "caBundle" not in issuer(made, "letsencrypt")


def test_cert_manager_reaches_the_host_inside_the_cluster(made: Run) -> None:
    aliases = values(made, "certificates-release")["hostAliases"]
    assert aliases == [{"ip": "172.24.0.9", "hostnames": [HOST]}]
    service = made.one("ingress-inside").inputs["spec"]
    assert service["selector"] == values(made, "ingress-release")["deployment"]["podLabels"]
    assert [port["port"] for port in service["ports"]] == [80, 443]


def test_no_challenge_before_the_record_and_the_routes_are_there(made: Run) -> None:
    waits_for = set(made.one("certificates-hub").depends_on)
    assert {"dns-record", "ingress-release", "ingress-hub"} <= waits_for


def test_the_load_balancer_comes_after_what_guards_its_removal(made: Run) -> None:
    assert "guard" in made.one("ingress-namespace").depends_on
    assert "ingress-namespace" in made.one("ingress-release").depends_on


@pytest.mark.parametrize("release", ["ingress-release", "certificates-release"])
def test_releases_name_their_charts(made: Run, release: str) -> None:
    inputs = made.one(release).inputs
    if release == "ingress-release":
        assert (inputs["chart"], inputs["version"]) == ("traefik", "41.4.0")
        assert inputs["repositoryOpts"] == {"repo": "https://charts.example"}
    else:
        assert inputs["chart"] == "./charts/cert-manager"
        assert "version" not in inputs
        assert "repositoryOpts" not in inputs
