"""fastinit.keras in complex dtypes: the laws and the values of fastinit.jax, on each backend."""

import math

import keras
import numpy as np
import pytest
from keras_cases import BACKEND, same

import fastinit as fi
import fastinit.keras as init
from fastinit import _complex

PROCESSES = ("keras_on_jax", "keras_on_torch", "keras_on_numpy")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

DTYPES = ["complex64"] + ["complex128"] * (BACKEND != "jax")
SHAPE = (200, 500)
# For every random class, E|w - mean|**2 of its elements.
RANDOM = {
    "RandomNormal": (init.RandomNormal(stddev=0.5, seed=3), 0.25),
    "VarianceScaling": (init.VarianceScaling(3.0, "fan_out", "untruncated_normal", 3), 3 / 500),
    "HeNormal": (init.HeNormal(seed=3), 2 / 200),
    "HeUniform": (init.HeUniform(seed=3), 2 / 200),
    "LecunNormal": (init.LecunNormal(seed=3), 1 / 200),
    "LecunUniform": (init.LecunUniform(seed=3), 1 / 200),
    "GlorotNormal": (init.GlorotNormal(seed=3), 2 / 700),
    "GlorotUniform": (init.GlorotUniform(seed=3), 2 / 700),
}


def complex_numbers(tensor):
    return np.asarray(tensor.detach() if BACKEND == "torch" else tensor)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RANDOM)
def test_the_mean_square_is_what_the_formula_says(name, dtype):
    initializer, square = RANDOM[name]
    drawn = initializer(SHAPE, dtype=dtype)
    assert keras.backend.standardize_dtype(drawn.dtype) == dtype
    w = complex_numbers(drawn).astype(np.complex128)
    bound = 5 / math.sqrt(w.size)
    assert abs((abs(w) ** 2).mean() / square - 1) < bound
    assert abs(w.mean()) / math.sqrt(square) < bound and abs((w**2).mean()) / square < 2 * bound
    again = complex_numbers(initializer(SHAPE, dtype=dtype))
    assert np.array_equal(again, complex_numbers(drawn))


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_those_of_the_real_draws_and_the_mean_is_real(dtype):
    real = {"complex64": "float32", "complex128": "float64"}[dtype]
    parts = fi.normal((5, 7, 2), std=0.5 * math.sqrt(0.5), seed=3, dtype=real)
    drawn = complex_numbers(init.RandomNormal(1.5, 0.5, seed=3)((5, 7), dtype=dtype))
    parts[..., 0] += parts.dtype.type(1.5)
    assert np.array_equal(drawn, parts.view(dtype)[..., 0])


def test_the_values_are_the_same_on_every_backend():
    law = _complex.law(
        "variance_scaling",
        {"scale": 2.0, "mode": "fan_in", "distribution": "truncated_normal", "layout": "io"},
        (30, 20),
        _complex.PARTS["complex64"],
    )
    expected = _complex.values(law, (30, 20), _complex.PARTS["complex64"], None, 3, None)
    same(init.HeNormal(seed=3)((30, 20), dtype="complex64"), expected)


def test_classes_without_randomness_and_unitary_matrices():
    for drawn, expected in (
        (init.Zeros()((2, 3), dtype="complex64"), np.zeros((2, 3))),
        (init.Ones()((2, 3), dtype="complex64"), np.ones((2, 3))),
        (init.Constant(0.5)((2, 3), dtype="complex64"), np.full((2, 3), 0.5)),
        (init.Constant(0.5 + 1j)((2, 3), dtype="complex64"), np.full((2, 3), 0.5 + 1j)),
        (init.Identity(2.0)((2, 3), dtype="complex64"), 2.0 * np.eye(2, 3)),
    ):
        same(drawn, expected.astype(np.complex64))
    w = complex_numbers(init.Orthogonal(2.0, seed=3)((2, 5, 7), dtype="complex64")).reshape(10, 7)
    assert np.abs(w.conj().T @ w - 4 * np.eye(7)).max() < 1e-5
