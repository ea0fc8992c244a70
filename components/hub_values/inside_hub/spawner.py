"""Runs inside the hub: a KubeSpawner that tells users in plain words when there is no room for them.

The chart runs this text as part of the hub's configuration (``hub.extraConfig``), where ``c`` is that
configuration; no module of the program imports it. What it has to know comes as traits, by ``hub.config``.

Whether a profile has room is counted from the hub's own records: its service account may not look at nodes.
What the autoscaler says of a waiting pod comes as Kubernetes events, which KubeSpawner watches anyway.
"""

from __future__ import annotations

import asyncio
import collections
import fractions
import html
import inspect
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from jupyterhub import orm  # type: ignore[import-untyped]
from kubespawner import KubeSpawner  # type: ignore[import-untyped]
from sqlalchemy.orm import object_session
from tornado import web
from traitlets import Float, Integer, List, Unicode

GROWING = "growing"
FULL = "full"
BACKING_OFF = "backing off"
PLACED = "placed"
PULLING = "pulling"
STARTING = "starting"

STATE_OF_REASON = {
    "TriggeredScaleUp": GROWING,
    "NotTriggerScaleUp": FULL,
    "Scheduled": PLACED,
    "Pulling": PULLING,
    "Pulled": STARTING,
    "Created": STARTING,
    "Started": STARTING,
}
"""What an event's reason tells of the wait; the first two are the cluster autoscaler's."""

CANNOT_GROW = (FULL, BACKING_OFF)
NODE_MINUTES = 5
"""About how long Jetstream2 takes for one more node."""


def state_of(events: Sequence[Mapping[str, Any]]) -> str | None:
    """Where a waiting pod stands: the last event that tells anything decides; None if none does."""
    state: str | None = None
    for event in events:
        state = STATE_OF_REASON.get(event["reason"], state)
        if event["reason"] == "NotTriggerScaleUp" and "backoff" in (event["message"] or ""):
            state = BACKING_OFF
    return state


def free_places(rooms: Sequence[Mapping[str, Any]], taken: Mapping[str, int]) -> dict[str, int]:
    """How many more servers of each profile fit, at most.

    Exact where a pool has one profile; where it has several, never too small, so that no refusal is wrong.

    Args:
        rooms: of each profile its ``profile``, ``pool``, ``per_node`` (servers on a node), ``max_nodes``, and
            whether it is ``closed``.
        taken: how many servers each profile has now.
    """
    used: dict[str, fractions.Fraction] = collections.defaultdict(fractions.Fraction)
    for room in rooms:
        used[room["pool"]] += fractions.Fraction(taken.get(room["profile"], 0), room["per_node"])
    return {
        room["profile"]: 0
        if room.get("closed")
        else max(0, math.floor((room["max_nodes"] - used[room["pool"]]) * room["per_node"]))
        for room in rooms
    }


def within_limit(free: Mapping[str, int], running: int, limit: int) -> dict[str, int]:
    """The same places, but none beyond what JupyterHub lets run at once.

    After a ceiling was lowered, servers above it go on and count: a pool may have room, and its users none.

    Args:
        free: places by profile, as the pools have them.
        running: all other servers.
        limit: ``activeServerLimit``; 0 for none.
    """
    left = max(0, limit - running) if limit else max(free.values(), default=0)
    return {profile: min(places, left) for profile, places in free.items()}


def crowded(running: int, limit: int) -> str:
    """That no more servers may run, wherever there is room; empty while they may."""
    if not limit or running < limit:
        return ""
    return f"Capacity is full: {limit} servers may run at once, and {running} do."


def where_is_room(rooms: Sequence[Mapping[str, Any]], free: Mapping[str, int], but: str | None = None) -> str:
    """A sentence that names the profiles with room, leaving one out."""
    open_ones = [room for room in rooms if free[room["profile"]] and room["profile"] != but]
    if not open_ones:
        return "No other profile has room either." if but else "No profile has room."
    return " ".join(f"{room['title']} has room for {free[room['profile']]} more." for room in open_ones)


def notice(
    rooms: Sequence[Mapping[str, Any]], free: Mapping[str, int], idle_minutes: int, crowd: str = ""
) -> str:
    """What stands above the choices when a profile is full, or all are; empty if none is.

    Args:
        rooms: the profiles.
        free: places by profile, as the pools have them.
        idle_minutes: after how long an unused server is stopped.
        crowd: what `crowded` says.
    """
    if crowd and any(free.values()):
        return f"{crowd} {_fewer(idle_minutes)}"
    full = [room["title"] for room in rooms if not free[room["profile"]] and not room.get("closed")]
    if not full:
        return ""
    names = " and ".join(full)
    return (
        f"Capacity is full for {names}: all nodes that may be used are taken. {where_is_room(rooms, free)} "
        + _freed(idle_minutes)
    )


