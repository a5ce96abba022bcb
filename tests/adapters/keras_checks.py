"""What test_keras.py runs on each backend of Keras: names, values, seeds, configs, layers, layouts.

KERAS_BACKEND=torch python tests/adapters/keras_checks.py [check_…]
"""

import copy
import doctest
import inspect
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from unittest import mock

import child_checks
import keras
import numpy as np
import pytest

import fastinit as fi
import fastinit.keras as init

BACKEND = keras.backend.backend()
DTYPES = ["float32", "float16", "bfloat16"] + ["float64"] * (BACKEND != "jax")
TRUNCATED = {"distribution": "truncated_normal", "layout": "io"}

# Every class: its arguments, a shape, and the core function with the arguments that it stands for.
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


# -------------------------------------------------------------------------------- names and meaning


def check_every_class_and_alias_of_keras_is_here_with_its_arguments():
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


def check_every_class_is_a_core_function_in_every_dtype():
    for name, (arguments, shape, _, _) in CASES.items():
        for dtype in DTYPES:
            same(getattr(init, name)(**arguments)(shape, dtype=dtype), core(name, dtype=dtype))
        same(getattr(init, name)(**arguments)(list(shape)), core(name))  # floatx


def check_constants_of_other_dtypes_are_keras_own():
    for dtype in ("int32", "bool", "uint8"):
        for name in ("Zeros", "Ones"):
            ours, its = (
                getattr(init, name)()((2, 3), dtype),
                getattr(keras.initializers, name)()((2, 3), dtype),
            )
            assert ours.dtype == its.dtype and not differ(ours, its)
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


def check_distributions_are_keras():
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
    # What must not pass: the untruncated normal, and the other layout.
    he = keras.initializers.HeNormal(seed=4)(shape)
    assert alike(init.HeNormal(seed=4)(shape), he)
    assert not alike(keras.ops.convert_to_tensor(fi.he_normal(shape, layout="io", seed=1)), he)
    assert not alike(keras.ops.convert_to_tensor(fi.variance_scaling(shape, scale=2.0, seed=1)), he)


def check_vectors_and_numbers_have_keras_fans():
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


def check_fans_of_named_axes_are_keras():
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
    one = init.GlorotUniform(
        7, input_axes=(0,), output_axes=None
    )  # one alone counts for nothing, as in Keras
    same(one((2, 5, 7)), core("GlorotUniform", 7))


def check_what_keras_own_tests_check():
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


# -------------------------------------------------------------------------------------------- seeds


def check_an_int_seed_repeats():
    for name in RANDOM:
        arguments, shape, _, _ = CASES[name]
        initializer = getattr(init, name)(**arguments)
        same(initializer(shape), core(name))
        same(initializer(shape), core(name))
        same(initializer.clone()(shape), core(name))
    large = init.RandomNormal(stddev=1.0, seed=2**64 - 2)
    same(large((4,)), fi.normal((4,), seed=2**64 - 2))


def check_a_seed_generator_begins_with_its_seed_and_advances():
    for name in RANDOM:
        arguments, shape, _, _ = CASES[name]
        initializer = getattr(init, name)(**{**arguments, "seed": keras.random.SeedGenerator(3)})
        for call in range(3):
            same(initializer(shape), core(name, 3 + 2**32 * call))
    word = 2**32 - 5
    shared = keras.random.SeedGenerator(
        -5 if BACKEND == "torch" else word
    )  # torch's words are signed
    first, second = init.RandomNormal(seed=shared), init.RandomNormal(seed=shared)
    same(first((5, 7)), fi.normal((5, 7), std=0.05, seed=word))
    same(second((5, 7)), fi.normal((5, 7), std=0.05, seed=word + 2**32))


def check_no_seed_is_a_fresh_seed_every_call():
    """Our one deliberate difference: Keras repeats."""
    for name in RANDOM:
        shape = CASES[name][1]
        ours, theirs = getattr(init, name)(), getattr(keras.initializers, name)()
        assert ours.seed is None and ours.get_config()["seed"] is None
        assert differ(ours(shape), ours(shape)) and differ(ours(shape), ours.clone()(shape))
        assert not differ(theirs(shape), theirs(shape))


def check_set_random_seed_governs_fresh_seeds():
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        initializer = init.HeNormal()
        drawn.append([numbers(initializer((3, 4))) for _ in range(3)])
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0][0], drawn[0][1])


