"""P-values are upper bounds: of draws that follow their law none is small, of others all are."""

import math

import numpy as np
import pytest

import fastinit as fi
from fastinit import _laws
from fastinit._core import dtypes
from fastinit.inspection import goodness, statistics

TESTS = ("values in the tails", "mean", "std", "distribution")
LAWS = {
    "normal": ("normal", {"mean": 0.1, "std": 0.02}),
    "uniform": ("uniform", {"low": -0.3, "high": 0.1}),
    "cut": ("truncated_normal", {"std": 0.02}),
    "one side": ("truncated_normal", {"low": 0.5, "high": math.inf, "bounds": "absolute"}),
    "far": ("truncated_normal", {"low": 3.0, "high": 3.5, "bounds": "absolute"}),
}


def law(name, **changed):
    initializer, own = LAWS[name]
    return _laws.law("w", (100,), initializer, {**own, **changed})


def measured(name, size, seed, dtype="float32"):
    initializer, own = LAWS[name]
    values = getattr(fi, initializer)(size, **own, seed=seed, dtype=dtype)
    return statistics.statistics(values)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("size", [2, 7, 100, 4000])
def test_p_values_of_draws_are_no_smaller_than_chance_allows(name, size):
    draws = 200
    open_ends = {"normal": ["min", "max"], "one side": ["max"]}.get(name, [])
    smallest = {key: [] for key in (*open_ends, *TESTS)}
    for seed in range(draws):
        for test in goodness.tests(measured(name, size, seed), law(name), dtypes.FLOAT32):
            smallest[test.name].append(test.p)
    for key, found in smallest.items():
        assert len(found) == draws
        # P(p <= x) <= x: of 200 the count below 0.05 is at most 10 by mean, and 25 by chance.
        assert sum(p <= 0.05 for p in found) <= 25
        assert min(found) > (1e-4 if key in ("mean", "std", "distribution") else 1e-5)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_a_large_draw_of_every_dtype_is_on_its_law(name, dtype):
    found = measured(name, 400_000, 5, dtype)
    tests = goodness.tests(found, law(name), dtypes.resolve(dtype))
    assert {test.name for test in tests} >= {*TESTS} and min(test.p for test in tests) > 1e-4


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("name", ["normal", "uniform", "cut"])
def test_draws_of_8_bits_are_compared_with_the_rounded_law(name, dtype):
    kind = dtypes.resolve(dtype)
    found = measured(name, 400_000, 5, dtype)
    tests = goodness.tests(found, law(name), kind)
    assert min(test.p for test in tests) > 1e-4
    # The moments before rounding would not do: a mutant of the reference.
    exact = goodness.reference(law(name), kind)
    assert abs(exact.std - law(name).std) > 1e-4 * law(name).std


@pytest.mark.parametrize("name", LAWS)
def test_a_wrong_scale_mean_or_shape_is_found(name):
    found = measured(name, 50_000, 1)
    right = law(name)
    wider = right._replace(std=1.1 * right.std, sigma=right.sigma and 1.1 * right.sigma)
    moved = right._replace(mean=right.mean + 0.1 * right.std)
    normal = _laws.Law("w", 1, (100,), "normal", right.mean, right.std)
    alike = name == "normal"
    for other, fails in ((wider, True), (moved, True), (normal, not alike)):
        other = other._replace(low=None, high=None) if other.law != "uniform" else other
        p = min(test.p for test in goodness.tests(found, other, dtypes.FLOAT32))
        assert (p < 1e-9) == fails, other


def test_a_value_beyond_a_bound_has_no_probability():
    values = fi.uniform(1000, low=-0.5, high=0.5, seed=0)
    bounded = _laws.law("w", (1000,), "uniform", {"low": -0.5, "high": 0.5})
    assert all(
        one.p for one in goodness.tests(statistics.statistics(values), bounded, dtypes.FLOAT32)
    )
    values[3] = 0.51
    tests = goodness.tests(statistics.statistics(values), bounded, dtypes.FLOAT32)
    assert [test.name for test in tests if not test.p] == ["max"]


