"""delta_orthogonal and convolutional_orthogonal: kernels whose circular convolution is an isometry
times gain.

Built of the matrices of matrix.py and of chains (section 8 of stream-v1.md); projections take their
masks from plane 2. Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington, ICML 2018,
algorithms 1 and 2.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from .. import _dtypes, _engine, _stream
from .._dtypes import CONSTANT, DType
from .._engine import Job
from . import forms, numpy_form
from .matrix import Shape, Write, checked_gain, checked_layout, write_matrices
from .problem import BLOCK, Array

CHUNK = 64  # input channels that one task carries through all convolutions


def _channels(shape: Shape, layout: str, what: str) -> tuple[int, int, Shape]:
    """(outputs, inputs, kernel's sides) of a convolution's weight."""
    checked_layout(layout, what)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{what} needs the 3 to 5 axes of a convolution's weight, not shape {shape}; "
            "orthogonal does matrices"
        )
    outputs, inputs = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    if inputs > outputs:
        raise ValueError(
            f"{what} needs at least as many outputs as inputs, not {outputs} and {inputs} (shape "
            f"{shape}, layout {layout!r}): no isometry leads into a smaller space; orthogonal "
            "takes any shape"
        )
    return outputs, inputs, shape[2:] if layout == "oi" else shape[:-2]


def delta_orthogonal_rule(
    shape: Shape, dtype: DType, *, gain: Any = 1.0, layout: str = "oi"
) -> Write:
    _, _, kernel = _channels(shape, layout, "delta_orthogonal")
    gain = checked_gain(gain, dtype, "delta_orthogonal")
    rank = len(shape)
    rows, columns = ((0,), (1,)) if layout == "oi" else ((rank - 2,), (rank - 1,))
    middle = tuple(range(2, rank)) if layout == "oi" else tuple(range(rank - 2))

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        view = target.view
        _engine.run([Job(view, CONSTANT, dtype.code, 0, 0, 0, (0,), 0, (0,) * rank)], threads)
        centre: list[Any] = [slice(None)] * rank
        for axis, side in zip(middle, kernel, strict=True):
            place = (side - 1) // 2
            if not target.region[axis].start <= place < target.region[axis].stop:
                return
            centre[axis] = slice(
                place - target.region[axis].start, place - target.region[axis].start + 1
            )
        flat = tuple([1 if axis in middle else size for axis, size in enumerate(shape)])
        region = [
            slice(0, 1) if axis in middle else part for axis, part in enumerate(target.region)
        ]
        write_matrices(
            view[tuple(centre)],
            flat,
            region,
            middle,
            rows,
            columns,
            gain,
            dtype,
            seed,
            stream,
            threads,
        )

    return write


# ------------------------------------------------------------------------- convolutional orthogonal


def convolutional_orthogonal_rule(
    shape: Shape, dtype: DType, *, gain: Any = 1.0, layout: str = "oi"
) -> Write:
    outputs, inputs, kernel = _channels(shape, layout, "convolutional_orthogonal")
    gain = checked_gain(gain, dtype, "convolutional_orthogonal")
    if len(set(kernel)) > 1:
        raise ValueError(
            f"convolutional_orthogonal needs a kernel of equal sides, not {kernel} (shape {shape}, "
            f"layout {layout!r}); delta_orthogonal takes any"
        )

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        if not target.view.size:
            return
        if layout == "oi":  # to (*kernel, in, out)
            view, parts = (
                np.moveaxis(target.view, (0, 1), (-1, -2)),
                (*target.region[2:], *target.region[1::-1]),
            )
        else:
            view, parts = target.view, target.region
        what = f"convolutional_orthogonal of shape {shape}"
        _write_kernel(
            view, parts, outputs, inputs, kernel, gain, dtype, seed, stream, threads, what
        )

    return write


def _masks(count: int, outputs: int, seed: int, stream: int) -> Array:
    """Which columns each projection keeps: those whose word of plane 2 has its highest bit
    clear.
    """
    words = np.empty((count, outputs), np.uint32)
    job = Job(
        words,
        _dtypes.WORDS,
        _dtypes.U32,
        seed,
        stream,
        _stream.PLANE_PROJECTION,
        (),
        0,
        (outputs, 1),
    )
    _engine.run([job], threads=1)
    return words >> np.uint32(31) == 0


def _write_kernel(
    view: Array,
    parts: tuple[slice, ...],
    outputs: int,
    inputs: int,
    kernel: Shape,
    gain: float,
    dtype: DType,
    seed: int,
    stream: int,
    threads: int | None,
    what: str,
) -> None:
    """`view` is the region `parts` of (*kernel, in, out)."""
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
        result = product.convolved(
            first[chunk], factors, axes
        )  # tap -> (rows of the chunk, outputs)
        wanted = itertools.product(*[range(part.start, part.stop) for part in parts[:-2]])
        local = itertools.product(*[range(part.stop - part.start) for part in parts[:-2]])
        for tap, at in zip(wanted, local, strict=True):
            view[at][chunk] = numpy_form.stored(result[tap][:, parts[-1]], gain, dtype)

    chunks = [slice(start, min(start + CHUNK, len(first))) for start in range(0, len(first), CHUNK)]
    _engine.map_tasks(form, chunks, threads if len(chunks) > 1 else 1)


def _convolved(first: Any, factors: list[Any], axes: int, step: Any) -> dict[Shape, Any]:
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
            grown[tap] = step(
                kernel.get(before), kernel.get(tap), factor
            )  # bits: I - P first, then P
        kernel = grown
    return kernel


class _Numpy:
    """The products in NumPy."""

    def projection(self, columns: Array) -> tuple[Array, Array]:
        p = numpy_form.chain(columns, columns)
        return np.eye(len(p), dtype=p.dtype) - p, p

    def convolved(self, first: Array, factors: list[Any], axes: int) -> dict[Shape, Array]:
        def step(before: Array | None, same: Array | None, factor: tuple[Array, Array]) -> Array:
            total = np.zeros_like(first)
            if before is not None:
                numpy_form.chain(before.T, factor[0], total)
            if same is not None:
                numpy_form.chain(same.T, factor[1], total)
            return total

        return _convolved(first, factors, axes, step)


def _strips(array: Array, height: int) -> Array:
    """(rows, columns) as strips of 64 columns with `height` rows each: the form of
    _jit/orthogonal.py's products.
    """
    count = -(-array.shape[1] // BLOCK)
    padded = np.zeros((height, count * BLOCK), array.dtype)
    padded[: len(array), : array.shape[1]] = array
    return np.ascontiguousarray(padded.reshape(height, count, BLOCK).transpose(1, 0, 2))


class _Compiled:
    """The products in Numba.

    I - P is -P off its diagonal: its chains take -K and P's blocks but for those on it.
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

        _engine.map_tasks(rows, range(0, high, BLOCK), self._threads if n >= 256 else 1)
        corner = np.stack([p[k, k * BLOCK : (k + 1) * BLOCK] for k in range(len(p))])
        eye = np.zeros((len(p), BLOCK, BLOCK), p.dtype)
        eye[:, range(BLOCK), range(BLOCK)] = 1
        return -(eye - corner), p  # bits: 1 - P rounded

    def convolved(self, first: Array, factors: list[Any], axes: int) -> dict[Shape, Array]:
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
