"""How fast a checkpoint is inspected and audited, compared with a fill of the same size in the same
run.

    python -P benchmarks/run.py --only inspection [--rounds 5]
    python -P benchmarks/inspection.py 16    # the peak memory of a file of so many gigabytes

It writes a checkpoint of 1 GiB to a temporary folder.  Then it times in turn, once in each round,
the fill of a warm buffer, the pass over a tensor in memory, and inspect_file() and audit() on the
file, which is in the system's cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

import fastinit as fi
from fastinit import checkpoint, inspection
from fastinit.inspection import statistics as passes

SIZE = 1 << 30  # bytes of the checkpoint
PEAK = """
import json, resource, sys, time
from fastinit import inspection
began = time.perf_counter()
rows = inspection.inspect_file(sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - began,
    "values": sum(row.values for row in rows),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def spec(values: int, dtype: str) -> dict[str, object]:
    """Square-ish layers of 4096 columns."""
    layers = max(1, values // (8192 * 4096))
    tensors = {f"layers.{layer}.weight": [8192, 4096] for layer in range(layers)}
    rules = [{"match": "*", "initializer": "normal", "std": 0.02}]
    return {"dtype": dtype, "tensors": tensors, "rules": rules}


def measure(rounds: int) -> list[dict[str, Any]]:
    """The rows of the results: seconds, and values per second as a share of the fill's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("bfloat16", "float32"):
            rows += _measured(dtype, folder, rounds)
    return rows


def _measured(dtype: str, folder: str, rounds: int) -> list[dict[str, Any]]:
    itemsize = fi.zeros((1,), dtype=dtype).itemsize
    path = os.path.join(folder, f"{dtype}.safetensors")
    given = spec(SIZE // itemsize, dtype)
    checkpoint.materialize(given, path, seed=0)
    laws = inspection.laws(given)
    whole = np.empty((SIZE // itemsize // 4096, 4096), fi.zeros((1,), dtype=dtype).dtype)
    work = {
        "fill": lambda: fi.normal(out=whole, seed=0, std=0.02),
        "inspect, in memory": lambda: passes.statistics(whole),
        "inspect": lambda: inspection.inspect_file(path),
        "audit, initial tensors": lambda: inspection.audit(path),
        "audit, against laws": lambda: inspection.audit(path, laws),
    }
    found: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            began = time.perf_counter()
            function()
            found[name].append(time.perf_counter() - began)
    os.unlink(path)
    fill = statistics.median(found["fill"])
    return [
        {
            "name": f"{name}, {dtype}",
            "values": whole.size,
            "seconds": statistics.median(seconds),
            "rounds": seconds,
            "of_fill": fill / statistics.median(seconds),
        }
        for name, seconds in found.items()
    ]


def main() -> None:
    """Time and largest memory of inspect_file on one large file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large.safetensors")
        checkpoint.materialize(spec(int(float(sys.argv[1]) * 1e9) // 2, "bfloat16"), path, seed=0)
        done = subprocess.run(
            [sys.executable, "-P", "-c", PEAK, path], capture_output=True, text=True, check=True
        )
        print(json.dumps({"bytes": os.path.getsize(path), **json.loads(done.stdout)}))


if __name__ == "__main__":
    main()
