"""Cut a tensor that is not drawn value by value into parts that can be drawn separately.  Then the
memory use does not grow with the tensor.

This module only computes sizes.  The initializer determines the values of a part, and gives the
same bits for any choice of parts (stream-v1.md).  draw.py draws the parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .._core.draws import Draw
from ..fans import normalized
from ..typing import Sizes
from . import words
from .blocks import Patched
from .spec import Entry

# Bytes of a part.  Each part of an orthogonal matrix computes all reflectors again, which costs as
# much as 32 columns.  With 16384 rows in float32, a part has 1024 columns.
PART = 1 << 26


def axis(entry: Entry) -> int | None:
    """The axis along which a tensor that is not drawn value by value can be cut, or None.

    Along it, drawing a slice costs about the slice's share of drawing the whole tensor.
    """
    if isinstance(entry.rule, (Draw, Patched)) or len(entry.shape) == 0:
        return None
    if entry.initializer == "sparse":  # each unit (row or column) is drawn separately
        return 0 if entry.arguments.get("per") == "row" else 1
    if entry.initializer == "orthogonal":
        return _of_matrices(entry.shape, entry.arguments)
    if entry.initializer == "delta_orthogonal":  # input channels: columns of Q
        if entry.arguments.get("layout") == "io":
            return len(entry.shape) - 2
        return 0 if entry.shape[0] == entry.shape[1] else 1
    if entry.initializer in _ANY:
        return 0
    return None  # the model's own code, or a product that needs all its factors


# For these, each value depends only on its index (or on a file), so any region can be drawn.
_ANY = {
    "eye",
    "dirac",
    "lstm_bias",
    "chrono_bias",
    "mamba_dt_bias",
    "rwkv7",
    "idinit",
    "zero_hadamard",
    "bilinear",
    "icnr",
    "pretrained",
    *words.RULES,
}


def _of_matrices(shape: Sizes, arguments: dict[str, Any]) -> int:
    """The axis of the matrices if there are several, else of Q's columns: W's shorter side."""
    batch = normalized(arguments.get("batch_axis", ()), shape, "batch_axis")
    for one in batch:
        if shape[one] > 1:
            return one
    free = [one for one in range(len(shape)) if one not in batch]
    inward = arguments.get("layout", "oi") == "io"
    rows, columns = (free[:-1], free[-1:]) if inward else (free[:1], free[1:])
    if arguments.get("groups", 1) > 1:
        return columns[0] if inward else rows[0]
    sides = [math.prod(shape[one] for one in axes) for axes in (rows, columns)]
    return (rows if sides[0] <= sides[1] else columns)[0]


def length(shape: Sizes, itemsize: int, axis: int | None) -> int:
    """How many indices of the axis a part has.  If the tensor is one part, the size of axis 0."""
    if axis is None or not math.prod(shape):
        return shape[axis or 0] if shape else 1
    return min(shape[axis], max(1, PART * shape[axis] // (math.prod(shape) * itemsize)))


def memory(entry: Entry) -> int:
    """How many bytes of a tensor are in memory at once, if it is not drawn value by value."""
    cut = axis(entry)
    if cut is None:
        return entry.nbytes
    count = length(entry.shape, entry.dtype.itemsize, cut)
    return entry.nbytes // max(1, entry.shape[cut]) * count


def regions(shape: Sizes, itemsize: int, axis: int | None) -> Iterator[tuple[slice, ...]]:
    """The parts of a tensor, in order."""
    whole = tuple(slice(0, size, 1) for size in shape)
    if axis is None:
        yield whole
        return
    step = length(shape, itemsize, axis)
    for first in range(0, shape[axis], step):
        part = slice(first, min(first + step, shape[axis]), 1)
        yield (*whole[:axis], part, *whole[axis + 1 :])


def runs(shape: Sizes, region: tuple[slice, ...]) -> Iterator[tuple[int, int, int]]:
    """Locate the values of a part in its tensor.

    A part is the whole tensor or a slice along one axis.  Yields (first in the part, first in the
    tensor, count) for each run of flat indices.
    """
    cut = [axis for axis, part in enumerate(region) if part.stop - part.start < shape[axis]]
    axis = cut[0] if cut else 0
    inner = math.prod(shape[axis + 1 :])
    first, stop = (region[axis].start, region[axis].stop) if shape else (0, 1)
    count = (stop - first) * inner
    for number in range(math.prod(shape[:axis])):
        yield number * count, (number * shape[axis] + first) * inner if shape else 0, count
