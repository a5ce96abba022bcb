"""Numba forms of section 8 of stream-v1.md: blocks of reflectors, applied to strips of Q.

Products, and what a strip is: tiles.py.  The same bits in NumPy: ../_orthogonal/numpy_form.py.
Memory and threads: ../_orthogonal/compiled.py.  From strips to the destination: stores.py.
"""

import numpy as np

from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from . import Entry, inner
from .tiles import NARROW, ROWS, across, along, step, transpose

# Steps of k that a product takes at a time: the operands then stay in the first-level cache.
DEEP = 64
HALF = 32  # the same where two blocks of reflectors are in use
PIVOT, GRAM, TRIANGLE = 1, 2, 4  # parts of reflect()
BEGIN, ALONG, MIDDLE, ACROSS, NEXT = 1, 2, 4, 8, 16  # parts of apply()

# --------------------------------------------------------------------------------------- reflectors


@inner
def _gather(g, g_at, count, length, v, v_at, start, squares):
    """Copy drawn rows (count by length, from `start` places after the block's diagonal) into the
    strip, and add their squares.
    """
    whole_rows, whole = count // 8 * 8, length // NARROW * NARROW
    for j in range(0, whole, NARROW):  # one cache line of each drawn row at a time
        for r in range(0, whole_rows, 8):
            transpose(g, g_at + r * length + j, length, v, v_at + j * BLOCK + r, BLOCK)
            transpose(g, g_at + r * length + j + 8, length, v, v_at + (j + 8) * BLOCK + r, BLOCK)
    for i in range(length):
        for r in range(whole_rows if i < whole else 0, count):
            v[v_at + i * BLOCK + r] = g[g_at + r * length + i]
        for r in range(count, BLOCK):
            v[v_at + i * BLOCK + r] = 0
    for i in range(min(length, BLOCK - start)):
        for r in range(start + i + 1, BLOCK):
            v[v_at + i * BLOCK + r] = 0
    for i in range(length):
        for r in range(BLOCK):
            x = np.float64(v[v_at + i * BLOCK + r])
            squares[r] += x * x  # bits: float64, ascending; product and sum are each rounded


@Entry
def gather(g, count, length, v, v_at, start, squares):
    _gather(g, 0, count, length, v, v_at, start, squares)


@inner
def _pivot(v, v_at, count, squares, tau, d, d_at):
    for r in range(count):
        at = v_at + r * BLOCK + r
        if squares[r] == 0.0:
            v[at] = 0
            tau[r] = 0
            d[d_at + r] = 1
            continue
        g = v[at]
        wide = np.float64(g)
        tau[r] = np.sqrt(squares[r])  # rounded to the working type by the store
        v[at] = g + tau[r] if g >= 0 else g - tau[r]  # bits: s rounded, then the sum rounded
        new = np.float64(v[at])
        tau[r] = 2.0 / ((squares[r] - wide * wide) + new * new)
        d[d_at + r] = -1 if g >= 0 else 1


@inner
def _triangle(gram, count, tau, sums, t, t_at):
    """-T, transposed: t[i, r] = -T[r, i], so that products with it need no sign; sums[i, r] is the
    chain over c of -T[r, c] G[c, i].

    Four columns i are taken at a time: first what they add to each other, then, by tiles, what they
    add to all later columns.
    """
    sums[:] = 0
    t[t_at : t_at + BLOCK * BLOCK] = 0
    for first in range(0, count, ROWS):
        stop = min(first + ROWS, count)
        for i in range(first, stop):
            row = t_at + i * BLOCK
            for c in range(first, i):
                for r in range(BLOCK):  # bits: ascending c; beyond r = c these are zeros
                    sums[i * BLOCK + r] = step(
                        t[t_at + c * BLOCK + r], gram[c * BLOCK + i], sums[i * BLOCK + r]
                    )
            for r in range(i):
                t[row + r] = -(tau[i] * sums[i * BLOCK + r])
            t[row + i] = -tau[i]
        left = first * BLOCK + stop
        along(
            gram,
            left,
            count - stop,
            t,
            t_at + first * BLOCK,
            sums,
            stop * BLOCK,
            BLOCK,
            BLOCK,
            stop - first,
        )


