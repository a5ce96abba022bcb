"""A log of every operation that initialization code applies to its tensors, as torch's dispatcher
sees it.

Inside a Recorder's block, constructors and reset methods run on the meta device.  The log keeps
each operation with its arguments.  Tensor arguments are kept as views of numbered memory (Ref).
A part of the log can therefore be run again on real memory (_replay.py), or be proved to be a
single draw (_prove.py).  An operation's schema says what it reads and writes, and its tag says
whether it is random.  This module does not interpret operations.  The exception is the functions
of torch.nn.init, which are logged as calls.
"""

from __future__ import annotations

import copy
import math
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from . import _detours, _memory
from ._draw import draws
from ._private import Generators
from ._translate import TRANSLATIONS, Call

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
        written = [one for one in _written(function._schema, args, kwargs) if _strided(one)]
        new = [one for one in written if not self.knows(one)]
        if not new:
            return
        given = [one for one in tree_flatten((args, kwargs))[0] if _strided(one)]
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
        given = [one for one in tree_flatten((args, kwargs))[0] if _strided(one)]
        made = [one for one in tree_flatten(result)[0] if _strided(one)]
        if not (is_random or kind.startswith(("empty", "new_empty"))) and not any(
            map(self.knows, (*given, *made))
        ):
            return
        written = [one for one in _written(schema, args, kwargs) if _strided(one)]
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
        if not _strided(value):
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


