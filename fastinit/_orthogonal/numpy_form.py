"""Section 8 of stream-v1.md in NumPy: columns of Q from random Householder reflectors, with every
product in a fixed order.

This is the readable form.  It runs for small matrices and without numba, and the Numba form
(compiled.py, ../_jit) is tested against it.  It may not use BLAS, np.sum or np.dot, because their
order varies with the CPU.  matrix.py decides which columns are needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.dtypes import DType
from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from ..typing import Array
from .problem import DrawNormals

# Elements of a chain's result computed together: its five working arrays fit into an L2 cache.
TILE = 1 << 15

# The bits of a float64 beyond float32's mantissa, and their value in a tie.
_LOW_BITS, _HALF = np.uint64((1 << 29) - 1), np.uint64(1 << 28)
_SMALLEST_NORMAL = 2.0**-126


# ------------------------------------------------------------------------------------------- chains


class _Chain32:
    """acc[m, n] = fma(a[m], b[n], acc[m, n]) in float32, by the exact product in float64 and a sum
    rounded to odd.

    The sum in float64 rounds to the correct float32 unless the sum is inexact and lies exactly
    between two float32 values (or below the normal ones).  Only then, once in 2^29 steps, it must
    be rounded to odd first.
    """

    def __init__(self, acc: Array, careful: bool) -> None:
        self.acc = acc
        self._careful = careful
        self._wide = acc.astype(np.float64)
        self._product, self._sum, self._size = (
            np.empty(acc.shape),
            np.empty(acc.shape),
            np.empty(acc.shape),
        )
        self._bits = self._sum.view(np.uint64)
        self._low, self._flag = np.empty(acc.shape, np.uint64), np.empty(acc.shape, np.bool_)

    def add(self, a: Array, b: Array) -> None:
        np.multiply(a[:, None], b, out=self._product)  # bits: 24 by 24 bits, exact in float64
        np.add(self._product, self._wide, out=self._sum)
        np.bitwise_and(self._bits, _LOW_BITS, out=self._low)
        np.equal(self._low, _HALF, out=self._flag)
        if self._careful:
            np.abs(self._sum, out=self._size)
            self._flag |= self._size < _SMALLEST_NORMAL
        if self._flag.any():
            self._round_to_odd()
        np.copyto(self.acc, self._sum, casting="same_kind")
        np.copyto(self._wide, self.acc)

    def _round_to_odd(self) -> None:
        at = np.nonzero(self._flag)
        p, c, s = self._product[at], self._wide[at], self._sum[at]
        t = s - p
        error = (p - (s - t)) + (c - t)  # bits: what the sum lost, exactly (Knuth's TwoSum)
        bits = s.view(np.int64)
        even = (error != 0) & (bits & 1 == 0)
        bits[even] += np.where((error[even] > 0) == (s[even] > 0), 1, -1)
        self._sum[at] = s


class _Chain64:
    """acc[m, n] = acc[m, n] + a[m] * b[n] in float64, product and sum both rounded."""

    def __init__(self, acc: Array, careful: bool) -> None:
        self.acc = acc
        self._product = np.empty(acc.shape)

    def add(self, a: Array, b: Array) -> None:
        np.multiply(a[:, None], b, out=self._product)
        np.add(self.acc, self._product, out=self.acc)


def _chain(acc: Array, careful: bool = True) -> _Chain32 | _Chain64:
    return _Chain64(acc, careful) if acc.dtype == np.float64 else _Chain32(acc, careful)


def _least_power(x: Array) -> int:
    """The exponent of the smallest non-zero magnitude; 0 if all are zero."""
    size = np.abs(x[x != 0])
    return int(np.frexp(size.min())[1]) if size.size else 0


def chain(a: Array, b: Array, acc: Array | None = None) -> Array:
    """The product of a (K, M), transposed, and b (K, N): chains over ascending k, from +0 or, in
    place, from `acc`.
    """
    if acc is None:
        acc = np.zeros((a.shape[1], b.shape[1]), a.dtype)
    # All terms, and so all sums, are multiples of the product of the factors' least bits.  In most
    # calls none of them can be subnormal.
    careful = min(_least_power(a) + _least_power(b), _least_power(acc) + 24) < -126 + 48 + 2
    # float64 holds the exact products of float32.
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    columns = min(max(b.shape[1], 1), TILE)
    rows = max(1, TILE // columns)
    for x in range(0, b.shape[1], columns):
        for m in range(0, a.shape[1], rows):
            part = acc[m : m + rows, x : x + columns]
            step = _chain(np.ascontiguousarray(part), careful)
            # bits: ascending.
            for left, right in zip(a[:, m : m + rows], b[:, x : x + columns], strict=True):
                step.add(left, right)
            part[...] = step.acc
    return acc


# --------------------------------------------------------------------------------------- reflectors


def _squares(g: Array) -> Array:
    """The sum of squares of each row in float64, ascending (accumulate is sequential by definition;
    sum is not).
    """
    total = np.zeros(len(g))
    for start in range(0, g.shape[1], 4096):
        part = g[:, start : start + 4096].astype(np.float64)
        part *= part
        part[:, 0] += total
        total = np.add.accumulate(part, axis=1)[:, -1]
    return total


def reflectors(g: Array) -> tuple[Array, Array, Array]:
    """(v, tau, d) of one block from its draws g: a row for each reflector, starting at the block's
    first diagonal element.
    """
    working = g.dtype.type
    v = np.triu(g)
    total = _squares(v)
    pivot = np.diagonal(v).copy()
    sigma = np.where(pivot >= 0, working(1), working(-1))
    none = total == 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        # bits: sqrt rounded to the working type, then the sum.
        new = pivot + sigma * np.sqrt(total).astype(working)
        square, wide = pivot.astype(np.float64), new.astype(np.float64)
        tau = (2.0 / ((total - square * square) + wide * wide)).astype(working)
    tau[none] = 0
    d = np.where(none, working(1), -sigma)
    v[np.arange(len(v)), np.arange(len(v))] = np.where(none, working(0), new)
    return v, tau, d


def triangle(v: Array, tau: Array) -> Array:
    """The block's upper triangular T: H_1 H_2 ... = I - V T V^t."""
    gram = chain(v.T, v.T)
    count = len(tau)
    t = np.zeros((count, count), v.dtype)
    sums = _chain(np.zeros((count, count), v.dtype))
    right = np.triu(gram, 1).astype(np.float64)
    for c in range(count):  # after step c every sum holds its chain over the columns up to c
        t[:c, c] = -(tau[c] * sums.acc[:c, c])
        t[c, c] = tau[c]
        sums.add(t[:, c].astype(np.float64), right[c])
    return t


