"""The way in from outside: address, name, ingress and certificate, as the settings want them."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.certificates import Certificates, CertificatesArgs
from components.dns_record import DnsRecord, DnsRecordArgs
from components.floating_address import FloatingAddress, FloatingAddressArgs
from components.hub_namespace import HubNamespace
from components.ingress import Ingress, IngressArgs
from stacks import charts
from stacks.cloud_check import CloudFacts
from stacks.settings import Settings

TLS_SECRET = "hub-tls"  # noqa: S105 (the name of one)


def way_in(
    settings: Settings,
    facts: CloudFacts,
    prefix: str,
    namespace: HubNamespace,
    opts: pulumi.ResourceOptions,
    *,
    after: Sequence[pulumi.Resource],
) -> None:
    """Address, name, ingress and certificate, if the settings have the hub reached from outside."""
    host, tls = settings.hub.host, settings.tls
    if host is None or tls is None:
        return
    reserved = FloatingAddress(
        "address",
        FloatingAddressArgs(
            external_network=settings.cloud.external_network,
            description=f"The way in to {prefix}",
            protect=settings.production,
        ),
        opts,
    )
    named: list[pulumi.Resource] = []
    if facts.dns_zone_id is not None:
        record = DnsRecordArgs(zone_id=facts.dns_zone_id, host=host, address=reserved.address)
        named.append(DnsRecord("dns", record, opts))
    traefik = charts.source(settings.charts.traefik)
    ingress = Ingress(
        "ingress",
        IngressArgs(
            host=host,
            address=reserved.address,
            hub_namespace=namespace.namespace,
            tls_secret=TLS_SECRET,
            chart=traefik.chart,
            repository=traefik.repository,
            version=traefik.version,
            after=after,
        ),
        opts,
    )
    cert_manager = charts.source(settings.charts.cert_manager)
    Certificates(
        "certificates",
        CertificatesArgs(
            host=host,
            hub_namespace=namespace.namespace,
            tls_secret=TLS_SECRET,
            email=tls.email,
            acme=tls.acme,
            acme_ca=tls.acme_ca,
            ingress_class=ingress.class_name,
            ingress_inside=ingress.inside,
            chart=cert_manager.chart,
            repository=cert_manager.repository,
            version=cert_manager.version,
            after=[ingress, *named],
        ),
        opts,
    )
