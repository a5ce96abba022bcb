"""out= takes any writable CPU memory and gives it the bits of a new array; anything else is refused
and left untouched.
"""

import array
import ctypes
import mmap
import pathlib
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from out_cases import SHAPE, bits, draw, layouts

from fastinit._core import buffers, draws
from fastinit._core.dtypes import FLOATING, resolve

EVERY = pytest.mark.parametrize("dtype", [dtype.name for dtype in FLOATING])


def constant_rule(shape, dtype, *, value=0):
    return draws.constant(value, dtype)


# ----------------------------------------------------------------------------- memory that is taken


@EVERY
def test_every_memory_order_holds_the_same_values(dtype):
    expected = bits(draw(SHAPE, dtype=dtype))
    for name, out in layouts(dtype).items():
        assert draw(out=out) is out
        assert bits(out) == expected, name
        base = out
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert np.count_nonzero(base.view(resolve(dtype).unsigned)) <= out.size, (
            f"{name}: wrote outside"
        )


@EVERY
def test_shape_and_dtype_may_repeat_those_of_out(dtype):
    out = np.zeros(SHAPE, resolve(dtype).numpy())
    assert draw(list(SHAPE), dtype=dtype, out=out) is out
    assert bits(out) == bits(draw(SHAPE, dtype=dtype))


def test_axes_of_length_one_may_have_any_stride():
    out = np.lib.stride_tricks.as_strided(np.zeros(5, np.float32), (1, 5, 1), (0, 4, 3))
    assert bits(draw(out=out[:, :, :])) == bits(draw(5))


@EVERY
def test_memmaps_are_filled_in_the_file(dtype, tmp_path):
    out = np.memmap(tmp_path / "w", resolve(dtype).numpy(), "w+", shape=SHAPE)
    assert draw(out=out) is out
    out.flush()
    assert (tmp_path / "w").read_bytes() == bits(draw(SHAPE, dtype=dtype))


@pytest.mark.parametrize(("code", "dtype"), [("f", "float32"), ("d", "float64")])
def test_array_module_and_its_memoryview_are_filled(code, dtype):
    out = array.array(code, bytes(120 * np.dtype(dtype).itemsize))
    for memory in (out, memoryview(out)):
        assert draw(out=memory) is memory
        assert out.tobytes() == bits(draw(120, dtype=dtype))
    cut = memoryview(array.array(code, bytes(120 * np.dtype(dtype).itemsize)))[10:90:3]
    draw(out=cut)
    assert cut.tolist() == draw(27, dtype=dtype).tolist()


def test_ctypes_arrays_and_half_floats_of_memoryview_are_filled():
    out = ((ctypes.c_float * 4) * 3)()
    draw(out=out)
    assert bytes(out) == bits(draw((3, 4)))
    half = np.zeros((3, 4), np.float16)
    draw((3, 4), out=memoryview(half))
    assert bits(half) == bits(draw((3, 4), dtype="float16"))


@EVERY
def test_a_flat_buffer_of_bytes_is_raw_memory_of_the_given_dtype(dtype):
    expected = bits(draw(SHAPE, dtype=dtype))
    with mmap.mmap(-1, len(expected)) as pages:
        for out in (
            bytearray(len(expected)),
            memoryview(bytearray(len(expected))),
            ctypes.create_string_buffer(len(expected)),
            pages,
        ):
            assert draw(SHAPE, dtype=dtype, out=out) is out
            assert bytes(memoryview(out)) == expected
            draw(dtype=dtype, out=out)
            assert bytes(memoryview(out)) == bits(draw(120, dtype=dtype))
    whole = bytearray(len(expected))
    step = len(expected) // 6
    for row in range(6):
        draw(
            SHAPE,
            dtype=dtype,
            region=(row, ...),
            out=memoryview(whole)[row * step : (row + 1) * step],
        )
    assert whole == expected


def test_memory_with_a_length_and_no_shape_takes_any_shape():
    out = array.array("f", bytes(480))
    assert draw(SHAPE, out=out) is out
    assert out.tobytes() == bits(draw(SHAPE))
    for shaped in (
        ((ctypes.c_float * 4) * 30)(),
        memoryview(out),
        Interface(np.zeros(120, np.float32)),
    ):
        with pytest.raises(ValueError, match=r"the tensor to fill has shape \(6, 5, 4\)"):
            draw(SHAPE, out=shaped)