@inner
def _reflect(v, v_at, rows, count, squares, products, sums, tau, d, d_at, t, t_at, parts):
    if parts & PIVOT:
        _pivot(v, v_at, count, squares, tau, d, d_at)
    if parts & GRAM:
        for j in range(0, rows, DEEP):
            at = v_at + j * BLOCK
            along(v, at, count, v, at, products, 0, BLOCK, BLOCK, min(DEEP, rows - j))
    if parts & TRIANGLE:
        _triangle(products, count, tau, sums, t, t_at)


@Entry
def reflect(v, v_at, rows, count, squares, products, sums, tau, d, d_at, t, t_at, parts):
    """Finish a gathered block: v_k[k], tau_k and d_k; then the products of its reflectors, to which
    `rows` more rows are added; then -T.
    """
    _reflect(v, v_at, rows, count, squares, products, sums, tau, d, d_at, t, t_at, parts)


# -------------------------------------------------------------------------------------- strips of Q


@inner
def _from(tops, block):
    """The first strip whose columns' last block is `block` or later."""
    s = 0
    while s < len(tops) and tops[s] < block:
        s += 1
    return s


@inner
def _open(v, starts, b, count, d, strips, width, y):
    """Set Y to 0.  Strips whose first block this is still hold d_c e_c in their columns, so for
    them all of Y is computed here.
    """
    columns, used, _, tops = strips
    first = _from(tops, b)
    y[first * BLOCK * width : len(used) * BLOCK * width] = 0
    for s in range(first, _from(tops, b + 1)):
        k = b * BLOCK
        # A whole block's columns: transposed in place.
        if used[s] == BLOCK and columns[s * width] == k:
            for x in range(0, BLOCK, 8):
                for r in range(0, BLOCK, 8):
                    transpose(
                        v,
                        starts[b] + (k + x) * BLOCK + r,
                        BLOCK,
                        y,
                        (s * BLOCK + r) * width + x,
                        width,
                    )
            for r in range(BLOCK):
                for x in range(BLOCK):
                    y[(s * BLOCK + r) * width + x] *= d[k + x]
            continue
        for x in range(used[s]):
            c = columns[s * width + x]
            if c >= k:
                for r in range(count):
                    y[(s * BLOCK + r) * width + x] = v[starts[b] + c * BLOCK + r] * d[c]


@inner
def _apply(
    v, starts, p, t, d, strips, out, out_at, out_row, width, size, y, z, blocks, rows, parts
):
    """Apply blocks (from, down to) to strips of Q, or the named parts of that for rows (from, to).

    Row j of block b's strip starts at v[starts[b] + j * 64]; row j of strip s of Q (`width`
    columns) starts at out[out_at + s * size + (j - out_row) * width].  `strips` holds columns,
    used, wides and tops.  columns[s * width + x], for x < used[s], is the column of Q at place x of
    strip s, in ascending order; wides[s] is used[s] rounded up to whole narrow tiles; tops[s] is
    the block of the last column.
    """
    columns, used, wides, tops = strips
    count_strips = len(used)
    row_from, row_to = rows
    if parts & BEGIN:
        for s in range(count_strips):
            at = out_at + s * size - out_row * width
            out[at + row_from * width : at + row_to * width] = 0
            for x in range(used[s]):
                c = columns[s * width + x]
                if row_from <= c < row_to:
                    out[at + c * width + x] = d[c]
    for b in range(blocks[0], blocks[1] - 1, -1):
        k = b * BLOCK
        count = min(BLOCK, p - k)
        high = (count + ROWS - 1) // ROWS * ROWS
        # The strips before `first` are still zero from row k on.
        first, later = _from(tops, b), _from(tops, b + 1)
        if parts & ALONG:
            if row_from <= k:
                _open(v, starts, b, count, d, strips, width, y)
            for j in range(max(row_from, k), row_to, DEEP):
                for s in range(later, count_strips):
                    at = out_at + s * size + (j - out_row) * width
                    left = starts[b] + j * BLOCK
                    along(
                        v,
                        left,
                        high,
                        out,
                        at,
                        y,
                        s * BLOCK * width,
                        width,
                        wides[s],
                        min(DEEP, row_to - j),
                    )
        if parts & MIDDLE:
            z[first * BLOCK * width : count_strips * BLOCK * width] = 0
            for s in range(first, count_strips):
                for r in range(0, high, ROWS):  # T is zero left of its diagonal
                    at = (s * BLOCK + r) * width
                    along(t, (k + r) * BLOCK + r, ROWS, y, at, z, at, width, wides[s], count - r)
        if parts & ACROSS:
            for j in range(max(row_from, k), row_to, DEEP):
                for s in range(first, count_strips):
                    at = out_at + s * size + (j - out_row) * width
                    left = starts[b] + j * BLOCK
                    across(
                        v,
                        left,
                        min(DEEP, row_to - j),
                        z,
                        s * BLOCK * width,
                        out,
                        at,
                        width,
                        wides[s],
                        count,
                    )
        # ACROSS, and ALONG for the next block, while the rows are in the first-level cache.
        if parts & NEXT:
            _open(v, starts, b - 1, BLOCK, d, strips, width, y)
            for j in range(k - BLOCK, row_to, HALF):
                for s in range(first, count_strips):
                    at, right = out_at + s * size + (j - out_row) * width, s * BLOCK * width
                    left, more = starts[b] + j * BLOCK, min(HALF, row_to - j)
                    if j >= k:
                        across(v, left, more, z, right, out, at, width, wides[s], count)
                    left = starts[b - 1] + j * BLOCK
                    along(v, left, BLOCK, out, at, y, right, width, wides[s], more)