def test_bounds_rounded_to_a_narrow_dtype_are_within():
    # 0.3 is rounded up in bfloat16, which values cast from float32 may reach.
    values = np.full(50, 0.3, np.float32)
    values[::2] = -0.3
    bounded = _laws.law("w", (50,), "uniform", {"low": -0.3, "high": 0.3})
    narrow = (values.view(np.uint32) + 0x8000 >> 16).astype(np.uint16)
    found = statistics.statistics(narrow, "bfloat16")
    assert found.max > 0.3
    names = {test.name for test in goodness.tests(found, bounded, dtypes.BFLOAT16)}
    assert not names & {"min", "max"}


def test_the_normal_and_chi_square_tails_are_those_of_tables():
    found = statistics.statistics(np.array([1.0, 3.0], np.float64))
    normal = _laws.Law("w", 1, (2,), "normal", 0.0, 1.0)
    (*_, mean, std, _) = goodness.tests(found, normal, dtypes.FLOAT64)
    assert mean.statistic == pytest.approx(2 * math.sqrt(2))
    assert mean.p == pytest.approx(0.004677735, rel=1e-6)  # of two sides
    assert std.found == pytest.approx(math.sqrt(5))
    # The chi-square of 2 degrees above 10 has exp(-5); the bound lies above it.
    assert math.exp(-5) < std.p < 30 * math.exp(-5)


@pytest.mark.parametrize("ends", [(-2.0, 2.0), (0.5, math.inf), (3.0, 3.5), (-math.inf, -1.0)])
def test_the_distribution_of_a_truncated_normal_is_its_share_of_the_normal(ends):
    cut = _laws.truncated("w", (3,), 0.25, 2.0, 0.25 + 2 * ends[0], 0.25 + 2 * ends[1])
    phi = lambda z: 0.5 * math.erfc(-z / math.sqrt(2))  # noqa: E731
    low, high = max(ends[0], -6), min(ends[1], 6)
    for z in np.linspace(low, high, 7):
        expected = (phi(z) - phi(ends[0])) / (phi(ends[1]) - phi(ends[0]))
        assert goodness.cdf(cut, 0.25 + 2 * z) == pytest.approx(expected, abs=1e-9)


def test_too_many_is_a_bound_on_the_binomial_tail():
    for count, share, found in ((100, 0.1, 25), (1000, 1e-6, 3), (50, 0.5, 50)):
        tail = sum(
            math.comb(count, k) * share**k * (1 - share) ** (count - k)
            for k in range(found, count + 1)
        )
        bound = goodness.too_many(found, count, share)
        assert tail * (1 - 1e-12) <= bound <= 100 * tail
    assert goodness.too_many(9, 100, 0.1) == 1.0
    assert goodness.too_many(1, 100, 0.0) == 0.0


def test_a_normal_without_its_tails_and_one_far_value_are_found():
    right = law("normal")
    values = fi.normal(20_000, mean=0.1, std=0.02, seed=0).astype(np.float64)

    def smallest(values):
        found = goodness.tests(statistics.statistics(values), right, dtypes.FLOAT64)
        return min(found, key=lambda test: test.p)

    assert smallest(values).p > 1e-3
    far = values.copy()
    far[77] = 0.1 + 0.02 * 8
    assert smallest(far)[:3:2] == ("max", far[77]) and smallest(far).p < 1e-9
    kept = np.abs(values - 0.1) < 0.05
    cut = np.where(kept, values, 0.2 - values[::-1])
    cut = np.clip(cut, 0.1 - 0.0499, 0.1 + 0.0499)
    assert smallest(cut).name == "values in the tails" and smallest(cut).p < 1e-9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn"])
@pytest.mark.parametrize("name", ["normal", "uniform", "cut"])
def test_the_shares_of_a_dtypes_values_are_the_share_of_draws(name, dtype):
    kind = dtypes.resolve(dtype)
    initializer, own = LAWS[name]
    values = getattr(fi, initializer)(50_000, **own, seed=2, dtype=dtype).astype(np.float64)
    for low, high in ((values[0], values[0]), (values.min(), np.median(values))):
        within = ((values >= low) & (values <= high)).mean()
        assert goodness.share(low, high, law(name), kind) == pytest.approx(within, abs=0.01)
    assert goodness.share(values.min(), values.max(), law(name), kind) > 0.9995
