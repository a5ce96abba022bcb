"""Stream v1 in pure NumPy: the fallback engine, the oracle of the native one, and its readable
documentation.

Only integer operations, + - * /, sqrt, comparisons, selections, conversions and bit views: no
np.log, no np.sum, nothing whose result varies with the CPU.  The rules: stream-v1.md; the same
operations in C: src/kernel/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.dtypes import (
    BF16,
    CONSTANT,
    E4M3,
    E5M2,
    F16,
    F64,
    NORMAL,
    TRUNCATED_NORMAL,
    UNIFORM,
    WORDS,
    WORDS64,
)
from ..typing import Array
from . import normal as _normal
from . import truncated as _truncated

if TYPE_CHECKING:
    from .._core.jobs import Job


BLOCKS = 16  # blocks in a tile
TILES_AT_ONCE = 512  # 32 Ki words: the working arrays of one piece stay in a core's L2 cache

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL0, _WEYL1 = 0x9E3779B9, 0xBB67AE85
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LANES = np.arange(BLOCKS, dtype=np.uint64)


def philox4x32(counter: Sequence[Array], key: tuple[int, int], rounds: int = 10) -> list[Array]:
    """Philox4x32 (Salmon et al., SC'11) of four uint64 arrays that hold 32-bit words; the result
    likewise.
    """
    c0, c1, c2, c3 = (np.array(c, dtype=np.uint64) for c in counter)
    k0, k1 = key
    p0, p1 = (
        np.empty(np.broadcast(c0, c1, c2, c3).shape, np.uint64),
        np.empty(np.broadcast(c0, c1, c2, c3).shape, np.uint64),
    )
    for _ in range(rounds):
        np.multiply(c0, _M0, out=p0)
        np.multiply(c2, _M1, out=p1)
        c0 = p1 >> _32
        c0 ^= c1
        c0 ^= np.uint64(k0)
        c2 = p0 >> _32
        c2 ^= c3
        c2 ^= np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL0) & 0xFFFFFFFF, (k1 + _WEYL1) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def words(seed: int, stream: int, plane: int, tiles: Array) -> Array:
    """The 64 words of each of the given tiles, uint32, shape (tiles, slot 4, lane 16): place
    order.
    """
    block = (np.uint64(plane << 56) + tiles.astype(np.uint64)[:, None] * np.uint64(BLOCKS)) + _LANES
    shape = block.shape
    counter = (
        block & _LOW,
        block >> _32,
        np.full(shape, stream & 0xFFFFFFFF, np.uint64),
        np.full(shape, stream >> 32, np.uint64),
    )
    result = np.empty((shape[0], 4, BLOCKS), np.uint32)
    for slot, word in enumerate(philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))):
        result[:, slot] = word
    return result


def join(pairs: Array) -> Array:
    """Slots (low, high) joined to 64-bit words: (tiles, 4, 16) uint32 to (tiles, 2, 16) uint64."""
    high = pairs[:, 1::2].astype(np.uint64)
    return (high << _32) | pairs[:, 0::2]


# ---------------------------------------------------------------------------------------- the draws


def uniform_f32(w: Array, lo: float, d: float, low: float, high: float) -> Array:
    u = (w >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    y = np.float32(d) * u  # bits: product and sum are rounded separately
    y += np.float32(lo)
    y[y < np.float32(low)] = np.float32(low)
    y[y > np.float32(high)] = np.float32(high)
    return y


def uniform_f64(x: Array, lo: float, d: float, low: float, high: float) -> Array:
    y = (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
    y *= d
    y += lo
    y[y < low] = low
    y[y > high] = high
    return y


def normal_f32(w: Array, mean: float, std: float) -> Array:
    """Box-Muller by pairs of slots (0,1), (2,3): radius word, angle word; cos at the first slot,
    sin at the second.
    """
    z = np.empty(w.shape, np.float32)
    radius = _normal.radius_f32(w[:, 0::2])
    cosine, sine = _normal.sincos_f32(w[:, 1::2])
    np.multiply(radius, cosine, out=z[:, 0::2])
    np.multiply(radius, sine, out=z[:, 1::2])
    z *= np.float32(std)
    z += np.float32(mean)
    return z


def normal_f64(x: Array, mean: float, std: float) -> Array:
    z = np.empty(x.shape, np.float64)
    radius = _normal.radius_f64(x[:, 0])
    cosine, sine = _normal.sincos_f64(x[:, 1])
    np.multiply(radius, cosine, out=z[:, 0])
    np.multiply(radius, sine, out=z[:, 1])
    z *= std
    z += mean
    return z


_DRAWS_F32: dict[int, Callable[..., Array]] = {
    UNIFORM: uniform_f32,
    NORMAL: normal_f32,
    TRUNCATED_NORMAL: _truncated.truncated_normal_f32,
}
_DRAWS_F64: dict[int, Callable[..., Array]] = {
    UNIFORM: uniform_f64,
    NORMAL: normal_f64,
    TRUNCATED_NORMAL: _truncated.truncated_normal_f64,
}


# --------------------------------------------------------------------------------------- the stores


@np.errstate(all="ignore")  # the caller's may raise at an underflow
def store(values: Array, storage: int) -> Array:
    """Bits of the working values in the destination format: one rounding to nearest even,
    subnormals kept.
    """
    if storage == F64:
        return values.view(np.uint64)
    if storage == F16:
        return values.astype(np.float16).view(np.uint16)
    bits = values.view(np.uint32)
    if storage == BF16:
        even = (bits >> np.uint32(16)) & np.uint32(1)
        return ((bits + np.uint32(0x7FFF) + even) >> np.uint32(16)).astype(np.uint16)
    if storage == E4M3:
        return _store_f8(values, mantissa=3, bias=7)
    if storage == E5M2:
        return _store_f8(values, mantissa=2, bias=15)
    return bits


def _store_f8(values: Array, mantissa: int, bias: int) -> Array:
    bits = values.view(np.uint32)
    size = bits & np.uint32(0x7FFFFFFF)
    drop = 23 - mantissa
    even = (size >> np.uint32(drop)) & np.uint32(1)
    rounded = size + (np.uint32((1 << (drop - 1)) - 1) + even)
    normal = (rounded >> np.uint32(drop)) - np.uint32((127 - bias) << mantissa)
    # Below the smallest normal the spacing is fixed: adding 2^23 spacings makes float32's own
    # rounding do it.
    magic = np.float32(2.0 ** (23 + 1 - bias - mantissa))
    subnormal = (size.view(np.float32) + magic).view(np.uint32) - magic.view(np.uint32)
    small = size < np.uint32((127 + 1 - bias) << 23)
    return (
        np.where(small, subnormal, normal) | ((bits >> np.uint32(24)) & np.uint32(0x80))
    ).astype(np.uint8)


def _draw_tiles(job: Job, tiles: Array) -> Array:
    """Bits of all values of the given tiles, in index order, shape (tiles, values of a tile)."""
    w = words(job.seed, job.stream, job.plane, tiles)
    if job.draw == WORDS:
        return w.reshape(len(tiles), -1)
    if job.draw == WORDS64:
        return join(w).reshape(len(tiles), -1)
    double = job.storage == F64
    values = (_DRAWS_F64 if double else _DRAWS_F32)[job.draw](
        join(w) if double else w, *job.parameters
    )
    return store(values, job.storage).reshape(len(tiles), -1)


# ----------------------------------------------------------------------------- batches of many jobs


Piece = tuple[int, Callable[[], None]]  # how many values, and what draws them


def _pieces(job: Job) -> Iterator[Piece]:
    """Cut a job into pieces of about one working set."""
    out = job.out
    if job.draw == CONSTANT:
        yield out.size, partial(out.fill, out.dtype.type(job.parameters[0]))
        return
    per_tile = 32 if job.storage == F64 or job.draw == WORDS64 else 64
    limit = TILES_AT_ONCE * per_tile
    small = limit // 4  # values whose indices are computed one by one
    stack = [(out, job.first)]
    while stack:
        view, first = stack.pop()
        strides = job.strides[out.ndim - view.ndim :]
        if _contiguous(view.shape, strides) and (view.size <= limit or view.ndim == 1):
            for start in range(0, view.size, limit):
                part = view[start : start + limit] if view.ndim == 1 else view
                yield part.size, partial(_draw_range, job, part, first + start, per_tile)
        elif view.size <= small:
            yield view.size, partial(_draw_scattered, job, view, first, strides, per_tile)
        else:  # cut along the first axis, into as many rows as make a piece
            rows = max(1, small // max(1, view.size // len(view)))
            for start in range(0, len(view), rows):
                part, at = view[start : start + rows], first + start * strides[0]
                stack.append((part[0], at) if rows == 1 and view.ndim > 1 else (part, at))


def _contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for count, stride in zip(reversed(shape), reversed(strides), strict=True):
        if count != 1:
            if stride != expected:
                return False
            expected *= count
    return True


def _draw_range(job: Job, part: Array, first: int, per_tile: int) -> None:
    start, stop = first // per_tile, (first + part.size + per_tile - 1) // per_tile
    values = _draw_tiles(job, np.arange(start, stop, dtype=np.uint64)).reshape(-1)
    offset = first - start * per_tile
    part[...] = values[offset : offset + part.size].reshape(part.shape)


def _draw_scattered(
    job: Job, view: Array, first: int, strides: tuple[int, ...], per_tile: int
) -> None:
    index = np.full((), first, np.uint64)
    for axis, (count, stride) in enumerate(zip(view.shape, strides, strict=True)):
        steps = np.arange(count, dtype=np.uint64) * np.uint64(stride)
        index = index + steps.reshape((-1,) + (1,) * (view.ndim - 1 - axis))
    # Tiles that many values share are drawn once, a working set of tiles at a time.
    flat = index.reshape(-1)
    tiles, place = flat // np.uint64(per_tile), (flat % np.uint64(per_tile)).astype(np.intp)
    unique, where = np.unique(tiles, return_inverse=True)
    result = np.empty(flat.size, view.dtype)
    for start in range(0, len(unique), TILES_AT_ONCE):
        chosen: Any = slice(None)
        if len(unique) > TILES_AT_ONCE:
            chosen = (where >= start) & (where < start + TILES_AT_ONCE)
        values = _draw_tiles(job, unique[start : start + TILES_AT_ONCE])
        result[chosen] = values[where[chosen] - start, place[chosen]]
    view[...] = result.reshape(view.shape)


class Batch:
    """Many jobs as one list of pieces that any number of threads may take from; the native engine
    has the same class.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.values: int = sum(job.out.size for job in jobs)
        self.done = 0
        self._pieces = (piece for job in jobs if job.out.size for piece in _pieces(job))
        self._lock = threading.Lock()
        self._cancelled = False

    @np.errstate(all="ignore")
    def work(self, pieces: int) -> bool:
        """Draw at most so many pieces (-1: all there are); True once none is left to take."""
        while pieces:
            with self._lock:
                piece = next(self._pieces, None)
            if piece is None or self._cancelled:
                return True
            size, draw = piece
            draw()
            with self._lock:
                self.done += size
            pieces -= 1
        return False

    def cancel(self) -> None:
        self._cancelled = True
