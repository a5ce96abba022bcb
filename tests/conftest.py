"""What every test run says first, the marks (`native` tests need the compiled engine and are left
out, -m "not native", not skipped, where there is none), and the seeds.
"""

import importlib.util
import os
import random
import shutil
import signal
import sys

import numpy as np
import pytest

from fastinit._core import engine as _engine

# Modules that several tests share. Under --import-mode=importlib, tests do not find them by
# themselves. Those of the adapters lie beside their tests (adapters/conftest.py).
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "helpers"))
# Children of the tests import what is installed too, wherever they are started from: never the
# source tree.
os.environ["PYTHONSAFEPATH"] = "1"
# Started by nohup or in the background, a run inherits ignored signals, and so would the children
# that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# Files that import at their top what may be missing are left out then, not skipped: the first lines
# of the run say so, and .ci/run checks that its environment has everything.
NEEDS = {"*/test_torch_*.py": "torch", "unit/orthogonal/test_forms.py": "numba"}
collect_ignore_glob = [
    glob for glob, package in NEEDS.items() if importlib.util.find_spec(package) is None
]


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "native: needs the compiled engine (deselect with -m 'not native' where there is none)",
    )
    config.addinivalue_line("markers", "numba: needs numba, or minutes without it")
    config.addinivalue_line("markers", "frameworks: needs torch, JAX or Keras")
    config.addinivalue_line("markers", "cuda: needs NVIDIA's compiler library, and no GPU")
    config.addinivalue_line("markers", "tools: needs mypy, pyright or numpydoc")
    config.addinivalue_line("markers", "browser: needs chromium")
    config.addinivalue_line("markers", "slow: minutes; not part of the README's test command")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "adapters" in item.path.parts:
            item.add_marker(pytest.mark.frameworks)
    if not BROWSER:  # left out, and the first lines of the run say so
        left = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("browser")]


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Every test has the same random numbers of torch and of Python, alone or after others: none
    may fail by chance.
    """
    random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


def pytest_report_header() -> list[str]:
    left_out = [
        f"fastinit: {glob} left out, since {NEEDS[glob]} is not installed"
        for glob in collect_ignore_glob
    ]
    if not BROWSER:
        left_out.append("fastinit: tests marked browser left out, since chromium is not installed")
    return [
        *left_out,
        f"fastinit: engine {_engine.name()}, ISA {_engine.isa()} of {', '.join(_engine.isas())}, "
        f"{_engine.thread_count()} threads; numpy {np.__version__}; installed at "
        f"{os.path.dirname(os.path.dirname(_engine.__file__))}; {sys.platform}",
    ]
