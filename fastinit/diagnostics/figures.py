"""Figures of the reports, drawn with matplotlib (the extra `plot`): numbers in, a Figure out."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._core import DISTRIBUTION, new_file
from .._core.arguments import shown_path
from .compare import Comparison, Curve
from .coordinates import CoordinateCheck

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
UNDATED = {"Date": None}
VERDICTS = {"pass": "0.6", "unclear": "tab:orange", "fail": "tab:red"}

_SMALLEST, _LARGEST = 1e-16, 1e16  # limits of an axis; beyond them only the direction matters


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, without pyplot's global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"a figure needs matplotlib ({error}); install it with pip install "
            f"'{DISTRIBUTION}[plot]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def check(path: str) -> None:
    """Raise ValueError if the suffix of `path` is not a figure format, and OSError if no file can
    be written there.
    """
    if not path.lower().endswith(FORMATS):
        raise ValueError(
            f"{shown_path(path)}: a figure's name ends in {', '.join(FORMATS[:-1])} or "
            f"{FORMATS[-1]}, which says its format"
        )
    new_file.check_target(path, force=True)
    new_figure(1.0, 1.0)  # fails if matplotlib is missing


def save(figure: Figure, path: str) -> None:
    """Write a figure in the format of its suffix. The same figure gives the same bytes."""
    import matplotlib

    content, suffix = io.BytesIO(), path.lower().rpartition(".")[2]
    # Without these two settings, an SVG contains the date and random ids.
    with matplotlib.rc_context({"svg.hashsalt": "fastinit"}):
        metadata = {} if suffix == "png" else UNDATED
        figure.savefig(content, format=suffix, dpi=120, metadata=metadata)
    new_file.write_file(path, content.getvalue())


def comparison(found: Comparison) -> Figure:
    """Plot compare()'s curves: the signal above, the gradient below, a column for each activation;
    solid lines are measured, dashed lines are theory.
    """
    names = list(dict.fromkeys(curve.activation for curve in found.curves))
    figure = new_figure(3.0 + 4.0 * len(names), 7.0)
    panels = figure.subplots(2, len(names), sharex=True, sharey="row", squeeze=False)
    for column, name in enumerate(names):
        curves = [curve for curve in found.curves if curve.activation == name]
        for row, side in enumerate(("forward", "backward")):
            _lines(panels[row][column], curves, side, labelled=not (row or column))
        panels[0][column].set_title(name)
        panels[1][column].set_xlabel("layer")
    panels[0][0].set_ylabel("signal, root mean square")
    panels[1][0].set_ylabel("gradient, root mean square")
    for row, side in enumerate(("forward", "backward")):
        panels[row][0].set_ylim(*_limits(found.curves, side))
    figure.suptitle(
        f"{found.depth} {found.stack} layers of {found.width} units before training "
        "(dashed: theory)"
    )
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def _lines(axes: Any, curves: Sequence[Curve], side: str, labelled: bool) -> None:
    for number, curve in enumerate(curves):
        values = [_shown(value) for value in getattr(curve, side)]
        color = f"C{number % 10}"
        label = curve.initializer if labelled else None
        # Each curve is thinner than the one before, so overlapping curves all stay visible.
        width = 1.5 + 4.0 * (1 - number / len(curves))
        axes.plot(values, color=color, linewidth=width, label=label)
        expected = getattr(curve, f"{side}_theory")
        if expected is not None:
            values = [_shown(value) for value in expected]
            axes.plot(values, "--", color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.grid(alpha=0.3)


def _shown(value: float) -> float:
    """A value clipped to what a logarithmic axis can show."""
    return value if 1e-300 < value < 1e300 else math.nan


def _limits(curves: Sequence[Curve], side: str) -> tuple[float, float]:
    values = [value for curve in curves for value in getattr(curve, side) if value > 0]
    low, high = min(values, default=1.0), max(values, default=1.0)
    return max(low / 3, _SMALLEST), min(high * 3, _LARGEST)


def coordinates(found: CoordinateCheck) -> Figure:
    """Plot a coordinate check: a panel for each step, a line for each module, red if it failed."""
    columns = min(found.steps + 1, 3)
    rows = math.ceil((found.steps + 1) / columns)
    figure = new_figure(3.0 + 3.0 * columns, 0.8 + 2.8 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    verdicts = {(slope.module, slope.step): slope.verdict for slope in found.slopes}
    for one in found.coordinates:
        verdict = verdicts[one.module, one.step]
        panels[one.step].plot(
            found.widths,
            [_shown(size) for size in one.sizes],
            color=VERDICTS[verdict],
            linewidth=1.2,
            marker=".",
            zorder=2 if verdict == "pass" else 3,
        )
    for step, axes in enumerate(panels):
        axes.set_visible(step <= found.steps)
        axes.set(xscale="log", yscale="log", title=f"step {step}" if step else "init")
        axes.set_xticks(found.widths, map(str, found.widths))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    for label, color in VERDICTS.items():
        panels[0].plot([], [], color=color, label=label)
    figure.supxlabel("width")
    figure.supylabel("mean |output| of each module")
    figure.suptitle(f"Coordinate check {'passed' if found.passed else 'failed'}")
    figure.legend(loc="outside right center", fontsize=9)
    return figure
