"""Sparse matrices, section 9 of stream-v1.md: each unit (a column, or a row) has a uniformly chosen
set of non-zeros.

Here are the NumPy form of the choice (Floyd's algorithm), the fill of dense destinations, and the
scipy.sparse formats.  The Numba form, with the same bits, is in _jit/sparse.py, the public function
in initializers/sparse.py.  No other file may choose places.  Words come from plane 1 and normals
from plane 0, both through _core/engine.py.
"""

from __future__ import annotations

import importlib
import math
import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ._core import engine
from ._core.draws import Draw
from ._core.dtypes import U64, WORDS64, DType
from ._core.fill import clear
from ._core.jobs import draw_job
from ._core.signals import undisturbed
from ._core.stream import PLANE_SPARSE
from .typing import Array, Sizes

PICKS_FOR_JIT = 1 << 18  # below this many words NumPy takes less time than importing numba
# Words and normals of one task: enough to hide Python's overhead, few enough to stay in the cache.
_BLOCK = 1 << 17
_PAGE, _TOUCHED = 1 << 12, 1 << 23  # bytes: the smallest page; the memory that one task touches

_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


class Pattern(NamedTuple):
    """The number of units, of places in each, and of non-zeros in each; `per` says what a unit is,
    a "column" or a "row".
    """

    per: str
    units: int
    places: int
    kept: int

    @property
    def picks(self) -> int:
        """Words drawn per unit.  The smaller of two sets is chosen: the non-zeros, or the zeros if
        there are fewer of them.
        """
        return min(self.kept, self.places - self.kept)

    @property
    def zeros_picked(self) -> bool:
        return self.kept > self.places - self.kept

    @property
    def listed(self) -> bool:
        """Whether a sorted list of the places is cheaper than a bit for every place."""
        return not self.zeros_picked and self.picks * self.picks <= self.places


def _high64(x: Array, factor: int) -> Array:
    """High 64 bits of the 128-bit products x * factor, by halves of 32 bits."""
    low, high = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32)
    x_low, x_high = x & _LOW, x >> _32
    middle = x_high * low + (x_low * low >> _32)  # below 2^64: (2^32 - 1)^2 + 2^32 - 1
    result = middle >> _32
    if high:
        result += x_high * high + ((x_low * high + (middle & _LOW)) >> _32)
    return result


def positions(words: Array, pattern: Pattern) -> Array:
    """The non-zero places of units in ascending order, int64 (units, kept), from words (units,
    picks): Floyd's algorithm on all units at once.
    """
    units, places, picks = len(words), pattern.places, pattern.picks
    every = np.arange(units)
    chosen = np.empty((units, picks), np.int64)
    taken = None if pattern.listed else np.zeros((units, places), np.bool_)
    for s in range(picks):
        m = places - picks + s
        y = _high64(words[:, s], m + 1).astype(np.int64)
        again = (chosen[:, :s] == y[:, None]).any(axis=1) if taken is None else taken[every, y]
        y[again] = m
        chosen[:, s] = y
        if taken is not None:
            taken[every, y] = True
    if taken is None:
        return np.sort(chosen, axis=1)
    return np.nonzero(~taken if pattern.zeros_picked else taken)[1].reshape(units, pattern.kept)


def _jit(pattern: Pattern, units: int) -> Any:
    """The module of the Numba forms; None if NumPy is as fast, if the reference engine was
    requested, or if numba is not installed.
    """
    if pattern.picks * units < PICKS_FOR_JIT or os.environ.get("FASTINIT_ENGINE") == "reference":
        return None
    try:
        return undisturbed(lambda: importlib.import_module("._jit.sparse", __package__))
    except ImportError:
        return None