def check_what_is_no_seed_is_refused():
    for seed, error, message in (
        (1.5, ValueError, "`seed` argument should be"),
        (np.float32(1), ValueError, "`seed` argument should be"),
        (True, TypeError, "boolean"),
        (-1, ValueError, r"outside \[0, 2\*\*64\)"),
        (2**64, ValueError, r"outside \[0, 2\*\*64\)"),
    ):
        with pytest.raises(error, match=message):
            init.HeNormal(seed=seed)


# ------------------------------------------------------------------------------- configs and saving


def check_configs_are_keras_and_round_trip():
    for name, (arguments, shape, _, _) in CASES.items():
        ours, theirs = (
            getattr(init, name)(**arguments),
            getattr(keras.initializers, name)(**arguments),
        )
        assert (
            ours.get_config() == theirs.get_config() or name == "Identity"
        )  # whose gain Keras forgets
        serialized = keras.initializers.serialize(ours)
        assert serialized["registered_name"] == f"fastinit>{name}"
        for again in (
            type(ours).from_config(ours.get_config()),
            keras.initializers.deserialize(serialized),
            keras.initializers.deserialize(json.loads(json.dumps(serialized))),
            ours.clone(),
            copy.deepcopy(ours),
        ):
            assert type(again) is type(ours) and again.get_config() == ours.get_config()
            same(again(shape), core(name))
    axes = init.HeNormal(3, (0,), (1, 2))
    assert axes.clone().get_config() == {"seed": 3, "input_axes": (0,), "output_axes": (1, 2)}
    advancing = init.HeNormal(seed=keras.random.SeedGenerator(3))
    again = keras.initializers.deserialize(keras.initializers.serialize(advancing))
    same(again((2, 5, 7)), core("HeNormal"))
    same(again((2, 5, 7)), core("HeNormal", 3 + 2**32))
    assert np.array_equal(numbers(init.Constant(np.ones((2, 3))).clone()((2, 3))), np.ones((2, 3)))


def check_keras_get_finds_objects_classes_configs_and_registered_names():
    for name in CASES:
        ours = getattr(init, name)
        instance = ours()
        assert keras.initializers.get(instance) is instance
        assert type(keras.initializers.get(ours)) is ours
        assert type(keras.initializers.get(keras.initializers.serialize(instance))) is ours
        if name == "Constant":  # by name alone it lacks its value, Keras' own too
            continue
        assert type(keras.initializers.get(f"fastinit>{name}")) is ours
        assert type(keras.initializers.get(name)) is getattr(
            keras.initializers, name
        )  # Keras' own names stay Keras'
    with pytest.raises(ValueError):
        keras.initializers.get("fastinit>HeNormall")


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


def check_models_are_saved_and_loaded():
    model = model_of_layers()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        loaded = keras.models.load_model(path)
        code = (
            "import sys, fastinit.keras, keras; m = keras.models.load_model(sys.argv[1]); "
            "print(type(m.layers[0].kernel_initializer).__module__, "
            "float(keras.ops.sum(m.layers[2].kernel)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, env=os.environ
        )
        assert done.returncode == 0, done.stderr[-2000:]
    for old, new in zip(model.weights, loaded.weights, strict=True):
        assert not differ(old.value, new.value)
    assert type(loaded.layers[2].kernel_initializer) is init.LecunNormal
    where, total = done.stdout.split()
    assert where == "fastinit.keras" and math.isclose(
        float(total), numbers(model.layers[2].kernel.value).sum(), rel_tol=1e-5
    )
    clone = keras.models.clone_model(model)
    assert not differ(clone.layers[2].kernel.value, model.layers[2].kernel.value)


# ------------------------------------------------------------------------------------------- layers


def check_layers_draw_their_kernels_here_and_train():
    model = model_of_layers()
    convolution, _, dense = model.layers
    same(
        convolution.kernel.value, fi.variance_scaling((3, 3, 2, 3), scale=2.0, seed=1, **TRUNCATED)
    )
    same(dense.kernel.value, fi.variance_scaling((108, 4), seed=2, **TRUNCATED))
    same(dense.bias.value, np.full(4, 0.1, np.float32))
    before = numbers(dense.kernel.value).copy()
    if BACKEND != "numpy":  # which does not train
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 8, 8, 2), np.float32), np.ones((4, 4), np.float32), verbose=0)
        assert not np.array_equal(numbers(dense.kernel.value), before)
    again = init.LecunNormal(seed=2)((108, 4))  # training wrote into its own memory
    np.testing.assert_array_equal(numbers(again), before)

    recurrent = keras.layers.LSTM(5, recurrent_initializer=init.Orthogonal(seed=4))
    recurrent.build((None, 3, 2))
    same(recurrent.cell.recurrent_kernel.value, fi.orthogonal((5, 20), layout="io", seed=4))
    embedding = keras.layers.Embedding(11, 3, embeddings_initializer="fastinit>RandomUniform")
    embedding.build((None,))
    assert np.abs(numbers(embedding.embeddings.value)).max() <= 0.05


