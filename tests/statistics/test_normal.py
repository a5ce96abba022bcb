"""Normals: each value against float64 on the same words, the exact reach, tails, moments, and every
value of the narrow dtypes.

Every check is also run on mutants, which have planted defects that it must report.  No single check
notices all of them: moments and KS miss a radius of 24 bits, and tails miss an angle of 12 bits.
"""

import math

import numpy as np
import pytest
import statistics_cases as cases

import fastinit as fi
from fastinit import reference
from fastinit._core import draws
from fastinit._core.dtypes import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, FLOATING, U64, WORDS64
from fastinit._core.engine import run
from fastinit._core.jobs import Job

EVERY = pytest.mark.parametrize("dtype", FLOATING, ids=lambda dtype: dtype.name)
TAILED = pytest.mark.parametrize(
    "dtype", [FLOAT32, BFLOAT16, FLOAT16], ids=lambda dtype: dtype.name
)
STANDARD = {dtype: draws.normal(0.0, 1.0, dtype) for dtype in FLOATING}


# ------------------------------------------------------------------------- word by word, in float64


def exact_normals(
    radius: np.ndarray, angle: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Box-Muller in float64 by the library's functions; the angle is reduced to an eighth of a turn
    in integers.
    """
    top = radius >> radius.dtype.type(width - 1) != 0
    near = np.where(top, ~radius, radius).astype(np.float64) + 0.5
    r = np.sqrt(-2.0 * np.where(top, np.log1p(-near * 2.0**-width), np.log(near * 2.0**-width)))
    signed = np.int32 if width == 32 else np.int64
    turn = (
        (angle << angle.dtype.type(2)).view(signed).astype(np.float64)
        * 2.0 ** -(width + 2)
        * (2.0 * math.pi)
    )
    quarter = (angle + angle.dtype.type(1 << (width - 3))) >> angle.dtype.type(width - 2)
    c, s = np.cos(turn), np.sin(turn)
    cosine = np.select([quarter == 0, quarter == 1, quarter == 2], [c, -s, -c], s)
    sine = np.select([quarter == 0, quarter == 1, quarter == 2], [s, c, -s], -c)
    return r * cosine, r * sine


def exact_f32(w: np.ndarray) -> np.ndarray:
    w = w.reshape(-1, 4, 16)
    z = np.empty(w.shape, np.float64)
    z[:, 0::2], z[:, 1::2] = exact_normals(w[:, 0::2], w[:, 1::2], 32)
    return z.reshape(-1)


def check_each(z: np.ndarray, exact: np.ndarray, ulps: float) -> None:
    error = np.abs(z - exact) / np.spacing(np.abs(exact).astype(z.dtype))
    assert error.max() <= ulps, f"ulps: {error.max():.1f} at value {error.argmax()}"


def test_every_float32_normal_is_within_8_ulp_of_float64_on_the_same_words():
    z = cases.draw(STANDARD[FLOAT32], FLOAT32, 1 << 21).view(np.float32)
    check_each(z, exact_f32(cases.words(1 << 21)), 8.0)


def test_every_float64_normal_is_within_12_ulp_of_the_library_functions():
    """Of the 12 ulp, 4 are for the errors of NumPy's logarithm, cosine and products.  (Compared
    with mpmath: sweep_normal.py.)
    """
    x = np.empty(1 << 20, np.uint64)
    run([Job(x, WORDS64, U64, cases.SEED, cases.STREAM, 0, (), 0, (1,))])
    z = cases.draw(STANDARD[FLOAT64], FLOAT64, 1 << 20).view(np.float64)
    x = x.reshape(-1, 2, 16)
    check_each(z, np.stack(exact_normals(x[:, 0], x[:, 1], 64), axis=1).reshape(-1), 12.0)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(cases.changed(radius=0xFFFFFF00), id="radius of 24 bits"),
        pytest.param(cases.changed(radius=0xFFFFFFFE), id="radius of 31 bits"),
        pytest.param(cases.changed(angle=0xFFF00000), id="angle of 12 bits"),
        pytest.param(cases.changed(angle=0xFFFFFF00), id="angle of 24 bits"),
        pytest.param(cases.cos_cos, id="cosine twice"),
        pytest.param(cases.shared_radius, id="pairs share a radius"),
        pytest.param(cases.scaled(1.001), id="std off by 0.1 %"),
        pytest.param(cases.scaled(1.000002), id="std off by 2e-6"),
        pytest.param(cases.clipped(4.5), id="clipped at 4.5"),
    ],
)
def test_each_defect_of_the_normal_is_seen_word_by_word(mutant):
    w = cases.words(1 << 20)
    check_each(cases.honest(w), exact_f32(w), 8.0)
    with pytest.raises(AssertionError, match="ulps"):
        check_each(mutant(w), exact_f32(w), 8.0)


def check_rounded_once(bits: np.ndarray, z: np.ndarray, dtype) -> None:
    wanted = z.astype(dtype.numpy()).view(dtype.unsigned)
    different = int((bits != wanted).sum())
    assert not different, f"rounding: {different} values"


@pytest.mark.parametrize("std", [1.0, 0.02])
@pytest.mark.parametrize("dtype", FLOATING[2:], ids=lambda dtype: dtype.name)
def test_narrow_normals_are_the_float32_ones_rounded_once(dtype, std):
    z = cases.draw(draws.normal(0.0, std, FLOAT32), FLOAT32, 1 << 20).view(np.float32)
    check_rounded_once(cases.draw(draws.normal(0.0, std, dtype), dtype, 1 << 20), z, dtype)
    towards_zero = (
        z.view(np.uint32) & np.uint32(0xFFFFFFFF << (23 - dtype.mantissa) & 0xFFFFFFFF)
    ).view(np.float32)
    mutants = [towards_zero] + [z.astype(np.float16).astype(np.float32)] * (
        dtype.itemsize == 1 or dtype is BFLOAT16
    )
    for mutant in mutants:
        with pytest.raises(AssertionError, match="rounding"):
            check_rounded_once(mutant.astype(dtype.numpy()).view(dtype.unsigned), z, dtype)


# ----------------------------------------------------------------------------- reach and finiteness

ENDS = [0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]  # of the radius word
EIGHTHS = [k * 2**29 for k in range(8)]


def end_words() -> np.ndarray:
    """A tile for each radius word, in both pairs; the angles of lanes 0 to 7 are the eighths of a
    turn, those of the other lanes the next words.
    """
    w = np.empty((len(ENDS), 4, 16), np.uint32)
    w[:, 0::2] = np.array(ENDS, np.uint32)[:, None, None]
    w[:, 1] = EIGHTHS + [k + 1 for k in EIGHTHS]
    w[:, 3] = [k + 2**29 - 1 for k in EIGHTHS] + [k + 2**28 for k in EIGHTHS]
    return w


def check_reach(z: np.ndarray, longest: float, shortest: float) -> None:
    z = np.abs(z.astype(np.float64)).reshape(len(ENDS), 4, 16)
    assert np.isfinite(z).all(), "finite: some values are not"
    assert abs(z.max() / longest - 1) < 2e-7, f"reach {z.max()} instead of {longest}"
    assert abs(z[-1].max() / shortest - 1) < 2e-7, (
        f"shortest radius {z[-1].max()} instead of {shortest}"
    )
    quarters = z[:, :2, 0:8:2]
    assert (quarters.min(axis=1) == 0).all() and (quarters.max(axis=1) > 0).all(), (
        "quarters of a turn give no zero"
    )


def test_the_ends_of_the_words_reach_6_76_and_no_further():
    w = end_words()
    longest, shortest = math.sqrt(66 * math.log(2)), 2.0**-16
    assert round(longest, 4) == 6.7637
    check_reach(cases.honest(w), longest, shortest)
    check_each(cases.honest(w), exact_f32(w), 8.0)
    with pytest.raises(AssertionError, match="reach"):
        check_reach(cases.changed(radius=0xFFFFFF00)(w | np.uint32(256)), longest, shortest)
    with pytest.raises(AssertionError, match="shortest"):  # cuRAND's: the top word rounds to u = 1
        check_reach(
            np.where(w.reshape(-1, 64)[:, :1] == 2**32 - 1, 0, cases.honest(w).reshape(-1, 64)),
            longest,
            shortest,
        )
    with pytest.raises(AssertionError, match="finite"):  # u = 0
        check_reach(
            np.where(w.reshape(-1, 64)[:, :1] == 0, np.inf, cases.honest(w).reshape(-1, 64)),
            longest,
            shortest,
        )


def test_the_ends_of_the_words_reach_9_49_in_float64():
    x = np.zeros((2, 2, 16), np.uint64)
    x[1, 0] = 2**64 - 1
    z = reference.normal_f64(x, 0.0, 1.0)
    assert z[0].max() == pytest.approx(math.sqrt(130 * math.log(2)), rel=1e-15)
    assert round(z[0].max(), 3) == 9.493
    assert z[1].max() == pytest.approx(2.0**-32, rel=1e-15)


@EVERY
def test_the_largest_allowed_std_gives_only_finite_values(dtype):
    std = dtype.largest / (9.5 if dtype.wide else 6.77) * (1 - 1e-9)
    drawn = draws.normal(0.0, std, dtype)
    if not dtype.wide:
        z = reference.normal_f32(end_words(), *drawn.parameters)
        stored = cases.decode(reference.store(z, dtype.code), dtype)
        assert np.isfinite(stored).all()
        assert np.abs(stored).max() > 0.9 * dtype.largest
        with np.errstate(over="ignore"):  # a reach of 7.5 would not do
            beyond = cases.decode(reference.store(z * np.float32(1.1), dtype.code), dtype)
        assert not np.isfinite(beyond).all()
    assert np.isfinite(cases.decode(cases.draw(drawn, dtype, 1 << 20), dtype)).all()


# --------------------------------------------------------------- tails, moments, every narrow value


@pytest.mark.native
@TAILED
def test_tails_beyond_4_and_4_5_and_5_hold_what_the_normal_has(dtype):
    cases.check_tails(cases.normal_histogram(dtype, 1 << 26))


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(cases.clipped(4.5), id="clipped at 4.5"),
        pytest.param(cases.clipped(4.9), id="clipped at 4.9"),
        pytest.param(cases.changed(radius=0xFFFF0000), id="radius of 16 bits"),
        pytest.param(cases.changed(radius=0xFF000000), id="old torch bfloat16, radius of 8 bits"),
        pytest.param(cases.jax_like_bfloat16, id="JAX-like bfloat16"),
    ],
)
@pytest.mark.native
@TAILED
def test_a_lost_tail_is_seen(dtype, mutant):
    with pytest.raises(AssertionError, match="tail"):
        cases.check_tails(cases.normal_histogram(dtype, 1 << 25, mutant))


def pieces(dtype, count=1 << 25):
    for first in range(0, count, 1 << 20):
        bits = cases.draw(STANDARD[dtype], dtype, 1 << 20, first)
        yield bits.view(dtype.numpy()).astype(np.float32 if dtype is BFLOAT16 else np.float64)


@pytest.mark.native
@pytest.mark.parametrize("dtype", FLOATING[:4], ids=lambda dtype: dtype.name)
def test_four_moments_are_those_of_the_normal(dtype):
    cases.check_moments(pieces(dtype))


@pytest.mark.native
@pytest.mark.parametrize(
    ("moment", "mutant"),
    [
        pytest.param(2, lambda z: z * 1.001, id="std off by 0.1 %"),
        pytest.param(1, lambda z: z + 0.002, id="mean off by 0.002"),
        pytest.param(3, lambda z: z + 0.001 * (z * z - 1), id="skewed"),
        pytest.param(4, lambda z: z * (1 + 5e-4 * (z * z - 3)), id="heavy tails"),
    ],
)
def test_moments_off_by_a_thousandth_are_seen(moment, mutant):
    with pytest.raises(AssertionError, match=f"moment {moment}"):
        cases.check_moments(mutant(z) for z in pieces(FLOAT32))


@EVERY
def test_every_value_occurs_as_often_as_the_normal_says(dtype):
    cases.check_chi_square(cases.normal_histogram(dtype, 1 << 22), cases.normal_cdf)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(cases.scaled(1.01), id="std off by 1 %"),
        pytest.param(cases.one_word_for_both, id="one word for radius and angle"),
        pytest.param(cases.changed(radius=0xFF000000), id="radius of 8 bits"),
        pytest.param(cases.jax_like_bfloat16, id="JAX-like bfloat16"),
        pytest.param(
            lambda w: np.where(np.arange(w.size) % 1024 == 1023, 0, cases.honest(w)),
            id="1/1024 left zero",
        ),
        pytest.param(
            lambda w: np.sort(cases.honest(w))[w.size // 1000 :], id="lowest 1/1000 missing"
        ),
        pytest.param(
            lambda w: np.sqrt(2) * cases.honest(np.repeat([w[:64]], w.size // 64, 0)),
            id="one tile again and again",
        ),
    ],
)
@pytest.mark.parametrize("dtype", FLOATING[1:], ids=lambda dtype: dtype.name)
def test_a_wrong_distribution_is_seen_in_every_dtype(dtype, mutant):
    with pytest.raises(AssertionError, match="chi-square"):
        cases.check_chi_square(
            cases.normal_histogram(dtype, 1 << 22, lambda w: mutant(w).astype(np.float32)),
            cases.normal_cdf,
        )


def check_distinct(histogram: cases.Histogram) -> None:
    distinct = int((histogram.counts > 0).sum())
    assert distinct > 3000, f"distinct: only {distinct}"


@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=lambda dtype: dtype.name)
def test_sixteen_bit_normals_take_thousands_of_values(dtype):
    check_distinct(cases.normal_histogram(dtype, 1 << 20))
    with pytest.raises(AssertionError, match="distinct"):
        check_distinct(cases.normal_histogram(dtype, 1 << 20, cases.jax_like_bfloat16))


@pytest.mark.parametrize("shape", [(1000, 1000), (512, 256, 3, 3), (4000, 300)], ids=str)
@pytest.mark.parametrize("family", ["he", "xavier", "lecun"])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_the_measured_std_is_the_papers_formula(kind, family, shape):
    """And that of the fans the wrong way round, or of forgotten kernel places, would be seen."""
    kernel = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * kernel, shape[0] * kernel
    variance = {"he": 2 / fan_in, "lecun": 1 / fan_in, "xavier": 2 / (fan_in + fan_out)}[family]
    values = getattr(fi, f"{family}_{kind}")(shape, seed=3, name="w").astype(np.float64)
    kurtosis = 3.0 if kind == "normal" else 1.8
    cases.check_std(values, math.sqrt(variance), kurtosis)
    cases.check_mean_zero(values, math.sqrt(variance))
    wrong = {"he": 2 / fan_out, "lecun": 1 / fan_out, "xavier": 1 / fan_in}[family]
    for other in {wrong, variance * kernel, variance * 1.01**2} - {variance}:
        with pytest.raises(AssertionError, match="std"):
            cases.check_std(values, math.sqrt(other), kurtosis)
