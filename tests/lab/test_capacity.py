"""What users read when there is no room: the real hub and KubeSpawner, a real API server, pages over HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from allocation.ladder import Rung
from lab.ports import HOST
from stacks.rungs import braked
from stacks.settings_parsing import parse
from tests.lab import running_hub, scaled_cluster
from tests.lab.browser import Browser
from tests.lab.cluster_under_test import wait_for
from tests.lab.running_hub import RunningHub
from tests.lab.scaled_cluster import NAMESPACE, NodeGroup, ScaledCluster
from tests.unit.settings_files import PROGRAM, configuration
from tests.unit.test_hub_values import values_of

HUB_HOST = "gateway.example.org"
LOW, HIGH = "low-power", "high-power"
PASSWORD = "a-secret"
"""What stands in these values for a secret of Pulumi's."""


class _Notebook(BaseHTTPRequestHandler):
    """Answers in the place of a notebook server: in the cluster's pods nothing runs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def notebook() -> Iterator[int]:
    """The port at which a notebook server answers."""
    with ThreadingHTTPServer((HOST, 0), _Notebook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def values(low: int, high: int, rung: Rung = Rung.NORMAL) -> dict[str, Any]:
    """The values of the rehearsal's settings on a rung, but for the most nodes of its two pools."""
    config, secret = configuration(PROGRAM / "Pulumi.dev.yaml")
    pools = json.loads(config["gateway:pools"])
    pools["low"]["max"], pools["high"]["max"] = low, high
    storage = json.loads(config["gateway:storage"]) | {"homes": "volume", "shared_drive": None}
    config |= {"gateway:pools": json.dumps(pools), "gateway:storage": json.dumps(storage)}
    return values_of(braked(parse(config, secret), rung))


def groups(*, low: int, node_delay_s: float = 0.5) -> list[NodeGroup]:
    """Node groups that the cloud gives, of two users and of one on a node."""
    return [
        NodeGroup(
            name="low", maximum=low, allocatable={"cpu": "4", "memory": "14492Mi"}, node_delay_s=node_delay_s
        ),
        NodeGroup(name="high", maximum=1, allocatable={"cpu": "8", "memory": "29084Mi"}),
    ]


class Gateway:
    """A hub and its cluster."""

    def __init__(self, hub: RunningHub, cluster: ScaledCluster) -> None:
        self.hub = hub
        self.cluster = cluster

    def user(self, name: str) -> Browser:
        """A browser whose user has signed in."""
        browser = Browser(self.hub.url, HUB_HOST)
        browser.submit(browser.get("/hub/login?next=%2Fhub%2Fhome"), {"username": name, "password": PASSWORD})
        return browser

    def ready(self, name: str) -> bool:
        """Does a user's server run?"""
        found = self.hub.api("GET", f"/users/{name}").json()
        return bool(found["servers"].get("", {}).get("ready"))

    def start(self, name: str, profile: str) -> tuple[Browser, requests.Response]:
        """A user picks a profile; the browser and the page that it comes to."""
        browser = self.user(name)
        return browser, browser.submit(browser.get("/hub/spawn"), {"profile": profile})

    def stop(self, name: str) -> None:
        """A user stops the server, or the wait for it."""
        assert self.hub.api("DELETE", f"/users/{name}/server").status_code in (202, 204)
        wait_for(f"{name}'s pod is gone", lambda: name not in self.cluster.pods())
        wait_for(
            f"the hub knows that {name} has stopped",
            lambda: not self.hub.api("GET", f"/users/{name}").json()["servers"],
        )


