"""alexnet_weight and alexnet_bias: AlexNet's normal weights and its constant biases.

Each rule turns its formula into one draw; the fill is _core/fill.py's.
"""

from __future__ import annotations

from typing import Any

from .._core import draws
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Array, Sizes


def alexnet_weight_rule(shape: Sizes, dtype: DType) -> Draw:
    return draws.normal(0.0, 0.01, dtype)


def alexnet_weight(
    shape: Any = None,
    *,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, 0.01²): every weight of AlexNet; its biases: alexnet_bias.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
    networks, 2012, section 5.

    Examples
    --------
    >>> fi.alexnet_weight((2, 3), seed=0, name="conv1.weight")
    array([[ 1.2332936e-03,  4.7961305e-04, -1.2000316e-02],
           [ 1.2065281e-02,  9.6674674e-05,  5.6731594e-03]], dtype=float32)
    """
    return apply(alexnet_weight_rule, {}, shape, dtype, out, region, seed, name, threads)


_ALEXNET = {
    "conv1": 0,
    "conv2": 1,
    "conv3": 0,
    "conv4": 1,
    "conv5": 1,
    "fc6": 1,
    "fc7": 1,
    "fc8": 0,
}


def alexnet_bias_rule(shape: Sizes, dtype: DType, *, layer: str) -> Draw:
    if layer not in _ALEXNET:
        raise ValueError(f"layer is {layer!r:.80}; AlexNet has {', '.join(_ALEXNET)}")
    return draws.constant(_ALEXNET[layer], dtype)


def alexnet_bias(
    shape: Any = None,
    *,
    layer: str,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """1 in conv2, conv4, conv5 and the hidden fully connected layers fc6 and fc7; 0 in conv1, conv3
    and fc8.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
    networks, 2012, section 5.

    Examples
    --------
    >>> fi.alexnet_bias(4, layer="conv2")
    array([1., 1., 1., 1.], dtype=float32)
    """
    return apply(
        alexnet_bias_rule, {"layer": layer}, shape, dtype, out, region, seed, name, threads
    )
