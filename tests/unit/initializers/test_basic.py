"""Constants in every dtype; bounds and the corrected standard deviation of truncated_normal."""

import math

import numpy as np
import pytest
from rules import FLOATS, decided

import fastinit as fi
from fastinit._core.math import truncated_std


def test_bounds_in_sigmas_and_absolute_bounds_agree():
    sigmas = decided("truncated_normal", (3,), std=0.02, low=-1.5, high=3.0)
    absolute = decided(
        "truncated_normal", (3,), std=0.02, low=-1.5 * 0.02, high=3.0 * 0.02, bounds="absolute"
    )
    assert sigmas == absolute


@pytest.mark.parametrize(
    "sigmas, factor", [(1, 0.5395601), (2, 0.8796257), (3, 0.9865784), (4, 0.9994645)]
)
def test_the_correction_of_the_std_has_the_known_factors(sigmas, factor):
    bounds = {"low": -sigmas, "high": sigmas}
    found = decided("truncated_normal", (3,), std=0.5, correct_std=True, **bounds)
    assert found == decided(
        "truncated_normal", (3,), std=0.5 / truncated_std(-sigmas, sigmas), **bounds
    )
    assert truncated_std(-sigmas, sigmas) == pytest.approx(factor, abs=5e-8)


@pytest.mark.parametrize(
    "mean, std, low, high",
    [
        (0.0, 0.5, -1.0, 1.0),
        (0.3, 0.25, -1.0, 0.5),
        (0.0, 0.2, 1.0, math.inf),
        (0.0, 0.02, -2.0, 2.0),
        (-1.0, 0.3, -math.inf, -0.9),
    ],
)
def test_a_correction_with_absolute_bounds_reaches_the_std(mean, std, low, high):
    from fastinit.initializers.basic import _sigma_for_absolute

    sigma = _sigma_for_absolute(mean, std, low, high)
    assert sigma >= std
    assert sigma * truncated_std((low - mean) / sigma, (high - mean) / sigma) == pytest.approx(
        std, rel=1e-12
    )


def test_a_corrected_std_that_no_normal_has_is_an_error():
    with pytest.raises(ValueError, match="a flat density there has only about 0.57735"):
        fi.truncated_normal(3, std=0.6, low=-1.0, high=1.0, bounds="absolute", correct_std=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"low": -1.0, "high": 3.0},
        {"mean": 5.0, "low": 0.5, "high": 0.7},
        {"low": 1.0, "high": math.inf},
        {"low": -1.1, "high": 1.3, "bounds": "absolute"},
    ],
)
def test_only_corrected_draws_have_the_requested_std(arguments):
    asked = pytest.approx(0.5, rel=3e-3)
    assert (
        np.std(fi.truncated_normal(2_000_000, std=0.5, correct_std=True, seed=1, **arguments))
        == asked
    )
    assert (
        np.std(fi.truncated_normal(2_000_000, std=0.5, correct_std=False, seed=1, **arguments))
        != asked
    )


EVERY = [*FLOATS, "bool", *[f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]]


@pytest.mark.parametrize("dtype", EVERY)
def test_zeros_and_ones_fill_every_dtype(dtype):
    zeros, ones = fi.zeros((3, 5), dtype=dtype), fi.ones((3, 5), dtype=dtype)
    assert zeros.dtype.name == ones.dtype.name == dtype
    assert not zeros.astype(np.float64).any() and (ones.astype(np.float64) == 1).all()


def test_integer_constants_are_exact_beyond_the_doubles():
    assert (fi.constant(3, value=2**63 + 1, dtype="uint64") == np.uint64(2**63 + 1)).all()
    assert (fi.constant(3, value=-(2**63), dtype="int64") == np.iinfo(np.int64).min).all()
    assert fi.constant(3, value=True, dtype="bool").all()
    assert (fi.constant(3, value=np.float32(7), dtype="int8") == 7).all()


def test_a_constant_keeps_its_sign_of_zero():
    assert np.signbit(fi.constant(3, value=-0.0)).all()
    assert not np.signbit(fi.constant(3, value=0.0)).any()
