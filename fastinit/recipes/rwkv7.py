"""rwkv7: the parameters of RWKV-7 that are functions of the channel, the layer and the depth.

The rule returns a Write that fills any region; it does not depend on the seed.  Powers come from
_core/math.py, so that they are the same on every machine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, SupportsIndex

import numpy as np

from .._core import dtypes
from .._core import math as exact
from .._core.arguments import choice, whole
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Dtype, Name, Out, Region, Seed, Shape, Sizes, Write

# Exponents of the mixes of a token with the one before.  The mix of channel i of C is
# 1 - (i / C)^(exponent * later), where `later` falls from 1 in the first layer to almost 0 in the
# last.
_MIXES = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}
_EVERYWHERE = ("k_a", "r_k", "ln_x")  # one value for all elements


@functools.lru_cache(maxsize=8)
def _powers(count: int, steps: int, exponent: float) -> tuple[float, ...]:
    """(i / steps)^exponent for i < count; remembered, as several parameters of a layer share it."""
    return tuple([exact.pow(i / steps, exponent) for i in range(count)])


def _zigzag(channel: int, head_size: int) -> float:
    """x·|x|, where x rises from -1 to 1 over each head."""
    middle = (head_size - 1) / 2.0
    place = (channel % head_size - middle) / middle
    return place * abs(place)


def _values(
    tensor: str, channels: int, layer: int, layers: int, head_size: int
) -> Callable[[int], float]:
    """The function that gives the value of a channel, in double."""
    later = 1.0 - layer / layers
    if tensor in _MIXES:
        powers = _powers(channels, channels, _MIXES[tensor] * later)
        return lambda i: 1.0 - powers[i]
    if tensor == "ffn_x_k":
        powers = _powers(channels, channels, later * later * later * later)
        return lambda i: 1.0 - powers[i]
    if tensor == "w0":
        depth = exact.pow(layer / (layers - 1), 0.3)
        powers = _powers(channels, channels - 1, 1.0 + depth)
        return lambda i: -6.0 + 6.0 * powers[i] + 0.5 + 2.5 * _zigzag(i, head_size)
    slope, start, waves = {
        "a0": (0.4, -0.19, 0.3),
        "v0": (-0.4, 0.73, 0.0),
        "k_k": (-0.1, 0.71, 0.0),
    }[tensor]
    return lambda i: start + waves * _zigzag(i, head_size) + slope * (i / (channels - 1) - 0.5)


def rwkv7_rule(
    shape: Sizes,
    dtype: DType,
    *,
    tensor: str,
    layer: int,
    layers: int,
    head_size: int = 64,
) -> Write:
    known = (*_MIXES, "ffn_x_k", "w0", "a0", "v0", "k_k", *_EVERYWHERE)
    choice(tensor, "tensor", known)
    layers = whole(layers, "layers", 2)
    layer = whole(layer, "layer", 0)
    head_size = whole(head_size, "head_size", 2)
    if layer >= layers:
        raise ValueError(f"layer is {layer}; with {layers} layers the last is {layers - 1}")
    if not dtype.is_float:
        raise TypeError(f"rwkv7 needs a floating dtype, not {dtype.name}")
    everywhere = tensor in _EVERYWHERE
    channels = shape[-1] if shape else 0
    if not everywhere and (channels < 2 or math.prod(shape) != channels):
        raise ValueError(
            f"shape is {shape}; rwkv7's {tensor} has one value a channel, as in shape (1, 1, 768) "
            "or (768,)"
        )
    if tensor in ("w0", "a0") and channels % head_size:
        raise ValueError(f"{channels} channels are not a multiple of head_size, {head_size}")

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        if everywhere:
            depth = (1 + layer) / layers
            value = {"k_a": 1.02, "r_k": -0.04}.get(tensor) or exact.pow(depth, 0.7)
            target.view[...] = dtypes.encode(value, dtype)
            return
        value_of = _values(tensor, channels, layer, layers, head_size)
        part = target.region[-1]
        bits = [dtypes.encode(value_of(i), dtype) for i in range(part.start, part.stop)]
        target.view[...] = np.array(bits, dtype.unsigned)

    return write


def rwkv7(
    shape: Shape | None = None,
    *,
    tensor: Literal[
        "x_r",
        "x_w",
        "x_k",
        "x_v",
        "x_a",
        "x_g",
        "ffn_x_k",
        "w0",
        "a0",
        "v0",
        "k_k",
        "k_a",
        "r_k",
        "ln_x",
    ],
    layer: SupportsIndex,
    layers: SupportsIndex,
    head_size: SupportsIndex = 64,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """RWKV-7's vectors: 1 − (i/C)^(e·(1 − layer/layers)) for token shifts; decay, rates, scales.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    tensor : str
        Which parameter: the time mix's "x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "w0", "a0", "v0",
        "k_k", "k_a", "r_k" and the weight of its "ln_x"; "ffn_x_k" is the channel mix's x_k.
    layer : int
        The layer, counted from 0.
    layers : int
        Number of layers of the model, at least 2.
    head_size : int, default 64
        Channels of a head.
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
        An unknown tensor; `layer` not below `layers`; a shape that is not one value a channel.

    See Also
    --------
    orthogonal : The initializer of RWKV-7's matrices.

    Notes
    -----
    Channel i of C has l = i/(C − 1) − 1/2 and z = s·abs(s), where s rises from −1 to 1 over each
    head. The exponents e are 0.2 (x_r, x_g), 0.7 (x_k, x_v) and 0.9 (x_w, x_a); ffn_x_k has the
    exponent (1 − layer/layers)⁴. w0 is −5.5 + 6·(i/(C − 1))^(1 + (layer/(layers − 1))^0.3) + 2.5·z;
    a0 is −0.19 + 0.3·z + 0.4·l; v0 is 0.73 − 0.4·l; k_k is 0.71 − 0.1·l; k_a is 1.02, r_k is −0.04,
    and the weight of ln_x is ((layer + 1)/layers)^0.7.

    The formulas are those of the authors' code for training (RWKV-v7/train_temp/src/model.py),
    which computes in float32; here each value is rounded once. The matrices w1, a1, v1, g1, output
    and the channel mix's value are `zeros`. The others are `orthogonal`: w2, a2, v2 and g2 with
    gain 0.1·√max(1, rows/columns), receptance, value and the channel mix's key with gain 1, key
    with gain 0.1, and the head with gain 0.5·√max(1, vocabulary/C). The embedding is
    `uniform` within ±1e-4. Nothing is drawn here: `seed` and `name` are checked and have no effect.

    References
    ----------
    .. [1] Peng et al., RWKV-7 "Goose" with expressive dynamic state evolution, COLM 2025.

    Examples
    --------
    >>> fi.rwkv7(64, tensor="w0", layer=0, layers=12)[[0, 21, 42, 63]]
    array([-8.       , -3.7777777, -1.2222222,  3.       ], dtype=float32)
    """
    own = {"tensor": tensor, "layer": layer, "layers": layers, "head_size": head_size}
    return apply(rwkv7_rule, own, shape, dtype, out, region, seed, name, threads)
