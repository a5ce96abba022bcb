"""The first steps of a small network: its gradients are right, and He et al.'s comparison of 22 and
30 layers has the same outcome on scikit-learn's digits.
"""

import doctest
import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

import fastinit as fi
from fastinit import diagnostics
from fastinit.diagnostics import training

INITIALIZERS = "xavier_normal, he_normal"
NOTHING_LEARNED = math.log(10)


@pytest.fixture(scope="module")
def digits():
    inputs, labels = load_digits(return_X_y=True)
    return (inputs - inputs.mean()) / inputs.std(), labels


def losses(rows, initializer):
    return np.array([row["loss"] for row in rows if row["initializer"] == initializer])


def first_step_below(limit, curve):
    """Of the mean over 20 steps."""
    return int(np.argmax(np.convolve(curve, np.full(20, 1 / 20), "valid") < limit))


def test_gradients_are_those_of_finite_differences():
    sizes = [5, 7, 6, 4]
    weights = [
        fi.he_normal((outputs, inputs), seed=0, name=f"w{layer}", dtype="float64")
        for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False))
    ]
    x = fi.normal((9, 5), seed=0, name="x", dtype="float64")
    labels = np.arange(9) % 4
    gradients = training.loss_and_gradients(weights, x, labels)[1]
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient.shape == weight.shape
        for place in np.ndindex(weight.shape):
            old, found = weight[place], []
            for side in (old + 1e-6, old - 1e-6):
                weight[place] = side
                found.append(training.loss_and_gradients(weights, x, labels)[0])
            weight[place] = old
            assert gradient[place] == pytest.approx((found[0] - found[1]) / 2e-6, abs=1e-8)


def test_with_14_layers_both_learn_and_he_earlier(digits):
    rows = diagnostics.train(INITIALIZERS, *digits, depth=14, steps=800)
    xavier, he = losses(rows, "xavier_normal"), losses(rows, "he_normal")
    assert he[-50:].mean() < 0.1 and xavier[-50:].mean() < 0.6
    assert 0 < 2 * first_step_below(1.0, he) < first_step_below(1.0, xavier)


def test_with_22_layers_xavier_stalls_and_he_learns(digits):
    rows = diagnostics.train(INITIALIZERS, *digits, depth=22, steps=800)
    xavier, he = losses(rows, "xavier_normal"), losses(rows, "he_normal")
    assert he[-50:].mean() < 0.3
    assert np.abs(xavier - NOTHING_LEARNED).max() < 0.02


def test_rows_are_one_for_each_initializer_and_step_and_the_same_again():
    data = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 2]
    settings = {"depth": 2, "width": 4, "steps": 3, "batch": 2}
    rows = diagnostics.train(["normal:0.01", fi.he_normal], *data, **settings)
    assert [(row["initializer"], row["depth"], row["step"]) for row in rows] == [
        (label, 2, step) for label in ("normal:0.01", "he_normal") for step in range(3)
    ]
    assert rows == diagnostics.train(["normal:0.01", fi.he_normal], *data, **settings)
    assert rows != diagnostics.train(["normal:0.01", fi.he_normal], *data, seed=1, **settings)
    assert rows[0]["loss"] == pytest.approx(math.log(3), abs=1e-3)


def test_a_loss_that_explodes_is_a_row_and_no_warning():
    rows = diagnostics.train("normal:1e20", [[1.0], [2.0]], [0, 1], depth=4, steps=2)
    assert not math.isfinite(rows[-1]["loss"])


@pytest.mark.parametrize(
    "inputs, labels, settings, error, said",
    [
        ([1.0], [0], {}, ValueError, r"inputs have shape \(1,\)"),
        (np.empty((0, 2)), [], {}, ValueError, r"inputs have shape \(0, 2\)"),
        ([[1.0]], [0.5], {}, TypeError, "labels must be integers, not float64"),
        ([[1.0]], [0, 1], {}, ValueError, r"labels have shape \(2,\); give one for each of the 1"),
        ([[1.0]], [-1], {}, ValueError, "a label is -1; classes count from 0"),
        ([[1.0]], [0], {"depth": 0}, ValueError, "depth is 0; it must be at least 1"),
        ([[1.0]], [0], {"rate": 0.0}, ValueError, "rate is 0.0; it must be > 0"),
    ],
)
def test_bad_data_and_settings_are_refused(inputs, labels, settings, error, said):
    with pytest.raises(error, match=said):
        diagnostics.train("he_normal", inputs, labels, **settings)


def test_the_example_of_the_docstring_is_true():
    found = doctest.testmod(training)
    assert found.attempted and not found.failed
