"""The host name's record in Designate."""

from __future__ import annotations

import dataclasses

import pulumi
from pulumi_openstack import dns

TTL_SECONDS = 300
"""How long others may remember the address: after it has changed, users are lost for so long."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnsRecordArgs:
    """What a record says.

    Attributes:
        zone_id: id of the zone that holds it.
        host: the host name, without a dot at its end.
        address: where the host is, an IPv4 address.
    """

    zone_id: str
    host: str
    address: pulumi.Input[str]


class DnsRecord(pulumi.ComponentResource):
    """A record of type A. It is there once the zone's name servers answer with it."""

    name: pulumi.Output[str]

    def __init__(self, name: str, args: DnsRecordArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"zone_id": args.zone_id, "host": args.host, "address": args.address}
        super().__init__("sciencegateway:dns_record:DnsRecord", name, inputs, opts)
        record = dns.RecordSet(
            f"{name}-record",
            zone_id=args.zone_id,
            name=f"{args.host}.",
            type="A",
            ttl=TTL_SECONDS,
            records=[args.address],
            # A name has one set of each type, so a new one cannot stand beside the old.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.name = record.name
        self.register_outputs({"name": self.name})
