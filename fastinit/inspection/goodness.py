"""Whether the numbers of a tensor fit a law: tests whose p-values are upper bounds for every size.

No test relies on a limit theorem.  Normal laws use exact tails, bounded laws use Bennett's
inequality, whole distributions use the Dvoretzky-Kiefer-Wolfowitz inequality, and counts use the
Chernoff bound.  So a threshold on the smallest p-value, divided by the number of tests, bounds the
rate of false alarms.  audit.py uses the results.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from .. import _laws
from .._core import dtypes
from .._core.dtypes import DType
from .._laws import Law
from .statistics import Statistics

TESTED = ("normal", "uniform", "truncated_normal")
# A correct generator may give this share of zeros, or of subnormals, beyond the law's: JAX's
# float32 uniforms lie on a grid of 2**-23; narrow types in torch and JAX lie on a grid of 2**-7.
_GRID, _NARROW_GRID = 2.0**-22, 2.0**-7
# The share of a normal beyond 5 std, on one side.  With 32-bit floats JAX's normal reaches 5.4 std
# and torch's 5.8 std, so the absence of values farther out must not count against a tensor.
_FAR = 3e-7


class Test(NamedTuple):
    """One comparison of a tensor with its law."""

    name: str
    expected: float
    found: float
    statistic: float  # in standard deviations; for "distribution", the largest distance
    p: float  # an upper bound

    def __str__(self) -> str:
        return f"{self.name} {self.found:.6g}, expected {self.expected:.6g}"


class Reference(NamedTuple):
    """A law after rounding to a dtype."""

    law: Law
    dtype: DType
    mean: float
    std: float
    kurtosis: float
    reach: float  # the farthest value from the mean, in std


def reference(law: Law, dtype: DType) -> Reference:
    """The distribution to test against; for 8-bit types, the distribution of the rounded values."""
    return _reference(law._replace(name="", rule="", note="", tensors=1, blocks=()), dtype)


@functools.lru_cache(maxsize=4096)
def _reference(law: Law, dtype: DType) -> Reference:
    mean, std = law.mean or 0.0, law.std or 0.0
    if law.law == "uniform":
        kurtosis = 1.8
    elif law.law == "truncated_normal":
        kurtosis = _laws.truncated_moments(*_ends(law))[2]
    else:
        kurtosis = 3.0
    ends = [abs(end - mean) / std for end in (law.low, law.high) if end is not None]
    # A normal value lies farther out only once in 1e20 values.
    reach = max(ends) if len(ends) == 2 else 9.5 * (law.sigma or std) / std
    if _is_coarse(mean, std, law, dtype):
        mean, std, kurtosis, reach = _rounded_moments(law, dtype)
    return Reference(law, dtype, mean, std, kurtosis, reach)


# If the steps of a dtype are wider than this share of the std, rounding adds more than 1/10,000 to
# the variance.  A test on a billion values detects that.
_COARSE = 0.03


def _is_coarse(mean: float, std: float, law: Law, dtype: DType) -> bool:
    """Whether rounding changes the moments: for 8-bit types, and for laws far from zero."""
    low, high = mean - 4.0 * std, mean + 4.0 * std
    low = low if law.low is None else max(low, law.low)
    high = high if law.high is None else min(high, law.high)
    largest = dtypes.rounded(max(abs(low), abs(high)), dtype)
    return dtypes.smallest_above(largest, dtype) - largest > _COARSE * std


def _center(law: Law) -> tuple[float, float]:
    """Mean and std of the normal before its truncation."""
    center = law.mean if law.center is None else law.center
    return center or 0.0, law.sigma if law.sigma is not None else law.std or 0.0


def _ends(law: Law) -> tuple[float, float]:
    """The bounds of a truncated normal, in units of sigma."""
    center, sigma = _center(law)
    low = -math.inf if law.low is None else (law.low - center) / sigma
    high = math.inf if law.high is None else (law.high - center) / sigma
    return low, high


def cdf(law: Law, x: float) -> float:
    """The probability that a value, before rounding, is at most x."""
    if law.law == "uniform":
        low, high = law.low or 0.0, law.high or 0.0
        return min(max((x - low) / (high - low), 0.0), 1.0)
    center, sigma = _center(law)
    z = (x - center) / sigma
    if law.law == "normal":
        return 0.5 * math.erfc(-z / math.sqrt(2.0))
    low, high = _ends(law)
    z = min(max(z, low), high)
    if low > 0.0:  # use upper tails there: they keep their precision
        below, area = _above(low) - _above(z), _above(low) - _above(high)
    else:
        below, area = _above(-z) - _above(-low), _above(-high) - _above(-low)
    return below / area if area else math.nan  # beyond 38 sigma the area underflows


def _above(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _rounded_moments(law: Law, dtype: DType) -> tuple[float, float, float, float]:
    """Mean, std, kurtosis and reach of a law's values after rounding to a dtype."""
    center, sigma = _center(law)
    low = center - 10.0 * sigma if law.low is None else law.low
    high = center + 10.0 * sigma if law.high is None else law.high
    values = [dtypes.smallest_at_least(low, dtype)]
    last = dtypes.largest_below(high, dtype)  # a draw stays within its bounds
    while values[-1] < last:
        values.append(dtypes.smallest_above(values[-1], dtype))
    middles = [0.5 * (a + b) for a, b in zip(values, values[1:], strict=False)]
    below = [0.0, *(cdf(law, middle) for middle in middles), 1.0]
    weights = [b - a for a, b in zip(below, below[1:], strict=False)]
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True))
    second = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))
    if not second:
        return mean, 0.0, 1.0, 0.0
    fourth = math.fsum(w * (v - mean) ** 4 for w, v in zip(weights, values, strict=True))
    std = math.sqrt(second)
    reach = max(abs(v - mean) for w, v in zip(weights, values, strict=True) if w > 0.0) / std
    return mean, std, fourth / (second * second), reach


