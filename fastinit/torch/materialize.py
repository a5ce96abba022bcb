"""materialize_(): a model on the meta device becomes real, weights keyed by name; verify_():
recompute and compare.

Names: _names.py; what is drawn for each: _recipe.py; which part of it this rank holds: dtensor.py.
Every check is made, and the ranks agree, before memory is allocated; then all parameters are filled
in one parallel batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .._core.dtypes import DType
from .._core.stream import check_seed
from ..fill import fill as fill_many
from ..typing import Array, Box
from . import _memory, _names, _recipe, construct
from ._fills import Fill
from ._names import Named
from ._recipe import Plan, Recipe


class Filled(NamedTuple):
    """One fill of a parameter: this façade call gives the same bits, where the parameter is not
    sharded.
    """

    name: str  # the parameter's
    initializer: str
    arguments: dict[str, Any]
    shape: tuple[int, ...]  # of the whole tensor, or of the part that is filled
    dtype: str
    stream: str  # name= of the façade

    def call(self, seed: int) -> str:
        """The façade call as text."""
        own = "".join([f"{key}={value!r}, " for key, value in self.arguments.items()])
        return (
            f"fi.{self.initializer}({self.shape}, {own}seed={seed}, name={self.stream!r}, "
            f"dtype={self.dtype!r})"
        )


class Report(NamedTuple):
    """What materialize_ did."""

    filled: tuple[Filled, ...]
    skipped: tuple[str, ...]  # parameters that were real already
    unknown: tuple[str, ...]  # buffers that stay on the meta device: nothing says what they hold
    computed: tuple[
        str, ...
    ]  # parameters that only the model's own code can compute, with draws or without
    restored: tuple[
        str, ...
    ]  # buffers to which the model's own code gives constants or computed values
    tied: dict[str, str]  # other names of a parameter → the name it is drawn by
    seed: int
    values: int  # filled on this rank
    bytes: int
    seconds: float

    def __str__(self) -> str:
        lines = [
            f"{len({line.name for line in self.filled})} parameters, {self.values:,} values, "
            f"{self.bytes:,} bytes, {self.seconds:.3g} s, seed {self.seed}"
        ]
        for what, names in (
            ("skipped, already real", self.skipped),
            ("computed by the model's code", self.computed),
            ("buffers restored", self.restored),
            ("buffers unknown", self.unknown),
        ):
            if names:
                lines.append(
                    f"{what}: {len(names)} "
                    f"({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
                )
        return "\n".join(lines)

    @property
    def names(self) -> tuple[str, ...]:
        """The stream names that were used."""
        return tuple([line.stream for line in self.filled])


class Verified(NamedTuple):
    """What verify_ found; true where every parameter was compared and none differs."""

    equal: tuple[str, ...]
    different: dict[str, int]  # name → how many values differ on this rank
    skipped: tuple[str, ...]  # parameters on the meta device
    unknown: dict[str, str]  # parameters that no rule covers, and why
    seed: int

    def __bool__(self) -> bool:
        return not (self.different or self.skipped or self.unknown)


def materialize_(
    model: nn.Module,
    recipe: Recipe = None,
    seed: int | None = 0,
    device: Any = None,
    dtype: torch.dtype | None = None,
    *,
    check: bool = True,
    threads: int | None = None,
) -> Report:
    """Give every parameter on the meta device memory and its initial values, in place, keyed by its
    name; a report.

    Parameters
    ----------
    recipe : None is what the modules' own code does (reset_parameters, transformers'
        _init_weights). Or a construction(), for what constructors do beyond that (timm,
        torchvision). Or a mapping of name patterns (fnmatch) or module types to initializers, the
        first match counting, "default" the module's own; or a callable (name, parameter) to an
        initializer or None. An initializer is a name, a function, a number, (name, arguments),
        {"initializer": name, ...}; of a type also {"weight": ..., ...}.
    seed : one for all; None draws one, on a single rank only.
    device : of the new parameters; None is the CPU, or a DTensor's mesh's. Others are filled on the
        host and copied.
    dtype : of the new parameters; None keeps each one's.
    check : on several ranks, exchange a 16-byte digest of all that decides the values, and name a
        rank that differs.

    A parameter's stream is its qualified name without wrappers' segments, of a tied one its first;
    a part that the module's code fills alone has the fill's number added, "weight[1]". A DTensor's
    rank draws its own shard. What no initializer stands for (a log of a uniform) the module's code
    computes by torch, whole on every rank, from draws of streams "A_log[0]", ... (Report.computed).
    Buffers get what the code gives them without drawing, or stay meta.

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
    parameters, buffers = (
        _names.parameters(model),
        [item for item in _names.buffers(model) if _is_meta(item.tensor)],
    )
    todo = [item for item in parameters if _is_meta(item.tensor)]
    seed = _seed(seed)
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(
            "device is 'meta', which holds no values; give a real one, or None for the CPU"
        )
    _check_tensors(todo, dtype)
    plans, restored, uncovered = _recipe.plan(model, parameters, buffers, recipe, dtype)
    _refuse_uncovered({item.name: uncovered[item.name] for item in todo if item.name in uncovered})
    by_name = {plan.name: plan for plan in plans}
    if isinstance(recipe, construct.construction):
        todo = [
            item
            for item in parameters
            if _is_meta(item.tensor) or (item.name in by_name and recipe.left_real(item.tensor))
        ]
        _check_tensors(todo, dtype)
    if check:
        _agree(seed, todo, by_name, dtype)

    new = {item.name: _allocate(item.tensor, dtype) for item in todo}
    entries = [
        entry for item in todo for entry in _entries(item, by_name[item.name], new[item.name])
    ]
    filled = _run(entries, seed, threads)
    for item in todo:
        _write_computed(item, by_name[item.name].computed(seed), new[item.name])
        _put(item, new[item.name], device)
    given = {one.name: one for one in restored}
    for item in buffers:
        if item.name in given:
            _restore(item, given[item.name], device)
    return Report(
        tuple([line for item in todo for line in _lines(item, by_name[item.name], new[item.name])]),
        tuple([item.name for item in parameters if item.name not in new]),
        tuple([item.name for item in buffers if item.name not in given]),
        tuple([item.name for item in todo if not by_name[item.name].fills and item.tensor.numel()]),
        tuple(given),
        {site.name: item.name for item in todo for site in item.sites[1:]},
        seed,
        filled,
        sum([tensor.nbytes for tensor in new.values()]),
        time.perf_counter() - began,
    )


