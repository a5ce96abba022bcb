"""Draws with every available instruction set and compiler, natively and on AArch64 under qemu, and
compares the bits.

    python -P tests/contract/cross/check.py

It uses those that it finds of cc, gcc, clang and aarch64-linux-gnu-gcc with qemu-aarch64 (Debian:
clang, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user), and prints which.  It is not part
of the test command, because fresh machines have no cross compiler.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from fastinit._core import draws
from fastinit._core.dtypes import FLOATING

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = [
    ROOT / "tests/contract/cross/tiles.c",
    ROOT / "src/dispatch.c",
    *sorted((ROOT / "src/isa").glob("*.c")),
]
FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", f"-I{ROOT / 'src'}"]
COMPILERS = {
    "gcc": [],
    "clang": [],
    "aarch64-linux-gnu-gcc": ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
}


def parameters() -> str:
    lines = []
    infinity = float("inf")
    for dtype in FLOATING:
        for draw in (
            draws.uniform(-0.3, 0.7, dtype),
            draws.normal(0.25, 0.7, dtype),
            draws.truncated_normal(0.0, 0.02, -0.04, 0.04, dtype),
            draws.truncated_normal(0.5, 1.0, -3.0, 4.5, dtype),
            draws.truncated_normal(0.0, 1.0, 6.0, infinity, dtype),
        ):
            values = " ".join(float(p).hex() for p in draw.parameters)
            lines.append(f"{draw.draw} {draw.storage} {len(draw.parameters)} {values}")
    return "\n".join(lines) + "\n"


def main() -> int:
    seen: dict[tuple[int, str], dict[str, str]] = {}
    text = parameters()
    with tempfile.TemporaryDirectory() as folder:
        for compiler, runner in COMPILERS.items():
            if not shutil.which(compiler) or (runner and not shutil.which(runner[0])):
                print(f"{compiler}: not here, left out")
                continue
            program = f"{folder}/{compiler}"
            subprocess.run([compiler, *FLAGS, *map(str, SOURCES), "-lm", "-o", program], check=True)
            output = subprocess.run(
                [*runner, program], input=text, check=True, capture_output=True, text=True
            ).stdout
            lines = output.splitlines()
            print(
                f"{compiler}: {len(lines)} hashes, instruction sets "
                f"{', '.join(dict.fromkeys(line.split()[2] for line in lines))}"
            )
            isas = len({line.split()[2] for line in lines})
            for number, line in enumerate(lines):
                draw, storage, isa, digest = line.split()
                seen.setdefault((number // isas, f"draw {draw} storage {storage}"), {})[
                    f"{compiler} {isa}"
                ] = digest
    bad = {key: found for key, found in seen.items() if len(set(found.values())) != 1}
    for key, found in bad.items():
        print(key, found)
    print("different bits" if bad else f"equal bits in all {len(seen)} draws")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
