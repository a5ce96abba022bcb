"""Numba forms of sparse, section 9 of stream-v1.md; the NumPy form is in _sparse.py.

One uint64 per place marks 64 units.  This keeps the marks in the first-level cache, and rows can be
written in the order of memory.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from . import OPTIONS, Entry


@intrinsic
def _high64(typingctx, a, b):
    """The high 64 bits of the 128-bit product."""

    def emit(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), emit


@intrinsic
def _lowest_bit(typingctx, word):
    """The place of the lowest bit of a word that is not zero."""

    def emit(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), emit


_ONE = np.uint64(1)
_EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)


# Units at a time: their marks and values stay in the second-level cache while rows are written.
_TOGETHER = 128


@njit(**OPTIONS)
def _mark(words, places, zeros_picked, marks):
    """Floyd's algorithm for at most _TOGETHER units: bit u % 64 of marks[u // 64, place] says
    whether that place of unit u is non-zero.
    """
    units, picks = words.shape
    stripes = (units + 63) >> 6
    marks[:stripes] = 0
    for u in range(units):
        row = marks[u >> 6]
        bit = _ONE << np.uint64(u & 63)
        for s in range(picks):
            m = places - picks + s
            y = np.int64(_high64(words[u, s], np.uint64(m + 1)))
            if row[y] & bit:
                y = m
            row[y] |= bit
    if zeros_picked:
        for stripe in range(stripes):
            left = units - 64 * stripe
            used = _EVERY if left >= 64 else (_ONE << np.uint64(left)) - _ONE
            for place in range(places):
                marks[stripe, place] ^= used
    return stripes


@Entry
def sparse_columns(words, places, zeros_picked, values, out, first_column, first_row):
    """Write the units as columns first_column … of `out`, whose row 0 is place first_row: zeros and
    values, the values in order of rank.
    """
    marks = np.empty((_TOGETHER >> 6, places), np.uint64)
    rank = np.empty(_TOGETHER, np.int64)
    for start in range(0, len(words), _TOGETHER):
        stop = min(start + _TOGETHER, len(words))
        own = values[start:stop]
        stripes = _mark(words[start:stop], places, zeros_picked, marks)
        rank[:] = 0
        for stripe in range(stripes):
            for place in range(first_row):
                left = marks[stripe, place]
                while left:
                    rank[stripe * 64 + _lowest_bit(left)] += 1
                    left &= left - _ONE
        for r in range(out.shape[0]):
            line = out[r, first_column + start : first_column + stop]
            line[:] = 0
            for stripe in range(stripes):
                left = marks[stripe, first_row + r]
                while left:
                    u = stripe * 64 + _lowest_bit(left)
                    line[u] = own[u, rank[u]]
                    rank[u] += 1
                    left &= left - _ONE


@Entry
def sparse_rows(where, values, out, first):
    """Write the units as rows of `out` (already zero), whose column 0 is place `first`."""
    units, kept = where.shape
    stop = first + out.shape[1]
    for u in range(units):
        for rank in range(kept):
            place = where[u, rank]
            if place >= stop:
                break
            if place >= first:
                out[u, place - first] = values[u, rank]


@Entry
def sparse_marked(words, places, zeros_picked, where):
    """The non-zero places of every unit, ascending, by marks."""
    marks = np.empty((1, places), np.uint64)
    rank = np.empty(64, np.int64)
    for start in range(0, len(words), 64):
        _mark(words[start : start + 64], places, zeros_picked, marks)
        own = where[start : start + 64]
        rank[:] = 0
        for place in range(places):
            left = marks[0, place]
            while left:
                u = _lowest_bit(left)
                own[u, rank[u]] = place
                rank[u] += 1
                left &= left - _ONE


@Entry
def sparse_listed(words, places, where):
    """The same for few places of many, by sorted lists: binary search, then insertion."""
    units, picks = words.shape
    for u in range(units):
        chosen = where[u]
        for s in range(picks):
            m = places - picks + s
            y = np.int64(_high64(words[u, s], np.uint64(m + 1)))
            low, high = 0, s
            while low < high:
                middle = (low + high) >> 1
                if chosen[middle] < y:
                    low = middle + 1
                else:
                    high = middle
            if low < s and chosen[low] == y:
                chosen[s] = m  # m is larger than all that were chosen
                continue
            for i in range(s, low, -1):
                chosen[i] = chosen[i - 1]
            chosen[low] = y