# -------------------------------------------------------------------------------------------- tests


def tests(found: Statistics, law: Law, dtype: DType) -> list[Test]:
    """Test range, mean, variance and distribution of a tensor against a law in TESTED.

    The tensor must be finite. A law that rounds to a single value in the dtype gets no test.
    """
    exact = reference(law, dtype)
    if not exact.std:
        return []
    shift = (found.mean - exact.mean) / exact.std
    spread = (found.std / exact.std) ** 2 + shift * shift
    return [
        *_bounds(found, law, dtype),
        *_far(found, law, dtype),
        _tails(found, law, dtype),
        _mean(found, exact, shift),
        _variance(found, exact, spread),
        _distribution(found, law),
    ]


def _bounds(found: Statistics, law: Law, dtype: DType) -> list[Test]:
    """p is 0 if a value lies beyond a bound by more than rounding explains."""
    results = []
    for name, bound, end, sign in (
        ("min", law.low, found.min, -1.0),
        ("max", law.high, found.max, 1.0),
    ):
        if bound is None:
            continue
        rounded = dtypes.rounded(bound, dtype)
        # Numbers of laws in files are rounded to seven digits.
        allowed = max(sign * bound, sign * rounded) + 1e-6 * abs(bound)
        beyond = sign * end - allowed
        if beyond > 0.0:
            results.append(Test(name, bound, end, beyond / (law.std or 1.0), 0.0))
    return results


def share(low: float, high: float, law: Law, dtype: DType) -> float:
    """The probability that a rounded draw lies in [low, high], both values of the dtype."""
    below, above = dtypes.largest_below(low, dtype), dtypes.smallest_above(high, dtype)
    # A draw stays within its bounds: the outermost values get all probability rounded past them.
    first = 0.0 if law.low is not None and below <= law.low else cdf(law, 0.5 * (below + low))
    last = 1.0 if law.high is not None and above >= law.high else cdf(law, 0.5 * (high + above))
    return last - first


def _far(found: Statistics, law: Law, dtype: DType) -> list[Test]:
    """Test the farthest value on each unbounded side: by the union bound, p is at most n times the
    probability of a single value.
    """
    center, sigma = _center(law)
    low, high = _ends(law)
    area = _above(low) - _above(high) if low > 0.0 else _above(-high) - _above(-low)
    results = []
    for name, bound, value, sign in (
        ("min", law.low, found.min, -1.0),
        ("max", law.high, found.max, 1.0),
    ):
        if bound is not None or not area:
            continue
        step = dtypes.largest_below if sign > 0.0 else dtypes.smallest_above
        z = sign * (0.5 * (value + step(value, dtype)) - center) / sigma
        p = min(1.0, found.count * _above(z) / area)
        usual = center + sign * sigma * math.sqrt(2.0 * math.log(found.count + 1.0))
        results.append(Test(name, usual, value, (value - center) / sigma, p))
    return results