def refusal(title: str, room: str, idle_minutes: int) -> str:
    """What a user reads who asks for a full profile; ``room`` is of other profiles, here and below."""
    return (
        f"Capacity is full for {title}: all nodes that it may use are taken. "
        f"{room} Nothing was started. {_freed(idle_minutes)}"
    )


def refusal_of_all(crowd: str, idle_minutes: int) -> str:
    """What a user reads whose profile has room while no more servers may run; ``crowd`` is of `crowded`."""
    return f"{crowd} Nothing was started. {_fewer(idle_minutes)}"


def closed(title: str, announcement: str, room: str) -> str:
    """What a user reads who asks for a profile that nobody may start."""
    return " ".join(part for part in (f"{title} is closed.", announcement, room) if part)


def waiting(state: str | None, title: str, room: str, patience_s: float) -> str:
    """What a user reads while the server is on its way, by where its pod stands."""
    if state == FULL:
        why = f"Capacity is full for {title}: no more nodes can be added."
    elif state == BACKING_OFF:
        why = f"Capacity is full for {title}: the cloud could not give one more node a moment ago."
    else:
        return {
            GROWING: f"One more node is being started for you, which takes about {NODE_MINUTES} minutes. "
            "Your server starts by itself as soon as the node is there.",
            PLACED: "There is room for you. Your server is being started.",
            PULLING: "Your node is fetching the software, which may take some minutes on a new node.",
            STARTING: "Your server is being started.",
        }.get(state or "", "Looking for room for you.")
    return (
        f"{why} {room} Your place in line is kept for {_minutes(patience_s)}: the server starts by itself if "
        "somebody stops one. For another profile: Home, Stop My Server, then Start My Server."
    )


def gave_up(state: str | None, title: str, room: str, waited_s: float, idle_minutes: int) -> str:
    """What a user reads whose server did not start."""
    if state in CANNOT_GROW:
        return (
            f"Capacity is full for {title}: no more nodes can be added, and nobody stopped a server in "
            f"{_minutes(waited_s)}. {room} Nothing is running for you, and your files are safe. "
            + _freed(idle_minutes)
        )
    if state == GROWING:
        return (
            f"The new node for {title} was not ready within {_minutes(waited_s)}. Start again: it goes on "
            f"starting, and may be ready by now. {room}"
        )
    within = f"within {_minutes(waited_s)}"
    if state == PULLING:
        return (
            f"Your node for {title} did not have all of the software {within}. Start again: it goes on "
            f"fetching, and may have it by now. Your files are safe. {room}"
        )
    what = {
        PLACED: f"There was room for you, but your files could not be brought to your node {within}.",
        STARTING: f"Your server was begun, but did not answer {within}.",
    }.get(state or "", f"No room was found for your server {within}.")
    return (
        f"{what} Start again; if that fails too, tell the gateway's operators what the event log says. "
        "Your files are safe."
    )


def _freed(idle_minutes: int) -> str:
    return f"A place is free as soon as somebody stops a server; {_culled(idle_minutes)}"


def _fewer(idle_minutes: int) -> str:
    return f"A place is free as soon as fewer run; {_culled(idle_minutes)}"


def _culled(idle_minutes: int) -> str:
    return (
        f"servers that nobody has used for {idle_minutes} minutes are stopped by themselves. Try again then."
    )


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"


class NoRoomError(web.HTTPError):
    """No place for a server: JupyterHub shows its message to the user."""

    def __init__(self, message: str) -> None:
        super().__init__(429, message, reason="Capacity is full")
        self.jupyterhub_message = message


