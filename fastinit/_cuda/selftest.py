"""What `fastinit selftest --cuda` runs: a GPU's bits against those of the host, and its speed.

Each check is a function that raises Difference where a bit differs.  Everything is drawn twice, by
the GPU and by the host's engine, and compared as bits; nothing is read from a file.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._core import draws
from .._core.draws import Draw
from .._core.dtypes import FLOAT8_E5M2, FLOAT32, FLOATING, U32, U64, WORDS, WORDS64, DType
from .._core.jobs import Job
from . import launch, program
from .device import Device, Host, check
from .view import CudaView, view

SEED, STREAM = 12345678901234567890, 0xFEDCBA9876543210
POISON = 0xAA
CHUNK = 1 << 24  # values compared at a time


class Difference(Exception):
    """The GPU gave other bits than the host; the message says where."""


class Result(NamedTuple):
    name: str
    difference: str | None
    seconds: float


def draws_of(dtype: DType) -> dict[str, Draw]:
    """One of each draw, the forms of the truncated normal apart."""
    far = 6.0 if dtype.name == "float8_e4m3fn" else 60.0
    infinity = float("inf")
    return {
        "uniform": draws.uniform(-0.3, 0.7, dtype),
        "normal": draws.normal(0.0, 0.02, dtype),
        "truncated ±2σ": draws.truncated_normal(0.0, 0.02, -0.04, 0.04, dtype),
        "truncated wide": draws.truncated_normal(0.5, 1.0, -3.0, 4.5, dtype),
        "truncated far": draws.truncated_normal(0.0, 1.0, far, infinity, dtype),
        "constant": draws.constant(0.1, dtype),
    }


class Bench:
    """A GPU with memory for the checks, and the host whose values are expected."""

    def __init__(self, gpu: Device, host: Host):
        self.gpu, self.host, self.cuda = gpu, host, gpu.cuda
        self.stream = int(check(self.cuda.cuStreamCreate(1)))
        self.size = 0
        self.memory = 0

    def room(self, size: int) -> int:
        """The address of at least so many bytes of the device's memory, poisoned."""
        if size > self.size:
            if self.memory:
                check(self.cuda.cuMemFree(self.memory))
            self.memory, self.size = int(check(self.cuda.cuMemAlloc(size))), size
        check(self.cuda.cuMemsetD8Async(self.memory, POISON, size, self.stream))
        return self.memory

    def close(self) -> None:
        if self.memory:
            check(self.cuda.cuMemFree(self.memory))
        check(self.cuda.cuStreamDestroy(self.stream))

    def on_gpu(self, address: int, like: np.ndarray[Any, Any]) -> CudaView:
        """Device memory of the shape and strides of a host array."""
        return view(
            address, like.shape, like.strides, like.dtype,
            ordinal=self.gpu.ordinal, stream=self.stream, owner=None,
        )  # fmt: skip

    def read(self, address: int, into: np.ndarray[Any, Any]) -> None:
        check(self.cuda.cuMemcpyDtoHAsync(into.ctypes.data, address, into.nbytes, self.stream))
        check(self.cuda.cuStreamSynchronize(self.stream))

    def compare(self, jobs: list[Job], memory: np.ndarray[Any, Any], what: str) -> None:
        """Draw jobs into views of `memory`, a poisoned buffer of bytes, on both sides."""
        address = self.room(memory.nbytes)
        base = memory.ctypes.data
        here = [
            job._replace(out=self.on_gpu(address + job.out.ctypes.data - base, job.out))
            for job in jobs
        ]
        self.gpu.run(here, self.stream)
        found = np.empty_like(memory)
        self.read(address, found)
        self.host(jobs)
        differ(found, memory, what)


def differ(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], what: str) -> None:
    if not np.array_equal(found, wanted):
        places = np.flatnonzero(found.reshape(-1) != wanted.reshape(-1))
        first = int(places[0])
        raise Difference(
            f"{what}: {len(places)} of {found.size} items differ, first item {first}: "
            f"{found.reshape(-1)[first]:#x} instead of {wanted.reshape(-1)[first]:#x}"
        )


