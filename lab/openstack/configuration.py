"""The text of OpenStack's configuration files, from where the lab stands and its passwords."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from lab.ports import ACCOUNTING, HOST, NAME_SERVER, OPENSTACK

REGION = "RegionOne"
KEYSTONE = f"http://{HOST}:{OPENSTACK['keystone']}"
AUTH_URL = f"{KEYSTONE}/v3"

CATALOG: dict[str, tuple[str, str]] = {
    "identity": ("keystone", AUTH_URL),
    "placement": ("placement", f"http://{HOST}:{OPENSTACK['placement']}"),
    "compute": ("nova", f"http://{HOST}:{OPENSTACK['nova']}/v2.1"),
    "network": ("neutron", f"http://{HOST}:{OPENSTACK['neutron']}"),
    "image": ("glance", f"http://{HOST}:{OPENSTACK['glance']}"),
    "container-infra": ("magnum", f"http://{HOST}:{OPENSTACK['magnum']}/v1"),
    "block-storage": ("cinder", f"http://{HOST}:{OPENSTACK['cinder']}/v3"),
    "volumev3": ("cinderv3", f"http://{HOST}:{OPENSTACK['cinder']}/v3"),
    "dns": ("designate", f"http://{HOST}:{OPENSTACK['designate']}"),
    "accounting": ("accounting", f"http://{HOST}:{ACCOUNTING}"),
}
"""Service type to name and address, the same for the public, internal and admin interface.

Cinder has two: "block-storage" is its type today, "volumev3" the one clients asked for until 2024.
"""

Sections = Mapping[str, Mapping[str, object]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """Where the services find one another.

    Attributes:
        data: the folder of their data; each has a folder of its own in it.
        installed: the folder of configuration that came with the services (their pipelines).
        socket: MariaDB's socket.
        database_user: the account MariaDB knows by the process's own user, hence without password.
        password: of the services' common user ``service``.
    """

    data: Path
    installed: Path
    socket: Path
    database_user: str
    password: str = dataclasses.field(repr=False)


def files(site: Site) -> dict[str, str]:
    """Every configuration file: its path within the configuration folder, and its text."""
    return {
        "keystone/keystone.conf": render(_keystone(site)),
        "placement/placement.conf": render(_placement(site)),
        "glance/glance-api.conf": render(_glance(site)),
        "nova/nova.conf": render(_nova(site)),
        "neutron/neutron.conf": render(_neutron(site)),
        "magnum/magnum.conf": render(_magnum(site)),
        "cinder/cinder.conf": render(_cinder(site)),
        "designate/designate.conf": render(_designate(site)),
    }


def render(sections: Sections) -> str:
    """A configuration file's text. A ``$`` is doubled: oslo.config would take it for a reference."""
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for option, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            lines.append(f"{option} = {text.replace('$', '$$')}")
        lines.append("")
    return "\n".join(lines)


def database(site: Site, name: str) -> str:
    """The address of a database, by MariaDB's socket and without a password."""
    user = urllib.parse.quote(site.database_user, safe="")
    socket = urllib.parse.quote(str(site.socket))
    return f"mysql+pymysql://{user}@localhost/{name}?unix_socket={socket}&charset=utf8mb4"


def _pool(site: Site, name: str) -> dict[str, object]:
    return {"connection": database(site, name), "max_pool_size": 5, "max_overflow": 20}


def _service_user(site: Site) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": AUTH_URL,
        "username": "service",
        "password": site.password,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def _token_check(site: Site) -> dict[str, object]:
    return {
        "www_authenticate_uri": KEYSTONE,
        "service_token_roles": "service",
        "service_token_roles_required": True,
        **_service_user(site),
    }


def _common(site: Site, service: str, database_name: str, **defaults: object) -> dict[str, dict[str, object]]:
    """What every service with workers needs: they share a process and talk within its memory (fake://)."""
    return {
        "DEFAULT": {
            "transport_url": "fake://",
            "state_path": site.data / service,
            "host": "lab",
            **defaults,
        },
        "database": _pool(site, database_name),
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_concurrency": {"lock_path": site.data / service / "locks"},
        "keystone_authtoken": _token_check(site),
    }


def _keystone(site: Site) -> Sections:
    keys = site.data / "keystone"
    return {
        "DEFAULT": {"transport_url": "fake://"},
        "oslo_messaging_notifications": {"driver": "noop"},
        "database": _pool(site, "keystone"),
        "token": {"provider": "fernet"},
        "fernet_tokens": {"key_repository": keys / "fernet"},
        "fernet_receipts": {"key_repository": keys / "fernet"},
        "credential": {"key_repository": keys / "credential"},
        # The passwords are random: a slow hash would protect nothing and slow
        # every sign-in. 72 is what that hash takes.
        "identity": {"password_hash_rounds": 4, "max_password_length": 72},
        # Within the one process that it runs in. A sign-in, with the check of its token by two services,
        # costs a tenth of what it does without.
        "cache": {"enabled": "true", "backend": "oslo_cache.dict", "expiration_time": 600},
    }


