"""What the chart's own schema lets through: it reads no profile, and takes anything as a label of a node.

A misspelt override would do nothing, silently; a wrong type would fail each user's spawn instead of our run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.hub_values import Values

TRAITS: Mapping[str, str] = json.loads(Path(__file__).with_name("kubespawner_traits.json").read_text())[
    "traits"
]
"""KubeSpawner's settings and their kinds, of the version in the chart's hub."""

PROFILE_KEYS = frozenset(
    {"slug", "display_name", "description", "default", "kubespawner_override", "profile_options"}
)
OPTION_KEYS = frozenset({"display_name", "choices", "unlisted_choice"})
CHOICE_KEYS = frozenset({"display_name", "default", "kubespawner_override"})
UNLISTED_KEYS = frozenset(
    {
        "enabled",
        "display_name",
        "display_name_in_choices",
        "validation_regex",
        "validation_message",
        "kubespawner_override",
    }
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "Bool": (bool,),
    "ByteSpecification": (str, int),
    "Command": (str, list),
    "Dict": (dict,),
    "Enum": (str,),
    "Float": (int, float),
    "Int": (int,),
    "List": (list,),
    "Unicode": (str,),
}
"""Kinds that plain data can be checked against; what is not here takes several."""

_BYTES = re.compile(r"\d+(\.\d+)?[KMGT]?")
_LABEL_NAME = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


class WrongValuesError(ValueError):
    """Values that no hub should be given; the text has one line for each."""


def checked(values: Values) -> Values:
    """The same values.

    Raises:
        WrongValuesError: if some of them are wrong.
    """
    wrong = [*_profiles(values), *_selectors(values, ""), *_sizes(values)]
    if wrong:
        raise WrongValuesError("\n".join(wrong))
    return values


def _profiles(values: Values) -> Iterator[str]:
    slugs: set[str] = set()
    defaults = 0
    for index, profile in enumerate(values.get("singleuser", {}).get("profileList", [])):
        path = f"singleuser.profileList[{index}]"
        yield from _read(profile, PROFILE_KEYS, path)
        if not isinstance(profile, Mapping):
            continue
        for key in ("slug", "display_name"):
            if not isinstance(profile.get(key), str) or not profile[key]:
                yield f"{path}.{key} is not a text"
        if profile.get("slug") in slugs:
            yield f"{path}.slug = {profile['slug']} is that of an earlier profile too"
        slugs.add(str(profile.get("slug")))
        if not isinstance(profile.get("default", False), bool):
            yield f"{path}.default = {profile['default']} is not true or false"
        defaults += profile.get("default") is True
        yield from _overrides(profile.get("kubespawner_override", {}), f"{path}.kubespawner_override")
        yield from _each(profile.get("profile_options", {}), f"{path}.profile_options", _option)
    if defaults > 1:
        yield f"singleuser.profileList has {defaults} defaults; users get one"


def _option(option: Any, path: str) -> Iterator[str]:
    """One thing that users may choose within a profile."""
    yield from _read(option, OPTION_KEYS, path)
    if not isinstance(option, Mapping):
        return
    yield from _each(option.get("choices", {}), f"{path}.choices", _choice)
    unlisted, here = option.get("unlisted_choice", {}), f"{path}.unlisted_choice"
    yield from _read(unlisted, UNLISTED_KEYS, here)
    if isinstance(unlisted, Mapping):
        overrides = unlisted.get("kubespawner_override", {})
        if isinstance(overrides, Mapping):
            # Names alone: what users write comes in the place of {value}, in a value of any kind.
            overrides = {name: value for name, value in overrides.items() if name not in TRAITS}
        yield from _overrides(overrides, f"{here}.kubespawner_override")


def _choice(choice: Any, path: str) -> Iterator[str]:
    yield from _read(choice, CHOICE_KEYS, path)
    if isinstance(choice, Mapping):
        yield from _overrides(choice.get("kubespawner_override", {}), f"{path}.kubespawner_override")


def _each(parts: Any, path: str, check: Callable[[Any, str], Iterator[str]]) -> Iterator[str]:
    if not isinstance(parts, Mapping):
        yield f"{path} is no mapping"
        return
    for name, part in parts.items():
        yield from check(part, f"{path}.{name}")


def _read(part: Any, known: frozenset[str], path: str) -> Iterator[str]:
    """What KubeSpawner would pass over in silence."""
    if not isinstance(part, Mapping):
        yield f"{path} is no mapping"
        return
    for key in sorted(set(part) - known):
        yield f"{path}.{key} is nothing that KubeSpawner reads; it knows {', '.join(sorted(known))}"


def _overrides(overrides: Any, path: str) -> Iterator[str]:
    if not isinstance(overrides, Mapping):
        yield f"{path} is no mapping"
        return
    for name, value in overrides.items():
        kind = TRAITS.get(name)
        if kind is None:
            yield f"{path}.{name} is no setting of KubeSpawner"
        elif kind in _TYPES and not _is(value, _TYPES[kind]):
            yield f"{path}.{name} = {value!r} is not of the kind {kind}"
        elif kind == "ByteSpecification" and not _BYTES.fullmatch(str(value)):
            yield f"{path}.{name} = {value} is no amount of memory; write one such as 6.5G"
        elif name == "node_selector":
            yield from _labels(value, f"{path}.{name}")
    for what in ("cpu", "mem"):
        least, most = (overrides.get(f"{what}_{end}") for end in ("guarantee", "limit"))
        if _amount(least) > _amount(most):
            yield f"{path}.{what}_limit = {most} is less than what is promised, {least}"


def _selectors(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    """Node selectors, wherever they are."""
    for key, value in tree.items():
        here = f"{path}{key}"
        if key == "nodeSelector":
            yield from _labels(value, here)
        elif isinstance(value, Mapping):
            yield from _selectors(value, f"{here}.")


def _labels(labels: Any, path: str) -> Iterator[str]:
    if not isinstance(labels, Mapping):
        yield f"{path} is no mapping of labels"
        return
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
            yield f"{path}.{name} is no name of a label"
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            yield f"{path}.{name} = {value!r} is no value of a label: those are texts"


def _sizes(values: Values) -> Iterator[str]:
    for what, kinds in (("memory", (str, int)), ("cpu", (int, float))):
        for end, value in values.get("singleuser", {}).get(what, {}).items():
            if not _is(value, kinds) or (what == "memory" and not _BYTES.fullmatch(str(value))):
                yield f"singleuser.{what}.{end} = {value!r} is no amount"
    for name, value in values.get("singleuser", {}).get("extraEnv", {}).items():
        if not isinstance(value, str):
            yield f"singleuser.extraEnv.{name} = {value!r} is not a text"


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    """True and false are numbers to Python, and to nobody else."""
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _amount(value: object) -> float:
    """For comparison; without an amount there is nothing to compare."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and _BYTES.fullmatch(value):
        number = value.rstrip("KMGT")
        return float(number) * 1024.0 ** (" KMGT".index(value[-1]) if value[-1] in "KMGT" else 0)
    return float("nan")
