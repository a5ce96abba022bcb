"""Validate `out=` and lend its memory as an array; allocate new arrays.

Anything on the CPU that can lend its memory is accepted: NumPy and ml_dtypes arrays, memmaps, the
buffer protocol, the array interface, DLPack.  GPU memory becomes a CudaView (_cuda/) with a shape
and strides; this module does not access that memory.  It writes no bytes and imports no framework.
shapes.py handles shapes and dlpack.py handles DLPack.
"""

import contextlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..typing import Array
from .arguments import said
from .dtypes import KNOWN, DType, resolve

# Bytes.  Below this, NumPy raises a MemoryError if there is not enough memory.  Above it, Linux may
# overcommit memory and kill the process while the memory is filled.
_LARGE = 1 << 30
_ALIGNED = 1 << 20  # bytes: aligning a smaller array is not worth the microsecond


def borrow(out: Any, dtype: DType | None) -> tuple[Array, DType]:
    """An array over the memory of `out` (in its dtype, or as bare bits) and the dtype; raises if
    it cannot be filled.

    `dtype` is the caller's choice, or None.  A flat buffer of bytes is raw memory for values
    of that dtype.
    """
    if type(out) is np.ndarray or on_gpu(out):
        array, found = out, None
    elif isinstance(out, np.ndarray):
        array, found = _base_array(out), None
    else:
        array, found = _foreign(out, dtype)
    if found is None:
        found = KNOWN.get(array.dtype)
        if found is None:
            found = _named(array, out, dtype)
    if dtype is not None and found is not dtype:
        raise TypeError(
            f"out has dtype {found.name}, but dtype={dtype.name!r} was asked for; "
            "omit dtype, or give an out of that dtype"
        )
    flags = array.flags
    if not flags.writeable:
        raise ValueError("out is read-only; give memory that may be written" + _advice(out))
    if array.size:
        # Foreign arrays lend dtypes unknown to NumPy as void items, which have no alignment.
        if not (flags if array.dtype.kind != "V" else array.view(found.unsigned).flags).aligned:
            raise ValueError(
                f"out is misaligned: its elements do not start at multiples of {found.itemsize} "
                "bytes; copy it to an aligned array"
            )
        if not (flags.c_contiguous or flags.f_contiguous) and _may_overlap_itself(array):
            raise ValueError(
                f"out overlaps itself (shape {array.shape}, strides {array.strides} in bytes): "
                "two elements would share memory; give an array of its own, not a broadcast or "
                "window view"
            )
    return array, found


def on_gpu(array: Any) -> bool:
    """Whether an array is a view of a GPU's memory; no view exists before _cuda is imported."""
    module = sys.modules.get("fastinit._cuda.view")
    return module is not None and isinstance(array, module.CudaView)


def _base_array(out: Any) -> Array:
    ma = sys.modules.get("numpy.ma")
    # Another thread may be importing numpy.ma just now.
    if isinstance(out, getattr(ma, "MaskedArray", ())):
        raise TypeError("out is a masked array, and a fill has no mask; give its .data")
    return out.view(np.ndarray)


def _named(array: Array, out: Any, dtype: DType | None) -> DType:
    """The DType of a dtype not seen before.  Foreign void items of the right width count as the
    `dtype` that the caller asked for.
    """
    if (
        array.dtype.kind == "V"
        and array.dtype.names is None
        and dtype is not None
        and array.dtype.itemsize == dtype.itemsize
        and type(out) is not np.ndarray
    ):
        return dtype
    try:
        return resolve(array.dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"out: {error}") from None


def _foreign(out: Any, dtype: DType | None) -> tuple[Array, DType | None]:
    """Memory lent by something that is not a NumPy array."""
    if isinstance(out, np.generic):
        raise TypeError(
            f"out is a NumPy scalar ({out.dtype.name}), which cannot be written; give a 0-d array"
        )
    if type(out).__module__.split(".")[0] in ("jax", "jaxlib"):
        raise TypeError(
            "out is a JAX array, and those never change; use fastinit.jax, or make a new array"
        )
    if type(out).__module__.split(".")[0] == "torch" and getattr(out, "is_cuda", False) is True:
        return _by_torch_on_gpu(out)
    on_cuda = _asked(out, "__cuda_array_interface__")
    if isinstance(on_cuda, dict):
        return _by_cuda_interface(out, on_cuda), None
    # Read once: an object may make a new buffer at each access.
    interface = _asked(out, "__array_interface__")
    if isinstance(interface, dict):
        return _by_interface(out, interface), None
    try:
        view = memoryview(out)
    except (TypeError, ValueError, BufferError):
        view = None
    if view is not None:
        return _by_buffer(out, view, dtype)
    if hasattr(out, "__dlpack__"):
        return _by_dlpack(out)
    raise TypeError(
        f"out is {type(out).__module__}.{type(out).__qualname__}, which lends no memory; give a "
        "NumPy array or an object with the buffer protocol, __array_interface__ or __dlpack__ on "
        "the CPU"
    )


