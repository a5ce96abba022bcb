"""Draw a file's bytes span by span.  The memory use does not grow with the model.

A file is cut into spans of a few megabytes.  A thread takes a span and draws it into the thread's
own buffer with one call of the engine.  It then passes the bytes on, to be written (write.py) or
compared (verify.py).  plan.py determines the position of each tensor.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._core import engine, fill
from .._core.draws import Draw
from .._core.jobs import Job, draw_job
from .._core.new_file import PAGE
from .._core.safetensors import Tensor
from ..typing import Array
from . import parts
from .blocks import Patched
from .plan import File

# Bytes.  Only one thread can write to a file at a time, so a write must be large enough to justify
# the wait.  On a busy machine, GPT-2 took up to 2 s with spans of 1 MiB and 0.3 to 0.5 s with
# 4 MiB.  Larger spans do not fit in the third-level cache.
SPAN = 1 << 22
# Bytes of a span of a comparison.  Comparisons do not wait for each other.  At this size the drawn
# bytes and the file's bytes stay in a core's cache, which made audit and verify a tenth faster.
COMPARED = 1 << 20
BUFFERS = 1 << 26  # bytes of all threads' buffers: above 16 threads the spans are shorter
SAMPLED = 1 << 16  # bytes of a span, if only a sample is drawn

# Called from any thread, with an offset in a file and the bytes that belong there.
Take = Callable[[int, Array], None]
Sample = Callable[[int, int], bool]  # whether bytes begin … end of a file are wanted


def draw_file(
    file: File,
    seed: int,
    threads: int,
    take: Take,
    sample: Sample | None = None,
    waits: bool = False,
    span: int = SPAN,
) -> None:
    """Draw the tensors of a file and pass their bytes to `take`.

    `take` gets the bytes in any order, at most `span` per call.  With `sample`, only the spans for
    which it returns true are drawn.  `waits` means that `take` waits for a device; then two threads
    share a CPU.
    """
    # With one thread, all work runs on the caller's thread.
    _draw_spans(file, seed, threads * 2 if waits and threads > 1 else threads, take, sample, span)
    _draw_parts(file, seed, threads, take)


# ------------------------------------------------------------------------ elementwise: span by span


class _Drawn(NamedTuple):
    """A tensor and its draw."""

    tensor: Tensor
    draw: Draw
    stream: int
    patches: tuple[tuple[int, int, Any], ...]  # constants over it: flat indices and bits


def _spans(drawn: list[_Drawn], length: int) -> Iterator[tuple[int, int]]:
    """Cut the bytes that the tensors cover into spans.  The cuts are at multiples of `length` and
    at gaps between tensors.
    """
    at = 0
    while at < len(drawn):
        begin = end = drawn[at].tensor.begin
        while at < len(drawn) and drawn[at].tensor.begin == end:
            end = drawn[at].tensor.end
            at += 1
        while begin < end:
            cut = min(end, begin - begin % length + length)
            yield begin, cut
            begin = cut


def _spans_apart(drawn: list[_Drawn], length: int) -> Iterator[tuple[int, int]]:
    """Like _spans(), but cut each tensor separately, at multiples of `length` from its start."""
    for one in drawn:
        for begin in range(one.tensor.begin, one.tensor.end, length):
            yield begin, min(begin + length, one.tensor.end)


def _parts(rule: Draw | Patched, stream: int) -> tuple[Draw, int, Any]:
    draw, patches = (rule, ()) if isinstance(rule, Draw) else rule
    return draw, stream, patches


def _draw_spans(
    file: File, seed: int, threads: int, take: Take, sample: Sample | None, span: int
) -> None:
    drawn = [
        _Drawn(tensor, *_parts(rule, stream))
        for tensor, rule, stream in zip(file.layout.tensors, file.rules, file.streams, strict=True)
        if isinstance(rule, (Draw, Patched)) and tensor.end > tensor.begin
    ]
    begins = [one.tensor.begin for one in drawn]
    # A power of two, so that no cut falls inside a value.
    length = min(span, SPAN, 1 << (BUFFERS // threads).bit_length() - 1)
    # In files of other writers, a tensor may begin at any byte.
    aligned = all(one.tensor.begin % one.tensor.dtype.itemsize == 0 for one in drawn)
    spans: Iterable[tuple[int, int]]
    if sample is not None:
        spans = (span for span in _spans_apart(drawn, min(length, SAMPLED)) if sample(*span))
    else:
        spans = _spans(drawn, length) if aligned else _spans_apart(drawn, length)
    local = threading.local()

    def work(span: tuple[int, int]) -> None:
        begin, end = span
        buffer = getattr(local, "buffer", None)
        if buffer is None:
            buffer = local.buffer = _aligned(length + PAGE)
        # Use the same offset within a page as in the file.  Then direct I/O can write whole pages.
        buffer = buffer[begin % PAGE :]
        jobs = _jobs(drawn, bisect_right(begins, begin) - 1, begin, end, buffer, seed)
        engine.run([job for job, _ in jobs], threads=1)
        for job, patches in jobs:
            for first, stop, bits in patches:
                job.out[max(first - job.first, 0) : max(stop - job.first, 0)] = bits
        _little_endian([job for job, _ in jobs])
        take(begin, buffer[: end - begin])

    engine.map_tasks(work, spans, threads)


def _aligned(size: int) -> Array:
    """Allocate memory that starts at a page boundary."""
    memory = np.empty(size + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    return memory[start : start + size]


def _jobs(
    drawn: list[_Drawn], at: int, begin: int, end: int, buffer: Array, seed: int
) -> list[tuple[Job, tuple[tuple[int, int, Any], ...]]]:
    """Make the jobs that draw bytes begin … end of the file into the front of `buffer`.

    Each job comes with the constants that overwrite parts of it.  `at` is the index of the tensor
    that contains the first byte.
    """
    jobs = []
    while at < len(drawn) and drawn[at].tensor.begin < end:
        tensor, draw, stream, patches = drawn[at]
        low, high = max(begin, tensor.begin), min(end, tensor.end)
        out = buffer[low - begin : high - begin].view(tensor.dtype.unsigned)
        first = (low - tensor.begin) // tensor.dtype.itemsize
        jobs.append((draw_job(out, draw, seed, stream, first, (1,)), patches))
        at += 1
    return jobs


def _little_endian(jobs: list[Job]) -> None:
    if sys.byteorder == "big":
        for job in jobs:
            job.out.byteswap(inplace=True)


# -------------------------------------------------------------------------- all else: part by part


def _draw_parts(file: File, seed: int, threads: int, take: Take) -> None:
    """Draw the tensors that are not elementwise (orthogonal, eye, …), one part at a time."""
    for tensor, rule, stream, axis in zip(
        file.layout.tensors, file.rules, file.streams, file.axes, strict=True
    ):
        if isinstance(rule, (Draw, Patched)) or tensor.begin == tensor.end:
            continue
        size = tensor.dtype.itemsize
        for region in parts.regions(tensor.shape, size, axis):
            # Draw the bits as unsigned integers: an array of the dtype would load ml_dtypes.
            target = fill.target(tensor.shape, tensor.dtype.unsigned, None, region)._replace(
                dtype=tensor.dtype
            )
            rule(target, seed, stream, threads)
            if sys.byteorder == "big":
                target.view.byteswap(inplace=True)
            bits = target.view.reshape(-1).view(np.uint8)
            for at, first, count in parts.runs(tensor.shape, region):
                take(tensor.begin + first * size, bits[at * size : (at + count) * size])
