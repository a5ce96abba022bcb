"""Jobs → kernel launches: which kernel, how many thread blocks, and the bytes of its one argument.

The structures are those of src/isa/cuda.cu. Runs of contiguous memory that share seed, draw,
storage and parameters go into one launch, up to RUNS of them; a destination with other strides is a
launch of its own. No driver is known here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core.dtypes import CONSTANT, F64, NORMAL, TRUNCATED_NORMAL, UNIFORM, WORDS, WORDS64

if TYPE_CHECKING:
    from .._core.jobs import Job

THREADS = 256  # of a block, as in cuda.cu
TILES_AT_ONCE = 2 * THREADS // 8
_LEAST_SHIFT = TILES_AT_ONCE.bit_length() - 1
RUNS, NUMBERS, AXES = 91, 32, 32  # as in cuda.cu
MOST_STEPS = 4  # a thread draws at most 2^4 tiles: setting up costs a few per cent of that

_COPY = -1  # no draw
_STORAGE = ("FI_F64", "FI_F32", "FI_F16", "FI_BF16", "FI_E4M3", "FI_E5M2", "FI_U32", "FI_U64")
_FORMS = ("central", "wide", "far")
_HEAD = struct.Struct(f"=QIiii{NUMBERS}d")  # behind the keys
_RUN = struct.Struct("=QQQQQ")
_ADDRESS = struct.Struct("=Q")
_RUNS_AT = 160 + _HEAD.size
_RUNS_SIZE = _RUNS_AT + RUNS * _RUN.size
_REGION = struct.Struct(f"=160sQQIiiiii{NUMBERS}dQQQQQQ")
_AXIS = struct.Struct("=qqq")
_NOTHING = (0.0,) * NUMBERS


class Launch(NamedTuple):
    kernel: str
    blocks: int
    arguments: bytearray  # a structure of cuda.cu


class Place(NamedTuple):
    """Where a job's values go: axes that run on without a gap are one.  `inner` values have indices
    in a row.
    """

    address: int
    axes: list[list[int]]  # [count, index step, memory step in bytes]
    outer: int  # axes[outer:] make up the inner values
    inner: int


def name_of(draw: int, storage: int, parameters: Sequence[Any]) -> str:
    """The name of a draw among the kernels: each form of the truncated normal has its own."""
    if draw == TRUNCATED_NORMAL:
        return _FORMS[int(parameters[0])]
    return {
        UNIFORM: "uniform",
        NORMAL: "normal",
        WORDS: "words",
        WORDS64: "words64",
        CONSTANT: "constant",
    }[draw]


@lru_cache(maxsize=1024)
def kernel_of(draw: int, storage: int, parameters: tuple[Any, ...], run: bool) -> str:
    name = name_of(draw, storage, parameters)
    if draw == CONSTANT:
        return "runs_constant" if run else "region_copy"
    if run:
        return f"runs_{name}_{_STORAGE[storage]}"
    return f"region_{name}_f64" if storage == F64 else f"region_{name}"


def place_of(job: Job) -> Place:
    """The shape of a job's memory, as _native.pyx simplifies it."""
    out = job.out
    address = out.__array_interface__["data"][0]
    axes = [
        [count, index, memory]
        for count, index, memory in zip(out.shape, job.strides, out.strides, strict=True)
        if count != 1
    ]
    if job.draw == CONSTANT:  # no index: axes in the order of memory, largest steps first, none < 0
        for axis in axes:
            if axis[2] < 0:
                address += (axis[0] - 1) * axis[2]
                axis[2] = -axis[2]
        axes.sort(key=lambda axis: -axis[2])
        step = 1
        for axis in reversed(axes):
            axis[1] = step
            step *= axis[0]
    merged: list[list[int]] = []
    for axis in axes:
        if merged and merged[-1][1] == axis[0] * axis[1] and merged[-1][2] == axis[0] * axis[2]:
            merged[-1] = [merged[-1][0] * axis[0], axis[1], axis[2]]
        else:
            merged.append(axis)
    if not merged or merged[-1][1] != 1:
        merged.append([1, 1, out.itemsize])
    if len(merged) > AXES:
        raise ValueError(f"more than {AXES - 1} axes")
    outer, inner = len(merged) - 1, merged[-1][0]
    while outer and merged[outer - 1][1] == inner:
        outer -= 1
        inner *= merged[outer][0]
    return Place(address, merged, outer, inner)


# Ten 64-bit lanes of ones, and r times Philox's key steps in lane r: the lanes hold 36 bits, so
# that no sum carries.
_ONES = sum([1 << 64 * r for r in range(10)])
_STEPS0, _STEPS1 = [
    sum([r * step << 64 * r for r in range(10)]) for step in (0x9E3779B9, 0xBB67AE85)
]


def keys_of(seed: int) -> bytes:
    """The keys of Philox's ten rounds: of the seed's low word, then of its high word."""
    low, high = (seed & 0xFFFFFFFF) * _ONES + _STEPS0, (seed >> 32) * _ONES + _STEPS1
    return (low | high << 640).to_bytes(160, "little")