def _asked(out: Any, attribute: str) -> Any:
    """An attribute of a foreign object, or None if it is missing; any other error it raises becomes
    an error about `out`.
    """
    try:
        return getattr(out, attribute, None)
    except Exception as error:
        raise TypeError(
            f"out is {type(out).__module__}.{type(out).__qualname__}, whose {attribute} raises "
            f"{type(error).__name__}: {said(error)}"
        ) from None


def _by_torch_on_gpu(out: Any) -> tuple[Array, DType]:
    out = _without_grad(out)
    if str(out.layout) != "torch.strided" or out.is_neg() or out.is_conj():
        raise TypeError(
            "out is a torch tensor whose values do not lie in its memory as they are (a sparse "
            "layout, or a lazy negative or conjugate); give a plain one"
        )
    with _explained():
        from .._cuda import lend

        kind = resolve(out.dtype)  # first: a complex dtype has no view
        lend.driver()
        return lend.of_torch(out), kind


def _by_cuda_interface(out: Any, interface: dict[str, Any]) -> Array:
    with _explained():
        from .._cuda import lend

        return lend.of_interface(out, interface)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn Unavailable, which says what is missing, into a ValueError about `out`."""
    from .._cuda.program import Unavailable

    try:
        yield
    except Unavailable as error:
        raise ValueError(f"out lies on a GPU, which fastinit cannot reach: {error}") from None


class _Interface:
    """The interface of a foreign object without the object itself: asarray might copy the object
    through __array__.
    """

    def __init__(self, out: Any, interface: dict[str, Any]):
        self.owner, self.__array_interface__ = out, interface


def _by_interface(out: Any, interface: dict[str, Any]) -> Array:
    from numpy.lib.array_utils import byte_bounds

    try:
        array = np.asarray(_Interface(out, interface))
    except Exception as error:
        raise TypeError(
            f"out has an __array_interface__ that NumPy refuses: {said(error)}"
        ) from None
    # NumPy checks neither the address nor whether an offset stays within a buffer.
    low, high = 1, 1 << 63
    if not isinstance(interface.get("data"), tuple):
        lent = np.frombuffer(interface.get("data", out), np.uint8)
        low, high = lent.ctypes.data, lent.ctypes.data + lent.nbytes
    begin, end = byte_bounds(array)
    if array.size and not low <= begin < end <= high:
        raise ValueError(
            f"out has an __array_interface__ that gives the bytes {begin:#x} to {end:#x}, of "
            f"shape {array.shape} and strides {array.strides}, which are not all its own memory"
        )
    return array


def _by_buffer(out: Any, view: memoryview, dtype: DType | None) -> tuple[Array, DType | None]:
    if _is_raw(view, dtype):
        assert dtype is not None
        if view.nbytes % dtype.itemsize:
            raise ValueError(
                f"out is raw memory of {view.nbytes} bytes, which is not a whole number of "
                f"{dtype.name} values"
            )
        if not view.nbytes:
            return np.empty(0, dtype.unsigned), dtype
        return np.frombuffer(out, dtype.unsigned), dtype
    try:
        return np.asarray(view), None
    except Exception as error:
        raise TypeError(
            f"out has a buffer of format {view.format!r} that NumPy refuses: {error}"
        ) from None


def _is_raw(view: memoryview, dtype: DType | None) -> bool:
    """Whether a buffer is flat bytes that stand for values of `dtype`."""
    if dtype is None or dtype.name in ("uint8", "int8"):
        return False
    return view.format.lstrip("@=<>") in ("B", "b", "c") and view.ndim == 1 and view.c_contiguous


def is_flat(out: Any, dtype: DType) -> bool:
    """Whether `out` is memory with a length but no shape (array.array, bytearray, mmap), so any
    shape with the right number of values fits.
    """
    if isinstance(out, np.ndarray):
        return False
    try:
        view = memoryview(out)
    except (TypeError, ValueError, BufferError):
        return False
    if hasattr(out, "__array_interface__"):
        return False
    return _is_raw(view, dtype) or (view.ndim == 1 and not hasattr(out, "shape"))


def _without_grad(out: Any) -> Any:
    """A torch parameter, detached so that it can be filled as under no_grad."""
    if not (getattr(out, "requires_grad", False) and hasattr(out, "detach")):
        return out
    out = out.detach()
    try:
        out[None][:0].zero_()  # an in-place write makes autograd notice the change
    except RuntimeError as error:
        raise ValueError(f"out cannot be written in place: {error}") from None
    return out


def _by_dlpack(out: Any) -> tuple[Array, DType | None]:
    if getattr(out, "is_meta", False):
        raise ValueError(
            "out is a tensor on torch's meta device, which has no memory; give it memory first "
            "(torch.empty_like(out, device='cpu')), or make a whole model real by "
            "fastinit.torch.materialize_"
        )
    if _is_negated(out):
        raise ValueError(
            "out is a view whose values torch negates when it reads them (as of z.conj().imag), so "
            "they would have the other sign; fill the tensor that it is a view of, or use "
            "fastinit.torch"
        )
    out = _without_grad(out)
    try:
        kind, number = out.__dlpack_device__()
        device = int(kind), int(number)
    except Exception as error:
        raise ValueError(
            f"out does not say on which device it lies ({said(error)}); fastinit fills CPU memory"
        ) from None
    from . import dlpack

    on_gpu = device[0] in dlpack.CUDA_DEVICES
    if not on_gpu and device[0] not in dlpack.CPU_DEVICES:
        raise ValueError(
            f"out lies on a device (DLPack type {device[0]}); fastinit fills memory of the CPU and "
            "of NVIDIA GPUs: fill a CPU buffer and copy it, or use the framework's adapter"
        )
    options: dict[str, Any] = {"max_version": (1, 0)}
    if on_gpu:
        options["stream"] = 1  # the legacy default stream
    try:
        try:
            capsule = out.__dlpack__(**options)
        except TypeError:  # written before DLPack 1.0
            capsule = out.__dlpack__()
    except Exception as error:
        raise ValueError(f"out does not lend its memory: {said(error)}{_advice(out)}") from None
    try:
        if on_gpu:
            with _explained():
                return dlpack.borrow(capsule, device)
        return dlpack.borrow(capsule, device)
    except (TypeError, ValueError) as error:
        raise type(error)(f"out: {error}") from None


def _is_negated(out: Any) -> bool:
    """Whether a torch tensor has the negative bit, which DLPack does not pass on."""
    return hasattr(out, "is_neg") and bool(out.is_neg())


def _advice(out: Any) -> str:
    if type(out).__module__.split(".")[0] == "torch":
        return " (torch: tensor.detach(), or fastinit.torch)"
    return ""


def _may_overlap_itself(array: Array) -> bool:
    """False only if each stride, from the smallest up, exceeds the range that the smaller strides
    reach; True if in doubt.
    """
    reach = array.itemsize
    for stride, size in sorted(
        (abs(stride), size) for stride, size in zip(array.strides, array.shape, strict=True)
    ):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def check_apart(views: "list[tuple[str, Array]]") -> None:
    """Raise ValueError if two of the named arrays share a byte."""
    from numpy.lib.array_utils import byte_bounds

    active: list[tuple[int, str, Array]] = []
    for low, high, name, view in sorted(
        ((*byte_bounds(view), name, view) for name, view in views if view.size),
        key=lambda item: item[:2],
    ):
        active = [item for item in active if item[0] > low]
        for _, other_name, other in active:
            try:
                shared = np.shares_memory(view, other, max_work=1_000_000)  # type: ignore[arg-type]
            except Exception:  # TooHardError: with these strides the check would take too long
                shared = True
            if shared:
                raise ValueError(
                    f"{other_name} and {name} overlap in memory; one would overwrite the other"
                )
        active.append((high, name, view))


def allocate(shape: tuple[int, ...], dtype: DType) -> Array:
    """A new array, or a MemoryError before any of its memory is touched."""
    size = math.prod(shape) * dtype.itemsize
    if size > _LARGE:
        available = _available()
        if size > available:
            raise MemoryError(
                f"an array of shape {shape} and dtype {dtype.name} takes {size / 2**30:.1f} GiB, "
                f"and {available / 2**30:.1f} GiB are available; draw it in regions, or into a "
                "memmap"
            )
    try:
        if size < _ALIGNED:
            return np.empty(shape, dtype.numpy())
        # Start on a cache line: the native engine then uses non-temporal stores, and JAX takes the
        # memory without a copy.  NumPy's own arrays start 16 bytes after one.
        memory = np.empty(size + 64, np.uint8)
        start = -memory.__array_interface__["data"][0] % 64
        return memory[start : start + size].view(dtype.numpy()).reshape(shape)
    except MemoryError:
        raise MemoryError(
            f"no memory for an array of shape {shape} and dtype {dtype.name} ({size / 2**30:.3g} "
            "GiB); draw it in regions, or into a memmap"
        ) from None


def _available() -> float:
    """Bytes that can be used before the system kills the process; infinity if unknown."""
    best = math.inf
    try:
        sizes = {
            line.split(":")[0]: int(line.split()[1]) * 1024
            for line in _read("/proc/meminfo").splitlines()
        }
        best = sizes["MemAvailable"] + sizes.get("SwapFree", 0)
    except (OSError, ValueError, KeyError, IndexError):
        pass
    # A container's own limit, cgroup v2 or v1; its page cache can be dropped.
    for folder, names in (
        ("/sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")),
        (
            "/sys/fs/cgroup/memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ):
        try:
            limit, used, text = [_read(f"{folder}/{name}") for name in (*names[:2], "memory.stat")]
            statistics = dict(line.split() for line in text.splitlines())
            best = min(best, int(limit) - int(used) + int(statistics[names[2]]))
        except (OSError, ValueError, KeyError):  # missing, or "max": no limit
            continue
    return best


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
