"""The initializers that exist only in specs.  They write bits that are not random numbers, for
packed weights and related tensors, and short tables.  Section 11 of stream-v1.md specifies them.

    words          the stream's words, byte by byte and unchanged: all bit patterns are equally
                   likely.  With one-byte dtypes: low + (byte mod count), for example exponents of
                   small block scales
    group_index    0 0 … 0 1 1 … 1 2 …: the group of each input, with `size` inputs per group
    arange         start, start + step, … on the last axis, for example positions
    table          a short list of values, repeated to the end

The rules have the same form as those in ../_table.py, and spec.py accepts both.  dummy.py
determines the tensors of a dummy checkpoint.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core import engine, fill, shapes
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.dtypes import FLOAT8_E8M0FNU, U32, WORDS, DType, decode, encode, is_finite
from .._core.jobs import draw_job
from ..typing import Array, Sizes, Write

_NAN = 255  # the bits of NaN in float8_e8m0fnu


def words(shape: Sizes, dtype: DType, *, low: int = 0, count: int = 256) -> Write:
    """The rule for uniform bits.  `count` must be a power of two."""
    if dtype.kind not in ("int", "packed"):
        raise ValueError(f"words are for integers and packed dtypes, not {dtype.name}")
    for value, what in ((low, "low"), (count, "count")):
        if type(value) is not int:
            raise ValueError(f"{what} is {shown(value)}; it must be a whole number")
    if not (low >= 0 and count >= 1 and low + count <= 256) or count & (count - 1):
        raise ValueError(
            f"low is {shown(low)} and count {shown(count)}; count must be a power of two, and low "
            "+ count at most 256"
        )
    if dtype.itemsize > 1 and (low, count) != (0, 256):
        raise ValueError(f"low and count are for dtypes of one byte, not {dtype.name}")
    if dtype is FLOAT8_E8M0FNU and low + count > _NAN:
        raise ValueError(f"low {low} and count {count} reach 255, which is NaN in {dtype.name}")

    def write(target: fill.Target, seed: int, stream: int, threads: int | None) -> None:
        flat = target.view.reshape(-1)  # not a copy: a checkpoint's memory is contiguous
        begin = _first(target) * dtype.itemsize
        drawn = _bytes(begin, flat.nbytes, seed, stream, threads)
        if count < 256:
            drawn &= np.uint8(count - 1)
            drawn += np.uint8(low)
        flat[...] = drawn.view(dtype.unsigned.newbyteorder("<"))

    return write


def group_index(shape: Sizes, dtype: DType, *, size: int) -> Write:
    """The rule that sets element i to i // size."""
    if dtype.kind != "int":
        raise ValueError(f"a group index is an integer, not {dtype.name}")
    if type(size) is not int or size < 1:
        raise ValueError(f"size is {shown(size)}; it must be a whole number, at least 1")
    if shapes.count(shape, dtype) > size * (dtype.high + 1):
        raise ValueError(f"shape {shape} has more groups of {size} than {dtype.name} can number")

    def write(target: fill.Target, seed: int, stream: int, threads: int | None) -> None:
        first = _first(target)
        index = np.arange(first, first + target.view.size, dtype=np.int64) // size
        target.view[...] = index.astype(dtype.unsigned).reshape(target.view.shape)

    return write


def arange(shape: Sizes, dtype: DType, *, start: int = 0, step: int = 1) -> Write:
    """The rule that writes start + step · index on the last axis."""
    if dtype.kind != "int":
        raise ValueError(f"arange counts in integers, not in {dtype.name}")
    length = shape[-1] if shape else 1
    for value, what in ((start, "start"), (step, "step")):
        if type(value) is not int:
            raise ValueError(f"{what} is {shown(value)}; it must be a whole number")
    for value in (start, start + step * max(length - 1, 0)):
        if not dtype.low <= value <= dtype.high:
            raise ValueError(
                f"{shown(value)} is not in [{dtype.low}, {dtype.high}] of {dtype.name}"
            )

    def write(target: fill.Target, seed: int, stream: int, threads: int | None) -> None:
        first = _first(target)
        place = np.arange(first, first + target.view.size, dtype=np.uint64) % np.uint64(length)
        # Two's complement: arithmetic modulo 2^64 is also correct for negative numbers.
        place *= np.uint64(step % (1 << 64))
        place += np.uint64(start % (1 << 64))
        target.view[...] = place.astype(dtype.unsigned).reshape(target.view.shape)

    return write


