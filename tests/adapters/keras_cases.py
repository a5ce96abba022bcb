"""What the tests of fastinit.keras share: every class, and the core function that it is."""

import keras
import numpy as np

import fastinit as fi
import fastinit.keras as init

BACKEND = keras.backend.backend()
DTYPES = ["float32", "float16", "bfloat16"] + ["float64"] * (BACKEND != "jax")
TRUNCATED = {"distribution": "truncated_normal", "layout": "io"}

# For every class: its arguments, a shape, and the core function and arguments that give the same
# values.
CASES = {
    "Zeros": ({}, (3, 4), fi.zeros, {}),
    "Ones": ({}, (3, 4), fi.ones, {}),
    "Constant": ({"value": 0.3}, (3, 4), fi.constant, {"value": 0.3}),
    "Identity": ({"gain": 2.0}, (3, 4), fi.eye, {"gain": 2.0}),
    "RandomNormal": (
        {"mean": 1.0, "stddev": 0.5, "seed": 3},
        (5, 7),
        fi.normal,
        {"mean": 1.0, "std": 0.5},
    ),
    "RandomUniform": (
        {"minval": -1.0, "maxval": 3.0, "seed": 3},
        (5, 7),
        fi.uniform,
        {"low": -1.0, "high": 3.0},
    ),
    "TruncatedNormal": (
        {"mean": 1.0, "stddev": 0.5, "seed": 3},
        (5, 7),
        fi.truncated_normal,
        {"mean": 1.0, "std": 0.5},
    ),
    "VarianceScaling": (
        {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal", "seed": 3},
        (2, 5, 7),
        fi.variance_scaling,
        {"scale": 3.0, "mode": "fan_out", "layout": "io"},
    ),
    "GlorotUniform": ({"seed": 3}, (2, 5, 7), fi.xavier_uniform, {"layout": "io"}),
    "GlorotNormal": ({"seed": 3}, (2, 5, 7), fi.variance_scaling, {"mode": "fan_avg", **TRUNCATED}),
    "LecunUniform": ({"seed": 3}, (2, 5, 7), fi.lecun_uniform, {"layout": "io"}),
    "LecunNormal": ({"seed": 3}, (2, 5, 7), fi.variance_scaling, TRUNCATED),
    "HeUniform": ({"seed": 3}, (2, 5, 7), fi.he_uniform, {"layout": "io"}),
    "HeNormal": ({"seed": 3}, (2, 5, 7), fi.variance_scaling, {"scale": 2.0, **TRUNCATED}),
    "Orthogonal": (
        {"gain": 2.0, "seed": 3},
        (2, 5, 7),
        fi.orthogonal,
        {"gain": 2.0, "layout": "io"},
    ),
}

RANDOM = [name for name, case in CASES.items() if "seed" in case[0]]


def numbers(tensor):
    if BACKEND == "torch":
        tensor = tensor.detach()
        return tensor.float().numpy() if tensor.dtype.itemsize < 4 else tensor.numpy()
    array = np.asarray(tensor)
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def same(tensor, array):
    expected = array.astype(np.float32) if array.dtype.itemsize < 4 else array
    assert keras.backend.standardize_dtype(tensor.dtype) == array.dtype.name
    np.testing.assert_array_equal(numbers(tensor), expected)


def differ(first, second):
    return not np.array_equal(numbers(first), numbers(second))


def core(name, seed=3, dtype="float32"):
    _, shape, function, arguments = CASES[name]
    return function(shape, seed=seed, dtype=dtype, **arguments)


def model_of_layers():
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 2)),
            keras.layers.Conv2D(
                3, 3, kernel_initializer=init.HeNormal(seed=1), bias_initializer=init.Zeros()
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(
                4, kernel_initializer=init.LecunNormal(seed=2), bias_initializer=init.Constant(0.1)
            ),
        ]
    )
