"""The report of a coordinate check: how the size of every module's output grows with the width.

This module only evaluates numbers: fastinit.torch.coordinate_check measures them and figures.py
draws them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

import numpy as np

from .._core.tables import MOST, Table

Verdict = Literal["pass", "fail", "unclear"]
# The expected slope, or the lowest and highest expected slope.
Expected = float | tuple[float, float]

HIDDEN = (0.0, 0.0)
# The expected slopes of an output whose width is fixed: under muP its size falls as 1/√width at the
# start, and training brings it to a size that does not depend on the width.
OUTPUT = (-0.5, 0.0)

# Student's t at 97.5 %, for 1 to 10 degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


class Coordinate(NamedTuple):
    """The size of one module's output after some steps of training, at each width.

    Attributes
    ----------
    module : str
        The module's name.
    step : int
        The number of steps.
    sizes : tuple of float
        The mean absolute value of the output, for each width.
    output : bool
        Whether the output has the same shape at every width.
    """

    module: str
    step: int
    sizes: tuple[float, ...]
    output: bool


class Slope(NamedTuple):
    """The slope of log size against log width, with its 95 % interval.

    Attributes
    ----------
    module : str
        The module's name; "" is the model.
    step : int
        After how many steps; 0 is the initialization.
    slope, low, high : float
        The fit and its interval.
    expected : tuple of float
        The lowest and the highest slope that are right.
    verdict : {"pass", "fail", "unclear"}
        "pass" within the tolerance of what is expected; "fail" if the interval also excludes what
        is expected; else "unclear".
    """

    module: str
    step: int
    slope: float
    low: float
    high: float
    expected: tuple[float, float]
    verdict: Verdict

    @property
    def distance(self) -> float:
        """How far the slope is from what is expected."""
        low, high = self.expected
        away = max(low - self.slope, self.slope - high, 0.0)
        return math.inf if math.isnan(self.slope) else away


class CoordinateCheck(NamedTuple):
    """What coordinate_check() found; its text is a short table, and bool() is `passed`.

    Attributes
    ----------
    widths : tuple of int
        The widths.
    steps : int
        Steps of training.
    seed : int
        The seed of the weights.
    tolerance : float
        How far a slope may be from what is expected.
    coordinates : tuple of Coordinate
        Every module after every step.
    slopes : tuple of Slope
        The same, fitted.
    scaled : str
        Of a transformers config: which fields were changed.
    """

    widths: tuple[int, ...]
    steps: int
    seed: int
    tolerance: float
    coordinates: tuple[Coordinate, ...]
    slopes: tuple[Slope, ...]
    scaled: str = ""

    @property
    def passed(self) -> bool:
        """Whether every module has the expected slope after every step."""
        return all(slope.verdict == "pass" for slope in self.slopes)

    def __bool__(self) -> bool:
        return self.passed

    def worst(self) -> list[Slope]:
        """For each module, the step whose slope is furthest from what is expected."""
        order: dict[Verdict, int] = {"pass": 0, "unclear": 1, "fail": 2}
        found: dict[str, Slope] = {}
        for slope in self.slopes:
            old = found.get(slope.module)
            if old is None or (order[slope.verdict], slope.distance) > (
                order[old.verdict],
                old.distance,
            ):
                found[slope.module] = slope
        return list(found.values())

    def rows(self) -> list[dict[str, Any]]:
        """One row for each module, step and width, for pandas.DataFrame or json."""
        return [
            {"module": one.module, "step": one.step, "width": width, "size": size}
            for one in self.coordinates
            for width, size in zip(self.widths, one.sizes, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Settings, sizes and slopes as plain data."""
        return {
            **self._asdict(),
            "passed": self.passed,
            "coordinates": [one._asdict() for one in self.coordinates],
            "slopes": [one._asdict() for one in self.slopes],
        }

    def _summary(self) -> str:
        worst = self.worst()
        failed, unclear = (
            sum(slope.verdict == verdict for slope in worst) for verdict in ("fail", "unclear")
        )
        if failed:
            said = f"{failed} of {len(worst)} modules change with the width"
        elif unclear:
            said = (
                f"{unclear} of {len(worst)} modules are unclear; give more widths or a larger batch"
            )
        else:
            said = f"all {len(worst)} modules keep their size"
        return f"coordinate check {'passed' if self.passed else 'failed'}: {said}"

    def table(self) -> Table:
        """The report in rows of text."""
        widths = ", ".join(map(str, self.widths))
        caption = f"mean |output| ~ width^slope, widths {widths}, {self.steps} steps, seed "
        caption = f"{self.scaled}\n{caption}{self.seed}".lstrip("\n")
        first = {slope.module: slope for slope in self.slopes if slope.step == 0}
        rows = [
            (
                slope.module or "(model)",
                f"{first[slope.module].slope:+.2f}",
                f"{slope.slope:+.2f} ± {slope.high - slope.slope:.2f}",
                str(slope.step),
                _range(slope.expected),
                slope.verdict,
            )
            for slope in self.worst()
        ]
        head = ("module", "at init", "worst", "step", "expected", "verdict")
        if len(rows) > MOST:
            # If not all rows fit, failures come first; sorted() is stable, so it keeps the model's
            # order.
            rows = sorted(rows, key=lambda row: row[-1] == "pass")
        return Table(caption, head, rows, [self._summary()])

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def _range(expected: tuple[float, float]) -> str:
    low, high = expected
    return f"{low:g}" if low == high else f"{low:g} … {high:g}"


def fit(widths: Sequence[int], sizes: Sequence[float]) -> tuple[float, float, float]:
    """The least-squares slope of log size against log width, and its 95 % interval.

    If all sizes are zero, the slope is 0.  If only some are zero, or any is not finite, it is NaN.
    """
    if not any(sizes):
        return 0.0, 0.0, 0.0
    if not all(0.0 < size < math.inf for size in sizes):
        return math.nan, math.nan, math.nan
    x, y = np.log(np.asarray(widths, float)), np.log(np.asarray(sizes, float))
    x -= x.mean()
    y -= y.mean()
    slope = float(x @ y / (x @ x))
    freedom = len(x) - 2
    error = math.sqrt(float(((y - slope * x) ** 2).sum() / (x @ x)) / freedom)
    reach = error * (_T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.6 / freedom)
    return slope, slope - reach, slope + reach


def judge(
    widths: Sequence[int],
    coordinates: Sequence[Coordinate],
    expected: Mapping[str, Expected],
    tolerance: float,
) -> tuple[Slope, ...]:
    """Fit every coordinate and compare its slope with the slope expected for its module."""
    found = []
    for one in coordinates:
        low, high = _expected(one, expected)
        slope, lowest, highest = fit(widths, one.sizes)
        verdict: Verdict = "fail"
        if low - tolerance <= slope <= high + tolerance:
            verdict = "pass"
        elif lowest <= high and highest >= low:
            verdict = "unclear"
        found.append(Slope(one.module, one.step, slope, lowest, highest, (low, high), verdict))
    return tuple(found)


def _expected(one: Coordinate, expected: Mapping[str, Expected]) -> tuple[float, float]:
    for pattern, slope in expected.items():
        if fnmatchcase(one.module, pattern):
            return slope if isinstance(slope, tuple) else (slope, slope)
    return OUTPUT if one.output else HIDDEN
