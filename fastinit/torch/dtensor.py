"""DTensors and FSDP2: which part of the whole tensor a rank holds, and its fill on that rank, once
all ranks agree on what to draw.

A value depends on its place in the whole tensor, so a shard needs neither communication nor other
shards.  Where a placement gives a rank several runs of an axis (_StridedShard), each run is filled
as a separate region.
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
    """One box that a rank holds: where it lies in the rank's own tensor and where in the whole."""

    local: Box
    whole: Box


def local(tensor: DTensor) -> torch.Tensor:
    """This rank's own tensor, without autograd."""
    return tensor._local_tensor


def pieces(tensor: DTensor, fsdp: bool = False) -> list[Piece]:
    """The boxes of the whole tensor that this rank holds, in the order of its own tensor; none
    outside of the mesh.

    `fsdp`: a parameter of fully_shard, which cuts from right to left whatever its placements say.
    The two ways differ only where FSDP and tensor parallelism cut one axis into uneven parts.
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
    """For each axis the runs of indices of the whole tensor that the rank at `coordinate` holds.

    `order`: the sequence in which mesh dimensions cut an axis, where it is not from left to right.
    `right_to_left`: where _StridedShard says that cuts were made so, make them so, instead of by
    its definition from left to right.
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
    """The spec's own order of cutting by tensor dimension, if it states one."""
    order = getattr(spec, "shard_order", None)
    return {entry.tensor_dim: tuple(entry.mesh_dims) for entry in order} if order else None


def _chunk(runs: list[Interval], count: int, index: int) -> list[Interval]:
    """Chunk number `index` of `count`, as torch.chunk cuts: of one size, rounded up, the last ones
    smaller or empty.
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
    """Each run with its place in the rank's own tensor."""
    found, place = [], 0
    for start, stop in runs:
        found.append((slice(place, place + stop - start, 1), slice(start, stop, 1)))
        place += stop - start
    return found


def like(tensor: Any, memory: torch.Tensor, device: Any) -> DTensor:
    """A DTensor of the same layout over other memory, which is moved to `device` (None: the
    mesh's).
    """
    spec = tensor._spec
    memory = memory.to(spec.mesh.device_type if device is None else device)
    if spec.tensor_meta.dtype != memory.dtype:
        spec = copy.copy(spec)
        spec.tensor_meta = spec.tensor_meta._replace(dtype=memory.dtype)
    # Not from_local(), which would move a shard kept on the host (FSDP's CPU offload) to the
    # mesh's device.
    return DTensor(memory, spec, requires_grad=False)  # type: ignore[call-arg]


def write(tensor: DTensor, dtype: DType, result: Any, seed: int, stream: int) -> None:
    """Fill this rank's shard with its part of the whole tensor's values."""
    own, shape = local(tensor), tuple(tensor.shape)
    for here, there in pieces(tensor):

        def part(view: Array, region: Box = there) -> None:
            _memory.write(view, dtype, result, seed, stream, shape, region)

        _memory.into(own[here], dtype, part)
