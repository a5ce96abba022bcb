"""materialize_(): a model on the meta device becomes real, weights keyed by name; verify_():
recompute and compare.

Names: _names.py; what is drawn for each: _recipe.py; which part of it this rank holds: dtensor.py.
Every check is made, and the ranks agree, before memory is allocated; then all parameters are filled
in one parallel batch.
"""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .._core import engine
from .._core.stream import check_seed
from ..fill import Filled, Report
from ..fill import fill as fill_many
from ..typing import Box, Seed
from . import _memory, _names, _ranks, _recipe, construct
from ._names import Named
from ._prove import Fill
from ._recipe import Plan, Recipe

# The initializers that every dtype can hold, with their values.
CONSTANTS: dict[str, Any] = {"constant": None, "zeros": 0, "ones": 1}


class Verified(NamedTuple):
    """What verify_ found; true where every parameter was compared and none differs.

    Attributes
    ----------
    equal : tuple of str
        Parameters that have the values of materialize_.
    different : dict
        For each other parameter, how many of its values differ on this rank.
    skipped : tuple of str
        Parameters on the meta device.
    unknown : dict
        Parameters that no rule covers, and why.
    seed : int
        The seed that was used.
    """

    equal: tuple[str, ...]
    different: dict[str, int]
    skipped: tuple[str, ...]
    unknown: dict[str, str]
    seed: int

    def __bool__(self) -> bool:
        return not (self.different or self.skipped or self.unknown)


def materialize_(
    model: nn.Module,
    recipe: Recipe = None,
    seed: Seed | None = 0,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | None = None,
    *,
    check: bool = True,
    overwrite: bool | None = None,
    prefix: str = "",
    threads: int | None = None,
) -> Report:
    """Give every parameter on the meta device memory and initial values, keyed by its name.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    recipe : mapping, callable or construction, optional
        None is what the modules' own code does (reset_parameters, transformers' _init_weights). A
        construction() adds what constructors do beyond that. A mapping has name patterns (fnmatch)
        or module types as keys, the first match counts, "default" is the module's own. A callable
        takes (name, parameter). An initializer is a name, a function, a number, (name, arguments)
        or {"initializer": name, ...}; for a type also {"weight": ..., ...}. The argument
        ``blocks=4`` fills four equal blocks of rows, each alone: an LSTM's gates, a packed qkv.
    seed : int, optional
        One for all, and 0 by default, as in all that fills whole models. None draws one, on a
        single rank only.
    device : torch.device, optional
        Of the new parameters; None is the CPU, a DTensor's mesh's, or a real parameter's own. A
        CUDA device draws its own; for others the host draws, and it is copied.
    dtype : torch.dtype, optional
        Of the new floating-point parameters; None keeps each one's.
    check : bool
        On several ranks, exchange a digest of all that decides the values; name a rank that
        differs.
    overwrite : bool, optional
        True fills real parameters and buffers too, such as to_empty() leaves them; False keeps
        them; None keeps them, but refuses those that nothing has ever written.
    prefix : str
        Where the model lies in a larger one: ``materialize_(block, prefix="blocks.1")`` draws what
        the larger model's call would draw.
    threads : int, optional
        At most so many; None is fastinit's own choice.

    Returns
    -------
    Report
        What was filled, and how to draw it again.

    Notes
    -----
    A parameter's stream is its qualified name without wrappers' segments; a tied one has its first;
    a part that is filled apart has the fill's number, "weight[1]". A DTensor's rank draws its own
    shard. What no initializer gives (a log of a uniform) torch computes, whole on every rank, from
    draws of streams "A_log[0]", ... (Report.computed).

    Examples
    --------
    >>> with torch.device("meta"):
    ...     model = torch.nn.Linear(4, 2)
    >>> report = fit.materialize_(model, {"bias": 0}, seed=7)
    >>> print(report.filled[0].call(7).replace(" seed", "\\n seed"))
    fi.he_uniform((2, 4), negative_slope=2.23606797749979, mode='fan_in',
     seed=7, name='weight', dtype='float32')
    """
    began = time.perf_counter()
    parameters = _names.parameters(model, prefix)
    buffers = [one for one in _names.buffers(model, prefix) if overwrite or _is_meta(one.tensor)]
    todo = [item for item in parameters if overwrite or _is_meta(item.tensor)]
    seed = _seed(seed)
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(
            "device is 'meta', which holds no values; give a real one, or None for the CPU"
        )
    _check_tensors(todo, dtype)
    if isinstance(recipe, construct.construction) and not overwrite:
        todo = [one for one in parameters if _is_meta(one.tensor) or recipe.left_real(one.tensor)]
        _check_tensors(todo, dtype)
    kept = frozenset(one.name for one in parameters) - {one.name for one in todo}
    plans, restored, uncovered = _recipe.plan(
        model, parameters, buffers, recipe, dtype, prefix, kept, overwrite is None and bool(todo)
    )
    by_name = {plan.name: plan for plan in plans}
    todo = [one for one in todo if _is_meta(one.tensor) or overwrite or one.name in by_name]
    # What cannot be drawn and has no rule is left and reported, such as packed integers.
    left = [item for item in todo if item.name in uncovered and not _can_be_drawn(item.tensor)]
    untouched = {item.name for item in left}
    todo = [item for item in todo if item.name not in untouched]
    for item in todo:
        _check_dtype(item, by_name.get(item.name))
    asked = {item.name for item in todo} | kept
    _refuse_uncovered({name: why for name, why in uncovered.items() if name in asked})
    if check:
        _agree(seed, todo, by_name, dtype)
    if parameters and not (todo or left):
        warnings.warn(
            f"nothing was filled: none of the {len(parameters)} parameters is on the meta device; "
            "overwrite=True fills real ones too",
            stacklevel=2,
        )

    new = {item.name: _allocate(item.tensor, dtype, device) for item in todo}
    entries = [
        entry for item in todo for entry in _entries(item, by_name[item.name], new[item.name])
    ]
    filled = _run(entries, seed, threads)
    for item in todo:
        filled += _write_constants(item, by_name[item.name], new[item.name])
        _write_computed(item, by_name[item.name].computed(seed), new[item.name])
        _put(item, new[item.name], device)
    given = {one.name: one for one in restored}
    for item in buffers:
        if item.name in given:
            _restore(item, given[item.name], seed, device)
    return Report(
        filled=tuple(
            [line for item in todo for line in _lines(item, by_name[item.name], new[item.name])]
        ),
        values=filled,
        bytes=sum([tensor.nbytes for tensor in new.values()]),
        seconds=time.perf_counter() - began,
        seed=seed,
        tied={site.name: item.name for item in todo for site in item.sites[1:]},
        skipped=tuple(
            [one.name for one in parameters if one.name not in new and one.name not in untouched]
        ),
        unknown=tuple([item.name for item in (*left, *buffers) if item.name not in given]),
        computed=tuple(
            [item.name for item in todo if not by_name[item.name].fills and item.tensor.numel()]
        ),
        restored=tuple(given),
        repeated=_repeated(model, seed, by_name, new),
    )


