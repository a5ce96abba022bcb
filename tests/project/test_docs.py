"""The pages of the site run: every Python block, in the order of its page, prints what is shown
below it, and every `fastinit` command in a console block ends with the status that the page says.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "_" not in page.parent.name]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
# Runs a page in a child process: each piece is Python code or a command line of fastinit.
RUNNER = """
import contextlib, io, json, pathlib, sys
from fastinit.cli import main
scope = {"__name__": "page"}
for kind, text, printed in json.load(sys.stdin):
    out = io.StringIO()
    if kind == "command":
        arguments, target = text
        with contextlib.redirect_stdout(out):
            status = main(arguments)
        wanted = 1 if "exit status 1" in printed else 0
        assert status == wanted, (arguments, status, out.getvalue())
        if target:
            pathlib.Path(target).write_text(out.getvalue())
        continue
    with contextlib.redirect_stdout(out):
        exec(compile(text, "page", "exec"), scope)
    if printed is not None:
        assert out.getvalue() == printed, f"{text}\\nprints\\n{out.getvalue()}"
"""


def pieces(page: pathlib.Path) -> list[tuple[str, object, str | None]]:
    """("python", code, what it must print or None) and ("command", arguments, comment or None)."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    found: list[tuple[str, object, str | None]] = []
    for number, (language, text) in enumerate(blocks):
        if language == "python":
            following = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            found.append(("python", text, following[1] if following[0] == "text" else None))
        if language == "console":
            for line in text.replace("\\\n", " ").splitlines():
                command, _, comment = line.partition("  #")
                if command.startswith("$ fastinit ") and "--cuda" not in command:
                    command, _, target = command[2:].partition(" > ")
                    assert not target or re.fullmatch(r"[\w.]+", target)
                    found.append(("command", (shlex.split(command)[1:], target), comment))
    return found


RUNNING = [page for page in PAGES if pieces(page)]


def test_the_guide_has_pages_that_run():
    assert len(RUNNING) >= 5


@pytest.mark.frameworks
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_the_code_on_a_page_runs_and_prints_what_the_page_shows(page, tmp_path):
    script = json.dumps(pieces(page))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "COLUMNS": "80"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", RUNNER],
        input=script,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
