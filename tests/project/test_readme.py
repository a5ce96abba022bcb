"""The README says what is so: its example prints its numbers, its tables are what report.py writes,
its length is kept.
"""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.S | re.M)


def test_the_first_example_prints_the_numbers_beside_it():
    (_, code), (_, printed) = blocks()[:2]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == printed


def test_it_has_at_most_300_lines():
    assert len(TEXT.splitlines()) <= 300


def test_its_tables_are_what_report_writes():
    run = subprocess.run(
        [sys.executable, "-P", str(ROOT / "benchmarks/report.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr or "run: python -P benchmarks/report.py"


def test_every_python_block_compiles():
    for language, code in blocks():
        if language == "python":
            compile(code, "README.md", "exec")


@pytest.mark.frameworks
@pytest.mark.parametrize("framework", ["torch", "jax", "keras"])
def test_the_examples_of_the_frameworks_run(framework):
    (code,) = [code for _, code in blocks() if f"fastinit.{framework} as" in code]
    if framework == "jax":
        code += "assert (v == w).all()\n"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
