"""Sparse matrices, section 9 of stream-v1.md: in each unit (a column, or a row) a uniformly chosen
set of non-zeros.

Here stand the NumPy form of the choice (Floyd's algorithm), the rule for dense destinations and the
scipy.sparse formats; the Numba form, of the same bits, stands in _jit/sparse.py.  No other file may
choose places.  The words come from plane 1, the normals from plane 0, both through _engine.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from . import _draws, _dtypes, _engine, _fill, _stream
from ._draws import Draw
from ._dtypes import CONSTANT, U64, WORDS64, DType
from ._engine import Job, guarded

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Write = Callable[..., None]

PICKS_FOR_JIT = 1 << 18  # with fewer words the NumPy form takes less time than importing numba does
_BLOCK = (
    1 << 17
)  # words and normals of one task: enough not to wait on Python, few enough to stay in cache
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


class Pattern(NamedTuple):
    """How many units, how many places in each and how many of those are non-zero; `per` says what a
    unit is.
    """

    per: str
    units: int
    places: int
    kept: int

    @property
    def picks(self) -> int:
        """Words drawn per unit: the smaller set is chosen, the non-zeros if they are no more than
        the zeros.
        """
        return min(self.kept, self.places - self.kept)

    @property
    def zeros_picked(self) -> bool:
        return self.kept > self.places - self.kept

    @property
    def listed(self) -> bool:
        """Whether a sorted list of the places is cheaper than a bit for every place."""
        return not self.zeros_picked and self.picks * self.picks <= self.places


# --------------------------------------------------------------------------------------- the choice


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
    """The non-zero places of units, ascending, int64 (units, kept), from words (units, picks):
    Floyd, all at once.
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
    """The module of Numba forms; None where NumPy's is as fast, the reference engine was asked for,
    or no numba is.
    """
    if pattern.picks * units < PICKS_FOR_JIT or os.environ.get("FASTINIT_ENGINE") == "reference":
        return None
    try:
        return importlib.import_module("._jit.sparse", __package__)
    except ImportError:
        return None