def job(
    draw: Draw,
    out: np.ndarray[Any, Any],
    first: int,
    strides: tuple[int, ...],
    stream: int = STREAM,
) -> Job:
    return Job(out, draw.draw, draw.storage, SEED, stream, 0, draw.parameters, first, strides)


# ------------------------------------------------------------------------------------------ checks


def lengths_and_offsets(bench: Bench) -> None:
    """Every length and offset of the index from 0 to 70, and every offset of the memory."""
    for dtype in FLOATING:
        draw = draws_of(dtype)["normal"]
        slot = 72 * dtype.itemsize
        memory = np.full(71 * 71 * slot, POISON, np.uint8)
        jobs = []
        for number, (offset, length) in enumerate(itertools.product(range(71), range(71))):
            out = memory[number * slot :][:slot].view(dtype.unsigned)[offset % 3 :][:length]
            jobs.append(job(draw, out, offset, (1,)))
        bench.compare(jobs, memory, f"{dtype.name}, lengths and offsets")


SHAPE, STRIDES = (37, 5, 29), (145, 29, 1)
REGIONS = (
    (slice(0, 37), slice(0, 5), slice(0, 29)),
    (slice(11, 30), slice(0, 5), slice(0, 29)),
    (slice(0, 37), slice(0, 5), slice(3, 17)),
    (slice(1, 36), slice(2, 4), slice(28, 29)),
    (slice(0, 37), slice(4, 5), slice(7, 8)),
    (slice(36, 37), slice(4, 5), slice(28, 29)),
)


def _ordered(
    memory: np.ndarray[Any, Any], shape: tuple[int, ...], order: str
) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    if order == "strided":
        wide = tuple([2 * size + 1 for size in shape])
        steps = tuple([slice(0, 2 * size, 2) for size in shape])
        return memory[: int(np.prod(wide))].reshape(wide)[steps]
    whole = memory[:count].reshape(shape, order="F" if order == "F" else "C")
    return whole[tuple([slice(None, None, -1)] * len(shape))] if order == "negative" else whole


def strides_and_regions(bench: Bench) -> None:
    """Every region of a tensor in every order of memory, in every draw and storage."""
    first = 2**31 - 1000
    for dtype in FLOATING:
        for (name, draw), region, order in itertools.product(
            draws_of(dtype).items(), REGIONS, ("C", "F", "strided", "negative")
        ):
            memory = np.full(75 * 11 * 59 * dtype.itemsize, POISON, np.uint8)
            shape = tuple([part.stop - part.start for part in region])
            out = _ordered(memory.view(dtype.unsigned), shape, order)
            start = first + sum([p.start * s for p, s in zip(region, STRIDES, strict=True)])
            bench.compare(
                [job(draw, out, start, STRIDES)], memory, f"{dtype.name} {name}, {region}, {order}"
            )


