"""Runs parts of a log again on real memory, to get the values that initialization code gives a
tensor.

Only the operations that the tensor depends on are run, on the CPU.  The caller gives one key per
draw, and random fills are drawn by these keys.  A draw that only torch implements (randint,
bernoulli_) uses a separate torch generator, seeded by the key.  No global state is read or changed.
torch does the arithmetic, so these values are equal across machines only as far as torch's results
are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map

from .._core.stream import stream_id
from ._draw import draw, draws
from ._log import Box, Log, Operation, Ref
from ._translate import Call
from .accelerate import ROOT_HALF, erfinv


class Unrunnable(Exception):
    """A part of a log does not determine a tensor's values; the message says why."""


class Run:
    """The operations that determine the values of one tensor."""

    def __init__(self, log: Log, result: Ref):
        self._log, self.result = log, result
        self._numbers = log.part(result.storage)

    @functools.cached_property
    def operations(self) -> list[tuple[int, Operation]]:
        """The operations, with their numbers in the log."""
        return [(number, self._log.operations[number]) for number in self._numbers]

    @functools.cached_property
    def draws(self) -> list[int]:
        """The numbers of the operations that draw."""
        return [number for number, one in self.operations if is_draw(one)]

    @functools.cached_property
    def untouched(self) -> bool:
        """Whether the log contains no write to the tensor by code."""
        return all(
            one.kind == "before" or one.kind.startswith(("empty", "new_empty"))
            for _, one in self.operations
        )

    @functools.cached_property
    def memories(self) -> frozenset[int]:
        """The memories of all tensors that the tensor depends on, including the tensor itself."""
        found = {self.result.storage}
        for _, one in self.operations:
            found |= one.reads | one.writes
        return frozenset(found)

    def values(self, seed: int, keys: Mapping[int, str]) -> torch.Tensor:
        """Return the tensor's values; draw number n uses the stream keys[n].

        Raises
        ------
        Unrunnable
            Where code failed, where values were drawn by others, where elements were never written.
        """
        for _, one in self.operations:
            if one.kind == "failure":
                raise Unrunnable(one.function)
            if one.unkeyed:
                raise Unrunnable(
                    "it was copied from a tensor with values of its own, which NumPy or Python "
                    "may have drawn"
                )
        try:
            first = self._run(seed, keys, 0)
            second = self._run(seed, keys, 1) if self._may_be_blank else first
        except Exception as error:
            why = f"its code fails on the CPU ({type(error).__name__}: {error})"
            raise Unrunnable(why) from error
        if not torch.equal(_comparable(first), _comparable(second)):
            raise Unrunnable("the code writes only a part of it, or reads what nothing has written")
        return first

    @functools.cached_property
    def _may_be_blank(self) -> bool:
        """Whether an operation reads memory that no earlier one has overwritten completely."""
        full: set[int] = set()
        for _, one in self.operations:
            if one.kind.startswith(("empty", "new_empty")):
                continue
            if not one.reads <= full:
                return True
            full |= one.writes if one.overwrites is not None else set()
        return self.result.storage not in full

    def _run(self, seed: int, keys: Mapping[int, str], blank: int) -> torch.Tensor:
        memory: dict[int, torch.UntypedStorage] = {}
        uniform: dict[int, tuple[Ref, float, float, str]] = {}  # memory → its last fill

        def view(ref: Ref) -> torch.Tensor:
            if ref.storage not in memory:
                memory[ref.storage] = torch.UntypedStorage(self._log.size(ref.storage))
                _blank(torch.empty(0, dtype=ref.dtype).set_(memory[ref.storage]), blank)  # type: ignore[call-overload]
            return ref.over(memory[ref.storage])

        def real(value: Any) -> Any:
            if isinstance(value, Box):
                return view(value.ref)
            if isinstance(value, torch.device):
                return torch.device("cpu")
            return None if isinstance(value, torch.Generator) else value  # the key decides

        with torch.device("cpu"), torch.no_grad():
            for number, one in self.operations:
                args, kwargs = tree_map(real, one.args), tree_map(real, one.kwargs)
                last = uniform
                uniform = {key: fill for key, fill in last.items() if key not in one.writes}
                key = keys.get(number, "") if is_draw(one) else ""
                if one.kind in ("literal", "before"):
                    view(one.results[0]).copy_(args[0])
                elif one.kind == "call":
                    _draw(args[0], one.function, args[1], seed, key)
                elif one.kind in ("uniform_", "normal_") and draws(one.kind[:-1], args[0].dtype):
                    name, own = fill_of(one)
                    _draw(args[0], name, own, seed, key)
                    ref = one.args[0].ref
                    if name == "uniform" and -1.0 <= own["low"] < own["high"] <= 1.0:
                        uniform[ref.storage] = ref, own["low"], own["high"], key
                elif one.kind == "erfinv_" and last.get(_target(one), (None,))[0] == _ref(one):
                    _, low, high, key = last[_target(one)]
                    _draw(args[0], "truncated_normal", truncated(low, high), seed, key)
                else:
                    self._operate(one, args, kwargs, memory, blank, seed, key)
            return view(self.result).clone()

    def _operate(
        self,
        one: Operation,
        args: Any,
        kwargs: Any,
        memory: dict[int, torch.UntypedStorage],
        blank: int,
        seed: int,
        key: str,
    ) -> None:
        result = _operated(one, args, kwargs, seed, key)
        made = [each for each in tree_flatten(result)[0] if isinstance(each, torch.Tensor)]
        for ref, tensor in zip(one.results, made, strict=True):
            if ref.storage in memory:
                continue
            if one.kind.startswith(("empty", "new_empty")):
                _blank(tensor, blank)
            memory[ref.storage] = torch.UntypedStorage(self._log.size(ref.storage))
            ref.over(memory[ref.storage]).copy_(tensor)


