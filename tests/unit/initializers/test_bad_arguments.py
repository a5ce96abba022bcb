"""Bad input to the façade: each a clear error, and the buffer as it was."""

import math

import numpy as np
import pytest

import fastinit as fi

F = fi.he_normal, fi.xavier_uniform, fi.lecun_normal, fi.variance_scaling, fi.fan_in_uniform
BAD = [
    *[
        (f, {"shape": shape}, ValueError, "has no fan_in and fan_out")
        for f in F
        for shape in [(), (10,)]
    ],
    *[(f, {"layout": "hwc"}, ValueError, "unknown layout") for f in F],
    *[(f, {"groups": 3}, ValueError, "does not divide") for f in F],
    *[(f, {"in_axis": 5, "out_axis": 0}, ValueError, "outside") for f in F],
    *[
        (f, {"dtype": "int32"}, TypeError, "floating dtype")
        for f in (*F, fi.uniform, fi.normal, fi.truncated_normal)
    ],
    *[
        (f, {"dtype": "complex64"}, TypeError, "complex")
        for f in (*F, fi.normal, fi.zeros, fi.eye, fi.dirac)
    ],
    *[(f, {"dtype": "float33"}, ValueError, "float32") for f in (*F, fi.normal, fi.zeros)],
    *[(f, {"dtype": [("a", "f4")]}, TypeError, "structured") for f in (fi.normal, fi.zeros)],
    *[(f, {"dtype": ">f4"}, ValueError, "byte") for f in (fi.normal, fi.zeros)],
    *[
        (f, {"seed": seed}, error, "seed")
        for f in (fi.normal, fi.zeros, fi.he_normal, fi.eye)
        for seed, error in [
            (-1, ValueError),
            (2**64, ValueError),
            (True, TypeError),
            (1.0, TypeError),
        ]
    ],
    *[
        (f, {"name": name}, error, "name")
        for f in (fi.normal, fi.zeros, fi.he_normal, fi.eye)
        for name, error in [
            (-1, ValueError),
            (2**64, ValueError),
            (False, TypeError),
            (b"w", TypeError),
        ]
    ],
    (fi.normal, {"name": "\ud800"}, ValueError, "surrogate"),
    *[
        (f, {"threads": threads}, error, "threads")
        for f in (fi.normal, fi.eye)
        for threads, error in [
            (0, ValueError),
            (-1, ValueError),
            (True, TypeError),
            (1.5, TypeError),
        ]
    ],
    *[
        (f, {"shape": shape}, error, "shape")
        for f in (fi.normal, fi.he_normal, fi.eye)
        for shape, error in [
            ((4, -4), ValueError),
            ((2**40, 2**40), ValueError),
            ((4, 4.0), TypeError),
        ]
    ],
    *[
        (f, {"region": region}, ValueError, "region")
        for f in (fi.normal, fi.he_normal, fi.eye)
        for region in [
            (slice(0, 5), ...),
            (slice(-2, 4), ...),
            (slice(0, 4, 2), ...),
            (slice(0, 4),),
        ]
    ],
    (fi.normal, {"std": -1.0}, ValueError, "std"),
    (fi.normal, {"std": math.nan}, ValueError, "std"),
    (fi.normal, {"mean": math.inf}, ValueError, "mean"),
    (fi.normal, {"std": "1"}, TypeError, "std"),
    (fi.normal, {"std": True}, TypeError, "std"),
    (fi.normal, {"std": 1e-45}, ValueError, "std"),
    (fi.normal, {"std": 1e38}, ValueError, "finite"),
    (fi.normal, {"std": 1e4, "dtype": "float16"}, ValueError, "finite"),
    (fi.uniform, {"low": 1.0, "high": 0.0}, ValueError, "low"),
    (fi.uniform, {"low": math.nan}, ValueError, "low"),
    (fi.uniform, {"high": math.inf}, ValueError, "high"),
    (fi.uniform, {"low": -3e38, "high": 3e38}, ValueError, "span"),
    (fi.truncated_normal, {"low": 2.0, "high": -2.0}, ValueError, "low"),
    (fi.truncated_normal, {"low": 1.0, "high": 1.0}, ValueError, "low"),
    (fi.truncated_normal, {"low": math.nan}, ValueError, "low"),
    (fi.truncated_normal, {"high": "2"}, TypeError, "high"),
    (fi.truncated_normal, {"bounds": "sigmas"}, ValueError, "bounds"),
    (fi.truncated_normal, {"std": -1.0}, ValueError, "std"),
    (fi.truncated_normal, {"std": -1.0, "correct_std": True}, ValueError, "std"),
    (
        fi.truncated_normal,
        {"std": -1.0, "bounds": "absolute", "correct_std": True},
        ValueError,
        "std",
    ),
    (fi.truncated_normal, {"std": math.inf}, ValueError, "std"),
    (fi.truncated_normal, {"std": 0.0, "low": 0.0}, ValueError, "std is 0"),
    (fi.truncated_normal, {"std": 0.0, "low": 0.5, "bounds": "absolute"}, ValueError, "std is 0"),
    (fi.variance_scaling, {"scale": -1.0}, ValueError, "scale"),
    (fi.variance_scaling, {"scale": math.inf}, ValueError, "scale"),
    (fi.variance_scaling, {"scale": 1e80}, ValueError, "finite"),
    (fi.variance_scaling, {"mode": "fan"}, ValueError, "mode"),
    (fi.variance_scaling, {"distribution": "untruncated_normal"}, ValueError, "distribution"),
    (fi.xavier_normal, {"gain": -1.0}, ValueError, "gain"),
    (fi.xavier_normal, {"gain": "tanh"}, TypeError, "gain"),
    (fi.xavier_normal, {"gain": math.nan}, ValueError, "gain"),
    (fi.xavier_normal, {"gain": 1e200}, ValueError, "gain"),
    (fi.xavier_normal, {"gain": 1e-200, "dtype": "float64"}, ValueError, "gain"),
    (fi.he_normal, {"negative_slope": math.inf}, ValueError, "negative_slope"),
    (fi.he_normal, {"negative_slope": 1e200}, ValueError, "negative_slope"),
    (fi.he_uniform, {"mode": "FAN_IN"}, ValueError, "mode"),
    (fi.fan_in_uniform, {"fan_in": 0}, ValueError, "fan_in"),
    (fi.fan_in_uniform, {"fan_in": 2.0}, TypeError, "fan_in"),
    (fi.fan_in_uniform, {"fan_in": True}, TypeError, "fan_in"),
    (fi.constant, {"value": 1e39}, ValueError, "finite"),
    (fi.constant, {"value": math.nan}, ValueError, "finite"),
    (fi.constant, {"value": 300, "dtype": "uint8"}, ValueError, "300"),
    (fi.constant, {"value": 0.5, "dtype": "int8"}, ValueError, "0.5"),
    (fi.constant, {"value": 2, "dtype": "bool"}, ValueError, "2"),
    (fi.constant, {"value": "1"}, TypeError, "value"),
    (fi.eye, {"shape": (4,)}, ValueError, "two axes"),
    (fi.eye, {"gain": math.inf}, ValueError, "gain"),
    (fi.eye, {"gain": 1e39}, ValueError, "finite"),
    (fi.eye, {"gain": 0.5, "dtype": "int8"}, ValueError, "0.5"),
    (fi.dirac, {"shape": (4, 4)}, ValueError, "3 to 5"),
    (fi.dirac, {"shape": (4, 4, 1, 1, 1, 1)}, ValueError, "3 to 5"),
    (fi.dirac, {"shape": (4, 4, 3), "groups": 3}, ValueError, "does not divide"),
    (fi.dirac, {"shape": (4, 4, 3), "groups": 1.0}, TypeError, "groups"),
    (fi.dirac, {"shape": (4, 4, 3), "layout": "OIW"}, ValueError, "layout"),
    (fi.zeros, {"shape": None}, TypeError, "shape"),
]


