"""Shapes and regions of the global tensor: parsed, counted, and the strides of their indices.

It does not know memory or draws: buffers.py checks the destination, and fill.py fills it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ..typing import Array, Box, Sizes
from .arguments import described, integer, is_boolean, shown
from .dtypes import DType

_MOST_AXES = 64  # NumPy's


def parse_shape(shape: Any) -> Sizes:
    """A shape given as an int or a sequence of ints, as a tuple; booleans and negative sizes are
    refused.
    """
    if shape.__class__ is not tuple:
        shape = _sequence(shape)
    for size in shape:
        if size.__class__ is not int:
            shape = tuple([integer(size, "every size of shape") for size in shape])
            break
    for size in shape:
        if size < 0:
            raise ValueError(f"shape {shown(shape)} has a negative size; give sizes >= 0")
    return shape  # type: ignore[no-any-return]


def _sequence(shape: Any) -> tuple[Any, ...]:
    if shape is None:
        raise TypeError("neither shape nor out is given; give a shape, or out= to fill in place")
    if not isinstance(shape, (str, bytes)) and not is_boolean(shape):
        try:
            return (operator.index(shape),)
        except TypeError:
            pass
        try:
            return tuple(shape)
        except TypeError:
            pass
    raise TypeError(f"shape must be an integer or a tuple of integers, not {described(shape)}")


@lru_cache(maxsize=4096)
def index_strides(shape: Sizes) -> Sizes:
    """The C-order strides, in values, of a global shape: what one step along each axis adds to the
    value index.
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return tuple(strides)


@lru_cache(maxsize=4096)
def count(shape: Sizes, dtype: DType) -> int:
    """The number of values of a global shape; more than the stream can index is a ValueError."""
    if len(shape) > _MOST_AXES:
        raise ValueError(f"shape has {len(shape)} axes; at most {_MOST_AXES} are allowed")
    limit = 57 if dtype.wide else 58
    # As in NumPy, an axis of size 0 does not excuse the others.
    if math.prod([size for size in shape if size]) > 1 << limit:
        raise ValueError(
            f"shape {shown(shape)} has more than 2**{limit} elements, the limit of {dtype.name} "
            "tensors"
        )
    return math.prod(shape)


def parse_region(region: Any, shape: Sizes) -> Box:
    """The region as one slice(start, stop, 1) per axis.  Allowed are slices with step 1, integers
    (kept as length 1) and one Ellipsis.
    """
    entries = tuple(region) if isinstance(region, (tuple, list)) else (region,)
    dots = [place for place, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise ValueError(f"region {shown(region)} has {len(dots)} Ellipses; give at most one")
    if dots:
        missing = len(shape) - len(entries) + 1
        entries = (*entries[: dots[0]], *[slice(None)] * missing, *entries[dots[0] + 1 :])
    if len(entries) != len(shape):
        raise ValueError(
            f"region has {len(entries)} entries for the {len(shape)} axes of shape {shape}; "
            "give one slice or integer an axis, or an Ellipsis for the rest"
        )
    return tuple(
        [
            _part(entry, size, axis)
            for axis, (entry, size) in enumerate(zip(entries, shape, strict=True))
        ]
    )


def _part(entry: Any, size: int, axis: int) -> slice:
    def bound(number: Any, default: int) -> int:
        return default if number is None else integer(number, f"region at axis {axis}")

    if isinstance(entry, slice):
        step = bound(entry.step, 1)
        if step != 1:
            raise ValueError(
                f"region has step {shown(step)} at axis {axis}; only step 1 is allowed"
            )
        start, stop = bound(entry.start, 0), bound(entry.stop, size)
    else:
        start = bound(entry, 0)
        stop = start + 1
    if not (0 <= start <= size and 0 <= stop <= size):
        raise ValueError(
            f"region {shown(start)}:{shown(stop)} at axis {axis} is outside the {size} elements of "
            "the shape; bounds count from the start, and negative ones are not allowed"
        )
    return slice(start, max(start, stop), 1)


def split_part(view: Array, region: Box, axis: int, each: int) -> Iterator[tuple[Array, Box]]:
    """The view of a region and the region, with `axis` split into (blocks, places of `each`).

    A partial block at either end becomes a separate box, so there are at most three boxes.
    """
    start, stop = region[axis].start, region[axis].stop
    while start < stop:
        block, place = divmod(start, each)
        if place or stop - start < each:  # a part of one block
            blocks, places = slice(block, block + 1), slice(place, min(each, place + stop - start))
        else:
            blocks, places = slice(block, stop // each), slice(0, each)
        count, size = blocks.stop - blocks.start, places.stop - places.start
        first = start - region[axis].start
        part = view[(slice(None),) * axis + (slice(first, first + count * size),)]
        shape = (*view.shape[:axis], count, size, *view.shape[axis + 1 :])
        yield part.reshape(shape), (*region[:axis], blocks, places, *region[axis + 1 :])
        start += count * size
