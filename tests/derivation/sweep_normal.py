"""Builds sweep_normal.c and sweeps the radius and angle of the normal draw; sweep_normal.json holds
the errors and digests.

    python tests/derivation/sweep_normal.py
        float32: all 2^32 words; float64: 2^24 and the edge words
    python tests/derivation/sweep_normal.py --slice 17
        slice 17 of 4096, against the JSON and the reference engine

Errors are in ulp of the exact value.  A slice's digest, of 8 hexadecimal digits, is the sum of a
hash of (word, result bits) over the slice.  The whole takes two minutes on two cores, a slice a
second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RESULT = HERE / "sweep_normal.json"
FLAGS = ("-O2", "-ffp-contract=off")
SLICES = {"radius32": 4096, "angle32": 4096, "radius64": 256, "angle64": 256}
BUDGET = 4.0  # stream-v1.md section 5


def build(folder):
    program = Path(folder) / "sweep"
    subprocess.run(["cc", *FLAGS, "-o", program, HERE / "sweep_normal.c", "-lm"], check=True)
    return program


def run(program, what, first, end):
    """One tuple a slice: digest, the worst errors, the words that have them."""
    command = [program, what, str(first), str(end)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split() for line in lines]
    return [(digest, (float(e), float(f)), (v, w)) for _, digest, e, f, v, w in rows]


def summary(rows, what):
    names = ("radius",) if what.startswith("radius") else ("cosine", "sine")
    result = {}
    for k, name in enumerate(names):
        worst = max(rows, key=lambda row: row[1][k])
        result[name] = {"ulp": worst[1][k], "word": worst[2][k]}
    return result


def whole(program, workers):
    result = {
        "commit": output("git", "rev-parse", "HEAD"),
        "compiler": output("cc", "--version").splitlines()[0],
    }
    result |= {"flags": " ".join(FLAGS), "cpu": cpu()}
    failed = False
    with ThreadPoolExecutor(workers) as pool:
        for what, count in SLICES.items():
            step = count // 64
            parts = pool.map(
                lambda k, what=what, step=step: run(program, what, k, k + step),
                range(0, count, step),
            )
            rows = [row for part in parts for row in part]
            result[what] = summary(rows, what)
            result[what]["digests"] = "".join(digest for digest, _, _ in rows)
            print(what, summary(rows, what), flush=True)
            failed |= any(error > BUDGET for _, errors, _ in rows for error in errors)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    return failed


def output(*command):
    return subprocess.run(
        command, cwd=HERE, check=True, capture_output=True, text=True
    ).stdout.strip()


def cpu():
    text = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return ", ".join(
        f"{key} {fields[key]}" for key in ("model name", "cpu family", "model") if key in fields
    )


# ---- the same digests from the reference engine, so that what was swept is what ships ------------


def mix(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def digest_of(*hashes):
    total = sum(int(h.sum(dtype=np.uint64)) for h in hashes) % 2**64
    return f"{(total ^ total >> 32) % 2**32:08x}"


def shipped(what, k):
    """The digest of a slice by fastinit.reference (in float64 not for slice 0, whose edge words
    only the C program has).
    """
    from fastinit.reference import normal

    if what.endswith("32"):
        words = np.arange(2**20, dtype=np.uint32) << np.uint32(12) | np.uint32(k)
        high = words.astype(np.uint64) << np.uint64(32)
        if what == "radius32":
            return digest_of(mix(high | normal.radius_f32(words).view(np.uint32)))
        cosine, sine = normal.sincos_f32(words)
        return digest_of(mix(high | cosine.view(np.uint32)), mix(~(high | sine.view(np.uint32))))
    index = np.arange(k << 16, (k + 1) << 16, dtype=np.uint64)
    words = mix(index * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
    close = mix(words) >> (np.uint64(3) + (words >> np.uint64(32)) % np.uint64(58))
    close = (words & np.uint64(7 << 61)) + np.where(words & np.uint64(1), close, ~close)
    words = np.where(index % np.uint64(4) == 3, close, words)
    if what == "radius64":
        return digest_of(mix(mix(words) ^ normal.radius_f64(words).view(np.uint64)))
    cosine, sine = normal.sincos_f64(words)
    return digest_of(
        mix(mix(words) ^ cosine.view(np.uint64)), mix(mix(~words) ^ sine.view(np.uint64))
    )


def one(program, k):
    kept, failed = json.loads(RESULT.read_text()), False
    for what, count in SLICES.items():
        place = k % count
        digest, errors, _ = run(program, what, place, place + 1)[0]
        same = digest == kept[what]["digests"][8 * place : 8 * place + 8]
        ships = (what.endswith("64") and place == 0) or shipped(what, place) == digest
        verdict = (
            ("as in" if same else "DIFFERS FROM")
            + f" {RESULT.name}, engine "
            + ("equal" if ships else "DIFFERS")
        )
        print(f"{what} slice {place}: {max(errors)} ulp, {verdict}")
        failed |= not same or not ships or max(errors) > BUDGET
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--slice", type=int, metavar="K", help="only this of 4096 slices, compared with the JSON"
    )
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        if arguments.slice is None:
            return whole(program, arguments.processes)
        return one(program, arguments.slice)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
