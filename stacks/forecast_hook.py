"""The stack hook: what a change of the node pools costs, in every preview and every up.

Pulumi has hooks on resources, none on a stack. The node pools are one component with all pools as its
inputs, so a hook on it is called once, before any node group is touched, with the old and the new pools.
This file is a shell: the arithmetic is in ``allocation.change``, the words in ``stacks.price_table``.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Mapping
from typing import Any

import pulumi

from allocation import ledger, plan, report
from allocation.change import Change, change, only_shrinks
from allocation.errors import AllocationError
from allocation.history import Segment
from allocation.plan import Nodes, Plan, Pool
from stacks.price_table import REFUSED, missing_words, refusal, table
from stacks.prices import rate
from stacks.settings import Budget, Settings


def price_hook(settings: Settings) -> pulumi.ResourceHookBinding | None:
    """The hook for the node pools' component; None where the settings say ``policy: off``."""
    if settings.budget.policy == "off":
        return None

    def show(args: pulumi.ResourceHookArgs) -> None:
        judge(settings, args.old_inputs, args.new_inputs, now=time.time())

    hook = pulumi.ResourceHook("price-of-pools", show, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def load_early(settings: Settings) -> None:
    """Has what a forecast needs loaded meanwhile: that takes a second, in which the cloud is asked."""
    if settings.budget.policy != "off" and settings.budget.ledger is not None:
        threading.Thread(target=_load_statsmodels, daemon=True).start()


def _load_statsmodels() -> None:
    # Where it cannot be loaded, the forecast says so in its own words.
    with contextlib.suppress(Exception):
        importlib.import_module("statsmodels.api")


def judge(
    settings: Settings, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, *, now: float
) -> None:
    """Shows what the change costs; refuses it if the settings say so.

    Args:
        settings: the stack's.
        old, new: the component's inputs as the engine hands them to a hook; None or empty where there are
            none.
        now: seconds since the epoch.

    Raises:
        RuntimeError: if the change is refused. The engine shows the text and stops before any node group.
    """
    budget = settings.budget
    shrinks = False
    try:
        before, after = pools_of(old), pools_of(new) or {}
        shrinks = only_shrinks(before, after)
        priced, missing = price(settings, before, after, now=now)
        text = table(priced)
    except AllocationError as error:
        _without(budget, str(error), shrinks=shrinks)
        return
    except Exception as error:  # A bug of ours is no reason to stop an operator at 2 a.m.
        _without(budget, f"it failed by {type(error).__name__}: {error}", shrinks=shrinks)
        return
    pulumi.log.info(text)
    if missing:
        _without(budget, missing, shrinks=shrinks or priced.lowers)
    elif budget.policy == "enforce" and priced.over and not (priced.lowers or priced.saves):
        raise RuntimeError(refusal(priced))


def show_without_cloud(settings: Settings) -> None:
    """Shows what the pools of the settings cost where the cloud, and so the engine, cannot be asked.

    It refuses nothing: the preview has failed already.
    """
    if settings.budget.policy == "off":
        return
    advised = settings.model_copy(update={"budget": settings.budget.model_copy(update={"policy": "advise"})})
    pools = {name: pool.model_dump() for name, pool in settings.pools.items()}
    judge(advised, None, {"pools": pools}, now=time.time())


def price(
    settings: Settings, before: Mapping[str, Pool] | None, after: Mapping[str, Pool], *, now: float
) -> tuple[Change, str | None]:
    """The change, priced, and what is missing for a forecast, in words, or None.

    Raises:
        AllocationError: if the ledger or the plan cannot be read, or a flavor has no rate.
    """
    flavors = {pool.flavor for pools in (before or {}, after) for pool in pools.values()}
    known, segments = known_of(settings, flavors, now=now)
    priced = change(segments, known, fixed=fixed_nodes(settings), before=before, after=after, now=now)
    return priced, missing_words(settings.budget, priced)


def fixed_nodes(settings: Settings) -> tuple[Nodes, ...]:
    """The nodes that always run: control plane, core node, and what the settings say runs beside the
    cluster."""
    cluster = settings.cluster
    return (
        Nodes(flavor=cluster.master_flavor, count=cluster.masters),
        Nodes(flavor=cluster.core_flavor, count=1),
        *(Nodes(flavor=nodes.flavor, count=nodes.count) for nodes in settings.budget.beside),
    )


def known_of(settings: Settings, flavors: set[str], *, now: float) -> tuple[Plan, tuple[Segment, ...]]:
    """What is known besides the pools: the plan file's calendar and past, and the ledger's figures.

    Args:
        settings: the stack's.
        flavors: of the pools before and after, whose rates the settings may tell.
        now: seconds since the epoch.

    Raises:
        AllocationError: as ``price``.
    """
    budget = settings.budget
    known = plan.read_plan(budget.plan_path) if budget.plan_path else Plan()
    named = sorted({*flavors, *settings.flavors, *(nodes.flavor for nodes in fixed_nodes(settings))})
    told = {flavor: known_rate for flavor in named if (known_rate := rate(settings, flavor)) is not None}
    known = known.model_copy(
        update={
            "reserve_su": budget.reserve_su,
            "reporting_lag_hours": budget.reporting_lag_hours,
            "resource": budget.resource or known.resource,
            "rates": {**told, **known.rates},
        }
    )
    if budget.ledger_path is None or not budget.ledger_path.exists():
        return known, ()
    book = ledger.read(budget.ledger_path, now=now)
    return known, book.segments[report.choose_resource(book, known.resource)]


def pools_of(inputs: Mapping[str, Any] | None) -> dict[str, Pool] | None:
    """Pools as the engine hands them to a hook: its numbers are all floats. None if there are none."""
    if not inputs or not inputs.get("pools"):
        return None
    return {
        name: Pool(flavor=pool["flavor"], min=int(pool["min"]), max=int(pool["max"]))
        for name, pool in inputs["pools"].items()
    }


def _without(budget: Budget, missing: str, *, shrinks: bool) -> None:
    words = f"The forecast of the allocation is missing or not to be relied on: {missing}"
    if budget.require_data and budget.policy == "enforce" and not shrinks:
        raise RuntimeError(
            f"{words}\n{REFUSED}: gateway:budget.require_data is true. To go ahead all the "
            "same: pulumi config set --path gateway:budget.require_data false"
        )
    pulumi.log.warn(words)
