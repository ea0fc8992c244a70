"""The lab's environment: a shell that evaluated it speaks to the lab and to nothing else."""

from __future__ import annotations

import subprocess

import pytest

from lab import environment


def test_credentials_of_a_real_cloud_are_taken_out_of_the_shell() -> None:
    real = {"PATH": "/usr/bin:/bin", "OS_AUTH_URL": "https://cloud.example/v3", "OS_PASSWORD": "x"}
    script = environment.exports(real) + "\nenv"

    shell = subprocess.run(["sh", "-c", script], env=real, capture_output=True, text=True, check=True)

    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert {name for name in seen if name.startswith("OS_")} == {"OS_CLOUD", "OS_CLIENT_CONFIG_FILE"}
    assert environment.applied(real).items() <= seen.items()


@pytest.mark.parametrize(
    ("upper", "lower", "expected"),
    [
        ("example.org", None, "example.org,127.0.0.1"),
        (None, "example.org", "example.org,127.0.0.1"),
        ("a.org,b.org", "b.org, c.org", "a.org,b.org,c.org,127.0.0.1"),
        ("127.0.0.1,a.org", "", "a.org,127.0.0.1"),
        (None, None, "127.0.0.1"),
    ],
)
def test_a_proxy_never_comes_between_the_lab_and_its_clients(
    upper: str | None, lower: str | None, expected: str
) -> None:
    current = {name: value for name, value in (("NO_PROXY", upper), ("no_proxy", lower)) if value is not None}
    applied = environment.applied(current)
    assert (applied["NO_PROXY"], applied["no_proxy"]) == (expected, expected)


def test_evaluating_twice_changes_nothing_more() -> None:
    once = environment.applied({"PATH": "/usr/bin"})
    assert environment.applied(once) == once


def test_pulumi_starts_no_session_bus_but_uses_the_one_there_is() -> None:
    assert environment.applied({})["DBUS_SESSION_BUS_ADDRESS"] == "disabled:"
    there = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus"}
    assert environment.applied(there).items() >= there.items()
