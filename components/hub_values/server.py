"""What a user's server is told as it starts: environment, page, time, commands, the life of its kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components.hub_values import Values
from components.hub_values.start_commands import Command, Tutorials, pull, share_link, start_script, within

SCRIPT = "/usr/local/share/gateway/start-commands.sh"
KERNELS = "/etc/jupyter/jupyter_server_config.json"
"""Read by Jupyter's server beside the image's own ``jupyter_server_config.py``."""

KERNEL_CHECK_SECONDS = 300
"""How often kernels are looked at, at most."""

COMMANDS_PART = 4
"""All start commands together may use one such part of a start: the rest is the node's and its first pull's,
even where no command ever ends."""


def server_values(
    *,
    environment: Mapping[str, str],
    default_url: str,
    start_timeout_s: int,
    kernel_idle_minutes: int | None,
    tutorials: Tutorials | None,
    shared_drive: bool,
    commands: Sequence[Command],
) -> Values:
    """The settings of a single server.

    Args:
        environment: variables and their texts.
        default_url: the page that it opens with.
        start_timeout_s: seconds it may take to start: a node that is made for it takes about 300 of them,
            its first pull of an image of 10 GB about 600.
        kernel_idle_minutes: after how long a kernel that runs nothing is stopped; None for never.
        tutorials: notebooks to pull; None for none.
        shared_drive: whether there is one to link to.
        commands: the operator's own, in their order.
    """
    first = [share_link()] if shared_drive else []
    then = [] if tutorials is None else [pull(tutorials)]
    all_commands = within([*first, *then, *commands], start_timeout_s // COMMANDS_PART)
    files: Values = {}
    single: Values = {"defaultUrl": default_url, "startTimeout": start_timeout_s}
    # Users' own nbgitpuller links fetch as much as we do.
    depth = {} if tutorials is None else {"NBGITPULLER_DEPTH": str(tutorials.depth)}
    if environment or depth:
        single["extraEnv"] = {name: _literally(text) for name, text in {**depth, **environment}.items()}
    if all_commands:
        # A file, since KubeSpawner and the shell would each read braces and quotes in an argument.
        files["start-commands.sh"] = {
            "mountPath": SCRIPT,
            "stringData": start_script(all_commands),
            "mode": 0o555,
        }
        single["lifecycleHooks"] = {"postStart": {"exec": {"command": ["bash", SCRIPT]}}}
    if kernel_idle_minutes is not None:
        files["jupyter_server_config.json"] = {
            "mountPath": KERNELS,
            "data": {"MappingKernelManager": _kernels(kernel_idle_minutes)},
        }
    if files:
        single["extraFiles"] = files
    return {"singleuser": single}


def _literally(text: str) -> str:
    """KubeSpawner puts names in the place of braces, and fails each spawn on those that it does not know."""
    return text.replace("{", "{{").replace("}", "}}")


def _kernels(idle_minutes: int) -> Values:
    idle_s = idle_minutes * 60
    return {
        "cull_idle_timeout": idle_s,
        "cull_interval": min(KERNEL_CHECK_SECONDS, idle_s),
        # A forgotten tab stays connected for days; a kernel that runs something is never stopped.
        "cull_connected": True,
        "cull_busy": False,
    }
