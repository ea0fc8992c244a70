"""Writes a published image into the settings of stacks; all else in the files stays as it is, comments too.

python -m jupyter_image.publish --name ghcr.io/OWNER/NAME --tag TAG --digest sha256:… Pulumi.prod.yaml …
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

HUB, IMAGE = "gateway:hub", "image"


class PublishError(Exception):
    """The settings cannot be changed; the text names the file and the cure."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """An image in a registry.

    Attributes:
        name: registry and name.
        tag: for people.
        digest: ``sha256:…``, which decides.
    """

    name: str
    tag: str
    digest: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", self.digest):
            raise PublishError(f"--digest is {self.digest!r}; it must be sha256: and 64 hexadecimal digits.")
        if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+", self.name):
            raise PublishError(
                f"--name is {self.name!r}; it must be as in ghcr.io/owner/name, in lower case."
            )
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", self.tag):
            raise PublishError(f"--tag is {self.tag!r}, which is no tag of an image.")


def with_image(text: str, image: Published, file: str) -> str:
    """The settings with another image.

    Args:
        text: a Pulumi.<stack>.yaml.
        image: what users meet from now on.
        file: its name, for errors.

    Raises:
        PublishError: if it has no ``gateway:hub`` with an ``image``.
    """
    root = yaml.compose(text)
    node = root
    for key in ("config", HUB, IMAGE):
        node = _value(node, key)
        if node is None:
            raise PublishError(
                f"{file} has no {key} where config.{HUB}.{IMAGE} is looked for; write one by hand once."
            )
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise PublishError(f"{file}: {HUB}.{IMAGE} must be a mapping with name and tag.")
    # Quoted, since YAML reads a tag of digits as a number.
    wanted = {"name": image.name, "tag": f'"{image.tag}"', "digest": image.digest}
    missing = [key for key in wanted if _value(node, key) is None]
    last = max((value for _, value in node.value), key=lambda value: value.end_mark.index)
    text = _after(text, last, node, [f"{key}: {wanted[key]}" for key in missing])
    # Backwards, so that what is still to be replaced stays where it is.
    there = [(value, wanted[key.value]) for key, value in node.value if key.value in wanted]
    for value, new in sorted(there, key=lambda pair: -pair[0].start_mark.index):
        text = text[: value.start_mark.index] + new + text[value.end_mark.index :]
    return text


def _after(text: str, last: yaml.Node, mapping: yaml.MappingNode, entries: Sequence[str]) -> str:
    separator = ", " if mapping.flow_style else "\n" + " " * mapping.start_mark.column
    added = "".join(separator + entry for entry in entries)
    return text[: last.end_mark.index] + added + text[last.end_mark.index :]


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jupyter_image.publish", description=(__doc__ or "").splitlines()[0]
    )
    for option in ("--name", "--tag", "--digest"):
        parser.add_argument(option, required=True)
    parser.add_argument("files", nargs="+", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        image = Published(name=chosen.name, tag=chosen.tag, digest=chosen.digest)
        # All or none: the second file is looked at before the first is written.
        texts = {file: with_image(file.read_text(), image, file.name) for file in chosen.files}
    except (PublishError, OSError, yaml.YAMLError) as error:
        print(error, file=sys.stderr)
        return 1
    for file, text in texts.items():
        file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
