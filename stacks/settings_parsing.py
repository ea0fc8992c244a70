"""From Pulumi's configuration to the settings, or to the list of all that is wrong with it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args, get_origin

import pulumi
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from stacks.problems import NAMESPACE, Problem, SettingsError, key_path
from stacks.settings import Settings
from stacks.settings_rules import RULES

SECRETS = "secrets"
"""The one key whose values are never shown, and which must be encrypted."""


def load() -> Settings:
    """The settings of the stack that is being run.

    Raises:
        pulumi.RunError: if they cannot be used; Pulumi prints its text alone, without a traceback.
    """
    runtime = pulumi.runtime.config
    # pulumi.Config answers for one key at a time, and so could not tell an unknown key.
    config = {**runtime.get_config_env(), **runtime.CONFIG.get()}
    secret = {*runtime.get_config_secret_keys_env(), *filter(runtime.is_config_secret, config)}
    try:
        return parse(config, secret)
    except SettingsError as error:
        raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml cannot be used:\n{error}") from None


def parse(config: Mapping[str, str], secret_keys: Collection[str]) -> Settings:
    """The settings in a stack's configuration.

    Args:
        config: all keys with their namespaces; objects as JSON text, as Pulumi hands them over.
        secret_keys: the keys whose value was encrypted, wholly or in part.

    Raises:
        SettingsError: with every problem that can be seen at once.
    """
    raw, problems = _own_keys(config)
    if SECRETS in raw and key_path(SECRETS) not in secret_keys:
        problems.append(
            Problem(
                path=key_path(SECRETS),
                message="is in plain text; remove it, replace what it held, and set each value with "
                f"`pulumi config set --secret --path '{key_path(SECRETS)}.<name>'`",
            )
        )
    values: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if name in raw:
            try:
                # The field's own constraints stand in its metadata, beside its type.
                adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
                values[name] = adapter.validate_json(json.dumps(raw[name]), strict=True)
            except ValidationError as error:
                problems += [_problem(name, details) for details in error.errors(include_url=False)]
        elif field.is_required():
            problems.append(Problem(path=key_path(name), message=f"is missing{_meaning(field.description)}"))
        else:
            values[name] = field.get_default(call_default_factory=True)
    settings = Settings.model_construct(None, **values)
    for rule in RULES:
        if rule.needs <= values.keys():
            problems += rule.check(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _own_keys(config: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    own: dict[str, Any] = {}
    problems = []
    for key, text in config.items():
        namespace, _, name = key.partition(":")
        if namespace == "pulumi":
            continue
        if namespace != NAMESPACE:
            problems.append(
                Problem(path=key, message=f"is not read by this program; write it as {NAMESPACE}:{name}")
            )
        elif name not in Settings.model_fields:
            problems.append(Problem(path=key, message=_unknown(name, Settings)))
        else:
            own[name] = _decoded(text)
    return own, problems


def _decoded(text: str) -> Any:
    """Objects, lists, true and false from JSON, nothing from no text; whatever else a key holds is text."""
    if not text:
        # What Pulumi hands over for `null`.
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict | list | bool) else text


def _problem(section: str, details: ErrorDetails) -> Problem:
    location = [part for part in (section, *details["loc"]) if part != "[key]"]
    kind = details["type"]
    path = key_path(*location)
    if kind == "extra_forbidden":
        return Problem(path=path, message=_unknown(str(location[-1]), _model_at(location[:-1])))
    meaning = _meaning(_description_at(location))
    if kind == "missing":
        return Problem(path=path, message=f"is missing{meaning}")
    message = _MESSAGES.get(kind, details["msg"]).format(**details.get("ctx", {}))
    if kind == "value_error":
        meaning = ""
        message = str(details["ctx"]["error"])
    if section == SECRETS:
        # A secret's length is that of a hidden list, to pydantic; to its owner it is a text.
        message = message.replace("must hold", "must have at least").replace("or more", "characters")
        return Problem(path=path, message=f"{message}{meaning}")
    return Problem(path=path, message=f"{message}{meaning}", value=details["input"])


_MESSAGES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of names to values",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping of names to values",
    "string_pattern_mismatch": "has a form that is not allowed",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_too_short": "must have {min_length} characters or more",
    "string_type": "must be text",
    "too_short": "must hold {min_length} or more",
    "tuple_type": "must be a list",
}


def _meaning(description: str | None) -> str:
    return f" ({description})" if description else ""


def _unknown(name: str, model: type[BaseModel] | None) -> str:
    known = sorted(model.model_fields) if model else []
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"is not a setting{hint} (there are {', '.join(known)})"


def _model_at(location: list[str | int]) -> type[BaseModel] | None:
    annotation: Any = Settings
    for part in location:
        annotation = _step(annotation, part)
    return next(_models(annotation), None)


def _description_at(location: list[str | int]) -> str | None:
    """The description of the innermost field on the way; the positions and names inside it have none."""
    annotation: Any = Settings
    description = None
    for part in location:
        model = next(_models(annotation), None)
        if model is not None and isinstance(part, str) and part in model.model_fields:
            description = model.model_fields[part].description
        annotation = _step(annotation, part)
    return description


def _step(annotation: Any, part: str | int) -> Any:
    model = next(_models(annotation), None)
    origin = get_origin(annotation)
    if origin is tuple:
        return get_args(annotation)[0]
    if origin is Mapping:
        return get_args(annotation)[1]
    if model is not None and isinstance(part, str) and part in model.model_fields:
        return model.model_fields[part].annotation
    return None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as ``GitHub | None``; not those inside a list or mapping."""
    candidates = [annotation, *get_args(annotation)] if get_origin(annotation) not in (tuple, Mapping) else []
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield candidate