class _Scratch(threading.local):
    """Work arrays of a thread, kept for its next block: fresh memory would cost more than the words
    drawn into it.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Array] = {}

    def array(self, name: str, shape: Shape, dtype: Any) -> Array:
        size = math.prod(shape)
        if name not in self.kept or self.kept[name].size < size:
            self.kept[name] = np.empty(size, dtype)
        return self.kept[name][:size].reshape(shape)


def _draw_words(words: Array, pattern: Pattern, seed: int, stream: int, first: int) -> None:
    """Fill words (units, picks) with those of the units from `first` on."""
    job = Job(
        words,
        WORDS64,
        U64,
        seed,
        stream,
        _stream.PLANE_SPARSE,
        (),
        first * pattern.picks,
        (pattern.picks, 1),
    )
    _engine.run([job], threads=1)


def _normals(
    out: Array,
    pattern: Pattern,
    draw: Draw,
    seed: int,
    stream: int,
    first: int,
    threads: int | None,
) -> None:
    """Fill out (units, kept) with the bits of the normals of the units from `first` on, in order of
    rank.
    """
    job = Job(
        out,
        draw.draw,
        draw.storage,
        seed,
        stream,
        _stream.PLANE_VALUES,
        draw.parameters,
        first * pattern.kept,
        (pattern.kept, 1),
    )
    _engine.run([job], threads)


def _choose(pattern: Pattern, words: Array, jit: Any, where: Array) -> None:
    """positions() by either form, into where (units, kept)."""
    if jit is None:
        where[...] = positions(words, pattern)
    elif pattern.listed:
        jit.sparse_listed(words, pattern.places, where)
    else:
        jit.sparse_marked(words, pattern.places, pattern.zeros_picked, where)


def _blocks(pattern: Pattern, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Runs of units for one task each: a multiple of 128, which _jit marks together, where that
    many fit.
    """
    work = max(1, pattern.picks + pattern.kept, 0 if pattern.listed else pattern.places // 64)
    size = max(1, _BLOCK // work)
    if size > 128:
        size = min(size // 128 * 128, 1 << 14)
    for start in range(first, stop, size):
        yield start, min(start + size, stop)


# -------------------------------------------------------------------------------------------- dense


def _fill_dense(
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
        _clear(target, threads)
        if not pattern.kept:
            return

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

    _engine.map_tasks(fill, _blocks(pattern, columns.start, columns.stop), threads)


def _clear(target: Any, threads: int | None) -> None:
    job = Job(target.view, CONSTANT, target.dtype.code, 0, 0, 0, (0,), 0, (target.view.shape[1], 1))
    _engine.run([job], threads)


@functools.lru_cache(maxsize=256)
def _pattern(shape: Shape, sparsity: Any, n_nonzero: Any, per: str) -> Pattern:
    if len(shape) != 2:
        raise ValueError(
            f"sparse needs a matrix, a shape of two axes, not {shape}; reshape the weight to two"
        )
    if per not in ("column", "row"):
        raise ValueError(
            f"per is {per!r}; give 'column' (units are the columns, as in torch) or 'row'"
        )
    if (sparsity is None) == (n_nonzero is None):
        raise ValueError(
            "give one of sparsity= (the fraction of zeros in a unit) and n_nonzero= (its non-zeros)"
        )
    rows, columns = shape
    units, places = (columns, rows) if per == "column" else (rows, columns)
    if sparsity is not None:
        fraction = _draws.real(sparsity, "sparsity")
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(
                f"sparsity is {fraction!r}; it must lie in [0, 1], the fraction of zeros in each "
                f"{per}"
            )
        kept = places - math.ceil(fraction * places)  # bits: the product in double
    else:
        if isinstance(n_nonzero, (bool, np.bool_)) or not hasattr(n_nonzero, "__index__"):
            raise TypeError(
                f"n_nonzero must be an integer, not {type(n_nonzero).__name__} {n_nonzero!r:.80}"
            )
        kept = operator.index(n_nonzero)
        if not 0 <= kept <= places:
            other = "row" if per == "column" else "column"
            raise ValueError(
                f"n_nonzero is {kept}, but each {per} of shape {shape} has {places} places; give "
                f"at most {places}, or per={other!r}"
            )
    return Pattern(per, units, places, kept)


def sparse_rule(
    shape: Shape,
    dtype: DType,
    *,
    sparsity: Any = None,
    n_nonzero: Any = None,
    per: str = "column",
    std: float = 0.01,
) -> Write:
    pattern = _pattern(shape, sparsity, n_nonzero, per)
    draw = _draws.normal(0.0, std, dtype)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        _fill_dense(pattern, draw, target, seed, stream, threads)

    return write


# ------------------------------------------------------------------------------------- scipy.sparse

FORMATS = ("csr", "csc", "coo")


def _matrix(
    pattern: Pattern,
    draw: Draw,
    dtype: DType,
    region: tuple[slice, ...],
    seed: int,
    stream: int,
    threads: int | None,
    form: str,
) -> Any:
    """The region as scipy.sparse, its memory a few times the non-zeros' and never the dense
    matrix's.
    """
    try:
        import scipy.sparse
    except ImportError as error:
        raise ImportError(
            f"format={form!r} gives a scipy.sparse array and needs scipy: pip install scipy"
        ) from error
    rows, columns = region
    units, places = (columns, rows) if pattern.per == "column" else (rows, columns)
    count = units.stop - units.start
    extent = (rows.stop - rows.start, columns.stop - columns.start)
    # scipy wants one index dtype for both; places are still counted from the whole unit's first
    # when they are chosen.
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

        _engine.map_tasks(fill, _blocks(pattern, units.start, units.stop), threads)
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


def _array(
    parameters: dict[str, Any],
    shape: Any,
    dtype: Any,
    region: Any,
    seed: Any,
    name: Any,
    threads: int | None,
    form: str,
) -> Any:
    kind = _dtypes.resolve("float32" if dtype is None else dtype)
    if kind.name not in ("float32", "float64"):
        raise TypeError(
            f"scipy.sparse has no {kind.name}; give float32 or float64, or format=None for a "
            "dense array"
        )
    shape = _fill.parse_shape(shape)
    _fill.count(shape, kind)
    pattern = _pattern(shape, *(parameters[key] for key in ("sparsity", "n_nonzero", "per")))
    draw = _draws.normal(0.0, parameters["std"], kind)
    parts = _fill.parse_region(... if region is None else region, shape)
    seed, stream = _stream.check_seed(seed), _stream.stream_id(name)
    return _matrix(pattern, draw, kind, parts, seed, stream, threads, form)


@guarded
def sparse(
    shape: Any = None,
    *,
    sparsity: float | None = None,
    n_nonzero: int | None = None,
    per: str = "column",
    std: float = 0.01,
    format: str | None = None,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Any:
    """K values N(0, std²) at random places of each column (or row) of n, else 0; K = n −
    ⌈sparsity·n⌉, or n_nonzero.

    Parameters
    ----------
    sparsity, n_nonzero : one of them: the fraction of zeros in [0, 1], or the exact number K
        (Martens: 15 a unit).
    per : "column" as torch, or "row": each output's own inputs in an (out, in) weight.
    format : None fills a dense array; "csr", "csc" or "coo" gives a scipy.sparse array (float32,
        float64) directly.
    region : a part of the matrix. Only its units are drawn, each of them whole.

    Raises
    ------
    ValueError
        Not two axes; sparsity outside [0, 1]; more non-zeros than places; a std that is negative or
        overflows.

    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010. Same as: torch
    sparse_(sparsity, std); Flux sparse_init; MLX sparse is per="row"; Lasagne's Sparse counts
    non-zeros instead.

    Examples
    --------
    >>> (fi.sparse((6, 4), sparsity=0.5, seed=0) != 0).sum(axis=0)
    array([3, 3, 3, 3])
    """
    parameters = {"sparsity": sparsity, "n_nonzero": n_nonzero, "per": per, "std": std}
    if format is None:
        return _fill.apply(sparse_rule, parameters, shape, dtype, out, region, seed, name, threads)
    if format not in FORMATS:
        raise ValueError(
            f"format is {format!r}; give None (a dense array) or one of {', '.join(FORMATS)}"
        )
    if out is not None:
        raise ValueError(
            "out= is for dense arrays; with format= a new scipy.sparse array is returned"
        )
    return _array(parameters, shape, dtype, region, seed, name, threads, format)
