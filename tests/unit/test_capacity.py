"""Counting places, and the words for those who find none. (The hub that says them is in tests/lab.)"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.app import JupyterHub  # type: ignore[import-untyped]

from components.hub_values.capacity import SPAWNER, Room, capacity_values, server_limit
from components.hub_values.inside_hub import spawner

LOW = Room(profile="low", title="Low power", pool="small", per_node=2, max_nodes=4, closed=False)
HIGH = Room(profile="high", title="High power", pool="large", per_node=1, max_nodes=2, closed=False)
HALF = Room(profile="half", title="Half a node", pool="large", per_node=2, max_nodes=2, closed=False)
CLOSED = dataclasses.replace(HIGH, closed=True)
SAVING = "To save this gateway's computing time, High power cannot be started for now."


def plain(*rooms: Room) -> list[dict[str, Any]]:
    """As the hub gets them."""
    return [dataclasses.asdict(room) for room in rooms]


def event(reason: str, message: str = "") -> dict[str, str]:
    return {"reason": reason, "message": message}


def test_the_limit_is_what_all_pools_hold_at_their_greatest() -> None:
    assert server_limit([LOW, HIGH]) == 10
    assert server_limit([LOW, HIGH, HALF]) == 12


def test_the_values_carry_the_code_and_what_it_has_to_know() -> None:
    hub = capacity_values([LOW, HIGH], default_profile="low", idle_minutes=60, announcement=SAVING)["hub"]
    assert hub["activeServerLimit"] == 10
    assert hub["extraConfig"] == {"spawner": SPAWNER.read_text()}
    assert set(hub["config"]) == {"GatewaySpawner", "JupyterHub"}
    for name in hub["config"]["GatewaySpawner"]:
        assert name in spawner.GatewaySpawner.class_trait_names(config=True)


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ({}, {"low": 8, "high": 2, "half": 4}),
        ({"low": 7}, {"low": 1, "high": 2, "half": 4}),
        ({"low": 8, "high": 2}, {"low": 0, "high": 0, "half": 0}),
        ({"half": 1}, {"low": 8, "high": 1, "half": 3}),
        ({"high": 1, "half": 1}, {"low": 8, "high": 0, "half": 1}),
        ({"low": 11, "gone": 3}, {"low": 0, "high": 2, "half": 4}),
    ],
)
def test_places_are_counted_by_pool(taken: dict[str, int], free: dict[str, int]) -> None:
    assert spawner.free_places(plain(LOW, HIGH, HALF), taken) == free


@given(
    st.lists(st.tuples(st.integers(1, 25), st.sampled_from("ab")), min_size=1, max_size=4),
    st.integers(1, 5),
    st.data(),
)
def test_who_fits_is_never_refused(shapes: list[tuple[int, str]], nodes: int, data: st.DataObject) -> None:
    """Servers are put on real nodes, in any order, until one does not fit: that one alone may be refused."""
    rooms = plain(
        *(
            Room(profile=str(i), title=str(i), pool=pool, per_node=per_node, max_nodes=nodes, closed=False)
            for i, (per_node, pool) in enumerate(shapes)
        )
    )
    filled = {pool: [0.0] * nodes for pool in "ab"}
    taken: dict[str, int] = {}
    for _ in range(data.draw(st.integers(0, 30))):
        room = data.draw(st.sampled_from(rooms))
        part = 1 / room["per_node"]
        node = next((n for n, used in enumerate(filled[room["pool"]]) if used + part < 1 + 1e-9), None)
        if node is None:
            continue
        assert spawner.free_places(rooms, taken)[room["profile"]] > 0
        filled[room["pool"]][node] += part
        taken[room["profile"]] = taken.get(room["profile"], 0) + 1


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], None),
        ([event("FailedScheduling", "0/3 nodes are available")], None),
        ([event("FailedScheduling"), event("TriggeredScaleUp")], spawner.GROWING),
        ([event("NotTriggerScaleUp", "1 max node group size reached")], spawner.FULL),
        ([event("NotTriggerScaleUp", "1 in backoff after failed scale-up")], spawner.BACKING_OFF),
        ([event("NotTriggerScaleUp"), event("TriggeredScaleUp"), event("FailedScheduling")], spawner.GROWING),
        ([event("NotTriggerScaleUp"), event("Scheduled")], spawner.PLACED),
        ([event("Scheduled"), event("Pulling")], spawner.PULLING),
        ([event("Pulling"), event("Pulled"), event("Created"), event("Started")], spawner.STARTING),
    ],
)
def test_the_last_telling_event_decides(events: Sequence[dict[str, str]], state: str | None) -> None:
    assert spawner.state_of(events) == state


def test_nothing_is_said_above_the_choices_while_all_have_room() -> None:
    assert spawner.notice(plain(LOW, HIGH), {"low": 1, "high": 2}, 60) == ""


def test_the_notice_names_what_is_full_what_has_room_and_what_happens_next() -> None:
    assert spawner.notice(plain(LOW, HIGH), {"low": 0, "high": 2}, 45) == (
        "Capacity is full for Low power: all nodes that may be used are taken. "
        "High power has room for 2 more. A place is free as soon as somebody stops a server; "
        "servers that nobody has used for 45 minutes are "
        "stopped by themselves. Try again then."
    )
    both = spawner.notice(plain(LOW, HIGH), {"low": 0, "high": 0}, 45)
    assert both.startswith("Capacity is full for Low power and High power: ")
    assert "No profile has room." in both


def test_servers_above_a_lowered_ceiling_take_the_places_of_all() -> None:
    """Low power went from four nodes to one while eight servers ran, and the pool of high power has room."""
    rooms = [dataclasses.replace(LOW, max_nodes=1), HIGH]
    limit, taken = server_limit(rooms), {"low": 8}
    assert limit == 4
    by_pool = spawner.free_places(plain(*rooms), taken)
    assert by_pool == {"low": 0, "high": 2}
    assert spawner.within_limit(by_pool, 8, limit) == {"low": 0, "high": 0}
    crowd = spawner.crowded(8, limit)
    said = spawner.notice(plain(*rooms), by_pool, 45, crowd)
    assert said == (
        "Capacity is full: 4 servers may run at once, and 8 do. A place is free as soon as fewer run; "
        "servers that nobody has used for 45 minutes are stopped by themselves. Try again then."
    )
    assert spawner.refusal_of_all(crowd, 45).startswith(f"{crowd} Nothing was started. A place is free")
    # Nobody is sent to a profile that JupyterHub would refuse.
    assert spawner.within_limit(by_pool, 3, limit) == {"low": 0, "high": 1}
    assert spawner.crowded(3, limit) == ""


@pytest.mark.parametrize(
    ("limit", "running", "profile", "said"),
    [
        (4, {"low": 8}, "high", "Capacity is full: 4 servers may run at once, and 8 do. Nothing was"),
        (4, {"low": 8}, "low", "Capacity is full for Low power: .* No other profile has room either"),
        (4, {"low": 3}, "low", "Capacity is full for Low power: .* High power has room for 1 more"),
        (4, {"low": 3}, "high", None),
        (0, {"low": 8}, "high", None),
        (4, {"low": 8}, "nobody knows", None),
    ],
)
def test_the_spawner_refuses_what_jupyterhub_would(
    monkeypatch: pytest.MonkeyPatch, limit: int, running: dict[str, int], profile: str, said: str | None
) -> None:
    # Unmade: a whole one looks for a cluster.
    made = spawner.GatewaySpawner.__new__(spawner.GatewaySpawner)
    made.rooms = plain(dataclasses.replace(LOW, max_nodes=1), HIGH)
    made.user = types.SimpleNamespace(settings={"active_server_limit": limit})
    taken = collections.Counter(running)
    monkeypatch.setattr(made, "_taken", lambda **_: taken)
    refused = contextlib.nullcontext() if said is None else pytest.raises(spawner.NoRoomError, match=said)
    with refused:
        made._refuse_if_full(profile, taken)


def test_where_the_pools_are_full_the_words_name_them_whatever_the_limit() -> None:
    full = {"low": 0, "high": 0}
    assert spawner.notice(plain(LOW, HIGH), full, 45, spawner.crowded(10, 10)).startswith(
        "Capacity is full for Low power and High power: "
    )


def test_without_a_limit_the_pools_decide() -> None:
    assert spawner.within_limit({"low": 3, "high": 0}, 8, 0) == {"low": 3, "high": 0}
    assert spawner.crowded(8, 0) == ""


def test_a_closed_profile_has_no_place_and_its_servers_still_count() -> None:
    assert spawner.free_places(plain(LOW, CLOSED, HALF), {}) == {"low": 8, "high": 0, "half": 4}
    assert spawner.free_places(plain(LOW, CLOSED, HALF), {"high": 1}) == {"low": 8, "high": 0, "half": 2}


def test_a_closed_profile_is_not_called_full() -> None:
    assert spawner.notice(plain(LOW, CLOSED), {"low": 3, "high": 0}, 60) == ""
    full = spawner.notice(plain(LOW, CLOSED), {"low": 0, "high": 0}, 60)
    assert full.startswith("Capacity is full for Low power: ")
    assert "High power" not in full


def test_who_asks_for_a_closed_profile_reads_why_and_what_is_open() -> None:
    assert spawner.closed("High power", SAVING, "Low power has room for 3 more.") == (
        f"High power is closed. {SAVING} Low power has room for 3 more."
    )
    assert spawner.closed("High power", "", "Low power has room for 3 more.") == (
        "High power is closed. Low power has room for 3 more."
    )


def test_the_announcement_reaches_the_hub_and_none_is_no_text() -> None:
    for given_text, told in ((SAVING, SAVING), (None, "")):
        values = capacity_values([LOW], default_profile="low", idle_minutes=60, announcement=given_text)
        assert values["hub"]["config"]["GatewaySpawner"]["announcement"] == told


def hub_config(announcement: str | None) -> dict[str, Any]:
    values = capacity_values([LOW], default_profile="low", idle_minutes=60, announcement=announcement)
    config: dict[str, Any] = values["hub"]["config"]
    return config


class Anything(jinja2.ChainableUndefined):
    """Stands for all that a page shows besides."""

    def __call__(self, *_: object, **__: object) -> Anything:  # type: ignore[override]
        return self


@pytest.mark.parametrize(
    ("page", "shown"),
    [("home.html", True), ("login.html", True), ("spawn_pending.html", True), ("spawn.html", False)],
)
def test_the_hubs_own_pages_show_the_announcement_but_where_the_choices_have_it(
    page: str, shown: bool
) -> None:
    [(name, variables)] = hub_config("Labs & <b>desktops</b> are closed.")["JupyterHub"].items()
    assert name in JupyterHub.class_trait_names(config=True)
    templates = jinja2.FileSystemLoader(Path(sys.prefix) / "share" / "jupyterhub" / "templates")
    environment = jinja2.Environment(autoescape=True, loader=templates, undefined=Anything)
    told = environment.get_template(page).render(**variables)
    assert ("Labs &amp; &lt;b&gt;desktops&lt;/b&gt; are closed." in told) is shown
    assert "<b>desktops" not in told


def test_without_an_announcement_the_hubs_pages_have_none() -> None:
    assert "JupyterHub" not in hub_config(None)


@pytest.mark.parametrize("state", [None, *spawner.STATE_OF_REASON.values(), spawner.BACKING_OFF])
def test_every_state_has_words_without_the_machines_own(state: str | None) -> None:
    said = [
        spawner.waiting(state, "Low power", "High power has room for 1 more.", 120),
        spawner.gave_up(state, "Low power", "High power has room for 1 more.", 590, 60),
    ]
    for text in said:
        assert text.endswith(".")
        for word in ("pod", "scale", "schedul", "insufficient", "preempt"):
            assert word not in text.lower()
    if state in spawner.CANNOT_GROW:
        assert all(
            "Capacity is full for Low power" in text and "High power has room" in text for text in said
        )
    else:
        assert not any("full" in text for text in said)


def test_who_gave_up_reads_what_was_missing() -> None:
    states = (None, *dict.fromkeys(spawner.STATE_OF_REASON.values()))
    said = {state: spawner.gave_up(state, "Low power", "", 1198, 60) for state in states}
    assert len(set(said.values())) == len(said)
    assert "did not have all of the software within 20 minutes. Start again" in said[spawner.PULLING]
    assert "files could not be brought to your node within 20 minutes" in said[spawner.PLACED]
    assert "did not answer within 20 minutes" in said[spawner.STARTING]
    assert "No room was found for your server within 20 minutes" in said[None]
    assert all("files are safe" in text or "Start again" in text for text in said.values())


@pytest.mark.parametrize("error", [spawner.NoRoomError, spawner.NotStartedError])
def test_a_message_with_a_percent_sign_is_shown_as_it_is(error: type[Any]) -> None:
    made = error("Half of it is 50% off.")
    assert made.jupyterhub_message == "Half of it is 50% off."
    assert "50% off" in str(made)
