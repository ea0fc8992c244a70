"""How long things take in the lab: seconds where Jetstream2 takes minutes."""

from __future__ import annotations

import pydantic

from lab import paths
from lab.errors import LabError

FILE = paths.STATE / "autoscaler.json"


class Delays(pydantic.BaseModel):
    """Delays in seconds. On Jetstream2: 10, 290 (together the five minutes seen there), 600, 300, 300.

    Attributes:
        scale_up: a pod must have been unschedulable this long before a group grows for it.
        node_start: from a server's start until its node joins the cluster.
        scale_down: a node must have been empty this long before it is removed.
        unhealthy: a node whose server is down is replaced after this.
        drain: a node that goes waits this long for its pods to leave.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    scale_up: float = pydantic.Field(default=2, ge=0)
    node_start: float = pydantic.Field(default=3, ge=0)
    scale_down: float = pydantic.Field(default=15, ge=0)
    unhealthy: float = pydantic.Field(default=10, ge=0)
    drain: float = pydantic.Field(default=30, ge=0)


def read() -> Delays:
    """The delays in force: the defaults, overridden by ``autoscaler.json`` in the lab's state folder.

    Raises:
        LabError: if the file says something else than seconds; the text names the key and the value.
    """
    try:
        text = FILE.read_text()
    except FileNotFoundError:
        return Delays()
    try:
        return Delays.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        allowed = ", ".join(Delays.model_fields)
        raise LabError(
            f"{FILE}: {key} = {first['input']!r}: {first['msg']}. It may hold {allowed}, each in seconds."
        ) from error
