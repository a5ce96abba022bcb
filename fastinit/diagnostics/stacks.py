"""The layers that compare() stacks: plain, residual, transformer-block, forward and backward.

A layer takes activations of shape (width, samples).  It returns its output and a function that
backpropagates the gradient.  theory.py has the predictions for the same layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..typing import Array
from .activations import Activation

# Returns the matrix with a given name and shape (out, in).
Weight = Callable[[str, tuple[int, int]], Array]
Back = Callable[[Array], Array]
Layer = Callable[[Array, Weight, Activation], tuple[Array, Back]]

TOKENS = 16  # the length of a sequence; the samples are grouped into sequences
HEAD = 64  # the size of an attention head, if the width is a multiple of it
EXPANSION = 4  # the width of a transformer's MLP, relative to the model's width


def plain(x: Array, weight: Weight, activation: Activation) -> tuple[Array, Back]:
    """y = f(W x)."""
    w = weight("weight", (len(x), len(x)))
    h = w @ x
    return activation.f(h), lambda g: w.T @ (activation.slope(h) * g)


def residual(x: Array, weight: Weight, activation: Activation) -> tuple[Array, Back]:
    """y = x + V f(W x), without normalization."""
    branch, back = _mlp(x, weight, activation, len(x))
    return x + branch, lambda g: g + back(g)


def transformer_block(x: Array, weight: Weight, activation: Activation) -> tuple[Array, Back]:
    """y = x + attention(norm(x)), then y + mlp(norm(y)): a pre-norm block.

    Attention is bidirectional, over TOKENS tokens.
    """
    normed, back_norm = _norm(x)
    branch, back_attention = _attention(normed, weight)
    y = x + branch
    normed, back_norm_2 = _norm(y)
    branch, back_mlp = _mlp(normed, weight, activation, EXPANSION * len(x))

    def back(g: Array) -> Array:
        g = g + back_norm_2(back_mlp(g))
        return g + back_norm(back_attention(g))

    return y + branch, back


LAYERS: dict[str, Layer] = {
    "plain": plain,
    "residual": residual,
    "transformer-block": transformer_block,
}


def _mlp(x: Array, weight: Weight, activation: Activation, inner: int) -> tuple[Array, Back]:
    up, down = weight("up.weight", (inner, len(x))), weight("down.weight", (len(x), inner))
    h = up @ x
    return down @ activation.f(h), lambda g: up.T @ (activation.slope(h) * (down.T @ g))


def _norm(x: Array) -> tuple[Array, Back]:
    """Layer normalization of each sample, without parameters."""
    centred = x - x.mean(0)
    size = np.sqrt((centred * centred).mean(0))
    y = centred / size

    def back(g: Array) -> Array:
        return (g - g.mean(0) - y * (g * y).mean(0)) / size

    return y, back


def heads(width: int) -> int:
    """The number of attention heads for a width."""
    return width // HEAD if width % HEAD == 0 else 1


def _attention(x: Array, weight: Weight) -> tuple[Array, Back]:
    width, samples = x.shape
    count = heads(width)
    scale = 1.0 / math.sqrt(width // count)
    w = {name: weight(f"{name}.weight", (width, width)) for name in ("q", "k", "v", "o")}

    def split(a: Array) -> Array:  # to (head, sequence, token, unit)
        four = a.reshape(count, width // count, samples // TOKENS, TOKENS)
        return four.transpose(0, 2, 3, 1)

    def join(a: Array) -> Array:
        return a.transpose(0, 3, 1, 2).reshape(width, samples)

    q, k, v = (split(w[name] @ x) for name in "qkv")
    score = scale * (q @ k.swapaxes(-1, -2))
    share = np.exp(score - score.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)

    def back(g: Array) -> Array:
        mixed = split(w["o"].T @ g)
        by_share = mixed @ v.swapaxes(-1, -2)
        by_score = scale * share * (by_share - (by_share * share).sum(-1, keepdims=True))
        parts = by_score @ k, by_score.swapaxes(-1, -2) @ q, share.swapaxes(-1, -2) @ mixed
        return sum(w[name].T @ join(part) for name, part in zip("qkv", parts, strict=True))  # type: ignore[return-value]

    return w["o"] @ join(share @ v), back
