"""One GPU: its context, kernels, known answers, launches and copies, through NVIDIA's driver.

A Device is created for the first destination on that GPU. It then draws known answers and
compares them with the host's, bit for bit; a kernel that differs is not used. Afterwards a call
only launches: on the caller's stream, without waiting, without memory of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import DISTRIBUTION, forks
from . import answers, launch, program
from .program import Unavailable
from .view import CudaView, rows, view

if TYPE_CHECKING:
    from .._core.draws import Draw
    from .._core.jobs import Job

_address, _Byte, _Pointer = ctypes.addressof, ctypes.c_char, ctypes.c_void_p
# The driver's answers (CUresult) to machine code that it rejects: an invalid image, no binary for
# this GPU, invalid or too new PTX, an invalid source, a kernel that is not in it.
_NOT_LOADED = (200, 209, 218, 222, 300, 500)
_NOT_INITIALIZED = 3
Host = Callable[[Sequence["Job"]], None]  # draws jobs on the CPU


@cache
def driver() -> Any:
    """NVIDIA's driver, initialized; Unavailable says what is missing."""
    try:
        from cuda.bindings import driver as cuda
    except ImportError as error:
        raise Unavailable(
            f"NVIDIA's Python package cuda-bindings cannot be imported ({error}); install it with "
            f"pip install '{DISTRIBUTION}[cuda]'"
        ) from None
    try:
        (status,) = cuda.cuInit(0)
    except Exception as error:  # the library itself is not there
        raise Unavailable(
            f"there is no NVIDIA driver ({error}); install one, or fill memory of the CPU"
        ) from None
    if status != cuda.CUresult.CUDA_SUCCESS:
        raise Unavailable(f"NVIDIA's driver does not start: {_name(cuda, status)}")
    return cuda


def _name(cuda: Any, status: Any) -> str:
    _, name = cuda.cuGetErrorName(status)
    _, text = cuda.cuGetErrorString(status)
    hint = (
        " (a process forked after CUDA was used cannot use it: start it by spawn or forkserver)"
        if status.value == _NOT_INITIALIZED
        else ""
    )
    return f"{(name or b'?').decode()}: {(text or b'').decode()}{hint}"


def check(result: tuple[Any, ...]) -> Any:
    """What a driver call returned beside its status; a failed one is a RuntimeError."""
    if result[0].value:
        raise RuntimeError(f"CUDA failed with {_name(driver(), result[0])}")
    return result[1] if len(result) == 2 else result[1:]


class _Current:
    """A context made current where it is not; a class, since a generator costs a small launch a
    tenth of its time.
    """

    __slots__ = ("cuda", "context", "pushed")

    def __init__(self, cuda: Any, context: Any):
        self.cuda, self.context = cuda, context

    def __enter__(self) -> None:
        status, now = self.cuda.cuCtxGetCurrent()
        self.pushed = status.value != 0 or int(now) != int(self.context)
        if self.pushed:
            check(self.cuda.cuCtxPushCurrent(self.context))

    def __exit__(self, *error: object) -> None:
        if self.pushed:
            check(self.cuda.cuCtxPopCurrent())


