"""out= through DLPack: NumPy's dtypes, those that it does not know, flags, versions, devices, and
torch tensors.
"""

import ctypes

import numpy as np
import pytest
from out_cases import SHAPE, bits, draw, layouts

from fastinit._core import dlpack
from fastinit._core.dtypes import resolve


class Exporter:
    """Nothing but DLPack."""

    def __init__(self, owner, device=(1, 0)):
        self.owner, self.device = owner, device

    def __dlpack__(self, **options):
        if callable(self.owner):
            return self.owner(**options)
        return self.owner.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


def capsule_of(
    values, code, *, major=1, flags=0, strides=True, shift=0, name=b"dltensor_versioned"
):
    """A capsule over an array of bare bits, as a framework with bfloat16 or 8-bit floats would give
    it.
    """
    kept = []

    def give(**_):
        managed = dlpack._Managed()
        managed.major, managed.flags = major, flags
        tensor = managed.tensor
        tensor.data, tensor.byte_offset = values.ctypes.data - shift, shift
        tensor.device_type, tensor.ndim = 1, values.ndim
        tensor.code, tensor.bits, tensor.lanes = code, 8 * values.itemsize, 1
        sizes = (ctypes.c_int64 * values.ndim)(*values.shape)
        steps = (ctypes.c_int64 * values.ndim)(
            *(stride // values.itemsize for stride in values.strides)
        )
        tensor.shape = ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64))
        if strides:
            tensor.strides = ctypes.cast(steps, ctypes.POINTER(ctypes.c_int64))
        kept.extend([managed, sizes, steps, values])
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        return new(ctypes.addressof(managed), name, None)

    return give


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_dlpack_of_common_dtypes_is_taken(dtype):
    for owner in layouts(dtype).values():
        owner = owner.view(np.ndarray)
        out = Exporter(owner)
        assert draw(out=out) is out
        assert bits(owner) == bits(draw(SHAPE, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "code"), [("bfloat16", 4), ("float8_e4m3fn", 10), ("float8_e5m2", 12)]
)
def test_dlpack_of_dtypes_that_numpy_does_not_know_is_taken(dtype, code):
    unsigned = resolve(dtype).unsigned
    expected = bits(draw(SHAPE, dtype=dtype))
    for layout in layouts(dtype).values():
        owner = layout.view(np.ndarray).view(unsigned)
        draw(out=Exporter(capsule_of(owner, code, shift=16)))
        assert bits(owner) == expected
    owner = np.zeros(SHAPE, unsigned)
    draw(SHAPE, dtype=dtype, out=Exporter(capsule_of(owner, code, strides=False)))
    assert bits(owner) == expected
    assert draw(out=Exporter(capsule_of(owner[:0], code))).owner is not None


def test_dlpack_flags_versions_and_devices_are_honoured():
    owner = np.zeros(SHAPE, np.uint16)
    fixed = np.zeros(4, np.float32)
    fixed.flags.writeable = False

    class Old(Exporter):
        def __dlpack__(self):
            return self.owner.__dlpack__()

    cases = [
        (Exporter(capsule_of(owner, 4, flags=1)), ValueError, "read-only"),
        (Exporter(capsule_of(owner, 4, major=2)), ValueError, "version is (2|too high)"),
        (Exporter(capsule_of(owner, 4, name=b"dltensor")), ValueError, "unversioned"),
        (Exporter(capsule_of(owner, 6)), TypeError, "code 6"),
        (Exporter(fixed), ValueError, "read-only"),
        (Old(np.zeros(4, np.float32)), ValueError, "read-only"),
        (Exporter(np.zeros(4, np.float32), device=(2, 0)), ValueError, "lies on a device"),
        (Exporter(np.zeros(4, np.float32), device=None), ValueError, "which device"),
    ]
    for out, error, message in cases:
        with pytest.raises(error, match=message):
            draw(out=out)
    assert not owner.any()


@pytest.mark.frameworks
def test_torch_tensors_are_filled_through_dlpack():
    import torch

    for dtype in ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        expected = bits(draw((4, 6), dtype=dtype))
        kind = getattr(torch, dtype)
        word = getattr(torch, f"int{8 * resolve(dtype).itemsize}")
        for out in (
            torch.zeros(4, 6).to(kind),
            torch.zeros(6, 4).to(kind).t(),
            torch.zeros(4, 12).to(kind)[:, ::2],
        ):
            assert draw(out=out, dtype=kind) is out
            assert (
                bits(
                    out.view(word).numpy()
                    if out.is_contiguous()
                    else out.contiguous().view(word).numpy()
                )
                == expected
            )
    with pytest.raises(
        ValueError, match=r"require gradient.*tensor\.detach\(\), or fastinit\.torch"
    ):
        draw(out=torch.zeros(3, requires_grad=True))
    with pytest.raises(ValueError, match="device"):
        draw(out=torch.zeros(3, device="meta"))
    with pytest.raises(ValueError, match="overlaps itself"):
        draw(out=torch.zeros(3, 1).expand(3, 4))
