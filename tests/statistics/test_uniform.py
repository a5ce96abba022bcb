"""Uniforms over all 2^24 values of u, in every narrow dtype; samples of truncated normals and of
float8 means.

Uniforms are not sampled: every possible u goes through the draw and store of the reference engine,
so the count of each value is compared with exact arithmetic.  Mutants, which have planted defects,
must be reported.  Words of truncated normals: unit/reference/test_truncated.py.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import statistics_cases as cases

import fastinit as fi
from fastinit import reference
from fastinit._core import draws
from fastinit._core import math as _math
from fastinit._core.dtypes import BFLOAT16, FLOAT8_E4M3FN, FLOAT16, FLOAT32, FLOATING

NARROW = pytest.mark.parametrize("dtype", FLOATING[2:], ids=lambda dtype: dtype.name)
PIECE = 1 << 20
ALL = 1 << 24
# low, high, symmetric by definition: bounds that narrow dtypes hold, and bounds they do not
RANGES = [
    (0.0, 1.0, False),
    (-0.0625, 0.0625, True),
    (-0.05103, 0.05103, True),
    (-0.3, 0.7, False),
    (1.0, 2.0, False),
]
EVERY_RANGE = pytest.mark.parametrize("bounds", RANGES, ids=str)


def every_u():
    for start in range(0, ALL, PIECE):
        yield np.arange(start, start + PIECE, dtype=np.uint32) << np.uint32(8) | np.uint32(
            start >> 16
        )


def library(bounds, dtype):
    parameters = draws.uniform(*bounds[:2], dtype, symmetric=bounds[2]).parameters
    return lambda w: reference.uniform_f32(w, *parameters)


def all_values(draw, dtype) -> cases.Histogram:
    histogram = cases.Histogram(dtype)
    for w in every_u():
        histogram.add(reference.store(draw(w).astype(np.float32), dtype.code))
    return histogram


def check_uniform(histogram: cases.Histogram, bounds) -> None:
    low, high, symmetric = bounds
    counts, values, ends = histogram.counts, histogram.values, histogram.ends.copy()
    lo, hi = float(np.float32(low)), float(np.float32(high))
    assert not counts[values >= hi].any(), "reaches high"
    assert not counts[values < lo].any(), "below low"
    mean = math.fsum(counts * values) / ALL
    assert not symmetric or abs(mean) < 1e-6 * high, f"mean {mean / high:.3g} of high"
    largest = values[values < hi].max()
    smallest = -largest if symmetric else values[values >= lo].min()
    ends[np.searchsorted(values, smallest)], ends[np.searchsorted(values, largest) + 1] = (
        -np.inf,
        np.inf,
    )
    expected = np.diff(cases.uniform_cdf(lo, hi)(ends)) * ALL
    expected[(values < smallest) | (values > largest)] = 0
    zero = values == 0
    assert (counts[zero] <= expected[zero] + 4).all(), (
        f"spike: {counts[zero]} zeros instead of {expected[zero]}"
    )
    worst = np.abs(
        counts - expected
    ).max()  # 4: the roundings of product, sum and tie, at either end of a cell
    assert worst <= 4, f"cells: a value comes {worst:.0f} times too often or too seldom"


@EVERY_RANGE
@NARROW
def test_each_value_of_a_narrow_uniform_occurs_as_often_as_its_cell_is_wide(dtype, bounds):
    check_uniform(all_values(library(bounds, dtype), dtype), bounds)


def torch_like(w):
    """A value that rounds up to high becomes low."""
    y = library((0.0, 1.0, False), FLOAT32)(w)
    return np.where(y.astype(BFLOAT16.numpy()).astype(np.float32) == 1, np.float32(0), y)


def seven_bits(w):
    return 1 + (w >> np.uint32(25)).astype(np.float32) * np.float32(2.0**-7)


def towards_zero(w):
    return (library(RANGES[0], FLOAT32)(w).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


def without_low_cells(w):
    """Subnormals of float8_e4m3fn flushed to zero."""
    y = library(RANGES[2], FLOAT8_E4M3FN)(w)
    return np.where(np.abs(y) < 2.0**-6, np.float32(0), y)


@pytest.mark.parametrize(
    ("defect", "dtype", "bounds", "mutant"),
    [
        ("reaches high", BFLOAT16, RANGES[0], library(RANGES[0], FLOAT32)),
        ("reaches high", FLOAT16, RANGES[0], lambda w: 1 - library(RANGES[0], FLOAT32)(w)),
        ("below low", BFLOAT16, RANGES[3], library(RANGES[3], FLOAT32)),
        ("spike", BFLOAT16, RANGES[0], torch_like),
        ("spike", BFLOAT16, RANGES[0], lambda w: seven_bits(w) - 1),
        (
            "spike",
            BFLOAT16,
            RANGES[0],
            lambda w: library(RANGES[0], BFLOAT16)(w & np.uint32(0xFFFF0000)),
        ),
        ("cells", BFLOAT16, RANGES[4], seven_bits),
        ("cells", BFLOAT16, RANGES[0], towards_zero),
        ("mean", FLOAT8_E4M3FN, RANGES[1], library((*RANGES[1][:2], False), FLOAT8_E4M3FN)),
        ("mean", BFLOAT16, RANGES[1], library((*RANGES[1][:2], False), BFLOAT16)),
        ("spike", FLOAT8_E4M3FN, RANGES[2], without_low_cells),
    ],
    ids=[
        "rounds up to high",
        "u in (0, 1]",
        "below low",
        "torch's zeros",
        "7 bits",
        "16 bits",
        "7 bits above 1",
        "rounded towards zero",
        "float8 not symmetric",
        "bfloat16 not symmetric",
        "flushed subnormals",
    ],
)
def test_each_defect_of_the_uniform_is_seen(defect, dtype, bounds, mutant):
    with pytest.raises(AssertionError, match=defect):
        check_uniform(all_values(mutant, dtype), bounds)


def check_float32(draw, bounds) -> None:
    last, distinct = -math.inf, 0
    lo, hi = np.float32(bounds[0]), np.float32(bounds[1])
    for w in every_u():
        y = draw(w)
        assert y.max() < hi, "reaches high"
        assert y.min() >= lo, "below low"
        assert y[0] >= last and (np.diff(y) >= 0).all(), "order"
        distinct += 1 + int((np.diff(y) > 0).sum()) - int(y[0] == last)
        last = y[-1]
    exact = Fraction(float(hi)) - Fraction(float(lo))
    assert float(last) >= float(hi) - 3 * float(exact) * 2.0**-24, "end"
    assert bounds[:2] != (0.0, 1.0) or distinct == ALL, f"distinct: only {distinct}"


@EVERY_RANGE
def test_every_float32_uniform_is_inside_in_order_and_goes_to_the_end(bounds):
    check_float32(library(bounds, FLOAT32), bounds)


@pytest.mark.parametrize(
    ("defect", "mutant"),
    [
        ("reaches high", lambda w: np.float32(1) - library(RANGES[0], FLOAT32)(w)),
        ("reaches high", lambda w: w.astype(np.float32) * np.float32(2.0**-32)),
        ("below low", lambda w: library(RANGES[0], FLOAT32)(w) - np.float32(2.0**-24)),
        ("distinct", lambda w: library(RANGES[0], FLOAT32)(w & np.uint32(0xFFFFFE00))),
        ("end", lambda w: library(RANGES[0], FLOAT32)(w) * np.float32(0.9999)),
    ],
    ids=["u in (0, 1]", "32 bits rounded", "below low", "23 bits", "span too short"],
)
def test_each_defect_of_the_float32_uniform_is_seen(defect, mutant):
    with pytest.raises(AssertionError, match=defect):
        check_float32(mutant, RANGES[0])


def test_float64_uniforms_stay_inside_at_the_ends_of_the_words():
    x = np.array([0, 2**11 - 1, 2**11, 2**64 - 2**11, 2**64 - 1], np.uint64)
    for low, high, symmetric in RANGES:
        y = reference.uniform_f64(x, *draws.uniform(low, high, FLOATING[0], symmetric).parameters)
        assert (y >= low).all() and (y < high).all()
        assert high - y[-1] <= 2 * (high - low) * 2.0**-53


# --------------------------------------------------------------------------- means of narrow dtypes

MEAN_ZERO = [
    "he_uniform",
    "he_normal",
    "xavier_uniform",
    "xavier_normal",
    "lecun_uniform",
    "lecun_normal",
    "fan_in_uniform",
    "normal",
    "truncated_normal",
]


@pytest.mark.parametrize("name", MEAN_ZERO)
@NARROW
def test_symmetric_initializers_have_mean_zero_in_narrow_dtypes(name, dtype):
    """With fan_in 1536 the bound of he_uniform is 0.0625, which every dtype holds: without
    symmetric limits -0.0625 would occur and +0.0625 never.
    """
    values = getattr(fi, name)((1024, 1536), seed=11, name="w", dtype=dtype.name).astype(np.float64)
    cases.check_mean_zero(values, values.std())
    shifted = np.where(np.random.default_rng(1).random(values.shape) < 0.01, values.min(), values)
    with pytest.raises(AssertionError, match="mean"):
        cases.check_mean_zero(shifted, values.std())


@pytest.mark.native
def test_a_float8_uniform_that_keeps_only_its_lower_bound_has_its_mean_wrong():
    shape, std = (11000, 1536), 0.0625 / math.sqrt(3)
    arguments = {"seed": 11, "name": "w", "dtype": "float8_e4m3fn"}
    cases.check_mean_zero(fi.he_uniform(shape, **arguments).astype(np.float32), std)
    with pytest.raises(AssertionError, match="mean"):
        cases.check_mean_zero(
            fi.uniform(shape, low=-0.0625, high=0.0625, **arguments).astype(np.float32), std
        )


# -------------------------------------------------------------------------------- truncated normals

BOUNDS = [(-2.0, 2.0), (-3.0, 1.0), (0.0, math.inf), (1.0, 3.0)]
COUNT = 1 << 22


def truncated_histogram(dtype, bounds, mutant=None) -> cases.Histogram:
    histogram, drawn = cases.Histogram(dtype), draws.truncated_normal(0.0, 1.0, *bounds, dtype)
    if mutant is None:
        histogram.add(cases.draw(drawn, dtype, COUNT))
    else:
        float32 = draws.truncated_normal(0.0, 1.0, *bounds, FLOAT32)
        z = mutant(
            lambda w: reference.truncated.truncated_normal_f32(w, *float32.parameters),
            cases.words(COUNT),
        )
        histogram.add(
            reference.store(np.clip(z, *drawn.parameters[3:5]).astype(np.float32), dtype.code)
        )
    # what the clamp moves to the last values inside is theirs
    if dtype.itemsize < 4:
        inside = [np.searchsorted(histogram.values, v) for v in drawn.parameters[3:5]]
        histogram.ends[: inside[0] + 1], histogram.ends[inside[1] + 1 :] = -np.inf, np.inf
    return histogram


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("dtype", FLOATING, ids=lambda dtype: dtype.name)
def test_every_value_occurs_as_often_as_the_truncated_normal_says(dtype, bounds):
    cases.check_chi_square(truncated_histogram(dtype, bounds), cases.truncated_cdf(*bounds))


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(lambda draw, w: np.clip(cases.honest(w), -2, 2), id="clamped, with spikes"),
        pytest.param(lambda draw, w: draw(w) * np.float32(1.01), id="std off by 1 %"),
        pytest.param(lambda draw, w: draw(w & np.uint32(0xFF000000)), id="uniform of 8 bits"),
        pytest.param(
            lambda draw, w: np.where(w % 1024 == 0, np.float32(-2), draw(w)),
            id="1/1024 at the bound",
        ),
    ],
)
@pytest.mark.parametrize("dtype", FLOATING[1:5], ids=lambda dtype: dtype.name)
def test_each_defect_of_the_truncated_normal_is_seen(dtype, mutant):
    with pytest.raises(AssertionError, match="chi-square"):
        cases.check_chi_square(
            truncated_histogram(dtype, (-2.0, 2.0), mutant), cases.truncated_cdf(-2.0, 2.0)
        )


def check_small_std(values: np.ndarray, std: float) -> None:
    """torch's trunc_normal_ put values at 1000 sigma for std 0.002 and bounds of 2: kurtosis 28122
    (pytorch #155588).
    """
    z = values.astype(np.float64) / std
    kurtosis = np.mean(z**4) / np.mean(z**2) ** 2
    assert abs(kurtosis - 3.0) / math.sqrt(24 / z.size) < cases.LIMIT, f"kurtosis {kurtosis}"
    assert np.abs(z).max() < 6.8, f"outlier at {np.abs(z).max()} sigmas"
    cases.check_std(z, 1.0, 3.0)
    cases.check_mean_zero(z, 1.0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_bounds_of_a_thousand_sigmas_leave_a_normal(dtype):
    values = fi.truncated_normal(
        COUNT, std=0.002, low=-2.0, high=2.0, bounds="absolute", seed=5, dtype=dtype
    )
    check_small_std(values, 0.002)
    outliers = values.copy()
    outliers[1000:1002] = 2.0
    low_resolution = (cases.jax_like_bfloat16(cases.words(COUNT)) * np.float32(0.002)).astype(
        values.dtype
    )
    for mutant in (outliers, low_resolution):
        with pytest.raises(AssertionError, match="kurtosis"):
            check_small_std(mutant, 0.002)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_truncated_normal_with_corrected_std_has_it(dtype):
    values = fi.truncated_normal(COUNT, std=0.02, correct_std=True, seed=6, dtype=dtype).astype(
        np.float64
    )
    exact = _math.truncated_std(-2.0, 2.0)
    cases.check_std(values, 0.02, 3.0)  # the kurtosis is less: 3 is the wider limit
    with pytest.raises(AssertionError, match="std"):
        cases.check_std(values, 0.02 * exact, 3.0)
    assert np.abs(values).max() < 0.04 / exact * (1 + 1e-7)
