"""Memory that a framework has on a GPU → a CudaView: torch tensors, __cuda_array_interface__.

The view says on which stream the fill runs: the one the framework works on now, so that what it
does before and after stays in order.  Nothing is written, no framework is imported.  DLPack
capsules are read by _core/dlpack.py.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .device import driver
from .view import CudaView, view

# What NumPy cannot name comes as bytes of its width: "<V2" for bfloat16.
_UNSIGNED = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}


def of_torch(tensor: Any) -> CudaView:
    """The memory of a plain, strided torch tensor on a GPU, as unsigned integers."""
    torch = sys.modules["torch"]
    size = tensor.element_size()
    return view(
        tensor.data_ptr(),
        tuple(tensor.shape),
        tuple([stride * size for stride in tensor.stride()]),
        np.dtype(_UNSIGNED[size]),
        ordinal=tensor.get_device(),
        stream=torch._C._cuda_getCurrentRawStream(tensor.get_device()),
        owner=tensor,
    )


def of_interface(out: Any, interface: dict[str, Any]) -> CudaView:
    """The memory of an object (of CuPy, of Numba) by its __cuda_array_interface__."""
    try:
        address, readonly = interface["data"]
        shape = tuple([int(size) for size in interface["shape"]])
        dtype = np.dtype(interface["typestr"])
        strides = interface.get("strides")
        strides = None if strides is None else tuple([int(step) for step in strides])
        stream = int(interface.get("stream") or 0)  # None and 0 are the legacy default stream
        address = 0 if 0 in shape else int(address)
    except (KeyError, TypeError, ValueError) as error:
        raise TypeError(
            f"out has a __cuda_array_interface__ that cannot be read: {error}"
        ) from None
    if interface.get("mask") is not None:
        raise TypeError("out is a masked array on a GPU, and a fill has no mask; give its data")
    if 0 in shape:
        return view(0, shape, None, dtype, ordinal=0, stream=0, owner=out)
    return view(
        address,
        shape,
        strides,
        dtype,
        ordinal=ordinal_of(address),
        stream=stream,
        owner=out,
        readonly=bool(readonly),
    )


def of_dlpack(
    address: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    dtype: np.dtype[Any],
    ordinal: int,
    readonly: bool,
    owner: Any,
) -> CudaView:
    """The memory of a DLPack tensor that was asked for on the legacy default stream."""
    driver()  # Unavailable here is an error about `out`, before anything is written
    return view(
        address, shape, strides, dtype, ordinal=ordinal, stream=0, owner=owner, readonly=readonly
    )


def ordinal_of(address: int) -> int:
    """The GPU on which device, managed, peer or IPC memory lies."""
    cuda = driver()
    attribute = cuda.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, ordinal = cuda.cuPointerGetAttribute(attribute, address)
    if status.value or int(ordinal) < 0:
        raise ValueError(
            f"out says that it lies on a GPU, but address {address:#x} is not memory that CUDA "
            "knows; give an array that was allocated through CUDA"
        )
    return int(ordinal)
