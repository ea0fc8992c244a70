"""What the lab's cloud holds from the start: Jetstream2's flavors, an image, the network ``public``, the
gateway's project with its users and DNS zone, a public cluster template, and the clients' ``clouds.yaml``.

Every step looks first and makes only what is missing, so a seed that was killed is finished by the next.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import openstack.config
import openstack.connection
import yaml
from keystoneauth1.exceptions import ClientException, Unauthorized
from openstack.exceptions import SDKException

from lab import paths
from lab.errors import LabError
from lab.openstack import folders, passwords
from lab.openstack.configuration import AUTH_URL, REGION
from lab.private_files import write_private

PROJECT = "gateway"
GATEWAY_USER = "gateway"
KEEPER_USER = "keeper"
APPLICATION_CREDENTIAL = "gateway"
DOMAIN = "default"

KUBERNETES = "v1.33.1"
IMAGE = f"ubuntu-jammy-kube-{KUBERNETES}"
IMAGE_PROPERTIES = {"os_distro": "ubuntu", "os_version": "22.04", "kube_version": KUBERNETES}
IMAGE_BYTES = b"An image of the lab: its servers have no disk that could hold one.\n" * 64
CLUSTER_TEMPLATE = "kubernetes-1-33-jammy"

EXTERNAL_NETWORK = "public"
FLOATING_RANGE = "203.0.113.0/24"
"""A range reserved for documentation: nothing on any network has these addresses."""

ZONE = f"{PROJECT}.projects.example."
"""The project's own DNS zone, such as each of Jetstream2 has; under a name reserved for documentation."""
ZONE_EMAIL = "hostmaster@projects.example"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flavor:
    """A size of server: vCPUs, memory in GiB, root disk in GB, by Jetstream2's name and id."""

    id: str
    name: str
    vcpus: int
    memory: int
    disk: int


FLAVORS = [
    Flavor(id="1", name="m3.tiny", vcpus=1, memory=3, disk=20),
    Flavor(id="2", name="m3.small", vcpus=2, memory=6, disk=20),
    Flavor(id="3", name="m3.quad", vcpus=4, memory=15, disk=20),
    Flavor(id="4", name="m3.medium", vcpus=8, memory=30, disk=60),
    Flavor(id="5", name="m3.large", vcpus=16, memory=60, disk=60),
]


def seed() -> None:
    """Fills the cloud with what is missing and writes ``clouds.yaml``; all services must answer.

    Raises:
        LabError: if a service refuses or does not answer.
    """
    try:
        _seed()
    except (ClientException, SDKException) as error:
        raise LabError(
            f"OpenStack could not be filled: {error}. The services' logs are in {paths.LOG}."
        ) from error


def _seed() -> None:
    secret = passwords.load_or_make(folders.PASSWORDS)
    admin = connect(by_password("admin", secret.admin, "admin"))
    _users(admin, secret)
    gateway = by_password(GATEWAY_USER, secret.gateway, PROJECT)
    credential_id = _application_credential(connect(gateway), secret.application_credential)
    _flavors(admin)
    _image(admin)
    _external_network(admin)
    _cluster_template(admin)
    _zone(connect(gateway))
    credential = {
        "auth_url": AUTH_URL,
        "application_credential_id": credential_id,
        "application_credential_secret": secret.application_credential,
    }
    clouds: dict[str, dict[str, Any]] = {
        "lab": {"auth_type": "v3applicationcredential", "auth": credential},
        "lab-member": {"auth": gateway},
        "lab-keeper": {"auth": by_password(KEEPER_USER, secret.keeper, PROJECT)},
        "lab-admin": {"auth": by_password("admin", secret.admin, "admin")},
    }
    write_private(paths.CLOUDS_YAML, clouds_yaml(clouds))


def clouds_yaml(clouds: dict[str, dict[str, Any]]) -> str:
    """The text of ``clouds.yaml`` for clouds that differ in how they sign in."""
    common = {"region_name": REGION, "interface": "public", "identity_api_version": 3}
    return yaml.safe_dump({"clouds": {name: {**cloud, **common} for name, cloud in clouds.items()}})


def by_password(user: str, password: str, project: str) -> dict[str, str]:
    """How a user signs in to a project."""
    return {
        "auth_url": AUTH_URL,
        "username": user,
        "password": password,
        "project_name": project,
        "user_domain_id": DOMAIN,
        "project_domain_id": DOMAIN,
    }