def verify_(
    model: nn.Module, recipe: Recipe = None, seed: int = 0, *, threads: int | None = None
) -> Verified:
    """Recompute what materialize_ with this recipe and seed gives every real parameter, and compare
    bit for bit.

    Nothing is changed.  Memory for one parameter at a time is needed beside the model.  Of DTensors
    each rank compares its own shards, without communication.
    """
    parameters = _names.parameters(model)
    seed = check_seed(seed)
    plans, _, uncovered = _recipe.plan(model, parameters, [], recipe)
    by_name = {plan.name: plan for plan in plans}
    equal, different, skipped = [], {}, []
    for item in parameters:
        if _is_meta(item.tensor):
            skipped.append(item.name)
        elif item.tensor.dtype not in _memory.DTYPES:
            uncovered.setdefault(item.name, f"{item.tensor.dtype} has no draw")
        elif item.name not in uncovered:
            plan = by_name[item.name]
            again = torch.empty_like(_own(item.tensor), device="cpu", requires_grad=False)
            _run(list(_entries(item, plan, again)), seed, threads)
            _write_computed(item, plan.computed(seed), again)
            count = _count_different(again, _own(item.tensor).detach().cpu())
            if count:
                different[item.name] = count
            else:
                equal.append(item.name)
    real = {item.name for item in parameters} - set(skipped)
    unknown = {name: why for name, why in uncovered.items() if name in real}
    return Verified(tuple(equal), different, tuple(skipped), unknown, seed)


# ------------------------------------------------------------------------------------------- checks


