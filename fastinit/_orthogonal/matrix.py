"""Matrices: finds the columns of Q that a region needs, and where they go, from shape and axes.

After the batch axes are taken out, W is R by C: shape[0] by the rest ("oi"), or the rest by
shape[-1] ("io").  numpy_form.py and section 8 of stream-v1.md define the computation.
convolution.py has the delta and convolutional kernels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .._core.dtypes import DType
from ..typing import Array, Sizes
from . import forms
from .problem import Place, Problem


def _span(sizes: Sizes, parts: Sequence[slice]) -> tuple[slice, bool]:
    """The slice from the first to the last flat index of a box within `sizes`, and whether the box
    holds every index in it.
    """
    first = last = 0
    for size, part in zip(sizes, parts, strict=True):
        first, last = first * size + part.start, last * size + part.stop - 1
    return slice(first, last + 1), last + 1 - first == math.prod(
        part.stop - part.start for part in parts
    )


def _flat(sizes: Sizes, parts: Sequence[slice]) -> Array:
    """The flat indices of a box within `sizes`, ascending."""
    index = np.zeros(1, np.int64)
    for size, part in zip(sizes, parts, strict=True):
        index = (index[:, None] * size + np.arange(part.start, part.stop)).reshape(-1)
    return index


def write_matrices(
    view: Array,
    shape: Sizes,
    region: Sequence[slice],
    batch: Sizes,
    rows: Sizes,
    columns: Sizes,
    gain: float,
    dtype: DType,
    seed: int,
    stream: int,
    threads: int | None,
) -> None:
    """Fill `view`, the region of a tensor whose axes are batches, rows and columns of matrices."""
    if not view.size:
        return

    def sizes(axes: Sizes) -> Sizes:
        return tuple([shape[axis] for axis in axes])

    def parts(axes: Sizes) -> list[slice]:
        return [region[axis] for axis in axes]

    r, c = math.prod(sizes(rows)), math.prod(sizes(columns))
    # The axes of Q's columns and rows: W is Qᵀ if r <= c.
    across, along = (rows, columns) if r <= c else (columns, rows)
    span, dense = _span(sizes(along), parts(along))
    matrices, wanted = _flat(sizes(batch), parts(batch)), _flat(sizes(across), parts(across))
    problem = Problem(min(r, c), max(r, c), matrices, wanted, span, dtype, gain)
    index = None if dense else _flat(sizes(along), parts(along))
    place = Place(view.transpose(*batch, *across, *along), len(batch), len(across), problem, index)
    draw = forms.draws(dtype.wide, seed, stream)
    forms.form(problem, place, draw, threads, f"orthogonal of shape {shape}")
