"""fastinit.keras.laws: models of Keras say the laws of what their layers draw."""

import math
import re

import keras
import numpy as np
import pytest

import fastinit.keras as init
from fastinit import inspection

PROCESSES = ("keras_on_jax", "keras_on_torch")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def make():
    inputs = keras.Input((5,))
    x = keras.layers.Embedding(200, 60)(inputs)
    x = keras.layers.MultiHeadAttention(2, 30)(x, x)
    x = keras.layers.LSTM(40, return_sequences=True, kernel_initializer=init.HeNormal())(x)
    x = keras.layers.Dropout(0.1)(x)
    x = keras.layers.SeparableConv1D(50, 2, depthwise_initializer="he_uniform")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, x)


def test_every_weight_has_the_mean_and_std_of_its_law():
    model = make()
    laws = inspection.laws_by_name(inspection.laws(model))
    weights = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    numbered = lambda paths: {re.sub("_[0-9]+", "", path) for path in paths}  # noqa: E731
    assert numbered(laws) == numbered(weights)
    known = 0
    for path, law in laws.items():
        if law.law == "unknown":
            continue
        values = np.asarray(weights[path], np.float64)
        slack = 5 * law.std / math.sqrt(values.size)
        assert values.shape == law.shape
        assert abs(values.mean() - law.mean) <= slack + 1e-7
        assert abs(values.std() - law.std) <= slack + 1e-7
        known += 1
    assert known > 12


def test_an_initializer_of_another_kind_is_unknown_by_its_name():
    laws = inspection.laws_by_name(inspection.laws(make()))
    (bias,) = [law for path, law in laws.items() if path.endswith("lstm_cell/bias")]
    # Zeros and, for the forget gate, ones: Keras makes it by a function.
    assert bias.law == "unknown" and "bias_initializer" in bias.rule


def test_a_function_that_builds_a_model_is_watched_too():
    def mine(shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    def build():
        layers = [keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=mine, name="d")]
        return keras.Sequential(layers, name="m")

    laws = {law.name: law for law in init.laws(build)}
    assert laws["m/d/kernel"].rule == "initialized by mine"
    assert laws["m/d/bias"].numbers() == "constant 0"


def test_watching_leaves_keras_as_it_was():
    before = keras.layers.Layer.add_weight
    with pytest.raises(ZeroDivisionError):
        init.laws(lambda: 1 / 0)
    assert keras.layers.Layer.add_weight is before