@contextlib.contextmanager
def gateway(
    folder: Path,
    notebook: int,
    *,
    promised: int,
    node_groups: list[NodeGroup],
    more: str = "",
    rung: Rung = Rung.NORMAL,
) -> Iterator[Gateway]:
    """A hub in front of a cluster, with two servers of low power on its only node for that.

    Args:
        folder: an empty folder.
        notebook: the port at which all notebook servers answer.
        promised: most nodes of low power in the settings.
        node_groups: what there is really.
        more: lines of configuration.
        rung: of the budget ladder.
    """
    here = folder / "hub"
    here.mkdir()
    with scaled_cluster.running(folder / "state", node_groups) as scaled:
        (here / "kubeconfig").write_text(scaled.kubeconfig)
        lines = f"""
c.KubeSpawner.namespace = {NAMESPACE!r}
# The pods of this cluster answer nothing; a server on loopback does in their place.
c.KubeSpawner.pod_connect_ip = {HOST!r}
c.KubeSpawner.port = {notebook}
{more}
"""
        variables = {"KUBECONFIG": str(here / "kubeconfig")}
        chart_values = values(low=promised, high=1, rung=rung)
        with running_hub.running(here, chart_values, more=lines, environment=variables) as hub:
            made = Gateway(hub, scaled)
            for name in ("ann", "bob"):
                made.start(name, LOW)
            wait_for("both run", lambda: made.ready("ann") and made.ready("bob"))
            yield made


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, notebook: int) -> Iterator[Gateway]:
    """A gateway with two places of low power and one of high power, all taken."""
    with gateway(tmp_path_factory.mktemp("full"), notebook, promised=1, node_groups=groups(low=1)) as made:
        made.start("eve", HIGH)
        wait_for("all places are taken", lambda: made.ready("eve"))
        yield made


def test_servers_run_where_their_profiles_say(full: Gateway) -> None:
    pods = full.cluster.pods()
    where = {name: full.cluster.node_group(pods[name]) for name in ("ann", "bob", "eve")}
    assert where == {"ann": "low", "bob": "low", "eve": "high"}


def test_the_choices_say_what_is_full_and_what_has_room(full: Gateway) -> None:
    full.stop("eve")
    page = full.user("dan").get("/hub/spawn")
    assert page.status_code == 200
    assert "Capacity is full for Low power: all nodes that may be used are taken." in page.text
    assert "High power has room for 1 more." in page.text
    assert "servers that nobody has used for 60 minutes are stopped by themselves" in page.text
    full.start("eve", HIGH)
    wait_for("eve is back", lambda: full.ready("eve"))


def test_a_full_profile_is_refused_in_words_beside_the_choices(full: Gateway) -> None:
    _, page = full.start("dan", LOW)
    assert page.status_code == 429
    assert "Error: Capacity is full for Low power: all nodes that it may use are taken." in page.text
    assert "No other profile has room either. Nothing was started." in page.text
    assert 'name="profile"' in page.text, "the choices are not there to choose again"
    assert "dan" not in full.cluster.pods()


def test_a_link_to_a_full_profile_is_refused_in_the_same_words(full: Gateway) -> None:
    page = full.user("dan").get(f"/hub/spawn?profile={LOW}")
    assert page.status_code == 429
    assert "Error: Capacity is full for Low power" in page.text


def test_a_script_is_refused_too(full: Gateway) -> None:
    full.user("dan")
    answer = full.hub.api("POST", "/users/dan/server", {"profile": LOW})
    # The chart has the hub wait no time for a start: it answers before this one has failed, or after.
    assert answer.status_code in (202, 429)
    wait_for("the start is over", lambda: full.hub.api("GET", "/users/dan").json()["pending"] is None)
    assert full.hub.api("GET", "/users/dan").json()["server"] is None
    assert "dan" not in full.cluster.pods()


