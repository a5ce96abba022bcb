"""Mean-field theory: its integrals are compared with closed forms and mpmath, its layers with wide
random layers.
"""

import math

import mpmath
import numpy as np
import pytest

from fastinit.diagnostics import compare, theory
from fastinit.diagnostics.activations import activation


@pytest.mark.parametrize("power", [1e-12, 0.3, 1.0, 7.0, 1e12])
def test_linear_and_relu_are_exact(power):
    for name, share in (("linear", 1.0), ("relu", 0.5)):
        one = activation(name)
        assert theory.mean_square(one.f, power) == pytest.approx(share * power, rel=1e-12)
        assert theory.mean_square(one.slope, power) == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("power", [0.01, 1.0, 9.0])
def test_tanh_and_gelu_are_their_integrals(power):
    def integral(f):
        density = lambda z: f(mpmath.sqrt(power) * z) ** 2 * mpmath.npdf(z)  # noqa: E731
        return float(mpmath.quad(density, [-12, -4, -1, 0, 1, 4, 12]))

    tanh, gelu = integral(mpmath.tanh), integral(lambda x: x * mpmath.ncdf(x))
    assert theory.mean_square(activation("tanh").f, power) == pytest.approx(tanh, rel=1e-10)
    assert theory.mean_square(activation("gelu").f, power) == pytest.approx(gelu, rel=1e-6)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_products_of_relu_are_the_arc_cosine_kernel(correlation):
    """Cho and Saul 2009: (sin θ + (π - θ) cos θ) / 2π, and (π - θ) / 2π of the slopes."""
    angle, relu = math.acos(correlation), activation("relu")
    kernel = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    slopes = (math.pi - angle) / (2 * math.pi)
    assert theory.mean_product(relu.f, 1.0, correlation) == pytest.approx(kernel, rel=2e-3)
    assert theory.mean_product(relu.slope, 1.0, correlation) == pytest.approx(slopes, rel=0.02)


def test_softmax_moments_at_their_limits():
    uniform = 1 / theory.TOKENS
    even = theory._softmax_moments(1e-12, 0.0)
    assert (even.same, even.other) == pytest.approx((uniform, uniform), rel=1e-4)
    one_wins = theory._softmax_moments(1e8, 0.0)
    assert one_wins.same == pytest.approx(1.0, abs=0.01)
    assert one_wins.other == pytest.approx(uniform, rel=0.1)  # two queries choose alike by chance
    alike = theory._softmax_moments(1e8, 0.999999)
    assert alike.same == pytest.approx(alike.other, abs=0.02)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize(
    ("stack", "depth", "tolerance"),
    [("plain", 4, 0.25), ("residual", 6, 0.1), ("transformer-block", 4, 0.1)],
)
@pytest.mark.parametrize("init", ["xavier_normal", "he_uniform"])
def test_wide_random_layers_do_what_theory_says(name, stack, depth, tolerance, init):
    (curve,) = compare(init, name, stack=stack, depth=depth, width=192, batch=64).curves
    assert curve.forward == pytest.approx(curve.forward_theory, rel=tolerance)
    assert curve.backward == pytest.approx(curve.backward_theory, rel=tolerance)
    # The lines say something: they are further from 1 than what is allowed here.
    ends = np.array([curve.forward_theory[-1], curve.backward_theory[0]])
    assert (stack == "plain" and init == "he_uniform") or (np.abs(ends - 1) > tolerance).all()
