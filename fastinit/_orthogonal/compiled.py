"""The driver of the Numba form: memory, threads and order of work.  The products themselves are in
_jit/orthogonal.py.

Each strip of 64 columns of Q needs all reflectors and no other strip, so strips run in parallel on
our own pool.  Reflectors are kept if they fit; otherwise every panel of strips draws them again.
This module must give the same bits as the NumPy form: the tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .._core import engine
from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from .._jit import orthogonal as jit
from .._jit import stores
from .._jit.tiles import NARROW, ROWS
from ..typing import Array
from .problem import DrawNormals, Place, Problem

# Bytes, together at most 256 MiB in addition to T.  KEPT: reflectors kept between the panels (8192
# by 8192 in float32 still fits); PANELS: all panels of Q in progress.  If reflectors are drawn
# again: PANELS_DRAWN, wider panels, which need fewer draws, and DRAWN, the drawn reflectors.  (The
# narrowest panel exceeds this beyond 2^21 rows, 2^20 in float64; it is at most a quarter of the
# matrix.)
KEPT, PANELS = 144 << 20, 64 << 20
PANELS_DRAWN, DRAWN = 144 << 20, 64 << 20
SCRATCH = 192 << 20  # bytes for all threads, if each forms whole matrices
MOST_THREADS = 64  # each needs up to half a MiB of further scratch
POOLED = 96 << 20  # bytes of scratch kept between calls: that of 16384 by 1024 in float32 fits
CHUNK = 1 << 10  # rows gathered or stored at a time: 256 KiB, in a core's L2 cache
SMALL = 3 << 19  # elements of reflectors and Q up to which one thread forms a whole matrix
PARALLEL = 3e7  # multiply-adds from which a second thread pays off for one such matrix


def _up(count: int, to: int) -> int:
    return -(-count // to) * to


class ScratchPool:
    """Scratch kept between calls, up to POOLED bytes, for all threads.

    First access to new memory costs more than filling it with draws.
    """

    def __init__(self) -> None:
        # Oldest first.  By id, so that pop() decides which thread gets a piece.
        self._pieces: dict[int, Array] = {}

    @property
    def nbytes(self) -> int:
        return sum(piece.nbytes for piece in list(self._pieces.values()))

    def acquire(self, size: int) -> Array:
        """An array of that many bytes: a kept one of this size, or a new one."""
        for key, piece in list(self._pieces.items()):
            if piece.nbytes == size and self._pieces.pop(key, None) is not None:
                return piece
        return np.empty(size, np.uint8)

    def release(self, piece: Array) -> None:
        """Keep a piece for later calls; drop the oldest beyond POOLED bytes."""
        if piece.nbytes > POOLED:
            return
        self._pieces[id(piece)] = piece
        while self.nbytes > POOLED:
            self._pieces.pop(next(iter(list(self._pieces)), 0), None)


_pool = ScratchPool()


class _PerThread:
    """Scratch of one kind within a call: one piece per thread that uses it at the same time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._free: list[Any] = []

    @contextmanager
    def __call__(self) -> Iterator[Any]:
        try:
            piece = self._free.pop()
        except IndexError:
            piece = self._make()
        yield piece
        self._free.append(piece)