def _placement(site: Site) -> Sections:
    return {
        "placement_database": _pool(site, "placement"),
        "keystone_authtoken": _token_check(site),
    }


def _glance(site: Site) -> Sections:
    folder = site.data / "glance"
    return {
        **_common(
            site,
            "glance",
            "glance",
            enabled_backends="file:file",
            node_staging_uri=f"file://{folder / 'staging'}",
        ),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": site.installed / "glance" / "glance-api-paste.ini",
        },
        "glance_store": {"default_backend": "file"},
        "file": {"filesystem_store_datadir": folder / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": folder / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": folder / "tasks"},
    }


def _nova(site: Site) -> Sections:
    user = _service_user(site)
    return {
        **_common(
            site,
            "nova",
            "nova_cell1",
            compute_driver="lab.LabDriver",
            my_ip=HOST,
            use_cow_images=False,
            allow_resize_to_same_host=True,
            # A shelved server gives its node back at once, as on Jetstream2.
            shelved_offload_time=0,
            concurrency_backend="threading",
            # The hypervisor's memory is gone after a restart: the database is what is true.
            sync_power_state_interval=-1,
            report_interval=10,
        ),
        "api_database": _pool(site, "nova_api"),
        "api": {"auth_strategy": "keystone"},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "filter_scheduler": {"track_instance_changes": False},
        # A Jetstream2 research project's; more servers than cores would never be reached.
        "quota": {"instances": 150, "cores": 150, "ram": 585 * 1024},
        "glance": user,
        "placement": user,
        "neutron": user,
        "cinder": {**user, "catalog_info": "block-storage::publicURL"},
        "service_user": {"send_service_user_token": True, **user},
        "vnc": {"enabled": False},
    }


def _neutron(site: Site) -> Sections:
    return {
        **_common(
            site,
            "neutron",
            "neutron",
            core_plugin="ml2",
            service_plugins="lab_router",
            auth_strategy="keystone",
            api_paste_config=site.installed / "neutron" / "api-paste.ini",
            dhcp_agent_notification=False,
            # Nova learns of floating addresses and finished ports only by these.
            notify_nova_on_port_status_changes=True,
            notify_nova_on_port_data_changes=True,
            send_events_interval=1,
            rpc_workers=0,
            api_workers=1,
        ),
        "nova": _service_user(site),
        "quotas": {"quota_floatingip": 10},
        "ml2": {
            "type_drivers": "flat,vxlan",
            "project_network_types": "vxlan",
            "mechanism_drivers": "lab",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "public"},
        "ml2_type_vxlan": {"vni_ranges": "1:10000"},
    }


def _magnum(site: Site) -> Sections:
    clients = ["glance", "nova", "neutron", "cinder", "magnum", "heat", "barbican", "octavia"]
    return {
        **_common(site, "magnum", "magnum"),
        "api": {"api_paste_config": site.installed / "magnum" / "api-paste.ini"},
        "certificates": {"cert_manager_type": "x509keypair"},
        "keystone_auth": _service_user(site),
        "cluster": {"temp_cache_dir": site.data / "magnum"},
        **{f"{name}_client": {"region_name": REGION, "endpoint_type": "publicURL"} for name in clients},
    }


def _cinder(site: Site) -> Sections:
    user = _service_user(site)
    return {
        **_common(
            site,
            "cinder",
            "cinder",
            api_paste_config=site.installed / "cinder" / "api-paste.ini",
            resource_query_filters_file=site.installed / "cinder" / "resource_filters.json",
            enabled_backends="lab",
            glance_api_servers=f"http://{HOST}:{OPENSTACK['glance']}",
            report_interval=10,
            periodic_fuzzy_delay=0,
            quota_volumes=100,
            quota_gigabytes=1000,
        ),
        "lab": {
            "volume_driver": "lab_inside.cinder_volumes.LabVolumeDriver",
            "volume_backend_name": "lab",
        },
        "coordination": {"backend_url": f"file://{site.data / 'cinder'}"},
        "nova": user,
        "service_user": {"send_service_user_token": True, **user},
    }


def _designate(site: Site) -> Sections:
    common = _common(site, "designate", "designate")
    storage = common.pop("database")
    threads = {"threads": 20}
    return {
        **common,
        "storage:sqlalchemy": storage,
        "service:api": {
            "auth_strategy": "keystone",
            "api_base_uri": f"http://{HOST}:{OPENSTACK['designate']}/",
        },
        "service:central": threads,
        "service:producer": threads,
        # The name server reads the database itself: what is asked of it right away is already true.
        "service:worker": {**threads, "poll_delay": 0, "poll_retry_interval": 1},
        "service:mdns": {**threads, "listen": f"{HOST}:{NAME_SERVER}"},
        # Zones are renumbered and published in batches; five seconds suit a larger cloud.
        "producer_task:increment_serial": {"interval": 1},
        "producer_task:delayed_notify": {"interval": 1},
        # Reports of life among parts of one process would tell nothing.
        "heartbeat_emitter": {"emitter_type": "noop"},
    }