def check_einsum_layers_fill_in_the_axes_of_their_kernels():
    for seed in (5, None, keras.random.SeedGenerator(5)):
        attention = keras.layers.MultiHeadAttention(
            8, 32, kernel_initializer=init.LecunNormal(seed=seed)
        )
        attention.build((2, 4, 512), (2, 4, 512))
        query, key = attention._query_dense.kernel.value, attention._key_dense.kernel.value
        assert tuple(query.shape) == (512, 8, 32)
        assert (
            abs(numbers(query).std() * math.sqrt(512) - 1) < 0.02
        )  # 1 / sqrt(8 * 512) by the shape alone
        assert differ(query, key) == (
            seed is None
        )  # Keras gives each of them a generator of its own
    axes = {"in_axis": 0, "out_axis": (1, 2)}
    attention = keras.layers.MultiHeadAttention(8, 32, kernel_initializer=init.LecunNormal(seed=5))
    attention.build((2, 4, 512), (2, 4, 512))
    same(
        attention._query_dense.kernel.value,
        fi.variance_scaling((512, 8, 32), distribution="truncated_normal", seed=5, **axes),
    )


def check_mixed_precision_keeps_float32_and_bfloat16_has_thousands_of_values():
    def kernel(policy):
        layer = keras.layers.Dense(512, kernel_initializer=init.HeNormal(seed=6), dtype=policy)
        layer.build((None, 512))
        return layer.kernel.value

    expected = {
        dtype: fi.variance_scaling((512, 512), scale=2.0, seed=6, dtype=dtype, **TRUNCATED)
        for dtype in ("float32", "bfloat16")
    }
    same(kernel("mixed_bfloat16"), expected["float32"])
    same(kernel("bfloat16"), expected["bfloat16"])
    assert len(np.unique(numbers(kernel("bfloat16")))) > 1500
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        same(kernel(None), expected["float32"])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    keras.backend.set_floatx("float16")
    try:
        assert keras.backend.standardize_dtype(init.HeNormal()((3, 4)).dtype) == "float16"
    finally:
        keras.backend.set_floatx("float32")


# ---------------------------------------------------------------------------------------- bad input


