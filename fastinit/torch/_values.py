"""Carries out plans: allocates memory for this rank's part, fills all parameters in one batch, and
puts the new tensors into the model.

_recipe.py makes the plans, and dtensor.py says which boxes a rank holds.  This module decides and
checks nothing: materialize.py has done that before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .._core import engine
from .._core.stream import stream_id
from ..fill import Filled
from ..fill import fill as fill_many
from ..typing import Box
from . import _memory
from ._draw import draw
from ._names import Named
from ._prove import Fill
from ._recipe import Plan
from ._translate import Call

# The initializers that work for every dtype, with their values.
CONSTANTS: dict[str, Any] = {"constant": 0.0, "zeros": 0, "ones": 1}


def memory_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the part of a tensor that is in this rank's memory."""
    return tensor._local_tensor if _memory.is_dtensor(tensor) else tensor  # type: ignore[attr-defined,no-any-return]


def is_meta(tensor: torch.Tensor) -> bool:
    return memory_of(tensor).is_meta


class Entry(NamedTuple):
    """One argument of the many-tensor fill, and its round.

    Later rounds overwrite parts of earlier rounds.
    """

    round: int
    fill: tuple[Any, ...]


def allocate(tensor: torch.Tensor, dtype: torch.dtype | None, device: Any) -> torch.Tensor:
    """Return memory for this rank's part, on the device that draws it.

    The memory is new, or a real tensor's existing memory if its device and dtype match.
    """
    own = memory_of(tensor).detach()
    kind = dtype if dtype is not None and own.dtype.is_floating_point else own.dtype
    place = torch.device("cpu" if device is None else device)
    if device is None and not own.is_meta:
        place = own.device
    elif device is None and _memory.is_dtensor(tensor):
        place = torch.device(tensor.device_mesh.device_type)  # type: ignore[attr-defined]
    if place.type == "cuda":
        index = torch.cuda.current_device() if place.index is None else place.index
        place = torch.device("cpu" if engine.gpu(index) is None else f"cuda:{index}")
    else:
        place = torch.device("cpu")
    if own.device == place and own.dtype == kind:
        return own
    # empty_like keeps own's memory format, but gives each element its place if own's overlap.
    return torch.empty_like(own, dtype=kind, device=place, requires_grad=False)


def _pieces(item: Named) -> list[tuple[Box, Box]]:
    """Return, for each box that this rank holds, its place in local memory and in the whole."""
    if _memory.is_dtensor(item.tensor):
        from . import dtensor

        return list(dtensor.pieces(item.tensor, item.fsdp))  # type: ignore[arg-type]
    whole = tuple([slice(0, size, 1) for size in item.tensor.shape])
    return [(whole, whole)]


def entries_of(item: Named, plan: Plan, memory: torch.Tensor) -> Iterator[Entry]:
    if memory.dtype not in _memory.DTYPES:
        return  # only constants are possible; torch writes them
    rounds: list[int] = []
    for number, fill in enumerate(plan.fills):
        under = [rounds[n] for n in range(number) if plan.fills[n].view.overlaps(fill.view)]
        rounds.append(1 + max(under) if under else 0)
        for here, there in _pieces(item):
            part = _part(memory[here], there, fill)
            if part is not None:
                tensor, region = part
                entry = (
                    _memory.lend(tensor),
                    fill.initializer,
                    fill.arguments,
                    plan.streams[number],
                    region,
                    fill.view.shape,
                )
                yield Entry(rounds[-1], entry)


def _part(box: torch.Tensor, there: Box, fill: Fill) -> tuple[torch.Tensor, Box] | None:
    """Return the part of a box that a fill covers, and its region in the fill.

    The part is a view with the fill's axes.  Return None if the fill does not reach the box.
    """
    view = fill.view
    if view.plain:
        return box, there
    low = [max(part.start, start) for part, start in zip(there, view.starts, strict=True)]
    high = [
        min(part.stop, start + size)
        for part, start, size in zip(there, view.starts, view.sizes, strict=True)
    ]
    if any(first >= last for first, last in zip(low, high, strict=True)):
        return None
    # Fix the base's axes that are not in the view at one index, and put the others in the view's
    # order.  All results must be views: an integer index for every axis would copy the element.
    for axis, (first, last, part) in enumerate(zip(low, high, there, strict=True)):
        box = box.narrow(axis, first - part.start, last - first)
    kept = [axis for axis in view.axes if axis is not None]
    box = box.permute(kept + [axis for axis in range(box.ndim) if axis not in kept])
    box = box[(slice(None),) * len(kept) + (0,) * (box.ndim - len(kept))]
    box = box[tuple([None if axis is None else slice(None) for axis in view.axes])]
    region = [
        slice(0, 1, 1)
        if axis is None
        else slice(low[axis] - view.starts[axis], high[axis] - view.starts[axis], 1)
        for axis in view.axes
    ]
    return box, tuple(region)


