"""The README is true: its example prints what is shown below it; its chart, ratios and matrix are
what the programs write; its links lead to files; and its length is limited.
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


def test_the_readme_has_at_most_120_lines():
    assert len(TEXT.splitlines()) <= 120


def test_every_file_that_it_links_to_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_its_chart_and_ratios_are_what_report_writes():
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
def test_its_matrix_is_what_features_finds():
    run = subprocess.run(
        [sys.executable, "-P", str(ROOT / "benchmarks/features.py")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert f"<!-- features.py -->\n{run.stdout}<!-- /features.py -->" in TEXT, run.stdout


@pytest.mark.frameworks
@pytest.mark.parametrize("framework", ["torch", "jax"])  # keras is in jax's block
def test_the_examples_of_the_frameworks_run(framework):
    (code,) = [code for _, code in blocks() if f"fastinit.{framework} as" in code]
    if framework == "jax":
        assert "import keras, fastinit.keras as init" in code
        code += "assert w.shape == (4096, 4096)\n"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
