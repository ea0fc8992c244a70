"""The lab's OpenStack does what the gateway asks of Jetstream2's, by its real APIs."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openstack
import pytest
from openstack.connection import Connection
from openstack.exceptions import BadRequestException, ForbiddenException, HttpException

from lab import paths
from lab.openstack import configuration, contents

INTERFACES = ("public", "internal", "admin")


def connect(cloud: str) -> Any:
    """A connection to one of the clouds in ``clouds.yaml``."""
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(paths.CLOUDS_YAML)
    return openstack.connect(cloud=cloud)


def wait_for(look: Callable[[], Any], wanted: Any, seconds: float = 30.0) -> None:
    """Looks until it sees what is wanted."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"saw {seen!r} instead of {wanted!r} for {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def admin(lab_up: None) -> Iterator[Any]:
    """The administrator."""
    connection = connect("lab-admin")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def gateway(cloud: Connection) -> Any:
    """The gateway's project (the SDK's own types cover old APIs too, hence Any)."""
    return cloud


@pytest.fixture(scope="module")
def name() -> str:
    """A name nobody else uses."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def subnet(gateway: Any, name: str) -> Iterator[Any]:
    """A network with a subnet behind a router to ``public``."""
    network = gateway.network.create_network(name=name)
    subnet = gateway.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="10.99.0.0/24", name=name
    )
    public = gateway.network.find_network("public")
    router = gateway.network.create_router(name=name, external_gateway_info={"network_id": public.id})
    gateway.network.add_interface_to_router(router, subnet_id=subnet.id)
    yield subnet
    gateway.network.remove_interface_from_router(router, subnet_id=subnet.id)
    gateway.network.delete_router(router)
    gateway.network.delete_network(network)


@pytest.fixture(scope="module")
def server(gateway: Any, subnet: Any, name: str) -> Iterator[Any]:
    """An active server of flavor m3.quad."""
    created = gateway.compute.create_server(
        name=name,
        flavor_id=gateway.compute.find_flavor("m3.quad").id,
        image_id=gateway.image.find_image(contents.IMAGE).id,
        networks=[{"uuid": subnet.network_id}],
    )
    yield gateway.compute.wait_for_server(created, interval=0.2, wait=60)
    gateway.compute.delete_server(created)
    gateway.compute.wait_for_delete(created, interval=0.2, wait=60)


def test_catalog_has_every_service_for_every_interface(admin: Any) -> None:
    services = {service.id: service.type for service in admin.identity.services()}
    assert sorted(services.values()) == sorted(configuration.CATALOG)
    found = {
        (services[endpoint.service_id], endpoint.interface, endpoint.region_id, endpoint.url)
        for endpoint in admin.identity.endpoints()
    }
    assert found == {
        (kind, interface, "RegionOne", url)
        for kind, (_, url) in configuration.CATALOG.items()
        for interface in INTERFACES
    }


@pytest.mark.parametrize("kind", sorted(configuration.CATALOG))
def test_every_endpoint_answers_the_application_credential(gateway: Any, kind: str) -> None:
    address = gateway.session.get_endpoint(service_type=kind, interface="public")
    assert gateway.session.get(address.rsplit("/v", 1)[0] or address).status_code in (200, 300)


@pytest.mark.parametrize("cloud_name", ["lab", "lab-member", "lab-keeper"])
def test_clouds_sign_in_to_the_gateways_project(admin: Any, cloud_name: str) -> None:
    project = admin.identity.find_project(contents.PROJECT)
    assert connect(cloud_name).current_project_id == project.id


def test_keeper_administers_and_the_gateway_does_not(gateway: Any, lab_up: None) -> None:
    assert list(connect("lab-keeper").compute.services())
    with pytest.raises(ForbiddenException):
        list(gateway.compute.services())


def test_flavors_are_jetstream2s(gateway: Any) -> None:
    found = {
        (flavor.id, flavor.name, flavor.vcpus, flavor.ram, flavor.disk)
        for flavor in gateway.compute.flavors()
    }
    assert found == {
        ("1", "m3.tiny", 1, 3072, 20),
        ("2", "m3.small", 2, 6144, 20),
        ("3", "m3.quad", 4, 15360, 20),
        ("4", "m3.medium", 8, 30720, 60),
        ("5", "m3.large", 16, 61440, 60),
    }


def test_image_says_which_kubernetes_it_carries(gateway: Any) -> None:
    image = gateway.image.find_image("ubuntu-jammy-kube-v1.33.1")
    assert (image.status, image.visibility, image.os_distro) == ("active", "public", "ubuntu")
    assert image.properties["kube_version"] == "v1.33.1"


def test_public_cluster_template(gateway: Any) -> None:
    template = gateway.container_infrastructure_management.find_cluster_template("kubernetes-1-33-jammy")
    assert template.is_public
    assert template.coe == "kubernetes"
    assert template.network_driver == "calico"
    assert template.external_network_id == "public"
    assert (template.is_master_lb_enabled, template.is_floating_ip_enabled) == (False, False)
    assert template.labels["kube_tag"] == "v1.33.1"


def test_quotas_are_a_research_projects(gateway: Any) -> None:
    limits = gateway.compute.get_limits().absolute
    assert (limits.total_cores, limits.total_ram) == (150, 585 * 1024)
    quotas = gateway.network.get_quota(gateway.current_project_id)
    assert quotas.floating_ips == 10
    volumes = gateway.block_storage.get_limits().absolute
    assert volumes.max_total_volume_gigabytes == 1000


def test_quota_refuses_the_eleventh_floating_address(gateway: Any) -> None:
    public = gateway.network.find_network("public")
    used = len(list(gateway.network.ips()))
    addresses: list[Any] = []
    try:
        for _ in range(10 - used):
            addresses.append(gateway.network.create_ip(floating_network_id=public.id))
        with pytest.raises(HttpException, match=r"[Qq]uota exceeded"):
            gateway.network.create_ip(floating_network_id=public.id)
    finally:
        for address in addresses:
            gateway.network.delete_ip(address)


def test_server_is_active_with_an_address_of_its_network(gateway: Any, server: Any, name: str) -> None:
    assert server.status == "ACTIVE"
    assert server.addresses[name][0]["addr"].startswith("10.99.0.")
    port = next(gateway.network.ports(device_id=server.id))
    assert port.status == "ACTIVE"


def test_floating_address_is_active_once_associated(gateway: Any, server: Any, name: str) -> None:
    public = gateway.network.find_network("public")
    address = gateway.network.create_ip(floating_network_id=public.id)
    try:
        assert address.status == "DOWN"
        port = next(gateway.network.ports(device_id=server.id))
        associated = gateway.network.update_ip(address, port_id=port.id)
        assert associated.status == "ACTIVE"
        wait_for(
            lambda: (
                {entry["addr"] for entry in gateway.compute.get_server(server.id).addresses[name]}
                >= {address.floating_ip_address}
            ),
            True,
        )
        assert gateway.network.update_ip(address, port_id=None).status == "DOWN"
    finally:
        gateway.network.delete_ip(address)


def test_shelved_server_frees_its_node_and_comes_back(gateway: Any, server: Any) -> None:
    gateway.compute.shelve_server(server)
    wait_for(lambda: gateway.compute.get_server(server.id).status, "SHELVED_OFFLOADED")
    image = gateway.image.find_image(f"{server.name}-shelved")
    assert image.status == "active"
    gateway.compute.unshelve_server(server)
    wait_for(lambda: gateway.compute.get_server(server.id).status, "ACTIVE")
    wait_for(lambda: gateway.image.find_image(f"{server.name}-shelved"), None)


def test_server_beyond_the_quota_is_refused(gateway: Any, subnet: Any, name: str) -> None:
    with pytest.raises(ForbiddenException, match="Quota exceeded for cores"):
        gateway.compute.create_server(
            name=name,
            flavor_id=gateway.compute.find_flavor("m3.large").id,
            image_id=gateway.image.find_image(contents.IMAGE).id,
            networks=[{"uuid": subnet.network_id}],
            min_count=10,
        )


def test_volume_grows_is_attached_and_goes(gateway: Any, server: Any, name: str) -> None:
    volume = gateway.block_storage.create_volume(name=name, size=1)

    def status() -> str:
        return str(gateway.block_storage.get_volume(volume.id).status)

    try:
        wait_for(status, "available")
        gateway.block_storage.extend_volume(volume, 2)
        wait_for(status, "available")
        assert gateway.block_storage.get_volume(volume.id).size == 2
        with pytest.raises(BadRequestException):
            gateway.block_storage.extend_volume(volume, 1)
        attachment = gateway.compute.create_volume_attachment(server, volume_id=volume.id)
        wait_for(status, "in-use")
        gateway.compute.delete_volume_attachment(server, attachment.volume_id)
        wait_for(status, "available")
    finally:
        gateway.block_storage.delete_volume(volume)
        gateway.block_storage.wait_for_delete(volume, interval=0.2, wait=30)


def test_application_credentials_power_ends_where_it_should(gateway: Any, name: str) -> None:
    user = gateway.current_user_id
    restricted = gateway.identity.create_application_credential(user, name)
    try:
        auth = {
            "auth_url": configuration.AUTH_URL,
            "application_credential_id": restricted.id,
            "application_credential_secret": restricted.secret,
        }
        weaker: Any = contents.connect(auth, "v3applicationcredential")
        assert weaker.current_project_id == gateway.current_project_id
        with pytest.raises(ForbiddenException):
            weaker.identity.create_application_credential(user, f"{name}-more")
        with pytest.raises(ForbiddenException):
            list(weaker.identity.users())
    finally:
        gateway.identity.delete_application_credential(user, restricted)


def test_requests_of_different_users_at_the_same_time_are_kept_apart(lab_up: None) -> None:
    """Each asks for what its own roles allow or forbid, while the others do."""

    def ask(cloud: str) -> set[str]:
        connection = connect(cloud)
        seen = set()
        for _ in range(8):
            try:
                list(connection.identity.users())
                seen.add("allowed")
            except ForbiddenException:
                seen.add("forbidden")
            credential = connection.identity.create_application_credential(
                connection.current_user_id, f"test-{uuid.uuid4().hex}"
            )
            seen.update(role["name"] for role in credential.roles)
            connection.identity.delete_application_credential(connection.current_user_id, credential)
        return seen

    clouds = ["lab", "lab-member", "lab-admin", "lab-keeper"]
    with ThreadPoolExecutor(len(clouds)) as pool:
        member, same_member, admin, keeper = pool.map(ask, clouds)
    assert member == same_member == {"forbidden", "member", "reader"}
    assert admin == keeper == {"allowed", "admin", "manager", "member", "reader"}


def test_seed_repairs_what_is_missing(admin: Any) -> None:
    admin.compute.delete_flavor(admin.compute.find_flavor("m3.tiny"))
    paths.CLOUDS_YAML.unlink()

    contents.seed()

    assert admin.compute.find_flavor("m3.tiny").id == "1"
    assert paths.CLOUDS_YAML.stat().st_mode & 0o777 == 0o600
    assert connect("lab").current_project_id


def test_files_with_secrets_are_their_owners_only(lab_up: None) -> None:
    folder = paths.STATE / "openstack"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert paths.CLOUDS_YAML.stat().st_mode & 0o777 == 0o600
    for file in (folder / "etc").rglob("*"):
        assert file.is_dir() or file.stat().st_mode & 0o777 == 0o600, file
