"""The pools as they stand, for a scheduled run whose change of them is refused: its rung is applied without.

A brake must not wait until somebody takes a refused change back. The run tells the program, by an environment
variable, how the pools stand in the stack's state; the program then raises none of them. All else that the
rung does is applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from components.node_pools import TYPE
from stacks import rules_cluster
from stacks.problems import Problem, SettingsError, key_path
from stacks.settings import Settings
from stacks.settings_cluster import Pool

VARIABLE = "GATEWAY_POOLS_AS_THEY_STAND"
"""Of the environment of the program: the pools as JSON. Set by the scheduled run alone."""


def in_state(state: str) -> dict[str, Pool]:
    """The pools of a stack by its state, as ``pulumi stack export`` writes it; empty if it has none yet.

    Raises:
        ValueError: if it is no such state.
    """
    try:
        resources = json.loads(state)["deployment"].get("resources") or []
        found = [one["inputs"]["pools"] for one in resources if one["type"] == TYPE]
        return {name: _pool(pool) for pools in found for name, pool in pools.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def variable(stand: Mapping[str, Pool]) -> dict[str, str]:
    """The environment variable that tells the program of them."""
    return {VARIABLE: json.dumps({name: pool.model_dump() for name, pool in stand.items()})}


def told(environment: Mapping[str, str]) -> dict[str, Pool] | None:
    """The pools that the program was told of; None if it was not."""
    text = environment.get(VARIABLE)
    return None if text is None else {name: _pool(pool) for name, pool in json.loads(text).items()}


def held(settings: Settings, stand: Mapping[str, Pool]) -> Settings:
    """The settings with no pool above what stands: the lower bounds of both, the flavor it has, no new pool.

    Profiles of a new pool are left out.

    Raises:
        SettingsError: if the settings make no sense so: the change cannot be left out of them.
    """
    new = sorted(settings.pools.keys() - stand.keys())
    gone = sorted(stand.keys() - settings.pools.keys())
    kept = {name: _lower(pool, stand[name]) for name, pool in settings.pools.items() if name in stand}
    profiles = tuple(profile for profile in settings.profiles if profile.pool in kept)
    if (new and gone) or not profiles:
        # With only the half of it that removes, users would be without a pool.
        raise SettingsError(
            [
                Problem(
                    path=key_path("pools"),
                    value=", ".join(settings.pools),
                    message=f"cannot be left as they stand, which is {', '.join(stand) or 'none'}; "
                    "add and remove pools one after the other",
                )
            ]
        )
    made = settings.model_copy(update={"pools": kept, "profiles": profiles})
    problems = [*rules_cluster.flavors_are_usable(made), *rules_cluster.profiles_fit_their_nodes(made)]
    if problems:
        raise SettingsError(problems)
    return made


def differing(asked: Mapping[str, Pool], kept: Mapping[str, Pool]) -> dict[str, str]:
    """Of each pool that is not as asked for, what was asked for and what stays, in words."""
    return {
        name: f"{_words(kept.get(name))} (asked for: {_words(pool)})"
        for name, pool in asked.items()
        if pool != kept.get(name)
    }


def _lower(asked: Pool, stands: Pool) -> Pool:
    least, most = min(asked.min, stands.min), min(asked.max, stands.max)
    return asked.model_copy(update={"flavor": stands.flavor, "min": least, "max": most})


def _pool(pool: Mapping[str, object]) -> Pool:
    # Numbers of a state may have been written as 4.0.
    bounds = {bound: int(float(str(pool[bound]))) for bound in ("min", "max")}
    return Pool.model_validate({**pool, **bounds})


def _words(pool: Pool | None) -> str:
    return "none" if pool is None else f"{pool.min} to {pool.max} {pool.flavor}"
