"""How often audit() reports a fault in a sound checkpoint, and how fast it is.

    python -P benchmarks/false_alarms.py [--first 0] [--seeds 1000] [-o FILE.json]
        For each seed a checkpoint of 1,000 tensors is drawn, written, and compared with its laws.
        Every tensor is treated as one whose draw is not known: its numbers against its law.
        A run that was stopped continues where its file ends.
    python -P benchmarks/false_alarms.py --speed
        GPT-2's audit, with and without its seed, beside the fill of the same values.

The bound that audit promises is one finding in a million checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np

import fastinit as fi
from fastinit import checkpoint, inspection

RULES = [
    {"initializer": "normal", "std": 0.02},
    {"initializer": "normal", "std": 1.0, "mean": 0.1},
    {"initializer": "uniform", "low": -0.1, "high": 0.3},
    {"initializer": "xavier_uniform"},
    {"initializer": "truncated_normal", "std": 0.02},
    {"initializer": "he_normal"},
    {"initializer": "sparse", "sparsity": 0.8},
    {"initializer": "variance_scaling", "distribution": "truncated_normal"},
    {"initializer": "zeros"},
    {"initializer": "truncated_normal", "low": 0.5, "high": "inf", "bounds": "absolute"},
]
DTYPES = ("float32", "bfloat16", "float16", "float8_e4m3fn")
SPEC = {
    "repeat": {"layer": 100},
    "tensors": {
        f"layers.{{layer}}.t{number}": {"shape": [8 * (number + 1), 12], **rule}
        for number, rule in enumerate(RULES)
    },
}


def false_alarms(first: int, seeds: int, output: str | None) -> None:
    laws = inspection.laws(SPEC)
    specs = [checkpoint.load(SPEC, dtype) for dtype in DTYPES]
    content = {
        "commit": _commit(),
        "version": fi.info()["version"],
        "engine": fi.info()["engine"],
        "first seed": first,
        "tensors": 0,
        "dtypes": list(DTYPES),
        "level": 1e-6,
    }
    so_far = {"checkpoints": 0, "alarms": [], "smallest corrected p": 1.0, "seconds": 0.0}
    if output and os.path.exists(output):
        with open(output, encoding="utf-8") as file:
            found = json.load(file)
        changed = [key for key in content if key != "tensors" and content[key] != found[key]]
        if changed:
            raise SystemExit(f"{output} is of another {changed[0]}; give a new file")
        so_far = {key: found[key] for key in so_far}
    began = time.perf_counter() - so_far["seconds"]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        for seed in range(first + so_far["checkpoints"], first + seeds):
            checkpoint.materialize(specs[seed % len(specs)], path, seed=seed, force=True)
            found = inspection.audit(path, laws)
            so_far["smallest corrected p"] = min(
                so_far["smallest corrected p"],
                *(row.p for row in found.rows if row.p is not None),
            )
            if not found:
                so_far["alarms"].append({"seed": seed, "findings": found.findings})
            so_far["checkpoints"] += 1
            so_far["seconds"] = round(time.perf_counter() - began, 1)
            content["tensors"] = len(found.rows)
            if output and (so_far["checkpoints"] % 10 == 0 or seed == first + seeds - 1):
                with open(output, "w", encoding="utf-8") as file:
                    json.dump({**content, **so_far}, file, indent=1)
                    file.write("\n")
    count, alarms, p = (so_far[key] for key in ("checkpoints", "alarms", "smallest corrected p"))
    print(f"{count} checkpoints, {len(alarms)} alarms, smallest corrected p {p:.3g}")


def _commit() -> str:
    """The commit of this file's clone; "" outside of one."""
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return done.stdout.strip()


def _best(function) -> float:  # type: ignore[no-untyped-def]
    """The shortest of five runs, in seconds."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def speed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = os.path.join(folder, "model.safetensors")
        report = checkpoint.materialize("gpt2", path, seed=0)
        laws = inspection.laws("gpt2")
        buffer = np.empty(report.values, np.float32)
        fill = _best(lambda: fi.normal(out=buffer, std=0.02, seed=0))
        initial = _best(lambda: inspection.audit(path))
        by_law = _best(lambda: inspection.audit(path, laws))
    rows = {
        "values": report.values,
        "fill seconds": fill,
        "audit of initial tensors, seconds": initial,
        "audit against laws, seconds": by_law,
        "initial, share of the fill rate": fill / initial,
        "against laws, share of the fill rate": fill / by_law,
    }
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("-o", "--output")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        speed()
    else:
        false_alarms(options.first, options.seeds, options.output)
