"""What the tests of fastinit.jax share: every initializer, and the core function that it is."""

import jax
import numpy as np

import fastinit as fi
import fastinit.jax as init

X64 = jax.config.jax_enable_x64
DTYPES = ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"] + ["float64"] * X64
KEY = jax.random.wrap_key_data(np.array([0x01234567, 0x89ABCDEF], np.uint32), impl="threefry2x32")
SEED = 0x0123456789ABCDEF
TRUNCATED = {"distribution": "truncated_normal"}

# For every initializer: a built one, a shape, and the core function and arguments that give the
# same values.
CASES = {
    "uniform": (init.uniform(0.5), (5, 7), fi.uniform, {"low": 0.0, "high": 0.5}),
    "normal": (init.normal(0.5), (5, 7), fi.normal, {"std": 0.5}),
    "truncated_normal": (
        init.truncated_normal(0.5, lower=-1.0, upper=3.0),
        (5, 7),
        fi.truncated_normal,
        {"std": 0.5, "low": -1.0, "high": 3.0},
    ),
    "variance_scaling": (
        init.variance_scaling(3.0, "fan_geo_avg", "normal"),
        (3, 5, 7),
        fi.variance_scaling,
        {"scale": 3.0, "mode": "fan_geo_avg", "layout": "io"},
    ),
    "axes": (
        init.variance_scaling(3.0, "fan_out", "uniform", in_axis=0, out_axis=[1], batch_axis=(2,)),
        (3, 5, 7),
        fi.variance_scaling,
        {
            "scale": 3.0,
            "mode": "fan_out",
            "distribution": "uniform",
            "in_axis": 0,
            "out_axis": 1,
            "batch_axis": 2,
        },
    ),
    "glorot_uniform": (init.glorot_uniform(), (3, 5, 7), fi.xavier_uniform, {"layout": "io"}),
    "glorot_normal": (
        init.glorot_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"mode": "fan_avg", "layout": "io", **TRUNCATED},
    ),
    "he_uniform": (init.he_uniform(), (3, 5, 7), fi.he_uniform, {"layout": "io"}),
    "he_normal": (
        init.he_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"scale": 2.0, "layout": "io", **TRUNCATED},
    ),
    "lecun_uniform": (init.lecun_uniform(), (3, 5, 7), fi.lecun_uniform, {"layout": "io"}),
    "lecun_normal": (
        init.lecun_normal(),
        (3, 5, 7),
        fi.variance_scaling,
        {"layout": "io", **TRUNCATED},
    ),
    "orthogonal": (init.orthogonal(2.0), (3, 5, 7), fi.orthogonal, {"gain": 2.0, "layout": "io"}),
    "delta_orthogonal": (
        init.delta_orthogonal(2.0),
        (3, 5, 7),
        fi.delta_orthogonal,
        {"gain": 2.0, "layout": "io"},
    ),
    "sparse": (init.sparse(0.3), (10, 7), fi.sparse, {"sparsity": 0.3}),
    "constant": (init.constant(0.3), (5, 7), fi.constant, {"value": 0.3}),
    "zeros": (init.zeros, (5, 7), fi.zeros, {}),
    "ones": (init.ones, (5, 7), fi.ones, {}),
}


def bits(array):
    array = np.asarray(array)
    return array.dtype.name, array.shape, np.ascontiguousarray(array).tobytes()


def core(name, dtype="float32", seed=SEED, stream=None):
    _, shape, function, arguments = CASES[name]
    return function(shape, seed=seed, name=stream, dtype=dtype, **arguments)


def never(*_, **__):
    raise AssertionError("values were drawn")
