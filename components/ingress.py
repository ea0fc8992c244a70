"""The way from outside to the hub: Traefik on the core node, and the routes it serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import core, helm, networking
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components.hub_values.placement import on_core_node

NAME = "traefik"
"""The release, its namespace and its class of ingresses."""

TRAEFIK = "traefik.io/v1alpha1"
POD_LABEL = {"sciencegateway/part": "ingress"}
"""Ours: the chart's own labels are its own affair."""

HUB_SERVICE = "proxy-public"
HUB_PORT = "http"
"""The chart of JupyterHub calls its door so."""

LARGEST_UPLOAD_BYTES = 500 * 1024 * 1024
UPLOAD_PRIORITY = 1000
"""Above that of any route that is judged by the length of its rule."""

READ_TIMEOUT = "10m"
"""For a whole request with its body. Traefik's 60 s would cut the largest upload off on any line slower than
70 Mbit/s."""

IDLE_MILLISECONDS = 3_600_000
"""Octavia cuts connections that are silent for 50 s; a desktop that nobody touches is silent for longer."""

TIMEOUT_SECONDS = 900


@dataclasses.dataclass(frozen=True, kw_only=True)
class IngressArgs:
    """What an ingress is made of.

    Attributes:
        host: the hub's name.
        address: the reserved floating address that it answers at.
        hub_namespace: where the hub's Service is, and where its routes are made.
        tls_secret: name of the Secret in that namespace that holds, or will hold, the host's certificate.
        chart: name, folder or address of the chart traefik.
        repository: where that chart is; None for a folder or a whole address.
        version: of the chart; None for a folder.
        after: resources that must be there first, and be deleted last.
    """

    host: str
    address: pulumi.Input[str]
    hub_namespace: pulumi.Input[str]
    tls_secret: str
    chart: str
    repository: str | None
    version: str | None
    after: Sequence[pulumi.Resource]


class Ingress(pulumi.ComponentResource):
    """Traefik behind a load balancer with an address of ours; plain HTTP is answered by HTTPS's address."""

    class_name = NAME
    """The class of ingresses that it serves."""

    inside: pulumi.Output[str]
    """Its address inside the cluster, for those who cannot reach the floating one."""

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {
            "host": args.host,
            "address": args.address,
            "chart": {"chart": args.chart, "version": args.version},
        }
        super().__init__("sciencegateway:ingress:Ingress", name, inputs, opts)
        within = pulumi.ResourceOptions(parent=self)
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=ObjectMetaArgs(name=NAME),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
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
            values=traefik_values(args.address),
            timeout=TIMEOUT_SECONDS,
            cleanup_on_fail=True,
            opts=within,
        )
        installed = pulumi.ResourceOptions(parent=self, depends_on=[release])
        inside = core.v1.Service(
            f"{name}-inside",
            metadata=ObjectMetaArgs(name=f"{NAME}-inside", namespace=namespace.metadata["name"]),
            spec=core.v1.ServiceSpecArgs(
                selector=POD_LABEL,
                ports=[
                    core.v1.ServicePortArgs(name=port, port=number, target_port=port)
                    for port, number in (("web", 80), ("websecure", 443))
                ],
            ),
            opts=installed,
        )
        self._routes(name, args, installed)
        self.inside = inside.spec.cluster_ip
        self.register_outputs({"inside": self.inside})

    def _routes(self, name: str, args: IngressArgs, installed: pulumi.ResourceOptions) -> None:
        def about(what: str, **annotations: str) -> ObjectMetaArgs:
            return ObjectMetaArgs(name=what, namespace=args.hub_namespace, annotations=annotations or None)

        uploads = CustomResource(
            f"{name}-uploads",
            api_version=TRAEFIK,
            kind="Middleware",
            metadata=about("hub-uploads"),
            spec={"buffering": {"maxRequestBodyBytes": LARGEST_UPLOAD_BYTES}},
            opts=installed,
        )
        networking.v1.Ingress(
            f"{name}-hub",
            metadata=about(
                "hub",
                **{
                    "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
                    # The provider would wait for the hub, which need not be there yet.
                    "pulumi.com/skipAwait": "true",
                },
            ),
            spec=hub_route(args.host, args.tls_secret),
            opts=installed,
        )
        CustomResource(
            f"{name}-hub-uploads",
            api_version=TRAEFIK,
            kind="IngressRoute",
            metadata=about("hub-uploads"),
            spec=uploads_route(args.host, args.tls_secret),
            opts=pulumi.ResourceOptions.merge(installed, pulumi.ResourceOptions(depends_on=[uploads])),
        )


def traefik_values(address: pulumi.Input[str]) -> dict[str, Any]:
    """Values of the chart traefik, of the form that it has since 40.0.

    Args:
        address: the floating address for its load balancer.
    """
    return {
        "deployment": {"podLabels": POD_LABEL},
        **on_core_node(),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
        "ingressClass": {"enabled": True, "isDefaultClass": False, "name": NAME},
        "ingressRoute": {"dashboard": {"enabled": False}},
        "providers": {
            "kubernetesCRD": {"enabled": True},
            "kubernetesIngress": {"enabled": True, "publishedService": {"enabled": True}},
        },
        "service": {
            "annotations": {
                f"loadbalancer.openstack.org/timeout-{side}-data": str(IDLE_MILLISECONDS)
                for side in ("client", "member")
            },
            "spec": {"type": "LoadBalancer", "loadBalancerIP": address},
        },
        "ports": {
            "web": {
                "http": {
                    "redirections": {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}
                }
            },
            "websecure": {"transport": {"respondingTimeouts": {"readTimeout": READ_TIMEOUT}}},
        },
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }


def hub_route(host: str, tls_secret: str) -> networking.v1.IngressSpecArgs:
    """The ``spec`` of an Ingress that leads a host name to the hub."""
    path = networking.v1.HTTPIngressPathArgs(
        path="/",
        path_type="Prefix",
        backend=networking.v1.IngressBackendArgs(
            service=networking.v1.IngressServiceBackendArgs(
                name=HUB_SERVICE, port=networking.v1.ServiceBackendPortArgs(name=HUB_PORT)
            )
        ),
    )
    return networking.v1.IngressSpecArgs(
        ingress_class_name=NAME,
        rules=[
            networking.v1.IngressRuleArgs(
                host=host, http=networking.v1.HTTPIngressRuleValueArgs(paths=[path])
            )
        ],
        tls=[networking.v1.IngressTLSArgs(hosts=[host], secret_name=tls_secret)],
    )


def uploads_route(host: str, tls_secret: str) -> dict[str, Any]:
    """The ``spec`` of an IngressRoute for all requests with a body, which are buffered and limited in size.

    Only those: Traefik's buffering holds responses back too, whole, and has no option against it (read in
    3.7.12). The hub tells a waiting user what happens by a response that goes on for minutes, and a download
    of many gigabytes would lie on the core node's disk first. Both are answers to GET.
    """
    bodies = " || ".join(f"Method(`{method}`)" for method in ("POST", "PUT", "PATCH"))
    return {
        "entryPoints": ["websecure"],
        "routes": [
            {
                "kind": "Rule",
                "match": f"Host(`{host}`) && ({bodies})",
                "priority": UPLOAD_PRIORITY,
                "middlewares": [{"name": "hub-uploads"}],
                "services": [{"name": HUB_SERVICE, "port": HUB_PORT}],
            }
        ],
        "tls": {"secretName": tls_secret},
    }
