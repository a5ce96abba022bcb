"""The activations: their values against other sources, their derivatives against differences."""

import math

import numpy as np
import pytest

from fastinit.diagnostics.activations import ACTIVATIONS, activation

X = np.linspace(-6, 6, 2001) + 1e-4  # beside ReLU's kink


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_is_the_derivative(name):
    one, step = ACTIVATIONS[name], 1e-5
    difference = (one.f(X + step) - one.f(X - step)) / (2 * step)
    # Of gelu, both are as exact as its normal distribution function and that one's slope.
    assert np.abs(one.slope(X) - difference).max() < 1e-6


def test_gelu_is_x_times_the_normal_distribution_function():
    exact = [x * 0.5 * math.erfc(-x / math.sqrt(2)) for x in X]
    assert np.abs(activation("gelu").f(X) - exact).max() < 3e-7


def test_silu_is_x_over_one_plus_exp_of_minus_x_and_does_not_overflow():
    assert activation("silu").f(X) == pytest.approx(X / (1 + np.exp(-X)), rel=1e-9)
    assert activation("silu").f(np.array([-1e4, 1e4])).tolist() == [0.0, 1e4]


def test_an_unknown_activation_is_named_with_what_there_is():
    with pytest.raises(ValueError, match="did you mean 'gelu'"):
        activation("geluu")
    with pytest.raises(ValueError, match="linear, tanh, relu, gelu, silu"):
        activation("xyz")