def test_raw_memory_must_hold_whole_values_of_the_shape():
    with pytest.raises(ValueError, match="10 bytes, which is not a whole number of float32"):
        draw(2, dtype="float32", out=bytearray(10))
    with pytest.raises(
        ValueError, match=r"out has shape \(3,\), but the tensor to fill has shape \(2,\)"
    ):
        draw(2, dtype="float32", out=bytearray(12))
    with pytest.raises(ValueError, match="misaligned"):
        draw(2, dtype="float32", out=memoryview(bytearray(12))[1:9])
    with pytest.raises(TypeError, match="floating dtype, not uint8"):
        draw(out=bytearray(12))
    assert draw(0, dtype="float64", out=bytearray()) == bytearray()


def test_integer_buffers_take_constants():
    for out in (
        bytearray(4),
        array.array("l", [0] * 4),
        np.zeros(4, bool),
        memoryview(array.array("H", [0] * 4)),
    ):
        draw(out=out, rule=constant_rule, value=1)
        assert np.asarray(out).tolist() == [1] * 4


class Interface:
    """Nothing but the array interface of an array."""

    def __init__(self, owner, **changes):
        self.owner = owner
        self.__array_interface__ = owner.__array_interface__ | changes

    def __array__(self, *_, **__):
        raise AssertionError("__array__ may give a copy")


@EVERY
def test_memory_is_filled_through_the_array_interface(dtype):
    expected = bits(draw(SHAPE, dtype=dtype))
    owner = np.zeros(SHAPE, resolve(dtype).numpy())
    if owner.dtype.kind == "f" and owner.dtype.isbuiltin == 1:
        draw(out=Interface(owner))
        assert bits(owner) == expected
    else:  # the interface has no code for these, so the dtype is given
        with pytest.raises((TypeError, ValueError), match="out"):
            draw(out=Interface(owner, typestr=f"|V{owner.itemsize}"))
        draw(
            out=Interface(
                owner, typestr=f"|V{owner.itemsize}", descr=[("", f"|V{owner.itemsize}")]
            ),
            dtype=dtype,
        )
        assert bits(owner) == expected
    owner[...] = 0
    address = owner.__array_interface__["data"][0]
    with pytest.raises(ValueError, match="read-only"):
        draw(
            out=Interface(owner.view(resolve(dtype).unsigned), data=(address, True)),
            rule=constant_rule,
            value=1,
        )
    assert not owner.view(resolve(dtype).unsigned).any()


@pytest.mark.frameworks
def test_jax_arrays_are_refused_as_immutable():
    import jax.numpy as jnp

    out = jnp.zeros(3)
    with pytest.raises(TypeError, match=r"JAX array, and those never change; use fastinit\.jax"):
        draw(out=out)
    assert not np.asarray(out).any()


# ---------------------------------------------------------------------------------- what is refused


class Raising:
    @property
    def __array_interface__(self):
        raise OSError("gone")


def read_only():
    out = np.zeros(8, np.float32)
    out.flags.writeable = False
    return out


def masked():
    return np.ma.masked_array(np.zeros(8, np.float32), mask=[True] * 8)


def windows():
    return np.lib.stride_tricks.sliding_window_view(np.zeros(9, np.float32), 2, writeable=True)


def misaligned():
    return np.zeros(33, np.uint8)[1:].view(np.float32)


def odd_stride():
    return np.zeros(8, [("a", "u1"), ("b", "f4")])["b"]


REFUSED = [
    (read_only, ValueError, "read-only; give memory that may be written"),
    (lambda: np.broadcast_to(np.zeros(4, np.float32), (2, 4)), ValueError, "read-only"),
    (lambda: b"12345678", ValueError, "read-only"),
    (lambda: memoryview(array.array("f", [0.0] * 4)).toreadonly(), ValueError, "read-only"),
    (
        lambda: np.zeros(8, np.dtype(np.float32).newbyteorder()),
        ValueError,
        "out: dtype .* is byte-swapped",
    ),
    (misaligned, ValueError, "misaligned: its elements do not start at multiples of 4 bytes"),
    (odd_stride, ValueError, "misaligned"),
    (windows, ValueError, r"overlaps itself \(shape \(8, 2\), strides \(4, 4\)"),
    (
        lambda: np.lib.stride_tricks.as_strided(np.zeros(4, np.float32), (4, 4), (4, 0)),
        ValueError,
        "overlaps itself",
    ),
    (
        lambda: np.lib.stride_tricks.as_strided(np.zeros(9, np.float32)[4:], (3, 3), (4, -4)),
        ValueError,
        "overlaps itself",
    ),
    (masked, TypeError, r"masked array, and a fill has no mask; give its \.data"),
    (lambda: np.zeros(8, object), TypeError, "object arrays hold no numbers"),
    (lambda: np.zeros(8, np.complex64), TypeError, "complex dtypes have no draw"),
    (lambda: np.zeros(8, [("a", "f4")]), TypeError, "structured dtype"),
    (lambda: np.zeros(8, "M8[s]"), TypeError, "holds no plain numbers"),
    (lambda: np.zeros(8, np.int32), TypeError, "floating dtype, not int32"),
    (lambda: np.zeros(8, ml_dtypes.int4), ValueError, "unknown dtype 'int4'"),
    (lambda: np.float32(0), TypeError, "NumPy scalar"),
    (
        lambda: [0.0] * 8,
        TypeError,
        r"out is builtins\.list, which lends no memory; give a NumPy array",
    ),
    (lambda: 3.0, TypeError, "lends no memory"),
    (lambda: "text", TypeError, "lends no memory"),
    (lambda: array.array("u", "text"), TypeError, "buffer of format|holds no plain numbers"),
    (lambda: Interface(np.zeros(3, np.float32), typestr="<x9"), TypeError, "that NumPy refuses"),
    # NumPy takes these, and a write would crash or reach another object's memory.
    (
        lambda: Interface(np.zeros(4, np.float32), data=(-8, False)),
        ValueError,
        "are not all its own memory",
    ),
    (
        lambda: Interface(np.zeros(4, np.float32), data=bytearray(16), offset=1 << 40),
        ValueError,
        "are not all its own memory",
    ),
    (
        lambda: Interface(np.zeros(4, np.float32), data=bytearray(16), strides=(-4,)),
        ValueError,
        "are not all its own memory",
    ),
    (lambda: Raising(), TypeError, "whose __array_interface__ raises OSError: gone"),
]


