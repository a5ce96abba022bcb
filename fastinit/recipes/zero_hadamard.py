"""zero_hadamard: ZerO, the identity or a corner of a Hadamard matrix.

Its rule returns a Write that computes any region of the global tensor from the indices of its
elements.  It does not depend on the seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout
from .._core.dtypes import DType
from .._core.fill import apply, clear
from ..typing import Dtype, Layout, Name, Out, Region, Seed, Shape, Sizes, Write
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
        clear(target, threads)
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
        # H[i, j] = (-1)^(number of bits that i and j share).
        for part, rows in blocks(view, out.start):
            part[...] = np.where(np.bitwise_count(rows[:, None] & columns) & 1, minus, plus)

    return write


def zero_hadamard(
    shape: Shape | None = None,
    *,
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """ZerO: the identity if out ≤ in, else 2^(−m/2) times a corner of the Hadamard matrix of 2^m.

    m = ⌈log₂ out⌉. A convolution holds this matrix at the centre k//2 of its kernel and 0
    elsewhere. Biases and the last layer of every residual branch are zeros.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    layout : {"oi", "io"}, default "oi"
        The order of axes: ``(out, in, *kernel)`` or ``(*kernel, in, out)``.
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
        Fewer than two axes.

    See Also
    --------
    idinit : IDInit, the other initialization without randomness.
    zeros : For the biases.

    Notes
    -----
    Algorithms 1 and 2 of [1]_. The factor 2^(−m/2) is that of the authors' code; the paper prints
    2^(−(m−1)/2). Nothing is drawn: `seed` and `name` are checked and have no effect.

    References
    ----------
    .. [1] Zhao, Schäfer and Anandkumar, ZerO initialization: initializing neural networks with only
           zeros and ones, TMLR 2022.

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
