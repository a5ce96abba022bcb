"""fastinit.keras: names, values, fans and what is refused, on each backend of Keras."""

import doctest
import inspect
import math
import sys

import keras
import numpy as np
import pytest
from keras_cases import BACKEND, CASES, DTYPES, RANDOM, core, differ, numbers, same

import fastinit as fi
import fastinit.keras as init

PROCESSES = ("keras_on_jax", "keras_on_torch", "keras_on_numpy")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_every_class_and_alias_of_keras_exists_here_with_its_arguments():
    theirs = {
        name: value
        for name, value in vars(keras.initializers).items()
        if inspect.isclass(value) and name != "Initializer"
    }
    assert len(theirs) > 30
    for name, its in theirs.items():
        ours = getattr(init, name)
        assert ours.__name__ == its.__name__ and ours is getattr(init, its.__name__)
        assert issubclass(ours, its) and ours.__doc__
        assert inspect.signature(ours) == inspect.signature(its)


def test_every_class_is_a_core_function_in_every_dtype():
    for name, (arguments, shape, _, _) in CASES.items():
        for dtype in DTYPES:
            same(getattr(init, name)(**arguments)(shape, dtype=dtype), core(name, dtype=dtype))
        same(getattr(init, name)(**arguments)(list(shape)), core(name))  # floatx


def test_constants_of_other_dtypes_equal_keras():
    for dtype in ("int32", "bool", "uint8"):
        for name in ("Zeros", "Ones"):
            ours, its = (
                getattr(init, name)()((2, 3), dtype),
                getattr(keras.initializers, name)()((2, 3), dtype),
            )
            assert ours.dtype == its.dtype and not differ(ours, its)
        for value in (0.5, 1.75, 1):
            ours, its = (
                module.Constant(value)((2, 3), dtype) for module in (init, keras.initializers)
            )
            assert ours.dtype == its.dtype and not differ(ours, its)
    assert not differ(
        init.Constant(math.inf)((2, 3)), keras.initializers.Constant(math.inf)((2, 3))
    )
    for value in ([1.0, 2.0, 3.0], np.arange(6.0).reshape(2, 3), True, np.float32(2.5)):
        assert not differ(init.Constant(value)((2, 3)), keras.initializers.Constant(value)((2, 3)))
    assert not differ(init.Identity(2.0)((3, 2)), keras.initializers.Identity(2.0)((3, 2)))
    for window, scaling in (
        ("hann", "density"),
        ("blackman", "spectrum"),
        ("hann", None),
        (None, None),
    ):
        assert init.STFT("real", window, scaling, True).get_config()["window"] == window


GRID = np.linspace(0.005, 0.995, 45)


def alike(ours, theirs):
    """Moments and quantiles of two samples of 2^20 values."""
    ours, theirs = numbers(ours).ravel(), numbers(theirs).ravel()
    spread = theirs.std()
    return (
        abs(ours.std() / spread - 1) < 0.004
        and np.abs(np.quantile(ours, GRID) - np.quantile(theirs, GRID)).max() < 0.02 * spread
    )


def test_distributions_equal_keras():
    shape = (4, 256, 1024)
    for name in RANDOM:
        if name != "Orthogonal":
            arguments = CASES[name][0]
            theirs = getattr(keras.initializers, name)(**arguments)(shape)
            assert alike(getattr(init, name)(**arguments)(shape), theirs), name
    for distribution in ("normal", "Uniform", "truncated_normal", "untruncated_normal"):
        arguments = {"scale": 0.5, "mode": "fan_avg", "distribution": distribution, "seed": 4}
        its = keras.initializers.VarianceScaling(**arguments)(shape)
        assert alike(init.VarianceScaling(**arguments)(shape), its)
    # These must not pass: the untruncated normal, and the other layout.
    he = keras.initializers.HeNormal(seed=4)(shape)
    assert alike(init.HeNormal(seed=4)(shape), he)
    assert not alike(keras.ops.convert_to_tensor(fi.he_normal(shape, layout="io", seed=1)), he)
    assert not alike(keras.ops.convert_to_tensor(fi.variance_scaling(shape, scale=2.0, seed=1)), he)


def test_vectors_and_scalars_have_the_fans_of_keras():
    for name in ("GlorotUniform", "LecunUniform", "HeUniform"):
        scale = 6.0 if name == "HeUniform" else 3.0
        for shape in ((2**16,), ()):
            drawn = numbers(getattr(init, name)(seed=5)(shape))
            bound = math.sqrt(scale / max(1, *shape, 1))
            assert drawn.shape == shape and np.abs(drawn).max() <= bound
            assert not shape or np.abs(drawn).max() > 0.999 * bound
    for mode in ("fan_in", "fan_out", "fan_avg"):
        drawn = numbers(init.VarianceScaling(2.0, mode, "untruncated_normal", seed=5)((2**16,)))
        assert abs(drawn.std() * 2**7.5 - 1) < 0.02
        drawn = numbers(init.VarianceScaling(2.0, mode, "uniform", seed=5)((9,), dtype="float16"))
        assert np.abs(drawn).max() <= math.sqrt(6 / 9)
    for name in RANDOM:
        if name != "Orthogonal":
            for shape in ((), (1,), (3,), (0,), (0, 3), (3, 0)):
                assert tuple(getattr(init, name)(seed=1)(shape).shape) == shape


