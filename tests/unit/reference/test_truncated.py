"""The truncated normal is near the exact quantile and increasing, has no spike at a bound, and has
the right moments, in both working types and all three forms.

Here z of the reference engine is compared with mpmath at chosen words (the native engine has the
same bits: test_equal_bits.py).  tests/derivation/sweep_truncated.py compares every word at 2 sigma,
and samples of 2^25 words elsewhere.
"""

import math
import random

import mpmath  # noqa: E402
import numpy as np
import pytest

from fastinit._core import draws, dtypes
from fastinit._core import math as _math
from fastinit._core import truncated as _truncated
from fastinit.reference import truncated

mpf = mpmath.mpf
INFINITY = math.inf
WORKING = pytest.mark.parametrize(
    "dtype", [dtypes.FLOAT32, dtypes.FLOAT64], ids=lambda dtype: dtype.name
)
BOUNDS = [
    (-2.0, 2.0),
    (-1.0, 1.0),
    (0.0, INFINITY),
    (1.0, INFINITY),
    (-INFINITY, -2.5),
    (-1.0, 3.0),
    (2.5, INFINITY),
    (8.0, 10.0),
    (9.0, INFINITY),
    (-100.0, 100.0),
    (100.0, 101.0),
    (-1000.0, 1000.0),
    (-3.0, 3.0),
    (1.0, 1.001),
    (0.0, 2.0),
    (-0.001, 0.002),
    (-INFINITY, 0.3),
    (3.0, 4.0),
    (0.5, 0.6),
    (4.0, 4.5),
    (1000.0, INFINITY),
    (-5.0, 1e-6),
    (-6.0, -5.0),
    (0.0, 0.001),
]
EVERY_BOUND = pytest.mark.parametrize("bounds", BOUNDS, ids=str)


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(60), np.errstate(under="ignore"):
        yield


def z_of(words, bounds, dtype):
    """z, by a call whose mean, std and clamp change nothing."""
    form, *k = _truncated.parameters(*bounds, dtype)
    draw = truncated.truncated_normal_f64 if dtype.wide else truncated.truncated_normal_f32
    largest = float(np.finfo(dtype.numpy()).max)
    return draw(
        np.array(words, np.uint64 if dtype.wide else np.uint32),
        form,
        0.0,
        1.0,
        -largest,
        largest,
        *k,
    )


def upper(x):
    return mpf(x < 0) if mpmath.isinf(x) else mpmath.erfc(mpf(x) / mpmath.sqrt(2)) / 2


def quantile(bounds, p, start):
    """Φ⁻¹(Φ(α) + p (Φ(β) − Φ(α))) by Newton's iteration on the logarithm of the nearer tail."""
    alpha, beta = bounds
    if beta <= 0:
        return -quantile((-beta, -alpha), 1 - p, -start)
    tail = upper(alpha) - p * (upper(alpha) - upper(beta))
    if tail > mpf(1) / 2:
        return -quantile((-beta, -alpha), 1 - p, -start)
    z = mpf(start)
    for _ in range(4):
        density = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
        z += mpmath.log(upper(z) / tail) * upper(z) / density
    return z


def chosen_words(bounds, dtype):
    """The ends, powers of two from either end, both sides of z = 0, and some at random."""
    width = 64 if dtype.wide else 32
    last = (1 << width) - 1
    rng = random.Random(width)
    words = {
        0,
        1,
        2,
        last,
        last - 1,
        last // 2,
        last // 2 + 1,
        *(rng.getrandbits(width) for _ in range(40)),
    }
    words |= {end for k in range(width) for end in (1 << k, last - (1 << k))}
    form, *k = _truncated.parameters(*bounds, dtype)
    if form == _truncated.WIDE:
        first = (int(k[1]) << 32) + int(k[2]) if dtype.wide else int(k[0])
        words |= {first + step for step in (-1000, -2, -1, 0, 1, 2, 10**6)}
    return sorted(w for w in words if 0 <= w <= last)


@WORKING
@EVERY_BOUND
def test_every_value_is_within_8_ulp_of_the_exact_quantile(bounds, dtype):
    words = chosen_words(bounds, dtype)
    width, precision = (64, 53) if dtype.wide else (32, 24)
    for w, z in zip(words, z_of(words, bounds, dtype).tolist(), strict=True):
        exact = quantile(bounds, (2 * mpf(w) + 1) / mpf(2) ** (width + 1), z)
        ulp = mpf(2) ** (mpmath.floor(mpmath.log(abs(exact), 2)) - precision + 1)
        assert abs(z - exact) <= 8 * ulp, (w, z)


@WORKING
@EVERY_BOUND
def test_values_never_decrease_as_the_word_grows(bounds, dtype):
    kind, width = (np.uint64, 64) if dtype.wide else (np.uint32, 32)
    rng = np.random.default_rng(7)
    for start in (
        0,
        2**width - 2**14,
        2 ** (width - 1) - 2**13,
        *rng.integers(0, 2**31, 6).tolist(),
    ):
        run = np.arange(2**14, dtype=kind) + kind(start)
        assert np.all(np.diff(z_of(run, bounds, dtype)) >= 0)
    scattered = np.sort(rng.integers(0, 2**width, 2**15, dtype=kind))
    assert np.all(np.diff(z_of(scattered, bounds, dtype)) >= 0)