def _tails(found: Statistics, law: Law, dtype: DType) -> Test:
    """Test how much of the law lies beyond all values: the share within the range of n values has
    the distribution of the range of n uniforms.
    """
    count = found.count
    grid = _grid(law, dtype) if law.law == "uniform" else _FAR
    within = min(1.0, share(found.min, found.max, law, dtype) + 2.0 * grid)
    expected = count * (1.0 - within)
    p = 0.0 if within <= 0.0 else math.exp((count - 1) * math.log(within)) * (expected + within)
    return Test("values in the tails", expected, 0.0, -math.sqrt(expected), min(1.0, p))


def _bennett(count: int, variance: float, reach: float, t: float) -> float:
    """P(mean of n values >= t), for values with mean 0 that are at most `reach`."""
    u = reach * t / variance
    return math.exp(-count * variance / reach**2 * ((1.0 + u) * math.log1p(u) - u))


def _mean(found: Statistics, exact: Reference, shift: float) -> Test:
    z = shift * math.sqrt(found.count)
    if exact.kurtosis == 3.0:  # a normal that rounding does not change
        p = math.erfc(abs(z) / math.sqrt(2.0))
    else:
        p = min(1.0, 2.0 * _bennett(found.count, 1.0, exact.reach, abs(shift)))
    return Test("mean", exact.mean, found.mean, z, p)


def _variance(found: Statistics, exact: Reference, spread: float) -> Test:
    """Test the mean square around the law's mean; `spread` is its ratio to the law's variance."""
    if exact.kurtosis == 3.0:
        p = chi_square(found.count, spread)
    else:
        variance = exact.kurtosis - 1.0
        reach = max(exact.reach**2 - 1.0, 1e-9) if spread > 1.0 else 1.0
        p = min(1.0, 2.0 * _bennett(found.count, variance, reach, abs(spread - 1.0)))
    z = (spread - 1.0) * math.sqrt(found.count / (exact.kurtosis - 1.0))
    std = math.sqrt(spread) * exact.std
    return Test("std", exact.std, std, z, p)


def chi_square(count: int, spread: float) -> float:
    """P(a chi-square divided by its degrees of freedom is this far from 1), by Chernoff's bound."""
    rate = spread - 1.0 - math.log(spread) if spread > 0.0 else math.inf
    return min(1.0, 2.0 * math.exp(-0.5 * count * rate))


def _distribution(found: Statistics, law: Law) -> Test:
    """Test the largest distance from the law's distribution, over the edges of the histogram."""
    below, largest, at = 0, 0.0, (0.0, 0.0)
    edges = found.histogram.edges
    for edge, count in zip(edges[1:-1], found.histogram.counts[:-1], strict=True):
        below += int(count)
        expected = cdf(law, float(edge))
        distance = abs(below / found.count - expected)
        if distance > largest:
            largest, at = distance, (expected, below / found.count)
    p = min(1.0, 2.0 * math.exp(-2.0 * found.count * largest * largest))
    return Test("distribution", *at, largest, p)


def too_many(found: int, count: int, share: float) -> float:
    """P(at least `found` of `count` values), each with probability `share`."""
    if found <= count * share:
        return 1.0
    if share <= 0.0:
        return 0.0
    rate = found / count
    distance = rate * math.log(rate / share)
    if rate < 1.0:
        distance += (1.0 - rate) * math.log((1.0 - rate) / (1.0 - share))
    return math.exp(-count * distance)


def _grid(law: Law, dtype: DType) -> float:
    """The share of one point of the grid on which a generator's uniforms may lie."""
    return _NARROW_GRID if dtype.itemsize < 4 and law.law == "uniform" else _GRID


def small_shares(law: Law, dtype: DType) -> tuple[float, float]:
    """The largest shares of zeros, and of subnormal numbers, that a law gives in a dtype."""
    grid = _grid(law, dtype)
    smallest = math.ldexp(1.0, 1 - dtype.bias - dtype.mantissa)
    half, normal = 0.5 * smallest, math.ldexp(1.0, 1 - dtype.bias)
    zeros = cdf(law, half) - cdf(law, -half)
    subnormals = cdf(law, normal) - cdf(law, -normal)
    return zeros + grid, subnormals + grid
