"""One chunk of a tensor counted and measured, in pure NumPy: the oracle of src/kernel/scan.h.

Every sum has a fixed order, so both give the same bits on every machine: sixteen lanes, value k in
lane k mod 16, then halves added to halves; blocks of 4096 values joined in order by Pébay's
formulas.  What the numbers mean and how chunks are joined: ../inspection/statistics.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .._core.dtypes import BF16, E4M3, E5M2, F16, F32, F64
from ..typing import Array

LANES = 16
# Values: their mean is taken first, so no sum of powers loses the digits of a far mean.
BLOCK = 4096
PATTERNS = 1 << 16
PAGE = 4096  # bytes: FI_PAGE of src/fastinit.h
# Of each narrow storage: bits of the magnitude, the largest finite one, the shift to float32 and
# the power of two that corrects the exponent.
NARROW = {
    BF16: (0x7FFF, 0x7F7F, 16, 0),
    F16: (0x7FFF, 0x7BFF, 13, 112),
    E4M3: (0x7F, 0x7E, 20, 120),
    E5M2: (0x7F, 0x7B, 21, 112),
}


class Moments(NamedTuple):
    """Finite values: their number, mean, sums of powers of the distance from it, and range."""

    values: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    zeros: int = 0
    subnormals: int = 0


def join(a: Moments, b: Moments) -> Moments:
    """The moments of two sets as one (Pébay 2008), in the order of operations of src/kernel/scan.h.

    A value beyond the range of a double becomes infinite or NaN, never an error.
    """
    zeros, subnormals = a.zeros + b.zeros, a.subnormals + b.subnormals
    low = b.low if b.low < a.low else a.low
    high = b.high if b.high > a.high else a.high
    if not a.values or not b.values:
        one = a if a.values else b
        return one._replace(low=low, high=high, zeros=zeros, subnormals=subnormals)
    na, nb = float(a.values), float(b.values)
    n, d = na + nb, b.mean - a.mean
    r = d / n  # bits: from here on the order of operations is that of scan.h
    s = d * r * na * nb
    m4 = a.m4 + b.m4 + s * r * r * (na * na - na * nb + nb * nb)
    m4 = m4 + 6.0 * r * r * (na * na * b.m2 + nb * nb * a.m2)
    m4 = m4 + 4.0 * r * (na * b.m3 - nb * a.m3)
    m3 = a.m3 + b.m3 + s * r * (na - nb)
    m3 = m3 + 3.0 * r * (na * b.m2 - nb * a.m2)
    m2 = a.m2 + b.m2 + s
    return Moments(a.values + b.values, a.mean + r * nb, m2, m3, m4, low, high, zeros, subnormals)


def scan(
    values: Array, code: int, start: int, width: int, table: Array, rows: Array, columns: Array
) -> Moments:
    """Add the bits of a chunk to what is known of its tensor.

    `table` gets the count of each 16-bit pattern (the high half of float32; float64 is rounded to
    float32 first).  With a `width`, `rows` gets the sum of squares of each row's part in the chunk,
    which begins at value `start` of the tensor, and `columns` those of each column.  Moments are
    those of float32 and float64; the table has all of a narrower dtype.
    """
    if len(values) == 0:
        return Moments()
    table += np.bincount(patterns(values, code), minlength=PATTERNS).astype(np.uint64)
    if width:
        _add_squares(_squares(values, code), start, width, rows, columns)
    if code not in (F32, F64):
        return Moments()
    found = Moments()
    for begin in range(0, len(values), BLOCK):
        found = join(found, _moments(values[begin : begin + BLOCK], code))
    return found


def patterns(values: Array, code: int) -> Array:
    """What is counted of each value: its bits, or the high half of those of a float32."""
    if code == F64:
        with np.errstate(all="ignore"):
            values = values.view(np.float64).astype(np.float32).view(np.uint32)
    return values >> np.uint32(16) if values.itemsize == 4 else values


def _squares(values: Array, code: int) -> Array:
    """The square of each finite value, 0 of the others."""
    with np.errstate(all="ignore"):
        if code == F64:
            wide = values.view(np.float64)
            return np.where(np.isfinite(wide), wide * wide, 0.0)
        if code == F32:
            magnitude = values & np.uint32(0x7FFFFFFF)
            bits = np.where(magnitude <= 0x7F7FFFFF, magnitude, 0).astype(np.uint32)
            wide = bits.view(np.float32).astype(np.float64)
        else:
            mask, top, shift, power = NARROW[code]
            magnitude = values.astype(np.uint32) & np.uint32(mask)
            bits = np.where(magnitude <= top, magnitude << np.uint32(shift), 0).astype(np.uint32)
            wide = (bits.view(np.float32) * np.float32(2.0**power)).astype(np.float64)
        return wide * wide


def _in_lanes(values: Array) -> Array:
    """The sum along the last axis: sixteen lanes, then halves."""
    *others, size = values.shape
    steps = -(-size // LANES)
    padded = np.zeros((*others, steps * LANES))
    padded[..., :size] = values
    with np.errstate(all="ignore"):
        # add.accumulate goes in order; add.reduce and sum may not
        lanes = np.add.accumulate(padded.reshape(*others, steps, LANES), axis=-2)[..., -1, :]
        while lanes.shape[-1] > 1:
            half = lanes.shape[-1] // 2
            lanes = lanes[..., :half] + lanes[..., half:]
        return lanes[..., 0] + 0.0  # bits: lanes begin at +0


def _add_squares(squares: Array, start: int, width: int, rows: Array, columns: Array) -> None:
    first = start % width
    head = min(-first % width, len(squares))
    whole = (len(squares) - head) // width
    row = 0
    with np.errstate(all="ignore"):
        if head:
            rows[row] += _in_lanes(squares[:head])
            columns[first : first + head] += squares[:head]
            row += 1
        middle = squares[head : head + whole * width].reshape(whole, width)
        if whole:
            rows[row : row + whole] += _in_lanes(middle)
            columns[:] = np.add.accumulate(np.concatenate([columns[None], middle]), axis=0)[-1]
            row += whole
        rest = squares[head + whole * width :]
        if len(rest):
            rows[row] += _in_lanes(rest)
            columns[: len(rest)] += rest


def _moments(values: Array, code: int) -> Moments:
    x = values.view(np.float64 if code == F64 else np.float32).astype(np.float64)
    smallest = 2.0**-1022 if code == F64 else 2.0**-126
    finite = np.isfinite(x)
    count = int(finite.sum())
    zeros = int((x == 0).sum())
    subnormals = int((np.abs(x) < smallest).sum()) - zeros
    if not count:
        return Moments()
    with np.errstate(all="ignore"):
        mean = float(_in_lanes(np.where(finite, x, 0.0))) / float(count)
        d = np.where(finite, x - mean, 0.0)
        d2 = d * d
        m2, m3, m4 = (float(_in_lanes(power)) for power in (d2, d2 * d, d2 * d2))
    low = float(np.where(finite, x, np.inf).min()) + 0.0
    high = float(np.where(finite, x, -np.inf).max()) + 0.0
    return Moments(count, mean, m2, m3, m4, low, high, zeros, subnormals)


def digest(values: Array, page: int, pages: Array) -> int:
    """A number of the bytes and their places, added up over pages from page number `page` on.

    Sums of parts that are cut at pages, modulo 2**64, are the whole's.  `pages` gets the digest of
    each whole page, and 0 of one that hardly changes: half of its words, or more, equal the one 64
    bytes before.
    """
    raw = values.view(np.uint8)
    size = len(raw) // PAGE * PAGE
    words = raw[:size].view("<u8").astype(np.uint64).reshape(-1, PAGE // 8)
    found = _digests(words)
    changes = (words[:, 8:] != words[:, :-8]).sum(axis=1)
    pages[:] = np.where(changes < PAGE // 16, np.uint64(0), found)
    if size < len(raw):  # the last word is filled with zero bytes
        rest = np.zeros(-(-(len(raw) - size) // 8) * 8, np.uint8)
        rest[: len(raw) - size] = raw[size:]
        found = np.append(found, _digests(rest.view("<u8").astype(np.uint64)[None]))
    places = np.arange(page + 1, page + 1 + len(found), dtype=np.uint64)
    with np.errstate(all="ignore"):
        return int(np.add.reduce(_mixed(found + places * _STEP)))  # integers: any order


_STEP = np.uint64(0x9E3779B97F4A7C15)


def _digests(words: Array) -> Array:
    """The sum of each row's words, each mixed with its place."""
    places = np.arange(1, words.shape[1] + 1, dtype=np.uint64)
    with np.errstate(all="ignore"):
        return np.add.reduce(_mixed(words + places * _STEP), axis=1)


def _mixed(z: Array) -> Array:
    """The first round of splitmix64's finalizer."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return z ^ (z >> np.uint64(27))
