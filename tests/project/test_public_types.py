"""mypy and pyright on the public API: typed_sample.py, where some lines must be errors."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tools

SAMPLE = Path(__file__).parent / "typed_sample.py"


def mypy(path):
    """The lines of a file in which mypy finds errors, each with its first message."""
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    lines = re.findall(rf"^{re.escape(path.name)}:(\d+): error: (.*)$", found.stdout, re.MULTILINE)
    return {int(line): message for line, message in reversed(lines)}


def pyright(path):
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--pythonpath",
            sys.executable,
            path.name,
        ],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    diagnostics = json.loads(found.stdout)["generalDiagnostics"]
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in reversed(diagnostics)
        if each["severity"] == "error"
    }


def surprises(path, checker):
    """What the checker says of lines that should be right, and the marked lines that it accepts."""
    text = path.read_text("utf-8").splitlines()
    marked = {number for number, line in enumerate(text, 1) if line.endswith("# error")}
    found = checker(path)
    wrong = {number: message for number, message in found.items() if number not in marked}
    return wrong, {number: text[number - 1] for number in marked - set(found)}


def copied(tmp_path, text):
    """Beside no source tree, so that the installed package is what is checked."""
    path = tmp_path / "sample.py"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_the_sample_has_errors_in_the_marked_lines_only(checker, tmp_path):
    assert surprises(copied(tmp_path, SAMPLE.read_text("utf-8")), checker) == ({}, {})


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_a_wrong_line_without_a_mark_and_a_right_one_with_it_are_noticed(checker, tmp_path):
    path = copied(
        tmp_path,
        "import fastinit as fi\n"
        "fi.zeros(3, dtype='flot32')\n"
        "fi.zeros(3, dtype='float32')  # error\n"
        "fi.zeros(3, dtype='flot32')  # error\n",
    )
    wrong, accepted = surprises(path, checker)
    assert set(wrong) == {2} and set(accepted) == {3}


def test_every_public_name_is_typed_without_any_in_what_it_takes():
    """But where the value is anything: a batch, arguments of any initializer."""
    import inspect

    import fastinit as fi

    free = {("fill", "entries"), ("explain", "arguments"), ("pretrained", "rest_arguments")}
    found = set()
    for name in fi.__all__:
        function = getattr(fi, name)
        if not inspect.isfunction(function):
            continue
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, (name, parameter.name)
            if re.search(r"\bAny\b", str(parameter.annotation)):
                found.add((name, parameter.name))
    assert found <= free, found - free
