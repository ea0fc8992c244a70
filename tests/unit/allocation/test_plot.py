"""The picture: what is drawn, and that it can be told apart without colour."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from allocation import plot
from allocation.errors import AllocationError
from allocation.forecast import MODELS
from allocation.plot import LOOKS, Curve
from tests.unit.allocation.made_up import segment, straight

SEGMENTS = (
    segment(first="2026-02-01", last="2026-05-01", used=(0, 20_000), allocated=60_000),
    segment(first="2026-05-02", last="2026-07-01", used=(20_000, 40_000), reason="supplement"),
)
CURVES = [
    Curve(f"{model}: its figures", straight(burn=9, used=40_000, model=model), LOOKS[model])
    for model in MODELS
]


def draw(path: Path, *, reserve_su: float = 5_000) -> bytes:
    plot.plot(path, segments=SEGMENTS, curves=CURVES, reserve_su=reserve_su, title="Lasts to the end.")
    return path.read_bytes()


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written in the picture."""
    # Text as text, where the picture itself has outlines that need no font.
    with mpl.rc_context({"svg.fonttype": "none"}):
        svg = draw(tmp_path / "usage.svg").decode()
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


def test_what_is_drawn_is_labelled(texts: list[str]) -> None:
    wanted = {
        "Lasts to the end.",
        "date (UTC)",
        "service units (SU) used",
        "jetstream2.indiana.xsede.org",
        "used, as reported",
        "granted",
        "granted, less the reserve of 5,000 SU",
        "supplement",
        "last day 2026-12-31",
        *(curve.label for curve in CURVES),
    }
    assert wanted - set(texts) == set()


def test_a_long_title_is_wrapped_but_not_before_a_percent_sign(tmp_path: Path) -> None:
    with mpl.rc_context({"svg.fonttype": "none"}):
        path = tmp_path / "long.svg"
        plot.plot(path, segments=SEGMENTS, curves=[], reserve_su=0, title=f"{'x' * 90} (80 %: 1 to 2).")
    assert "(80\N{NO-BREAK SPACE}%: 1 to 2)." in re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())


def test_the_first_segment_has_no_boundary(texts: list[str]) -> None:
    assert "first" not in texts


def test_png_and_svg_by_suffix(tmp_path: Path) -> None:
    assert draw(tmp_path / "usage.PNG").startswith(b"\x89PNG")
    assert b"<svg" in draw(tmp_path / "usage.svg")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_data_make_the_same_file(tmp_path: Path, suffix: str) -> None:
    assert draw(tmp_path / f"one.{suffix}") == draw(tmp_path / f"two.{suffix}")


@pytest.mark.parametrize("name", ["usage.pdf", "usage", "png"])
def test_another_suffix_is_refused_with_those_that_can_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(AllocationError, match=rf"{name}.*end it in \.png or \.svg"):
        draw(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(AllocationError, match=r"cannot be written: .*No such file or directory"):
        draw(tmp_path / "nowhere" / "usage.png")


def test_models_differ_in_line_and_hatch_not_only_in_colour() -> None:
    looks = [*LOOKS.values(), plot.BEFORE]
    assert len({look.dashes for look in looks}) == len({look.hatch for look in looks}) == len(looks)


def test_a_single_figure_can_be_seen(tmp_path: Path) -> None:
    def dots(last: str) -> int:
        path = tmp_path / f"{last}.svg"
        figures = segment(first="2026-07-01", last=last, used=(10, 20))
        plot.plot(path, segments=[figures], curves=[], reserve_su=0, title="Few rows.")
        return len(re.findall(r'<use [^>]*style="stroke: #000000"/>', path.read_text()))

    assert dots("2026-07-01") > dots("2026-07-02") == 0


def test_a_million_rows_make_no_larger_picture(tmp_path: Path) -> None:
    count = 1_000_000
    few = segment(first="2026-01-01", last="2026-07-01", used=(0, 40_000))
    moments = np.linspace(few.times[0], few.times[-1], count)
    many = dataclasses.replace(few, times=moments, used=np.linspace(0, 40_000, count))
    path = tmp_path / "many.svg"
    plot.plot(path, segments=[many], curves=[], reserve_su=0, title="Many rows.")
    assert path.stat().st_size < 200_000
