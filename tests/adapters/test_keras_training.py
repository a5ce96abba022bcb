"""fastinit.keras in models: kernels, training, einsum axes, mixed precision."""

import math

import keras
import numpy as np
import pytest
from keras_cases import BACKEND, TRUNCATED, differ, model_of_layers, numbers, same

import fastinit as fi
import fastinit.keras as init

PROCESSES = ("keras_on_jax", "keras_on_torch", "keras_on_numpy")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_kernels_of_a_model_are_drawn_here_and_train():
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


def test_einsum_kernels_are_filled_by_their_axes():
    for seed in (5, None, keras.random.SeedGenerator(5)):
        attention = keras.layers.MultiHeadAttention(
            8, 32, kernel_initializer=init.LecunNormal(seed=seed)
        )
        attention.build((2, 4, 512), (2, 4, 512))
        query, key = attention._query_dense.kernel.value, attention._key_dense.kernel.value
        assert tuple(query.shape) == (512, 8, 32)
        # 1 / sqrt(8 * 512) by the shape alone.
        assert abs(numbers(query).std() * math.sqrt(512) - 1) < 0.02
        # Keras gives each of them a generator of its own.
        assert differ(query, key) == (seed is None)
    axes = {"in_axis": 0, "out_axis": (1, 2)}
    attention = keras.layers.MultiHeadAttention(8, 32, kernel_initializer=init.LecunNormal(seed=5))
    attention.build((2, 4, 512), (2, 4, 512))
    same(
        attention._query_dense.kernel.value,
        fi.variance_scaling((512, 8, 32), distribution="truncated_normal", seed=5, **axes),
    )


def test_mixed_precision_keeps_float32_and_bfloat16_has_thousands_of_values():
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