@Entry
def apply(v, starts, p, t, d, strips, out, out_row, width, size, y, z, blocks, rows, parts):
    _apply(v, starts, p, t, d, strips, out, 0, out_row, width, size, y, z, blocks, rows, parts)


@Entry
def form(
    g,
    drawn,
    matrices,
    p,
    q,
    v,
    starts,
    t,
    d,
    squares,
    products,
    sums,
    tau,
    strips,
    out,
    width,
    size,
    y,
    z,
    top,
):
    """Several small matrices, each as a whole and one after another: out[matrix, strip] from the
    draws of (block, matrix).

    A matrix's draws for block b are drawn[b + 1] - drawn[b] numbers.
    """
    for i in range(matrices):
        for b in range(top + 1):
            k = b * BLOCK
            count, length = min(BLOCK, p - k), q - k
            squares[:] = 0
            products[:] = 0
            at = starts[b] + k * BLOCK
            _gather(g, drawn[b] * matrices + i * count * length, count, length, v, at, 0, squares)
            _reflect(
                v,
                at,
                length,
                count,
                squares,
                products,
                sums,
                tau,
                d,
                k,
                t,
                k * BLOCK,
                PIVOT | GRAM | TRIANGLE,
            )
        at = i * len(strips[1]) * size
        for stage in range(3):
            blocks = (top if stage < 2 else 0, top if stage == 0 else 1 if stage == 1 else 0)
            parts = BEGIN | ALONG if stage == 0 else MIDDLE | (NEXT if stage == 1 else ACROSS)
            _apply(v, starts, p, t, d, strips, out, at, 0, width, size, y, z, blocks, (0, q), parts)


@Entry
def multiply(a, a_at, a_size, rows, b, b_size, depth, corner, c, c_at, c_size, strips):
    """Continue the chains of c: c[m, x] += a[m, k] * b[k, x] for ascending k < depth; all three are
    strips of 64 columns.

    Unless `corner` is empty, its blocks replace those of b on the diagonal.
    """
    for x in range(strips):
        for k in range(0, depth, BLOCK):
            steps, left, to = min(BLOCK, depth - k), a_at + k // BLOCK * a_size, c_at + x * c_size
            if k == x * BLOCK and len(corner):
                across(a, left, rows, corner, k * BLOCK, c, to, BLOCK, BLOCK, steps)
            else:
                across(a, left, rows, b, x * b_size + k * BLOCK, c, to, BLOCK, BLOCK, steps)
