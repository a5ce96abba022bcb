"""Job: one draw into one array, as both engines take it.

It knows no shape and no region: fill.py turns a target into a Job, engine.py runs them.
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
    return Job(out, draw.draw, draw.storage, seed, stream, plane, draw.parameters, first, strides)
