"""A GPU in the host's memory: the kernels of cuda.cu compiled by the host's C compiler, and the
driver calls that device.py makes.

Threads run one after another, memory is the host's, streams keep no order of their own. Everything
above the driver, from a destination to the arguments of a launch, and everything below it, from
those arguments to the bits, is the code that a real GPU runs.
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

from fastinit._cuda import device, program

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
        self.captured = False

    def __getattribute__(self, name):
        if name.startswith("cu") and name[2:3].isupper():
            calls = object.__getattribute__(self, "calls")
            calls[name] = calls.get(name, 0) + 1
        return object.__getattribute__(self, name)

    def cuGetErrorName(self, status):
        return OK, status.name.encode()

    def cuGetErrorString(self, status):
        return OK, b"emulated"

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
    monkeypatch.setattr(device, "_devices", {})
    monkeypatch.setattr(program, "machine_code", lambda architecture: [b""] * program.PARTS)
    return driver