def read(log: Log, ref: Ref) -> torch.Tensor | None:
    """Return the values of a tensor; None if they depend on a draw or cannot be determined."""
    run = Run(log, ref)
    try:
        return None if run.draws else run.values(0, {})
    except Unrunnable:
        return None


def _operated(one: Operation, args: Any, kwargs: Any, seed: int, key: str) -> Any:
    if not one.random:
        return one.function(*tree_map(_as_then(one, args), args), **kwargs)
    if makes_a_draw(one):
        kwargs = {name: value for name, value in kwargs.items() if name != "generator"}
        make = torch.empty_like if one.kind.endswith("_like") else torch.empty
        args = args[2:] if one.kind == "normal" else args
        tensor = make(*args, **{**kwargs, "pin_memory": False})  # type: ignore[operator]
        name, own = fill_of(one)
        if draws(name, tensor.dtype):
            return _draw(tensor, name, own, seed, key)
    if one.kind == "normal" and kwargs.get("out") is None and draws("normal", one.results[0].dtype):
        # A mean or std is a tensor: the values of accelerate.py's torch.normal.
        mean, std = args[0], args[1] if len(args) > 1 else kwargs.get("std", 1.0)
        tensor = torch.empty(one.results[0].size, dtype=one.results[0].dtype)
        own = {"mean": 0.0, "std": 1.0}
        return _draw(tensor, "normal", own, seed, key).mul_(std).add_(mean)
    generator = torch.Generator().manual_seed((seed ^ stream_id(key)) & (1 << 63) - 1)
    return one.function.overloadpacket(*args, **{**kwargs, "generator": generator})


def _as_then(one: Operation, args: Any) -> Callable[[Any], Any]:
    """Return a function that converts integer arguments to the float dtype used in the recording.

    The operation converted them to torch's default dtype, which may have changed since.
    """
    given = [each for each in tree_flatten(args)[0] if isinstance(each, torch.Tensor)]
    floats = any(each.is_floating_point() or each.is_complex() for each in given)
    (dtype, *more) = [ref.dtype for ref in one.results] or [torch.int64]
    if floats or more or not (dtype.is_floating_point or dtype.is_complex):
        return lambda value: value
    kind = dtype.to_real()
    if kind == torch.get_default_dtype():
        return lambda value: value
    return lambda value: value.to(kind) if isinstance(value, torch.Tensor) else value


# Operations that make a tensor of draws → the operation that would fill it in place.
_MADE = {"rand": "uniform_", "rand_like": "uniform_", "randn": "normal_", "randn_like": "normal_"}
_NORMAL = torch.ops.aten.normal.float_float  # torch.normal(mean, std, size)


def makes_a_draw(one: Operation) -> bool:
    """Whether an operation makes a tensor that is one normal or uniform draw."""
    return one.kind in _MADE or one.function is _NORMAL


def is_draw(one: Operation) -> bool:
    return one.random and one.function not in ("constant", "eye", "dirac")


def fill_of(one: Operation) -> tuple[str, dict[str, Any]]:
    """Return the initializer and the arguments that correspond to a torch operation that draws."""
    kind = "normal_" if one.function is _NORMAL else _MADE.get(one.kind, one.kind)
    first, second = ("low", "high") if kind == "uniform_" else ("mean", "std")
    if one.kind in _MADE:
        return kind[:-1], {first: 0.0, second: 1.0}
    numbers = one.args[:2] if one.function is _NORMAL else one.args[1:]
    given = dict(zip((first, second), numbers, strict=False))
    for theirs, ours in (("from", "low"), ("to", "high"), ("mean", "mean"), ("std", "std")):
        if theirs in one.kwargs:
            given[ours] = one.kwargs[theirs]
    return kind[:-1], {first: given.get(first, 0.0), second: given.get(second, 1.0)}


def truncated(low: float, high: float) -> dict[str, Any]:
    """Return the arguments of truncated_normal that give erfinv_ of a uniform in [low, high].

    accelerate.py does the same.
    """
    own = {"mean": 0.0, "std": ROOT_HALF, "low": erfinv(low), "high": erfinv(high)}
    return {**own, "bounds": "absolute"}


def _ref(one: Operation) -> Ref | None:
    return one.args[0].ref if one.args and isinstance(one.args[0], Box) else None


def _target(one: Operation) -> int:
    ref = _ref(one)
    return -1 if ref is None else ref.storage


def _draw(
    tensor: torch.Tensor, initializer: str, arguments: dict[str, Any], seed: int, key: str
) -> torch.Tensor:
    def refuse(_: torch.Tensor) -> Any:
        raise Unrunnable(f"{initializer} cannot fill a part of it")

    call = Call(tensor, initializer, dict(arguments), None, refuse)
    return draw(call, lambda _: (seed, stream_id(key)))


def _blank(tensor: torch.Tensor, number: int) -> None:
    tensor.fill_(number)


def _comparable(tensor: torch.Tensor) -> torch.Tensor:
    """Replace NaNs by a number, so that two NaNs compare equal."""
    if not tensor.is_floating_point():
        return tensor
    wide = tensor.float() if tensor.itemsize == 1 else tensor  # torch lacks the function for 8 bits
    return wide.nan_to_num(nan=1.5)
