"""How fast inspect reads a checkpoint, compared with a fill of the same size in the same run.

    python -P benchmarks/inspection.py [--gib 1] [--large 16] [-o FILE.json]

It writes a checkpoint of `--gib` GiB to a temporary folder.  Then it times in turn, each as the
best of five, the fill of a warm buffer, the pass over a tensor in memory, and inspect_file() on the
file, which is in the system's cache.  With --large, a checkpoint of that many gigabytes is
inspected once in its own process, whose peak memory is recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

import fastinit as fi
from fastinit import checkpoint, inspection
from fastinit.inspection.statistics import statistics

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


def best(functions: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The best time of each, all in turn."""
    found = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            found[name] = min(found[name], time.perf_counter() - began)
    return found


def measured(gib: float, dtype: str, folder: str) -> dict[str, object]:
    """Values/s of the fill, of the pass in memory and of inspect_file."""
    itemsize = fi.zeros((1,), dtype=dtype).itemsize
    path = os.path.join(folder, f"{dtype}.safetensors")
    given = spec(int(gib * 2**30) // itemsize, dtype)
    checkpoint.materialize(given, path, seed=0)
    values = os.path.getsize(path) // itemsize
    whole = np.empty((values // 4096, 4096), fi.zeros((1,), dtype=dtype).dtype)
    times = best(
        {
            "fill": lambda: fi.normal(out=whole, seed=0, std=0.02),
            "pass": lambda: statistics(whole),
            "inspect": lambda: inspection.inspect_file(path),
        }
    )
    os.unlink(path)
    rates = {name: whole.size / seconds for name, seconds in times.items()}
    return {
        "dtype": dtype,
        "values": whole.size,
        "values_per_second": rates,
        "pass_over_fill": rates["pass"] / rates["fill"],
        "inspect_over_fill": rates["inspect"] / rates["fill"],
    }


def large(gigabytes: float, folder: str) -> dict[str, object]:
    """Time and largest memory of inspect_file on one large file."""
    path = os.path.join(folder, "large.safetensors")
    checkpoint.materialize(spec(int(gigabytes * 1e9) // 2, "bfloat16"), path, seed=0)
    done = subprocess.run(
        [sys.executable, "-P", "-c", PEAK, path], capture_output=True, text=True, check=True
    )
    found = {"bytes": os.path.getsize(path), **json.loads(done.stdout)}
    os.unlink(path)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--large", type=float, default=0.0, metavar="GB")
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "info": fi.info(),
            "machine": platform.machine(),
            "results": [measured(options.gib, one, folder) for one in ("bfloat16", "float32")],
            "large": large(options.large, folder) if options.large else None,
            "load": os.getloadavg(),
        }
    text = json.dumps(found, indent=1, default=str)
    print(text)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
