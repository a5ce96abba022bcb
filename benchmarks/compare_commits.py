"""Two commits of this repository side by side: small calls, the import and fills.

    python benchmarks/compare_commits.py d3d9cc4 HEAD --rounds 9 -o compared.json

It builds each commit into its own folder, with the Cython, setuptools and compiler of the Python
that runs this, and then starts one process of each in turn: old new old new ...  Both commits are
measured in the same state of the machine, so quote the ratio, which is the median over the pairs.
Every figure is a time: a ratio below 1 means that the new commit is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What each process measures and prints.  It uses only names that both commits have.
CHILD = """
import json, statistics, time
import numpy as np
start = time.perf_counter()
import fastinit as fi
found = {"import over numpy, ms": 1e3 * (time.perf_counter() - start)}

def each(call, calls, batches):
    call()
    seconds = []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append((time.perf_counter() - start) / calls)
    return statistics.median(seconds)

assert fi.info()["engine"] == "native"
small = np.empty((64, 64), np.float32)
found["he_normal(out=) 64x64, us"] = 1e6 * each(
    lambda: fi.he_normal(out=small, seed=0, name="layers.0.weight"), 500, 21
)
try:
    import torch
except ImportError:
    pass
else:
    import fastinit.torch
    torch.set_num_threads(1)
    tensor = torch.empty(64, 64)
    found["torch.kaiming_uniform_ 64x64, us"] = 1e6 * each(
        lambda: fastinit.torch.kaiming_uniform_(tensor), 500, 21
    )
for draw in ("uniform", "normal", "truncated_normal"):
    for dtype in ("float32", "bfloat16"):
        large = fi.zeros(1 << 24, dtype=dtype)
        found[f"{draw} {dtype}, 16 Mi values, one thread, ms"] = 1e3 * each(
            lambda: getattr(fi, draw)(out=large, seed=0, threads=1), 1, 7
        )
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", help="a commit")
    parser.add_argument("--rounds", type=int, default=9, help="processes of each (default: 9)")
    parser.add_argument("-o", "--output", help="a JSON file with every number")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = {}
        for which in ("old", "new"):
            folders[which] = build(getattr(options, which), Path(name) / which)
        measured = {"old": [], "new": []}
        for _ in range(options.rounds):
            for which in ("old", "new"):
                measured[which].append(measure(folders[which]))
    rows = {}
    for figure in measured["old"][0]:
        old, new = ([one[figure] for one in measured[which]] for which in ("old", "new"))
        ratios = [b / a for a, b in zip(old, new, strict=True)]
        rows[figure] = {"old": old, "new": new, "ratios": ratios}
        print(
            f"{figure:48} {statistics.median(old):9.3f} {statistics.median(new):9.3f}   "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )
    if options.output:
        facts = {"python": sys.version.split()[0], "machine": platform.machine()}
        commits = {which: revision(getattr(options, which)) for which in ("old", "new")}
        text = json.dumps({"commits": commits, **facts, "figures": rows}, indent=1)
        Path(options.output).write_text(text + "\n", "utf-8")


def revision(commit: str) -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", commit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def build(commit: str, folder: Path) -> Path:
    """Install a commit's package below the folder, without its dependencies."""
    source, target = folder / "source", folder / "installed"
    source.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    required = {**os.environ, "FASTINIT_REQUIRE_NATIVE": "1"}
    subprocess.run([*command, "--target", str(target), str(source)], check=True, env=required)
    measure(target)  # compiles the bytecode, which the import must not pay for
    return target


def measure(folder: Path) -> dict[str, float]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    child = subprocess.run(
        [sys.executable, "-P", "-c", CHILD],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, "FASTINIT_ENGINE": "native"},
        cwd=folder,
    )
    return json.loads(child.stdout)


if __name__ == "__main__":
    main()
