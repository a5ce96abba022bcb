"""A GPU in the host's memory: the kernels of cuda.cu compiled by the host's C compiler, and the
driver calls that device.py makes.

Threads run one after another, memory is the host's, and streams have no order of their own.
Everything above the driver, from a destination to the arguments of a launch, and everything below
it, from these arguments to the bits, is the code that runs for a real GPU.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import types
from enum import IntEnum
from pathlib import Path

import numpy as np

from fastinit._core import dlpack, engine
from fastinit._cuda import device, lend, program

COMPILER = next((name for name in ("gcc", "cc", "clang") if shutil.which(name)), None)
FUSES = platform.machine() in ("x86_64", "AMD64")  # only if asked; AArch64 fuses by itself
OPTIONS = (
    "-x",
    "c",
    "-std=gnu11",
    "-O2",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
)


def build(folder: Path, *options: str) -> ctypes.CDLL:
    """The kernels for the host."""
    text, headers = program.sources()
    source = folder / "isa" / "cuda.cu"
    for path, content in (
        (source, text),
        *((source.parent / name, content) for name, content in headers.items()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    library = folder / "kernels.so"
    subprocess.run(
        [COMPILER, *OPTIONS, *options, str(source), "-o", str(library), "-lm"], check=True
    )
    return ctypes.CDLL(str(library))


class Status(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NOT_INITIALIZED = 3
    CUDA_ERROR_INVALID_IMAGE = 200


OK = Status.CUDA_SUCCESS


class Driver:
    """The calls of cuda.bindings.driver that device.py makes.  `calls` counts them by name."""

    CUresult = Status
    CUdevice_attribute = types.SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT=16,
    )

    def __init__(self, library: ctypes.CDLL, processors: int = 3):
        self.library, self.processors = library, processors
        self.memory: dict[int, np.ndarray] = {}
        self.calls: dict[str, int] = {}
        self.contexts: list[int] = [0]
        self.captured, self.mode = False, 0
        self.foreign: set[int] = set()  # addresses that CUDA does not know
        self.ordinals: dict[int, int] = {}  # of addresses on another GPU than the first
        self.fails: dict[str, Status] = {}  # calls that only return an error

    def __getattribute__(self, name):
        if name.startswith("cu") and name[2:3].isupper():
            calls = object.__getattribute__(self, "calls")
            calls[name] = calls.get(name, 0) + 1
            if name in self.fails:
                error = self.fails[name]
                return lambda *given: (error,) if name == "cuLaunchKernel" else (error, None)
        return object.__getattribute__(self, name)

    def cuGetErrorName(self, status):
        return OK, status.name.encode()

    def cuGetErrorString(self, status):
        return OK, b"emulated"

    CUstreamCaptureMode = types.SimpleNamespace(CU_STREAM_CAPTURE_MODE_RELAXED=2)

    def cuThreadExchangeStreamCaptureMode(self, mode):
        before, self.mode = self.mode, mode
        return OK, before

    CUpointer_attribute = types.SimpleNamespace(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL=9)

    def cuPointerGetAttribute(self, attribute, address):
        if address in self.foreign:
            return Status.CUDA_ERROR_INVALID_VALUE, None
        return OK, self.ordinals.get(address, 0)

    def cuDriverGetVersion(self):
        return OK, 12040

    def cuDeviceGet(self, ordinal):
        return OK, ordinal

    def cuDeviceGetName(self, size, handle):
        return OK, b"emulated GPU\0\0"

    def cuDeviceGetAttribute(self, attribute, handle):
        return OK, {75: 9, 76: 0, 16: self.processors}[attribute]

    def cuDevicePrimaryCtxRetain(self, handle):
        return OK, 1000 + handle

    def cuCtxGetCurrent(self):
        return OK, self.contexts[-1]

    def cuCtxPushCurrent(self, context):
        self.contexts.append(context)
        return (OK,)

    def cuCtxPopCurrent(self):
        return OK, self.contexts.pop()

    def cuModuleLoadData(self, part):
        return OK, part

    def cuModuleGetFunction(self, module, name):
        return OK, getattr(self.library, name.decode())

    def cuLaunchKernel(self, kernel, x, y, z, threads, ty, tz, shared, stream, arguments, extra):
        assert self.contexts[-1], "no context is current"
        assert (y, z, threads, ty, tz, shared, extra) == (1, 1, 256, 1, 1, 0, 0) and 0 < x < 2**31
        kernel(ctypes.c_void_p(ctypes.c_void_p.from_address(arguments).value), ctypes.c_uint32(x))
        return (OK,)

    def cuMemAlloc(self, size):
        memory = np.empty(size + 256, np.uint8)
        address = memory.ctypes.data + -memory.ctypes.data % 256
        self.memory[address] = memory
        return OK, address

    def cuMemFree(self, address):
        del self.memory[address]
        return (OK,)

    def cuMemAllocAsync(self, size, stream):
        return self.cuMemAlloc(size)

    def cuMemFreeAsync(self, address, stream):
        return self.cuMemFree(address)

    def cuMemsetD8Async(self, address, value, size, stream):
        ctypes.memset(address, value, size)
        return (OK,)

    def cuMemcpyHtoDAsync(self, to, source, size, stream):
        ctypes.memmove(to, source, size)
        return (OK,)

    cuMemcpyDtoHAsync = cuMemcpyHtoDAsync

    def cuStreamCreate(self, flags):
        return OK, 77

    def cuStreamDestroy(self, stream):
        return (OK,)

    def cuStreamSynchronize(self, stream):
        return (OK,)

    def cuStreamIsCapturing(self, stream):
        return OK, types.SimpleNamespace(value=int(self.captured))


def install(monkeypatch, library: ctypes.CDLL, **options) -> Driver:
    """Let device.py find this GPU, and no kernel of another."""
    driver = Driver(library, **options)
    monkeypatch.setattr(device, "driver", lambda: driver)
    monkeypatch.setattr(lend, "driver", lambda: driver)
    monkeypatch.setattr(device, "_devices", {})
    monkeypatch.setattr(engine, "_drawing", {})
    monkeypatch.setattr(program, "machine_code", lambda architecture: [b""] * program.PARTS)
    return driver


class OnGpu:
    """An array as CuPy or Numba has it: memory of the (emulated) GPU, which NumPy cannot take."""

    def __init__(self, array, *, readonly=False, stream=None, **more):
        self.array = array
        self.__dict__["interface"] = {
            "data": (array.ctypes.data, readonly),
            "shape": array.shape,
            "strides": None if array.flags.c_contiguous else array.strides,
            "typestr": array.dtype.str,
            "version": 3,
            "stream": stream,
            **more,
        }

    @property
    def __cuda_array_interface__(self):
        return self.interface


class ByDlpack:
    """The same by DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream=None, max_version=None):
        assert stream == 1 and max_version == (1, 0)
        capsule = self.array.__dlpack__(max_version=max_version)
        managed = dlpack._Managed.from_address(dlpack._pointer(capsule, b"dltensor_versioned"))
        managed.tensor.device_type = 2
        return capsule