def _bits(constant: int, itemsize: int) -> int:
    """A constant's bits, repeated to 64."""
    return constant * (0xFFFFFFFFFFFFFFFF // (256**itemsize - 1))


def _chunks(kernel: str, address: int, first: int, count: int, itemsize: int, shift: int) -> int:
    """How many blocks a run takes with 2^shift tiles (of a constant: 2^(shift + 8) bytes) to a
    block.
    """
    if kernel == "runs_constant":
        words = max(0, count * itemsize - -address % 16) // 16
        return max(1, -(-words >> (shift + 4)))
    per = 32 if itemsize == 8 else 64
    return ((first + count - 1) // per >> shift) - (first // per >> shift) + 1


@lru_cache(maxsize=1024)
def _head(
    constant: int, plane: int, runs: int, shift: int, itemsize: int, numbers: tuple[float, ...]
) -> bytes:
    return _HEAD.pack(constant, plane, runs, shift, itemsize, *numbers, *_NOTHING[len(numbers) :])


def runs(
    kernel: str,
    seed: int,
    plane: int,
    parameters: tuple[Any, ...],
    itemsize: int,
    places: Sequence[tuple[int, int, int, int]],
    *,
    processors: int,
) -> Launch:
    """One launch of at most RUNS runs of contiguous memory: (address, first index, count, stream)
    each.
    """
    constant = 0
    if kernel == "runs_constant":
        constant, parameters = _bits(int(parameters[0]), itemsize), ()
    tiles = sum([count for _, _, count, _ in places]) // (32 if itemsize == 8 else 64)
    steps = tiles // (TILES_AT_ONCE * processors * 16)  # 16 blocks a processor even out their times
    shift = _LEAST_SHIFT + min(MOST_STEPS, max(0, steps.bit_length() - 1))
    arguments = bytearray(_RUNS_SIZE)
    arguments[:160] = keys_of(seed)
    arguments[160:_RUNS_AT] = _head(constant, plane, len(places), shift, itemsize, parameters)
    blocks, at = 0, _RUNS_AT
    for address, first, count, stream in places:
        blocks += _chunks(kernel, address, first, count, itemsize, shift)
        _RUN.pack_into(arguments, at, address, first, count, stream, blocks)
        at += _RUN.size
    return Launch(kernel, blocks, arguments)


@lru_cache(maxsize=1024)
def whole(
    draw: tuple[int, int, tuple[Any, ...]], count: int, itemsize: int, processors: int
) -> tuple[str, int, bytes]:
    """The launch that draws a whole contiguous tensor, without its address, seed and stream."""
    place = (0, 0, count, 0)
    kernel, blocks, arguments = runs(
        kernel_of(*draw, True), 0, 0, draw[2], itemsize, [place], processors=processors
    )
    return kernel, blocks, bytes(arguments)


def at(arguments: bytes, address: int, seed: int, stream: int) -> bytearray:
    """The arguments of whole() for a tensor."""
    own = bytearray(arguments)
    own[:160] = keys_of(seed)
    _ADDRESS.pack_into(own, _RUNS_AT, address)
    _ADDRESS.pack_into(own, _RUNS_AT + 24, stream)
    return own


def _region(kernel: str, job: Job, place: Place, processors: int, source: int = 0) -> Launch:
    itemsize = job.out.itemsize
    numbers, constant = job.parameters, 0
    if job.draw == CONSTANT:
        constant, numbers = _bits(int(job.parameters[0]), itemsize) if not source else 0, ()
    per = 32 if kernel != "region_copy" and itemsize == 8 else 64
    even = all(axis[1] % per == 0 for axis in place.axes[: place.outer])
    # The place of a block's first value in its tile, at most.
    start = job.first % per if even else per - 1
    groups = 8 * ((start + place.inner - 1) // per + 1)
    items = job.out.size // place.inner * groups
    arguments = bytearray(_REGION.size + _AXIS.size * AXES)
    _REGION.pack_into(
        arguments,
        0,
        *(keys_of(job.seed), job.stream, constant, job.plane, job.storage, itemsize),
        *(len(place.axes), place.outer, 0),
        *(*numbers, *_NOTHING[len(numbers) :]),
        *(place.address, source, job.first, place.inner, items, groups),
    )
    for number, axis in enumerate(place.axes):
        _AXIS.pack_into(arguments, _REGION.size + _AXIS.size * number, *axis)
    return Launch(kernel, min(-(-items // THREADS), 64 * processors), arguments)


def launches(jobs: Iterable[Job], processors: int) -> Iterator[Launch]:
    """The launches that draw all jobs on a GPU of so many multiprocessors; empty jobs need none."""
    together: dict[tuple[str, int, int, tuple[Any, ...], int], list[tuple[int, int, int, int]]] = {}
    for job in jobs:
        if not job.out.size:
            continue
        place = place_of(job)
        run = len(place.axes) == 1 and place.axes[0][2] == job.out.itemsize
        kernel = kernel_of(job.draw, job.storage, job.parameters, run)
        if run:
            key = (kernel, job.seed, job.plane, job.parameters, job.out.itemsize)
            together.setdefault(key, []).append(
                (place.address, job.first, job.out.size, job.stream)
            )
        else:
            yield _region(kernel, job, place, processors)
    for key, places in together.items():
        for start in range(0, len(places), RUNS):
            yield runs(*key, places[start : start + RUNS], processors=processors)


def copied(out: Any) -> Job:
    """The job whose values, in C order, are copied to `out` and not drawn."""
    from .._core.jobs import Job
    from .._core.shapes import index_strides

    return Job(out, _COPY, 0, 0, 0, 0, (), 0, index_strides(out.shape))


def copy(source: int, job: Job, processors: int) -> Launch:
    """The launch that copies values in C order from address `source` of the device to `job`."""
    return _region("region_copy", job, place_of(job), processors, source)