def _strided(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout is torch.strided


def _recordable(call: Call) -> bool:
    """Whether a fill by torch.nn.init is logged as one call.

    Inside vmap a tensor stands for many; torch's own fill reaches the dispatcher as one of all.
    """
    tensor = call.tensor
    return (
        _strided(tensor) and draws(call.initializer, tensor.dtype) and _memory.has_elements(tensor)
    )


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


def _written(schema: Any, args: Arguments, kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments that an operation writes, according to its schema."""
    written = []
    for place, argument in enumerate(schema.arguments):
        unsaid = argument.name in _UNSAID.get(schema.name.split("::")[1], ())
        if unsaid or (argument.alias_info is not None and argument.alias_info.is_write):
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            written += tree_flatten(value)[0]
    return written


# Computes the values of a tensor that code reads; None if they depend on a draw (_replay.read).
Read = Callable[[Log, Ref], torch.Tensor | None]


class Recorder(_detours.Block):
    """A context manager that puts new tensors on the meta device and logs every operation."""

    records = True

    def __init__(self, log: Log, read: Read) -> None:
        super().__init__()
        self.log = log
        self._dispatch = _Dispatch(log, read)
        self._device = torch.device("meta")

    def __enter__(self) -> Any:
        self._dispatch.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._dispatch.__exit__(*error)

    def doubt(self, tensor: torch.Tensor) -> None:
        """Log that NumPy or Python may have drawn the values of a real tensor, if they may have."""
        if _strided(tensor) and not self.log.knows(tensor) and self._dispatch.unkeyed():
            values = tensor.detach().flatten()
            if tensor.is_floating_point() and values.numel() and (values != values[0]).any():
                self.log.literal(tensor, tensor, unkeyed=True)

    def called(self, name: str, args: Arguments, kwargs: dict[str, Any]) -> Any:
        tensor: Any = args[0] if args else kwargs.get("tensor")
        if not _strided(tensor) or not (tensor.dtype in _memory.DTYPES or tensor.is_complex()):
            return _detours.ORIGINALS[name](*args, **kwargs)
        call = TRANSLATIONS[name](*args, **kwargs)
        result = self.recorded(call)
        if _recordable(call) and name not in TRACELESS:
            _memory.bump(tensor)  # the real write would increase the version
        return result

    def recorded(self, call: Call) -> torch.Tensor:
        """Log the call instead of filling its tensor, and return the tensor."""
        tensor = call.tensor
        if not _recordable(call):
            return call.fallback(tensor)  # type: ignore[no-any-return]
        with torch._C.DisableTorchFunction():
            self.log.call(tensor, str(call.initializer), call.arguments)
            self._dispatch.leave_behind(tensor)
        return tensor

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _ASKING and args[0].is_meta:
            if _is_pickled():
                raise RuntimeError(
                    "initialization code pickles or saves a tensor, whose values a record on the "
                    "meta device does not have; build that part outside of construction(), or copy "
                    "modules by copy.deepcopy"
                )
            return _ASKING[func]
        if func is torch.Tensor.type and args[0].is_meta and len(args) == 1 and not kwargs:
            return torch.empty(0, dtype=args[0].dtype, device="cpu").type()
        if func in _READING and args and _strided(args[0]) and self.log.knows(args[0]):
            found = func(self._dispatch.shown(args[0]), *args[1:], **kwargs)
            if isinstance(found, np.ndarray):
                self.log.lend(self._dispatch.lent(args[0].detach(), found))
            return found
        if func in _INDEXING and self._dispatch.hides(args[0]):
            args = (args[0], self._index(args[1]), *args[2:])
        if func == _SET_DATA and args[0].is_meta != args[1].is_meta:
            # torch requires both tensors to be on one device.
            target, value = args
            like = torch.empty_like(value, device="meta" if target.is_meta else "cpu")
            return func(target, like.copy_(value))
        if func is torch.Tensor.new_tensor and args[0].is_meta:
            func, like, args = torch.tensor, args[0], args[1:]
            kwargs = {"dtype": like.dtype, **kwargs}
        if func not in _device_constructors():
            return func(*args, **kwargs)
        device = kwargs.get("device")
        if device is not None and torch.device(device).type != "meta":
            return func(*args, **kwargs)
        if func in _FROM_VALUES and not (args and isinstance(args[0], torch.Tensor)):
            return self._from_values(func, args, kwargs)
        return func(*args, **{**kwargs, "device": self._device})

    def _from_values(
        self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]
    ) -> torch.Tensor:
        """Make a tensor from given values, and log the values.

        On the meta device these functions make a tensor without an operation, so its values would
        be lost.  A tensor without elements stays on the CPU, because transformers uses
        torch.tensor([]) to find out whether it should initialize at all.
        """
        values: torch.Tensor = func(
            *tree_map(self._dispatch.shown, args), **{**kwargs, "device": "cpu"}
        )
        if not values.numel():
            return values
        made = torch.empty_like(values, device=self._device)
        made.requires_grad_(values.requires_grad)
        self.log.literal(made, values, self._dispatch.unkeyed())
        return made

    def _index(self, index: Any) -> Any:
        """Log the numbers in an index.

        Otherwise torch would put them on the meta device, without their values.
        """
        if isinstance(index, tuple):
            return tuple([self._index(one) for one in index])
        if isinstance(index, list) and index and all(isinstance(one, int) for one in index):
            return self._from_values(torch.tensor, (index,), {})
        if isinstance(index, np.ndarray):
            return self._from_values(torch.as_tensor, (index,), {})
        return index


# Functions of torch.nn.init that do not touch a meta tensor, and so do not increase its version.
TRACELESS = frozenset(("trunc_normal_", "orthogonal_", "sparse_", "dirac_"))

# Code that asks for a tensor's device is answered as if the tensor were real, so it takes the same
# branch as in real construction.  Some code skips work on the meta device: Mamba and DETR copy only
# between real tensors.
_ASKING = {
    torch.Tensor.device.__get__: torch.device("cpu"),  # type: ignore[attr-defined]
    torch.Tensor.is_meta.__get__: False,  # type: ignore[attr-defined]
    torch.Tensor.is_cpu.__get__: True,  # type: ignore[attr-defined]
}
_PICKLING = torch.Tensor._reduce_ex_internal.__code__


def _is_pickled() -> bool:
    """Whether the question comes from torch's pickling, which crashes on a meta tensor's memory
    where it is told that the tensor is on the CPU.

    copy.copy takes the same way, but leaves the memory alone.
    """
    frame: Any = sys._getframe(2)
    while frame.f_code.co_name == "__torch_function__":  # of a mode such as torch.device's
        frame = frame.f_back
    return frame.f_code is _PICKLING and frame.f_back.f_back.f_code is not copy.copy.__code__


_READING = (torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist)
_SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]
_INDEXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
_FROM_VALUES = (torch.tensor, torch.as_tensor, torch.asarray)
# Tags of operations whose result is a Python number, or has a shape that depends on values.
_BY_VALUE = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


class _Dispatch(TorchDispatchMode):
    """Intercepts every operation, below autograd and below torch's Python wrappers."""

    def __init__(self, log: Log, read: Read) -> None:
        super().__init__()
        self._log, self._read = log, read
        self._generators = Generators()
        self._behind: set[int] = set()  # real memory whose values are only in the log

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: nothing here is compiled.

        Otherwise torch would import torch._dynamo on the first operation, which takes more than a
        second.
        """
        return False

    def __enter__(self) -> Any:
        self._before = _states()
        return super().__enter__()

    def unkeyed(self) -> bool:
        """Whether NumPy's or Python's global generator has been used since the block began."""
        return _states() != self._before

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():  # .device must be the real one here
            self._log.prepare(func, args, kwargs)
            result = self._run(func, args, kwargs)
            self._log.operation(func, args, kwargs, result, self.unkeyed)
            if torch.Tag.nondeterministic_seeded in func.tags:
                for one in tree_flatten(result)[0]:
                    self.leave_behind(one)
        return result

    def _run(self, func: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
        kind = func._schema.name.split("::")[1]
        given = [one for one in tree_flatten((args, kwargs))[0] if _strided(one)]
        leaves_meta = kind == "_local_scalar_dense" or (
            kind == "_to_copy" and torch.device(kwargs.get("device") or "meta").type != "meta"
        )
        if leaves_meta and given and self._log.knows(given[0]):
            if kind == "_to_copy" and self._read_values(given[0]) is None:
                return func(*args, **{**kwargs, "device": torch.device("meta")})
            return func(self.values(given[0]), *args[1:], **kwargs)
        hidden = [one for one in given if self.hides(one)]
        if hidden and _BY_VALUE & set(func.tags):
            if kind != "index":
                return self._by_values(func, args, kwargs)
            args = (args[0], self._places(args[1]))
        if not hidden or func.is_view:
            return self._generators.run(func, args, kwargs)
        if not all(one.is_meta for one in given):
            target: Any = args[0] if args else None
            if _strided(target) and not target.is_meta and _written(func._schema, args, kwargs):
                self.leave_behind(target)
                return target  # meta values cannot go into real memory; the log has them
            if kind != "copy_":
                args, kwargs = tree_map(self._on_meta, (args, kwargs))
        try:
            return func(*args, **kwargs)
        except NotImplementedError:  # torch does not implement it for the meta device
            return self._by_values(func, args, kwargs)

    def _by_values(self, func: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
        """Run an operation on real memory and return its result."""
        if func._schema.is_mutable:
            raise RuntimeError(
                f"{func._schema.name} has no form for the meta device, on which constructors are "
                "recorded; build that part outside of construction()"
            )
        args, kwargs = tree_map(self.shown, (args, kwargs))
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        return self._generators.run(func, args, kwargs)

    def leave_behind(self, tensor: Any) -> None:
        """From now on, the values of this memory are only in the log."""
        if _strided(tensor) and not tensor.is_meta:
            self._behind.add(tensor.untyped_storage()._cdata)

    def hides(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's values are only in the log."""
        if tensor.is_meta or not _strided(tensor):
            return tensor.is_meta
        return tensor.untyped_storage()._cdata in self._behind

    def shown(self, value: Any) -> Any:
        return self.values(value) if _strided(value) and self.hides(value) else value

    def _places(self, indices: Any) -> list[Any]:
        """Replace each mask in an index by the positions that it selects.

        The shape of the result depends on the mask's values, which the meta device does not have.
        """
        found: list[Any] = []
        for one in indices:
            is_mask = one is not None and one.dtype in (torch.bool, torch.uint8)
            found += self.shown(one).nonzero().unbind(1) if is_mask else [one]
        return found

    def _on_meta(self, value: Any) -> Any:
        if not _strided(value) or value.is_meta or not (value.ndim or self.hides(value)):
            return value
        return value.to("meta")

    def values(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the values of a tensor; raise an error if they depend on a draw."""
        values = self._read_values(tensor)
        if values is None:
            raise RuntimeError(
                "initialization code reads values that are drawn or not yet written, which a "
                "record on the meta device does not have; build that part outside of "
                "construction(), or give a recipe for its parameters"
            )
        return values

    def lent(self, tensor: torch.Tensor, array: Any) -> Lent:
        return Lent(tensor, array, array.tobytes(), lambda: self._read_values(tensor), self.unkeyed)

    def _read_values(self, tensor: torch.Tensor) -> torch.Tensor | None:
        with _disable_current_modes():
            return self._read(self._log, self._log.ref(tensor))


def _states() -> tuple[Any, ...]:
    """Return the states of Python's and NumPy's generators, which torch's dispatcher cannot see."""
    kind, numbers, *rest = np.random.get_state(legacy=True)
    return random.getstate(), kind, bytes(numbers), *rest  # type: ignore[arg-type]
