"""DLPack by hand, for the dtypes that numpy.from_dlpack does not know: bfloat16 and the 8-bit
floats.

It reads the capsule's structure through ctypes and lends the memory as bare bits; nothing is copied
and the capsule is not consumed, only kept alive.  Imported by buffers.py when it is needed,
because ctypes costs milliseconds.
"""

import ctypes
from typing import Any

import numpy as np

from .dtypes import BFLOAT16, DTYPES, FLOAT8_E4M3FN, FLOAT8_E5M2, DType

# (type code, bits) of DLPack 1.1's DLDataTypeCode
_DTYPES = {(4, 16): BFLOAT16, (10, 8): FLOAT8_E4M3FN, (12, 8): FLOAT8_E5M2}
# On a GPU NumPy's own reading does not serve, so that every dtype is read here.
_DTYPES_ON_GPU = _DTYPES | {
    (code, bits): DTYPES[f"{name}{bits}"]
    for code, name, widths in ((0, "int", (8, 16, 32, 64)), (1, "uint", (8, 16, 32, 64)))
    for bits in widths
}
_DTYPES_ON_GPU |= {(2, bits): DTYPES[f"float{bits}"] for bits in (16, 32, 64)}
_DTYPES_ON_GPU[6, 8] = DTYPES["bool"]
_READ_ONLY = 1


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
    """Hands the memory to NumPy and keeps the capsule, whose destructor gives it back."""

    def __init__(self, capsule: Any, interface: dict[str, Any]):
        self.capsule, self.__array_interface__ = capsule, interface


def borrow(capsule: Any, on_gpu: bool = False) -> "tuple[np.ndarray[Any, Any], DType]":
    """The memory of a versioned capsule as an array of bare bits, and its dtype: of the CPU, or of
    a GPU as a CudaView.
    """
    if not _is_valid(capsule, b"dltensor_versioned"):
        raise ValueError(
            "its DLPack capsule is of the old, unversioned kind, which cannot say whether the "
            "memory may be written; pass a view with a buffer (tensor.numpy()), or use the "
            "framework's own adapter"
        )
    managed = _Managed.from_address(_pointer(capsule, b"dltensor_versioned"))
    if managed.major != 1:
        raise ValueError(
            f"its DLPack version is {managed.major}.{managed.minor}; fastinit knows version 1"
        )
    tensor = managed.tensor
    dtypes = _DTYPES_ON_GPU if on_gpu else _DTYPES
    dtype = dtypes.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    if dtype is None:
        raise TypeError(
            f"its DLPack dtype (code {tensor.code}, {tensor.bits} bits, {tensor.lanes} lanes) "
            "cannot be filled"
        )
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    if 0 in shape:
        return np.empty(shape, dtype.unsigned), dtype
    strides = (
        tuple(tensor.strides[axis] * dtype.itemsize for axis in range(tensor.ndim))
        if tensor.strides
        else None
    )
    if on_gpu:
        from .._cuda import lend

        return lend.of_dlpack(
            tensor.data + tensor.byte_offset,
            shape,
            strides,
            dtype.unsigned,
            tensor.device_id,
            bool(managed.flags & _READ_ONLY),
            capsule,
        ), dtype
    lender = _Lender(
        capsule,
        {
            "data": (tensor.data + tensor.byte_offset, bool(managed.flags & _READ_ONLY)),
            "shape": shape,
            "strides": strides,
            "typestr": dtype.unsigned.str,
            "version": 3,
        },
    )
    return np.asarray(lender), dtype
