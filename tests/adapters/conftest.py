"""Test files that need processes of their own: JAX and Keras read their devices, their backend and
their precision once, when they are imported.

Such a file has a line `PROCESSES = ("jax_32_bits", …)`, with names from the table below, and holds
ordinary tests.  This process never imports it.  It reads the names of its tests, runs the selected
tests of all files that name a process in one child pytest, and reports each under its own name,
test_jax_keys.py::jax_32_bits::test_….  A process with `ranks` is that many children that run the
same tests side by side; a test passes if it passes in all of them.

To debug a test, run it in the current process:

    ADAPTER_PROCESS=jax_64_bits pytest --pdb tests/adapters/test_jax_keys.py -k golden
"""

import ast
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from fastinit._core import engine

sys.path.insert(0, os.path.dirname(__file__))
from child_processes import devices, environment, free_address, side_by_side  # noqa: E402

PROCESSES = {
    "jax_32_bits": {"JAX_ENABLE_X64": "0"},
    "jax_64_bits": {"JAX_ENABLE_X64": "1"},
    "jax_reference_engine": {"JAX_ENABLE_X64": "0", "FASTINIT_ENGINE": "reference"},
    "jax_1_device": devices(1),
    "jax_2_devices": devices(2),
    "jax_8_devices": devices(8),
    "jax_two_ranks": {"ranks": 2, **devices(2)},
    "keras_on_jax": {"KERAS_BACKEND": "jax", **devices(4)},
    "keras_on_torch": {"KERAS_BACKEND": "torch"},
    "keras_on_numpy": {"KERAS_BACKEND": "numpy"},
    "keras_two_ranks": {"ranks": 2, "KERAS_BACKEND": "jax", **devices(2)},
}
SECONDS = 900  # for one process and all its tests, which take 60 s on two idle cores

HERE = os.environ.get("ADAPTER_PROCESS")  # the name of this process, if it is a child
if HERE:
    os.environ.update({k: v for k, v in PROCESSES[HERE].items() if k != "ranks"})
    os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())  # where Keras writes its configuration
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_configure(config):
    wanted = PROCESSES[HERE].get("FASTINIT_ENGINE") if HERE else None
    if wanted and engine.name() != wanted:
        raise pytest.UsageError(f"{HERE} also needs FASTINIT_ENGINE={wanted} in the environment")


def pytest_pycollect_makemodule(module_path, parent):
    names, tests = of_file(module_path)
    if not names:
        return None  # an ordinary file
    if HERE is None:
        return File.from_parent(parent, path=module_path, processes=names, tests=tests)
    if HERE not in names:
        return Elsewhere.from_parent(parent, path=module_path)
    return None


def of_file(path):
    """The processes that a file names, and its tests as (name, line)."""
    body = ast.parse(path.read_text("utf-8")).body
    names = [
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROCESSES"
    ]
    tests = [
        (node.name, node.lineno)
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return (names[0] if names else ()), tests


class Elsewhere(pytest.File):
    """A file that does not name the process at hand."""

    def collect(self):
        return []


class File(pytest.File):
    def __init__(self, *, processes, tests, **kwargs):
        super().__init__(**kwargs)
        self.processes, self.tests = processes, tests

    def collect(self):
        for process in self.processes:
            yield Process.from_parent(self, name=process)


class Process(pytest.Collector):
    def collect(self):
        for name, line in self.parent.tests:
            yield Test.from_parent(self, name=name, line=line)


class Test(pytest.Item):
    """One test function in one process; of a parametrized one, all its cases."""

    def __init__(self, *, line, **kwargs):
        super().__init__(**kwargs)
        self.line = line
        self.add_marker(pytest.mark.frameworks)
        self.add_marker(pytest.mark.xdist_group(self.parent.name))

    def reportinfo(self):
        return self.path, self.line - 1, f"{self.parent.name}::{self.name}"

    def runtest(self):
        process = self.parent.name
        if process not in self.session.stash.setdefault(RAN, {}):
            chosen = [
                item
                for item in self.session.items
                if isinstance(item, Test) and item.parent.name == process
            ]
            self.session.stash[RAN][process] = run(process, chosen, self.config.rootpath)
        ranks = self.session.stash[RAN][process]
        mine = [rank.of(self.path, self.name) for rank in ranks]
        for rank, reports in zip(ranks, mine, strict=True):
            for report in reports:
                if report["outcome"] == "failed":
                    raise Failed(f"{report['id']} in {process}\n{report['text']}")
            if not any(report["when"] == "teardown" for report in reports):
                raise Failed(f"{self.name} did not end in {process}:\n{rank.output[-6000:]}")
        for reports in mine:
            skipped = [report["text"] for report in reports if report["outcome"] == "skipped"]
            if skipped and not any(
                report["when"] == "call" and report["outcome"] == "passed" for report in reports
            ):
                pytest.skip(skipped[0])

    def repr_failure(self, excinfo):
        return (
            str(excinfo.value) if excinfo.errisinstance(Failed) else super().repr_failure(excinfo)
        )


RAN = pytest.StashKey()  # process -> what each of its ranks did


class Failed(Exception):
    """A failure of a child, with its text."""


class Rank:
    """What one child printed and reported."""

    def __init__(self, output, lines):
        self.output, self.reports = output, [json.loads(line) for line in lines]

    def of(self, path, name):
        return [one for one in self.reports if (one["path"], one["test"]) == (str(path), name)]


def run(process, tests, root):
    """The chosen tests in the children of one process: a Rank for each."""
    settings = dict(PROCESSES[process])
    ranks, address = settings.pop("ranks", 1), free_address()
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(root), *[f"{test.path}::{test.name}" for test in tests]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environments = [
            environment(
                **settings,
                ADAPTER_PROCESS=process,
                ADAPTER_REPORT=str(folder / f"report{rank}"),
                ADAPTER_RANK=f"{address} {ranks} {rank}",
                KERAS_HOME=str(folder / f"keras{rank}"),
            )
            for rank in range(ranks)
        ]
        ended = side_by_side([command] * ranks, environments, folder, SECONDS)
        reports = [folder / f"report{rank}" for rank in range(ranks)]
        return [
            Rank(output, report.read_text("utf-8").splitlines() if report.exists() else [])
            for (_, output), report in zip(ended, reports, strict=True)
        ]


def pytest_runtest_logreport(report):
    """In a child: one line for each phase of each test."""
    if "ADAPTER_REPORT" not in os.environ:
        return
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    file, test = report.nodeid.split("::", 1)
    line = {
        "id": report.nodeid,
        "path": str(ROOTS[0] / file),
        "test": test.partition("[")[0],
        "when": report.when,
        "outcome": report.outcome,
        "text": text + "".join(f"\n{name}:\n{body}" for name, body in report.sections),
    }
    with open(os.environ["ADAPTER_REPORT"], "a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


ROOTS = []


def pytest_sessionstart(session):
    ROOTS[:] = [session.config.rootpath]
