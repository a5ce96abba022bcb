"""Measures fastinit against other libraries and writes benchmarks/results/CPU/*.json.

    python -P benchmarks/run.py [--rounds 5]
        [--only fills,threads,cold,calls,files,sparse,orthogonal,torch,checkpoint,inspection]

Every contestant runs in its own process, once in each round, so that a noisy minute affects all of
them.  A figure is the median over the rounds, and a ratio is taken only within one run.  The limit
is memset with a non-zero byte, measured in the same run.  report.py turns the results into the
README's chart and the site's tables, with a column or a table for each machine; machines.py names
the folder.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # python -P leaves it out
import bench_orthogonal  # noqa: E402
import bench_torch  # noqa: E402
import checkpoint as bench_checkpoint  # noqa: E402
import inspection as bench_inspection  # noqa: E402
import machines  # noqa: E402

BUFFER = 256 << 20  # bytes
Row = dict[str, Any]
SIZES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}


def worker(case: Row, **environment: str) -> Row | None:
    """Run one contestant in its own process; None, and a line on stderr, where it cannot run."""
    env = {**os.environ, **environment}
    command = [sys.executable, "-P", str(HERE / "worker.py"), json.dumps(case)]
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    if run.returncode:
        print(
            f"{case['library']}: {(run.stderr.strip().splitlines() or ['died'])[-1]}",
            file=sys.stderr,
        )
        return None
    result: Row = json.loads(run.stdout.splitlines()[-1])
    return result


def compare(cases: list[tuple[Row, dict[str, str]]], rounds: int) -> list[Row]:
    """Run all cases, round after round; the median seconds of each."""
    found: list[list[Row]] = [[] for _ in cases]
    dead = set()
    for _ in range(rounds):
        for number, (case, environment) in enumerate(cases):
            if number in dead:
                continue
            result = worker(case, **environment)
            if result is None:
                dead.add(number)
            else:
                found[number].append(result)
    rows = []
    for (case, environment), results in zip(cases, found, strict=True):
        if results:
            seconds = [result["seconds"] for result in results]
            rows.append(
                {
                    **case,
                    **environment,
                    "seconds": statistics.median(seconds),
                    "rounds": seconds,
                    "values_per_second": case["count"] / statistics.median(seconds),
                    "facts": results[0]["facts"],
                }
            )
    return rows


def fills(rounds: int) -> list[Row]:
    """Warm 256 MB buffers, one thread."""
    cases: list[tuple[Row, dict[str, str]]] = []
    for draw, dtype, rivals in (
        (
            "uniform",
            "float32",
            ("torch", "numpy_sfc64", "numpy_pcg64", "jax", "parallel_numpy_rng", "mkl_ars5_icdf"),
        ),
        (
            "normal",
            "float32",
            (
                "torch",
                "numpy_sfc64",
                "numpy_pcg64",
                "jax",
                "parallel_numpy_rng",
                "mkl_ars5_icdf",
                "mkl_philox_boxmuller",
                "mkl_sfmt_icdf",
            ),
        ),
        ("normal", "bfloat16", ("torch",)),
        ("normal", "float16", ("torch",)),
        ("normal", "float64", ("torch", "numpy_sfc64")),
        ("truncated_normal", "float32", ("torch",)),
        ("truncated_normal", "bfloat16", ("torch",)),
        ("normal", "float8_e4m3fn", ()),
    ):
        case: Row = {"draw": draw, "dtype": dtype, "threads": 1, "count": BUFFER // SIZES[dtype]}
        slow = {"most": 3} if draw == "truncated_normal" else {}
        cases.append(({**case, "library": "memset"}, {}))
        cases.append(({**case, "library": "fastinit"}, {}))
        cases += [
            ({**case, **slow, "library": rival, "count": case["count"] >> (3 if slow else 0)}, {})
            for rival in rivals
        ]
    normal = {
        "draw": "normal",
        "dtype": "float32",
        "threads": 1,
        "count": BUFFER // 4,
        "library": "fastinit",
    }
    cases += [(normal, {"FASTINIT_ISA": isa}) for isa in ("scalar", "sse2", "avx2")]
    cases.append(({**normal, "count": BUFFER // 32}, {"FASTINIT_ENGINE": "reference"}))
    return compare(cases, rounds)


def threads(rounds: int) -> list[Row]:
    """One, two and all threads, beside a loop that only uses registers."""
    cases: list[tuple[Row, dict[str, str]]] = []
    for count in sorted({1, 2, os.cpu_count() or 1}):
        for draw in ("uniform", "normal"):
            cases.append(
                (
                    {
                        "library": "fastinit",
                        "draw": draw,
                        "dtype": "float32",
                        "threads": count,
                        "count": BUFFER // 4,
                    },
                    {},
                )
            )
        cases.append(
            (
                {
                    "library": "spin",
                    "draw": "words",
                    "dtype": "float32",
                    "threads": count,
                    "count": 200000 * count,
                },
                {},
            )
        )
        cases.append(
            (
                {
                    "library": "torch",
                    "draw": "normal",
                    "dtype": "float32",
                    "threads": count,
                    "count": BUFFER // 4,
                },
                {},
            )
        )
    return compare(cases, rounds)


COLD = """
import json, sys, time
import numpy as np
library, count = sys.argv[1], int(sys.argv[2])
if library == "fastinit":
    import fastinit as fi
    fi.normal((1 << 20,), seed=0)
    start = time.perf_counter(); fi.normal((count,), seed=1)
