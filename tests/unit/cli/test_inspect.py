"""fastinit inspect: findings, a table of 80 columns, JSON, and the files that are asked for."""

import json

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit.cli import main


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.safetensors"
    arrays = {
        "transformer.layers.10.attention.projection.weight": fi.normal((4096, 8), seed=0),
        "transformer.layers.10.experts.weight": np.zeros((8, 16), np.float32),
        "norm": np.ones(8, np.float32),
    }
    safetensors.numpy.save_file(arrays, path)
    return path


def test_findings_come_before_a_table_of_80_columns(path, capsys):
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    what = "a matrix, and all its values are 0"
    assert lines[0] == f"! transformer.layers.10.experts.weight: {what}"
    assert lines[1].split() == ["tensor", "dtype", "shape", "mean", "std", "max|x|"]
    assert all(len(line) <= 80 for line in lines if str(path) not in line)
    [line] = [line for line in lines if "4096×8" in line]
    assert line.split()[1] == "f32"
    end = " ".join(" ".join(lines[-3:]).split())  # folded, where the path is long
    assert f"{path}: 3 tensors, 32904 values, 131616 bytes, " in end


def test_json_has_every_number(path, capsys):
    assert main(["inspect", str(path), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    row = next(row for row in content["rows"] if row["name"] == "norm")
    assert (row["mean"], row["std"], row["counts"], row["skewness"]) == (1, 0, [8], None)


def test_files_are_written_where_they_are_asked_for(path, tmp_path, capsys):
    page = tmp_path / "x.html"
    assert main(["inspect", str(path), "--html", str(page)]) == 0
    assert "transformer.layers.10.experts.weight" in page.read_text("utf-8")
    for wrong in (["--html", "x.pdf"], ["--plot", "x.gif"]):
        assert main(["inspect", str(path), *wrong]) == 2
    assert "give a name that ends in .html" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "absent.npz")]) == 1
    assert main(["inspect", str(page)]) == 2


@pytest.mark.frameworks
def test_a_figure_is_drawn(path, tmp_path):
    """Needs matplotlib."""
    for name, start in (("x.png", b"\x89PNG"), ("x.svg", b"<?xml")):
        assert main(["inspect", str(path), "--plot", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start)