def test_of_two_who_race_for_the_last_place_one_gets_it(full: Gateway) -> None:
    full.stop("bob")
    browsers = {name: full.user(name) for name in ("kim", "lee")}
    pages = {name: browser.get("/hub/spawn") for name, browser in browsers.items()}
    threads = [
        threading.Thread(target=browser.submit, args=(pages[name], {"profile": LOW}))
        for name, browser in browsers.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for("one of them has a server", lambda: full.ready("kim") or full.ready("lee"))
    (winner,) = {"kim", "lee"} & set(full.cluster.pods())
    full.stop(winner)
    full.start("bob", LOW)
    wait_for("bob is back", lambda: full.ready("bob"))


def test_a_pool_that_cannot_grow_is_told_while_waiting_and_at_the_end(tmp_path: Path, notebook: int) -> None:
    """The settings promise four nodes, the cloud gives one: only the autoscaler can tell."""
    impatient = "c.GatewaySpawner.patience_s = 4"
    with gateway(tmp_path, notebook, promised=4, node_groups=groups(low=1), more=impatient) as made:
        browser, page = made.start("dan", LOW)
        assert "Your server is starting up" in page.text
        told = messages(browser, page)
        full = next(text for text in told if "max node group size reached" in text)
        assert "Capacity is full for Low power: no more nodes can be added." in full
        assert "High power has room for 1 more." in full
        assert "Your place in line is kept for a minute" in full
        assert "Capacity is full for Low power: no more nodes can be added, and nobody stopped" in told[-1]
        wait_for("dan's pod is gone", lambda: "dan" not in made.cluster.pods())
        after = browser.get("/hub/spawn-pending/dan").text
        assert "Capacity is full for Low power" in after
        assert "High power has room for 1 more." in after
        assert "your files are safe" in after
        # As the words promise, who still waits can have another profile at once.
        made.start("eve", LOW)
        assert "Stop My Server" in made.user("eve").get("/hub/home").text
        made.stop("eve")
        made.start("eve", HIGH)
        wait_for("eve has another profile", lambda: made.ready("eve"))


def test_who_waits_gets_the_place_that_becomes_free(tmp_path: Path, notebook: int) -> None:
    """And as many servers run as all pools may hold, though both have room: the page knows that limit too."""
    limit = "c.JupyterHub.active_server_limit = 3"
    with gateway(tmp_path, notebook, promised=4, node_groups=groups(low=1), more=limit) as made:
        made.start("dan", LOW)
        wait_for("dan waits", lambda: "dan" in made.cluster.pods())
        crowd = "Capacity is full: 3 servers may run at once, and 3 do."
        page = made.user("eve").get("/hub/spawn")
        assert crowd in page.text
        assert "has room" not in page.text
        _, refused = made.start("eve", HIGH)
        assert refused.status_code == 429
        assert f"Error: {crowd} Nothing was started." in refused.text
        made.stop("ann")
        wait_for("dan has ann's place", lambda: made.ready("dan"))


def test_slow_nodes_fail_starts_in_words_and_leave_the_hub_alone(tmp_path: Path, notebook: int) -> None:
    users = [f"user{number}" for number in range(6)]
    slow, hasty = groups(low=4, node_delay_s=14), "c.KubeSpawner.start_timeout = 8"
    with gateway(tmp_path, notebook, promised=4, node_groups=slow, more=hasty) as made:
        started = {name: made.start(name, LOW) for name in users}
        told = messages(*started[users[0]])
        assert any("One more node is being started for you, which takes about 5 minutes." in t for t in told)
        assert "Spawn failed: " in told[-1]
        assert "The new node for Low power was not ready within a minute." in told[-1]
        wait_for("all six have failed", lambda: not set(users) & set(made.cluster.pods()), 30)
        # By the chart's default the hub would end two seconds after the fifth failure in a row.
        time.sleep(3)
        assert made.hub.log.count("Error starting user") == len(users)
        assert made.hub.is_alive
        assert made.ready("ann")
        wait_for("the nodes are there", lambda: len(made.cluster.nodes("low")) == 4, 30)
        made.start(users[0], LOW)
        wait_for("the next try succeeds", lambda: made.ready(users[0]))


def test_a_closed_profile_is_refused_with_the_reason_and_the_others_go_on(
    tmp_path: Path, notebook: int
) -> None:
    """The budget ladder has closed the costliest pool: its nodes are free, and nobody may have them."""
    sentence = "High power cannot be started for now. Your files are safe."
    with gateway(tmp_path, notebook, promised=4, node_groups=groups(low=2), rung=Rung.HIGH_CLOSED) as made:
        page = made.user("dan").get("/hub/spawn")
        assert page.status_code == 200
        assert sentence in page.text
        assert "Capacity is full" not in page.text
        assert "8 SU/h" in page.text, "the price is shown on every rung"
        _, refused = made.start("dan", HIGH)
        assert refused.status_code == 429
        assert "Error: High power is closed." in refused.text
        assert "Low power has room for 2 more." in refused.text
        # The hub answers a script before the start has ended, unless that fails at once.
        assert made.hub.api("POST", "/users/dan/server", {"profile": HIGH}).status_code in (202, 429)
        wait_for("the script's start ends", lambda: not made.hub.api("GET", "/users/dan").json()["servers"])
        assert "dan" not in made.cluster.pods()
        made.start("dan", LOW)
        wait_for("dan has another profile", lambda: made.ready("dan"))


def messages(browser: Browser, page: requests.Response) -> list[str]:
    """The messages that a page of progress gets, until its stream ends."""
    lines = browser.events(page).iter_lines(decode_unicode=True)
    return [json.loads(line.removeprefix("data: "))["message"] for line in lines if line.startswith("data: ")]
