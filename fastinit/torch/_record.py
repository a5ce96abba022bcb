"""What a model's own initialization code would draw, found out by running it on meta tensors and
drawing nothing.

Inside a Recorder's block each fill of a meta tensor is written down (_fills.py), by the memory that
it goes to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

from . import _detours, _memory
from ._fills import Contents, Unknown
from ._replay import Log
from ._translate import TRANSLATIONS
from .accelerate import ROOT_HALF, both, erfinv

Arguments = tuple[Any, ...]
Event = Callable[["Recorder", Arguments, dict[str, Any], Any], None]


class Recorder(_detours.Block):
    """Writes down what is done to meta tensors, and to others that are drawn on the way to them."""

    def __init__(self, again: bool = True, log: Log | None = None) -> None:
        super().__init__()
        self._log = log
        # Whether the code will run again, which alone shows that what it computes depends on no
        # random number.
        self._again = again
        self._contents: dict[int, Contents] = {}

    def contents(self, tensor: torch.Tensor) -> Contents:
        """The record of a tensor's memory; the first tensor seen of it is its base, which keeps the
        memory alive.
        """
        storage = tensor.untyped_storage()
        if storage._cdata not in self._contents:
            self._contents[storage._cdata] = Contents(tensor)
            if tensor.nbytes < storage.nbytes():
                # The whole was never seen: no view of it can be told apart from another.
                self._contents[storage._cdata].foreign = True
        return self._contents[storage._cdata]

    def known(self, tensor: Any) -> Contents | None:
        if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
            return None
        return self._contents.get(tensor.untyped_storage()._cdata)

    # ------------------------------------------------------------------------------- what is called

    def called(self, name: str, args: Arguments, kwargs: dict[str, Any]) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        if not isinstance(tensor, torch.Tensor) or tensor.dtype not in _memory.DTYPES:
            return _detours.ORIGINALS[name](*args, **kwargs)
        if not tensor.is_meta:  # something real on the way, which the code may go on to read
            _detours.ORIGINALS[name](*args, **kwargs)
        call = TRANSLATIONS[name](*args, **kwargs)
        if call.initializer is not None:
            self.fill(tensor, call.initializer, call.arguments)
            if tensor.is_meta:
                _memory.bump(tensor)  # as the write would
        if self._log is not None:
            self._log.add(_detours.OBJECTS[name], args, kwargs, tensor)
        return tensor

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self._log is not None:
            self._log.add(func, args, kwargs, result)
        event = _EVENTS.get(name)
        if event is not None:
            event(self, args, kwargs, result)
        elif name.endswith("_") and not name.startswith("__") and name not in _HARMLESS and args:
            self.spoil(args[0], f"Tensor.{name} changed it")
        return result

    # -------------------------------------------------------------------------------- what is noted

    def fill(self, tensor: Any, initializer: str, arguments: dict[str, Any]) -> None:
        if isinstance(tensor, torch.Tensor) and tensor.numel():
            with self._noting(tensor):
                self.contents(tensor).fill(tensor, initializer, dict(arguments))

    def change(self, tensor: Any, factor: Any, shift: Any) -> None:
        contents = self.known(tensor)
        if contents is None:
            return
        with self._noting(tensor):
            for number in (factor, shift):
                if isinstance(number, bool) or not isinstance(number, (int, float)):
                    raise Unknown("a tensor was multiplied into it or added to it")
            contents.change(tensor, float(factor), float(shift))

    def derive(self, result: Any, source: Any, factor: Any, shift: Any) -> None:
        """A new tensor, source·factor + shift."""
        contents = self.known(source)
        if contents is None or not isinstance(result, torch.Tensor) or not result.is_meta:
            return
        if result.untyped_storage()._cdata != source.untyped_storage()._cdata:
            self.copy(result, source)
        if any(isinstance(number, torch.Tensor) for number in (factor, shift)) or (
            factor,
            shift,
        ) != (1.0, 0.0):
            self.change(result, factor, shift)

    def clamp(self, tensor: Any, low: Any, high: Any) -> None:
        contents = self.known(tensor)
        if contents is not None:
            with self._noting(tensor):
                contents.clamp(
                    tensor,
                    -float("inf") if low is None else low,
                    float("inf") if high is None else high,
                )

    def copy(self, tensor: Any, source: Any) -> None:
        if not isinstance(tensor, torch.Tensor) or not tensor.numel():
            return
        if not isinstance(source, torch.Tensor):
            self.fill(tensor, "constant", {"value": source})
            return
        with self._noting(tensor):
            contents, theirs = self.contents(tensor), self.known(source)
            if theirs is not None and theirs.complete:
                contents.copy(tensor, theirs, source)
            elif theirs is not None and theirs.unknown:
                raise Unknown(theirs.unknown)
            elif source.is_meta:
                raise Unknown("it was copied from a tensor on the meta device, which has no values")
            elif not self._again:
                raise Unknown("it was copied from a tensor with values of its own")
            elif tensor.shape != contents.base.shape:
                raise Unknown("a part of it was copied from another tensor")
            else:
                contents.fills, contents.unknown = [], None
                contents.literal = source.detach().expand(tensor.shape).to(tensor.dtype, copy=True)

    def set_item(self, tensor: Any, index: Any, value: Any) -> None:
        if self.known(tensor) is None:
            return
        with self._noting(tensor):
            try:
                part = tensor[index]
                shared = part.untyped_storage()._cdata == tensor.untyped_storage()._cdata
            except Exception:
                shared = False
            if not shared:
                raise Unknown("a part of it was set by a mask or a list of indices")
            self.copy(part, value)

    def erfinv(self, tensor: Any) -> None:
        """erfinv_ of a uniform is a truncated normal, as in accelerate.py."""
        contents = self.known(tensor)
        if contents is None:
            return
        with self._noting(tensor):
            fill = contents.fills[-1] if contents.fills else None
            if (
                fill is None
                or fill.initializer != "uniform"
                or not fill.view.whole
                or len(contents.fills) > 1
            ):
                raise Unknown("Tensor.erfinv_ changed it")
            low, high = (erfinv(fill.arguments[end]) for end in ("low", "high"))
            own = {"mean": 0.0, "std": ROOT_HALF, "low": low, "high": high, "bounds": "absolute"}
            contents.fills = [fill._replace(initializer="truncated_normal", arguments=own)]

    def spoil(self, tensor: Any, why: str, failed: bool = False) -> None:
        contents = self.known(tensor)
        if contents is not None:
            contents.unknown, contents.failed = why, contents.failed or failed

    @contextlib.contextmanager
    def _noting(self, tensor: torch.Tensor) -> Iterator[None]:
        try:
            yield
        except Unknown as error:
            self.contents(tensor).unknown = str(error)


# ------------------------------------------------------------------------------------------- events


def _first(
    args: Arguments, kwargs: dict[str, Any], place: int, name: str, default: Any = None
) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _normal(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
    mean, std = both(args, kwargs, ("mean", "std"), (0.0, 1.0))
    recorder.fill(args[0], "normal", {"mean": mean, "std": std})


def _uniform(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
    low, high = both(args, kwargs, ("from", "to"), (0.0, 1.0))
    recorder.fill(args[0], "uniform", {"low": low, "high": high})


def _constant(value: float | None) -> Event:
    def event(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
        number = _first(args, kwargs, 1, "value") if value is None else value
        if not isinstance(number, torch.Tensor):
            recorder.fill(args[0], "constant", {"value": number})
        else:
            recorder.copy(args[0], number)

    return event


def _made(initializer: str, arguments: dict[str, Any]) -> Event:
    """torch.zeros, torch.randn and their like, of meta tensors."""

    def event(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
        if isinstance(result, torch.Tensor) and result.is_meta:
            own = arguments or {
                "value": _first(args, kwargs, len(args) - 1 if len(args) > 1 else 1, "fill_value")
            }
            recorder.fill(result, initializer, own)

    return event


def _arithmetic(name: str, in_place: bool) -> Event:
    """Multiplication by, and addition of, a number."""

    def event(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
        tensor, other = args[0], _first(args, kwargs, 1, "other")
        if not isinstance(tensor, torch.Tensor):
            tensor, other = other, tensor
        sign = -1.0 if name == "sub" else 1.0
        factor: Any = 1.0
        shift: Any = 0.0
        if kwargs.get("alpha", 1) != 1 or kwargs.get("rounding_mode") is not None:
            factor = shift = None
        elif name == "mul":
            factor = other
        elif name == "div":
            factor = 1.0 / other if isinstance(other, (int, float)) and other else other
        elif name == "neg":
            factor = -1.0
        else:
            shift = sign * other if isinstance(other, (int, float)) else other
        if in_place:
            recorder.change(args[0], factor, shift)
        else:
            recorder.derive(result, tensor, factor, shift)

    return event


def _clamp(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
    recorder.clamp(args[0], _first(args, kwargs, 1, "min"), _first(args, kwargs, 2, "max"))


def _computed(function: Callable[..., torch.Tensor]) -> Event:
    """torch.tensor, torch.arange and their like: their values, which on the meta device they do not
    have.
    """

    def event(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
        if isinstance(result, torch.Tensor) and result.is_meta and result.numel():
            values = {**kwargs, "device": "cpu", "requires_grad": False}
            if not any(isinstance(value, torch.Tensor) for value in (*args, *kwargs.values())):
                with torch._C.DisableTorchFunction():
                    recorder.contents(result).literal = function(*args, **values)

    return event


def _seen(recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any) -> None:
    """A new tensor, before any view of it."""
    if isinstance(result, torch.Tensor) and result.layout is torch.strided and result.numel():
        recorder.contents(result)


def _init_constant(
    recorder: Recorder, args: Arguments, kwargs: dict[str, Any], result: Any
) -> None:
    recorder.fill(
        _first(args, kwargs, 0, "tensor"), "constant", {"value": _first(args, kwargs, 1, "val")}
    )


_EVENTS: dict[str, Event] = {
    # torch.nn.init's, which reports to modes; the functions built on it do not
    "constant_": _init_constant,
    "normal_": _normal,
    "uniform_": _uniform,
    "zero_": _constant(0.0),
    "fill_": _constant(None),
    "erfinv_": lambda recorder, args, kwargs, result: recorder.erfinv(args[0]),
    "clamp_": _clamp,
    "copy_": lambda recorder, args, kwargs, result: recorder.copy(
        args[0], _first(args, kwargs, 1, "src")
    ),
    "__setitem__": lambda recorder, args, kwargs, result: recorder.set_item(*args),
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided"), _seen),
    **{
        made.__name__: _computed(made)
        for made in (torch.tensor, torch.arange, torch.linspace, torch.eye)
    },
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), _made("constant", {"value": 0.0})),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), _made("constant", {"value": 1.0})),
    **dict.fromkeys(("full", "full_like", "new_full"), _made("constant", {})),
    **dict.fromkeys(("randn", "randn_like"), _made("normal", {"mean": 0.0, "std": 1.0})),
    **dict.fromkeys(("rand", "rand_like"), _made("uniform", {"low": 0.0, "high": 1.0})),
    **dict.fromkeys(("mul_", "__imul__", "multiply_"), _arithmetic("mul", True)),
    **dict.fromkeys(("div_", "__itruediv__", "divide_", "true_divide_"), _arithmetic("div", True)),
    **dict.fromkeys(("add_", "__iadd__"), _arithmetic("add", True)),
    **dict.fromkeys(("sub_", "__isub__", "subtract_"), _arithmetic("sub", True)),
    "neg_": _arithmetic("neg", True),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "multiply"), _arithmetic("mul", False)),
    **dict.fromkeys(("div", "__truediv__", "divide", "true_divide"), _arithmetic("div", False)),
    **dict.fromkeys(("add", "__add__", "__radd__"), _arithmetic("add", False)),
    **dict.fromkeys(("sub", "__sub__", "subtract"), _arithmetic("sub", False)),
    **dict.fromkeys(("neg", "__neg__"), _arithmetic("neg", False)),
    **dict.fromkeys(
        ("clone", "contiguous", "to", "float", "half", "bfloat16", "double"),
        lambda recorder, args, kwargs, result: recorder.derive(result, args[0], 1.0, 0.0),
    ),
}
# In-place operations that change no value.
_HARMLESS = frozenset(
    (
        "requires_grad_",
        "detach_",
        "share_memory_",
        "squeeze_",
        "unsqueeze_",
        "t_",
        "transpose_",
        "swapaxes_",
    )
)
