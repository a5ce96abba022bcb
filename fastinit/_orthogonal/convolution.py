"""delta_orthogonal and convolutional_orthogonal: kernels whose circular convolution is an isometry
times gain.

They are built from the matrices of matrix.py and from chains (section 8 of stream-v1.md); the masks
of the projections come from plane 2.  Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington,
ICML 2018, algorithms 1 and 2.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .._core import engine
from .._core.draws import Draw
from .._core.dtypes import U32, WORDS, DType
from .._core.jobs import draw_job
from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from .._core.stream import PLANE_PROJECTION
from ..typing import Array, Sizes
from . import forms

CHUNK = 64  # input channels that one task takes through all convolutions


def _masks(count: int, outputs: int, seed: int, stream: int) -> Array:
    """Which columns each projection keeps: those whose word of plane 2 has its highest bit
    clear.
    """
    words = np.empty((count, outputs), np.uint32)
    draw = Draw(WORDS, U32, ())
    job = draw_job(words, draw, seed, stream, 0, (outputs, 1), PLANE_PROJECTION)
    engine.run([job], threads=1)
    return words >> np.uint32(31) == 0


def write_kernel(
    view: Array,
    parts: tuple[slice, ...],
    outputs: int,
    inputs: int,
    kernel: Sizes,
    gain: float,
    dtype: DType,
    seed: int,
    stream: int,
    threads: int | None,
    what: str,
) -> None:
    """`view` is the region `parts` of (*kernel, in, out)."""
    from . import numpy_form  # on demand, with the reference engine that it uses

    axes, side = len(kernel), kernel[0]
    working = dtype.working
    draw = forms.draws(dtype.wide, seed, stream)
    count = axes * (side - 1)
    taps = math.prod(kernel)
    steps = 2.0 * outputs**3 * count + 2.0 * axes * taps * inputs * outputs**2
    module = forms.compiled(steps, dtype.wide, what)
    product: Any = _Numpy() if module is None else _Compiled(module, threads)
    rows = parts[-2]

    def columns(p: int, matrix: int, wanted: Array) -> Array:
        return forms.columns(p, outputs, matrix, wanted, working, draw, threads, what)

    first = columns(inputs, 0, np.arange(rows.start, rows.stop))
    factors = []
    for number, mask in enumerate(_masks(count, outputs, seed, stream), 1):
        kept = np.flatnonzero(mask)
        none = np.zeros((1, outputs), first.dtype)
        factors.append(product.projection(columns(outputs, number, kept) if len(kept) else none))

    def form(chunk: slice) -> None:
        # Tap -> (rows of the chunk, outputs).
        result = product.convolved(first[chunk], factors, axes)
        wanted = itertools.product(*[range(part.start, part.stop) for part in parts[:-2]])
        local = itertools.product(*[range(part.stop - part.start) for part in parts[:-2]])
        for tap, at in zip(wanted, local, strict=True):
            view[at][chunk] = numpy_form.stored(result[tap][:, parts[-1]], gain, dtype)

    chunks = [slice(start, min(start + CHUNK, len(first))) for start in range(0, len(first), CHUNK)]
    engine.map_tasks(form, chunks, threads if len(chunks) > 1 else 1)


def _convolved(first: Any, factors: list[Any], axes: int, step: Any) -> dict[Sizes, Any]:
    """K ← K ⊛ [P, I - P] along each axis in turn: each new tap is one chain, over ascending taps of
    K.
    """
    kernel, sizes = {(0,) * axes: first}, [1] * axes
    for number, factor in enumerate(factors):
        axis = number % axes
        sizes[axis] += 1
        grown = {}
        for tap in itertools.product(*map(range, sizes)):
            before = tuple([place - (k == axis) for k, place in enumerate(tap)])
            # bits: I - P first, then P.
            grown[tap] = step(kernel.get(before), kernel.get(tap), factor)
        kernel = grown
    return kernel


class _Numpy:
    """The products in NumPy."""

    def __init__(self) -> None:
        from . import numpy_form

        self._chain = numpy_form.chain

    def projection(self, columns: Array) -> tuple[Array, Array]:
        p = self._chain(columns, columns)
        return np.eye(len(p), dtype=p.dtype) - p, p

    def convolved(self, first: Array, factors: list[Any], axes: int) -> dict[Sizes, Array]:
        def step(before: Array | None, same: Array | None, factor: tuple[Array, Array]) -> Array:
            total = np.zeros_like(first)
            if before is not None:
                self._chain(before.T, factor[0], total)
            if same is not None:
                self._chain(same.T, factor[1], total)
            return total

        return _convolved(first, factors, axes, step)


def _strips(array: Array, height: int) -> Array:
    """A matrix as strips of 64 columns and `height` rows each, as the products of
    _jit/orthogonal.py take it.
    """
    count = -(-array.shape[1] // BLOCK)
    padded = np.zeros((height, count * BLOCK), array.dtype)
    padded[: len(array), : array.shape[1]] = array
    return np.ascontiguousarray(padded.reshape(height, count, BLOCK).transpose(1, 0, 2))


class _Compiled:
    """The products in Numba.

    I - P equals -P off the diagonal, so its chains take -K and P's blocks, except on the diagonal.
    """

    def __init__(self, module: Any, threads: int | None) -> None:
        self._multiply, self._threads = module.jit.multiply, threads

    def projection(self, columns: Array) -> tuple[Array, Array]:
        kept, n = columns.shape
        high = -(-n // BLOCK) * BLOCK
        left, right = _strips(columns.T, high), _strips(columns, kept)
        p = np.zeros((high // BLOCK, high, BLOCK), columns.dtype)
        none = np.empty(0, columns.dtype)

        def rows(start: int) -> None:
            self._multiply(
                left.reshape(-1),
                start * BLOCK,
                high * BLOCK,
                min(BLOCK, high - start),
                right.reshape(-1),
                kept * BLOCK,
                kept,
                none,
                p.reshape(-1),
                start * BLOCK,
                high * BLOCK,
                len(p),
            )

        engine.map_tasks(rows, range(0, high, BLOCK), self._threads if n >= 256 else 1)
        corner = np.stack([p[k, k * BLOCK : (k + 1) * BLOCK] for k in range(len(p))])
        eye = np.zeros((len(p), BLOCK, BLOCK), p.dtype)
        eye[:, range(BLOCK), range(BLOCK)] = 1
        return -(eye - corner), p  # bits: 1 - P rounded

    def convolved(self, first: Array, factors: list[Any], axes: int) -> dict[Sizes, Array]:
        rows, n = first.shape
        height = -(-rows // 4) * 4
        start = _strips(first, height)

        def add(a: Array, p: Array, corner: Array, total: Array) -> None:
            self._multiply(
                a.reshape(-1),
                0,
                height * BLOCK,
                height,
                p.reshape(-1),
                p.shape[1] * BLOCK,
                n,
                corner.reshape(-1),
                total.reshape(-1),
                0,
                height * BLOCK,
                len(total),
            )

        def step(before: Array | None, same: Array | None, factor: tuple[Array, Array]) -> Array:
            total = np.zeros_like(start)
            if before is not None:
                add(-before, factor[1], factor[0], total)
            if same is not None:
                add(same, factor[1], factor[0][:0], total)
            return total

        result = _convolved(start, factors, axes, step)
        return {tap: np.concatenate(list(k), axis=1)[:rows, :n] for tap, k in result.items()}
