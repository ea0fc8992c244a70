"""Rules of the budget that need more than one setting. Each yields its problems, and stops at none."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.prices import rate
from stacks.problems import Problem, key_path
from stacks.settings import Settings


def data_can_be_required(settings: Settings) -> Iterator[Problem]:
    """Figures are required only where there is a file for them: else every change would be refused.

    A missing ledger alone is no problem: previews then show what the nodes burn, and warn.
    """
    if settings.budget.require_data and settings.budget.ledger is None:
        yield Problem(
            path=key_path("budget", "require_data"),
            value=True,
            message="needs gateway:budget.ledger; name the file that `python -m allocation record` fills",
        )


def servers_beside_are_priced(settings: Settings) -> Iterator[Problem]:
    """What is named for its price alone must have one."""
    for index, nodes in enumerate(settings.budget.beside):
        if rate(settings, nodes.flavor) is None:
            yield Problem(
                path=key_path("budget", "beside", index, "flavor"),
                value=nodes.flavor,
                message="has no known price; tell it in gateway:flavors, as su_per_hour",
            )