def test_fans_of_named_axes_equal_keras():
    for ins, outs in (((0,), (1, 2)), ((0, 1), (2,)), ((-3,), (-1,))):
        for mode in ("fan_in", "fan_out", "fan_avg"):
            axes = {"input_axes": ins, "output_axes": outs}
            drawn = numbers(
                init.VarianceScaling(1.0, mode, "untruncated_normal", 7, **axes)((512, 8, 64))
            )
            fan_in, fan_out = (
                math.prod((512, 8, 64)[axis] for axis in some) for some in (ins, outs)
            )
            n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
            assert abs(drawn.std() * math.sqrt(n) - 1) < 0.01
    # If only one is given it has no effect, as in Keras.
    one = init.GlorotUniform(7, input_axes=(0,), output_axes=None)
    same(one((2, 5, 7)), core("GlorotUniform", 7))


def test_the_checks_of_keras_own_tests_pass():
    assert abs(numbers(init.RandomNormal(0.0, 1.0, seed=1)((25, 20))).std() - 1.0) < 0.1
    assert abs(numbers(init.TruncatedNormal(0.0, 1.0, seed=1)((2000,))).max()) < 2.0
    uniform = numbers(init.RandomUniform(-2.0, 3.0, seed=1)((25, 20)))
    assert uniform.min() >= -2.0 and uniform.max() < 3.0
    for mode, n in (("fan_in", 25), ("fan_out", 20)):
        drawn = numbers(init.VarianceScaling(1.6, mode, "truncated_normal", seed=1)((25, 20)))
        assert abs(drawn.std() - math.sqrt(1.6 / n)) < 0.1
    square = numbers(init.Orthogonal(seed=1)((5, 5))).astype(np.float64)
    np.testing.assert_allclose(square.T @ square, np.eye(5), atol=1e-6)
    for arguments, message in (
        ({"scale": -1}, "Argument `scale` must be positive float."),
        ({"mode": "invalid_mode"}, "Invalid `mode` argument:"),
        ({"distribution": "invalid_dist"}, "Invalid `distribution` argument:"),
        ({"seed": "abc"}, "`seed` argument should be an instance of"),
    ):
        with pytest.raises(ValueError, match=message):
            init.VarianceScaling(**arguments)


def test_bad_input_is_refused_with_a_hint():
    for initializer, shape, dtype, error, message in (
        (init.RandomUniform(), (3, 4), "complex64", TypeError, "uniform has no complex form"),
        (init.TruncatedNormal(), (3, 4), "complex64", TypeError, "has no complex form"),
        (init.HeNormal(), (3, 4), "int32", TypeError, "floating dtype, not int32"),
        (init.HeNormal(), (3, 4), "float31", ValueError, "float31"),
        (init.HeNormal(), (3, -4), None, ValueError, "negative"),
        (init.HeNormal(), None, None, TypeError, "shape is None; give the sizes of the axes"),
        (init.HeNormal(), (3, None), None, TypeError, "every size of shape must be an integer"),
        (init.RandomNormal(stddev=-1.0), (3,), None, ValueError, "std is -1.0"),
        (init.RandomNormal(stddev=math.nan), (3,), None, ValueError, "std is nan"),
        (init.RandomUniform(2.0, 1.0), (3,), None, ValueError, "low 2.0 is above high 1.0"),
        (
            init.Orthogonal(),
            (3,),
            None,
            ValueError,
            "must be at least two-dimensional. Received: shape=.* of rank 1",
        ),
        (
            init.Identity(),
            (3, 3, 3),
            None,
            ValueError,
            "can only be used for 2D matrices. Received: shape=.* of rank 3",
        ),
        (
            init.HeNormal(input_axes=(0,), output_axes=(5,)),
            (3, 3),
            None,
            ValueError,
            "out_axis .* outside",
        ),
    ):
        with pytest.raises(error, match=message):
            initializer(shape, dtype=dtype)
    if BACKEND != "jax":
        with pytest.raises(ValueError, match=f"layout is given, but on the {BACKEND} backend"):
            init.HeNormal()((3, 4), layout="x")


def test_the_printed_examples_are_true():
    found = doctest.testmod(init)
    assert found.attempted >= 3 and not found.failed


def test_only_the_backends_own_adapter_is_imported():
    assert ("fastinit.jax" in sys.modules) == (
        BACKEND == "jax"
    ) and "fastinit.torch" not in sys.modules