def check_bad_input_is_refused_with_what_to_do():
    for initializer, shape, dtype, error, message in (
        (init.HeNormal(), (3, 4), "complex64", TypeError, "complex64.*complex dtypes have no draw"),
        (init.Zeros(), (3, 4), "complex64", TypeError, "complex dtypes have no draw"),
        (init.HeNormal(), (3, 4), "int32", TypeError, "floating dtype, not int32"),
        (init.HeNormal(), (3, 4), "float31", ValueError, "float31"),
        (init.HeNormal(), (3, -4), None, ValueError, "negative"),
        (init.HeNormal(), (3, None), None, TypeError, "give integers"),
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


def check_the_examples_of_the_docstring_print_what_they_say():
    found = doctest.testmod(init)
    assert found.attempted >= 3 and not found.failed


def check_only_the_backends_own_adapter_is_imported():
    assert ("fastinit.jax" in sys.modules) == (
        BACKEND == "jax"
    ) and "fastinit.torch" not in sys.modules


# -------------------------------------------------------------------------------- one backend's own

if BACKEND == "torch":
    import torch

    def check_tensors_on_the_meta_device_are_not_drawn():
        def never(*_, **__):
            raise AssertionError("values were drawn")

        with keras.device("meta"), mock.patch.object(init, "_apply", never):
            drawn = init.HeNormal(seed=1)((1 << 20, 1 << 20), "bfloat16")
        assert drawn.is_meta and drawn.dtype == torch.bfloat16

    def check_tensors_are_plain_and_take_gradients():
        drawn = init.HeNormal(seed=1)((3, 4))
        assert type(drawn) is torch.Tensor and not drawn.requires_grad and drawn.is_contiguous()
        drawn.requires_grad_().sum().backward()
        with torch.inference_mode():
            assert not differ(init.HeNormal(seed=1)((3, 4)), drawn)

    def check_float8_is_drawn():
        drawn = init.HeNormal(seed=3)((2, 5, 7), dtype="float8_e4m3fn")
        assert drawn.dtype == torch.float8_e4m3fn
        same(drawn, core("HeNormal", dtype="float8_e4m3fn"))


if BACKEND == "jax":
    import jax
    import jax.numpy as jnp

    import fastinit.jax

    def model_parallel(count=4):
        mesh = keras.distribution.DeviceMesh((count // 2, 2), ["batch", "model"])
        layouts = keras.distribution.LayoutMap(mesh)
        layouts[".*kernel"] = ("model", None)
        layouts[".*bias"] = ("model",)
        return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")

    def check_variables_are_created_shard_by_shard_by_their_layout():
        assert jax.device_count() == 4
        sizes, plain = [], fastinit.jax._apply

        def sized(*arguments):
            drawn = plain(*arguments)
            sizes.append(drawn.size)
            return drawn

        initializers = {
            name: getattr(init, name)(**CASES[name][0]) for name in CASES if name != "Identity"
        }
        initializers["array"] = init.Constant(np.arange(24.0))
        initializers["generator"] = init.HeNormal(seed=keras.random.SeedGenerator(3))
        initializers["none"] = init.HeNormal()
        for name, initializer in initializers.items():
            alone = None if name == "none" else initializer.clone()
            with model_parallel().scope():
                layer = keras.layers.Dense(24, kernel_initializer=initializer)
                sizes.clear()
                with mock.patch.object(fastinit.jax, "_apply", sized):
                    layer.build((None, 16))
            kernel = layer.kernel.value
            assert kernel.sharding.spec == jax.P("model", None) and kernel.sharding.mesh.shape == {
                "batch": 2,
                "model": 2,
            }
            assert max(sizes, default=0) <= 16 * 24 // 2, (
                name
            )  # two shards, each drawn once for its two replicas
            if alone is not None:
                assert not differ(kernel, alone((16, 24))), name
            for shard in kernel.addressable_shards:
                np.testing.assert_array_equal(
                    np.asarray(shard.data), np.asarray(kernel)[shard.index]
                )

    def check_distributed_models_train():
        with model_parallel().scope():
            model = keras.Sequential(
                [
                    keras.layers.Input((16,)),
                    keras.layers.Dense(8, kernel_initializer=init.HeNormal(seed=1)),
                ]
            )
            kernel = np.asarray(model.layers[0].kernel.value).copy()
            model.compile("sgd", "mse")
            model.fit(
                np.ones((8, 16), np.float32), np.ones((8, 8), np.float32), batch_size=8, verbose=0
            )
            assert model.layers[0].kernel.value.sharding.spec == jax.P("model", None)
        same(jnp.asarray(kernel), fi.variance_scaling((16, 8), scale=2.0, seed=1, **TRUNCATED))
        with keras.distribution.DataParallel().scope():
            layer = keras.layers.Dense(8, kernel_initializer=init.HeNormal(seed=1))
            layer.build((None, 16))
        assert not differ(layer.kernel.value, jnp.asarray(kernel))
        assert len(layer.kernel.value.addressable_shards) == 4

    def check_layouts_may_be_given_by_hand():
        mesh = keras.distribution.DeviceMesh((4,), ["x"])
        layout = keras.distribution.TensorLayout(("x", None), mesh)
        for given in (layout, layout.backend_layout):
            drawn = init.HeNormal(seed=3)((8, 5), layout=given)
            assert drawn.sharding.spec == jax.P("x", None)
            assert not differ(drawn, init.HeNormal(seed=3)((8, 5)))
        assert init.Constant([1.0] * 5)((8, 5), layout=layout).sharding.spec == jax.P("x", None)

    def check_under_jit_an_int_seed_and_a_seed_generator_are_drawn_by_callback():
        generator = keras.random.SeedGenerator(3)
        initializer = init.HeNormal(seed=generator)

        def draw(state):
            with keras.StatelessScope([(generator.state, state)]) as scope:
                drawn = initializer((2, 5, 7))
            return drawn, scope.get_current_value(generator.state)

        drawn, state = jax.jit(draw)(generator.state.value)
        same(drawn, core("HeNormal"))
        same(jax.jit(draw)(state)[0], core("HeNormal", 3 + 2**32))
        same(jax.jit(lambda: init.HeNormal(seed=3)((2, 5, 7)))(), core("HeNormal"))

    def check_float64_without_64_bits_is_float32_with_jaxs_warning():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            drawn = init.HeNormal(seed=3)((2, 5, 7), dtype="float64")
        same(drawn, core("HeNormal"))
        assert any(re.match("Explicitly requested dtype float64", str(one.message)) for one in said)


if __name__ == "__main__":
    assert Path(fi.__file__).parent == Path(init.__file__).parent
    # Keras' variables, which NumPy finds old-fashioned.
    ignored = [("__array__ implementation doesn't accept a copy keyword", DeprecationWarning)]
    child_checks.main(globals(), ignored)
