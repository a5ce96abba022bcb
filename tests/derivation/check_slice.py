"""Repeats 1/4096 of the exhaustive sweeps, a slice chosen by this commit's hash, and compares it
with their recorded results.

    python -P tests/derivation/check_slice.py [K]

.ci/run runs it.  The whole sweeps, of minutes each, are sweep_normal.py and sweep_truncated.py;
their results are in the JSON files beside them.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.strip()
    number = int(sys.argv[1]) if len(sys.argv) > 1 else int(commit[:8], 16) % 4096
    print(f"slice {number} of 4096, commit {commit[:12]}", flush=True)
    failed = 0
    for sweep in ("sweep_normal.py", "sweep_truncated.py"):
        failed |= subprocess.run(
            [sys.executable, "-P", str(HERE / sweep), "--slice", str(number)]
        ).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
