"""Gains: torch's values for torch's names, literal constants computed again by quadrature in
mpmath, and callables.
"""

import math

import mpmath
import numpy as np
import pytest

import fastinit as fi
from fastinit.gain import (
    _ELU_NEGATIVE_SIDE,
    _GAINS,
    _LINEAR,
    _NODES,
    _SQRT_2_PI,
    _WEIGHTS,
    _WITH_PARAM,
)


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def softplus(z):
    return mpmath.log1p(mpmath.exp(z))


# Written from the activations' definitions, for mpmath's numbers.
DEFINITIONS = {
    "gelu": lambda z: z * mpmath.ncdf(z),
    "gelu_tanh": lambda z: (
        z / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3)))
    ),
    "quick_gelu": lambda z: z * sigmoid(mpmath.mpf("1.702") * z),
    "silu": lambda z: z * sigmoid(z),
    "swish": lambda z: z * sigmoid(z),
    "mish": lambda z: z * mpmath.tanh(softplus(z)),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + abs(z)),
    "hardswish": lambda z: z * min(max(z + 3, 0), 6) / 6,
    "hardsigmoid": lambda z: min(max(z + 3, 0), 6) / 6,
    "hardtanh": lambda z: min(max(z, -1), 1),
    "relu6": lambda z: min(max(z, 0), 6),
    "relu_squared": lambda z: max(z, 0) ** 2,
    "logsigmoid": lambda z: -softplus(-z),
    "tanhshrink": lambda z: z - mpmath.tanh(z),
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "relu": lambda z: max(z, 0),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
}
CONVENTIONS = ("identity", "sigmoid", "tanh", "selu", *_LINEAR)
KINKS = [-30, -12, -6, -3, -1, 0, 1, 3, 6, 12, 30]


def exact_gain(activation):
    with mpmath.workdps(30):
        second_moment = mpmath.quad(lambda z: activation(z) ** 2 * mpmath.npdf(z), KINKS)
        return 1 / mpmath.sqrt(second_moment)


def test_every_named_gain_is_a_convention_or_is_computed_again_here():
    assert set(_GAINS) | set(_WITH_PARAM) == set(DEFINITIONS) | set(CONVENTIONS)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_named_gains_are_the_quadrature_of_their_definition(name):
    assert abs(fi.gain(name) / exact_gain(DEFINITIONS[name]) - 1) < 2.3e-16


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 1.6732632423543772, -2.0])
def test_elu_takes_any_alpha(alpha):
    expected = exact_gain(lambda z: z if z > 0 else mpmath.mpf(alpha) * mpmath.expm1(z))
    assert abs(fi.gain("elu", alpha) / expected - 1) < 3e-16


@pytest.mark.frameworks
def test_gains_of_torchs_names_are_torchs_values():
    ours = {
        name: fi.gain(name) for name in (*_LINEAR, "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    }
    assert all(type(value) is float for value in ours.values())
    assert {ours.pop(name) for name in (*_LINEAR, "sigmoid")} == {1.0}
    assert ours == {
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
        "selu": 0.75,
    }
    import torch

    for name, value in ours.items():
        assert value == torch.nn.init.calculate_gain(name)
    for slope in [0, 0.01, 0.2, 10, -1.5]:
        assert fi.gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)


def test_leaky_relu_takes_numpy_scalars_which_torch_refuses():
    for slope in [np.float32(0.25), np.float64(0.25), np.float16(0.25)]:
        assert fi.gain("leaky_relu", slope) == fi.gain("leaky_relu", 0.25)
    assert fi.gain("leaky_relu", np.int64(1)) == fi.gain("leaky_relu", 1) == 1.0


@pytest.mark.parametrize(
    "activation, name",
    [
        (lambda z: max(z, 0.0), "relu"),
        (lambda z: z if z > 0 else 0.01 * z, "leaky_relu"),
        (lambda z: z, "linear"),
        (lambda z: np.maximum(z, 0), "relu"),
        (lambda z: np.float32(z) if z > 0 else np.float32(0), "relu"),
        (lambda z: z / (1 + math.exp(-z)), "silu"),
        (lambda z: 0.5 * z * (1 + math.erf(z / math.sqrt(2))), "gelu"),
        (lambda z: math.log1p(math.exp(z)), "softplus"),
        (lambda z: z * min(max(z + 3, 0), 6) / 6, "hardswish"),
        (lambda z: z if z > 0 else math.expm1(z), "elu"),
        (lambda z: min(max(z, -1), 1), "hardtanh"),
    ],
)
def test_the_gain_of_a_callable_is_that_of_its_name(activation, name):
    float32 = type(activation(1.0)) is np.float32
    assert fi.gain(activation) == pytest.approx(fi.gain(name), rel=1e-7 if float32 else 1e-14)


def test_the_second_moment_of_tanh_is_not_torchs_convention():
    assert fi.gain(math.tanh) == pytest.approx(1.5925374197228315, rel=1e-14)


def test_a_callable_with_a_kink_off_the_grid_is_good_to_six_digits():
    at = 0.3141
    expected = 1 / mpmath.sqrt(mpmath.quad(lambda z: (z - at) ** 2 * mpmath.npdf(z), [at, 3, 30]))
    assert fi.gain(lambda z: max(z - at, 0.0)) == pytest.approx(float(expected), rel=1e-6)


def test_quadrature_nodes_and_weights_are_those_of_gauss_and_legendre():
    with mpmath.workdps(30):
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            root = mpmath.findroot(lambda x: mpmath.legendre(16, x), node)
            slope = mpmath.diff(lambda x: mpmath.legendre(16, x), root)
            assert float(root) == node
            assert float(2 / ((1 - root**2) * slope**2)) == weight
        assert float(mpmath.sqrt(2 * mpmath.pi)) == _SQRT_2_PI
        negative_side = mpmath.quad(
            lambda z: mpmath.expm1(z) ** 2 * mpmath.npdf(z), [-30, -12, -6, -3, -1, 0]
        )
        assert float(negative_side) == _ELU_NEGATIVE_SIDE


BAD = [
    (("gleu",), ValueError, "did you mean 'gelu'"),
    (("xyz",), ValueError, "known are"),
    ((None,), TypeError, "a name or a callable"),
    ((3,), TypeError, "a name or a callable"),
    (("relu", 0.1), ValueError, "relu has no param"),
    (("leaky_relu", True), TypeError, "param must be a real number"),
    (("leaky_relu", np.True_), TypeError, "param must be a real number"),
    (("leaky_relu", "0.1"), TypeError, "param must be a real number"),
    (("leaky_relu", [0.1]), TypeError, "param must be a real number"),
    (("leaky_relu", 1j), TypeError, "param must be a real number"),
    (("leaky_relu", math.nan), ValueError, "finite"),
    (("leaky_relu", math.inf), ValueError, "finite"),
    (("leaky_relu", 1e200), ValueError, "too large"),
    (("elu", 1e200), ValueError, "too large"),
    ((math.tanh, 0.1), ValueError, "bound"),
    ((lambda z: 0.0,), ValueError, "E f"),
    ((lambda z: math.nan,), ValueError, "E f"),
    ((lambda z: 1e200 * z,), ValueError, "E f"),
    ((lambda z: "z",), ValueError, "could not convert"),
    ((lambda z: 1j,), TypeError, "complex"),
]


@pytest.mark.parametrize("arguments, error, message", BAD)
def test_unknown_activations_and_wrong_parameters_are_clear_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        fi.gain(*arguments)
