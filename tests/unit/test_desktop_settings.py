"""The virtual desktop's settings: what is right, what is refused, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_image.desktop.virtual_desktop.settings import (
    IDLE,
    PAUSE,
    SIZE,
    SMALLEST_SIDE,
    Settings,
    SettingsError,
    Size,
    settings,
)


def test_nothing_needs_to_be_set() -> None:
    assert settings({}) == settings({IDLE: "", PAUSE: " ", SIZE: ""}) == Settings()


def test_what_is_set_holds() -> None:
    assert settings({IDLE: "90", PAUSE: "0.5", SIZE: "1920x1080"}) == Settings(
        idle_minutes=90, pause_minutes=0.5, largest=Size(1920, 1080)
    )


@pytest.mark.parametrize("name", [IDLE, PAUSE])
@pytest.mark.parametrize("text", ["0", "-5", "soon", "nan", "inf", "1e9", "5 minutes", "0x10"])
def test_a_wrong_time_is_refused_with_name_value_and_cure(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings({name: text})
    assert name in str(refused.value)
    assert repr(text) in str(refused.value)
    assert "such as" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["1920", "1920*1080", "x", "10x10", "99999x99999", "-800x600", "8000 x 600", "٣٠٠x٣٠٠"]
)
def test_a_wrong_size_is_refused_with_name_value_and_cure(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings({SIZE: text})
    assert SIZE in str(refused.value)
    assert repr(text) in str(refused.value)
    assert "such as 2560x1600" in str(refused.value)


@given(st.integers(), st.integers())
def test_any_wish_for_a_size_becomes_one_that_the_screen_can_have(width: int, height: int) -> None:
    largest = Size(2560, 1600)
    got = Size(width, height).within(largest)
    assert SMALLEST_SIDE <= got.width <= largest.width
    assert SMALLEST_SIDE <= got.height <= largest.height
    assert got.within(largest) == got
