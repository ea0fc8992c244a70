"""The text of OpenStack's configuration files."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
import yaml

from lab import ports
from lab.errors import LabError
from lab.openstack import configuration, contents, databases, launch, mariadb
from lab.openstack.passwords import Passwords

SITE = configuration.Site(
    data=Path("/lab/data"),
    installed=Path("/cache/openstack/etc"),
    socket=Path("/lab/my sql.sock"),
    database_user="ana@home",
    password="pa$$word",
)
FILES = configuration.files(SITE)


def parse(name: str) -> configparser.ConfigParser:
    """A file as a parser that refuses doubled sections and options sees it."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(FILES[name])
    return parser


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_are_well_formed_and_stay_in_the_labs_folders(name: str) -> None:
    parser = parse(name)
    assert parser.sections() or name
    for section in parser.sections():
        for value in parser[section].values():
            assert "None" not in value
            if value.startswith("/"):
                assert value.startswith(("/lab/data", "/cache/openstack/etc"))


def test_every_service_has_a_file() -> None:
    assert {name.split("/")[0] for name in FILES} == set(ports.OPENSTACK) == set(launch.NEEDS)


@pytest.mark.parametrize("name", sorted(FILES))
def test_databases_are_reached_by_socket_without_password(name: str) -> None:
    addresses = [
        value
        for section in parse(name).values()
        for option, value in section.items()
        if option == "connection"
    ]
    assert addresses
    for address in addresses:
        assert address.startswith("mysql+pymysql://ana%40home@localhost/")
        assert "?unix_socket=/lab/my%20sql.sock&" in address


def test_every_database_is_created() -> None:
    named = {
        value.split("localhost/")[1].split("?")[0]
        for name in FILES
        for section in parse(name).values()
        for option, value in section.items()
        if option == "connection"
    }
    # Nova finds the place of servers without a host, cell0, by its records.
    assert named | {"nova_cell0"} == set(databases.DATABASES)


def test_dollars_are_doubled_because_oslo_config_substitutes_them() -> None:
    assert "password = pa$$$$word" in FILES["nova/nova.conf"]


def test_truth_is_written_in_lower_case() -> None:
    assert configuration.render({"vnc": {"enabled": False}}) == "[vnc]\nenabled = false\n"


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_service_logs_in_detail(name: str) -> None:
    assert parse(name).get("DEFAULT", "debug", fallback="false") == "false"


def test_catalog_addresses_are_loopback_and_in_the_port_table() -> None:
    for _, url in configuration.CATALOG.values():
        host, _, port = url.removeprefix("http://").split("/")[0].partition(":")
        assert host == "127.0.0.1"
        assert int(port) in {*ports.OPENSTACK.values(), ports.ACCOUNTING}


def test_catalog_has_cinder_by_both_of_its_names() -> None:
    assert configuration.CATALOG["volumev3"][1] == configuration.CATALOG["block-storage"][1]


def test_clouds_differ_in_sign_in_only() -> None:
    text = contents.clouds_yaml(
        {"lab": {"auth": {"username": "a"}}, "lab-admin": {"auth": {"username": "b"}}}
    )
    clouds = yaml.safe_load(text)["clouds"]
    assert {name: cloud.pop("auth")["username"] for name, cloud in clouds.items()} == {
        "lab": "a",
        "lab-admin": "b",
    }
    assert clouds["lab"] == clouds["lab-admin"] == {
        "region_name": "RegionOne",
        "interface": "public",
        "identity_api_version": 3,
    }  # fmt: skip


def test_services_start_after_what_they_call() -> None:
    names = [service.name for service in launch.services()]
    assert names[0] == launch.DATABASE
    for name, needed in launch.NEEDS.items():
        assert all(names.index(other) < names.index(name) for other in needed)


def test_no_password_stands_in_a_command_or_environment() -> None:
    secret = Passwords(admin="s1", service="s2", gateway="s3", keeper="s4", application_credential="s5")
    told = launch.identity(secret)
    assert '"s1"' in told
    assert '"s2"' in told
    for service in launch.services():
        for text in (*service.command, *service.environment.values()):
            assert "password" not in text.lower()


def test_migrations_of_nova_keep_their_order() -> None:
    chains = databases.migrations(Path("/tools"), Path("/etc/lab"))
    nova = next(chain for chain in chains if chain[0][0] == "/tools/nova-manage")
    assert [" ".join(command[3:5]) for command in nova] == [
        "api_db sync",
        "cell_v2 map_cell0",
        "cell_v2 create_cell",
        "db sync",
    ]


def test_a_socket_path_that_is_too_long_is_refused_with_the_cure() -> None:
    mariadb.check_socket(Path("/lab/mariadb.sock"))
    with pytest.raises(LabError, match="move this checkout to a shorter path"):
        mariadb.check_socket(Path("/" + "x" * 107))


def test_a_socket_nobody_listens_at_does_not_greet(tmp_path: Path) -> None:
    assert not mariadb.greets(tmp_path / "absent.sock")
