"""A log of every operation that initialization code applies to its tensors, as torch's dispatcher
sees it.

The log keeps each operation with its arguments.  Tensor arguments are kept as views of numbered
memory (Ref).  A part of the log can therefore be run again on real memory (_replay.py), or be
proved to be a single draw (_prove.py).  An operation's schema says what it reads and writes, and
its tag says whether it is random.  This module does not interpret operations.  The exception is the
functions of torch.nn.init, which are logged as calls.  For what runs code and logs it, see
_recorder.py.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_flatten, tree_map

Arguments = tuple[Any, ...]


class Ref(NamedTuple):
    """A view of numbered memory."""

    storage: int
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    lazy: tuple[bool, bool] = (False, False)  # is_conj(), is_neg()

    @property
    def elements(self) -> int:
        return math.prod(self.size)

    def over(self, memory: torch.UntypedStorage) -> torch.Tensor:
        """Return the same view, of real memory."""
        empty = torch.empty(0, dtype=self.dtype, device="cpu")
        view: torch.Tensor = empty.set_(memory, self.offset, self.size, self.stride)  # type: ignore[call-overload]
        conjugated, negated = self.lazy
        view = view.conj() if conjugated else view
        return torch._neg_view(view) if negated else view


class Box:
    """Wraps a Ref in a tree of arguments, because tree_map would take a bare tuple apart."""

    def __init__(self, ref: Ref):
        self.ref = ref


class Operation(NamedTuple):
    """One operation, with each tensor argument replaced by a boxed reference."""

    # The operation's name without its overload, or one of four other kinds: "call" for a function
    # of torch.nn.init, "literal" and "before" for given values, and "failure".
    kind: str
    function: Any  # the overload; a call's initializer, a failure's reason
    args: Any
    kwargs: Any
    results: list[Ref]
    reads: frozenset[int]
    writes: frozenset[int]
    overwrites: int | None  # memory that it overwrites completely without reading it
    random: bool
    unkeyed: bool  # whether NumPy or Python may have drawn some of its inputs


class Lent(NamedTuple):
    """A NumPy array that code received as the memory of a recorded tensor."""

    tensor: torch.Tensor
    array: Any
    before: bytes  # the array's bytes, as the log knows them
    values: Callable[[], torch.Tensor | None]  # the tensor's; None if they depend on a draw
    unkeyed: Callable[[], bool]


class Log:
    """Operations in order, and an index from each memory to the operations that write it."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._writers: dict[int, list[int]] = {}
        self._kept: dict[int, torch.UntypedStorage] = {}  # keeps addresses unique
        self._known: set[int] = set()  # real memory whose values come from the log
        self._lent: list[Lent] = []

    def ref(self, tensor: torch.Tensor) -> Ref:
        storage = tensor.untyped_storage()
        self._kept[storage._cdata] = storage
        return Ref(
            storage._cdata,
            int(tensor.storage_offset()),
            tuple(tensor.size()),  # .shape raises for a lazy parameter
            tensor.stride(),
            tensor.dtype,
            (tensor.is_conj(), tensor.is_neg()),
        )

    def size(self, storage: int) -> int:
        """Return the size of a memory in bytes."""
        return self._kept[storage].nbytes()

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's values come from the log rather than from its memory."""
        return tensor.is_meta or tensor.untyped_storage()._cdata in self._known

    def writes(self, tensor: torch.Tensor, since: int) -> bool:
        """Whether operation number `since` or a later one writes the tensor's memory."""
        numbers = self._writers.get(tensor.untyped_storage()._cdata, ())
        return any(number >= since for number in numbers)

    def whole(self, ref: Ref) -> bool:
        """Whether a view covers all of its memory, each element once."""
        dense = all(size == 1 or stride for size, stride in zip(ref.size, ref.stride, strict=True))
        return dense and ref.elements * ref.dtype.itemsize == self.size(ref.storage)

    # ------------------------------------------------------------------------------------- writing

    def lend(self, lent: Lent) -> None:
        """Register an array that shares a tensor's memory: a write to either must reach both."""
        self._lent.append(lent)

    def settle(self) -> None:
        """Log what code has written to lent arrays since the last operation."""
        if not self._lent:
            return
        lent, self._lent = self._lent, []
        for one in lent:
            now = one.array.tobytes()
            if now != one.before and one.values() is None:
                self.failure(one.tensor, "it was written through NumPy after it was drawn")
            elif now != one.before:
                self.literal(one.tensor, torch.from_numpy(one.array), one.unkeyed())
            if sys.getrefcount(one.array) > 2:  # code still holds it, or a view of it
                self._lent.append(one._replace(before=now))

    def _renew(self, writes: frozenset[int]) -> None:
        """Copy to the lent arrays what an operation has written to their tensors."""
        lent, self._lent = self._lent, []
        for one in lent:
            if self.ref(one.tensor).storage in writes:
                values = one.values()
                if values is not None:
                    one.array[...] = values.numpy()
                one = one._replace(before=one.array.tobytes())
            self._lent.append(one)

    def literal(
        self,
        tensor: torch.Tensor,
        values: torch.Tensor,
        unkeyed: bool = False,
        before: bool = False,
    ) -> None:
        """Log that the tensor now has these values.

        With `before`, the tensor had them before the code ran.
        """
        ref = self.ref(tensor)
        self._known.add(ref.storage)
        kind, kept = "before" if before else "literal", values.detach().clone()
        self._add(kind, None, (kept,), {}, [ref], (), [ref], False, unkeyed)

    def call(self, tensor: torch.Tensor, initializer: str, arguments: dict[str, Any]) -> None:
        """Log that a function of torch.nn.init fills the tensor."""
        if tensor.numel():
            self.settle()
            self._track(tensor)
            ref = self.ref(tensor)
            self._add("call", initializer, (Box(ref), dict(arguments)), {}, [], (), [ref], True)

    def failure(self, tensor: torch.Tensor, why: str) -> None:
        """Log that code failed that should have written the tensor."""
        ref = self.ref(tensor)
        self._add("failure", why, (), {}, [], [ref], [ref], False)

    def prepare(self, function: Any, args: Arguments, kwargs: dict[str, Any]) -> None:
        """Log what code has written to real memory, before an operation changes that memory."""
        self.settle()
        written = [one for one in written_by(function._schema, args, kwargs) if strided(one)]
        new = [one for one in written if not self.knows(one)]
        if not new:
            return
        given = [one for one in tree_flatten((args, kwargs))[0] if strided(one)]
        if torch.Tag.nondeterministic_seeded in function.tags or any(map(self.knows, given)):
            for one in new:
                self._track(one)

    def operation(
        self,
        function: Any,
        args: Arguments,
        kwargs: dict[str, Any],
        result: Any,
        unkeyed: Callable[[], bool],
    ) -> None:
        """Log one of torch's operations.

        `unkeyed` is called only if the operation takes values from outside the log.
        """
        kind, schema = function._schema.name.split("::")[1], function._schema
        is_random = torch.Tag.nondeterministic_seeded in function.tags
        given = [one for one in tree_flatten((args, kwargs))[0] if strided(one)]
        made = [one for one in tree_flatten(result)[0] if strided(one)]
        if not (is_random or kind.startswith(("empty", "new_empty"))) and not any(
            map(self.knows, (*given, *made))
        ):
            return
        written = [one for one in written_by(schema, args, kwargs) if strided(one)]
        foreign = [one for one in given if not self.knows(one)]
        results, writes = [self.ref(one) for one in made], [self.ref(one) for one in written]
        inputs = {one.untyped_storage()._cdata for one in given}
        fresh = [ref for ref in results if ref.storage not in inputs]
        for one in made:
            if not one.is_meta and one.untyped_storage()._cdata not in inputs:
                self._known.add(one.untyped_storage()._cdata)
        kept = tree_map(self._boxed, (args, _with_dtype(schema, kwargs, given, made)))
        sources = [self.ref(one) for one in given if self.knows(one)]
        if not (writes or fresh) or kind == "set_":
            return  # a view: the Ref of its result describes it completely
        if kind in _PURE and writes:
            target = writes[0]
            sources = [ref for ref in sources if ref != target] if self.whole(target) else sources
        self._add(
            kind,
            function,
            kept[0],
            kept[1],
            results,
            sources,
            [*writes, *fresh],
            is_random,
            bool(foreign) and unkeyed(),
        )

    def _track(self, tensor: torch.Tensor) -> None:
        """From now on, take a real tensor's values from the log."""
        if not self.knows(tensor):
            storage = tensor.untyped_storage()
            self._known.add(storage._cdata)
            if storage._cdata not in self._writers and storage.nbytes():
                flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage)  # type: ignore[call-overload]
                self.literal(flat, flat, before=True)

    def _boxed(self, value: Any) -> Any:
        if not strided(value):
            return value
        if self.knows(value):
            return Box(self.ref(value))
        return value.detach().clone()  # code may change it later

    def _add(
        self,
        kind: str,
        function: Any,
        args: Any,
        kwargs: Any,
        results: list[Ref],
        sources: Iterable[Ref],
        targets: list[Ref],
        is_random: bool,
        unkeyed: bool = False,
    ) -> None:
        reads = frozenset(ref.storage for ref in sources)
        writes = frozenset(ref.storage for ref in targets)
        overwrites = None
        if len(writes) == 1 and not writes & reads and any(map(self.whole, targets)):
            (overwrites,) = writes
        if overwrites is None and kind != "failure":
            reads |= frozenset(ref.storage for ref in targets if ref not in results)
        number = len(self.operations)
        self.operations.append(
            Operation(
                kind,
                function,
                args,
                kwargs,
                results,
                reads,
                writes,
                overwrites,
                is_random,
                unkeyed,
            )
        )
        for storage in writes:
            self._writers.setdefault(storage, []).append(number)
        if self._lent:
            self._renew(writes)

    # ------------------------------------------------------------------------------------- reading

    def part(self, storage: int) -> list[int]:
        """Return the numbers of the operations that determine a memory's final contents."""
        self.settle()
        found: set[int] = set()
        todo = [(storage, len(self.operations))]
        while todo:
            needed, before = todo.pop()
            for number in reversed(self._writers.get(needed, ())):
                if number >= before:
                    continue
                operation = self.operations[number]
                if number not in found:
                    found.add(number)
                    todo += [(read, number) for read in operation.reads]
                if operation.overwrites == needed:
                    break
        return sorted(found)


# Operations that write their first argument without reading it.
_PURE = frozenset(
    ("fill_", "zero_", "copy_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_")
    + ("log_normal_", "cauchy_", "geometric_")
)


def strided(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is torch.strided


def _with_dtype(
    schema: Any, kwargs: dict[str, Any], given: list[Any], made: list[Any]
) -> dict[str, Any]:
    """Return the keywords of an operation that makes a tensor, with the dtype added.

    Without the dtype, a replay would use torch's default dtype, which may have changed by then.
    """
    takes = any(argument.name == "dtype" for argument in schema.arguments)
    if given or len(made) != 1 or not takes or kwargs.get("dtype") is not None:
        return kwargs
    return {**kwargs, "dtype": made[0].dtype}


# Arguments that these operations write although their schema does not say so.
_UNSAID = {"native_batch_norm": ("running_mean", "running_var")}


def written_by(schema: Any, args: Arguments, kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments that an operation writes, according to its schema."""
    written = []
    for place, argument in enumerate(schema.arguments):
        unsaid = argument.name in _UNSAID.get(schema.name.split("::")[1], ())
        if unsaid or (argument.alias_info is not None and argument.alias_info.is_write):
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            written += tree_flatten(value)[0]
    return written