def _seed(seed: int | None) -> int:
    if seed is None:
        from . import dtensor

        if dtensor.world() > 1:
            raise ValueError(
                f"seed=None on {dtensor.world()} ranks: each would draw another seed; give every "
                "rank the same number"
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
        if item.tensor.dtype not in _memory.DTYPES:
            raise NotImplementedError(
                f"parameter {item.name!r}: {_memory.unsupported(item.tensor)}"
            )


def _refuse_uncovered(uncovered: dict[str, str]) -> None:
    if uncovered:
        told = "\n".join([f"  {name}: {why}" for name, why in list(uncovered.items())[:20]])
        more = f"\n  and {len(uncovered) - 20} more" if len(uncovered) > 20 else ""
        raise ValueError(
            f"no rule covers {len(uncovered)} of the parameters; nothing was changed.  Build the "
            "model inside fastinit.torch.construction() and give that as the recipe, or give a "
            "recipe for them, such as "
            f'{{{next(iter(uncovered))!r}: ("normal", {{"std": 0.02}})}}:\n{told}{more}'
        )


def _agree(seed: int, todo: list[Named], plans: dict[str, Plan], dtype: torch.dtype | None) -> None:
    from . import dtensor

    if dtensor.world() > 1:
        tensors = [
            f"{item.name} {tuple(item.tensor.shape)} {dtype or item.tensor.dtype}" for item in todo
        ]
        recipe = [plans[item.name].fingerprint(seed) for item in todo]
        dtensor.agree(
            seed, {"names, shapes and dtypes": "\n".join(tensors), "recipe": "\n".join(recipe)}
        )


# ------------------------------------------------------------------------------------------ filling


class Entry(NamedTuple):
    """One argument of the many-tensor fill, and its round: later rounds overwrite parts of earlier
    ones.
    """

    round: int
    fill: tuple[Any, ...]


def _allocate(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    own = _own(tensor)
    return torch.empty_strided(own.shape, own.stride(), dtype=dtype or own.dtype, device="cpu")


def _array(tensor: torch.Tensor) -> tuple[Array, DType]:
    dtype = _memory.DTYPES[tensor.dtype]
    return _memory.bits(tensor, dtype).view(dtype.numpy()), dtype


def _pieces(item: Named) -> list[tuple[Box, Box]]:
    """(place in this rank's memory, place in the whole) of every box that this rank holds."""
    if _memory.is_dtensor(item.tensor):
        from . import dtensor

        return list(dtensor.pieces(item.tensor, item.fsdp))  # type: ignore[arg-type]
    whole = tuple([slice(0, size, 1) for size in item.tensor.shape])
    return [(whole, whole)]


def _entries(item: Named, plan: Plan, memory: torch.Tensor) -> Iterator[Entry]:
    array, _ = _array(memory)
    rounds: list[int] = []
    for number, fill in enumerate(plan.fills):
        under = [rounds[n] for n in range(number) if plan.fills[n].view.overlaps(fill.view)]
        rounds.append(1 + max(under) if under else 0)
        for here, there in _pieces(item):
            part = _part(array[here], there, fill)
            if part is not None:
                buffer, region = part
                entry = (
                    buffer,
                    fill.initializer,
                    fill.arguments,
                    plan.stream(number),
                    region,
                    fill.view.shape,
                )
                yield Entry(rounds[-1], entry)


def _part(array: Array, there: Box, fill: Fill) -> tuple[Array, Box] | None:
    """The memory of a box of the whole tensor that a fill goes to, seen as the fill sees it, and
    its region there.
    """
    view = fill.view
    if view.plain:
        return array, there
    low = [max(box.start, start) for box, start in zip(there, view.starts, strict=True)]
    high = [
        min(box.stop, start + size)
        for box, start, size in zip(there, view.starts, view.sizes, strict=True)
    ]
    if any(first >= last for first, last in zip(low, high, strict=True)):
        return None
    # Axes of the base that the view does not have are fixed at one index; the others come in the
    # view's order.
    kept = sorted([axis for axis in view.axes if axis is not None])
    index = [
        slice(first - box.start, last - box.start) if axis in kept else first - box.start
        for axis, (first, last, box) in enumerate(zip(low, high, there, strict=True))
    ]
    array = array[tuple(index)].transpose(
        [kept.index(axis) for axis in view.axes if axis is not None]
    )
    array = array[tuple([np.newaxis if axis is None else slice(None) for axis in view.axes])]
    region = [
        slice(0, 1, 1)
        if axis is None
        else slice(low[axis] - view.starts[axis], high[axis] - view.starts[axis], 1)
        for axis in view.axes
    ]
    return array, tuple(region)


def _run(entries: list[Entry], seed: int, threads: int | None) -> int:
    """Fill round after round, almost always one; the number of values."""
    values = 0
    for number in sorted({entry.round for entry in entries}):
        report = fill_many(
            [entry.fill for entry in entries if entry.round == number], seed=seed, threads=threads
        )
        values += report.values
    return values


def _write_computed(item: Named, computed: torch.Tensor | None, memory: torch.Tensor) -> None:
    if computed is not None:
        for here, there in _pieces(item):
            memory[here] = computed[there].to(memory.dtype)


def _count_different(one: torch.Tensor, two: torch.Tensor) -> int:
    dtype = _memory.DTYPES[one.dtype]
    return int(np.count_nonzero(_memory.bits(one, dtype) != _memory.bits(two, dtype)))


def _lines(item: Named, plan: Plan, memory: torch.Tensor) -> list[Filled]:
    dtype = _memory.DTYPES[memory.dtype].name
    return [
        Filled(
            item.name, fill.initializer, fill.arguments, fill.view.shape, dtype, plan.stream(number)
        )
        for number, fill in enumerate(plan.fills)
    ]


# ------------------------------------------------------------------------------ back into the model


def _put(item: Named, memory: torch.Tensor, device: Any) -> None:
    """The new parameter in every place of the old one."""
    old = item.tensor
    if _memory.is_dtensor(old):
        from . import dtensor

        new: torch.Tensor = dtensor.like(old, memory, device)
    else:
        new = memory if device is None else memory.to(device)
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    new.__dict__.update(old.__dict__)
    if torch.__future__.get_swap_module_params_on_conversion():
        torch.utils.swap_tensors(old, new)
        return
    for site in item.sites:
        setattr(site.module, site.attribute, new)


def _restore(item: Named, plan: Plan, device: Any) -> None:
    """A buffer on the meta device gets the constants or the computed values that the model's own
    code gives it.
    """
    value = torch.empty(tuple(item.tensor.shape), dtype=item.tensor.dtype, device="cpu")
    if plan.literal is not None:
        value.copy_(plan.literal)
    for fill in plan.fills:
        view = fill.view
        value[
            tuple(
                [
                    slice(start, start + size)
                    for start, size in zip(view.starts, view.sizes, strict=True)
                ]
            )
        ] = fill.arguments["value"]
    for site in item.sites:
        site.module._buffers[site.attribute] = value if device is None else value.to(device)
