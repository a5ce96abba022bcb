"""The numbers of one tensor: moments, range, norms, histogram, digest, from one pass in chunks.

Chunks have one fixed size and are joined in order, so the result does not depend on the number of
threads or on the size of the pieces that arrive, not even in the last bit.  This module only
measures; other modules judge the numbers.  ../reference/scan.py and src/kernel/scan.h scan one
chunk.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._core import dtypes, engine
from .._core.dtypes import DType
from ..reference.scan import PAGE, PATTERNS, Moments, join, patterns
from ..typing import Array, Dtype

# Values per chunk.  1 MiB of bfloat16 stays in a core's cache between the steps of the pass, and
# Python's overhead is a few percent of the time per chunk.
CHUNK = 1 << 19
# Up to this many values, the bit patterns are sorted: that is faster than scanning the whole table.
FEW = 1 << 13
BINS = 64  # minimum per histogram, if the dtype has that many values
MOST_NORMS = 1 << 22  # rows or columns: 32 MiB of sums; beyond this, no norms are kept

Read = Callable[[int, int], Array]  # values begin … end in flat order, as unsigned integers


class Spread(NamedTuple):
    """The smallest, the median and the largest of some norms.

    Attributes
    ----------
    min, median, max : float
        The three norms.
    """

    min: float
    median: float
    max: float


class Histogram(NamedTuple):
    """Counts of values between edges.

    Of dtypes of 8 and 16 bits an edge lies in the middle between two values, so a bin counts the
    real numbers between its edges, rounded.  In wider dtypes an edge belongs to the bin that is
    farther from zero.

    Attributes
    ----------
    edges : array of float64
        One more than there are counts.
    counts : array of int64
        The number of values in each bin.
    """

    edges: Array
    counts: Array


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one pass finds in a tensor.

    Moments, range, zeros and subnormals are those of the finite values; nan if there are none.

    Attributes
    ----------
    count : int
        The number of values.
    mean, std, min, max : float
        Mean, standard deviation (divided by the number of values) and range.
    skewness, excess_kurtosis : float
        The third and fourth moments; nan if std is 0.
    zeros, subnormals, nonfinite : int
        The numbers of such values.
    distinct : int or None
        The number of different values, for dtypes of 8 and 16 bits; both zeros count as one.
    row_norms, col_norms : Spread or None
        Euclidean norms of the rows and columns of the matrix that `matrix()` makes of the shape.
    histogram : Histogram
        Counts of the values.
    pages, repeated_pages : int
        Whole pages of 4 KiB, and how many of them equal an earlier one; pages that hardly change
        do not count.
    digest : str
        A hash of all bytes: equal tensors have equal ones.
    """

    count: int
    mean: float
    std: float
    min: float
    max: float
    skewness: float
    excess_kurtosis: float
    zeros: int
    subnormals: int
    nonfinite: int
    distinct: int | None
    row_norms: Spread | None
    col_norms: Spread | None
    histogram: Histogram
    pages: int
    repeated_pages: int
    digest: str


def matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a tensor whose norms are kept, (0, 0) for none.

    A kernel of a convolution, with three or more axes of which the last has fewer than 16, is
    (first axis, all others); any other tensor (all others, last axis), so that a stack of matrices
    gives the rows of each.
    """
    if len(shape) < 2 or 0 in shape:
        return 0, 0
    if len(shape) > 2 and shape[-1] < 16:
        rows, columns = shape[0], math.prod(shape[1:])
    else:
        rows, columns = math.prod(shape[:-1]), shape[-1]
    if min(rows, columns) < 2 or max(rows, columns) > MOST_NORMS:
        return 0, 0
    return rows, columns


class _Part(NamedTuple):
    """What one chunk contributes."""

    moments: Moments
    first_row: int
    rows: Array
    columns: Array
    digest: int


class Tally:
    """The measurement of one tensor: chunks may arrive from any thread and in any order."""

    def __init__(self, dtype: DType, shape: tuple[int, ...]):
        self.dtype, self.shape = dtype, shape
        self.count = math.prod(shape)
        self.chunks = -(-self.count // CHUNK)
        rows, self._width = matrix(shape) if dtype.is_float else (0, 0)
        self._rows, self._columns = np.zeros(rows), np.zeros(self._width)
        self._moments = Moments()
        self._pages = np.zeros(self.count * dtype.itemsize // PAGE, np.uint64)  # their digests
        self._digest = 0
        self._waiting: dict[int, _Part] = {}  # parts that wait for an earlier chunk
        self._next = 0
        # Counts of bit patterns, one table per thread that works at the same time.
        self._tables: list[Array] = []
        self._few: Array | None = None  # the patterns, if there are few values
        self._lock = threading.Lock()

    def span(self, chunk: int) -> tuple[int, int]:
        """The range of values in a chunk."""
        return chunk * CHUNK, min((chunk + 1) * CHUNK, self.count)

    def add(self, chunk: int, bits: Array) -> bool:
        """Add the values of a chunk; return True if it is the last one to arrive."""
        with self._lock:
            table = self._tables.pop() if self._tables else _blank()
        part = self._measure(chunk, bits, table)
        with self._lock:
            self._tables.append(table)
            self._waiting[chunk] = part
            while self._next in self._waiting:  # bits: add float sums in chunk order
                self._join(self._waiting.pop(self._next))
                self._next += 1
            return self._next == self.chunks

    def _measure(self, chunk: int, bits: Array, table: Array) -> _Part:
        start, stop = self.span(chunk)
        size, width = self.dtype.itemsize, self._width
        first_row = start // width if width else 0
        rows = np.zeros(-(-stop // width) - first_row if width else 0)
        columns = np.zeros(width)
        page = start * size // PAGE
        pages = self._pages[page : page + len(bits) * size // PAGE]
        digest = engine.digest(bits, page, pages)
        if self.dtype.is_float or size <= 2:
            code = self.dtype.code
        else:  # integers of 32 and 64 bits, as doubles
            signed = f"{'u' if self.dtype.low == 0 else ''}int{8 * size}"
            bits = bits.view(signed).astype(np.float64).view(np.uint64)
            code = dtypes.F64
        moments = engine.scan(bits, code, start, width, table, rows, columns)
        if self.count <= FEW:
            self._few = np.unique(patterns(bits, code))
        return _Part(Moments(*moments), first_row, rows, columns, digest)

    def _join(self, part: _Part) -> None:
        self._moments = join(self._moments, part.moments)
        with np.errstate(all="ignore"):
            self._rows[part.first_row : part.first_row + len(part.rows)] += part.rows
            self._columns += part.columns
        self._digest = (self._digest + part.digest) % (1 << 64)

    def result(self) -> Statistics:
        """The numbers of the whole tensor."""
        scale = _scale(self.dtype)
        ranks, counts = self._counts(scale)
        finite = int(counts.sum())
        distinct = None
        if self.dtype.itemsize <= 2:
            moments, distinct = _exact_moments(counts, scale.values[ranks], self.dtype)
        else:
            moments, finite = self._moments, self._moments.values
        std, skewness, kurtosis = _shape(moments)
        none = math.nan
        return Statistics(
            count=self.count,
            mean=moments.mean if finite else none,
            std=std,
            min=moments.low if finite else none,
            max=moments.high if finite else none,
            skewness=skewness,
            excess_kurtosis=kurtosis,
            zeros=moments.zeros,
            subnormals=moments.subnormals,
            nonfinite=self.count - finite,
            distinct=distinct,
            row_norms=_spread(self._rows),
            col_norms=_spread(self._columns),
            histogram=_histogram(ranks, counts, scale.edges, moments, std),
            pages=len(self._pages),
            repeated_pages=_repeats(self._pages),
            digest=f"{self._digest:016x}",
        )

    def _counts(self, scale: _Scale) -> tuple[Array, Array]:
        """The finite bit patterns that occur, in rank order, with counts; clears the tables."""
        if not self._tables:  # no values
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        total, *others = self._tables
        self._tables = []
        for one in others:
            total += one
            one.fill(0)
        there = np.flatnonzero(total) if self._few is None else self._few
        counts = total[there].astype(np.int64)
        total[there] = 0
        _spare.extend((total, *others))
        ranks = scale.ranks[there]
        order = np.argsort(ranks)
        order = order[np.searchsorted(ranks[order], 0) :]  # lower patterns are not finite: rank -1
        return ranks[order], counts[order]


_spare: list[Array] = []  # cleared tables: allocating one takes longer than a small tensor


def _blank() -> Array:
    try:
        return _spare.pop()
    except IndexError:
        return np.zeros(PATTERNS, np.uint64)


def _repeats(pages: Array) -> int:
    """How many pages have the same digest as an earlier page."""
    there = np.sort(pages[pages != 0])
    return int((there[1:] == there[:-1]).sum())


# --------------------------------------------------------------------------- from counts to numbers


class _Scale(NamedTuple):
    """The finite patterns of a dtype in the order of their values."""

    values: Array  # float64; for float32 and float64, each pattern's value nearest to zero
    edges: Array  # between the patterns, and around them
    ranks: Array  # of each pattern; -1 if it is not finite


def _ranks(patterns: Array) -> Array:
    ranks = np.full(PATTERNS, -1, np.int64)
    ranks[patterns] = np.arange(len(patterns))
    return ranks


@lru_cache(maxsize=16)
def _scale(dtype: DType) -> _Scale:
    if not dtype.is_float and dtype.itemsize <= 2:
        values = np.arange(dtype.low, dtype.low + (1 << 8 * dtype.itemsize), dtype=np.int64)
        patterns = values % (1 << 8 * dtype.itemsize)
        edges = np.append(values - 0.5, values[-1] + 0.5)
        return _Scale(values.astype(np.float64), edges, _ranks(patterns))
    narrow = dtype.is_float and dtype.itemsize <= 2
    kind = dtype if narrow else dtypes.BFLOAT16  # the high half of a float32
    magnitudes = np.arange(kind.top + 1)
    sign = 1 << 8 * kind.itemsize - 1
    exponent = np.maximum(magnitudes >> kind.mantissa, 1)
    fraction = magnitudes - ((exponent - 1) << kind.mantissa)
    positive = np.ldexp(fraction.astype(np.float64), exponent - kind.bias - kind.mantissa)
    patterns = np.concatenate([magnitudes[::-1] | sign, magnitudes])
    values = np.concatenate([-positive[::-1], positive])
    if narrow:
        middles = (values[1:] + values[:-1]) / 2
        edges = np.concatenate([[2 * values[0]], middles, [2 * values[-1]]])
    else:
        beyond = np.ldexp(1.0, 128)
        edges = np.concatenate([[-beyond], -positive[:0:-1], [0.0], positive[1:], [beyond]])
    return _Scale(values, edges, _ranks(patterns))


def _exact_moments(counts: Array, values: Array, dtype: DType) -> tuple[Moments, int]:
    """The moments from counts of sorted values, and the number of distinct values.

    bits: math.fsum is exact, so the order does not matter.
    """
    if not len(counts):
        return Moments(), 0
    times, x = counts.astype(np.float64), values
    total = int(counts.sum())
    mean = math.fsum((times * x).tolist()) / total
    d = x - mean
    d2 = d * d
    m2, m3, m4 = (math.fsum((times * power).tolist()) for power in (d2, d2 * d, d2 * d2))
    zeros = int(counts[x == 0].sum())
    subnormals = 0
    if dtype.is_float:
        small = np.abs(x) < math.ldexp(1.0, 1 - dtype.bias)
        subnormals = int(counts[small].sum()) - zeros
    distinct = len(x) - (int((x == 0).sum()) == 2)
    low, high = float(x[0]) + 0.0, float(x[-1]) + 0.0
    return Moments(total, mean, m2, m3, m4, low, high, zeros, subnormals), distinct


def _shape(moments: Moments) -> tuple[float, float, float]:
    """Standard deviation, skewness and excess kurtosis."""
    if not moments.values:
        return math.nan, math.nan, math.nan
    variance = moments.m2 / moments.values
    if not 0 < variance < math.inf:
        return math.sqrt(variance) if variance >= 0 else math.nan, math.nan, math.nan
    std = math.sqrt(variance)
    # Divide step by step: variance² may underflow.
    skewness = moments.m3 / moments.values / variance / std
    return std, skewness, moments.m4 / moments.values / variance / variance - 3.0


def _spread(squares: Array) -> Spread | None:
    if not len(squares):
        return None
    norms = np.sqrt(squares)
    return Spread(float(norms.min()), float(np.median(norms)), float(norms.max()))


def _histogram(
    ranks: Array, counts: Array, edges: Array, moments: Moments, std: float
) -> Histogram:
    """A histogram with bins of a power-of-two width: BINS to 2 BINS bins over the range of values.

    Bin edges coincide with pattern edges, so counts and edges are exact.  Values more than eight
    standard deviations from the mean go into the outermost bins.
    """
    if not len(ranks):
        return Histogram(np.zeros(1), np.zeros(0, np.int64))
    first, last = int(ranks[0]), int(ranks[-1]) + 1
    inner = np.zeros(0, np.int64)
    low, high = moments.low, moments.high
    if 0 < std < math.inf:
        low, high = max(low, moments.mean - 8 * std), min(high, moments.mean + 8 * std)
    if low < high:
        width = math.ldexp(1.0, math.frexp((high - low) / BINS)[1] - 1)
        grid = np.arange(math.floor(low / width) + 1, math.ceil(high / width)) * width
        right = np.searchsorted(edges, grid).clip(1, len(edges) - 1)
        near = right - (grid - edges[right - 1] < edges[right] - grid)
        inner = np.unique(near[(near > first) & (near < last)])
    ends = np.concatenate([[first], inner, [last]]).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(counts)])
    return Histogram(edges[ends], np.diff(total[np.searchsorted(ranks, ends)]))


# -------------------------------------------------------------------------------------- the tensors


def statistics(
    values: Array | Iterable[Array],
    dtype: Dtype | None = None,
    shape: tuple[int, ...] | None = None,
    *,
    threads: int | None = None,
) -> Statistics:
    """Mean, std, skewness, excess kurtosis, range, norms, histogram and digest of a tensor.

    Parameters
    ----------
    values : array or iterable of array
        The tensor; or its parts in C order, of any sizes, of which one at a time is held.
    dtype : str or dtype, optional
        Of the values; needed for parts, and for an array that holds only the bits (uint16 for
        bfloat16).
    shape : tuple of int, optional
        Of the whole; needed for parts.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    Statistics
        Equal bits on every machine, for any number of threads and any cut into parts.

    Raises
    ------
    ValueError
        Parts that hold another number of values than the shape.
    TypeError
        A dtype that is not known; parts without dtype and shape.

    See Also
    --------
    tensors : The tensors of a file, to measure without loading it.

    Examples
    --------
    >>> found = statistics(fi.normal((300, 200), seed=0, dtype="bfloat16"))
    >>> found.count, round(found.std, 3), found.nonfinite
    (60000, 0.999, 0)
    >>> halves = np.split(fi.normal((300, 200), seed=0), 2)
    >>> statistics(halves, "float32", (300, 200)).mean == statistics(np.concatenate(halves)).mean
    True
    """
    if isinstance(values, np.ndarray):
        kind = dtypes.resolve(values.dtype if dtype is None else dtype)
        sizes = values.shape if shape is None else tuple(shape)
        parts: Iterable[Array] = (values,)
    else:
        if dtype is None or shape is None:
            raise TypeError(
                "parts of a tensor need its dtype and its shape: give dtype= and shape="
            )
        kind, sizes, parts = dtypes.resolve(dtype), tuple(shape), values
    tally = Tally(kind, sizes)

    def work(item: tuple[int, Array]) -> None:
        tally.add(*item)

    engine.map_tasks(work, _recut(parts, tally), threads)
    return tally.result()


def _recut(parts: Iterable[Array], tally: Tally) -> Iterator[tuple[int, Array]]:
    """Recut the parts into whole chunks."""
    held: list[Array] = []
    count = chunk = 0

    def cut(size: int) -> Array:
        nonlocal held, count, chunk
        joined = np.concatenate(held) if len(held) != 1 else held[0]
        held, count = [joined[size:]], count - size
        chunk += 1
        return joined[:size]

    seen = 0
    for part in parts:
        if part.dtype.itemsize != tally.dtype.itemsize:
            raise ValueError(f"a part has dtype {part.dtype}, not {tally.dtype.name} or its bits")
        flat = np.ascontiguousarray(part).reshape(-1).view(tally.dtype.unsigned)
        held.append(flat)
        count += len(flat)
        seen += len(flat)
        while count >= CHUNK:
            yield chunk, cut(CHUNK)
    if seen != tally.count:
        raise ValueError(
            f"the parts hold {seen} values and shape {tally.shape} takes {tally.count}; "
            "give all parts of one tensor"
        )
    if count:
        yield chunk, cut(count)
