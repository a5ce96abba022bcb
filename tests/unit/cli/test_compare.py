"""fastinit compare: the table, the figure with its JSON, and what it says of mistakes."""

import json
import sys

import pytest

from fastinit import diagnostics
from fastinit.cli import main

SMALL = ["compare", "--depth", "3", "--width", "16", "--batch", "16"]


def test_it_prints_what_python_finds(capsys):
    command = [*SMALL, "--init", "normal:0.01,he_normal", "--activation", "gelu", "--seed", "5"]
    assert main(command) == 0
    found = diagnostics.compare(
        "normal:0.01,he_normal", "gelu", depth=3, width=16, batch=16, seed=5
    )
    assert capsys.readouterr().out == f"{found}\n"
    assert main([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["curves"][1]["forward"] == list(found.curves[1].forward)


@pytest.mark.frameworks  # matplotlib
@pytest.mark.parametrize("name", ["depth.png", "depth.svg"])
def test_a_figure_has_its_numbers_beside_it(tmp_path, capsys, name):
    assert main([*SMALL, "--stack", "transformer-block", "-o", str(tmp_path / name)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {name, "depth.json"}
    numbers = json.loads((tmp_path / "depth.json").read_text())
    assert numbers["stack"] == "transformer-block" and len(numbers["curves"]) == 10
    assert f"wrote {tmp_path / name} and " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--init", "he_normla"], "did you mean 'he_normal'"),
        (["--activation", "swiglu"], "known are linear"),
        (["--stack", "resnet"], "transformer-block"),
        (["--depth", "0"], "depth"),
        (["-o", "depth.gif"], ".png or .svg"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_computed(options, message, capsys):
    assert main([*SMALL, *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main([*SMALL, "-o", str(tmp_path / "depth.png")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fastinit: error: ") and "matplotlib" in err and err.count("\n") == 1
