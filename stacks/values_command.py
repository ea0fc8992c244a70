"""Prints the values that the hub's chart would be given, secrets masked; asks no cloud and no engine.

python -m stacks.values_command dev > values.yaml
helm template jupyterhub jupyterhub --repo https://hub.jupyter.org/helm-chart/ --version 4.4.0 -f values.yaml
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components.jupyterhub import Values, WrongValuesError, chart_values
from stacks.hub_args import hub_args
from stacks.problems import SettingsError
from stacks.settings import Settings
from stacks.settings_parsing import parse
from stacks.storage_parts import HOMES_CLAIM, SHARE_CLAIM, STORAGE_CLASS, Source

MASK = "********"
"""In the place of a secret, which is not even decrypted."""

DRIVE_ADDRESS = "address-of-the-shared-drive"
"""In the place of an address that only the running cluster knows."""

PROGRAM = Path(__file__).resolve().parents[1]

EXAMPLES = """examples:
  python -m stacks.values_command dev              the values of the stack dev, as YAML
  python -m stacks.values_command prod --json      the same of prod, as JSON
  python -m stacks.values_command dev | diff - before.yaml
                                                   what a change of the settings changes in the chart
"""


class CommandError(Exception):
    """The file cannot be read; the text is one sentence."""


def masked_values(settings: Settings) -> Values:
    """The chart's values with a mask for each secret.

    Raises:
        WrongValuesError: if a hub could not work with them.
    """
    args = hub_args(
        settings,
        namespace=settings.hub.namespace,
        storage_class=STORAGE_CLASS,
        shared_homes_source={"persistentVolumeClaim": {"claimName": HOMES_CLAIM}},
        shared_drive_source=_drive_source(settings),
        hide=lambda _: MASK,
    )
    return chart_values(args, dict.fromkeys(("cookie_secret", "proxy_token", "crypt_key"), MASK))


def _drive_source(settings: Settings) -> Source:
    drive = settings.storage.shared_drive
    if drive is not None and drive.kind == "manila":
        return {"persistentVolumeClaim": {"claimName": SHARE_CLAIM}}
    return {"nfs": {"server": DRIVE_ADDRESS, "path": "/"}}


def configuration(path: Path) -> tuple[dict[str, str], set[str]]:
    """A stack's configuration as Pulumi would hand it over, and the keys that hold secrets.

    Args:
        path: a Pulumi.<stack>.yaml. What is encrypted in it comes out as the mask.

    Raises:
        CommandError: if it is not there or is no such file.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError:
        known = sorted(file.name.split(".")[1] for file in path.parent.glob("Pulumi.*.yaml"))
        raise CommandError(
            f"{path.name} is not in {path.parent}; there are the stacks {', '.join(known) or '(none)'}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CommandError(f"{path.name} is not YAML: {reason}.") from None
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise CommandError(f"{path.name} has no mapping under config:, where the settings are.")
    secret: set[str] = set()
    return {str(key): _text(_masked(value, str(key), secret)) for key, value in config.items()}, secret


def _masked(value: Any, key: str, secret: set[str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            secret.add(key)
            return MASK
        return {name: _masked(inner, key, secret) for name, inner in value.items()}
    return [_masked(inner, key, secret) for inner in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, so that a script can be read."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m stacks.values_command",
        description="Print the values that the hub's chart would be given, secrets masked.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stack", help="name of a stack: its settings are read from Pulumi.<stack>.yaml")
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML")
    options = parser.parse_args(arguments)
    path = PROGRAM / f"Pulumi.{options.stack}.yaml"
    try:
        if "/" in options.stack:
            raise CommandError(f"{options.stack} is no name of a stack; write one such as dev.")
        values = masked_values(parse(*configuration(path)))
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    except SettingsError as error:
        print(f"{path.name} cannot be used:\n{error}", file=sys.stderr)
        return 1
    except WrongValuesError as error:
        print(f"The chart's values are wrong:\n{error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(values, indent=2))
    else:
        print(yaml.dump(values, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
