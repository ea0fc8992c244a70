"""Asking the accounting service, through every way in which that can go wrong, on real sockets."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import accounting
from allocation.accounting import Allocation
from allocation.errors import AllocationError
from tests.unit.allocation import fake_cloud
from tests.unit.allocation.fake_cloud import Answer, FakeCloud, record

CPU = "jetstream2.indiana.xsede.org"
GPU = "jetstream2-gpu.indiana.xsede.org"


def fetch(name: str = "gateway", timeout_s: float = 5) -> list[Allocation]:
    session, region = accounting.session(name)
    return accounting.fetch(session, region=region, timeout_s=timeout_s)


def failure(timeout_s: float = 5) -> str:
    """What the user is told. Nothing secret may be in it."""
    with pytest.raises(AllocationError) as raised:
        fetch(timeout_s=timeout_s)
    message = str(raised.value)
    assert not any(secret in message for secret in (fake_cloud.TOKEN_MARK, fake_cloud.PASSWORD))
    return message


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_records_are_fetched_from_where_the_catalog_says(cloud: FakeCloud) -> None:
    cloud.says(record(), record(resource=GPU, service_units_used=None))
    assert [(each.resource, each.used) for each in fetch()] == [(CPU, 1234.5), (GPU, None)]
    assert cloud.shown == cloud.issued


def test_an_application_credential_does_too(cloud: FakeCloud) -> None:
    assert len(fetch("robot")) == 1


def test_the_variables_do_too(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AUTH_URL": f"{cloud.url}/v3",
        "AUTH_TYPE": "v3applicationcredential",
        "APPLICATION_CREDENTIAL_ID": "robot",
        "APPLICATION_CREDENTIAL_SECRET": fake_cloud.APPLICATION_SECRET,
        "REGION_NAME": fake_cloud.REGION,
    }.items():
        monkeypatch.setenv(f"OS_{name}", value)
    session, region = accounting.session(None)
    assert region == fake_cloud.REGION
    assert len(accounting.fetch(session, region=region)) == 1


def test_no_credentials_at_all(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    with pytest.raises(AllocationError, match=r"OS_\* variables cannot be used.*auth_url.*--cloud"):
        accounting.session(None)


def test_an_unknown_cloud(cloud: FakeCloud) -> None:
    with pytest.raises(AllocationError, match=r"'jetstream9' of clouds\.yaml cannot be used"):
        accounting.session("jetstream9")


@pytest.mark.parametrize("text", ["clouds: [", "- a\n- b\n", "clouds:\n  gateway: 3\n", "\tclouds:"])
def test_a_broken_clouds_yaml(
    cloud: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clouds.yaml").write_text(text)
    with pytest.raises(AllocationError, match=r"cannot be used"):
        accounting.session("gateway")


def test_a_wrong_password_is_told_and_not_tried_again(cloud: FakeCloud) -> None:
    cloud.keystone = [401]
    assert "refuses the credentials (HTTP status 401)" in failure()
    assert cloud.asked.count("POST /v3/auth/tokens") == 1
    assert cloud.shown == []


def test_an_expired_token_is_renewed_once(cloud: FakeCloud) -> None:
    """The old script's token, once expired, was never refreshed."""
    session, region = accounting.session("gateway")
    assert accounting.fetch(session, region=region)
    cloud.refused.update(cloud.issued)
    assert accounting.fetch(session, region=region)
    assert len(cloud.issued) == 2
    assert cloud.shown == [cloud.issued[0], cloud.issued[0], cloud.issued[1]]


def test_a_service_that_refuses_every_token(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(status=401)]
    assert "the accounting service at" in failure()
    assert len(cloud.shown) == 2


def test_http_403(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(status=403)]
    assert "member of the project" in failure()
    assert len(cloud.shown) == 1


def test_http_404(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(status=404)]
    assert "check that the address is right" in failure()
    assert len(cloud.shown) == 1


@pytest.mark.parametrize("status", [204, 400, 418])
def test_a_status_that_was_not_expected(cloud: FakeCloud, status: int) -> None:
    cloud.accounting = [Answer(status=status, body=b"")]
    assert f"HTTP status {status}" in failure()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failure_that_passes_is_waited_for(cloud: FakeCloud, status: int) -> None:
    cloud.accounting = [Answer(status=status), Answer(status=status), *cloud.accounting]
    assert len(fetch()) == 1
    assert len(cloud.shown) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_that_does_not_pass_is_told_after_three_attempts(cloud: FakeCloud, status: int) -> None:
    cloud.accounting = [Answer(status=status)]
    assert f"HTTP status {status}; try again later" in failure()
    assert len(cloud.shown) == 3


def test_keystone_s_own_failure_is_waited_for_too(cloud: FakeCloud) -> None:
    cloud.keystone = [503]
    assert len(fetch()) == 1


