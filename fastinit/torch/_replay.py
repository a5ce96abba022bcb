"""Operations on meta tensors, written down and run again for real: for values that no initializer
stands for.

A state space model's log(arange) or log of a uniform, a table of sinusoids, a mask: what the
model's own code computes on meta tensors is run on the CPU, alone for each tensor, its draws keyed
by the tensor's name.  Draws are the stream's; the arithmetic is torch's own, so equality across
machines is torch's there.  Written down by _record.py, chosen in _defaults.py and construct.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_flatten, tree_map

from .._core.stream import stream_id
from ._fills import Contents
from .accelerate import Drawing

_EMPTY = ("empty", "empty_like", "new_empty", "empty_strided")
_DRAWN = {"rand": "uniform", "rand_like": "uniform", "randn": "normal", "randn_like": "normal"}


class Ref(NamedTuple):
    """A meta tensor as it was at one operation."""

    storage: int
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def over(self, memory: torch.UntypedStorage) -> torch.Tensor:
        """The same view of real memory."""
        return torch.empty(0, dtype=self.dtype).set_(memory, self.offset, self.size, self.stride)  # type: ignore[call-overload,no-any-return]


class Op(NamedTuple):
    """One operation, references in the places of its meta tensors."""

    function: Callable[..., Any]
    args: Any
    kwargs: Any
    results: list[Ref]
    written: set[int]  # storages
    touched: set[int]
    foreign: bool  # whether tensors with values of their own go into it


class Log:
    """Every operation of a recording that has to do with meta tensors, in order."""

    def __init__(self) -> None:
        self._ops: list[Op] = []
        self._alive: dict[int, torch.UntypedStorage] = {}  # or an address might come twice

    def add(self, function: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> None:
        made = [one for one in tree_flatten(result)[0] if _is_meta(one)]
        if not made and not any(map(_is_meta, tree_flatten((args, kwargs))[0])):
            return
        kept = tree_map(self._kept, (args, kwargs))
        given = tree_flatten(kept)[0]
        results = [self._kept(one).ref for one in made]
        written = {ref.storage for ref in results}
        if _changes(function.__name__, kwargs):
            written |= {
                one.ref.storage
                for one in tree_flatten((kept[0][:1], kept[1]))[0]
                if isinstance(one, _Box)
            }
        touched = written | {one.ref.storage for one in given if isinstance(one, _Box)}
        foreign = any(isinstance(one, torch.Tensor) for one in given)
        self._ops.append(Op(function, kept[0], kept[1], results, written, touched, foreign))

    def part(self, tensor: torch.Tensor) -> Replay:
        """What has to be run again for the values of one tensor."""
        result = self._kept(tensor).ref
        needed, ops = {result.storage}, []
        for op in reversed(self._ops):
            if op.written & needed:
                needed |= op.touched
                ops.append(op)
        return Replay(ops[::-1], result, {key: self._alive[key].nbytes() for key in needed})

    def _kept(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
            return value
        if not value.is_meta:
            return value.detach().clone()  # as it is now
        storage = value.untyped_storage()
        self._alive[storage._cdata] = storage
        return _Box(
            Ref(
                storage._cdata,
                int(value.storage_offset()),
                tuple(value.shape),
                value.stride(),
                value.dtype,
            )
        )


class _Box:
    """Keeps a Ref whole in a tree of arguments, where a tuple would be taken apart."""

    def __init__(self, ref: Ref):
        self.ref = ref


class Replay(NamedTuple):
    """A part of a log that makes the values of one tensor."""

    ops: list[Op]
    result: Ref
    sizes: dict[int, int]  # of every storage that is touched, in bytes

    def run(self, seed: int, name: str) -> tuple[torch.Tensor, bool]:
        """The values of the tensor `name`, and whether random numbers went into them; NaN where
        nothing was written.
        """
        memory: dict[int, torch.UntypedStorage] = {}

        def real(value: Any) -> Any:
            if isinstance(value, _Box):
                return view(value.ref)
            if isinstance(value, torch.device) or (isinstance(value, str) and value == "meta"):
                return torch.device("cpu") if torch.device(value).type == "meta" else value
            return None if isinstance(value, torch.Generator) else value  # the name alone decides

        def view(ref: Ref) -> torch.Tensor:
            if ref.storage not in memory:
                memory[ref.storage] = torch.UntypedStorage(self.sizes[ref.storage])
                _blank(torch.empty(0, dtype=ref.dtype).set_(memory[ref.storage]))  # type: ignore[call-overload]
            return ref.over(memory[ref.storage])

        state = torch.get_rng_state()
        with (
            torch.device("cpu"),
            torch.no_grad(),
            _Keyed(seed, name) as drawing,
            _torch_seeded(seed, name) as seeded,
        ):
            for op in self.ops:
                result = op.function(*tree_map(real, op.args), **tree_map(real, op.kwargs))
                made = [one for one in tree_flatten(result)[0] if isinstance(one, torch.Tensor)]
                for ref, tensor in zip(op.results, made, strict=True):
                    if ref.storage not in memory:
                        if op.function.__name__ in _EMPTY:
                            _blank(tensor)
                        view(ref).copy_(tensor)
            values = view(self.result).clone()
            drawn = drawing.fills > 0 or not torch.equal(torch.get_rng_state(), seeded)
        assert torch.equal(torch.get_rng_state(), state)
        return values, drawn


class _Keyed(Drawing):
    """Draws for one tensor: fill number k has the stream of "name[k]"."""

    def __init__(self, seed: int, name: str):
        super().__init__(seed)
        self._name = name

    def take(self, generator: torch.Generator | None) -> tuple[int, int]:
        self.fills += 1
        return self.seed or 0, stream_id(f"{self._name}[{self.fills - 1}]")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        drawn = _DRAWN.get(getattr(func, "__name__", ""))
        if drawn is None:
            return super().__torch_function__(func, types, args, kwargs)
        kwargs = {key: value for key, value in (kwargs or {}).items() if key != "generator"}
        make = torch.empty_like if func.__name__.endswith("_like") else torch.empty
        method = torch.Tensor.uniform_ if drawn == "uniform" else torch.Tensor.normal_
        return super().__torch_function__(method, types, (make(*args, **kwargs),), {})


class _torch_seeded:  # noqa: N801  a context manager is written as a function is
    """For draws that are torch's alone (randint, bernoulli_): its generator seeded by the name for
    a while.
    """

    def __init__(self, seed: int, name: str):
        self._seed = (seed ^ stream_id(name)) & (1 << 63) - 1

    def __enter__(self) -> torch.Tensor:
        self._state = torch.get_rng_state()
        torch.default_generator.manual_seed(self._seed)
        return torch.get_rng_state()

    def __exit__(self, *error: Any) -> None:
        torch.set_rng_state(self._state)


def resolve(
    contents: Contents,
    tensor: torch.Tensor,
    log: Log,
    others: Iterable[torch.Tensor],
    foreign: bool,
) -> None:
    """Give contents that no initializer stands for the values that its operations have, if they
    stand for themselves.

    Not where another parameter goes into it, whose values are drawn by its own name; nor, without
    `foreign`, where a tensor with values of its own does, of which one run does not show whether
    they are random.
    """
    if (
        contents.unknown is None
        or contents.failed
        or tensor.shape != contents.base.shape
        or not _is_meta(tensor)
    ):
        return
    replay = log.part(tensor)
    if any(
        other.untyped_storage()._cdata in replay.sizes for other in others if other is not tensor
    ):
        return
    if not foreign and any(op.foreign for op in replay.ops):
        return
    try:
        values, drawn = replay.run(0, "")
    except Exception:
        return  # what is told of it stays
    if not (values.is_floating_point() and values.isnan().any()):
        contents.fills, contents.unknown = [], None
        contents.literal, contents.replay = (None, replay) if drawn else (values, None)


def _is_meta(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta and value.layout is torch.strided


def _changes(name: str, kwargs: dict[str, Any]) -> bool:
    """Whether a function writes into its first argument, or into one that is given by name."""
    if name.startswith("__"):
        return name == "__setitem__" or (
            name.startswith("__i") and name[3:] not in ("nt__", "ndex__", "nvert__", "ter__")
        )
    return name.endswith("_") or "out" in kwargs


def _blank(tensor: torch.Tensor) -> None:
    tensor.fill_(float("nan") if tensor.is_floating_point() or tensor.is_complex() else 0)
