"""Blocks: constants in boxes of a tensor whose other values are drawn one by one.

The rule of such a tensor is a Patched.  draw.py draws it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import _table
from .._core import fill
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.dtypes import DType
from ..typing import Write
from .expressions import Number
from .fields import read_argument, read_whole
from .source import Source


class Patched(NamedTuple):
    """A draw with constants over parts of it.

    Attributes
    ----------
    draw : Draw
        What all other values are drawn by.
    patches : tuple of (int, int, int)
        First flat index, the index after the last, and the bits of the constant; in order, a later
        one wins.
    """

    draw: Draw
    patches: tuple[tuple[int, int, Any], ...]


MOST_PATCHES = 4096


def read_blocks(
    source: Source, blocks: Any, shape: tuple[int, ...], names: Mapping[str, Number], *where: Any
) -> list[dict[str, Any]]:
    """Read blocks: evaluate their expressions, and check that each lies within the shape."""
    found = []
    for block in blocks if isinstance(blocks, list) else [None]:
        if not isinstance(block, dict) or block.keys() != {"start", "size", "value"}:
            raise source.error(
                "blocks must be a list of tables {start = […], size = […], value = …}",
                *where,
                "blocks",
            )
        start, size = (
            [read_whole(source, item, names, *where, "blocks") for item in block[key]]
            if isinstance(block[key], list)
            else []
            for key in ("start", "size")
        )
        inside = len(start) == len(size) == len(shape) and all(
            first + count <= whole for first, count, whole in zip(start, size, shape, strict=True)
        )
        if not inside:
            raise source.error(
                f"a block of size {shown(size)} at {shown(start)} is not within shape {shape}",
                *where,
                "blocks",
            )
        value = read_argument(source, block["value"], names, *where, "blocks")
        found.append({"start": start, "size": size, "value": value})
    return found


def block_rule(
    rule: Draw | Write, shape: tuple[int, ...], dtype: DType, blocks: list[dict[str, Any]]
) -> Patched | None:
    """Add constant blocks to a rule.  None if the result cannot be drawn value by value."""
    if not isinstance(rule, Draw):
        return None
    patches: list[tuple[int, int, Any]] = []
    for block in blocks:
        start, size = block["start"], block["size"]
        constant = _table.RULES[_table.INITIALIZERS["constant"]]
        filled = fill.decide(constant, shape, dtype, {"value": block["value"]})
        bits = filled.parameters[0]  # type: ignore[union-attr]  # constant gives a Draw
        # The block covers all axes after the last partial one, so they form one run of indices.
        partial = [axis for axis, whole in enumerate(shape) if size[axis] != whole]
        outer = partial[-1] if partial else 0
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        if math.prod(size[:outer]) + len(patches) > MOST_PATCHES:
            return None
        length = size[outer] * strides[outer] if shape else 1
        for index in itertools.product(
            *(
                range(first, first + count)
                for first, count in zip(start[:outer], size[:outer], strict=True)
            )
        ):
            place = (*index, *start[outer : outer + 1])
            first = sum(one * stride for one, stride in zip(place, strides, strict=False))
            patches.append((first, first + length, bits))
    return Patched(rule, tuple(patches))
