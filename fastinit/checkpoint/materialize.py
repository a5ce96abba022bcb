"""The main job: a spec becomes a safetensors file, drawn in chunks and written where they belong.

The file is cut into spans of 4 MiB.  Each is drawn into a buffer of the thread that took it, in one
call of the engine, and written with pwrite (decision 8: twice as fast as into a mapping, and a full
disk is an error, not a signal): memory stays at one span a thread whatever the model.  The file
itself: ../_core/safetensors.py.  Its content: spec.py.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._core import engine, fill, safetensors
from .._core.draws import Draw
from .._core.jobs import Job, draw_job
from .._core.stream import STREAM_VERSION, check_seed, stream_id
from .source import AnySpec
from .spec import Spec, load

# Bytes.  Writers of one file exclude each other, so a write must be worth the wait: on a machine
# with other work, spans of 1 MiB took up to 2 s for GPT-2 where 4 MiB took 0.3 to 0.5.  Larger ones
# leave the third-level cache.
SPAN = 1 << 22
BUFFERS = 1 << 26  # bytes of all threads' buffers: with more than 16 threads the spans are shorter


class Report(NamedTuple):
    """What materialize() wrote."""

    path: str
    tensors: int
    values: int
    size: int  # of the file, in bytes
    seed: int
    seconds: float


class Plan(NamedTuple):
    """A file ready to be drawn: every error of the spec is behind it, and not a byte of it is
    written.
    """

    spec: Spec
    seed: int
    layout: safetensors.Layout
    rules: tuple[Any, ...]  # of layout.tensors
    streams: tuple[int, ...]


@engine.guarded
def plan(spec: AnySpec | Spec, seed: int | None = None, dtype: Any = None) -> Plan:
    """Resolve a spec and lay its file out.

    The metadata holds no date and no version: same input, same bytes.
    """
    if not isinstance(spec, Spec):
        spec = load(spec, dtype)
    elif dtype is not None:
        raise TypeError(
            "dtype belongs to load(), when the spec is read; this spec is resolved already"
        )
    seed = check_seed(seed)
    metadata = {
        **spec.metadata,
        "fastinit.stream_version": str(STREAM_VERSION),
        "fastinit.seed": str(seed),
        "fastinit.spec": spec.canonical(),
    }
    rules = {entry.name: entry.rule for entry in spec.entries}
    layout = safetensors.layout(
        ((entry.name, entry.dtype, entry.shape) for entry in spec.entries), metadata
    )
    return Plan(
        spec,
        seed,
        layout,
        tuple(rules[tensor.name] for tensor in layout.tensors),
        tuple(stream_id(tensor.name) for tensor in layout.tensors),
    )


@engine.guarded
def materialize(
    spec: AnySpec | Spec | Plan,
    path: str | os.PathLike[str],
    *,
    seed: int | None = None,
    dtype: Any = None,
    threads: int | None = None,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Draw every tensor of a spec into a new safetensors file.

    The file appears whole or not at all.  Each tensor is what its initializer's function gives for
    this seed and the tensor's name.  Memory: a few MiB a thread, and for what is not elementwise
    (orthogonal, eye, …) the one tensor.

    Parameters
    ----------
    spec : a preset ("gpt2"), a path that ends in .toml or .json, a mapping of that form, or what
        load() or plan() gave.
    seed : an integer in [0, 2**64); None draws one, which the report and the file's metadata tell.
    dtype : in place of the spec's top-level dtype.
    force : replace an existing file; otherwise one is never overwritten, not even one that appears
        meanwhile.
    progress : called with the number of bytes written since the last call, from one thread at a
        time.

    Raises
    ------
    SpecError, OSError, MemoryError
        Nothing is left behind, and a file that was at `path` is as it was.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastinit.checkpoint import materialize
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rules = [{"match": "*", "initializer": "he_normal"}]
    ...     report = materialize({"tensors": {"w": [2, 3]}, "rules": rules},
    ...                          os.path.join(folder, "model.safetensors"), seed=0)
    >>> report.values, report.size
    (6, 320)
    """
    began = time.perf_counter()
    count = engine.thread_count(threads)
    if isinstance(spec, Plan):
        if (seed, dtype) != (None, None):
            raise TypeError("seed and dtype belong to plan(); this plan has its own already")
        planned = spec
    else:
        planned = plan(spec, seed, dtype)
    layout = planned.layout
    with safetensors.NewFile(path, layout.size, force) as file:
        file.write(0, layout.header)
        told = _Told(progress)
        told(len(layout.header))
        _draw_spans(planned, file, count, told)
        _draw_whole(planned, file, count, told)
        file.commit()
    values = sum((tensor.end - tensor.begin) // tensor.dtype.itemsize for tensor in layout.tensors)
    seconds = time.perf_counter() - began
    return Report(
        os.fsdecode(path), len(layout.tensors), values, layout.size, planned.seed, seconds
    )


class _Told:
    """Calls `progress`, if there is one, under a lock."""

    def __init__(self, progress: Callable[[int], None] | None):
        self._progress, self._lock = progress, threading.Lock()

    def __call__(self, count: int) -> None:
        if self._progress:
            with self._lock:
                self._progress(count)


# ------------------------------------------------------------------------ elementwise: span by span


class _Drawn(NamedTuple):
    """A tensor with its draw."""

    tensor: safetensors.Tensor
    draw: Draw
    stream: int


def _spans(drawn: list[_Drawn], length: int) -> Iterator[tuple[int, int]]:
    """The bytes that the tensors cover, cut at multiples of `length` and wherever other bytes lie
    between.
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


def _draw_spans(planned: Plan, file: safetensors.NewFile, threads: int, told: _Told) -> None:
    drawn = [
        _Drawn(tensor, rule, stream)
        for tensor, rule, stream in zip(
            planned.layout.tensors, planned.rules, planned.streams, strict=True
        )
        if isinstance(rule, Draw) and tensor.end > tensor.begin
    ]
    begins = [one.tensor.begin for one in drawn]
    length = min(
        SPAN, 1 << (BUFFERS // threads).bit_length() - 1
    )  # a power of two: no value is cut
    spans = _spans(drawn, length)
    lock = threading.Lock()
    failed = threading.Event()

    def work(_: int) -> None:
        buffer = np.empty(length, np.uint8)
        try:
            while not failed.is_set():
                with lock:
                    span = next(spans, None)
                if span is None:
                    return
                begin, end = span
                jobs = _jobs(
                    drawn, bisect_right(begins, begin) - 1, begin, end, buffer, planned.seed
                )
                engine.run(jobs, threads=1)
                _little_endian(jobs)
                file.write(begin, buffer[: end - begin])
                told(end - begin)
        except BaseException:
            failed.set()  # the others stop after the span they are at
            raise

    engine.map_tasks(work, range(threads), threads)


def _jobs(
    drawn: list[_Drawn], at: int, begin: int, end: int, buffer: np.ndarray[Any, Any], seed: int
) -> list[Job]:
    """Bytes begin … end of the file as draws into the front of `buffer`; `at` is the tensor that
    has the first.
    """
    jobs = []
    while at < len(drawn) and drawn[at].tensor.begin < end:
        tensor, draw, stream = drawn[at]
        low, high = max(begin, tensor.begin), min(end, tensor.end)
        out = buffer[low - begin : high - begin].view(tensor.dtype.unsigned)
        first = (low - tensor.begin) // tensor.dtype.itemsize
        jobs.append(draw_job(out, draw, seed, stream, first, (1,)))
        at += 1
    return jobs


def _little_endian(jobs: list[Job]) -> None:
    if sys.byteorder == "big":
        for job in jobs:
            job.out.byteswap(inplace=True)


# -------------------------------------------------------------------------- all else: whole tensors


def _draw_whole(planned: Plan, file: safetensors.NewFile, threads: int, told: _Told) -> None:
    """Tensors that are not elementwise (orthogonal, eye, …), one after the other, each in memory as
    a whole.
    """
    for tensor, rule, stream in zip(
        planned.layout.tensors, planned.rules, planned.streams, strict=True
    ):
        if isinstance(rule, Draw) or tensor.begin == tensor.end:
            continue
        # Only the bits are wanted: an array of the dtype itself would load ml_dtypes.
        target = fill.target(tensor.shape, tensor.dtype.unsigned, None, None)._replace(
            dtype=tensor.dtype
        )
        rule(target, planned.seed, stream, threads)
        if sys.byteorder == "big":
            target.view.byteswap(inplace=True)
        file.write(tensor.begin, target.view.reshape(-1))
        told(tensor.end - tensor.begin)
