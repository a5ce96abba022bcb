"""Python code in a fresh interpreter, against the package that is tested here, and how much memory
it took.

The adapters' tests have their own children (adapters/): those need a framework's environment.
"""

import os
import subprocess
import sys
import textwrap

import fastinit as fi

# For commands of other forms: a fresh interpreter with the package that this one has. -P keeps the
# folder of the call out of its path.
PYTHON = [sys.executable, "-P"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fi.__file__))}

# ru_maxrss of a new process is not its own: it starts at the peak of the process that forked it, so
# a limit on it fails under a large pytest, and a difference of two readings may hide all growth.
# VmHWM is of the memory map that exec makes anew.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
"""


def python(code: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, never importing the source tree (-P), without the
    FASTINIT_… variables of this one.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith("FASTINIT_")} | environment
    run = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(code)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not check or run.returncode == 0, run.stderr
    return run


def growth(code: str, setup: str = "", **environment: str) -> tuple[float, str]:
    """The MiB by which code raises the peak memory of a fresh interpreter, after setup, and what it
    printed. Linux only.
    """
    code = "\n".join(
        [
            PEAK,
            textwrap.dedent(setup),
            "before = peak()",
            textwrap.dedent(code),
            "print(peak() - before)",
        ]
    )
    *printed, grown = python(code, **environment).stdout.splitlines()
    return float(grown), "\n".join(printed)