def stored_up_to(parameters, dtype, value):
    """Of all words, how many store at most `value`: by bisection, since values do not decrease."""
    draw = truncated.truncated_normal_f64 if dtype.wide else truncated.truncated_normal_f32
    width, kind = (64, np.uint64) if dtype.wide else (32, np.uint32)
    low, high = -1, 1 << width
    while high - low > 1:
        middle = (low + high) // 2
        y = float(draw(np.array([middle], kind), *parameters)[0])
        if dtypes.rounded(y, dtype) <= value:
            low = middle
        else:
            high = middle
    return low + 1


def mass(alpha, beta, low, high):
    """The share of the normal kept to [low, high] that lies in [alpha, beta]; all in sigmas."""
    return between(alpha, beta) / between(low, high)


def between(a, b):
    # From the tail that keeps the digits.
    return upper(-b) - upper(-a) if b <= 0 else upper(a) - upper(b)


# mean, std, and whether every dtype or the two working types.
SPIKES = [
    (0.0, 1.0, True),
    (0.0, 0.02, True),
    (0.0, 0.37, False),
    (1.0, 1.0, False),
    (-0.25, 0.5, False),
]


@EVERY_BOUND
def test_no_bound_collects_more_than_twice_the_mass_of_its_last_cell(bounds):
    """Checked only where the last value's cell, from the bound to the middle before the next value,
    holds any words, and where the arithmetic of mean + std * z is not coarser than the destination.
    """
    checked = 0
    for mean, std, every in SPIKES:
        low, high = mean + std * bounds[0], mean + std * bounds[1]
        for dtype in dtypes.FLOATING if every else [dtypes.FLOAT32, dtypes.FLOAT64]:
            try:
                parameters = draws.truncated_normal(mean, std, low, high, dtype).parameters
            except ValueError:
                continue  # no value inside in this dtype
            lowest, highest = parameters[3:5]
            if lowest == highest:
                continue
            words = 2 ** (64 if dtype.wide else 32)
            alpha, beta = (low - mean) / std, (high - mean) / std
            for value, end, inner in (
                (lowest, low, dtypes.smallest_above(lowest, dtype)),
                (highest, high, dtypes.largest_below(highest, dtype)),
            ):
                if math.isinf(end) or abs(value) < abs(mean) * 2.0**-20:
                    continue
                middle = ((mpf(value) + mpf(inner)) / 2 - mpf(mean)) / mpf(std)
                at_low = value == lowest
                cell = (
                    mass(alpha, middle, alpha, beta) if at_low else mass(middle, beta, alpha, beta)
                )
                if cell * words < 2:
                    continue
                below = stored_up_to(parameters, dtype, value if at_low else inner)
                count = below if at_low else words - below
                assert count <= 2 * cell * words, (
                    mean,
                    std,
                    dtype.name,
                    value,
                    count,
                    float(cell * words),
                )
                checked += 1
    assert checked or bounds in ((100.0, 101.0), (-100.0, 100.0), (-1000.0, 1000.0))


def moments_are_wrong(z, bounds, dtype):
    alpha, beta = bounds
    exact = _math.truncated_std(alpha, beta)
    place = alpha if abs(alpha) < abs(beta) else beta
    resolution = abs(place) * 2.0 ** (-52 if dtype.wide else -23)  # of z itself, for 1000 sigma
    a, b = (min(max(mpf(x), -(mpf(10) ** 6)), mpf(10) ** 6) for x in bounds)
    mean = (
        (mpmath.exp(-a * a / 2) - mpmath.exp(-b * b / 2))
        / mpmath.sqrt(2 * mpmath.pi)
        / between(a, b)
    )
    return (
        abs(z.std() - exact) > 2e-5 * exact + resolution
        or abs(z.mean() - float(mean)) > 2e-6 * exact + resolution
    )


def evenly(bounds, dtype):
    """z at 2^20 equally spaced words: a quadrature, not a sample, so the tolerance is
    narrow.
    """
    width, kind = (64, np.uint64) if dtype.wide else (32, np.uint32)
    words = (np.arange(2**20, dtype=kind) << kind(width - 20)) + kind(2 ** (width - 21))
    return z_of(words, bounds, dtype).astype(np.float64)


@WORKING
@EVERY_BOUND
def test_mean_and_std_are_those_of_the_truncated_normal(bounds, dtype):
    assert not moments_are_wrong(evenly(bounds, dtype), bounds, dtype)


def test_the_moments_would_show_a_bound_off_by_a_thousandth():
    assert moments_are_wrong(evenly((-2.001, 2.001), dtypes.FLOAT32), (-2.0, 2.0), dtypes.FLOAT32)
    assert moments_are_wrong(
        evenly((1.001, INFINITY), dtypes.FLOAT32), (1.0, INFINITY), dtypes.FLOAT32
    )


def test_bounds_a_thousand_sigma_off_change_nothing():
    """torch's trunc_normal_ once had outliers at 2 for std 0.002 (pytorch #155588); here the
    largest value is that of a normal.
    """
    parameters = draws.truncated_normal(0.0, 0.002, -2.0, 2.0, dtypes.FLOAT32).parameters
    w = np.random.default_rng(11).integers(0, 2**32, 2**21, dtype=np.uint32)
    w[:4] = 0, 1, 2**32 - 1, 2**32 - 2
    y = truncated.truncated_normal_f32(w, *parameters).astype(np.float64) / 0.002
    assert 6.2 < np.abs(y).max() < 6.5
    assert abs((y**4).mean() / (y**2).mean() ** 2 - 3.0) < 0.02
