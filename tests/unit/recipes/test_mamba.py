"""Mamba's bias of step sizes against the source's formula and its law."""

import mpmath
import numpy as np
import pytest
import scipy.stats

from fastinit import recipes as r
from fastinit.initializers import uniform


def bias_of(step):
    """mamba_ssm: dt + log(-expm1(-dt))."""
    with mpmath.workdps(40):
        dt = mpmath.mpf(step)
        return float(dt + mpmath.log(-mpmath.expm1(-dt)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bias_is_the_published_formula_of_the_uniform_draw(dtype):
    low, high = float(mpmath.log(0.001)), float(mpmath.log(0.1))
    drawn = uniform(200, low=low, high=high, seed=3, name="dt", dtype=dtype)
    expected = [bias_of(float(mpmath.exp(float(one)))) for one in drawn]
    bias = r.mamba_dt_bias(200, seed=3, name="dt", dtype=dtype)
    np.testing.assert_array_max_ulp(
        bias, np.array(expected).astype(dtype), 2 if dtype == "float64" else 0
    )


def test_steps_are_uniform_in_the_logarithm_between_their_ends():
    bias = r.mamba_dt_bias(4000, dt_min=0.002, dt_max=0.5, seed=6, dtype="float64")
    steps = np.log(np.log1p(np.exp(bias)))
    law = scipy.stats.uniform(np.log(0.002), np.log(0.5) - np.log(0.002)).cdf
    assert scipy.stats.kstest(steps, law).pvalue > 1e-4
    # The mutant: a step that is uniform itself.
    wrong = scipy.stats.uniform(0.002, 0.498).rvs(4000, random_state=1)
    assert scipy.stats.kstest(np.log(wrong), law).pvalue < 1e-8


def test_steps_shorter_than_the_floor_are_set_to_it():
    bias = r.mamba_dt_bias(500, dt_floor=0.01, seed=6, dtype="float64")
    free = r.mamba_dt_bias(500, seed=6, dtype="float64")
    floor = bias_of(0.01)
    np.testing.assert_array_equal(bias, np.maximum(free, floor))
    assert 150 < (bias == floor).sum() < 350  # half of the decades from 0.001 to 0.1
