"""Writing, checking and planning checkpoints, each compared with its limit in the same run.

    python benchmarks/run.py --only checkpoint [--rounds 5]
    python -P benchmarks/checkpoint.py zeros PATH BYTES   # one contestant: its seconds and its peak

Each contestant runs in its own process, once in each round.  The limits are our fill of warm
memory, and zeros that are written with the same reservation, block size and sync: on a disk past
the cache, as we write there (zeros through the cache are listed beside them), and in memory without
a reservation, as we write there.  It needs 5 GB in /dev/shm and 20 GB beside this file.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
MODEL, LARGE, HUGE = "llama-3.2-1b", "llama-3-8b", "llama-3.1-405b"
SHARD = 650_000_000  # bytes: four files of MODEL, which two processes share
BLOCK = 1 << 22  # bytes: checkpoint/draw.py's
Row = dict[str, Any]


# ----------------------------------------------------------------------------- in their own process


def fill(size: int) -> None:
    """As many bytes as the model has, of normals in bfloat16, into 256 MiB that are warm."""
    import numpy as np

    from fastinit._core import engine
    from fastinit._core.draws import normal
    from fastinit._core.dtypes import resolve
    from fastinit._core.jobs import draw_job

    buffer = np.ones(1 << 27, np.uint16)
    draw = normal(0.0, 0.02, resolve("bfloat16"))
    began = time.perf_counter()
    for first in range(0, size // 2, buffer.size):
        part = buffer[: min(buffer.size, size // 2 - first)]
        engine.run([draw_job(part, draw, 0, 0, first, (1,))])
    report(time.perf_counter() - began, size)


def zeros(path: str, size: int, direct: bool = False) -> None:
    """A file of that size, with the reserve, the blocks, the threads and the sync that ours has."""
    import mmap

    from fastinit._core import engine

    block = mmap.mmap(-1, BLOCK)  # starts on a page
    block[:] = bytes(BLOCK)
    count = engine.thread_count() * (2 if direct else 1)
    began = time.perf_counter()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    if path.startswith("/dev/shm/"):  # as in new_file.py
        os.truncate(file, size)
    else:
        os.posix_fallocate(file, 0, size)
    target = os.open(path, os.O_WRONLY | os.O_DIRECT) if direct else file

    def write(begin: int) -> None:
        whole = begin + BLOCK <= size
        with memoryview(block) as view:
            os.pwrite(target if whole else file, view[: min(BLOCK, size - begin)], begin)

    engine.map_tasks(write, range(0, size, BLOCK), count)
    os.fsync(file)
    os.close(file)
    report(time.perf_counter() - began, size)


def zeros_direct(path: str, size: int) -> None:
    zeros(path, size, direct=True)


def plan(preset: str, path: str) -> None:
    """Everything but the writing: what the peak of write() is compared with."""
    from fastinit import checkpoint

    began = time.perf_counter()
    planned = checkpoint.plan(preset, 0, "bfloat16", shard_size=checkpoint.SHARD_SIZE)
    report(time.perf_counter() - began, planned.size)


def write(preset: str, path: str, rank: int = 0, world_size: int = 1, shard_size: int = 0) -> None:
    from fastinit import checkpoint

    size = shard_size or (checkpoint.SHARD_SIZE if path.endswith("/") else None)
    planned = checkpoint.plan(preset, 0, "bfloat16", shard_size=size)
    began = time.perf_counter()
    checkpoint.materialize(planned, path, rank=rank, world_size=world_size)
    share = sum(file.size for file in planned.files[rank::world_size])
    report(time.perf_counter() - began, share)


def check(path: str) -> None:
    from fastinit import checkpoint

    began = time.perf_counter()
    found = checkpoint.verify(path)
    seconds = time.perf_counter() - began
    if not found:
        raise SystemExit(f"{path}: differs from its draw")
    report(seconds, found.size)


def report(seconds: float, size: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps({"seconds": seconds, "bytes": size, "peak": peak}))


# ---------------------------------------------------------------------------------- the measurement


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> Row:
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args}: exit status {process.returncode}")
    found: Row = json.loads(output.splitlines()[-1])
    return found


def one(*arguments: object) -> Row:
    return finished(started(*arguments))


def row(name: str, results: list[Row], **more: Any) -> Row:
    seconds = [result["seconds"] for result in results]
    size = results[0]["bytes"]
    return {
        "name": name,
        "seconds": statistics.median(seconds),
        "rounds": seconds,
        "bytes": size,
        "bytes_per_second": size / statistics.median(seconds),
        **more,
    }


def files(folder: str, rounds: int, disk: bool) -> list[Row]:
    """The model into one file: ours and the limits in turn; and the check of it, cache warm."""
    size = one("plan", MODEL, "")["bytes"]
    path = os.path.join(folder, "file.safetensors")
    found: dict[str, list[Row]] = {}
    calls: dict[str, tuple[object, ...]] = {
        "fill of warm memory": ("fill", size),
        "zeros": ("zeros", path, size),
        "zeros past the cache": ("zeros_direct", path, size),
        f"materialize {MODEL}": ("write", MODEL, path),
    }
    if not disk:
        del calls["zeros past the cache"]
    for _ in range(rounds):
        for name, call in calls.items():
            found.setdefault(name, []).append(one(*call))
            if "materialize" in name and not disk:
                found.setdefault("verify, cache warm", []).append(one("check", path))
            if os.path.exists(path):
                os.unlink(path)
    where = "disk" if disk else "memory"
    return [row(f"{name}, {where}", results) for name, results in found.items()]


def two_processes(folder: str, rounds: int) -> list[Row]:
    """One process with two threads, and two with one each, into folders of the same four files."""
    alone, together = [], []
    for _ in range(rounds):
        first, second = (os.path.join(folder, name) + "/" for name in ("first", "second"))
        alone.append(one("write", MODEL, first, 0, 1, SHARD))
        os.environ["FASTINIT_NUM_THREADS"] = "1"
        ranks = [started("write", MODEL, second, rank, 2, SHARD) for rank in range(2)]
        del os.environ["FASTINIT_NUM_THREADS"]
        results = [finished(process) for process in ranks]
        together.append(
            {
                "seconds": max(result["seconds"] for result in results),
                "bytes": sum(result["bytes"] for result in results),
            }
        )
        same = subprocess.run(["diff", "-r", first, second]).returncode == 0
        if not same:
            raise SystemExit("two processes wrote other bytes than one")
        shutil.rmtree(first)
        shutil.rmtree(second)
    return [
        row("materialize, one process of two threads", alone),
        row("materialize, two processes of one thread", together, same_bytes=True),
    ]


def memory(folder: str) -> list[Row]:
    """The peak of a process that writes 16 GB, over one that only plans them."""
    base = one("plan", LARGE, "")
    target = os.path.join(folder, "large") + "/"
    written = one("write", LARGE, target)
    shutil.rmtree(target)
    return [
        row(f"materialize {LARGE}, disk", [written], peak_over_plan=written["peak"] - base["peak"])
    ]


def dry_runs(folder: str, rounds: int) -> list[Row]:
    """Whole processes, from the command line to its last line."""
    from fastinit import checkpoint

    config = os.path.join(folder, "config.json")
    pathlib.Path(config).write_text(json.dumps(checkpoint.load(HUGE).config))
    rows = []
    for name, source in (("a preset", HUGE), ("its config and transformers", config)):
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            command = [
                "-P",
                "-m",
                "fastinit",
                "materialize",
                source,
                "-o",
                folder + "/x",
                "--dry-run",
            ]
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - began)
        rows.append(
            {
                "name": f"--dry-run of {HUGE} from {name}",
                "seconds": statistics.median(seconds),
                "rounds": seconds,
            }
        )
    return rows


def measure(rounds: int) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        rows += files(folder, rounds, disk=False)
        rows += two_processes(folder, rounds)
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        rows += files(folder, rounds, disk=True)
        rows += memory(folder)
        rows += dry_runs(folder, rounds)
    by_name = {one["name"]: one for one in rows if "bytes_per_second" in one}

    def rate(name: str) -> float:
        found: float = by_name[name]["bytes_per_second"]
        return found

    ours, ratios = f"materialize {MODEL}", {}
    slower = min(rate("fill of warm memory, memory"), rate("zeros, memory"))
    ratios["in memory, of the slower of fill and zeros"] = rate(f"{ours}, memory") / slower
    ratios["to disk, of zeros written by the same calls, past the cache"] = rate(
        f"{ours}, disk"
    ) / rate("zeros past the cache, disk")
    ratios["to disk, of zeros through the cache"] = rate(f"{ours}, disk") / rate("zeros, disk")
    ratios["verify, of fill"] = rate("verify, cache warm, memory") / rate(
        "fill of warm memory, memory"
    )
    ratios["two processes, of one"] = rate("materialize, two processes of one thread") / rate(
        "materialize, one process of two threads"
    )
    return [*rows, *({"name": f"ratio: {name}", "ratio": ratio} for name, ratio in ratios.items())]


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    calls: dict[str, Callable[..., None]] = {
        one.__name__: one for one in (fill, zeros, zeros_direct, plan, write, check)
    }
    calls[name](*(int(word) if word.isdigit() else word for word in words))
