"""out= through DLPack: dtypes of NumPy and others, flags, versions, devices, and torch tensors."""

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
    """A capsule over an array of bare bits, as a framework with bfloat16 or 8-bit floats exports
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
def test_common_dtypes_are_filled_through_dlpack(dtype):
    for owner in layouts(dtype).values():
        owner = owner.view(np.ndarray)
        out = Exporter(owner)
        assert draw(out=out) is out
        assert bits(owner) == bits(draw(SHAPE, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "code"), [("bfloat16", 4), ("float8_e4m3fn", 10), ("float8_e5m2", 12)]
)
def test_dtypes_that_numpy_lacks_are_filled_through_dlpack(dtype, code):
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
        (Exporter(np.zeros(4, np.float32), device=(2, 0)), ValueError, "does not lend its memory"),
        (Exporter(np.zeros(4, np.float32), device=(4, 0)), ValueError, "lies on a device"),
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
    with pytest.raises(ValueError, match="device"):
        draw(out=torch.zeros(3, device="meta"))
    with pytest.raises(ValueError, match="overlaps itself"):
        draw(out=torch.zeros(3, 1).expand(3, 4))
    # Written values would be read with the other sign.
    base = torch.zeros(3, dtype=torch.complex64)
    with pytest.raises(ValueError, match="negates when it reads"):
        draw(out=base.conj().imag)
    assert not base.any() and draw(out=base.imag).any()


def test_an_error_of_a_producer_is_cut():
    class Broken:
        def __dlpack_device__(self):
            return 1, 0

        def __dlpack__(self, **options):
            raise RuntimeError("x" * 1_000_000)

    with pytest.raises(ValueError, match="out does not lend its memory: xxx") as caught:
        draw(out=Broken())
    assert len(str(caught.value)) < 400


# -------------------------------------------------------------------------- capsules that lie


def lying(values, code, change, name=b"dltensor_versioned"):
    """A capsule whose tensor was changed after it was made."""
    give = capsule_of(values, code, name=name)

    def changed(**options):
        capsule = give(**options)
        managed = dlpack._Managed.from_address(dlpack._pointer(capsule, name))
        change(managed.tensor)
        return capsule

    return changed


def set_to(**fields):
    def change(tensor):
        for field, value in fields.items():
            setattr(tensor, field, value)

    return change


def set_item(field, value):
    def change(tensor):
        getattr(tensor, field)[0] = value

    return change


NULL = ctypes.POINTER(ctypes.c_int64)()
LIES = {
    "on a GPU": (set_to(device_type=2), "lies on a device"),
    "fewer than no axes": (set_to(ndim=-1), "has -1 axes"),
    "too many axes": (set_to(ndim=1 << 20), "axes"),
    "no shape": (set_to(shape=NULL), "shape is a NULL pointer"),
    "no memory": (set_to(data=None, byte_offset=0), "data is a NULL pointer"),
    "a negative size": (set_item("shape", -5), "sizes must be >= 0"),
    "a stride beyond the address space": (set_item("strides", 1 << 62), "address space"),
    "a size beyond the address space": (set_item("shape", 1 << 62), "address space"),
    "an offset beyond the address space": (set_to(byte_offset=1 << 63), "address space"),
    "a negative stride below zero": (set_item("strides", -(1 << 62)), "address space"),
}


@pytest.mark.parametrize("code", [4, 2], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("lie", LIES)
def test_a_capsule_that_lies_is_refused_and_nothing_is_written(lie, code):
    change, message = LIES[lie]
    values = np.full((6, 8), 7, np.uint16)
    with pytest.raises(ValueError, match=message):
        draw(None, out=Exporter(lying(values, code, change)))
    assert (values == 7).all()


def test_a_capsule_is_requested_once():
    asked = []
    array = np.zeros((6, 8), np.float32)

    def give(**options):
        asked.append(options)
        return array.__dlpack__(**options)

    draw(None, out=Exporter(give))
    assert len(asked) == 1 and array.any()


def test_an_array_interface_is_read_once():
    class Fresh:
        """Makes new memory at each access."""

        made: list = []

        @property
        def __array_interface__(self):
            self.made.append(np.zeros((6, 8), np.float32))
            return self.made[-1].__array_interface__

    out = Fresh()
    draw(None, out=out)
    assert len(out.made) == 1 and out.made[0].any()


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_torch_parameter_is_filled_as_under_no_grad(dtype):
    import torch

    import fastinit as fi

    parameter = torch.nn.Parameter(torch.zeros(6, 8, dtype=getattr(torch, dtype)))
    scalar = torch.nn.Parameter(torch.zeros((), dtype=getattr(torch, dtype)))
    before = parameter._version, scalar._version
    fi.fill({"w": (parameter, "he_normal"), "s": (scalar, "ones")}, seed=3)
    want = fi.he_normal((6, 8), seed=3, name="w", dtype=dtype)
    assert parameter.requires_grad and parameter.grad is None
    assert np.array_equal(parameter.detach().float().numpy(), want.astype(np.float32))
    assert scalar.item() == 1.0
    assert parameter._version > before[0] and scalar._version > before[1]  # autograd is told
