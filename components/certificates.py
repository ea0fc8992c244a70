"""Certificates for host names: cert-manager on the core node, its issuers, and the hub's certificate."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import core, helm
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.hub_values.placement import on_core_node, requests

NAME = "cert-manager"
"""The release and its namespace."""

CERT_MANAGER = "cert-manager.io/v1"
LETS_ENCRYPT = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
"""Issuers by name. Staging's certificates are trusted by nobody, and it limits nobody's attempts either."""

OTHER = "acme"
"""Name of the issuer at another ACME server."""

TIMEOUT_SECONDS = 900


@dataclasses.dataclass(frozen=True, kw_only=True)
class CertificatesArgs:
    """What certificates are made with.

    Attributes:
        host: the hub's name.
        hub_namespace: where the certificate is made.
        tls_secret: name of the Secret there that holds it.
        email: whom the certificate authority writes to.
        acme: ``production`` or ``staging`` of Let's Encrypt, or the address of another ACME server.
        acme_ca: PEM text of the authority that another ACME server is itself known by; None for a public one.
        ingress_class: the class of ingresses that answer challenges.
        ingress_inside: address of that ingress inside the cluster.
        chart: name, folder or address of the chart cert-manager.
        repository: where that chart is; None for a folder or a whole address.
        version: of the chart; None for a folder.
        after: resources that must be there before the first challenge: the ingress, and the name's record.
    """

    host: str
    hub_namespace: pulumi.Input[str]
    tls_secret: str
    email: str
    acme: str
    acme_ca: str | None
    ingress_class: str
    ingress_inside: pulumi.Input[str]
    chart: str
    repository: str | None
    version: str | None
    after: Sequence[pulumi.Resource]


class Certificates(pulumi.ComponentResource):
    """The host's certificate, issued and renewed by cert-manager.

    A run does not wait for it: an authority that is slow, or a record that the operator has yet to make, is
    no reason to fail. The certificate's conditions tell what it waits for.
    """

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "host": args.host,
            "acme": args.acme,
            "chart": {"chart": args.chart, "version": args.version},
        }
        super().__init__("sciencegateway:certificates:Certificates", name, inputs, opts)
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=NAME),
            opts=pulumi.ResourceOptions(parent=self),
        )
        release = helm.v3.Release(
            f"{name}-release",
            name=NAME,
            chart=args.chart,
            version=args.version,
            repository_opts=(
                None if args.repository is None else helm.v3.RepositoryOptsArgs(repo=args.repository)
            ),
            namespace=namespace.metadata["name"],
            values=cert_manager_values(args.host, args.ingress_inside),
            timeout=TIMEOUT_SECONDS,
            cleanup_on_fail=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        issuers = {
            issuer: CustomResource(
                f"{name}-{issuer}",
                api_version=CERT_MANAGER,
                kind="ClusterIssuer",
                metadata=ObjectMetaArgs(name=issuer),
                spec=issuer_spec(issuer, server, args),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[release]),
            )
            for issuer, server in acme_servers(args.acme).items()
        }
        chosen = issuer_of(args.acme)
        CustomResource(
            f"{name}-hub",
            api_version=CERT_MANAGER,
            kind="Certificate",
            metadata=ObjectMetaArgs(name="hub", namespace=args.hub_namespace),
            spec={
                "secretName": args.tls_secret,
                "dnsNames": [args.host],
                "issuerRef": {"kind": "ClusterIssuer", "name": chosen},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[issuers[chosen], *args.after]),
        )
        self.register_outputs({})


def issuer_of(acme: str) -> str:
    """The issuer that a choice of ACME server means."""
    return {"production": "letsencrypt", "staging": "letsencrypt-staging"}.get(acme, OTHER)


def acme_servers(acme: str) -> dict[str, str]:
    """Addresses of ACME servers by issuer: both of Let's Encrypt, or the other one alone."""
    return LETS_ENCRYPT if issuer_of(acme) in LETS_ENCRYPT else {OTHER: acme}


def issuer_spec(issuer: str, server: str, args: CertificatesArgs) -> dict[str, Any]:
    """The ``spec`` of a ClusterIssuer that proves a host name by HTTP."""
    trusted = {} if args.acme_ca is None else {"caBundle": base64.b64encode(args.acme_ca.encode()).decode()}
    ingress = {
        "ingressClassName": args.ingress_class,
        # Reached through the ingress only.
        "serviceType": "ClusterIP",
        # Pods that answer a challenge run for minutes: a user pool's node should not be made for them.
        "podTemplate": {"spec": on_core_node()},
    }
    return {
        "acme": {
            "server": server,
            "email": args.email,
            "privateKeySecretRef": {"name": f"{issuer}-account-key"},
            "solvers": [{"http01": {"ingress": ingress}}],
            **trusted,
        }
    }


def cert_manager_values(host: str, ingress_inside: pulumi.Input[str]) -> dict[str, Any]:
    """Values of the chart cert-manager.

    Before cert-manager lets an authority look, it looks itself. Nodes without a floating address of their own
    often reach no floating address at all, so it would never succeed. For its own pod alone the host name
    therefore means the ingress's address inside the cluster.

    Args:
        host: the name to be certified.
        ingress_inside: the ingress's address inside the cluster.
    """
    budget = {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 1}}
    return {
        "crds": {"enabled": True},
        "global": {"leaderElection": {"namespace": NAME}},
        "hostAliases": [{"ip": ingress_inside, "hostnames": [host]}],
        **on_core_node(),
        **requests("50m", "128Mi"),
        **budget,
        "webhook": {**on_core_node(), **requests("20m", "64Mi"), **budget},
        "cainjector": {**on_core_node(), **requests("20m", "128Mi"), **budget},
        "startupapicheck": {**on_core_node(), **requests("10m", "64Mi")},
    }
