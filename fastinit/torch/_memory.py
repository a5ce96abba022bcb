"""Gives the engine access to the memory of torch tensors.

Drop-in calls, accelerate(), materialize_() and DTensors all reach the engine through into().
destination() lends the tensor's own memory if the engine can write it.  Any other tensor is filled
on the host and copied.  This module knows neither initializers nor seeds.  For a single fill, see
_draw.py.  For shards, see dtensor.py.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.graph import increment_version

from .._core import dtypes, engine, fill
from .._core.draws import Draw
from .._core.dtypes import DType
from ..typing import Array

DTYPES: dict[torch.dtype, DType] = {
    torch.float64: dtypes.FLOAT64,
    torch.float32: dtypes.FLOAT32,
    torch.float16: dtypes.FLOAT16,
    torch.bfloat16: dtypes.BFLOAT16,
    torch.float8_e4m3fn: dtypes.FLOAT8_E4M3FN,
    torch.float8_e5m2: dtypes.FLOAT8_E5M2,
}
# Complex dtypes that some initializers fill, by a draw of their parts (_draw.py).
COMPLEX = frozenset((torch.complex64, torch.complex128))
# Dtypes that NumPy lacks are passed to it as unsigned integers of the same width.
_CROSSING = {
    torch.bfloat16: torch.uint16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}


_AS_TENSOR = (torch.Tensor.__torch_function__.__func__, torch._C._disabled_torch_function_impl)  # type: ignore[attr-defined]


@functools.cache
def is_plain(kind: type) -> bool:
    """Whether tensors of a class keep their values in their own memory and behave as torch's do.

    Any other class may keep its values elsewhere (DTensor, FakeTensor, a lazy parameter), and must
    handle its operations itself.
    """
    if not issubclass(kind, torch.Tensor):
        return False
    function: Any = kind.__torch_function__
    own = kind.__torch_dispatch__ is torch._C._disabled_torch_dispatch_impl  # type: ignore[attr-defined]
    return own and getattr(function, "__func__", function) in _AS_TENSOR


def bits(tensor: torch.Tensor, dtype: DType) -> Array:
    """Return the memory of a plain CPU tensor as an array of unsigned integers, without a copy.

    The tensor may have any strides.
    """
    crossing = _CROSSING.get(tensor.dtype)
    if crossing is None:
        return tensor.detach().numpy().view(dtype.unsigned)
    array: Array = tensor.detach().view(crossing).numpy()
    return array


def destination(tensor: torch.Tensor, dtype: DType) -> Array | None:
    """Return the memory of a plain tensor for the engine; None if the engine cannot write it.

    Raises
    ------
    RuntimeError
        If several elements share a place in memory; the message is torch's.
    """
    if tensor.is_cuda:
        view = _on_gpu(tensor)
        if view is None:
            return None
    elif not tensor.is_cpu:
        return None
    else:
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


def _values(tensor: torch.Tensor, dtype: DType) -> Array:
    if not tensor.is_cuda:
        return bits(tensor, dtype)
    from .._cuda import lend

    return lend.of_torch(tensor)


def _on_gpu(tensor: torch.Tensor) -> Array | None:
    """Return the memory of a CUDA tensor; None if its GPU cannot draw or the memory is negated."""
    if not has_elements(tensor) or tensor.is_neg() or engine.gpu(tensor.device.index) is None:
        return None
    from .._cuda import lend

    return lend.of_torch(tensor)


def launched(tensor: torch.Tensor, draw: Draw, numbers: Callable[[], tuple[int, int]]) -> bool:
    """Draw a contiguous CUDA tensor: does what into() does, in half the time for a small tensor."""
    if not (has_elements(tensor) and tensor.is_contiguous()) or tensor.is_neg():
        return False
    ordinal, address = tensor.get_device(), tensor.data_ptr()
    if not address:  # a freed storage, as FSDP leaves it; into() reports it
        return False
    gpu = engine.gpu(ordinal)
    if gpu is None or not gpu.draws(draw):
        return False
    bump(tensor)
    # torch.cuda.current_stream() calls this too, but also makes an object, which takes 3 µs.
    stream = torch._C._cuda_getCurrentRawStream(ordinal)
    gpu.fill(address, tensor.numel(), tensor.element_size(), draw, *numbers(), stream)
    return True


def into(tensor: torch.Tensor, dtype: DType, write: Callable[[Array], None]) -> bool:
    """Let `write` fill the tensor, either in its own memory or on the host, followed by a copy.

    Returns
    -------
    bool
        False, with nothing written, if the tensor's elements cannot be written one by one.  This is
        so for sparse layouts and inside torch.func transforms.
    """
    view = destination(tensor, dtype)
    if view is not None:
        bump(tensor)
        write(view)
        return True
    if not has_elements(tensor):
        return False
    values = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
    write(bits(values, dtype))
    with torch.no_grad():
        tensor.copy_(values)
    return True


def lend(tensor: torch.Tensor) -> Array:
    """Return the memory of a plain tensor as an array of its own dtype, for the many-tensor fill.

    The tensor is on the CPU or on a GPU that can draw.
    """
    dtype = DTYPES[tensor.dtype]
    return _values(tensor, dtype).view(dtype.numpy())


def has_elements(tensor: torch.Tensor) -> bool:
    """Whether a plain tensor has elements that can be written one by one.

    Tensors of a sparse layout have none.  Neither do tensors inside a torch.func transform, which
    represent many tensors (vmap) or a derivative (grad).
    """
    return tensor.layout is torch.strided and not torch._C._functorch.is_functorch_wrapped_tensor(
        tensor
    )


def unsupported(tensor: torch.Tensor) -> NotImplementedError:
    """Return torch's class of error for a dtype that cannot be drawn, with the allowed dtypes."""
    why = (
        "of complex tensors only plain ones of complex64 and complex128 have a draw, by normal_, "
        "uniform_, xavier_*_ and kaiming_*_ of fastinit.torch.init; else fill its .real and .imag "
        "views, each with 1/√2 of the std (gain=√½, or std/√2), or E|w|² is twice what the "
        "initializer promises"
        if tensor.dtype.is_complex
        else "it has no draw"
    )
    allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
    return NotImplementedError(
        f"a tensor of dtype {str(tensor.dtype).removeprefix('torch.')} cannot be filled: {why}; "
        f"allowed are {allowed}"
    )


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
    """Fill memory that holds a whole tensor, or a region of a tensor of the given shape."""
    fill.write(result, view, dtype, view.shape if shape is None else shape, region, seed, stream)


def version(tensor: torch.Tensor) -> int:
    """Return how often the tensor has been written; 0 for inference tensors (they do not count)."""
    return 0 if tensor.is_inference() else tensor._version


def blanks() -> int:
    """Return how often torch itself writes memory that it allocates.

    With deterministic algorithms, torch fills new memory with NaN once.  Otherwise it does not
    write it.
    """
    return int(
        torch.are_deterministic_algorithms_enabled()
        and torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    )


def bump(tensor: torch.Tensor) -> None:
    """Increase the tensor's version for autograd, as torch's own in-place operations do."""
    if not tensor.is_inference():
        increment_version(tensor)
    elif not torch.is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. "
            "You can make a clone to get a normal tensor before doing inplace update."
        )


def is_dtensor(tensor: object) -> bool:
    """Whether a tensor is a DTensor.

    This does not import torch.distributed.tensor, which takes 0.3 s: unless other code has imported
    it, there are no DTensors.
    """
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