def verify_(
    model: nn.Module,
    recipe: Recipe = None,
    seed: Seed = 0,
    *,
    prefix: str = "",
    threads: int | None = None,
) -> Verified:
    """Recompute what materialize_ gives every real parameter, and compare bit for bit.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    recipe : mapping, callable or construction, optional
        As materialize_ had it.
    seed : int
        As materialize_ had it.
    prefix : str
        As materialize_ had it.
    threads : int, optional
        At most so many; None is fastinit's own choice.

    Returns
    -------
    Verified
        True where every parameter was compared and none differs.

    Notes
    -----
    Memory for one parameter at a time is needed beside the model.  Of DTensors each rank compares
    its own shards, without communication.
    """
    parameters = _names.parameters(model, prefix)
    seed = check_seed(seed)
    plans, _, uncovered = _recipe.plan(model, parameters, [], recipe, prefix=prefix)
    by_name = {plan.name: plan for plan in plans}
    equal, different, skipped = [], {}, []
    for item in parameters:
        if _is_meta(item.tensor):
            skipped.append(item.name)
        elif item.name not in uncovered:
            plan = by_name[item.name]
            again = torch.empty_like(_own(item.tensor), device="cpu", requires_grad=False)
            _run(list(_entries(item, plan, again)), seed, threads)
            _write_constants(item, plan, again)
            _write_computed(item, plan.computed(seed), again)
            count = _count_different(again, _own(item.tensor).detach().cpu())
            if count:
                different[item.name] = count
            else:
                equal.append(item.name)
    real = {item.name for item in parameters} - set(skipped)
    unknown = {name: why for name, why in uncovered.items() if name in real}
    return Verified(tuple(equal), different, tuple(skipped), unknown, seed)