@pytest.mark.parametrize("function, arguments, error, message", BAD)
def test_bad_arguments_are_clear_errors(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(**{"shape": (4, 4), "seed": 0, **arguments})


@pytest.mark.parametrize(
    "function, arguments, error, message",
    [row for row in BAD if not {"dtype", "shape", "region"} & set(row[1])],
)
def test_an_error_leaves_the_buffer_as_it_was(function, arguments, error, message):
    out = np.full((4, 4, 3) if function is fi.dirac else (4, 4), 7.0, np.float32)
    with pytest.raises(error, match=message):
        function(out=out, **{"seed": 0, **arguments})
    with pytest.raises(error, match=message):
        own = {
            key: value for key, value in arguments.items() if key not in ("seed", "name", "threads")
        }
        fi.fill(
            [(np.empty(3, np.float32), "zeros"), (out, function, own, arguments.get("name"))],
            seed=arguments.get("seed", 0),
            threads=arguments.get("threads"),
        )
    assert (out == 7.0).all()


def test_an_error_about_fans_names_the_tensor_and_the_remedies():
    with pytest.raises(ValueError) as caught:
        fi.he_normal((10,), seed=0, name="mlp.up.bias")
    for words in ("mlp.up.bias", "(10,)", "in_axis", "out_axis", "zeros"):
        assert words in str(caught.value)


def test_an_unknown_argument_is_an_error():
    for function in (fi.normal, fi.he_normal, fi.eye):
        with pytest.raises(TypeError, match="stdev"):
            function((4, 4), stdev=1.0)
        with pytest.raises(TypeError, match="positional"):
            function((4, 4), 1.0)
