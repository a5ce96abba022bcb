"""What every test run says first, the marks (`native` tests need the compiled engine and are left
out, -m "not native", not skipped, where there is none), and the seeds.
"""

import os
import random
import signal
import sys

import numpy as np
import pytest

from fastinit._core import engine as _engine

# Modules that several tests share. Under --import-mode=importlib, tests do not find them by
# themselves. The adapters' scripts, which run in processes of their own, lie beside their tests.
for folder in ("adapters", "helpers"):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), folder))
# Children of the tests import what is installed too, wherever they are started from: never the
# source tree.
os.environ["PYTHONSAFEPATH"] = "1"
# Started by nohup or in the background, a run inherits ignored signals, and so would the children
# that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "native: needs the compiled engine (deselect with -m 'not native' where there is none)",
    )
    config.addinivalue_line("markers", "numba: needs numba, or minutes without it")
    config.addinivalue_line("markers", "frameworks: needs torch, JAX or Keras")
    config.addinivalue_line("markers", "slow: minutes; not part of the README's test command")


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Every test has the same random numbers of torch and of Python, alone or after others: none
    may fail by chance.
    """
    random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


def pytest_report_header() -> str:
    return (
        f"fastinit: engine {_engine.name()}, ISA {_engine.isa()} of {', '.join(_engine.isas())}, "
        f"{_engine.threads()} threads; numpy {np.__version__}; installed at "
        f"{os.path.dirname(os.path.dirname(_engine.__file__))}; {sys.platform}"
    )
