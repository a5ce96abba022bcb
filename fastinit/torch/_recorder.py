"""Runs initialization code on the meta device and logs what it does to its tensors (_log.py).

Inside a Recorder's block new tensors are on the meta device, and code that asks about them is
answered as if they were real.  What torch cannot do without values (a mask as an index, .item()) is
done with values that the log determines; where they depend on a draw, the code gets an error.
Nothing here interprets the log; _replay.py computes values from it.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map

from . import _detours, _memory
from ._draw import draws
from ._log import Arguments, Lent, Log, Ref, strided, written_by
from ._private import Generators
from ._translate import TRANSLATIONS, Call

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
        if strided(tensor) and not self.log.knows(tensor) and self._dispatch.unkeyed():
            values = tensor.detach().flatten()
            if tensor.is_floating_point() and values.numel() and (values != values[0]).any():
                self.log.literal(tensor, tensor, unkeyed=True)

    def called(self, name: str, args: Arguments, kwargs: dict[str, Any]) -> Any:
        tensor: Any = args[0] if args else kwargs.get("tensor")
        if not strided(tensor) or not (tensor.dtype in _memory.DTYPES or tensor.is_complex()):
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
        if func in _READING and args and strided(args[0]) and self.log.knows(args[0]):
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
        array: Any = args[0] if args else None
        small = isinstance(array, np.ndarray) and array.nbytes <= _MOST_SHARED
        if small and array.flags.writeable and array.ctypes.data == values.data_ptr():
            self.log.lend(self._dispatch.lent(made.detach(), array))
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


def _recordable(call: Call) -> bool:
    """Whether a fill by torch.nn.init is logged as one call.

    Inside vmap a tensor stands for many; torch's own fill reaches the dispatcher as one of all.
    """
    tensor = call.tensor
    return (
        strided(tensor) and draws(call.initializer, tensor.dtype) and _memory.has_elements(tensor)
    )


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
# Bytes of an array whose memory a new tensor shares.  Larger ones are taken as they are, because
# all lent arrays are compared at each operation.
_MOST_SHARED = 1 << 20
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
        given = [one for one in tree_flatten((args, kwargs))[0] if strided(one)]
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
            if strided(target) and not target.is_meta and written_by(func._schema, args, kwargs):
                self.leave_behind(target)
                return target  # meta values cannot go into real memory; the log has them
            if kind != "copy_":
                args, kwargs = tree_map(self._on_meta, (args, kwargs))
        try:
            return func(*args, **kwargs)
        except NotImplementedError:  # torch does not implement it for the meta device
            drawn = [one for one in given if self.hides(one) and self._read_values(one) is None]
            if drawn and not func._schema.is_mutable:
                return _shaped(func, args, kwargs)
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
        if strided(tensor) and not tensor.is_meta:
            self._behind.add(tensor.untyped_storage()._cdata)

    def hides(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor's values are only in the log."""
        if tensor.is_meta or not strided(tensor):
            return tensor.is_meta
        return tensor.untyped_storage()._cdata in self._behind

    def shown(self, value: Any) -> Any:
        return self.values(value) if strided(value) and self.hides(value) else value

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
        if not strided(value) or value.is_meta or not (value.ndim or self.hides(value)):
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


def _shaped(func: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
    """Return meta tensors of the shapes that an operation gives; its values are drawn later.

    The shapes come from a run on identity matrices, which factorizations and solvers accept.
    """

    def real(value: Any) -> Any:
        if not strided(value) or not value.is_meta:
            return value
        tensor = torch.ones(value.shape, dtype=value.dtype, device="cpu")
        if tensor.ndim > 1:
            tensor.zero_().diagonal(dim1=-2, dim2=-1).fill_(1)
        return tensor

    args, kwargs = tree_map(real, (args, kwargs))
    return tree_map(lambda one: one.to("meta") if strided(one) else one, func(*args, **kwargs))


def _states() -> tuple[Any, ...]:
    """Return the states of Python's and NumPy's generators, which torch's dispatcher cannot see."""
    kind, numbers, *rest = np.random.get_state(legacy=True)
    return random.getstate(), kind, bytes(numbers), *rest  # type: ignore[arg-type]