def far_indices(bench: Bench) -> None:
    """Indices around every place where a word of the counter carries."""
    for dtype in FLOATING:
        for name, draw in draws_of(dtype).items():
            memory = np.full(3 * 6 * 400 * dtype.itemsize, POISON, np.uint8)
            values, jobs = memory.view(dtype.unsigned), []
            indices = (2**31, 2**32, 2**34, 64 * 2**28, 2**57 - 500, 2**58 - 500)
            for number, (index, back) in enumerate(itertools.product(indices, (300, 1, 0))):
                index = (index // 2 if dtype.wide else index) - back
                jobs.append(job(draw, values[400 * number :][:400], index, (1,)))
            bench.compare(jobs, memory, f"{dtype.name} {name}, far indices")


def words(bench: Bench) -> None:
    """The words themselves, in every plane, from edges of seed and stream."""
    for draw, storage, unsigned in ((WORDS, U32, np.uint32), (WORDS64, U64, np.uint64)):
        cases = list(
            itertools.product(
                (0, 1, 2**32, 2**64 - 1),
                (0, 2**31, 2**32, 2**64 - 1),
                (0, 1, 255),
                (0, 63, 2**34 - 70),
            )
        )
        memory = np.full(len(cases) * 150 * np.dtype(unsigned).itemsize, POISON, np.uint8)
        values = memory.view(unsigned)
        jobs = [
            Job(values[150 * k :][:150], draw, storage, seed, stream, plane, (), first, (1,))
            for k, (seed, stream, plane, first) in enumerate(cases)
        ]
        bench.compare(jobs, memory, f"words of {8 * np.dtype(unsigned).itemsize} bits")


def many_tensors(bench: Bench) -> None:
    """3,000 tensors of all draws and storages in one call."""
    sizes = np.random.default_rng(0)
    memory = np.full(3000 * 5000 * 8, POISON, np.uint8)
    jobs = []
    for k in range(3000):
        dtype = FLOATING[k % len(FLOATING)]
        draw = list(draws_of(dtype).values())[k % 6]
        out = memory[k * 40000 :][:40000].view(dtype.unsigned)[: int(sizes.integers(0, 5000))]
        jobs.append(job(draw, out, int(sizes.integers(0, 2**40)), (1,), stream=k))
    bench.compare(jobs, memory, "many tensors")


def copies(bench: Bench) -> None:
    """Values drawn on the host and copied to the GPU, contiguous and strided."""
    for dtype, order in itertools.product(FLOATING, ("C", "F", "strided", "negative")):
        memory = np.full(75 * 11 * 59 * dtype.itemsize, POISON, np.uint8)
        out = _ordered(memory.view(dtype.unsigned), SHAPE, order)
        drawn = np.empty(SHAPE, dtype.unsigned)
        one = job(draws_of(dtype)["normal"], drawn, 0, STRIDES)
        bench.host([one])
        out[...] = drawn
        address = bench.room(memory.nbytes)
        at = address + out.ctypes.data - memory.ctypes.data
        bench.gpu.copy(drawn, bench.on_gpu(at, out))
        found = np.empty_like(memory)
        bench.read(address, found)
        differ(found, memory, f"copied {dtype.name}, {order}")


def _large(
    bench: Bench, draw: Draw, dtype: DType, count: int, windows: Iterator[int], what: str
) -> None:
    """Draw `count` values in one launch; compare CHUNK values from each start in `windows`."""
    address = bench.room(count * dtype.itemsize)
    like = np.lib.stride_tricks.as_strided(np.empty(1, dtype.unsigned), (count,), (dtype.itemsize,))
    bench.gpu.run([job(draw, bench.on_gpu(address, like), 0, (1,))], bench.stream)
    found, wanted = np.empty(CHUNK, dtype.unsigned), np.empty(CHUNK, dtype.unsigned)
    for start in windows:
        part = min(CHUNK, count - start)
        bench.read(address + start * dtype.itemsize, found[:part])
        bench.host([job(draw, wanted[:part], start, (1,))])
        differ(found[:part], wanted[:part], f"{what} from index {start}")


def beyond_32_bits(bench: Bench) -> None:
    """One tensor of more than 2^32 values: its begin, its end, and around 2^31 and 2^32."""
    for dtype in (FLOAT8_E5M2, FLOAT32):
        count = 2**32 + 12345
        if count * dtype.itemsize > bench.gpu.free() * 0.8:
            continue
        half = CHUNK // 2
        windows = iter((0, 2**31 - half, 2**32 - half, count - CHUNK))
        _large(
            bench, draws_of(dtype)["normal"], dtype, count, windows, f"{dtype.name}, 2^32 values"
        )


def a_billion_values(bench: Bench) -> None:
    """10^9 values of every draw in every storage."""
    count = 10**9
    for dtype in FLOATING:
        for name, draw in draws_of(dtype).items():
            if count * dtype.itemsize > bench.gpu.free() * 0.8 + bench.size:
                raise Difference(
                    f"{dtype.name}: the GPU has not enough free memory for 10^9 values"
                )
            _large(bench, draw, dtype, count, iter(range(0, count, CHUNK)), f"{dtype.name} {name}")


def two_streams(bench: Bench) -> None:
    """Launches that alternate between two streams."""
    other = int(check(bench.cuda.cuStreamCreate(1)))
    try:
        draw = draws_of(FLOAT32)["normal"]
        memory = np.full(64 * 100_003 * 4, POISON, np.uint8)
        jobs = [
            job(draw, memory.view(np.uint32)[100_003 * k :][:100_003], k, (1,), stream=k)
            for k in range(64)
        ]
        address = bench.room(memory.nbytes)
        check(bench.cuda.cuStreamSynchronize(bench.stream))
        for k, one in enumerate(jobs):
            out = bench.on_gpu(address + one.out.ctypes.data - memory.ctypes.data, one.out)
            bench.gpu.run([one._replace(out=out)], (bench.stream, other)[k % 2])
        check(bench.cuda.cuStreamSynchronize(other))
        found = np.empty_like(memory)
        bench.read(address, found)
        bench.host(jobs)
        differ(found, memory, "two streams")
    finally:
        check(bench.cuda.cuStreamDestroy(other))


def graph_replay(bench: Bench) -> None:
    """A fill captured in a CUDA graph draws again at each replay."""
    cuda = bench.cuda
    memory = np.full(300_001 * 4 + 1200 * 4, POISON, np.uint8)
    values = memory.view(np.uint32)
    jobs = [
        job(draws_of(FLOAT32)["normal"], values[:300_001], 7, (1,)),
        job(draws_of(FLOAT32)["uniform"], values[300_001:].reshape(30, 40)[:, ::2], 0, (40, 2)),
        job(draws_of(FLOAT32)["constant"], values[300_001:].reshape(30, 40)[:, 1::2], 0, (40, 2)),
    ]
    jobs[1] = jobs[1]._replace(strides=(40, 1))
    address = bench.room(memory.nbytes)
    here = [
        one._replace(out=bench.on_gpu(address + one.out.ctypes.data - memory.ctypes.data, one.out))
        for one in jobs
    ]
    check(cuda.cuStreamSynchronize(bench.stream))
    mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL
    check(cuda.cuStreamBeginCapture(bench.stream, mode))
    bench.gpu.run(here, bench.stream)
    graph = check(cuda.cuStreamEndCapture(bench.stream))
    runnable = check(cuda.cuGraphInstantiate(graph, 0))
    bench.host(jobs)
    found = np.empty_like(memory)
    for _ in range(2):
        check(cuda.cuMemsetD8Async(address, POISON, memory.nbytes, bench.stream))
        check(cuda.cuGraphLaunch(runnable, bench.stream))
        bench.read(address, found)
        differ(found, memory, "graph replay")
    check(cuda.cuGraphExecDestroy(runnable))
    check(cuda.cuGraphDestroy(graph))


def every_word(bench: Bench) -> None:
    """The faster quotients, roots and stores against plain ones, for all 2^32 words."""
    kernels = []
    for extra in ((), ("-DFI_PLAIN",)):
        code = program.build(bench.gpu.architecture, program.PARTS, (*program.OPTIONS, *extra))
        module = check(bench.cuda.cuModuleLoadData(code))
        kernels.append(
            {
                name: check(bench.cuda.cuModuleGetFunction(module, f"sweep_{name}".encode()))
                for name in program.SWEEPS
            }
        )
    part = 1 << 28
    ours = bench.room(2 * 4 * part + 8)
    plain, differences = ours + 4 * part, ours + 8 * part

    def start(
        kernel: Any, out: int, first: int, limit: int, parameters: tuple[float, ...], blocks: int
    ) -> None:
        numbers = (*parameters, *[0.0] * (launch.NUMBERS - len(parameters)))
        arguments = struct.pack(
            f"=QQQII{launch.NUMBERS}d", out, plain, differences, first, limit, *numbers
        )
        bench.gpu.start_kernel(kernel, blocks, bytearray(arguments), bench.stream)

    limits = {
        "FI_F16": 0x477FEFFF,
        "FI_BF16": 0x7F7F7FFF,
        "FI_E4M3": 0x43E7FFFF,
        "FI_E5M2": 0x476FFFFF,
    }
    cases: list[tuple[str, int, tuple[float, ...]]] = [
        (s, 1 if s[3] == "E" else 2, ()) for s in limits
    ]
    cases.append(("radius", 4, ()))
    for beta in (2.0, 1.0, 0.1, 1e-3, 1e-6, 1e-12):
        cases.append(
            ("central", 4, draws.truncated_normal(0.0, 1.0, -beta, beta, FLOAT32).parameters)
        )
    for name, width, parameters in cases:
        check(bench.cuda.cuMemsetD8Async(differences, 0, 8, bench.stream))
        for first in range(0, 1 << 32, part):
            for out, variant in ((ours, kernels[0]), (plain, kernels[1])):
                start(variant[name], out, first, limits.get(name, 0), parameters, part // 512)
            start(kernels[0]["compare"], ours, 0, 0, (), part * width // 1024)
        count = np.zeros(1, np.uint64)
        bench.read(differences, count)
        if count[0]:
            raise Difference(
                f"every word, {name}: {count[0]} groups of 4 bytes differ from plain arithmetic"
            )


CHECKS: tuple[Callable[[Bench], None], ...] = (
    lengths_and_offsets,
    strides_and_regions,
    far_indices,
    words,
    many_tensors,
    copies,
    two_streams,
    graph_replay,
    every_word,
    beyond_32_bits,
    a_billion_values,
)


def run(gpu: Device, host: Host, only: tuple[str, ...] = ()) -> Iterator[Result]:
    """Run the checks, or those named, on one GPU; each result comes as soon as it is known."""
    with gpu.current():
        bench = Bench(gpu, host)
        try:
            for one in CHECKS:
                if only and one.__name__ not in only:
                    continue
                began = time.perf_counter()
                difference = None
                try:
                    one(bench)
                except Difference as error:
                    difference = str(error)
                yield Result(one.__name__, difference, time.perf_counter() - began)
        finally:
            bench.close()


# ------------------------------------------------------------------------------------------- speed


class Speed(NamedTuple):
    draw: str
    dtype: str
    values: int
    milliseconds: float


def speed(gpu: Device, values: int = 1 << 28, repeat: int = 7) -> Iterator[Speed]:
    """The median time of a fill of every draw in every storage, by the device's own events.

    Four launches lie between two events, so that what the host needs to launch one does not count.
    The first row is a fill of the device's own, of 32-bit words: the limit.
    """
    cuda, each = gpu.cuda, 4
    with gpu.current():
        stream = int(check(cuda.cuStreamCreate(1)))
        address = int(check(cuda.cuMemAlloc(8 * values)))
        events = [check(cuda.cuEventCreate(0)) for _ in range(2)]

        def time_of(work: Callable[[], Any]) -> float:
            times = []
            work()
            for _ in range(repeat):
                check(cuda.cuEventRecord(events[0], stream))
                for _ in range(each):
                    work()
                check(cuda.cuEventRecord(events[1], stream))
                check(cuda.cuEventSynchronize(events[1]))
                times.append(check(cuda.cuEventElapsedTime(*events)) / each)
            return sorted(times)[repeat // 2]

        try:
            fill = time_of(
                lambda: check(cuda.cuMemsetD32Async(address, 0x3F8CCCCD, values, stream))
            )
            yield Speed("memset", "uint32", values, fill)
            for dtype in FLOATING:
                for name, draw in draws_of(dtype).items():
                    arguments = (address, values, dtype.itemsize, tuple(draw), SEED, STREAM, stream)
                    yield Speed(name, dtype.name, values, time_of(lambda a=arguments: gpu.fill(*a)))  # type: ignore[misc]
        finally:
            check(cuda.cuMemFree(address))
            check(cuda.cuStreamDestroy(stream))
