"""The layers: what they compute, and that the way back is the transpose of their derivative."""

import numpy as np
import pytest

import fastinit as fi
from fastinit.diagnostics import stacks
from fastinit.diagnostics.activations import activation

WIDTH, SAMPLES = 12, 32


def random(name, shape=(WIDTH, SAMPLES)):
    return fi.normal(shape, seed=1, name=name, dtype="float64")


def weight(name, shape):
    return fi.normal(shape, std=0.5, seed=0, name=name, dtype="float64")


@pytest.mark.parametrize("head", [64, 4])  # one head, and three
@pytest.mark.parametrize("kind", stacks.LAYERS)
def test_the_gradient_is_the_transposed_derivative(kind, head, monkeypatch):
    monkeypatch.setattr(stacks, "HEAD", head)
    layer, f = stacks.LAYERS[kind], activation("tanh")
    x, direction, gradient = random("x"), random("direction"), random("gradient")
    _, back = layer(x, weight, f)
    step = 1e-6
    moved = layer(x + step * direction, weight, f)[0] - layer(x - step * direction, weight, f)[0]
    forward = np.sum(gradient * moved) / (2 * step)
    assert np.sum(back(gradient) * direction) == pytest.approx(forward, rel=1e-7)


def test_a_residual_layer_with_zero_weights_is_the_identity():
    y, back = stacks.residual(random("x"), lambda _, shape: np.zeros(shape), activation("relu"))
    assert (y == random("x")).all()
    assert (back(random("g")) == random("g")).all()


def test_attention_stays_within_a_sequence():
    x = random("x")
    y, _ = stacks.transformer_block(x, weight, activation("gelu"))
    x[0, 0] += 1.0
    moved = stacks.transformer_block(x, weight, activation("gelu"))[0] != y
    assert moved[:, : stacks.TOKENS].all()
    assert not moved[:, stacks.TOKENS :].any()


def test_heads_have_64_units_where_the_width_allows():
    assert [stacks.heads(width) for width in (64, 512, 100, 12)] == [1, 8, 1, 1]