class NotStartedError(web.HTTPError):
    """A server that did not start in time: JupyterHub shows its message to the user."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message, reason="Not started in time")
        self.jupyterhub_message = message


class GatewaySpawner(KubeSpawner):  # type: ignore[misc]
    """A KubeSpawner that counts the places left, refuses what cannot fit, and says why a server waits."""

    rooms: Any = List(
        config=True, help="Profiles with their titles, pools, servers on a node and most nodes."
    )
    default_profile = Unicode(config=True, help="The profile of whoever picks none.")
    idle_minutes = Integer(60, config=True, help="After how long an unused server is stopped.")
    announcement = Unicode(config=True, help="A sentence for all users, above the choices.")
    patience_s = Float(120.0, config=True, help="Seconds to wait for a place in a pool that cannot grow.")
    look_every_s = Float(1.0, config=True, help="Seconds between two looks at a start.")
    margin_s = Float(2.0, config=True, help="Seconds before JupyterHub's own timeout, whose message is bare.")

    async def get_options_form(self) -> str:
        """The choices, below a notice if one of them is full."""
        form: str = await super().get_options_form()
        taken = self._taken()
        full = notice(self.rooms, free_places(self.rooms, taken), self.idle_minutes, self._crowd(taken))
        texts = (self.announcement, full)
        alerts = [
            f'<div class="alert alert-warning" role="status">{html.escape(text)}</div>'
            for text in texts
            if text
        ]
        return "".join([*alerts, form])

    async def run_options_from_form(self, form_data: Mapping[str, Any]) -> dict[str, Any]:
        """Refuses here, where JupyterHub shows the choices again beside the message."""
        made = super().run_options_from_form(form_data)
        options: dict[str, Any] = await made if inspect.isawaitable(made) else made
        self._refuse_if_full(self._profile(options), self._taken())
        return options

    async def options_from_query(self, query_data: Mapping[str, Any]) -> dict[str, Any]:
        """The same for a link that names a profile."""
        return await self.run_options_from_form(query_data)

    async def run_pre_spawn_hook(self) -> None:
        """Refuses what came another way, such as a script, or was overtaken in between."""
        self._refuse_if_full(self._profile(self.user_options), self._taken(ahead_only=True))
        made = super().run_pre_spawn_hook()
        if inspect.isawaitable(made):
            await made

    async def start(self) -> str:
        """Starts the pod; gives up in words before JupyterHub does without."""
        pod = super().start()
        clock = asyncio.get_running_loop().time
        began, full_since = clock(), None
        try:
            while not pod.done():
                await asyncio.wait([pod], timeout=self.look_every_s)
                state, now = state_of(self.events), clock()
                full_since = (full_since or now) if state in CANNOT_GROW else None
                in_vain = full_since is not None and now - full_since > self.patience_s
                if not pod.done() and (in_vain or now - began > self.start_timeout - self.margin_s):
                    raise NotStartedError(
                        gave_up(state, self._title(), self._elsewhere(), now - began, self.idle_minutes)
                    )
            url: str = pod.result()
            return url
        finally:
            pod.cancel()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """KubeSpawner's events, each with what it means for the user."""
        async for event in super().progress():
            text = waiting(state_of(self.events), self._title(), self._elsewhere(), self.patience_s)
            raw = event["message"]
            yield {
                **event,
                "message": f"{text} ({raw})",
                "html_message": f"{html.escape(text)}<br><small>{html.escape(raw)}</small>",
            }

    def _taken(self, *, ahead_only: bool = False) -> collections.Counter[str]:
        """How many servers each profile has, but for this one.

        Args:
            ahead_only: count only servers that were asked for before this one. Of two that race for the last
                place one gets it, and not neither.
        """
        mine, session = self.orm_spawner, object_session(self.user.orm_user)
        active = session.query(orm.Spawner).filter(orm.Spawner.server_id.isnot(None)) if session else ()
        taken: collections.Counter[str] = collections.Counter()
        for server in active:
            ahead = not ahead_only or (
                server.started and (server.started, server.id) < (mine.started, mine.id)
            )
            if server is not mine and ahead:
                taken[self._profile(server.user_options)] += 1
        return taken

    def _limit(self) -> int:
        """JupyterHub's own, which it tells users of in no words of theirs."""
        return int(self.user.settings.get("active_server_limit", 0))

    def _crowd(self, taken: collections.Counter[str]) -> str:
        return crowded(taken.total(), self._limit())

    def _profile(self, options: Mapping[str, Any] | None) -> str:
        return str((options or {}).get("profile") or self.default_profile)

    def _title(self, profile: str | None = None) -> str:
        wanted = profile or self._profile(self.user_options)
        return next((str(room["title"]) for room in self.rooms if room["profile"] == wanted), wanted)

    def _elsewhere(self, but: str | None = None) -> str:
        taken = self._taken()
        free = within_limit(free_places(self.rooms, taken), taken.total(), self._limit())
        return where_is_room(self.rooms, free, but=but or self._profile(self.user_options))

    def _refuse_if_full(self, profile: str, taken: collections.Counter[str]) -> None:
        free = free_places(self.rooms, taken)
        # A profile that is not ours is KubeSpawner's to refuse.
        if free.get(profile) == 0:
            elsewhere = self._elsewhere(profile)
            if any(room["profile"] == profile and room.get("closed") for room in self.rooms):
                raise NoRoomError(closed(self._title(profile), self.announcement, elsewhere))
            raise NoRoomError(refusal(self._title(profile), elsewhere, self.idle_minutes))
        crowd = self._crowd(taken)
        if crowd and profile in free:
            raise NoRoomError(refusal_of_all(crowd, self.idle_minutes))


if "c" in globals():
    c.JupyterHub.spawner_class = GatewaySpawner  # type: ignore[name-defined] # noqa: F821