MOST_VALUES = 1024  # the most values of a table, because every file's metadata contain it


_HUGE = 1 << 1024  # integers from here on are too large for a float


def table(shape: Sizes, dtype: DType, *, values: Sequence[float]) -> Write:
    """The rule that sets element i to values[i mod n], with n values."""
    if dtype.kind == "packed":
        raise ValueError(f"a table holds numbers, and {dtype.name} packed bits")
    if not isinstance(values, (list, tuple)) or not 0 < len(values) <= MOST_VALUES:
        raise ValueError(f"values is {shown(values)}; it must be a list of 1 to {MOST_VALUES}")
    for value in values:
        known = type(value) in (int, float)
        if known and dtype.is_float:
            known = abs(value) < _HUGE and is_finite(value, dtype)
        if not known:
            raise ValueError(f"values has {shown(value)}; each must be finite in {dtype.name}")
    bits = np.array([encode(value, dtype) for value in values], dtype.unsigned)

    def write(target: fill.Target, seed: int, stream: int, threads: int | None) -> None:
        flat = target.view.reshape(-1)
        shift = _first(target) % len(bits)
        flat[...] = np.resize(np.roll(bits, -shift), flat.size)

    return write


RULES: dict[str, Callable[..., Any]] = {
    "words": words,
    "group_index": group_index,
    "arange": arange,
    "table": table,
}
PARAMETERS = {
    "words": ("low", "count"),
    "group_index": ("size",),
    "arange": ("start", "step"),
    "table": ("values",),
}
# The values of these do not depend on the seed.
SEEDLESS = ("group_index", "arange", "table")


def recognized(bits: Array, dtype: DType) -> tuple[str, dict[str, Any]] | None:
    """Find an initializer and its arguments that give a tensor of these bits.

    It is a constant, an arange on the last axis, or a short table.  None if none of them fits.
    """
    flat, width = bits.reshape(-1), bits.shape[-1] if bits.ndim else 1
    for period in dict.fromkeys((1, width, flat.size)):
        row = flat[:period]
        if not (flat.reshape(-1, period) == row).all():
            continue
        few = [decode(int(one), dtype) for one in row[: MOST_VALUES + 1]]
        if not all(map(math.isfinite, few)):
            return None
        if period == 1:
            return "constant", {"value": few[0]}
        if dtype.kind == "int" and period == width:
            start, step = int(few[0]), int(few[1] - few[0])
            values = row.view(f"i{dtype.itemsize}") if dtype.low < 0 else row
            if (values == np.arange(period, dtype=np.float64) * step + start).all():
                return "arange", {"start": start, "step": step}
        if period <= MOST_VALUES:
            return "table", {"values": tuple(few)}
    return None


def _first(target: fill.Target) -> int:
    """The flat index of the first element of a contiguous region."""
    strides = shapes.index_strides(target.shape)
    return sum(part.start * stride for part, stride in zip(target.region, strides, strict=True))


def _bytes(begin: int, size: int, seed: int, stream: int, threads: int | None) -> Array:
    """Bytes of the stream's words, in little-endian order."""
    first = begin // 4
    drawn = np.empty((begin + size + 3) // 4 - first, np.uint32)
    engine.run([draw_job(drawn, Draw(WORDS, U32, ()), seed, stream, first, (1,))], threads)
    if sys.byteorder == "big":
        drawn.byteswap(inplace=True)
    return drawn.view(np.uint8)[begin - 4 * first :][:size]