@pytest.mark.filterwarnings("ignore:The 'u' type code:DeprecationWarning")
@pytest.mark.parametrize(("make", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_filled_is_refused_by_name_and_left_untouched(make, error, message):
    out = make()
    before = np.array(out, copy=True) if isinstance(out, np.ndarray) else None
    with pytest.raises(error, match=message):
        draw(out=out)
    if before is not None:
        assert np.array_equal(np.asarray(out), np.asarray(before))


def test_a_wrong_dtype_or_shape_of_out_is_named():
    out = np.zeros((3, 4), np.float32)
    with pytest.raises(
        TypeError, match="out has dtype float32, but dtype='bfloat16' was asked for"
    ):
        draw(out=out, dtype="bfloat16")
    with pytest.raises(
        ValueError, match=r"out has shape \(3, 4\), but the tensor to fill has shape \(4, 3\)"
    ):
        draw((4, 3), out=out)
    with pytest.raises(ValueError, match=r"shape \(3, 4\).*shape \(12,\)"):
        draw(12, out=out)
    assert not out.any()


def test_an_out_of_size_zero_may_have_any_strides():
    for out in (
        np.zeros((0, 3), np.float32),
        np.zeros((3, 0), np.float16).T,
        np.broadcast_to(np.float32(0), (0, 3)).copy(),
    ):
        assert draw(out=out) is out
    with pytest.raises(ValueError, match="read-only"):
        draw(out=np.broadcast_to(np.float32(0), (0, 3)))


def test_the_overlap_check_is_sound():
    random = np.random.default_rng(0)
    memory = np.zeros(400, np.uint8)
    found = {True: 0, False: 0}
    for _ in range(3000):
        axes = int(random.integers(1, 4))
        shape = random.integers(1, 5, axes)
        strides = random.integers(-12, 13, axes)
        view = np.lib.stride_tricks.as_strided(memory[200:], shape, strides)
        offsets = sum(
            np.ix_(*(np.arange(size) * step for size, step in zip(shape, strides, strict=True)))
        )
        overlaps = len(np.unique(offsets)) < view.size
        said = buffers._may_overlap_itself(view)
        assert said or not overlaps
        found[said] += 1
    assert min(found.values()) > 300


# ------------------------------------------------------------------------------------------- memory


def test_too_large_an_array_is_a_memory_error_before_anything_is_touched():
    with pytest.raises(
        MemoryError, match=r"takes 4194304\.0 GiB, and .* GiB are available; draw it in regions"
    ):
        draw(2**50)


def test_available_memory_is_below_the_machines_total():
    available = buffers._available()
    if sys.platform == "linux":
        total = (
            int(pathlib.Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]) * 1024
        )
        assert 0 < available <= total + 2**34


@pytest.mark.skipif(sys.platform != "linux", reason="sets an address-space limit")
def test_a_failed_allocation_is_a_clear_memory_error():
    code = (
        "import resource; from fastinit._core import draws, fill\n"
        "rule = lambda shape, dtype: draws.uniform(0.0, 1.0, dtype)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "try: fill.apply(rule, {}, 2**28 - 1, 'float64', None, None, 0, None, None)\n"
        "except MemoryError as error: assert 'draw it in regions' in str(error), error\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
