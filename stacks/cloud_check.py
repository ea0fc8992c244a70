"""Looks whether the cloud has what the settings name, before anything is planned.

It only reads, so that the credentials of a preview may be read-only. What those may not see is not checked.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import keystoneauth1.exceptions
import openstack
import openstack.exceptions
from openstack.connection import Connection

from components.network import ExistingNetwork
from stacks.flavors import Shape
from stacks.problems import Problem, SettingsError, key_path
from stacks.settings import Cloud, Settings

SECONDS = 10
"""How long one answer of the cloud may take."""

_INCOMPLETE = (
    keystoneauth1.exceptions.MissingRequiredOptions,
    keystoneauth1.exceptions.NoMatchingPlugin,
    keystoneauth1.exceptions.OptionError,
)
"""What keystoneauth raises for credentials in which something is missing or misspelt."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudFacts:
    """What the settings' names stand for in this cloud.

    Attributes:
        template_id: UUID of the cluster template.
        external_network_id: the network of floating addresses.
        existing_network: the network for the nodes; None where one is to be created.
        dns_zone_id: the zone of the host name; None where the settings name none.
    """

    template_id: str
    external_network_id: str
    existing_network: ExistingNetwork | None
    dns_zone_id: str | None = None


class CloudError(Exception):
    """The cloud cannot be asked at all; the text is one sentence."""


def connect(cloud: Cloud) -> Connection:
    """A connection that has proven its credentials.

    Raises:
        CloudError: if there are no credentials, or two sets; if the cloud is unreachable or refuses them.
    """
    where = f"{cloud.name} in clouds.yaml" if cloud.name else "the OS_* variables"
    own_variables = bool(os.environ.get("OS_AUTH_URL"))
    if cloud.name and own_variables:
        raise CloudError(
            f"{key_path('cloud', 'name')} = {cloud.name}: the variable OS_AUTH_URL is set too; "
            "unset the OS_* variables, or set the key to null to use them."
        )
    if not cloud.name and not own_variables and not os.environ.get("OS_CLOUD"):
        raise CloudError(
            f"{key_path('cloud', 'name')} is null and the variable OS_AUTH_URL is not set; "
            "source the file of an application credential, or name an entry of clouds.yaml."
        )
    try:
        connection = openstack.connect(
            cloud=cloud.name or os.environ.get("OS_CLOUD"), region_name=cloud.region, api_timeout=SECONDS
        )
        # Not authorize(): it tells a refusal and an unreachable cloud by the same exception.
        connection.session.get_token()
    except (openstack.exceptions.ConfigException, *_INCOMPLETE) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CloudError(
            f"{key_path('cloud')} cannot be used: {reason}; clouds.yaml is looked for at "
            "OS_CLIENT_CONFIG_FILE, beside the program, and in ~/.config/openstack."
        ) from None
    except keystoneauth1.exceptions.HttpError as error:
        if error.http_status not in (401, 403):
            cure = "that is not the address of a Keystone" if error.http_status == 404 else "try again later"
            answer = f"HTTP status {error.http_status} at {_address(cloud)}"
            raise CloudError(f"The cloud of {where} answers with {answer}; {cure}.") from None
        raise CloudError(
            f"The cloud refuses the credentials of {where}; correct them, or make an application credential."
        ) from None
    except keystoneauth1.exceptions.ClientException:
        raise CloudError(
            f"The cloud of {where} does not answer at {_address(cloud)}; check the address and the network."
        ) from None
    return connection


def survey(connection: Connection, settings: Settings) -> CloudFacts:
    """Finds everything that the settings name.

    Raises:
        SettingsError: with every name that the cloud does not have.
        CloudError: if a service of the cloud fails.
    """
    problems: list[Problem] = []
    look = _Look(connection, problems)
    try:
        template_id = look.template(settings.cluster.template)
        look.flavors(_named_flavors(settings), settings)
        external = look.external_network(settings.cloud.external_network)
        existing = None
        if settings.network.existing is not None:
            existing = look.existing_network(settings.network.existing)
        if settings.cluster.keypair is not None:
            look.keypair(settings.cluster.keypair)
        zone_id = None if settings.dns is None else look.zone(settings.dns.zone)
    except keystoneauth1.exceptions.ConnectFailure as error:
        what = str(error).partition(": ")[0]
        raise CloudError(f"A service of the cloud does not answer ({what}); try again later.") from None
    except (keystoneauth1.exceptions.ClientException, openstack.exceptions.SDKException) as error:
        what = str(error).splitlines()[0]
        raise CloudError(f"The cloud failed to answer a question ({what}); try again later.") from None
    if problems or template_id is None or external is None:
        raise SettingsError(problems)
    return CloudFacts(
        template_id=template_id,
        external_network_id=str(external.id),
        existing_network=(
            None
            if existing is None
            else ExistingNetwork(network_id=str(existing.id), subnet_id=str(existing.subnet_ids[0]))
        ),
        dns_zone_id=zone_id,
    )