elif library == "torch":
    import torch
    torch.empty(1 << 20).normal_()
    start = time.perf_counter(); torch.empty(count).normal_()
else:
    start = time.perf_counter(); np.empty(count, np.float32).fill(1.5)
print(json.dumps(time.perf_counter() - start))
"""

CALL = """
import json, sys, time, statistics
import numpy as np
import fastinit as fi
out = np.empty((64, 64), np.float32)
times = []
for _ in range(200):
    start = time.perf_counter()
    for _ in range(100):
        fi.he_normal(out=out, seed=0)
    times.append((time.perf_counter() - start) / 100)
print(json.dumps(statistics.median(times)))
"""


def script(code: str, *arguments: str) -> float:
    """The number that a script prints, run in its own process."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def wall(*command: str) -> float:
    """Seconds that a process takes, from start to exit."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def cold(rounds: int) -> list[Row]:
    """A fresh 256 MB array, allocated and filled for the first time, all threads."""
    names = ("memset", "fastinit", "torch")
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(script(COLD, name, str(BUFFER // 4)))
    return [
        {
            "library": name,
            "draw": "normal",
            "dtype": "float32",
            "count": BUFFER // 4,
            "cold": True,
            "seconds": statistics.median(s),
            "rounds": s,
        }
        for name, s in found.items()
    ]


def calls(rounds: int) -> list[Row]:
    """A 64 x 64 call, and the time that the import takes."""
    small = [script(CALL) for _ in range(rounds)]
    imports = {
        what: [wall(sys.executable, "-P", "-c", f"import {what}") for _ in range(3 * rounds)]
        for what in ("numpy", "fastinit")
    }
    extra = statistics.median(imports["fastinit"]) - statistics.median(imports["numpy"])
    return [
        {
            "name": "he_normal 64x64, out= given",
            "seconds": statistics.median(small),
            "rounds": small,
        },
        {"name": "import fastinit over import numpy", "seconds": extra, "rounds": imports},
    ]


def files(rounds: int) -> list[Row]:
    """gpt2 to a file system in memory and to disk, as a whole process, compared with a plain write
    of the same number of bytes.
    """
    fastinit = str(pathlib.Path(sys.executable).parent / "fastinit")
    rows = []
    for folder in ("/dev/shm", str(HERE)):
        if (
            not os.path.isdir(folder)
            or os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize < 2 << 30
        ):
            continue
        path = os.path.join(folder, f"fastinit-benchmark-{os.getpid()}")
        plain = (
            f"import os; f = open({path!r}, 'wb'); b = bytes([60]) * (4 << 20)\n"
            "for _ in range(119): f.write(b)\nf.flush(); os.fsync(f.fileno())"
        )
        seconds, limit = [], []
        try:
            for _ in range(rounds):
                limit.append(wall(sys.executable, "-c", plain))
                seconds.append(
                    wall(fastinit, "materialize", "gpt2", "-o", path, "--seed", "0", "--force")
                )
        finally:
            if os.path.exists(path):
                os.unlink(path)
        where = "memory" if folder == "/dev/shm" else "disk"
        rows.append(
            {
                "name": f"fastinit materialize gpt2, to {where}",
                "seconds": statistics.median(seconds),
                "rounds": seconds,
            }
        )
        rows.append(
            {
                "name": f"write and fsync of as many bytes, to {where}",
                "seconds": statistics.median(limit),
                "rounds": limit,
            }
        )
    return rows


def sparse(rounds: int) -> list[Row]:
    """A sparse 4096 x 4096 matrix, 90 % zeros, all threads."""
    case = {"draw": "sparse", "dtype": "float32", "threads": 2, "count": 1 << 24}
    return compare(
        [({**case, "library": library}, {}) for library in ("fastinit", "torch", "memset")], rounds
    )


def orthogonal(rounds: int) -> list[Row]:
    """Orthogonal matrices: see bench_orthogonal.py."""
    return bench_orthogonal.measure(rounds)


def torch(rounds: int) -> list[Row]:
    """Models built in torch, small calls and shards: see bench_torch.py."""
    return bench_torch.measure(rounds)


def checkpoint(rounds: int) -> list[Row]:
    """Whole models: written, checked and planned, each beside its limit: see checkpoint.py."""
    return bench_checkpoint.measure(rounds)


def inspection(rounds: int) -> list[Row]:
    """How fast a checkpoint is measured and audited, beside a fill: see inspection.py."""
    return bench_inspection.measure(rounds)


PARTS: dict[str, Callable[[int], list[Row]]] = {
    part.__name__: part
    for part in (
        *(fills, threads, cold, calls, files),
        *(sparse, orthogonal, torch, checkpoint, inspection),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as bytecode:
        # Compiled once for all processes: a tree with stale bytecode, which nobody may rewrite,
        # would be compiled by each of them, in the time that is measured.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode
        run(options.only.split(","), options.rounds)


def run(parts: list[str], rounds: int) -> None:
    """Measure the parts and write their results."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    machine = machines.this_machine()
    folder = machines.folder(machine["cpu"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in parts:
        began = time.perf_counter()
        rows = PARTS[name](rounds)
        result = {
            "part": name,
            "what": PARTS[name].__doc__,
            "date": datetime.date.today().isoformat(),
            "commit": commit,
            "machine": machine,
            "load_before": os.getloadavg(),
            "rows": rows,
        }
        (folder / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(f"{name}: {len(rows)} rows in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