def connect(auth: dict[str, str], auth_type: str = "password") -> openstack.connection.Connection:
    """A connection that depends on nothing in the caller's environment or files."""
    config = openstack.config.OpenStackConfig(load_yaml_config=False, load_envvars=False)
    region = config.get_one(auth=auth, auth_type=auth_type, region_name=REGION, interface="public")
    return openstack.connection.Connection(config=region)


def _signs_in(auth: dict[str, str], auth_type: str = "password") -> bool:
    """Does Keystone accept these credentials? Only its refusal is a no: a failure says nothing."""
    try:
        connect(auth, auth_type).session.get_token()
    except Unauthorized:
        return False
    return True


def _users(admin: openstack.connection.Connection, secret: passwords.Passwords) -> None:
    # The SDK types its proxies as Identity v2 or v3, whose common part is too small.
    identity: Any = admin.identity
    project = identity.find_project(PROJECT) or identity.create_project(name=PROJECT, domain_id=DOMAIN)
    roles = {role.name: role for role in identity.roles()}
    for name, password, granted in (
        (GATEWAY_USER, secret.gateway, ("member", "reader")),
        (KEEPER_USER, secret.keeper, ("admin", "member")),
    ):
        user = identity.find_user(name) or identity.create_user(
            name=name, password=password, domain_id=DOMAIN, default_project_id=project.id
        )
        for role in granted:
            identity.assign_project_role_to_user(project, user, roles[role])
        if not _signs_in(by_password(name, password, PROJECT)):
            identity.update_user(user, password=password)


def _application_credential(gateway: openstack.connection.Connection, secret: str) -> str:
    identity: Any = gateway.identity
    user_id = gateway.current_user_id
    found = identity.find_application_credential(user_id, APPLICATION_CREDENTIAL)
    if found:
        auth = {
            "auth_url": AUTH_URL,
            "application_credential_id": found.id,
            "application_credential_secret": secret,
        }
        if _signs_in(auth, "v3applicationcredential"):
            return str(found.id)
        identity.delete_application_credential(user_id, found)
    created = identity.create_application_credential(
        user_id, APPLICATION_CREDENTIAL, secret=secret, unrestricted=True
    )
    return str(created.id)


def _flavors(admin: openstack.connection.Connection) -> None:
    there = {flavor.name for flavor in admin.compute.flavors()}
    for flavor in FLAVORS:
        if flavor.name not in there:
            admin.compute.create_flavor(
                id=flavor.id,
                name=flavor.name,
                vcpus=flavor.vcpus,
                ram=flavor.memory * 1024,
                disk=flavor.disk,
            )


def _image(admin: openstack.connection.Connection) -> None:
    images: Any = admin.image
    there = list(images.images(name=IMAGE, visibility="public"))
    if any(image.status == "active" for image in there):
        return
    for unfinished in there:
        images.delete_image(unfinished)
    images.create_image(
        IMAGE,
        data=IMAGE_BYTES,
        disk_format="raw",
        container_format="bare",
        visibility="public",
        min_disk=10,
        properties=IMAGE_PROPERTIES,
    )


def _external_network(admin: openstack.connection.Connection) -> None:
    network = admin.network.find_network(EXTERNAL_NETWORK) or admin.network.create_network(
        name=EXTERNAL_NETWORK,
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=EXTERNAL_NETWORK,
    )
    if not network.subnet_ids:
        admin.network.create_subnet(
            name=EXTERNAL_NETWORK,
            network_id=network.id,
            ip_version=4,
            cidr=FLOATING_RANGE,
            is_dhcp_enabled=False,
        )


def _cluster_template(admin: openstack.connection.Connection) -> None:
    magnum = admin.container_infrastructure_management
    if magnum.find_cluster_template(CLUSTER_TEMPLATE):
        return
    magnum.create_cluster_template(
        name=CLUSTER_TEMPLATE,
        public=True,
        coe="kubernetes",
        image_id=IMAGE,
        external_network_id=EXTERNAL_NETWORK,
        network_driver="calico",
        flavor_id="m3.small",
        master_flavor_id="m3.small",
        master_lb_enabled=False,
        floating_ip_enabled=False,
        labels={"kube_tag": KUBERNETES},
    )


def _zone(gateway: openstack.connection.Connection) -> None:
    if not any(zone.name == ZONE for zone in gateway.dns.zones()):
        gateway.dns.create_zone(name=ZONE, email=ZONE_EMAIL)