class _Look:
    """Looks one thing up after the other, and notes what is missing."""

    def __init__(self, connection: Connection, problems: list[Problem]) -> None:
        self._connection = connection
        self._problems = problems

    def template(self, name: str) -> str | None:
        path = key_path("cluster", "template")
        magnum = self._connection.container_infrastructure_management
        try:
            template = magnum.find_cluster_template(name, ignore_missing=True)
        except openstack.exceptions.DuplicateResource:
            self._miss(path, name, "is the name of several cluster templates; give the UUID of one")
            return None
        if template is None:
            names = sorted(str(each.name) for each in magnum.cluster_templates())
            self._miss(path, name, f"is not a cluster template of this cloud; it has {_listed(names)}")
            return None
        self._image(path, name, str(template.image_id))
        # Asked for by name, its id is the name; a cluster must hold what never changes.
        return str(template.uuid)

    def _image(self, path: str, template: str, image: str) -> None:
        glance = self._connection.image
        found = self._seen(lambda: glance.find_image(image, ignore_missing=True))
        if found is _UNSEEN:
            return
        if found is None or found.status != "active":
            self._miss(
                path,
                template,
                f"names the image {image}, which the cloud does not have any more; choose a newer template",
            )

    def flavors(self, named: Mapping[str, str], settings: Settings) -> None:
        listed = self._seen(lambda: list(self._connection.compute.flavors(details=True)))
        if listed is _UNSEEN:
            return
        known = {flavor.name: Shape(vcpus=flavor.vcpus, memory_mib=flavor.ram) for flavor in listed}
        for path, name in named.items():
            wanted, real = settings.shape(name), known.get(name)
            if real is None:
                self._miss(path, name, f"is not a flavor of this cloud; it has {_listed(sorted(known))}")
            elif wanted is not None and (real.vcpus < wanted.vcpus or real.memory_mib < wanted.memory_mib):
                self._miss(
                    path,
                    name,
                    f"has {real.vcpus} vCPUs and {real.memory_mib / 1024:g} GiB in this cloud, less than the "
                    f"settings count on; tell its size in {key_path('flavors', name)}",
                )

    def external_network(self, name: str) -> Any | None:
        neutron = self._connection.network
        network = neutron.find_network(name, ignore_missing=True, is_router_external=True)
        if network is None:
            names = sorted(str(each.name) for each in neutron.networks(is_router_external=True))
            message = f"is not an external network of this cloud; it has {_listed(names)}"
            self._miss(key_path("cloud", "external_network"), name, message)
        return network

    def existing_network(self, name: str) -> Any | None:
        path = key_path("network", "existing")
        neutron = self._connection.network
        try:
            network = neutron.find_network(name, ignore_missing=True)
        except openstack.exceptions.DuplicateResource:
            self._miss(path, name, "is the name of several networks; give the id of one")
            return None
        if network is None:
            names = sorted(str(each.name) for each in neutron.networks())
            cure = f"it has {_listed(names)}"
            if name == "auto_allocated_network":
                cure = "make it with `openstack network auto allocated topology create --or-show`"
            self._miss(path, name, f"is not a network of this cloud; {cure}")
        elif not network.subnet_ids:
            self._miss(path, name, "has no subnet; name another network, or create one with network.cidr")
            return None
        return network

    def keypair(self, name: str) -> None:
        compute = self._connection.compute
        if self._seen(lambda: compute.find_keypair(name, ignore_missing=True)) is None:
            self._miss(
                key_path("cluster", "keypair"),
                name,
                "is not a keypair of ours; make it with `openstack keypair create`, or set null",
            )

    def zone(self, name: str) -> str | None:
        designate = self._connection.dns
        zones = {str(zone.name): str(zone.id) for zone in designate.zones()}
        if name not in zones:
            self._miss(
                key_path("dns", "zone"),
                name,
                f"is not a zone of this project; it has {_listed(sorted(zones))}",
            )
        return zones.get(name)

    def _miss(self, path: str, value: str, message: str) -> None:
        self._problems.append(Problem(path=path, value=value, message=message))

    @staticmethod
    def _seen(look: Callable[[], Any]) -> Any:
        try:
            return look()
        except openstack.exceptions.ForbiddenException:
            return _UNSEEN


_UNSEEN = object()


def _named_flavors(settings: Settings) -> dict[str, str]:
    return {
        key_path("cluster", "master_flavor"): settings.cluster.master_flavor,
        key_path("cluster", "core_flavor"): settings.cluster.core_flavor,
        **{key_path("pools", name, "flavor"): pool.flavor for name, pool in settings.pools.items()},
    }


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


def _address(cloud: Cloud) -> str:
    try:
        region = openstack.config.OpenStackConfig().get_one(cloud=cloud.name or os.environ.get("OS_CLOUD"))
        return str(region.config["auth"]["auth_url"])
    except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException, KeyError):
        return os.environ.get("OS_AUTH_URL", "its address")
