"""What each rung of the budget ladder does to the settings, which the program applies as any. Pure."""

from __future__ import annotations

from allocation.ladder import Rung
from stacks.prices import rate
from stacks.settings import Settings
from stacks.settings_cluster import Pool
from stacks.settings_hub import Culling

IDLE_MINUTES = {Rung.SHORTER_CULLING: 20, Rung.SHUTDOWN: 5}
KERNEL_IDLE_MINUTES = 10
MAX_AGE_HOURS = {Rung.SHORTER_CULLING: 6, Rung.SHUTDOWN: 1}
"""What the settings' own figures are lowered to, from a rung on. The culler counts a server's age from its
start, so that a shutdown's greatest age would end at once whoever works: it comes when their hour is over."""

NOTICE = {
    Rung.HIGH_CLOSED: "To save this gateway's computing time, {closed} cannot be started for now. "
    "Your files are safe.",
    Rung.NO_NEW_SERVERS: "This gateway's computing time is nearly used up: no servers can be started now. "
    "Those that run stop within hours; please save your work. Your files are safe.",
    Rung.SHUTDOWN: "This gateway's computing time is used up, and it is being shut down in good order. "
    "Servers that still run are stopped within about an hour; please save your work. Your files are kept.",
}
"""What users read above the choices, from a rung on."""

FEWER = (
    "To save this gateway's computing time, there is room for fewer servers than usual. Your files are safe."
)
"""The same where no profile is closed, since all have the same pool."""


def braked(settings: Settings, rung: Rung, *, drained: bool = False) -> Settings:
    """The settings as a rung has them, which they then name; the higher the rung, the less may be burnt.

    Args:
        settings: as they are written.
        rung: the rung.
        drained: whether the hour is over that a shutdown leaves to those who work.
    """
    if rung == Rung.NORMAL:
        return settings
    changed: dict[str, object] = {
        "culling": _culling(settings.culling, rung, drained=drained),
        "budget": settings.budget.model_copy(update={"rung": rung.title}),
    }
    if rung >= Rung.LOWER_CEILINGS:
        changed["pools"] = pools(settings, rung)
    closed = _closed_pools(settings, rung)
    if closed:
        changed["profiles"] = tuple(
            profile.model_copy(update={"closed": True}) if profile.pool in closed else profile
            for profile in settings.profiles
        )
    if rung >= Rung.LOWER_CEILINGS:
        # A node kept warm burns as much as one in use.
        hub = {"notice": notice(settings, rung), "placeholders_per_pool": 0}
        changed["hub"] = settings.hub.model_copy(update=hub)
    return settings.model_copy(update=changed)


def notice(settings: Settings, rung: Rung) -> str | None:
    """The sentences for users, the operator's own first; None where there is nothing to tell."""
    own = settings.hub.notice
    if rung < Rung.HIGH_CLOSED:
        return own
    closed = _closed_pools(settings, rung)
    titles = [profile.title for profile in settings.profiles if profile.pool in closed]
    told = NOTICE[rung].format(closed=" and ".join(titles)) if titles else FEWER
    return f"{own} {told}" if own else told


def costliest(settings: Settings) -> str | None:
    """The pool with profiles whose nodes cost most; None if all profiles have the same pool, which cannot be
    closed by itself."""
    used = {profile.pool for profile in settings.profiles}
    if len(used) < 2:
        return None
    return max(sorted(used), key=lambda name: rate(settings, settings.pools[name].flavor) or 0.0)


def pools(settings: Settings, rung: Rung) -> dict[str, Pool]:
    """The pools as a rung has them: half of what each may grow by, and no growth at all where it is closed,
    or in a shutdown. None falls below the nodes that it must have."""
    if rung < Rung.LOWER_CEILINGS:
        return dict(settings.pools)
    high = costliest(settings) if rung >= Rung.HIGH_CLOSED else None
    return {
        name: pool.model_copy(
            update={
                "max": pool.min
                if rung == Rung.SHUTDOWN or name == high
                else pool.min + (pool.max - pool.min) // 2
            }
        )
        for name, pool in settings.pools.items()
    }


def _closed_pools(settings: Settings, rung: Rung) -> set[str]:
    if rung >= Rung.NO_NEW_SERVERS:
        return set(settings.pools)
    high = costliest(settings) if rung == Rung.HIGH_CLOSED else None
    return set() if high is None else {high}


def _culling(culling: Culling, rung: Rung, *, drained: bool) -> Culling:
    step = Rung.SHUTDOWN if rung == Rung.SHUTDOWN else Rung.SHORTER_CULLING
    age = Rung.SHUTDOWN if rung == Rung.SHUTDOWN and drained else Rung.SHORTER_CULLING
    kernel = culling.kernel_idle_minutes
    return culling.model_copy(
        update={
            "idle_minutes": min(culling.idle_minutes, IDLE_MINUTES[step]),
            "kernel_idle_minutes": min(kernel or KERNEL_IDLE_MINUTES, KERNEL_IDLE_MINUTES),
            "max_age_hours": min(culling.max_age_hours, MAX_AGE_HOURS[age]),
        }
    )
