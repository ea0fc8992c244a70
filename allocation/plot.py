"""The allocation as a picture: what was used, what the models expect, and what was granted."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from allocation import times
from allocation.errors import AllocationError
from allocation.forecast import Forecast, Model
from allocation.history import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
MOST_POINTS = 2000
"""Points drawn of one line: more than a picture has columns, so that a million rows look the same."""


@dataclasses.dataclass(frozen=True)
class Look:
    """How a forecast is drawn. Looks differ in more than colour, so that they can be told apart in grey."""

    colour: str
    dashes: tuple[int, ...]
    hatch: str


LOOKS: Mapping[Model, Look] = {
    "linear": Look("#b35900", (6, 2), "\\\\\\"),
    "least-squares": Look("#6a3d9a", (1, 1), "..."),
    "planned": Look("#0b5fa5", (), "///"),
}
BEFORE = Look("#777777", (8, 2, 2, 2), "xxx")
"""The look of a forecast without the change, beside one with it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A forecast, its name in the legend and its look."""

    label: str
    forecast: Forecast
    look: Look


def check_suffix(path: Path) -> None:
    """Raises AllocationError if a file's name is not that of a picture this can draw."""
    if path.suffix.lower() not in SUFFIXES:
        raise AllocationError(f"no picture can be drawn as {str(path)!r}: end it in {' or '.join(SUFFIXES)}")


def plot(
    path: Path, *, segments: Sequence[Segment], curves: Sequence[Curve], reserve_su: float, title: str
) -> None:
    """Draws a picture, PNG or SVG by the file's suffix. The same data make the same file.

    Args:
        segments: one resource's, one or more, in order of time; the last is the current allocation's.
        curves: forecasts to draw, each with its 80 % interval.
        reserve_su: SU that shall be left at the end.

    Raises:
        AllocationError: if the suffix is another, or the file cannot be written.
    """
    check_suffix(path)
    # Matplotlib takes half a second to load. Its pyplot is not needed: no window, no global state.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "allocation", "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(9.6, 6.4), layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            _draw_curve(axes, curve)
        _draw_history(axes, segments)
        _draw_granted(axes, segments, reserve_su)
        _draw_end(axes, segments[-1])
        _label(axes, segments[-1].resource, title)
        # Below the axes, where it covers no data.
        figure.legend(loc="outside lower center", ncols=2, handlelength=4, fontsize="small", frameon=False)
        # Neither a date nor a version in the file, which would make each run's differ.
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        try:
            figure.savefig(path, dpi=120, metadata=metadata)
        except OSError as error:
            raise AllocationError(f"the picture {path} cannot be written: {error}") from None


def _draw_curve(axes: Axes, curve: Curve) -> None:
    made, look = curve.forecast, curve.look
    kept = _thinned(len(made.times))
    when = _dates(made.times[kept])
    axes.fill_between(
        when,
        made.low[kept],
        made.high[kept],
        facecolor="none",
        edgecolor=look.colour,
        hatch=look.hatch,
        alpha=0.4,
    )
    (line,) = axes.plot(when, made.expected[kept], color=look.colour, linewidth=2, label=curve.label)
    line.set_dashes(look.dashes)


def _draw_history(axes: Axes, segments: Sequence[Segment]) -> None:
    """The figures of each segment, and why each after the first begins."""
    for index, segment in enumerate(segments):
        kept = _thinned(len(segment.times))
        when = _dates(segment.times[kept])
        axes.plot(
            when,
            segment.used[kept],
            color="black",
            linewidth=2.5,
            marker="o" if len(kept) == 1 else None,
            label="used, as reported" if index == 0 else None,
        )
        if index:
            axes.axvline(when[0], color="black", linewidth=0.8, linestyle=":")
            # On the side where the curve is high: it goes on over a supplement, else it begins anew at 0.
            after = segment.reason == "supplement"
            _write_beside(axes, when[0], segment.reason, side="right" if after else "left")


def _draw_granted(axes: Axes, segments: Sequence[Segment], reserve_su: float) -> None:
    """The SU granted, a line per segment, and the reserve below the current one."""
    begins = [segment.starts_at if segment.reason == "renewal" else segment.times[0] for segment in segments]
    ends = [*begins[1:], segments[-1].ends_at]
    for index, (segment, begin, end) in enumerate(zip(segments, begins, ends, strict=True)):
        axes.plot(
            _dates(np.array([begin, end])),
            [segment.allocated, segment.allocated],
            color="black",
            linewidth=1.2,
            linestyle=(0, (10, 3)),
            label="granted" if index == 0 else None,
        )
    if reserve_su:
        axes.plot(
            _dates(np.array([begins[-1], ends[-1]])),
            [segments[-1].allocated - reserve_su] * 2,
            color="black",
            linewidth=1,
            linestyle=(0, (2, 3)),
            label=f"granted, less the reserve of {reserve_su:,.0f} SU",
        )


def _draw_end(axes: Axes, current: Segment) -> None:
    """Where the allocation ends: the moment its last day is over."""
    end = _dates(np.array([current.ends_at]))[0]
    axes.axvline(end, color="black", linewidth=1.2)
    last_day = times.utc(current.ends_at - 1)
    _write_beside(axes, end, f"last day {last_day:%Y-%m-%d}", side="left")


def _write_beside(axes: Axes, when: np.datetime64, text: str, *, side: Literal["left", "right"]) -> None:
    """Writes along a vertical line, on one side of it, from the bottom."""
    axes.text(
        when,  # type: ignore[arg-type]  # Matplotlib takes what its date axis takes, its types say float
        0.02,
        text,
        transform=axes.get_xaxis_transform(),
        rotation=90,
        horizontalalignment="right" if side == "left" else "left",
        verticalalignment="bottom",
        fontsize="small",
    )


def _label(axes: Axes, resource: str, title: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import StrMethodFormatter

    unbroken = title.replace(" %", "\N{NO-BREAK SPACE}%")
    axes.set_title("\n".join(textwrap.wrap(unbroken, 95)), fontsize="medium")
    axes.set_xlabel("date (UTC)")
    axes.set_ylabel(f"service units (SU) used\n{resource}")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    locator = AutoDateLocator(tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _thinned(count: int) -> NDArray[np.int64]:
    """Indices of a line's points to draw, the first and last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(np.int64))


def _dates(seconds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Times since the epoch as numpy's dates, which have no time zone and are taken as UTC."""
    return (seconds * 1000).round().astype("datetime64[ms]")
