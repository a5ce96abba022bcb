"""Reads DLPack capsules directly, and checks the contents of a capsule before using it.

It reads the capsule's structure through ctypes.  bfloat16 and the 8-bit floats, which
numpy.from_dlpack does not know, are lent as bare bits; nothing is copied and the capsule is not
consumed, only kept alive.  Imported by buffers.py when it is needed, because ctypes costs
milliseconds.
"""

import ctypes
from typing import Any

import numpy as np

from .dtypes import BFLOAT16, DTYPES, FLOAT8_E4M3FN, FLOAT8_E5M2, DType

# (type code, bits) of DLPack 1.1's DLDataTypeCode
_DTYPES = {(4, 16): BFLOAT16, (10, 8): FLOAT8_E4M3FN, (12, 8): FLOAT8_E5M2}
# numpy.from_dlpack does not accept GPU memory, so every dtype on a GPU is read here.
_DTYPES_ON_GPU = _DTYPES | {
    (code, bits): DTYPES[f"{name}{bits}"]
    for code, name, widths in ((0, "int", (8, 16, 32, 64)), (1, "uint", (8, 16, 32, 64)))
    for bits in widths
}
_DTYPES_ON_GPU |= {(2, bits): DTYPES[f"float{bits}"] for bits in (16, 32, 64)}
_DTYPES_ON_GPU[6, 8] = DTYPES["bool"]
_READ_ONLY = 1
# Devices whose memory the CPU may write: kDLCPU, and the pinned host memory of CUDA and ROCm.
CPU_DEVICES = (1, 3, 11)
CUDA_DEVICES = (2, 13)  # kDLCUDA, kDLCUDAManaged
_MOST_AXES = 64


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]


class _Lender:
    """Hands the memory to NumPy and keeps the capsule alive; its destructor frees the memory."""

    def __init__(self, capsule: Any, interface: dict[str, Any]):
        self.capsule, self.__array_interface__ = capsule, interface


class _Given:
    """Gives NumPy the capsule that was already obtained: a second one might differ."""

    def __init__(self, capsule: Any, device: tuple[int, int]):
        self._capsule, self._device = capsule, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule


def _checked(tensor: _Tensor, devices: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides (in elements) of a tensor; raises ValueError if they are impossible."""
    if tensor.device_type not in devices:
        raise ValueError(
            f"its DLPack capsule lies on a device (DLPack type {tensor.device_type}) other than "
            "__dlpack_device__ says; fill a CPU buffer and copy it, or use the framework's "
            "adapter"
        )
    if not 0 <= tensor.ndim <= _MOST_AXES:
        raise ValueError(
            f"its DLPack capsule has {tensor.ndim} axes; 0 to {_MOST_AXES} are allowed"
        )
    if tensor.ndim and not tensor.shape:
        raise ValueError("its DLPack capsule has axes, but its shape is a NULL pointer")
    shape = tuple([tensor.shape[axis] for axis in range(tensor.ndim)])
    if any(size < 0 for size in shape):
        raise ValueError(f"its DLPack capsule has the shape {shape}; sizes must be >= 0")
    if tensor.strides:
        strides = tuple([tensor.strides[axis] for axis in range(tensor.ndim)])
    else:  # C order
        strides, step = (), 1
        for size in reversed(shape):
            strides, step = (step, *strides), step * size
    if 0 in shape:
        return shape, strides
    if not tensor.data:
        raise ValueError("its DLPack capsule has elements, but its data is a NULL pointer")
    itemsize = -(-tensor.bits * tensor.lanes // 8)
    ends = [(size - 1) * step * itemsize for size, step in zip(shape, strides, strict=True)]
    begin = tensor.data + tensor.byte_offset
    low = begin + sum([end for end in ends if end < 0])
    high = begin + sum([end for end in ends if end > 0]) + itemsize
    if low < 0 or high >= 1 << 63:
        raise ValueError(
            f"its DLPack capsule has shape {shape} and strides {strides}, which reach beyond the "
            "address space"
        )
    return shape, strides


def borrow(capsule: Any, device: tuple[int, int]) -> "tuple[np.ndarray[Any, Any], DType | None]":
    """The memory of a versioned capsule: an array in its NumPy dtype and None, or an array of bare
    bits and the dtype.  For GPU memory the array is a CudaView of bare bits.
    """
    if not _is_valid(capsule, b"dltensor_versioned"):
        if not _is_valid(capsule, b"dltensor"):
            raise ValueError("its __dlpack__ gives something that is not a DLPack capsule")
        raise ValueError(
            "its DLPack capsule is of the old, unversioned kind, which cannot say whether the "
            "memory may be written and so counts as read-only; pass a view with a buffer "
            "(tensor.numpy()), or use the framework's own adapter"
        )
    managed = _Managed.from_address(_pointer(capsule, b"dltensor_versioned"))
    if managed.major != 1:
        raise ValueError(
            f"its DLPack version is {managed.major}.{managed.minor}; fastinit knows version 1"
        )
    tensor = managed.tensor
    on_gpu = device[0] in CUDA_DEVICES
    shape, steps = _checked(tensor, CUDA_DEVICES if on_gpu else CPU_DEVICES)
    dtypes = _DTYPES_ON_GPU if on_gpu else _DTYPES
    dtype = dtypes.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    unknown = TypeError(
        f"its DLPack dtype (code {tensor.code}, {tensor.bits} bits, {tensor.lanes} lanes) cannot "
        "be filled"
    )
    if dtype is None:
        if on_gpu:
            raise unknown
        try:
            return np.from_dlpack(_Given(capsule, device)), None
        except (RuntimeError, BufferError):  # unknown dtype; BufferError since NumPy 2.5
            raise unknown from None
    if 0 in shape:
        return np.empty(shape, dtype.unsigned), dtype
    strides = tuple([step * dtype.itemsize for step in steps])
    address, read_only = tensor.data + tensor.byte_offset, bool(managed.flags & _READ_ONLY)
    if on_gpu:
        from .._cuda import lend

        view = lend.of_dlpack(
            address, shape, strides, dtype.unsigned, tensor.device_id, read_only, capsule
        )
        return view, dtype
    interface = {
        "data": (address, read_only),
        "shape": shape,
        "strides": strides,
        "typestr": dtype.unsigned.str,
        "version": 3,
    }
    return np.asarray(_Lender(capsule, interface)), dtype
