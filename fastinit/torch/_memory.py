"""A torch tensor's memory as bare bits for the engine, a seed from a torch generator, and one fill
of one tensor.

Nothing is copied: bfloat16 and the 8-bit floats pass as unsigned views.  Which draw a tensor gets
is decided by its callers (init.py, accelerate.py); shards of DTensors are found in dtensor.py.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.autograd.graph import increment_version

from .. import _adapters
from .._core import dtypes, engine, fill, shapes
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import Target
from .._core.jobs import Job
from ..typing import Array

DTYPES: dict[torch.dtype, DType] = {
    torch.float64: dtypes.FLOAT64,
    torch.float32: dtypes.FLOAT32,
    torch.float16: dtypes.FLOAT16,
    torch.bfloat16: dtypes.BFLOAT16,
    torch.float8_e4m3fn: dtypes.FLOAT8_E4M3FN,
    torch.float8_e5m2: dtypes.FLOAT8_E5M2,
}
EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)
# What NumPy does not know crosses as the unsigned integers of its width.
_CROSSING = {
    torch.bfloat16: torch.uint16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}


_AS_TENSOR = (torch.Tensor.__torch_function__.__func__, torch._C._disabled_torch_function_impl)  # type: ignore[attr-defined]


@functools.cache
def is_plain(kind: type) -> bool:
    """Whether tensors of a class have their values in their own memory, and are called as torch's
    own are.

    Any other class may keep its values elsewhere (DTensor, FakeTensor, a lazy parameter), and
    answers for itself.
    """
    if not issubclass(kind, torch.Tensor):
        return False
    function: Any = kind.__torch_function__
    own = kind.__torch_dispatch__ is torch._C._disabled_torch_dispatch_impl  # type: ignore[attr-defined]
    return own and getattr(function, "__func__", function) in _AS_TENSOR


def bits(tensor: torch.Tensor, dtype: DType) -> Array:
    """The memory of a plain CPU tensor as an array of unsigned integers, any strides, without a
    copy.
    """
    crossing = _CROSSING.get(tensor.dtype)
    if crossing is None:
        return tensor.detach().numpy().view(dtype.unsigned)
    array: Array = tensor.detach().view(crossing).numpy()
    return array


# -------------------------------------------------------------------------------------------- seeds

Take = Callable[[], tuple[int, int]]  # gives (seed, stream)
_scratch = threading.local()


def seed_from(generator: torch.Generator | None) -> int:
    """A seed by exactly one `random_` of one int64 from the generator, or from torch's default CPU
    one: a contract.

    The number is torch.empty((), dtype=torch.int64).random_(generator=generator).item(), in [0,
    2^63).
    """
    if generator is None or generator.device.type == "cpu":
        try:
            number = _scratch.number
        except AttributeError:
            number = _scratch.number = torch.empty((), dtype=torch.int64, device="cpu")
    else:
        number = torch.empty((), dtype=torch.int64, device=generator.device)
    return int(number.random_(generator=generator).item()) & 0xFFFFFFFFFFFFFFFF


class FromGenerator:
    """Where a drop-in call takes (seed, stream): a number of the generator and 0; inside
    accelerate(), its block.
    """

    __slots__ = ("generator",)

    def __init__(self, generator: torch.Generator | None):
        self.generator = generator

    def __call__(self) -> tuple[int, int]:
        block = getattr(_scratch, "block", None)
        return (seed_from(self.generator), 0) if block is None else block(self.generator)()


@contextlib.contextmanager
def taking(block: Callable[[torch.Generator | None], Take]) -> Iterator[None]:
    """Let the drop-in functions called by this thread take their seeds from a block of
    accelerate().
    """
    _scratch.block = block
    try:
        yield
    finally:
        _scratch.block = None


def nothing_drawn() -> tuple[int, int]:
    """For initializers that draw nothing (eye, dirac): no number is taken from any generator."""
    return 0, 0


@contextlib.contextmanager
def recording(recorder: Callable[[torch.Tensor, str, dict[str, Any]], None]) -> Iterator[None]:
    """Tell of every draw into a meta tensor that this thread asks for: the tensor, the initializer,
    its arguments.
    """
    _scratch.recorder = recorder
    try:
        yield
    finally:
        _scratch.recorder = None


# ----------------------------------------------------------------------------------------- one fill


def unsupported(tensor: torch.Tensor) -> NotImplementedError:
    """torch's own class of error for a dtype without a draw, with what is allowed."""
    why = (
        "complex dtypes have no draw: fill the .real and .imag views"
        if tensor.dtype.is_complex
        else "it has no draw"
    )
    allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
    return NotImplementedError(
        f"a tensor of dtype {str(tensor.dtype).removeprefix('torch.')} cannot be filled: {why}; "
        f"allowed are {allowed}"
    )


