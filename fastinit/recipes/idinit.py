"""idinit: IDInit, identities side by side.

Its rule returns a Write that computes any region of the global tensor from the indices of its
elements.  It does not depend on the seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import draws, shapes
from .._core.arguments import channel_layout, real
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Dtype, Layout, Name, Out, Real, Region, Seed, Shape, Sizes, Write
from ._written import blocks


def idinit_rule(shape: Sizes, dtype: DType, *, tau: float = 1.0, layout: str = "oi") -> Write:
    channel_layout(layout, "idinit")
    if len(shape) < 2:
        raise ValueError(
            f"idinit needs a shape of two axes or more, not {shape}; its biases are zeros"
        )
    bits = dtype.unsigned.type(draws.constant(real(tau, "tau"), dtype).parameters[0])
    zero = dtype.unsigned.type(0)
    if layout == "oi":
        rows, columns = shape[0], math.prod(shape[1:])
    else:
        rows, columns = math.prod(shape[:-1]), shape[-1]
    period = max(1, min(rows, columns))
    strides = shapes.index_strides(shape)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        later = [
            np.arange(part.start, part.stop) * stride
            for part, stride in zip(target.region[1:], strides[1:], strict=True)
        ]
        rest = np.zeros((), np.int64)
        for axis in later:
            rest = rest[..., None] + axis
        for part, first in blocks(target.view, target.region[0].start):
            # In either layout the C-order index is row * columns + column, so it gives both.
            row, column = np.divmod(
                (first * strides[0]).reshape((-1,) + (1,) * rest.ndim) + rest, columns
            )
            part[...] = np.where(row % period == column % period, bits, zero)

    return write


def idinit(
    shape: Shape | None = None,
    *,
    tau: Real = 1.0,
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W[i, j] = tau where i ≡ j modulo min(R, C), else 0, of the R × C matrix: IDInit.

    `tau` is 1 on the main path and in every layer of a residual branch but its last, which takes
    1e-6 (the paper's IDIZ): small enough to add almost nothing, and not 0, which would leave dead
    units. The matrix of a convolution is out × (in·kernel), so that each output channel copies a
    different place of the patch (the paper's patch-maintain). Biases are zeros.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    tau : float, default 1.0
        The value of the entries that are not 0.
    layout : {"oi", "io"}, default "oi"
        R by C is ``shape[0]`` by the rest, or the rest by ``shape[-1]``.
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
        Fewer than two axes; a `tau` that the dtype cannot hold.

    See Also
    --------
    eye : One identity.
    zero_hadamard : ZerO, the other initialization without randomness.

    Notes
    -----
    Written from the description in [1]_, without the authors' code. Nothing is drawn: `seed` and
    `name` are checked and have no effect.

    References
    ----------
    .. [1] Pan et al., IDInit: a universal and stable initialization method for neural network
           training, ICLR 2025.

    Examples
    --------
    >>> fi.idinit((2, 5))
    array([[1., 0., 1., 0., 1.],
           [0., 1., 0., 1., 0.]], dtype=float32)
    """
    return apply(
        idinit_rule, {"tau": tau, "layout": layout}, shape, dtype, out, region, seed, name, threads
    )