class _Scratch(threading.local):
    """Work arrays of a thread, kept for its next block: fresh memory costs more than drawing words
    into it.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Array] = {}

    def array(self, name: str, shape: Sizes, dtype: Any) -> Array:
        size = math.prod(shape)
        if name not in self.kept or self.kept[name].size < size:
            self.kept[name] = np.empty(size, dtype)
        return self.kept[name][:size].reshape(shape)


def _draw_words(words: Array, pattern: Pattern, seed: int, stream: int, first: int) -> None:
    """Fill `words` (units, picks) with the words of the units from `first` on."""
    draw = Draw(WORDS64, U64, ())
    index, strides = first * pattern.picks, (pattern.picks, 1)
    job = draw_job(words, draw, seed, stream, index, strides, PLANE_SPARSE)
    engine.run([job], threads=1)


def _normals(
    out: Array,
    pattern: Pattern,
    draw: Draw,
    seed: int,
    stream: int,
    first: int,
    threads: int | None,
) -> None:
    """Fill `out` (units, kept) with the bits of the units' normals, from unit `first` on, in order
    of rank.
    """
    job = draw_job(out, draw, seed, stream, first * pattern.kept, (pattern.kept, 1))
    engine.run([job], threads)


def _choose(pattern: Pattern, words: Array, jit: Any, where: Array) -> None:
    """Write positions() into `where` (units, kept), by the Numba form if there is one."""
    if jit is None:
        where[...] = positions(words, pattern)
    elif pattern.listed:
        jit.sparse_listed(words, pattern.places, where)
    else:
        jit.sparse_marked(words, pattern.places, pattern.zeros_picked, where)


def _blocks(pattern: Pattern, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Runs of units, one per task: in multiples of 128, which _jit marks together, if that many
    fit.
    """
    work = max(1, pattern.picks + pattern.kept, 0 if pattern.listed else pattern.places // 64)
    size = max(1, _BLOCK // work)
    if size > 128:
        size = min(size // 128 * 128, 1 << 14)
    for start in range(first, stop, size):
        yield start, min(start + size, stop)


def _touch(view: Array, threads: int | None) -> None:
    """Write one element of every page, a few MiB at a time.

    A block of columns reaches every page of the matrix.  In fresh memory the system would have to
    provide all of them within one call, which Ctrl-C cannot interrupt (up to 14 s for 1.6 GB).
    """
    if view.nbytes < _TOUCHED:
        return
    if abs(view.strides[0]) < abs(view.strides[1]):
        view = view.T
    rows = max(1, len(view) * _TOUCHED // view.nbytes)
    step = max(1, _PAGE // max(1, abs(view.strides[1])))

    def touch(start: int) -> None:
        part = view[start : start + rows]
        part[:, ::step] = 0
        part[:, -1:] = 0

    engine.map_tasks(touch, range(0, len(view), rows), threads)


def fill_dense(
    pattern: Pattern, draw: Draw, target: Any, seed: int, stream: int, threads: int | None
) -> None:
    view, (rows, columns) = target.view, target.region
    if not view.size:
        return
    if pattern.per == "row":
        view, rows, columns = view.T, columns, rows
    # From here on a unit is a column of `view`, a place one of its rows.
    jit = _jit(pattern, columns.stop - columns.start)
    if jit is None or pattern.per == "row" or not pattern.kept:
        clear(target, threads)
        if not pattern.kept:
            return
    else:
        _touch(view, threads)

    scratch = _Scratch()

    def fill(block: tuple[int, int]) -> None:
        first, stop = block
        count, at = stop - first, first - columns.start
        words = scratch.array("words", (count, pattern.picks), np.uint64)
        _draw_words(words, pattern, seed, stream, first)
        values = scratch.array("values", (count, pattern.kept), view.dtype)
        _normals(values, pattern, draw, seed, stream, first, threads=1)
        if jit is not None and pattern.per == "column":
            jit.sparse_columns(
                words, pattern.places, pattern.zeros_picked, values, view, at, rows.start
            )
            return
        where = scratch.array("where", (count, pattern.kept), np.int64)
        _choose(pattern, words, jit, where)
        part = view[:, at : at + count]
        if jit is not None:
            jit.sparse_rows(where, values, part.T, rows.start)
            return
        inside = (where >= rows.start) & (where < rows.stop)
        unit, rank = np.nonzero(inside)
        part[where[unit, rank] - rows.start, unit] = values[unit, rank]

    engine.map_tasks(fill, _blocks(pattern, columns.start, columns.stop), threads)


def matrix(
    pattern: Pattern,
    draw: Draw,
    dtype: DType,
    region: tuple[slice, ...],
    seed: int,
    stream: int,
    threads: int | None,
    form: str,
) -> Any:
    """The region as a scipy.sparse array, in a few times the memory of the non-zeros, never that of
    the dense matrix.
    """
    try:
        import scipy.sparse
    except ImportError as error:
        raise ImportError(
            f"format={form!r} gives a scipy.sparse array, which needs scipy; pip install scipy"
        ) from error
    rows, columns = region
    units, places = (columns, rows) if pattern.per == "column" else (rows, columns)
    count = units.stop - units.start
    extent = (rows.stop - rows.start, columns.stop - columns.start)
    # scipy needs one index dtype for both arrays.  It must hold any place of a whole unit, because
    # places are chosen before the region is cut out.
    index = np.int32 if max(*extent, pattern.places, count * pattern.kept) < 2**31 else np.int64
    values = np.empty((count, pattern.kept), dtype.unsigned)
    where = np.empty((count, pattern.kept), index)
    if where.size:
        _normals(values, pattern, draw, seed, stream, units.start, threads)
        jit = _jit(pattern, count)

        scratch = _Scratch()

        def fill(block: tuple[int, int]) -> None:
            first, stop = block
            words = scratch.array("words", (stop - first, pattern.picks), np.uint64)
            _draw_words(words, pattern, seed, stream, first)
            _choose(pattern, words, jit, where[first - units.start : stop - units.start])

        engine.map_tasks(fill, _blocks(pattern, units.start, units.stop), threads)
    if (places.start, places.stop) == (0, pattern.places):
        starts = np.arange(count + 1, dtype=index) * index(pattern.kept)
        indices, data = where.reshape(-1), values.reshape(-1)
    else:
        inside = (where >= places.start) & (where < places.stop)
        starts = np.zeros(count + 1, index)
        np.cumsum(inside.sum(axis=1), out=starts[1:])
        indices, data = where[inside] - index(places.start), values[inside]
    compressed = scipy.sparse.csc_array if pattern.per == "column" else scipy.sparse.csr_array
    return compressed((data.view(dtype.numpy()), indices, starts), shape=extent).asformat(form)
