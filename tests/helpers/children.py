"""Run Python code in a fresh interpreter with the package that is tested here, and measure its
memory.

The adapters' tests have their own children (adapters/), which need a framework's environment.
"""

import os
import subprocess
import sys
import textwrap

import fastinit as fi

# For other commands: a fresh interpreter with the same package.  -P keeps the current folder out of
# its path.
PYTHON = [sys.executable, "-P"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fi.__file__))}

# The ru_maxrss of a new process starts at the peak of the process that forked it.  So a limit on it
# fails under a large pytest, and a difference of two readings may hide all growth.  VmHWM belongs
# to the memory map, which exec makes anew.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
"""


def python(code: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, which never imports the source tree (-P) and does not have
    the FASTINIT_… variables of this one.
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
    """The MiB by which code raises the peak memory of a fresh interpreter after setup, and what it
    printed (Linux only).
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
