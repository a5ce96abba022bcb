"""The verdict on one tensor: from its numbers and its law, with the evidence in words.

It reads only the few values from a file that a law requires.  goodness.py has the tests.  audit.py
gathers the numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .. import _laws
from .._core import dtypes
from .._core.dtypes import DType
from .._laws import Law
from . import goodness
from .goodness import Test
from .statistics import Statistics

INITIAL = "initial"
ON_LAW = "on its law"
OFF_LAW = "off its law"
NEVER_FILLED = "never filled"
TWIN = "twin"
UNKNOWN = "unknown"
MISSING = "missing"
FAULTS = (NEVER_FILLED, TWIN, OFF_LAW, MISSING)
ORDER = (*FAULTS, UNKNOWN, ON_LAW, INITIAL)  # the most serious first

# The false alarm rate for a whole checkpoint.  A tensor fails if the smallest p-value of its tests,
# times the number of all tests, lies below this.
LEVEL = 1e-6
TESTS = 9  # per tensor, at most
# If no law is known: trained or drawn tensors never have this share of subnormal numbers.
_SUBNORMALS = 0.01


class Row(NamedTuple):
    """The verdict on one tensor.

    Attributes
    ----------
    name, file, dtype : str
        Of the tensor; the file is its name without the folder.
    shape : tuple of int
        Of the tensor.
    verdict : str
        "initial", "on its law", "off its law", "never filled", "twin", "unknown" or "missing".
    law : str
        What was expected, in words; "" where nothing was.
    test : str
        What failed, or came nearest to it.
    expected, found, statistic : float or None
        Of that test.
    p : float or None
        An upper bound of its p-value, times the number of tests of the whole checkpoint.
    correlation : float or None
        With the values of the same tensor in another checkpoint, of a sample.
    twin : str
        The tensor that it is a copy of.
    detail : str
        The evidence in words.
    """

    name: str
    verdict: str
    file: str = ""
    dtype: str = ""
    shape: tuple[int, ...] = ()
    law: str = ""
    test: str = ""
    expected: float | None = None
    found: float | None = None
    statistic: float | None = None
    p: float | None = None
    correlation: float | None = None
    twin: str = ""
    detail: str = ""


def judge(row: Row, found: Statistics, law: Law | None, dtype: DType, tests: int) -> Row:
    """The verdict from a tensor's statistics; `tests` counts all tests of the checkpoint."""
    if law is not None and _has_one_value(law, dtype):
        mean = goodness.reference(law, dtype).mean if law.std else law.mean
        law = law._replace(law="constant", mean=mean, std=0.0)
    fault = _unfilled(found, law, dtype, tests)
    if fault:
        return row._replace(verdict=NEVER_FILLED, detail=fault)
    if law is None:
        return row._replace(verdict=UNKNOWN, detail=_described(found))
    if law.law == "constant":
        return _constant(row, found, law, dtype)
    if not dtype.is_float:
        return row._replace(
            verdict=OFF_LAW, p=0.0, detail=f"{dtype.name}, where a draw of floats is due"
        )
    if law.law == "sparse":
        return _decided(row, _sparse(found, law, dtype), tests)
    if law.law == "orthogonal" and law.std is not None:
        return _orthogonal(row, found, law, dtype)
    if law.law in goodness.TESTED:
        results = goodness.tests(found, law, dtype)
        if results:
            return _decided(row, results, tests)
    return row._replace(verdict=UNKNOWN, detail=f"no distribution to test: {law.rule or law.law}")


def _has_one_value(law: Law, dtype: DType) -> bool:
    """Whether every draw is the same number: the std is 0, or the dtype rounds all to one value."""
    if law.law not in goodness.TESTED or not dtype.is_float:
        return False
    return not law.std or not goodness.reference(law, dtype).std


def _described(found: Statistics) -> str:
    if found.min == found.max:
        return f"all {found.count} values are {found.min:.6g}"
    return f"mean {found.mean:.6g}, std {found.std:.6g}"


def _unfilled(found: Statistics, law: Law | None, dtype: DType, tests: int) -> str:
    """The evidence that all or part of a tensor was never filled; "" if there is none."""
    if found.nonfinite:
        return f"{found.nonfinite} of {found.count} values are not finite"
    if not dtype.is_float:
        return ""
    one_value = found.min == found.max
    if one_value and law is not None and law.random and found.count > 1:
        chance = 0.0
        if law.law in goodness.TESTED:  # a dtype may round nearly all of a law to one value
            chance = goodness.share(found.min, found.max, law, dtype) ** found.count
        if chance * tests < LEVEL:
            return f"all {found.count} values are {found.min:.6g}, where a draw is due"
    if one_value or (law is not None and law.law not in (*goodness.TESTED, _laws.UNKNOWN)):
        return ""
    if found.repeated_pages:
        return f"{found.repeated_pages} of {found.pages} pages of 4 KiB are copies of others"
    if law is not None and law.law in goodness.TESTED:
        zeros, small = goodness.small_shares(law, dtype)
        if goodness.too_many(found.zeros, found.count, zeros) * tests < LEVEL:
            return f"{found.zeros} of {found.count} values are zero, where a draw is due"
        if goodness.too_many(found.subnormals, found.count, small) * tests < LEVEL:
            return f"{found.subnormals} of {found.count} values are subnormal"
        return ""
    # In float16 and float8, small weights are legitimately subnormal.
    wide = dtype.itemsize > 1 and dtype is not dtypes.FLOAT16
    if wide and found.subnormals > max(_SUBNORMALS * found.count, 1):
        return f"{found.subnormals} of {found.count} values are subnormal"
    return ""