# The streams that were drawn for each module that lives, by seed.
_streams: weakref.WeakKeyDictionary[nn.Module, dict[int, set[str]]] = weakref.WeakKeyDictionary()
_streams_lock = threading.Lock()


def _repeated(
    model: nn.Module, seed: int, plans: dict[str, Plan], new: Iterable[str]
) -> tuple[str, ...]:
    """The streams of this call that another live module had with this seed."""
    mine = {
        stream: None
        for name in new
        for fill, stream in zip(plans[name].fills, plans[name].streams, strict=True)
        if fill.initializer not in CONSTANTS
    }
    own = {id(module) for module in model.modules()}
    with _streams_lock:
        others = [used.get(seed, set()) for one, used in _streams.items() if id(one) not in own]
        _streams.setdefault(model, {}).setdefault(seed, set()).update(mine)
    return tuple([stream for stream in mine if any(stream in used for used in others)])


# ------------------------------------------------------------------------------------------- checks


def _seed(seed: Seed | None) -> int:
    if seed is None and _ranks.world() > 1:
        raise ValueError(
            f"seed=None on {_ranks.world()} ranks: each would draw another seed; give every rank "
            "the same number"
        )
    return check_seed(seed)


def _is_meta(tensor: torch.Tensor) -> bool:
    return _own(tensor).is_meta


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """The memory of this rank."""
    return tensor._local_tensor if _memory.is_dtensor(tensor) else tensor  # type: ignore[attr-defined,no-any-return]