def columns_of_q(
    draw: DrawNormals, p: int, q: int, matrix: int, columns: Array, dtype: Any
) -> Array:
    """Q[:, columns] (q by their number, in the working type) of matrix number `matrix`; `columns`
    ascend.
    """
    blocks = []
    d = np.empty(p, dtype)
    for k in range(0, int(columns[-1]) + 1, BLOCK):
        count = min(BLOCK, p - k)
        g = np.empty((count, q - k), dtype)
        draw([(g, (matrix * p + k) * q + k, (q, 1))])
        v, tau, d[k : k + count] = reflectors(g)
        blocks.append((v, triangle(v, tau)))
    result = np.zeros((q, len(columns)), dtype)
    result[columns, np.arange(len(columns))] = d[columns]
    for block in range(len(blocks) - 1, -1, -1):
        v, t = blocks.pop()
        k = block * BLOCK
        # Columns before k are still zero from row k on.  Those of this block are d_c e_c, so Y has
        # a single term.
        old, new = np.searchsorted(columns, [k + len(v), k])
        y = np.empty((len(v), len(columns) - new), dtype)
        y[:, : old - new] = v[:, columns[new:old] - k] * d[columns[new:old]]
        y[:, old - new :] = chain(v.T, result[k:, old:])
        z = chain(t.T, y)
        chain(-v, z, result[k:, new:])
    return result


def stored(values: Array, gain: float, dtype: DType) -> Array:
    """The destination's bits of working values times gain."""
    from .. import reference  # on demand: the native engine does not need it

    working = values.dtype.type
    # bits: -0 becomes +0.
    return reference.store(np.ascontiguousarray(values * working(gain) + working(0)), dtype.code)
