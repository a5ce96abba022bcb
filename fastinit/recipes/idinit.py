"""idinit: IDInit, identities side by side.

Its rule returns a Write that computes any region of the global tensor alone, from the indices of
its elements.  It does not depend on the seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import draws, shapes
from .._core.arguments import channel_layout, real
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Array, Sizes, Write
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
            # The C-order index is row * columns + column whichever the layout: no need to take the
            # axes apart.
            row, column = np.divmod(
                (first * strides[0]).reshape((-1,) + (1,) * rest.ndim) + rest, columns
            )
            part[...] = np.where(row % period == column % period, bits, zero)

    return write


def idinit(
    shape: Any = None,
    *,
    tau: float = 1.0,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """W[i, j] = tau where i ≡ j modulo min(R, C), 0 elsewhere, of the R × C matrix: identities side
    by side.

    tau = 1 on the main path and in all layers of a residual branch but its last, which takes tau =
    1e-6 (the paper's IDIZ): next to nothing, but no dead units. Convolutions: the matrix is out ×
    (in·kernel), so each output channel copies its own place of the patch (the paper's
    patch-maintain). Biases are zeros.

    Parameters
    ----------
    layout : "oi": R = shape[0], C the rest; "io": C = shape[-1], R the rest.

    Source: Pan et al., IDInit: a universal and stable initialization method for neural network
    training, ICLR 2025; written from the paper's description, the authors' code was not at hand.

    Examples
    --------
    >>> fi.idinit((2, 5))
    array([[1., 0., 1., 0., 1.],
           [0., 1., 0., 1., 0.]], dtype=float32)
    """
    return apply(
        idinit_rule, {"tau": tau, "layout": layout}, shape, dtype, out, region, seed, name, threads
    )