def test_a_keystone_that_does_not_listen(cloud: FakeCloud) -> None:
    cloud_session, region = accounting.session("gateway")
    cloud_session.auth.auth_url = "http://127.0.0.1:1/v3"  # type: ignore[union-attr]
    with pytest.raises(AllocationError, match=r"Keystone at http://127\.0\.0\.1:1 does not answer"):
        accounting.fetch(cloud_session, region=region)


def test_an_accounting_service_that_does_not_listen(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "addresses", lambda: {"accounting": "http://127.0.0.1:1"})
    assert "accounting service at http://127.0.0.1:1 does not answer" in failure()


def test_a_catalog_without_the_service(cloud: FakeCloud) -> None:
    cloud.types = ["identity"]
    assert "no service of the type accounting in the region RegionOne" in failure()
    assert cloud.shown == []


def test_another_region_has_no_service(cloud: FakeCloud) -> None:
    session, _ = accounting.session("gateway")
    with pytest.raises(AllocationError, match="region Elsewhere"):
        accounting.fetch(session, region="Elsewhere")


@pytest.mark.parametrize(
    ("auth_url", "expected"),
    [
        ("https://js2.jetstream-cloud.org:5000/v3/", accounting.JETSTREAM2_ADDRESS),
        ("http://js2.jetstream-cloud.org:5000/v3/", None),
        ("https://js2.jetstream-cloud.org.example.net/v3", None),
        ("https://other.example.net/js2.jetstream-cloud.org", None),
        ("https://js2.jetstream-cloud.org@example.net/v3", None),
    ],
)
def test_only_jetstream2_s_own_keystone_falls_back_to_the_known_address(
    cloud: FakeCloud, auth_url: str, expected: str | None
) -> None:
    cloud.types = ["identity"]
    session, region = accounting.session("gateway")
    session.get_token()
    session.auth.auth_url = auth_url  # type: ignore[union-attr]
    if expected:
        assert accounting.endpoint(session, region=region) == expected
        return
    with pytest.raises(AllocationError, match="no service of the type accounting") as raised:
        accounting.endpoint(session, region=region)
    assert "js2.jetstream-cloud.org@" not in str(raised.value)


def test_html_instead_of_json(cloud: FakeCloud) -> None:
    page = f"<html>{fake_cloud.TOKEN_MARK}-0</html>".encode()
    cloud.accounting = [Answer(body=page, headers=(("Content-Type", "text/html"),))]
    assert "sends a web page (HTML)" in failure()
    assert len(cloud.shown) == 1


def test_a_wrong_type(cloud: FakeCloud) -> None:
    cloud.says(record(service_units_used="1,234"))
    assert 'service_units_used is "1,234"' in failure()


def test_the_token_is_not_sent_on_to_another_host(cloud: FakeCloud) -> None:
    with fake_cloud.running() as stranger:
        target = f"{stranger.url}/?token={fake_cloud.TOKEN_MARK}-0"
        cloud.accounting = [Answer(status=307, headers=(("Location", target),))]
        assert f"sends on to {stranger.url}" in failure()
        assert stranger.asked == stranger.shown == []


def test_a_redirect_to_nowhere(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(status=302)]
    assert "sends on to" in failure()


