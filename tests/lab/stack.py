"""A stack of the program, driven by the real Pulumi command line."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab import paths

Settings = dict[str, Any]

ZONE = "gateway.projects.example"
DEV_HOST = f"science.{ZONE}"
"""What ``Pulumi.dev.yaml`` calls the hub."""


def dev_settings() -> Settings:
    """A fresh copy of ``Pulumi.dev.yaml``, to change at will."""
    content: Settings = yaml.safe_load((paths.PROGRAM / "Pulumi.dev.yaml").read_text())
    return content


class Stack:
    """A stack with a settings file of its own.

    Attributes:
        name: the stack's name.
        file: its settings, in the form of Pulumi.<stack>.yaml.
    """

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.file = folder / f"Pulumi.{name}.yaml"
        self._environment = dict(environment)
        paths.PULUMI_BACKEND.mkdir(parents=True, exist_ok=True)
        self.write(dev_settings())
        if self.name not in [
            stack["name"] for stack in json.loads(self._pulumi("stack", "ls", "--json").stdout)
        ]:
            made = self._pulumi("stack", "init", name, "--no-select")
            assert made.returncode == 0, made.stderr
            # `stack init` writes beside the program; the settings of this stack live elsewhere.
            (paths.PROGRAM / f"Pulumi.{name}.yaml").unlink(missing_ok=True)

    def write(self, settings: Settings) -> None:
        """Replaces the stack's settings. The host is the stack's own: the rehearsal may stand beside it."""
        own = copy.deepcopy(settings)
        hub = own["config"]["gateway:hub"]
        if hub.get("host") == DEV_HOST:
            hub["host"] = f"{self.name}.{ZONE}"
        self.file.write_text(yaml.safe_dump(own))

    def pulumi(
        self, command: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``pulumi COMMAND`` for this stack with its settings, without questions."""
        return self._pulumi(
            command,
            "--stack",
            self.name,
            "--config-file",
            str(self.file),
            "--non-interactive",
            *arguments,
            environment=environment,
        )

    def up(self) -> str:
        """Brings the stack up; returns what Pulumi printed.

        Raises:
            AssertionError: with Pulumi's output, if it fails.
        """
        return self._succeed(self.pulumi("up", "--yes", "--skip-preview"))

    def destroy(self) -> str:
        """Destroys the stack; returns what Pulumi printed.

        Raises:
            AssertionError: with Pulumi's output, if it fails.
        """
        return self._succeed(self.pulumi("destroy", "--yes", "--skip-preview"))

    def planned(self) -> list[tuple[str, str, str]]:
        """What a preview would do: (operation, resource type, logical name), unchanged resources left out.

        Components are left out as well: they are the program's own grouping, nothing in the cloud.

        Raises:
            AssertionError: with Pulumi's output, if the preview fails.
        """
        result = self.pulumi("preview", "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        steps = []
        for step in json.loads(result.stdout)["steps"]:
            kind, name = step["urn"].split("::")[2:4]
            own_type = kind.rpartition("$")[2]
            if step["op"] != "same" and not own_type.startswith(("sciencegateway:", "pulumi:")):
                steps.append((step["op"], own_type, name))
        return steps

    def state(self) -> str:
        """The stack's state as it is kept, secrets still encrypted."""
        exported = self._pulumi("stack", "export", "--stack", self.name)
        assert exported.returncode == 0, exported.stderr
        return exported.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets masked."""
        result = self._pulumi("stack", "output", "--stack", self.name, "--json")
        assert result.returncode == 0, result.stderr
        outputs: dict[str, Any] = json.loads(result.stdout)
        return outputs

    def _succeed(self, result: subprocess.CompletedProcess[str]) -> str:
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def _pulumi(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments],
            cwd=paths.PROGRAM,
            env={**self._environment, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
