"""Property values as the engine sends them, and as plain Python.

On the wire a secret, an asset or a value that is not known yet is a structure with a signature. Here a
secret is a `Secret` around its value, an asset an `Asset`, and a value not known yet is `UNKNOWN`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

Value = Any
"""None, bool, int, float, str, list, dict, `Secret`, `Asset` or `UNKNOWN`."""

Properties = dict[str, Value]

_SIGNATURE = rpc._special_sig_key
_UNKNOWNS = {
    rpc.UNKNOWN,  # a string
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
    "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
    "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
}


class _Unknown(enum.Enum):
    UNKNOWN = "not known before the update"


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that only the update will tell."""


@dataclasses.dataclass(frozen=True)
class Secret:
    """A value that is encrypted in the state and hidden in every display."""

    value: Value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclasses.dataclass(frozen=True)
class Asset:
    """A file, text or archive that the program handed over.

    Attributes:
        archive: is it an archive (or a folder) rather than a single file?
        path: where it lies on this machine, if it is a file or folder.
        text: its content, if it is a text.
        content_hash: the engine's hash of the content; two assets with the same hash are the same.
        assets: the members of an archive that was put together in the program.
    """

    archive: bool
    path: str | None = None
    text: str | None = None
    content_hash: str | None = dataclasses.field(default=None, compare=True)
    assets: tuple[tuple[str, Asset], ...] = ()


def decode(properties: struct_pb2.Struct) -> Properties:
    """The properties of a message as plain Python; properties that are null are left out."""
    decoded = {name: _decode(value) for name, value in properties.fields.items()}
    return {name: value for name, value in decoded.items() if value is not None}


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """The inverse of `decode`."""
    return struct_pb2.Struct(fields={name: _encode(value) for name, value in properties.items()})


def reveal(value: Value) -> Value:
    """A copy without any `Secret` around anything, at any depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {name: reveal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknowns(value: Value) -> bool:
    """Is any part of it not known yet?"""
    return value is UNKNOWN or any(has_unknowns(part) for part in _parts(value))


def has_secrets(value: Value) -> bool:
    """Is any part of it a secret?"""
    return isinstance(value, Secret) or any(has_secrets(part) for part in _parts(value))


def hide_like(value: Value, model: Value) -> Value:
    """A copy in which everything is a secret that is one in another value of much the same shape.

    A list is hidden whole if any of its items is secret in the model, since servers reorder lists.
    """
    if isinstance(value, Secret) or not has_secrets(model):
        return value
    if isinstance(value, dict) and isinstance(model, dict):
        return {name: hide_like(item, model.get(name)) for name, item in value.items()}
    return Secret(value)


def _parts(value: Value) -> list[Value]:
    if isinstance(value, Secret):
        return [value.value]
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _decode(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "number_value":
        # The wire knows only floating point, Kubernetes and Helm insist on integers.
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def _decode_struct(struct: struct_pb2.Struct) -> Value:
    fields = struct.fields
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else None
    if signature is None:
        return {name: _decode(item) for name, item in fields.items()}
    if signature == rpc._special_secret_sig:
        return Secret(_decode(fields["value"]))
    if signature == rpc._special_output_value_sig:
        inner = _decode(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    if signature in (rpc._special_asset_sig, rpc._special_archive_sig):
        return Asset(
            archive=signature == rpc._special_archive_sig,
            path=_text(fields, "path"),
            text=_text(fields, "text"),
            content_hash=_text(fields, "hash"),
            assets=tuple(
                (name, _decode(item)) for name, item in sorted(fields["assets"].struct_value.fields.items())
            )
            if "assets" in fields
            else (),
        )
    raise ValueError(f"a property of a kind that this plugin does not know (signature {signature})")


def _text(fields: Mapping[str, struct_pb2.Value], name: str) -> str | None:
    # The engine leaves the fields that do not apply empty.
    return fields[name].string_value or None if name in fields else None


def _encode(value: Value) -> struct_pb2.Value:
    if isinstance(value, list):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value]))
    if isinstance(value, dict):
        return struct_pb2.Value(struct_value=encode(value))
    if isinstance(value, Secret):
        return _signed(rpc._special_secret_sig, {"value": _encode(value.value)})
    return _encode_asset(value) if isinstance(value, Asset) else _encode_scalar(value)


def _encode_scalar(value: Value) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return (
        struct_pb2.Value(string_value=rpc.UNKNOWN)
        if value is UNKNOWN
        else struct_pb2.Value(number_value=value)
    )


def _encode_asset(asset: Asset) -> struct_pb2.Value:
    texts = {"path": asset.path, "text": asset.text, "hash": asset.content_hash}
    fields = {name: struct_pb2.Value(string_value=text) for name, text in texts.items() if text is not None}
    if asset.assets:
        fields["assets"] = _encode(dict(asset.assets))
    return _signed(rpc._special_archive_sig if asset.archive else rpc._special_asset_sig, fields)


def _signed(signature: str, fields: Mapping[str, struct_pb2.Value]) -> struct_pb2.Value:
    signed = {_SIGNATURE: struct_pb2.Value(string_value=signature), **fields}
    return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=signed))
