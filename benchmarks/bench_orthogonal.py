"""The orthogonal part of run.py: compared with torch, with the floor that the machine's sgemm sets,
and the first calls of a process.

Every contestant runs in its own process, round after round.  A figure is the median over the rounds
of each round's median; it includes the draws, and destinations are warm.  The floor for an m by n
matrix is 2mn² - 2/3 n³ operations at the sgemm rate that was measured in the same run.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

REPEAT = 7


def median_seconds(call: Callable[[], object], repeat: int) -> float:
    call()
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


# ------------------------------------------------------------------------ one process measures


def fastinit_orthogonal(
    shape: Sequence[int],
    repeat: int,
    dtype: str = "float32",
    batch_axis: Sequence[int] = (),
    region: Sequence[tuple[int, int]] | None = None,
    threads: int | None = None,
) -> float:
    import fastinit as fi

    local = [part[1] - part[0] for part in region] if region else shape
    out = np.ones(local, np.uint16 if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        import ml_dtypes

        out = out.view(ml_dtypes.bfloat16)
    parts = tuple(slice(*part) for part in region) if region else None
    arguments: dict[str, Any] = {
        "batch_axis": tuple(batch_axis),
        "region": parts,
        "threads": threads,
        "seed": 0,
        "out": out,
    }
    return median_seconds(lambda: fi.orthogonal(tuple(shape), **arguments), repeat)


def torch_orthogonal(shape: Sequence[int], repeat: int, loop: int = 0) -> float:
    import torch

    w = torch.ones(*shape)
    if loop:
        return median_seconds(lambda: [torch.nn.init.orthogonal_(w) for _ in range(loop)], repeat)
    return median_seconds(lambda: torch.nn.init.orthogonal_(w), repeat)


def sgemm(n: int, repeat: int, library: str, threads: int | None = None) -> float:
    """Operations per second."""
    if library == "torch":
        import torch

        if threads:
            torch.set_num_threads(threads)
        left, right, product = torch.ones(n, n), torch.ones(n, n), torch.empty(n, n)
        return 2 * n**3 / median_seconds(lambda: torch.mm(left, right, out=product), repeat)
    a, b, c = np.ones((n, n), np.float32), np.ones((n, n), np.float32), np.empty((n, n), np.float32)
    return 2 * n**3 / median_seconds(lambda: np.matmul(a, b, out=c), repeat)


def product(shape: tuple[int, int, int], repeat: int, library: str) -> float:
    """Operations per second of one thread for a product of size (rows, depth, columns), by BLAS or
    by our fixed-order product of strips.
    """
    rows, depth, columns = shape
    if library == "ours":
        from fastinit._jit.orthogonal import multiply

        def strips(height: int, width: int) -> np.ndarray:
            raw = np.ones(height * width + 16, np.float32)
            start = -raw.ctypes.data % 64 // 4
            return raw[start : start + height * width]

        a, b, c = strips(rows, depth), strips(depth, columns), strips(rows, columns)
        none = np.empty(0, np.float32)

        def call() -> None:
            multiply(
                a, 0, rows * 64, rows, b, depth * 64, depth, none, c, 0, rows * 64, columns // 64
            )
    else:
        a, b = np.ones((rows, depth), np.float32), np.ones((depth, columns), np.float32)
        c = np.empty((rows, columns), np.float32)

        def call() -> None:
            np.matmul(a, b, out=c)

    return 2 * rows * depth * columns / median_seconds(call, repeat * 20)


def first_call(shape: Sequence[int], repeat: int) -> float:
    """Seconds of the first call in this process, which imports or compiles the jitted kernels."""
    import fastinit as fi

    out = np.ones(shape, np.float32)
    began = time.perf_counter()
    fi.orthogonal(out=out, seed=0)
    return time.perf_counter() - began


WORK: dict[str, Callable[..., float]] = {
    work.__name__: work
    for work in (fastinit_orthogonal, torch_orthogonal, sgemm, product, first_call)
}


def run(work: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> float:
    """What one process measures; NaN, and a line on stderr, where it fails."""
    case = json.dumps({"work": work, "repeat": REPEAT, **arguments})
    environment = {**os.environ, **(environment or {})}
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), case]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode or done.stderr:
        print(
            f"{work} {arguments}: {(done.stderr.strip().splitlines() or ['died'])[-1]}",
            file=sys.stderr,
        )
    return json.loads(done.stdout.splitlines()[-1]) if not done.returncode else float("nan")


# ------------------------------------------------------------------------------------------ figures

N = 4096
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "torch 1024²": ("torch_orthogonal", {"shape": (1024, 1024)}),
    "1024²": ("fastinit_orthogonal", {"shape": (1024, 1024)}),
    "torch 4096²": ("torch_orthogonal", {"shape": (N, N)}),
    "4096²": ("fastinit_orthogonal", {"shape": (N, N)}),
    "4096² bfloat16": ("fastinit_orthogonal", {"shape": (N, N), "dtype": "bfloat16"}),
    "torch 16384x1024": ("torch_orthogonal", {"shape": (16384, 1024)}),
    "16384x1024": ("fastinit_orthogonal", {"shape": (16384, 1024)}),
    "torch 96 of 256²": ("torch_orthogonal", {"shape": (256, 256), "loop": 96}),
    "96 of 256²": ("fastinit_orthogonal", {"shape": (96, 256, 256), "batch_axis": (0,)}),
    **{
        f"quarter {k} of 4096²": (
            "fastinit_orthogonal",
            {"shape": (N, N), "region": ((k * N // 4, (k + 1) * N // 4), (0, N))},
        )
        for k in range(4)
    },
    "sgemm torch": ("sgemm", {"n": 2048, "library": "torch"}),
    "sgemm numpy": ("sgemm", {"n": 2048, "library": "numpy"}),
    "product, tall": ("product", {"shape": (4096, 64, 256), "library": "ours"}),
    "product, square": ("product", {"shape": (1024, 1024, 1024), "library": "ours"}),
    "BLAS, tall": ("product", {"shape": (4096, 64, 256), "library": "numpy"}),
    "BLAS, square": ("product", {"shape": (1024, 1024, 1024), "library": "numpy"}),
}
ONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(rounds: int) -> list[dict[str, Any]]:
    """The rows of results/orthogonal.json: seconds, or operations per second if the name contains
    sgemm, product or BLAS.
    """
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, (work, arguments) in CASES.items():
            found[name].append(run(work, ONE if work == "product" else None, **arguments))
    with tempfile.TemporaryDirectory() as folder:
        empty = {"NUMBA_CACHE_DIR": folder}
        found["first call, never compiled"] = [run("first_call", empty, shape=(1024, 1024))]
        found["first call, cache warm"] = [
            run("first_call", empty, shape=(1024, 1024)) for _ in range(rounds)
        ]
    found["64², numba never imported"] = [run("first_call", shape=(64, 64)) for _ in range(rounds)]
    rows: dict[str, dict[str, Any]] = {
        name: {"name": name, "value": statistics.median(values), "rounds": values}
        for name, values in found.items()
    }
    best = max(rows["sgemm torch"]["value"], rows["sgemm numpy"]["value"])
    for name, m, n in (("4096²", N, N), ("16384x1024", 16384, 1024)):
        rows[name]["floor"] = (2 * m * n * n - 2 / 3 * n**3) / best
    return list(rows.values())


if __name__ == "__main__":
    case = json.loads(sys.argv[1])
    print(json.dumps(WORK[case.pop("work")](**case)))
