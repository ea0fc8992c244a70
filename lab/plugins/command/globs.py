"""Files that match patterns, by the published plugin's rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def matching(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """The files below a folder that match, by their path from it.

    Args:
        patterns: ``*`` stands for anything but a slash, ``**`` for anything, ``{a,b}`` for either; one
            that begins with ``!`` takes matching files out again. Later patterns win.
    """
    rules = [(not text.startswith("!"), _compiled(text.removeprefix("!"))) for text in patterns]
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        verdicts = [wanted for wanted, rule in rules if rule.fullmatch(name)]
        if path.is_file() and verdicts and verdicts[-1]:
            found[name] = path
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    text = ""
    for token in re.findall(r"\*\*|\[[^\]]*\]|\\.|.", pattern):
        if token == "**":
            text += ".*"
        elif token == "*":
            text += "[^/]*"
        elif token == "?":
            text += "[^/]"
        elif token in "{},":
            text += {"{": "(?:", "}": ")", ",": "|"}[token]
        elif token.startswith("["):
            text += token.replace("[!", "[^")
        else:
            text += re.escape(token.removeprefix("\\") or "\\")
    return re.compile(text)
