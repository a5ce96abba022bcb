"""The activations that compare() knows, each with its derivative, as functions of NumPy arrays.

They are used only for measurements and are not covered by the promise of equal bits: NumPy's tanh
and exp may differ in the last digits between machines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._core.arguments import described, nearest, shown
from ..typing import Array


class Activation(NamedTuple):
    """An activation f and its derivative."""

    name: str
    f: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def _phi(x: Array) -> Array:
    """Φ(x), the distribution function of a standard normal, with an error of at most 7.5e-8.

    NumPy lacks erf, so this uses Abramowitz and Stegun, Handbook of mathematical functions,
    26.2.17.
    """
    size = np.abs(x)
    t = 1.0 / (1.0 + 0.2316419 * size)
    tail = np.zeros_like(size)
    for factor in (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530):
        tail = t * (factor + tail)
    tail = tail * _density(x)
    return np.where(x < 0.0, tail, 1.0 - tail)


def _density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # 1 / (1 + exp(-x)) could overflow


def _silu_slope(x: Array) -> Array:
    s = _sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


ACTIVATIONS: dict[str, Activation] = {
    one.name: one
    for one in (
        Activation("linear", lambda x: x, np.ones_like),
        Activation("tanh", np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
        Activation("relu", lambda x: np.maximum(x, 0.0), lambda x: (x > 0.0).astype(x.dtype)),
        Activation("gelu", lambda x: x * _phi(x), lambda x: _phi(x) + x * _density(x)),
        Activation("silu", lambda x: x * _sigmoid(x), _silu_slope),
    )
}


def activation(name: str) -> Activation:
    """The activation with this name; a ValueError suggests the nearest name, or lists all."""
    if not isinstance(name, str):
        raise TypeError(f"an activation must be a name, not {described(name)}")
    found = ACTIVATIONS.get(name.strip())
    if found is None:
        hint = nearest(name, ACTIVATIONS)
        raise ValueError(
            f"unknown activation {shown(name)}; {hint + ' ' if hint else ''}known are "
            f"{', '.join(ACTIVATIONS)}"
        )
    return found