def run(
    entries: list[Entry],
    seed: int,
    threads: int | None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Fill round after round (there is almost always one) and return the number of values."""
    values = 0
    for number in sorted({entry.round for entry in entries}):
        fills = [entry.fill for entry in entries if entry.round == number]
        report = fill_many(fills, seed=seed, threads=threads, progress=progress)
        values += report.values
    return values


def write_constants(item: Named, plan: Plan, memory: torch.Tensor) -> int:
    """Fill a tensor whose dtype allows only constants, and return the number of values."""
    if memory.dtype in _memory.DTYPES or not plan.fills or draws(plan):
        return 0
    for here, there in _pieces(item):
        for fill in plan.fills:
            part = _part(memory[here], there, fill)
            if part is not None:
                part[0].fill_(_constant(fill))
    return memory.numel()


def write_parts(item: Named, plan: Plan, memory: torch.Tensor, seed: int) -> int:
    """Draw a complex tensor, whole on every rank, and return the number of values."""
    if memory.dtype not in _memory.COMPLEX or not draws(plan):
        return 0
    whole = torch.empty(tuple(item.tensor.shape), dtype=memory.dtype, device="cpu")
    everything = tuple([slice(0, size, 1) for size in whole.shape])
    for fill, stream in zip(plan.fills, plan.streams, strict=True):
        part = _part(whole, everything, fill)
        if part is not None:
            numbers = seed, stream_id(stream)
            own = dict(fill.arguments)
            call = Call(part[0], fill.initializer, own, None, lambda tensor: tensor)
            draw(call, lambda _, numbers=numbers: numbers)  # type: ignore[misc]
    write_computed(item, whole, memory)
    return memory.numel()


def draws(plan: Plan) -> bool:
    return any(fill.initializer not in CONSTANTS for fill in plan.fills)


def _constant(fill: Fill) -> Any:
    return fill.arguments.get("value", CONSTANTS[fill.initializer])


def write_computed(item: Named, computed: torch.Tensor | None, memory: torch.Tensor) -> None:
    if computed is not None:
        for here, there in _pieces(item):
            memory[here] = computed[there].to(memory.dtype)


def write(item: Named, plan: Plan, memory: torch.Tensor, seed: int, threads: int | None) -> None:
    """Write all values that a plan gives to one tensor."""
    run(list(entries_of(item, plan, memory)), seed, threads)
    write_parts(item, plan, memory, seed)
    write_constants(item, plan, memory)
    write_computed(item, plan.computed(seed), memory)


def count_different(one: torch.Tensor, two: torch.Tensor) -> int:
    if one.dtype not in _memory.DTYPES:
        return int(torch.ne(one, two).sum())
    dtype = _memory.DTYPES[one.dtype]
    return int(np.count_nonzero(_memory.bits(one, dtype) != _memory.bits(two, dtype)))


def lines(item: Named, plan: Plan, memory: torch.Tensor) -> Iterator[Filled]:
    """Yield a report line per part of a fill on this rank, or an empty one if there is none.

    A complex draw has no line, because no function of the façade has its values.
    """
    if memory.dtype in _memory.COMPLEX and draws(plan):
        return
    dtype = str(memory.dtype).removeprefix("torch.")
    for fill, stream in zip(plan.fills, plan.streams, strict=True):
        parts = [_part(memory[here], there, fill) for here, there in _pieces(item)]
        shape = fill.view.shape
        held = [(region, tensor.numel()) for tensor, region in filter(None, parts)]
        for region, values in held or [((slice(0, 0, 1),) * len(shape), 0)]:
            own = fill.initializer, fill.arguments
            yield Filled(item.name, *own, shape, region, dtype, stream, values)


# ------------------------------------------------------------------------------ back into the model


def put(item: Named, memory: torch.Tensor, device: Any) -> None:
    """Put the new parameter in every place of the old one."""
    old = item.tensor
    own = memory_of(old)
    if not own.is_meta and own.data_ptr() == memory.data_ptr() and device is None:
        _memory.bump(own)  # it was filled in place
        return
    if _memory.is_dtensor(old):
        from . import dtensor

        new: torch.Tensor = dtensor.like(old, memory, device)
    else:
        place = device if device is not None or own.is_meta else own.device
        new = memory if place is None else memory.to(place)
        _memory.bump(new)  # it was filled, and does not look like what to_empty() makes
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    new.__dict__.update(old.__dict__)
    if torch.__future__.get_swap_module_params_on_conversion():
        torch.utils.swap_tensors(old, new)
        return
    for site in item.sites:
        setattr(site.module, site.attribute, new)


def restore(item: Named, plan: Plan, seed: int, device: Any) -> None:
    """Give a buffer the values of its plan."""
    value = torch.empty(tuple(item.tensor.shape), dtype=item.tensor.dtype, device="cpu")
    write(item, plan, value, seed, None)
    for site in item.sites:
        site.module._buffers[site.attribute] = value if device is None else value.to(device)
