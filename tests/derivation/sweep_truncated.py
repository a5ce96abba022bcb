"""Builds sweep_truncated.c and sweeps the truncated normal; sweep_truncated.json holds its
accuracy, order and digests.

    python tests/derivation/sweep_truncated.py
        every word at 2 sigma; seams and a sample elsewhere
    python tests/derivation/sweep_truncated.py --slice 17
        2^20 words (slice 17 of 4096) against the JSON, for .ci/run

Errors are in ulp of z, where outward means away from zero.  The whole takes minutes, a slice a
second.
"""

import argparse
import hashlib
import json
import math
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from fastinit._core import truncated

HERE = Path(__file__).parent
RESULT = HERE / "sweep_truncated.json"
FLAGS = ("-O2", "-ffp-contract=off")
INFINITY = math.inf
CENTRAL = (-2.0, 2.0)
CASES = (
    CENTRAL,
    (-1.0, 1.0),
    (0.0, INFINITY),
    (1.0, INFINITY),
    (-INFINITY, -2.5),
    (-1.0, 3.0),
    (2.5, INFINITY),
    (8.0, 10.0),
    (9.0, INFINITY),
    (-100.0, 100.0),
    (100.0, 101.0),
    (-1000.0, 1000.0),
    (-3.0, 3.0),
    (1.0, 1.001),
    (0.0, 2.0),
    (-0.001, 0.002),
    (-INFINITY, 0.3),
    (3.0, 4.0),
    (0.5, 0.6),
    (1e6, INFINITY),
)
BUDGET = 8.0  # stream-v1.md section 6


def build(folder):
    program = Path(folder) / "sweep"
    subprocess.run(["cc", *FLAGS, "-o", program, HERE / "sweep_truncated.c", "-lm"], check=True)
    return program


def numbers(alpha, beta):
    """Both forms' numbers as the program's arguments."""
    result = []
    for wide in (False, True):
        form, *k = truncated.parameters(alpha, beta, SimpleNamespace(wide=wide))
        result += [str(int(form)), str(len(k)), *(x.hex() for x in k)]
    return result


def run(program, mode, case, *arguments):
    given = [] if case is None else numbers(*case)
    lines = subprocess.run(
        [program, mode, *given, *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout
    return [json.loads(line) for line in lines.splitlines()]


def bad(row):
    return row["decreases"] or max(row["outward"], -row["inward"]) > BUDGET


def whole(program):
    compiler = subprocess.run(
        ["cc", "--version"], check=True, capture_output=True, text=True
    ).stdout.splitlines()[0]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=HERE, check=True, capture_output=True, text=True
    ).stdout.strip()
    result = {
        "commit": commit,
        "compiler": compiler,
        "flags": " ".join(FLAGS),
        "machine": platform.machine(),
        "cases": {},
    }
    result["steps_out_of_order"] = run(program, "steps", None)[0]
    for case in CASES:
        name = f"{case[0]:g} {case[1]:g}"
        print(name, file=sys.stderr)
        seams = run(program, "seams", case)[0]
        sample = run(program, "words", case, 0, 1 << 32, 127)[0]
        pairs = run(program, "pairs", case, 1 << 22)[0]
        result["cases"][name] = {"seams": seams, "sample": sample, "float64": pairs}
    print("every word", file=sys.stderr)
    slices = run(program, "slices", CENTRAL, 0, 4096)
    words = sum(row["words"] for row in slices)
    result["every_word"] = {
        "words": words,
        "outward": max(row["outward"] for row in slices),
        "inward": min(row["inward"] for row in slices),
        "rms": round(math.sqrt(sum(row["rms"] ** 2 * row["words"] for row in slices) / words), 3),
        "decreases": sum(row["decreases"] for row in slices),
        "digest": hashlib.sha256("".join(row["digest"] for row in slices).encode()).hexdigest(),
    }
    digests = [row["digest"][:8] for row in slices]
    result["slices"] = [" ".join(digests[k : k + 16]) for k in range(0, 4096, 16)]
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    rows = [
        result["every_word"],
        *(row for case in result["cases"].values() for row in (case["seams"], case["sample"])),
    ]
    failed = any(map(bad, rows)) or any(result["steps_out_of_order"].values())
    return failed or any(case["float64"]["decreases"] for case in result["cases"].values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--slice", type=int, metavar="K", help="only this of 4096 slices, compared with the JSON"
    )
    only = parser.parse_args().slice
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        if only is None:
            return whole(program)
        row = run(program, "slices", CENTRAL, only, only + 1)[0]
        same = row["digest"][:8] == " ".join(json.loads(RESULT.read_text())["slices"]).split()[only]
        print(f"slice {only}: {row} {'as in' if same else 'DIFFERS FROM'} {RESULT.name}")
        return bad(row) or not same


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
