"""alexnet_weight and alexnet_bias: AlexNet's normal weights and its constant biases.

Each rule turns its formula into one draw, which _core/fill.py fills.
"""

from __future__ import annotations

from typing import Literal

from .._core import draws
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Dtype, Name, Out, Region, Seed, Shape, Sizes


def alexnet_weight_rule(shape: Sizes, dtype: DType) -> Draw:
    return draws.normal(0.0, 0.01, dtype)


def alexnet_weight(
    shape: Shape | None = None,
    *,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, 0.01²): the weights of all layers of AlexNet.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong kind; `out` that cannot be written.

    See Also
    --------
    alexnet_bias : AlexNet's biases.

    Notes
    -----
    Values in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 5.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
           networks, NeurIPS 2012, section 5.

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
        raise ValueError(f"layer is {shown(layer)}; give one of {', '.join(_ALEXNET)}")
    return draws.constant(_ALEXNET[layer], dtype)


def alexnet_bias(
    shape: Shape | None = None,
    *,
    layer: Literal["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"],
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """1 in conv2, conv4, conv5, fc6 and fc7 of AlexNet, 0 in conv1, conv3 and fc8.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    layer : str
        The layer's name, one of those eight.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        An unknown layer.

    See Also
    --------
    alexnet_weight : AlexNet's weights.

    Notes
    -----
    Values in [1]_. Nothing is drawn: `seed` and `name` are checked and have no effect.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
           networks, NeurIPS 2012, section 5.

    Examples
    --------
    >>> fi.alexnet_bias(4, layer="conv2")
    array([1., 1., 1., 1.], dtype=float32)
    """
    return apply(
        alexnet_bias_rule, {"layer": layer}, shape, dtype, out, region, seed, name, threads
    )
