"""LSTM and chrono biases against their formulas and statistics."""

import mpmath
import numpy as np
import scipy.linalg
import scipy.stats

from fastinit import recipes as r
from fastinit.initializers import uniform


def test_chrono_bias_is_the_logarithm_of_a_uniform_and_its_negative():
    # The uniform itself is tested with 10^6 values elsewhere; here a logarithm costs 14 µs.
    hidden, t_max = 30_000, 784
    bias = r.chrono_bias(4 * hidden, t_max=t_max, seed=6)
    incoming, forget, others = bias[:hidden], bias[hidden : 2 * hidden], bias[2 * hidden :]
    np.testing.assert_array_equal(incoming, -forget)
    assert not others.any()
    law = scipy.stats.uniform(1, t_max - 2).cdf
    assert scipy.stats.kstest(np.exp(forget.astype(np.float64)), law).pvalue > 1e-4
    # The mutant, as the package has it: 1 / t_max for t_max.
    assert scipy.stats.kstest(np.exp(-forget.astype(np.float64)), law).pvalue < 1e-8


def test_chrono_bias_is_the_rounded_logarithm_of_the_uniform_draw():
    for dtype in ("float32", "float64"):
        drawn = uniform(256, low=1.0, high=99.0, seed=1, name="b", dtype=dtype)
        expected = [float(mpmath.log(mpmath.mpf(float(value)))) for value in drawn[64:128]]
        bias = r.chrono_bias(256, t_max=100, seed=1, name="b", dtype=dtype)
        np.testing.assert_array_max_ulp(
            bias[64:128], np.array(expected).astype(dtype), 2 if dtype == "float64" else 0
        )
        gru = r.chrono_bias(192, t_max=100, gates="rfn", seed=1, name="b", dtype=dtype)
        np.testing.assert_array_equal(gru[64:128], bias[64:128])
        assert not gru[:64].any() and not gru[128:].any()


def test_chrono_bias_of_two_steps_is_zero():
    assert not r.chrono_bias(8, t_max=2, seed=0).any()


def test_lstm_bias_is_one_in_the_forget_gate_wherever_it_is():
    np.testing.assert_array_equal(r.lstm_bias(12), np.repeat([0, 1, 0, 0], 3))
    np.testing.assert_array_equal(
        r.lstm_bias(12, forget=0.5, gates="iofg"), np.repeat([0, 0, 0.5, 0], 3)
    )