def decide(
    name: str,
    arguments: dict[str, Any],
    shape: tuple[int, ...],
    dtype: DType,
    torchs: Callable[[torch.Tensor], Any],
) -> Any:
    """The Draw or Write of an initializer; where torch refuses the same arguments, its error is
    raised and not ours.
    """
    try:
        return fill.decide(_adapters.rule(name), shape, dtype, arguments)
    except (TypeError, ValueError):
        if dtype in (dtypes.FLOAT8_E4M3FN, dtypes.FLOAT8_E5M2):
            raise  # torch draws none of these and would complain of the dtype
        nothing = torch.empty((0, *shape[1:]), dtype=getattr(torch, dtype.name), device="cpu")
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torchs(nothing)  # draws nothing, checks everything
        raise


@engine.guarded
def write(
    view: Array,
    dtype: DType,
    result: Any,
    seed: int,
    stream: int,
    shape: tuple[int, ...] | None = None,
    region: tuple[slice, ...] | None = None,
) -> None:
    """Fill the memory: the whole tensor, or the region of a tensor of the given shape."""
    if shape is None:
        shape = view.shape
        if isinstance(result, Draw):  # the short way of the commonest case
            draw, storage, numbers = result
            engine.run(
                (
                    Job(
                        view,
                        draw,
                        storage,
                        seed,
                        stream,
                        0,
                        numbers,
                        0,
                        shapes.index_strides(shape),
                    ),
                )
            )
            return
    if region is None:
        region = tuple([slice(0, size, 1) for size in shape])
    target = Target(None, view, dtype, shape, region)
    if not view.size:
        return
    if isinstance(result, Draw):
        engine.run((fill.job(target, result, seed, stream),))
    else:
        result(target, seed, stream, None)


def draw(
    tensor: torch.Tensor,
    name: str,
    arguments: dict[str, Any],
    take: Take,
    torchs: Callable[[torch.Tensor], Any],
) -> torch.Tensor:
    """Fill a tensor by the initializer `name`, as under no_grad.

    `take` gives (seed, stream), and is called once, after every check.  `torchs` is what torch
    itself would do: it raises torch's errors, serves subclasses that keep their values elsewhere,
    and tensors without elements.
    """
    if not is_plain(type(tensor)):
        return _draw_subclass(tensor, name, arguments, take, torchs)
    if tensor.is_meta:
        recorder = getattr(_scratch, "recorder", None)
        if recorder is not None:
            recorder(tensor, name, arguments)
        return tensor
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None:
        raise unsupported(tensor)
    view = _own_memory(tensor, dtype)
    shape = tuple(tensor.shape)
    if 0 in shape:
        with torch.no_grad():
            return torchs(tensor)  # type: ignore[no-any-return]
    result = decide(name, arguments, shape, dtype, torchs)
    if view is None:  # another device, or memory that is not plainly the tensor's values
        values = torch.empty(shape, dtype=tensor.dtype, device="cpu")
        write(bits(values, dtype), dtype, result, *take())
        with torch.no_grad():
            return tensor.copy_(values)
    bump(tensor)
    write(view, dtype, result, *take())
    return tensor


def _own_memory(tensor: torch.Tensor, dtype: DType) -> Array | None:
    if not tensor.is_cpu:
        return None
    try:
        view = bits(tensor, dtype)
    except (RuntimeError, TypeError):  # sparse layouts, negative bits, functorch's wrappers
        return None
    if not view.flags.c_contiguous and torch._debug_has_internal_overlap(tensor) == 1:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )
    return view


def bump(tensor: torch.Tensor) -> None:
    """Tell autograd of the write, as torch's own in-place operations do."""
    if not tensor.is_inference():
        increment_version(tensor)
    elif not torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. "
            "You can make a clone to get a normal tensor before doing inplace update."
        )


def is_dtensor(tensor: object) -> bool:
    """Whether a tensor is a DTensor, without importing torch.distributed.tensor (0.3 s) where
    nobody has.
    """
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def _draw_subclass(
    tensor: torch.Tensor,
    name: str,
    arguments: dict[str, Any],
    take: Take,
    torchs: Callable[[torch.Tensor], Any],
) -> torch.Tensor:
    if not is_dtensor(tensor):
        with torch.no_grad():
            return torchs(tensor)  # type: ignore[no-any-return]
    from . import dtensor

    assert isinstance(tensor, dtensor.DTensor)
    if 0 in tensor.shape or dtensor.local(tensor).is_meta:
        return tensor
    dtype = DTYPES.get(tensor.dtype)
    if dtype is None:
        raise unsupported(tensor)
    result = decide(name, arguments, tuple(tensor.shape), dtype, torchs)
    dtensor.write(tensor, dtype, result, *take())
    return tensor