class _Strips:
    """The columns of Q in strips of `width`; the last strip may be partly used."""

    def __init__(self, columns: Array, width: int) -> None:
        self.width = width
        self.count = _up(len(columns), width) // width
        self.columns = np.full(self.count * width, -1, np.int64)
        self.columns[: len(columns)] = columns
        self.used = np.full(self.count, width, np.int64)
        self.used[-1] = len(columns) - (self.count - 1) * width
        tops = self.columns[np.arange(self.count) * width + self.used - 1] // BLOCK
        self.arrays = self.columns, self.used, -(-self.used // NARROW) * NARROW, tops


class _Memory:
    """Scratch of one thread that forms reflectors: the draws of one step, and a piece of a strip
    where reflectors are not kept.
    """

    def __init__(self, empty: Callable[[int], Array], drawn: int, piece: int = 0) -> None:
        self.squares, self.tau = np.empty(BLOCK), empty(BLOCK)
        self.products, self.sums = empty(BLOCK * BLOCK), empty(BLOCK * BLOCK)
        self.drawn, self.piece = empty(drawn), empty(piece)


class _OrthogonalFill:
    """The fill of one Problem: its sizes, its scratch, and the order of its work."""

    def __init__(
        self, problem: Problem, place: Place, draw: DrawNormals, threads: int | None
    ) -> None:
        self.problem, self.place, self.draw = problem, place, draw
        self.working, self.p, self.q = problem.working, problem.p, problem.q
        self.itemsize = self.working.itemsize
        self.threads = min(engine.thread_count(threads), MOST_THREADS)
        self.acquired: list[Array] = []
        # Set on Ctrl-C or an error, so that the other threads do not finish their panels.
        self.stopped = False
        self.tall = _up(self.q, ROWS)
        # Flat offsets: row j of block b's strip of reflectors is at starts[b] + j * 64.
        heights = [_up(self.q - block * BLOCK, ROWS) * BLOCK for block in range(problem.blocks)]
        bases = [sum(heights[:block]) for block in range(problem.blocks)]
        self.starts = np.array(
            [base - block * BLOCK * BLOCK for block, base in enumerate(bases)], np.int64
        )
        self.kept = sum(heights)

    def _empty(self, count: int) -> Array:
        """Scratch in the working type, aligned to a cache line: a load of a whole vector register
        must not cross one.
        """
        raw = _pool.acquire(count * self.itemsize + 64)
        self.acquired.append(raw)
        start = -raw.ctypes.data % 64
        return raw[start : start + count * self.itemsize].view(self.working)

    # ----------------------------------------------------------------------------------- the stores

    def _store(
        self, out: Array, strips: _Strips, size: int, matrices: int, skip: int, rows: int, to: Array
    ) -> None:
        """Rows skip ... skip + rows - 1 of strips into `to` (matrix, column, row)."""
        dtype, working = self.problem.dtype, self.working.type
        arguments = (
            out,
            matrices,
            size,
            strips.width,
            strips.used,
            skip,
            rows,
            working(self.problem.gain),
            working(0),
            to.ctypes.data,
            to.strides,
            dtype.itemsize,
        )
        if dtype.itemsize < 4:
            stores.store_narrow(*arguments, dtype.mantissa, dtype.bias)
        else:
            stores.store(*arguments)

    # -------------------------------------------------------------------------- many small matrices

    def small(self) -> bool:
        if self.kept + _up(len(self.problem.columns), BLOCK) * self.tall > SMALL:
            return False
        return (
            self.threads == 1
            or len(self.problem.matrices) >= self.threads
            or self.problem.steps < PARALLEL
        )

    def form_small(self) -> None:
        """Several matrices per task; one thread forms each."""
        problem, p, q = self.problem, self.p, self.q
        strips = _Strips(problem.columns, BLOCK if len(problem.columns) > NARROW else NARROW)
        size = self.tall * strips.width
        blocks = range(0, problem.blocks * BLOCK, BLOCK)
        drawn = np.cumsum([0, *[min(BLOCK, p - k) * (q - k) for k in blocks]])
        most = max(
            1, min(-(-len(problem.matrices) // (4 * self.threads)), (1 << 16) // int(drawn[-1]))
        )

        def make() -> tuple[Any, ...]:
            return (
                _Memory(self._empty, most * int(drawn[-1])),
                self._empty(self.kept + ROWS * BLOCK),
                self._empty(problem.blocks * BLOCK * BLOCK),
                np.empty(problem.blocks * BLOCK, self.working),
                self._empty(most * strips.count * size),
                self._empty(strips.count * BLOCK * strips.width),
                self._empty(strips.count * BLOCK * strips.width),
            )

        scratch_of = _PerThread(make)

        def form(group: slice) -> None:
            first, count = int(problem.matrices[group.start]), group.stop - group.start
            with scratch_of() as (memory, v, t, d, out, y, z):
                draws = []
                for k, start, stop in zip(blocks, drawn[:-1], drawn[1:], strict=True):
                    g = memory.drawn[start * count : stop * count].reshape(
                        count, min(BLOCK, p - k), q - k
                    )
                    draws.append((g, (first * p + k) * q + k, (p * q, q, 1)))
                self.draw(draws)
                jit.form(
                    memory.drawn,
                    drawn,
                    count,
                    p,
                    q,
                    v,
                    self.starts,
                    t,
                    d,
                    memory.squares,
                    memory.products,
                    memory.sums,
                    memory.tau,
                    strips.arrays,
                    out,
                    strips.width,
                    size,
                    y,
                    z,
                    problem.blocks - 1,
                )
                columns = slice(0, len(problem.columns))
                to = self.place.lend(group, columns)
                rows = problem.rows.stop - problem.rows.start
                self._store(out, strips, size, count, problem.rows.start, rows, to)
                self.place.commit(to, group, columns)

        groups = []
        start = 0
        for stop in range(1, len(problem.matrices) + 1):  # consecutive numbers, at most `most`
            ends = (
                stop == len(problem.matrices)
                or problem.matrices[stop] != problem.matrices[stop - 1] + 1
            )
            if ends or stop - start == most:
                groups.append(slice(start, stop))
                start = stop
        scratch = (int(drawn[-1]) * most + self.kept + most * strips.count * size) * self.itemsize
        threads = max(1, min(self.threads, SCRATCH // scratch))
        engine.map_tasks(form, groups, threads if len(groups) > 1 else 1)

    # ----------------------------------------------------------------------------- one large matrix

    def form_large(self) -> None:
        """One matrix after another, each by all threads: first the blocks of reflectors, then the
        panels of Q.
        """
        problem = self.problem
        columns, keeps = len(problem.columns), self.kept * self.itemsize <= KEPT
        allowed = PANELS if keeps else PANELS_DRAWN
        # With one block of reflectors a panel is formed a few rows at a time; otherwise it stays in
        # memory until all blocks are applied.
        self.height = min(CHUNK, self.tall) if problem.blocks == 1 else self.tall
        self.width = (
            BLOCK if columns > NARROW and self.height * BLOCK * self.itemsize <= allowed else NARROW
        )
        strip = self.height * self.width * self.itemsize
        # Fewer threads where their panels would not fit.  A panel of several strips reads each
        # reflector once for all of them (10% faster) and draws less where reflectors are drawn
        # again; but every thread must get a panel.
        threads = max(1, min(self.threads, allowed // strip))
        spread = columns // ((4 if keeps else 2) * threads * self.width)
        together = max(1, min(allowed // (threads * strip), spread, 4 if keeps else spread))
        self.at_work = threads
        self.piece = min(
            self.tall, max(CHUNK, DRAWN // (threads * BLOCK * self.itemsize) // BLOCK * BLOCK)
        )
        self.t = self._empty(problem.blocks * BLOCK * BLOCK)
        self.d, self.pivots = (np.empty(problem.blocks * BLOCK, self.working) for _ in range(2))
        self.v = self._empty(self.kept + ROWS * BLOCK) if keeps else None
        piece = 0 if keeps else (self.piece + ROWS) * BLOCK
        self.memory = _PerThread(lambda: _Memory(self._empty, BLOCK * CHUNK, piece))
        scratch = together * BLOCK * self.width
        sizes = (together * self.height * self.width, scratch, scratch)
        self.panels = _PerThread(lambda: [self._empty(size) for size in sizes])
        step = together * self.width
        panels = [slice(start, min(start + step, columns)) for start in range(0, columns, step)]
        for m, matrix in enumerate(problem.matrices):
            self.first = int(matrix) * self.p * self.q
            engine.map_tasks(partial(self._run, self._reflect), range(problem.blocks), threads)
            # The last columns need the most blocks, so they start first.
            engine.map_tasks(
                partial(self._run, partial(self._form_panel, m)), panels[::-1], threads
            )

    def _run(self, task: Callable[[Any], None], item: Any) -> None:
        try:
            task(item)
        except BaseException:
            self.stopped = True
            raise

    def _pieces(self, block: int) -> list[tuple[int, int]]:
        """The rows of Q (from, to) of a block's strip, in pieces that fit into the scratch."""
        k = block * BLOCK
        step = self.q if self.v is not None else self.piece
        return [(start, min(start + step, self.q)) for start in range(k, self.q, step)]

    def _gather(
        self, memory: _Memory, block: int, rows: tuple[int, int], v: Array, v_at: int
    ) -> None:
        """Draw these rows of a block's strip into v from v_at on, and add their squares."""
        k = block * BLOCK
        count = min(BLOCK, self.p - k)
        for row in range(*rows, CHUNK):
            length = min(CHUNK, rows[1] - row)
            g = memory.drawn[: count * length].reshape(count, length)
            self.draw([(g, self.first + k * self.q + row, (self.q, 1))])
            jit.gather(
                memory.drawn,
                count,
                length,
                v,
                v_at + (row - rows[0]) * BLOCK,
                row - k,
                memory.squares,
            )

    def _reflect(self, block: int) -> None:
        """Compute T, d and the pivots of a block, and its reflectors where they are kept."""
        k = block * BLOCK
        count = min(BLOCK, self.p - k)
        with self.memory() as memory:
            v, at = (
                (memory.piece, 0)
                if self.v is None
                else (self.v, int(self.starts[block]) + k * BLOCK)
            )
            memory.squares[:] = 0
            memory.products[:] = 0

            def reflect(rows: int, parts: int) -> None:
                jit.reflect(
                    v,
                    at,
                    rows,
                    count,
                    memory.squares,
                    memory.products,
                    memory.sums,
                    memory.tau,
                    self.d,
                    k,
                    self.t,
                    k * BLOCK,
                    parts,
                )
                if parts & jit.PIVOT:
                    self.pivots[k : k + count] = v[at : at + count * BLOCK : BLOCK + 1]

            pieces = self._pieces(block)
            for rows in pieces:
                self._gather(memory, block, rows, v, at)
            if len(pieces) == 1:
                reflect(self.q - k, jit.PIVOT | jit.GRAM | jit.TRIANGLE)
                return
            squares = memory.squares.copy()
            for rows in pieces:  # all squares are known: a second pass for the products
                self._gather(memory, block, rows, v, at)
                if rows[0] == k:
                    memory.squares[:] = squares
                    reflect(0, jit.PIVOT)
                reflect(rows[1] - rows[0], jit.GRAM)
            reflect(0, jit.TRIANGLE)

    def _reflectors(
        self, memory: _Memory, block: int, rows: tuple[int, int]
    ) -> tuple[Array, Array]:
        """(v, starts) for these rows of a block: kept, or drawn again."""
        if self.v is not None:
            return self.v, self.starts
        k = block * BLOCK
        self._gather(memory, block, rows, memory.piece, 0)
        if rows[0] == k:
            count = min(BLOCK, self.p - k)
            memory.piece[: count * BLOCK : BLOCK + 1] = self.pivots[k : k + count]
        starts = np.zeros(block + 1, np.int64)
        starts[block] = -rows[0] * BLOCK
        return memory.piece, starts

    def _form_panel(self, m: int, panel: slice) -> None:
        problem, q = self.problem, self.q
        strips = _Strips(problem.columns[panel], self.width)
        size = self.height * self.width
        to = self.place.lend(slice(m, m + 1), panel)
        with self.panels() as (out, y, z), self.memory() as memory:

            def apply(
                reflectors: Any,
                blocks: tuple[int, int],
                rows: tuple[int, int],
                parts: int,
                row: int = 0,
            ) -> Any:
                jit.apply(
                    *reflectors,
                    self.p,
                    self.t,
                    self.d,
                    strips.arrays,
                    out,
                    row,
                    self.width,
                    size,
                    y,
                    z,
                    blocks,
                    rows,
                    parts,
                )

            def finish(reflectors: Any, rows: tuple[int, int]) -> None:
                """The last product, and the store while its rows are in the cache."""
                low, high = problem.rows.start, problem.rows.stop
                for row in range(max(rows[0], low // ROWS * ROWS), min(rows[1], high), CHUNK):
                    part = (row, min(row + CHUNK, rows[1]))
                    first = row if problem.blocks == 1 else 0
                    apply(
                        reflectors,
                        (0, 0),
                        part,
                        jit.ACROSS | (jit.BEGIN if problem.blocks == 1 else 0),
                        first,
                    )
                    start, stop = max(row, low), min(part[1], high)
                    self._store(
                        out,
                        strips,
                        size,
                        1,
                        start - first,
                        stop - start,
                        to[:, :, start - low : stop - low],
                    )

            top = int(problem.columns[panel][-1]) // BLOCK
            nothing = (np.empty(0, self.working), np.zeros(top + 1, np.int64))
            if problem.blocks > 1:
                apply(nothing, (-1, 0), (0, q), jit.BEGIN)
            if self.v is not None:
                kept = (self.v, self.starts)
                apply(kept, (top, top), (0, q), jit.ALONG)
                apply(kept, (top, 1), (0, q), jit.MIDDLE | jit.NEXT)
            for block in range(0 if self.v is not None else top, -1, -1):
                if self.stopped:
                    return
                pieces = self._pieces(block)
                reflectors: Any = self.v, self.starts
                # The first block applied to a strip needs only the rows of that block; see _open.
                for rows in pieces[
                    : 0 if self.v is not None else 1 if problem.blocks == 1 else None
                ]:
                    reflectors = self._reflectors(memory, block, rows)
                    apply(reflectors, (block, block), rows, jit.ALONG)
                apply(nothing, (block, block), (0, q), jit.MIDDLE)
                for rows in pieces:
                    if self.v is None and len(pieces) > 1:
                        reflectors = self._reflectors(memory, block, rows)
                    if block:
                        apply(reflectors, (block, block), rows, jit.ACROSS)
                    else:
                        finish(reflectors, rows)
        self.place.commit(to, slice(m, m + 1), panel)


def form(problem: Problem, place: Place, draw: DrawNormals, threads: int | None) -> None:
    """Fill the problem's part of W, with the bits of numpy_form.py."""
    fill = _OrthogonalFill(problem, place, draw, threads)
    try:
        if fill.small():
            fill.form_small()
        else:
            fill.form_large()
    finally:
        for piece in fill.acquired:
            _pool.release(piece)
