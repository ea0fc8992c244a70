"""The rung in force, applied to the settings of the stack that is being run."""

from __future__ import annotations

import keystoneauth1.exceptions
import openstack.exceptions
import pulumi

from allocation.errors import AllocationError
from allocation.ladder import Rung
from stacks import rung_file
from stacks.cloud_check import CloudError, connect
from stacks.rungs import braked
from stacks.settings import Settings

NODE_GROUPS = {"OpenStack-API-Version": "container-infra 1.9"}
"""The oldest version of Magnum's API that knows node groups."""


def apply(settings: Settings, stack: str) -> Settings:
    """The settings as the rung in force has them; says which that is.

    Raises:
        pulumi.RunError: if where the ladder stands cannot be read. To go on as if nothing braked could spend
            the reserve.
    """
    try:
        rung, sentence = in_force(settings)
    except AllocationError as error:
        raise pulumi.RunError(str(error)) from None
    if sentence is not None:
        pulumi.log.info(sentence)
    return braked(settings, rung, running_nodes(settings, stack) if rung >= Rung.LOWER_CEILINGS else None)


def in_force(settings: Settings) -> tuple[Rung, str | None]:
    """The rung, and the sentence that a preview shows of it; None without a ledger.

    Raises:
        AllocationError: if the ladder's file is damaged.
    """
    budget = settings.budget
    if budget.rung != "auto":
        return rung_file.by_title(
            budget.rung
        ), f"Budget ladder: {budget.rung}, pinned by gateway:budget.rung."
    if budget.ledger_path is None:
        return Rung.NORMAL, None
    standing = rung_file.read(rung_file.beside(budget.ledger_path))
    return standing.state.rung, standing.sentence


def running_nodes(settings: Settings, stack: str) -> dict[str, int]:
    """How many nodes Magnum counts in each node group of the stack's cluster.

    Empty where there is no cluster yet, and where the cloud cannot be asked: what comes next says why.
    """
    try:
        magnum = connect(settings.cloud).container_infrastructure_management
        answer = magnum.get(
            f"/clusters/{settings.name}-{stack}/nodegroups", headers=NODE_GROUPS, raise_exc=False
        )
        groups = answer.json()["nodegroups"] if answer.status_code == 200 else []
        return {str(group["name"]): int(group["node_count"]) for group in groups}
    except (
        CloudError,
        keystoneauth1.exceptions.ClientException,
        openstack.exceptions.SDKException,
        ValueError,
        KeyError,
        TypeError,
    ):
        return {}
