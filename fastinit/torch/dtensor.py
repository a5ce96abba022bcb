"""Supports DTensors and FSDP2: finds the part of the whole tensor that a rank holds, and fills it.

The ranks have agreed before on what to draw.  A value depends on its place in the whole tensor, so
filling a shard needs neither communication nor other shards.  If a placement gives a rank several
runs of an axis (_StridedShard), each run is filled as a separate region.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard

from .._core.dtypes import DType
from ..typing import Array, Box
from . import _memory

Interval = tuple[int, int]


class Piece(NamedTuple):
    """One box that a rank holds: its place in the rank's own tensor and its place in the whole."""

    local: Box
    whole: Box


def local(tensor: DTensor) -> torch.Tensor:
    """Return this rank's own tensor, without autograd."""
    return tensor._local_tensor


def pieces(tensor: DTensor, fsdp: bool = False) -> list[Piece]:
    """Return the boxes of the whole tensor that this rank holds, in the order of its own tensor.

    A rank outside the mesh holds no boxes.

    `fsdp` marks a parameter of fully_shard, which cuts from right to left regardless of its
    placements.  The direction matters only if FSDP and tensor parallelism cut the same axis into
    uneven parts.
    """
    spec = tensor._spec
    coordinate = spec.mesh.get_coordinate()
    if coordinate is None:
        return []
    shape, mesh, own = tuple(tensor.shape), tuple(spec.mesh.shape), tuple(local(tensor).shape)
    for right_to_left in (fsdp, not fsdp):
        held = intervals(shape, mesh, coordinate, spec.placements, _order(spec), right_to_left)
        if tuple([sum([stop - start for start, stop in runs]) for runs in held]) == own:
            boxes = itertools.product(*[_placed(runs) for runs in held])
            return [
                Piece(tuple([here for here, _ in box]), tuple([there for _, there in box]))
                for box in boxes
            ]
    raise RuntimeError(
        f"a DTensor of shape {shape} with placements {spec.placements} on a mesh {mesh} should "
        f"not hold {own} on the rank at {tuple(coordinate)}; redistribute it before it is filled"
    )


def intervals(
    shape: Sequence[int],
    mesh: Sequence[int],
    coordinate: Sequence[int],
    placements: Sequence[Any],
    order: Mapping[int, Sequence[int]] | None = None,
    right_to_left: bool = False,
) -> list[list[Interval]]:
    """Return, for each axis, the runs of indices that the rank at `coordinate` holds.

    The indices are those of the whole tensor.  `order` is the sequence in which mesh dimensions cut
    an axis, if it is not from left to right.  A _StridedShard says that cuts were made from right
    to left.  With `right_to_left`, the cuts are made in this direction.  Otherwise they are made
    from left to right, by the definition of _StridedShard.
    """
    held: list[list[Interval]] = [[(0, size)] for size in shape]
    for dimension, placement in enumerate(placements):
        if not isinstance(placement, (Shard, _StridedShard, Replicate)):
            raise ValueError(
                f"placement {placement} of mesh dimension {dimension} holds no values of its own; "
                "redistribute the DTensor to Shard or Replicate before it is filled"
            )
    steps = [(d, p) for d, p in enumerate(placements) if not isinstance(p, Replicate)]
    if order:
        steps.sort(key=lambda step: list(order[step[1].dim]).index(step[0]))
    if right_to_left:
        steps.reverse()
    for dimension, placement in steps:
        axis = placement.dim
        if isinstance(placement, _StridedShard) and not right_to_left:
            factor = int(placement.split_factor)
            parts = [_chunk(held[axis], factor, part) for part in range(factor)]
            runs = [
                run
                for part in parts
                for run in _chunk(part, mesh[dimension], coordinate[dimension])
            ]
        else:
            runs = _chunk(held[axis], mesh[dimension], coordinate[dimension])
        held[axis] = _merged(runs)
    return held


def _order(spec: Any) -> Mapping[int, Sequence[int]] | None:
    """Return the order in which mesh dimensions cut each tensor dimension, if the spec has one."""
    order = getattr(spec, "shard_order", None)
    return {entry.tensor_dim: tuple(entry.mesh_dims) for entry in order} if order else None


def _chunk(runs: list[Interval], count: int, index: int) -> list[Interval]:
    """Return chunk number `index` of `count`, cut as torch.chunk cuts.

    All chunks have the same size, rounded up, except that the last ones may be smaller or empty.
    """
    total = sum([stop - start for start, stop in runs])
    size = -(-total // count)
    first, last = min(index * size, total), min((index + 1) * size, total)
    found, place = [], 0
    for start, stop in runs:
        low, high = max(first, place), min(last, place + stop - start)
        if low < high:
            found.append((start + low - place, start + high - place))
        place += stop - start
    return found


def _merged(runs: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, stop in runs:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], stop)
        else:
            merged.append((start, stop))
    return merged


def _placed(runs: list[Interval]) -> list[tuple[slice, slice]]:
    """Return each run with its place in the rank's own tensor, which comes first."""
    found, place = [], 0
    for start, stop in runs:
        found.append((slice(place, place + stop - start, 1), slice(start, stop, 1)))
        place += stop - start
    return found


def like(tensor: Any, memory: torch.Tensor, device: Any) -> DTensor:
    """Return a DTensor of the same layout over other memory.

    The memory is moved to `device`; None is the mesh's device.
    """
    spec = tensor._spec
    memory = memory.to(spec.mesh.device_type if device is None else device)
    if spec.tensor_meta.dtype != memory.dtype:
        spec = copy.copy(spec)
        spec.tensor_meta = spec.tensor_meta._replace(dtype=memory.dtype)
    # from_local() would move a shard that is kept on the host (FSDP's CPU offload) to the mesh's
    # device.
    return DTensor(memory, spec, requires_grad=False)  # type: ignore[call-arg]


def write(tensor: DTensor, dtype: DType, result: Any, seed: int, stream: int) -> None:
    """Fill this rank's shard with its part of the whole tensor's values."""
    own, shape = local(tensor), tuple(tensor.shape)
    for here, there in pieces(tensor):

        def part(view: Array, region: Box = there) -> None:
            _memory.write(view, dtype, result, seed, stream, shape, region)

        _memory.into(own[here], dtype, part)
