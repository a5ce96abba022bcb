"""zero_hadamard: ZerO, the identity or a corner of a Hadamard matrix.

Its rule returns a Write that computes any region of the global tensor alone, from the indices of
its elements.  It does not depend on the seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Array, Sizes, Write
from ._written import blocks, channels_first


def zero_hadamard_rule(shape: Sizes, dtype: DType, *, layout: str = "oi") -> Write:
    channel_layout(layout, "zero_hadamard")
    if len(shape) < 2:
        raise ValueError(
            f"zero_hadamard needs a shape of two axes or more, not {shape}; ZerO's biases are zeros"
        )
    outputs, inputs = shape[:2] if layout == "oi" else (shape[-1], shape[-2])
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    one = draws.constant(1.0, dtype).parameters[0]
    power = max(0, outputs - 1).bit_length()  # ceil(log2(outputs))
    scale = 1.0 / math.sqrt(1 << power)  # bits:
    plus, minus = (
        dtype.unsigned.type(draws.constant(value, dtype).parameters[0]) for value in (scale, -scale)
    )

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        target.view[...] = 0
        view, (out, into, *middle) = channels_first(target, layout)
        if not all(
            part.start <= size // 2 < part.stop for part, size in zip(middle, kernel, strict=True)
        ):
            return  # the centre lies outside this region
        view = view[
            (
                slice(None),
                slice(None),
                *(size // 2 - part.start for part, size in zip(middle, kernel, strict=True)),
            )
        ]
        columns = np.arange(into.start, into.stop)
        if outputs <= inputs:
            diagonal = np.arange(max(out.start, into.start), min(out.stop, into.stop))
            view[diagonal - out.start, diagonal - into.start] = one
            return
        for part, rows in blocks(
            view, out.start
        ):  # H[i, j] = (-1)^(number of bits that i and j share)
            part[...] = np.where(np.bitwise_count(rows[:, None] & columns) & 1, minus, plus)

    return write


def zero_hadamard(
    shape: Any = None,
    *,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """ZerO: the identity if out ≤ in; else 2^(−m/2) × a corner of the Hadamard matrix of 2^m, m =
    ⌈log₂ out⌉.

    A convolution holds that at the centre k//2 of its kernel and 0 elsewhere. Biases and the last
    layer of every residual branch are zeros (fi.zeros).

    Parameters
    ----------
    layout : "oi", (out, in, *kernel), or "io", (*kernel, in, out).

    Source: Zhao, Schäfer and Anandkumar, ZerO initialization: initializing neural networks with
    only zeros and ones, TMLR 2022, algorithms 1 and 2; 2^(−m/2) as in the authors' code (the paper
    prints 2^(−(m−1)/2)).

    Examples
    --------
    >>> fi.zero_hadamard((4, 2))
    array([[ 0.5,  0.5],
           [ 0.5, -0.5],
           [ 0.5,  0.5],
           [ 0.5, -0.5]], dtype=float32)
    """
    return apply(
        zero_hadamard_rule, {"layout": layout}, shape, dtype, out, region, seed, name, threads
    )
