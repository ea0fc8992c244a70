"""Users of a gateway in the lab, as the hub lets them: their servers are pods, for which the lab's autoscaler
makes nodes, which Nova counts and the accounting charges.

No hub runs in the lab's pods. What it would do, and no more, is done here by the values that are deployed
for it: servers of closed profiles do not start, none starts without room, the idle and the old are culled.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from allocation.rates import su_per_hour
from allocation.times import HOUR
from lab.accounting import books, meter
from lab.accounting.openstack import Cloud
from lab.accounting.rates import CPU
from tests.lab.test_gateway import user_pod

PATIENCE_S = 300
"""How long the lab may take until all that was asked for stands."""

WHOLE_NODE = {"low": "3", "high": "6"}
"""CPUs that fill a node, so that a server is a node."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A user's server: its pool, since when by the lab's clock, and whether anybody uses it."""

    pool: str
    since: float
    idle: bool


def now() -> float:
    """What the lab's clock shows, seconds since the epoch."""
    return books.load().clock.at(time.time())


def used() -> float:
    """SU used of the allocation."""
    return books.load().used(CPU, now())


class Users:
    """All users of one gateway, and the culler.

    Attributes:
        wanted: how many servers they want of each pool.
        forgotten: how many more run in ``low`` that nobody uses, as long as the culler lets them.
        servers: those that run, by the names of their pods.
    """

    def __init__(self, kubectl: Callable[..., str], flavors: Mapping[str, str], beside: float) -> None:
        """Nobody is there yet.

        Args:
            kubectl: runs kubectl in the gateway's cluster.
            flavors: of each pool.
            beside: SU/h of all that is not of the pools.
        """
        self.wanted = dict.fromkeys(flavors, 0)
        self.forgotten = 0
        self.servers: dict[str, Server] = {}
        self._kubectl = kubectl
        self._flavors = flavors
        self._beside = beside
        self._number = 0

    def deployed(self) -> dict[str, Any]:
        """The values that the hub was given."""
        secret = json.loads(self._kubectl("get", "secret", "hub", "--namespace", "jhub", "--output", "json"))
        values: dict[str, Any] = yaml.safe_load(base64.b64decode(secret["data"]["values.yaml"]))
        return values

    def act(self) -> None:
        """The culler looks, then users start what they want and may; returns when all of it stands."""
        values, moment = self.deployed(), now()
        culler = values["cull"]
        rooms = {room["pool"]: room for room in values["hub"]["config"]["GatewaySpawner"]["rooms"]}
        self._stop(
            name
            for name, server in self.servers.items()
            if moment - server.since >= culler["maxAge"] - 60 or (server.idle and culler["timeout"] < HOUR)
        )
        self._stop(
            name
            for pool, wanted in self.wanted.items()
            for name in [n for n, one in self.servers.items() if one.pool == pool and not one.idle][wanted:]
        )
        for pool, wanted in self.wanted.items():
            idle = self.forgotten if pool == "low" and culler["timeout"] >= HOUR else 0
            places = 0 if rooms[pool]["closed"] else rooms[pool]["max_nodes"]
            have = Counter(server.idle for server in self.servers.values() if server.pool == pool)
            for is_idle, most in ((False, wanted), (True, idle)):
                for _ in range(max(0, min(most - have[is_idle], places - have.total()))):
                    self._start(pool, moment, idle=is_idle)
                    have[is_idle] += 1
        self.settle()

    def settle(self) -> None:
        """Waits until every server runs and nothing else does.

        Raises:
            AssertionError: with what was last seen.
        """
        nodes = Counter(server.pool for server in self.servers.values())
        burn = self._beside + sum(
            max(1, nodes[pool]) * su_per_hour(flavor) for pool, flavor in self._flavors.items()
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            pods, burning = self.pods(), meter.look(Cloud()).burn(CPU)
            if pods == dict.fromkeys(self.servers, "Running") and burning == burn:
                return
            assert time.monotonic() < deadline, f"{burning} SU/h burn where {burn} should; pods: {pods}"
            time.sleep(1)

    def pods(self) -> dict[str, str]:
        """The phases of users' pods by name; of one that was told to go, that."""
        told = self._kubectl("get", "pods", "--namespace", "default", "--output", "json")
        return {
            pod["metadata"]["name"]: "Leaving"
            if "deletionTimestamp" in pod["metadata"]
            else pod["status"]["phase"]
            for pod in json.loads(told)["items"]
        }

    def _start(self, pool: str, moment: float, *, idle: bool) -> None:
        self._number += 1
        name = f"user{self._number}"
        self._kubectl("apply", "--filename", "-", given=user_pod(name, pool, WHOLE_NODE[pool]))
        self.servers[name] = Server(pool=pool, since=moment, idle=idle)

    def _stop(self, names: Any) -> None:
        going = list(names)
        if going:
            self._kubectl("delete", "pod", *going, "--namespace", "default", "--now")
        for name in going:
            del self.servers[name]
