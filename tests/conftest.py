"""The header of every test run, the marks, and the seeds.

Tests marked `native` need the compiled engine; without one they are left out (-m "not native"), not
skipped.
"""

import importlib.util
import os
import random
import shutil
import signal
import sys

# Before NumPy and torch read them. Workers and children run side by side, and threads of OpenBLAS
# and OpenMP spin while they wait for one that has no core: 50 s in a test that takes 2.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from fastinit._core import engine as _engine  # noqa: E402

# Modules that several tests share, which tests do not find by themselves under
# --import-mode=importlib.  Those of the adapters are beside their tests (adapters/conftest.py).
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "helpers"))
# Children of the tests also import the installed package and never the source tree, wherever they
# are started.
os.environ["PYTHONSAFEPATH"] = "1"
# A run that was started by nohup or in the background ignores signals, and the children that tests
# interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# Files whose top-level imports may be missing.  They are then left out, not skipped: the header of
# the run says so, and .ci/run checks that its environment has everything.
NEEDS = {
    "*/test_torch_*.py": "torch",
    "unit/orthogonal/test_forms.py": "numba",
    "unit/cli/test_completion.py": "shtab",
}
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
    config.addinivalue_line("markers", "xdist_group: tests that one worker runs, by pytest-xdist")
    config.addinivalue_line("markers", "slow: minutes; not part of the README's test command")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "adapters" in item.path.parts:
            item.add_marker(pytest.mark.frameworks)
    if not BROWSER:  # left out; the header of the run says so
        left = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("browser")]


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Give every test the same random numbers of torch and Python, whether it runs alone or after
    others, so that none fails by chance.
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