def _check_tensors(todo: list[Named], dtype: torch.dtype | None) -> None:
    if dtype is not None and dtype not in _memory.DTYPES:
        raise _memory.unsupported(torch.empty(0, dtype=dtype, device="meta"))
    for item in todo:
        if isinstance(item.tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise ValueError(
                f"parameter {item.name!r} has no shape yet; run a lazy model once on meta tensors "
                "before"
            )


def _can_be_drawn(tensor: torch.Tensor) -> bool:
    """Complex parameters count: they have values to draw, but no initializer here has them."""
    return tensor.dtype in _memory.DTYPES or tensor.is_complex()


def _check_dtype(item: Named, plan: Plan | None) -> None:
    """A dtype without a draw takes constants only."""
    drawn = plan is None or any(fill.initializer not in CONSTANTS for fill in plan.fills)
    if drawn and item.tensor.dtype not in _memory.DTYPES:
        raise NotImplementedError(f"parameter {item.name!r}: {_memory.unsupported(item.tensor)}")


def _refuse_uncovered(uncovered: dict[str, str]) -> None:
    if uncovered:
        listed = "\n".join([f"  {name}: {why}" for name, why in list(uncovered.items())[:20]])
        more = f"\n  and {len(uncovered) - 20} more" if len(uncovered) > 20 else ""
        raise ValueError(
            f"no rule covers {len(uncovered)} of the parameters; nothing was changed.  Build the "
            "model inside fastinit.torch.construction() and give that as the recipe, or give a "
            "recipe for them, such as "
            f'{{{next(iter(uncovered))!r}: ("normal", {{"std": 0.02}})}}:\n{listed}{more}'
        )


def _agree(seed: int, todo: list[Named], plans: dict[str, Plan], dtype: torch.dtype | None) -> None:
    if _ranks.world() > 1:
        tensors = [
            f"{item.name} {tuple(item.tensor.shape)} {dtype or item.tensor.dtype}" for item in todo
        ]
        recipe = [plans[item.name].fingerprint(seed) for item in todo]
        _ranks.agree(
            seed, {"names, shapes and dtypes": "\n".join(tensors), "recipe": "\n".join(recipe)}
        )


# ------------------------------------------------------------------------------------------ filling


class Entry(NamedTuple):
    """One argument of the many-tensor fill, and its round: later rounds overwrite parts of earlier
    ones.
    """

    round: int
    fill: tuple[Any, ...]


def _allocate(tensor: torch.Tensor, dtype: torch.dtype | None, device: Any) -> torch.Tensor:
    """Memory for this rank's part, where it is drawn: new, or a real tensor's own where it is
    written again.
    """
    own = _own(tensor).detach()
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
    return torch.empty_strided(own.shape, own.stride(), dtype=kind, device=place)


def _pieces(item: Named) -> list[tuple[Box, Box]]:
    """(place in this rank's memory, place in the whole) of every box that this rank holds."""
    if _memory.is_dtensor(item.tensor):
        from . import dtensor

        return list(dtensor.pieces(item.tensor, item.fsdp))  # type: ignore[arg-type]
    whole = tuple([slice(0, size, 1) for size in item.tensor.shape])
    return [(whole, whole)]


def _entries(item: Named, plan: Plan, memory: torch.Tensor) -> Iterator[Entry]:
    if memory.dtype not in _memory.DTYPES:
        return  # constants only, which torch writes
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
    """The part of a box of the whole tensor that a fill goes to, seen as the fill sees it, and its
    region there.
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
    # Axes of the base that the view does not have are fixed at one index; the others come in the
    # view's order.  Only views are made: an index for each axis would copy a single element.
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


def _run(entries: list[Entry], seed: int, threads: int | None) -> int:
    """Fill round after round, almost always one; the number of values."""
    values = 0
    for number in sorted({entry.round for entry in entries}):
        report = fill_many(
            [entry.fill for entry in entries if entry.round == number], seed=seed, threads=threads
        )
        values += report.values
    return values


def _write_constants(item: Named, plan: Plan, memory: torch.Tensor) -> int:
    """Fill a tensor of a dtype without a draw; the number of values."""
    if memory.dtype in _memory.DTYPES or not plan.fills:
        return 0
    for here, there in _pieces(item):
        for fill in plan.fills:
            part = _part(memory[here], there, fill)
            if part is not None:
                part[0].fill_(_constant(fill))
    return memory.numel()


def _constant(fill: Fill) -> Any:
    return fill.arguments.get("value", CONSTANTS[fill.initializer])


def _write_computed(item: Named, computed: torch.Tensor | None, memory: torch.Tensor) -> None:
    if computed is not None:
        for here, there in _pieces(item):
            memory[here] = computed[there].to(memory.dtype)


def _count_different(one: torch.Tensor, two: torch.Tensor) -> int:
    if one.dtype not in _memory.DTYPES:
        return int(torch.ne(one, two).sum())
    dtype = _memory.DTYPES[one.dtype]
    return int(np.count_nonzero(_memory.bits(one, dtype) != _memory.bits(two, dtype)))


def _lines(item: Named, plan: Plan, memory: torch.Tensor) -> Iterator[Filled]:
    """A line for every part of a fill that this rank holds, or an empty one where it holds none."""
    dtype = str(memory.dtype).removeprefix("torch.")
    for fill, stream in zip(plan.fills, plan.streams, strict=True):
        parts = [_part(memory[here], there, fill) for here, there in _pieces(item)]
        shape = fill.view.shape
        held = [(region, tensor.numel()) for tensor, region in filter(None, parts)]
        for region, values in held or [((slice(0, 0, 1),) * len(shape), 0)]:
            own = fill.initializer, fill.arguments
            yield Filled(item.name, *own, shape, region, dtype, stream, values)


# ------------------------------------------------------------------------------ back into the model


def _put(item: Named, memory: torch.Tensor, device: Any) -> None:
    """The new parameter in every place of the old one."""
    old = item.tensor
    own = _own(old)
    if not own.is_meta and own.data_ptr() == memory.data_ptr() and device is None:
        _memory.bump(own)  # it was filled where it is
        return
    if _memory.is_dtensor(old):
        from . import dtensor

        new: torch.Tensor = dtensor.like(old, memory, device)
    else:
        place = device if device is not None or own.is_meta else own.device
        new = memory if place is None else memory.to(place)
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    new.__dict__.update(old.__dict__)
    if torch.__future__.get_swap_module_params_on_conversion():
        torch.utils.swap_tensors(old, new)
        return
    for site in item.sites:
        setattr(site.module, site.attribute, new)


def _restore(item: Named, plan: Plan, seed: int, device: Any) -> None:
    """A buffer gets the values that the model's own code gives it."""
    value = torch.empty(tuple(item.tensor.shape), dtype=item.tensor.dtype, device="cpu")
    _run(list(_entries(item, plan, value)), seed, None)
    _write_constants(item, plan, value)
    _write_computed(item, plan.computed(seed), value)
    for site in item.sites:
        site.module._buffers[site.attribute] = value if device is None else value.to(device)
