"""Job: one draw into one array, in the form that both engines take, and its only constructor.

It does not know global shapes or regions: fill.py turns a target into a Job, and engine.py runs it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..typing import Array, Sizes
from .draws import Draw
from .stream import PLANE_VALUES


class Job(NamedTuple):
    """Element (i0, i1, ...) of `out` is the draw's value at index first + sum(i_k * strides[k])."""

    out: Array  # an unsigned view of the destination's bits: any shape, any strides
    draw: int
    storage: int
    seed: int
    stream: int
    plane: int
    parameters: tuple[Any, ...]
    first: int
    strides: Sizes  # of the index, >= 0


_new = tuple.__new__  # half a microsecond faster than calling the class


def draw_job(
    out: Array,
    draw: Draw,
    seed: int,
    stream: int,
    first: int,
    strides: Sizes,
    plane: int = PLANE_VALUES,
) -> Job:
    """The Job that draws into `out` from index `first` on."""
    kind, storage, parameters = draw
    return _new(Job, (out, kind, storage, seed, stream, plane, parameters, first, strides))
