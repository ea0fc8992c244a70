"""Property values between the engine's wire form and Python, and what differs between them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.plugins.differences import Change, differences, lies_inside, path_text, touches
from lab.plugins.values import UNKNOWN, Asset, Secret, decode, encode, has_secrets, hide_like, reveal

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.text("aZ9é. \n", max_size=8)
    | st.just(UNKNOWN)
)
NAMES = st.text("abc", min_size=1, max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3)
        | inner.map(lambda value: value if isinstance(value, Secret) else Secret(value))
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES.map(lambda value: "" if value is None else value), max_size=4))
def test_what_is_encoded_is_decoded(properties: dict[str, Any]) -> None:
    assert decode(encode(properties)) == properties


@given(VALUES)
def test_revealed_values_hold_no_secrets(value: Any) -> None:
    assert not has_secrets(reveal(value))


@given(VALUES, VALUES)
def test_what_is_hidden_reveals_to_the_same_value(value: Any, model: Any) -> None:
    assert reveal(hide_like(value, model)) == reveal(value)


@given(VALUES)
def test_a_value_hidden_like_itself_hides_all_its_secrets(value: Any) -> None:
    hidden = hide_like(reveal(value), value)
    assert has_secrets(hidden) == has_secrets(value)


def test_an_asset_survives_the_way_to_the_engine_and_back() -> None:
    file = Asset(archive=False, path="a/b", content_hash="abc")
    archive = Asset(archive=True, assets=(("a/b", file),))
    assert decode(encode({"file": file, "archive": archive})) == {"file": file, "archive": archive}


def test_null_properties_are_left_out_but_null_parts_stay() -> None:
    assert decode(encode({"a": None, "b": {"c": None}})) == {"b": {"c": None}}


def test_secrets_do_not_show_when_printed() -> None:
    assert "hunter2" not in repr({"password": Secret("hunter2")})


def test_a_list_with_a_secret_is_hidden_whole() -> None:
    model = {"args": ["open", Secret("hidden")], "open": "yes"}
    hidden = hide_like({"args": ["hidden", "open"], "open": "yes"}, model)
    assert hidden == {"args": Secret(["hidden", "open"]), "open": "yes"}


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differences(value, value) == {}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, {("a",): Change.UPDATE}),
        ({"a": 1}, {}, {("a",): Change.DELETE}),
        ({}, {"a": {"b": 1}}, {("a",): Change.ADD}),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, {("a", 1): Change.UPDATE, ("a", 2): Change.ADD}),
        ({"a": [1, 2]}, {"a": [1]}, {("a", 1): Change.DELETE}),
        ({"a": 1}, {"a": True}, {("a",): Change.UPDATE}),
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": None}, {}, {}),
        ({"a": {"b": 1}}, {"a": "b"}, {("a",): Change.UPDATE}),
        ({"a": "x"}, {"a": UNKNOWN}, {("a",): Change.UPDATE}),
        ({"a": "x"}, {"a": Secret("x")}, {("a",): Change.UPDATE}),
    ],
)
def test_differences(old: Any, new: Any, expected: Any) -> None:
    assert differences(old, new) == expected


def test_paths_are_written_as_pulumi_writes_them() -> None:
    assert path_text(("spec", "containers", 0, "image")) == "spec.containers[0].image"
    assert path_text(("metadata", "annotations", "a.b/c")) == 'metadata.annotations["a.b/c"]'
    assert path_text(("data", 'say "hi"')) == r'data["say \"hi\""]'


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        (("spec", "selector"), True),
        (("spec", "selector", "matchLabels", "app"), True),
        (("spec",), True),
        (("spec", "selectors"), False),
        (("spec", "replicas"), False),
        (("spec", "containers", 3, "image"), True),
        (("spec", "containers", 3, "name"), False),
    ],
)
def test_which_changes_touch_a_fixed_property(path: tuple[str | int, ...], touched: bool) -> None:
    assert touches(path, ["spec.selector", "spec.containers[*].image"]) is touched


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (("spec", "replicas"), True),
        (("spec",), False),
        (("metadata", "annotations", "a.b/c"), True),
        (("metadata", "annotations", 'say "hi"', "x"), True),
        (("metadata", "annotations", "other"), False),
        (("list", 2), True),
        (("list", 1), False),
    ],
)
def test_which_changes_lie_inside_an_ignored_property(path: tuple[str | int, ...], inside: bool) -> None:
    ignored = [
        "spec.replicas",
        'metadata.annotations["a.b/c"]',
        r'metadata.annotations["say \"hi\""]',
        "list[2]",
    ]
    assert lies_inside(path, ignored) is inside