def test_a_slow_service_ends_in_time(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(delay_s=3)]
    began = time.monotonic()
    assert "takes too long" in failure(timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_a_service_that_trickles_ends_in_time(cloud: FakeCloud) -> None:
    """Each byte comes in time, so that a timeout between two of them never strikes."""
    cloud.accounting = [Answer(body=b" " * 1000, trickle_s=0.05)]
    began = time.monotonic()
    assert "takes too long" in failure(timeout_s=0.3)
    assert time.monotonic() - began < 2


def test_a_connection_that_breaks_is_tried_again(cloud: FakeCloud) -> None:
    full = cloud.accounting[0].body
    cloud.accounting = [
        Answer(body=full[:20], headers=(("Content-Length", "9999"), ("Connection", "close"))),
        *cloud.accounting,
    ]
    assert len(fetch()) == 1


def test_an_endless_answer_is_cut_off(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(body=b" " * (accounting.MOST_BYTES + 1))]
    assert "more than 5,000,000 bytes" in failure()


def test_nothing_secret_is_logged(cloud: FakeCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cloud.accounting = [Answer(status=500), Answer(status=401), *cloud.accounting]
    assert fetch()
    assert "POST /v3/auth/tokens" in caplog.text
    for secret in (fake_cloud.TOKEN_MARK, fake_cloud.PASSWORD):
        assert secret not in caplog.text


def allocation(
    start: str, end: str, *, active: bool = True, resource: str = CPU, used: float = 1
) -> Allocation:
    return Allocation(
        resource=resource,
        used=used,
        allocated=10,
        start=date.fromisoformat(start),
        end=date.fromisoformat(end),
        active=active,
        description="",
    )


PAST = allocation("2025-01-01", "2025-12-31", active=False)
NOW = allocation("2026-01-01", "2026-12-31")
RENEWED = allocation("2026-06-01", "2027-05-31")
FUTURE = allocation("2027-01-01", "2027-12-31")


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [
        ([PAST, NOW, FUTURE], NOW),
        ([FUTURE, NOW, PAST], NOW),
        ([NOW, RENEWED], NOW),
        ([RENEWED, NOW], RENEWED),
        ([PAST, FUTURE], FUTURE),
        ([FUTURE, PAST], FUTURE),
        ([PAST], PAST),
        ([allocation("2026-01-01", "2026-12-31", active=False), PAST], None),
        ([allocation("2025-01-01", "2027-12-31", active=False), NOW], NOW),
    ],
)
def test_of_several_records_the_active_one_in_force_counts_else_the_last_to_end(
    listed: list[Allocation], chosen: Allocation | None
) -> None:
    assert accounting.current(listed, at("2026-07-01")) == {CPU: chosen or listed[0]}


def test_of_records_that_end_together_the_last_listed_counts() -> None:
    first, second = (allocation("2025-01-01", "2025-12-31", used=used) for used in (1, 2))
    assert accounting.current([first, second], at("2026-07-01"))[CPU] is second


def test_each_resource_has_its_own() -> None:
    gpu = allocation("2024-01-01", "2024-12-31", resource=GPU)
    assert accounting.current([gpu, PAST, NOW], at("2026-07-01")) == {GPU: gpu, CPU: NOW}
    assert accounting.current([], at("2026-07-01")) == {}


def test_an_allocation_lasts_through_its_last_day() -> None:
    """The old script let it end as that day began."""
    both = [NOW, allocation("2027-01-01", "2027-12-31")]
    assert accounting.current(both, at("2026-12-31T23:59:59"))[CPU] is NOW
    assert accounting.current(both, at("2027-01-01T00:00:00"))[CPU] is both[1]
    assert accounting.current([RENEWED, NOW], at("2026-05-31T23:59:59"))[CPU] is NOW


@pytest.fixture
def zone() -> Iterator[Callable[[str], None]]:
    before = os.environ.get("TZ")

    def switch(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield switch
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("name", ["UTC", "Pacific/Auckland", "America/Denver"])
def test_a_clock_in_another_zone_changes_nothing(
    cloud: FakeCloud, zone: Callable[[str], None], name: str
) -> None:
    zone(name)
    cloud.says(
        record(start_date="2026-01-01", end_date="2026-06-30T22:30:00-04:00"),
        record(start_date="2026-07-01", end_date="2026-12-31", service_units_used=7),
    )
    found = fetch()
    assert found[0].end == date(2026, 7, 1)
    assert accounting.current(found, at("2026-07-01T23:59:59"))[CPU].used == 1234.5
    assert accounting.current(found, at("2026-07-02T00:00:00"))[CPU].used == 7
    assert accounting.current(found[1:], at("2026-06-30T23:59:59"))[CPU].used == 7


def test_unknown_resources_are_named_and_kept(cloud: FakeCloud) -> None:
    cloud.says(record(resource="jetstream3-qpu.indiana.xsede.org"), record())
    found = fetch()
    assert accounting.unfamiliar(found) == ["jetstream3-qpu.indiana.xsede.org"]
    assert set(accounting.current(found, at("2026-07-01"))) == {CPU, "jetstream3-qpu.indiana.xsede.org"}


DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(st.lists(st.tuples(DAYS, DAYS, st.booleans()), min_size=1, max_size=6), DAYS)
def test_an_active_record_in_force_is_never_passed_over(
    spans: list[tuple[date, date, bool]], today: date
) -> None:
    listed = [
        allocation(min(a, b).isoformat(), max(a, b).isoformat(), active=active, used=float(place))
        for place, (a, b, active) in enumerate(spans)
    ]
    chosen = accounting.current(listed, at(f"{today}T12:00:00"))[CPU]
    in_force = [each for each in listed if each.active and each.start <= today <= each.end]
    if in_force:
        assert chosen is in_force[0]
    else:
        assert chosen.end == max(each.end for each in listed)


def test_an_answer_without_allocations_is_an_empty_list(cloud: FakeCloud) -> None:
    cloud.accounting = [Answer(body=json.dumps([]).encode())]
    assert fetch() == []


def test_keystoneauth_prints_nothing_beside_the_message(cloud: FakeCloud) -> None:
    """It warns on the standard error where a program has set up no log, and cron mails that."""
    cloud.accounting = [Answer(status=403)]
    program = (
        "from allocation import accounting\n"
        "session, region = accounting.session('gateway')\n"
        "session.auth.auth_url += '/elsewhere/v3'\n"
        "try:\n"
        "    accounting.fetch(session, region=region)\n"
        "except accounting.AllocationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "has no such page (HTTP status 404)" in done.stdout
    assert done.stderr == ""