class Device:
    """One GPU and its kernels; `refused` names those whose known answers differ from the host's."""

    def __init__(self, ordinal: int, host: Host):
        cuda = self.cuda = driver()
        self.ordinal = ordinal
        handle = check(cuda.cuDeviceGet(ordinal))
        attribute = cuda.CUdevice_attribute
        self.name: str = check(cuda.cuDeviceGetName(128, handle)).split(b"\0")[0].decode()
        major = check(
            cuda.cuDeviceGetAttribute(
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, handle
            )
        )
        minor = check(
            cuda.cuDeviceGetAttribute(
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, handle
            )
        )
        self.architecture = f"sm_{major}{minor}"
        self.processors: int = check(
            cuda.cuDeviceGetAttribute(attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, handle)
        )
        self.context = check(cuda.cuDevicePrimaryCtxRetain(handle))
        self.kernels: dict[str, Any] = {}
        self.refused: frozenset[str] = frozenset()
        self.missing: str | None = None  # why there are no kernels
        try:
            code = program.machine_code(self.architecture)
            with self.current(), self._beside_captures():
                self.kernels = self._load(code)
        except Unavailable as error:
            self.missing = str(error)
            warnings.warn(
                f"{self.name} (cuda:{ordinal}): {error}. Until then values for this GPU are drawn "
                "on the host and copied",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        with self.current(), self._beside_captures():
            self.refused = self._ask(host)

    def _load(self, code: Sequence[bytes]) -> dict[str, Any]:
        cuda, found = self.cuda, {}
        for number, part in enumerate(code):
            status, module = cuda.cuModuleLoadData(part)
            for name in program.kernels(number):
                if not status.value:
                    status, found[name] = cuda.cuModuleGetFunction(module, name.encode())
            if status.value in _NOT_LOADED:  # most often NVRTC of a newer major version
                version = check(cuda.cuDriverGetVersion())
                raise Unavailable(
                    f"the driver, for CUDA {version // 1000}.{version % 1000 // 10}, does not load "
                    f"the kernels that NVRTC compiled for {self.architecture} "
                    f"({_name(cuda, status)}); install a newer driver, or the package "
                    "nvidia-cuda-nvrtc of the driver's major version"
                )
            check((status, None))
        return found

    @contextlib.contextmanager
    def _beside_captures(self) -> Iterator[None]:
        """Let this thread load, allocate and wait although a stream is being captured, as torch's
        allocator does: the first use may lie inside a capture, and none of it is of that stream.
        """
        cuda = self.cuda
        relaxed = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        before = check(cuda.cuThreadExchangeStreamCaptureMode(relaxed))
        try:
            yield
        finally:
            check(cuda.cuThreadExchangeStreamCaptureMode(before))

    def current(self) -> _Current:
        """This GPU's context, for the calls of this thread; what was current before comes back."""
        return _Current(self.cuda, self.context)

    def start(self, one: launch.Launch, stream: int) -> None:
        """Launch, in this GPU's context."""
        self.start_kernel(self.kernels[one.kernel], one.blocks, one.arguments, stream)

    def start_kernel(self, kernel: Any, blocks: int, arguments: bytearray, stream: int) -> None:
        # The driver copies the arguments before it returns.
        place = _Pointer(_address(_Byte.from_buffer(arguments)))
        (status,) = self.cuda.cuLaunchKernel(
            kernel, blocks, 1, 1, launch.THREADS, 1, 1, 0, stream, _address(place), 0
        )
        if status.value:
            raise RuntimeError(f"CUDA failed with {_name(self.cuda, status)} at a launch")

    def free(self) -> int:
        """Bytes of free memory."""
        free, _ = check(self.cuda.cuMemGetInfo())
        return int(free)

    def run(self, jobs: Sequence[Job], stream: int) -> None:
        """Launch the kernels that draw the jobs, in the order of the stream."""
        with self.current():
            for one in launch.launches(jobs, self.processors):
                self.start(one, stream)

    def fill(
        self,
        address: int,
        count: int,
        itemsize: int,
        draw: tuple[int, int, tuple[Any, ...]],
        seed: int,
        name: int,
        stream: int,
    ) -> None:
        """Draw a whole contiguous tensor (not a constant): run() of one job, a few microseconds
        faster.
        """
        kernel, blocks, arguments = launch.whole(draw, count, itemsize, self.processors)
        one = launch.at(arguments, address, seed, name)
        with _Current(self.cuda, self.context):
            self.start_kernel(self.kernels[kernel], blocks, one, stream)

    def draws(self, job: Job | Draw) -> bool:
        """Whether the kernels of a draw give the host's values."""
        if self.missing is not None:
            return False
        if not self.refused:
            return True
        run, region = [
            launch.kernel_of(job.draw, job.storage, job.parameters, which)
            for which in (True, False)
        ]
        return run not in self.refused and region not in self.refused

    def check_copies(self, stream: int) -> None:
        """RuntimeError while a CUDA graph captures the stream: a copy from the host cannot be
        captured.
        """
        with self.current():
            capturing = check(self.cuda.cuStreamIsCapturing(stream)).value
        if capturing:
            raise RuntimeError(
                "these values are drawn on the host, which a CUDA graph cannot capture; draw "
                "them before the capture, or capture only elementwise draws"
            )

    def copy(self, source: np.ndarray[Any, Any], out: CudaView) -> None:
        """Copy values of the host, in C order, to `out`; they may be freed when this returns."""
        cuda, stream = self.cuda, out.stream
        if not source.size:
            return
        job = launch.copied(out)
        place = launch.place_of(job)
        self.check_copies(stream)
        with self.current():
            if len(place.axes) == 1 and place.axes[0][2] == out.itemsize:
                data = source.ctypes.data
                check(cuda.cuMemcpyHtoDAsync(place.address, data, source.nbytes, stream))
                return
            memory = None
            if "region_copy" in self.kernels and "region_copy" not in self.refused:
                status, memory = cuda.cuMemAllocAsync(source.nbytes, stream)
                if status.value:  # the GPU is full, or has no memory pools
                    memory = None
            if memory is None:
                for address, first, count in rows(out):
                    data = source.ctypes.data + first * out.itemsize
                    size = count * out.itemsize
                    check(cuda.cuMemcpyHtoDAsync(address, data, size, stream))
                return
            try:
                check(cuda.cuMemcpyHtoDAsync(memory, source.ctypes.data, source.nbytes, stream))
                self.start(launch.copy(int(memory), job, self.processors), stream)
            finally:
                check(cuda.cuMemFreeAsync(memory, stream))

    def _ask(self, host: Host) -> frozenset[str]:
        """Draw the known answers in one buffer, and name the kernels that differ from the host."""
        cuda = self.cuda
        layout = answers.jobs()
        memory = check(cuda.cuMemAlloc(answers.BYTES))
        stream = check(cuda.cuStreamCreate(1))  # does not wait for the caller's
        try:
            check(cuda.cuMemsetD8Async(memory, answers.POISON, answers.BYTES, stream))
            names: list[str] = []
            for offset, place in layout:
                out = view(
                    int(memory) + offset, place.out.shape, place.out.strides, place.out.dtype,
                    ordinal=self.ordinal, stream=int(stream), owner=None,
                )  # fmt: skip
                (one,) = launch.launches([place._replace(out=out)], self.processors)
                self.start(one, int(stream))
                names.append(one.kernel)
            found = np.empty(answers.BYTES, np.uint8)
            check(cuda.cuMemcpyDtoHAsync(found.ctypes.data, memory, answers.BYTES, stream))
            check(cuda.cuStreamSynchronize(stream))
        finally:
            cuda.cuStreamDestroy(stream)
            cuda.cuMemFree(memory)
        wanted = np.full(answers.BYTES, answers.POISON, np.uint8)
        layout = answers.jobs(wanted)
        host([job for _, job in layout])
        differ = answers.differing(found, wanted, layout)
        refused = frozenset(name for name, bad in zip(names, differ, strict=True) if bad)
        if refused:
            warnings.warn(
                f"{self.name} (cuda:{self.ordinal}) does not give the promised bits in "
                f"{', '.join(sorted(refused))}; what needs them is drawn on the host and copied",
                RuntimeWarning,
                stacklevel=2,
            )
        return refused


_devices: dict[int, Device | Unavailable] = {}
_lock = threading.RLock()
forks.keep_free(_lock)
_warned: set[int] = set()


def device(ordinal: int, host: Host) -> Device:
    """The GPU of that ordinal; Unavailable says why it cannot draw, the same each time."""
    found = _devices.get(ordinal)
    if found is None:
        with _lock:
            found = _devices.get(ordinal)
            if found is None:
                try:
                    found = Device(ordinal, host)
                except Unavailable as error:
                    found = error
                _devices[ordinal] = found
    if isinstance(found, Unavailable):
        raise found
    return found


def ready(ordinal: int, host: Host) -> Device | None:
    """The GPU of that ordinal if it draws; else None, after one warning that says why."""
    try:
        found = device(ordinal, host)
    except Unavailable as error:
        if ordinal not in _warned:
            _warned.add(ordinal)
            warnings.warn(
                f"values for cuda:{ordinal} are drawn on the host and copied: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
        return None
    return None if found.missing is not None else found


def draw(jobs: Sequence[Job], host: Host) -> None:
    """Draw jobs whose `out` are CudaViews, each on its GPU and in the order of its stream.

    What a GPU cannot draw, or draws with other bits, the host draws, and it is copied.
    """
    together: dict[tuple[int, int], list[Job]] = {}
    for job in jobs:
        together.setdefault((job.out.ordinal, job.out.stream), []).append(job)  # type: ignore[attr-defined]
    # Whatever may fail before a launch comes before the first.
    gpus = {ordinal: device(ordinal, host) for ordinal, _ in together}
    for (ordinal, stream), group in together.items():
        if not all(gpus[ordinal].draws(job) for job in group):
            gpus[ordinal].check_copies(stream)
    for (ordinal, stream), group in together.items():
        gpu = gpus[ordinal]
        gpu.run([job for job in group if gpu.draws(job)], stream)
        for job in group:
            if not gpu.draws(job) and job.out.size:
                values = np.empty(job.out.shape, job.out.dtype)
                host([job._replace(out=values)])
                gpu.copy(values, job.out)  # type: ignore[arg-type]


def copy(values: np.ndarray[Any, Any], out: Any, host: Host) -> None:
    """Copy values of the host, in C order, to a CudaView, in the order of its stream."""
    device(out.ordinal, host).copy(values, out)


def describe() -> dict[str, Any]:
    """What fi.info() says of each GPU that was used."""
    found: dict[str, Any] = {}
    for ordinal, one in sorted(_devices.items()):
        if isinstance(one, Unavailable):
            found[f"cuda:{ordinal}"] = f"not used: {one}"
        elif one.missing is not None:
            found[f"cuda:{ordinal}"] = f"{one.name}, {one.architecture}, no kernels: {one.missing}"
        else:
            refused = f", refused {', '.join(sorted(one.refused))}" if one.refused else ""
            found[f"cuda:{ordinal}"] = f"{one.name}, {one.architecture}{refused}"
    return found
