"""orthogonal: from shape, layout, batch axes and region to the columns of Q that a region needs,
and where they go.

Matrix W is R by C: shape[0] by the rest ("oi") or the rest by shape[-1] ("io"), batch axes taken
out first.  What is computed stands in numpy_form.py and stream-v1.md, section 8; delta and
convolutional kernels: convolution.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _draws, _fans
from .._dtypes import DType, is_finite, rounded
from . import forms
from .problem import Array, Place, Problem

Shape = tuple[int, ...]
Write = Callable[..., None]


def checked_gain(gain: Any, dtype: DType, what: str) -> float:
    """A finite gain, in the working type, whose products with entries of an orthogonal matrix stay
    finite.
    """
    _draws._floating(dtype, what)
    gain = _draws.real(gain, "gain")
    if not is_finite(
        abs(gain) * (1.0 + 2.0**-16), dtype
    ):  # an entry may exceed 1 by its rounding errors
        raise ValueError(
            f"gain {gain!r} is not finite in {dtype.name}, whose largest number is "
            f"{dtype.largest!r}; give a smaller gain or a wider dtype"
        )
    return rounded(gain, dtype.working)


def checked_layout(layout: Any, what: str) -> None:
    if layout not in ("oi", "io"):
        raise ValueError(
            f"layout is {layout!r:.80}; {what} knows 'oi' (out, in, *kernel) and 'io' (*kernel, "
            "in, out)"
        )


def _span(sizes: Shape, parts: Sequence[slice]) -> tuple[slice, bool]:
    """From the first to the last flat index of a box within `sizes`, and whether it holds them
    all.
    """
    first = last = 0
    for size, part in zip(sizes, parts, strict=True):
        first, last = first * size + part.start, last * size + part.stop - 1
    return slice(first, last + 1), last + 1 - first == math.prod(
        part.stop - part.start for part in parts
    )


def _flat(sizes: Shape, parts: Sequence[slice]) -> Array:
    """The flat indices of a box within `sizes`, ascending."""
    index = np.zeros(1, np.int64)
    for size, part in zip(sizes, parts, strict=True):
        index = (index[:, None] * size + np.arange(part.start, part.stop)).reshape(-1)
    return index


def write_matrices(
    view: Array,
    shape: Shape,
    region: Sequence[slice],
    batch: Shape,
    rows: Shape,
    columns: Shape,
    gain: float,
    dtype: DType,
    seed: int,
    stream: int,
    threads: int | None,
) -> None:
    """Fill `view`, the region of a tensor whose axes are batches, rows and columns of matrices."""
    if not view.size:
        return

    def sizes(axes: Shape) -> Shape:
        return tuple([shape[axis] for axis in axes])

    def parts(axes: Shape) -> list[slice]:
        return [region[axis] for axis in axes]

    r, c = math.prod(sizes(rows)), math.prod(sizes(columns))
    across, along = (
        (rows, columns) if r <= c else (columns, rows)
    )  # axes of Q's columns and rows: W is Qᵀ if r <= c
    span, dense = _span(sizes(along), parts(along))
    matrices, wanted = _flat(sizes(batch), parts(batch)), _flat(sizes(across), parts(across))
    problem = Problem(min(r, c), max(r, c), matrices, wanted, span, dtype, gain)
    index = None if dense else _flat(sizes(along), parts(along))
    place = Place(view.transpose(*batch, *across, *along), len(batch), len(across), problem, index)
    draw = forms.draws(dtype.wide, seed, stream)
    forms.form(problem, place, draw, threads, f"orthogonal of shape {shape}")


def orthogonal_rule(
    shape: Shape, dtype: DType, *, gain: Any = 1.0, layout: str = "oi", batch_axis: Any = ()
) -> Write:
    checked_layout(layout, "orthogonal")
    gain = checked_gain(gain, dtype, "orthogonal")
    batch = _fans._normalised(batch_axis, shape, "batch_axis")
    if len(set(batch)) < len(batch):
        raise ValueError(f"batch_axis {batch_axis!r} names an axis of shape {shape} twice")
    batch = tuple(sorted(batch))
    free = tuple([axis for axis in range(len(shape)) if axis not in batch])
    if len(free) < 2:
        beside = f" beside batch_axis {batch_axis!r}" if batch else ""
        raise ValueError(
            f"orthogonal needs a shape of at least two axes{beside}, not {shape}; give a vector "
            "an axis of size 1, or take an initializer without rows and columns (zeros, normal, "
            "uniform)"
        )
    rows, columns = (free[:1], free[1:]) if layout == "oi" else (free[:-1], free[-1:])

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        write_matrices(
            target.view,
            shape,
            target.region,
            batch,
            rows,
            columns,
            gain,
            dtype,
            seed,
            stream,
            threads,
        )

    return write