def _constant(row: Row, found: Statistics, law: Law, dtype: DType) -> Row:
    value = law.mean or 0.0
    held = dtypes.rounded(value, dtype) if dtype.is_float else value
    # Numbers of laws in files are rounded to seven digits.
    near = abs(found.min - held) <= 1e-6 * abs(held) + 2 * abs(held - value)
    if found.min == found.max and near:
        return row._replace(verdict=ON_LAW, detail=f"all values are {found.min:.6g}")
    return row._replace(
        verdict=OFF_LAW,
        test="constant",
        expected=held,
        found=found.mean,
        p=0.0,
        detail=f"{_described(found)}, expected {held:.6g} everywhere",
    )


_ORDER = (
    *("zeros", "norms", "std", "mean", "min", "max"),
    *("values in the tails", "distribution"),
)


def _decided(row: Row, results: list[Test], tests: int) -> Row:
    """Decide by the test with the smallest p-value; among equals, by the most informative one."""
    worst = min(results, key=lambda test: (test.p, _ORDER.index(test.name)))
    corrected = min(1.0, worst.p * tests)
    return row._replace(
        verdict=OFF_LAW if corrected < LEVEL else ON_LAW,
        test=worst.name,
        expected=worst.expected,
        found=worst.found,
        statistic=worst.statistic,
        p=corrected,
        detail=str(worst),
    )


def _sparse(found: Statistics, law: Law, dtype: DType) -> list[Test]:
    """Test the share of zeros, which must be exact, and the std of all values."""
    share = found.zeros / found.count
    due = law.zeros or 0.0
    extra = found.zeros - round(due * found.count)
    if abs(extra) <= 1e-7 * found.count:  # numbers of laws in files are rounded to seven digits
        extra = 0
    # A few of the other values round to zero in narrow dtypes.
    chance = goodness.small_shares(_normal(law), dtype)[0]
    p = 0.0 if extra < 0 else goodness.too_many(extra, found.count, chance)
    results = [Test("zeros", due, share, share - due, p)]
    kept = found.count - found.zeros
    std = math.sqrt((found.std**2 + found.mean**2) * found.count / max(kept, 1))
    spread = (std / (law.std or 1.0)) ** 2 * (1.0 - due)
    p = goodness.chi_square(kept, spread) if kept else 1.0
    z = (spread - 1.0) * math.sqrt(kept / 2.0)
    return [*results, Test("std", law.std or 0.0, std * math.sqrt(1.0 - due), z, p)]


def _normal(law: Law) -> Law:
    """The law of the values that are not zero."""
    std = (law.std or 0.0) / math.sqrt(1.0 - (law.zeros or 0.0)) if law.zeros != 1.0 else 1.0
    return Law("", 1, law.shape, "normal", 0.0, std)


def _orthogonal(row: Row, found: Statistics, law: Law, dtype: DType) -> Row:
    """Check the norms of the rows or columns of the shorter side: each must equal the gain."""
    gain = (law.std or 0.0) * math.sqrt(max(law.shape))
    slack = gain * 4.0 * 2.0 ** -(dtype.mantissa + 1) + 1e-6 * gain
    norms = found.row_norms if law.shape[0] <= law.shape[1] else found.col_norms
    if norms is None:
        return row._replace(verdict=UNKNOWN, detail="too small to tell an orthogonal matrix")
    far = max((norms.min, norms.max), key=lambda norm: abs(norm - gain))
    off = abs(far - gain) > slack
    result = Test("norms", gain, far, (far - gain) / slack, float(not off))
    return _decided(row, [result], 1)


def judge_against(
    row: Row, found: Statistics, other: Statistics, likeness: float, tests: int
) -> Row:
    """The verdict by the tensor of the same name in another checkpoint.

    `likeness` is the correlation of a sample of their values.
    """
    if found.digest == other.digest and found.count == other.count:
        return row._replace(verdict=INITIAL, detail="equals the other checkpoint's bit for bit")
    if found.nonfinite and not other.nonfinite:
        detail = f"{found.nonfinite} of {found.count} values are not finite"
        return row._replace(verdict=NEVER_FILLED, detail=detail)
    if found.min == found.max and other.min != other.max:
        detail = f"all {found.count} values are {found.min:.6g}, unlike the other checkpoint's"
        return row._replace(verdict=NEVER_FILLED, detail=detail)
    decided = _decided(row, _two_samples(found, other), tests)
    detail = f"{decided.detail}; correlation of the values {likeness:.3f}"
    return decided._replace(correlation=likeness, detail=detail)


def _two_samples(found: Statistics, other: Statistics) -> list[Test]:
    """Compare the means and variances of two tensors, by the normal approximation."""
    count = found.count
    error = math.sqrt((found.std**2 + other.std**2) / count)
    shift = found.mean - other.mean
    z = shift / error if error else math.copysign(math.inf, shift) if shift else 0.0
    results = [Test("mean", other.mean, found.mean, z, math.erfc(abs(z) / math.sqrt(2.0)))]
    kurtosis = max(found.excess_kurtosis, other.excess_kurtosis, 0.0) + 3.0
    variance = 0.5 * (found.std**2 + other.std**2)
    if variance and not math.isnan(kurtosis):
        error = variance * math.sqrt(2.0 * (kurtosis - 1.0) / count)
        z = (found.std**2 - other.std**2) / error
        p = math.erfc(abs(z) / math.sqrt(2.0))
        results.append(Test("std", other.std, found.std, z, p))
    return results
