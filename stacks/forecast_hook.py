"""The stack hook: what a change of the node pools costs, in every preview and every up.

Pulumi has hooks on resources, none on a stack. The node pools are one component with all pools as its
inputs, so a hook on it is called once, before any node group is touched, with the old and the new pools.
This file is a shell: the arithmetic is in ``allocation.change``, the words in ``stacks.price_table``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from allocation import ledger, plan, report
from allocation.change import Change, change
from allocation.errors import AllocationError
from allocation.history import Segment
from allocation.plan import Nodes, Plan, Pool
from stacks.price_table import missing_words, refusal, table
from stacks.prices import own_rates
from stacks.settings import Budget, Settings


def price_hook(settings: Settings) -> pulumi.ResourceHookBinding | None:
    """The hook for the node pools' component; None where the settings say ``policy: off``."""
    if settings.budget.policy == "off":
        return None
    fixed = fixed_nodes(settings)

    def show(args: pulumi.ResourceHookArgs) -> None:
        judge(settings, fixed, args.old_inputs, args.new_inputs, now=time.time())

    hook = pulumi.ResourceHook("price-of-pools", show, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])


def fixed_nodes(settings: Settings) -> tuple[Nodes, ...]:
    """The nodes that always run: control plane, core node, and what the settings say runs beside the
    cluster."""
    cluster = settings.cluster
    return (
        Nodes(flavor=cluster.master_flavor, count=cluster.masters),
        Nodes(flavor=cluster.core_flavor, count=1),
        *(Nodes(flavor=nodes.flavor, count=nodes.count) for nodes in settings.budget.beside),
    )


def judge(
    settings: Settings,
    fixed: Sequence[Nodes],
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None,
    *,
    now: float,
) -> None:
    """Shows what the change costs; refuses it if the settings say so.

    Raises:
        RuntimeError: if the change is refused. The engine shows the text and stops before any node group.
    """
    budget = settings.budget
    try:
        priced, missing = price(settings, fixed, pools_of(old), pools_of(new) or {}, now=now)
    except AllocationError as error:
        _without(budget, str(error))
        return
    except Exception as error:  # A bug of ours is no reason to stop an operator at 2 a.m.
        _without(budget, f"it failed: {type(error).__name__}: {error}")
        return
    pulumi.log.info(table(priced))
    if missing:
        _without(budget, missing)
    elif budget.policy == "enforce" and priced.over and not priced.lowers:
        raise RuntimeError(refusal(priced))


def price(
    settings: Settings,
    fixed: Sequence[Nodes],
    before: Mapping[str, Pool] | None,
    after: Mapping[str, Pool],
    *,
    now: float,
) -> tuple[Change, str | None]:
    """The change, priced, and what is missing for a forecast, in words, or None.

    Raises:
        AllocationError: if the ledger or the plan cannot be read, or a flavor has no rate.
    """
    known, segments = known_of(settings, now=now)
    priced = change(segments, known, fixed=fixed, before=before, after=after, now=now)
    return priced, missing_words(settings.budget, priced)


def known_of(settings: Settings, *, now: float) -> tuple[Plan, tuple[Segment, ...]]:
    """What is known besides the pools: the plan file's calendar and past, and the ledger's figures.

    Raises:
        AllocationError: as ``price``.
    """
    budget = settings.budget
    known = plan.read_plan(Path(budget.plan)) if budget.plan else Plan()
    known = known.model_copy(
        update={
            "reserve_su": budget.reserve_su,
            "reporting_lag_hours": budget.reporting_lag_hours,
            "resource": budget.resource or known.resource,
            "rates": {**own_rates(settings), **known.rates},
        }
    )
    if budget.ledger is None or not Path(budget.ledger).exists():
        return known, ()
    book = ledger.read(Path(budget.ledger), now=now)
    return known, book.segments[report.choose_resource(book, known.resource)]


def pools_of(inputs: Mapping[str, Any] | None) -> dict[str, Pool] | None:
    """Pools as the engine hands them to a hook: its numbers are all floats. None if there are none."""
    if not inputs or not inputs.get("pools"):
        return None
    return {
        name: Pool(flavor=pool["flavor"], min=int(pool["min"]), max=int(pool["max"]))
        for name, pool in inputs["pools"].items()
    }


def _without(budget: Budget, missing: str) -> None:
    words = f"The forecast of the allocation is missing or not to be relied on: {missing}"
    if budget.require_data and budget.policy == "enforce":
        raise RuntimeError(f"{words}\nThe setting gateway:budget.require_data refuses changes without it.")
    pulumi.log.warn(words)
