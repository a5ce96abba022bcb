"""fastinit audit: findings first, a line for tensors that are alike, and the exit status."""

import json

import pytest
from inspection_models import MODEL, drawn, write

import fastinit as fi
from fastinit import inspection
from fastinit.cli import main


@pytest.fixture
def laws(tmp_path):
    path = tmp_path / "laws.toml"
    path.write_text(inspection.laws_toml(inspection.laws(MODEL)))
    return str(path)


def test_a_sound_checkpoint_is_one_line_a_group_and_status_0(tmp_path, laws, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "model.safetensors", drawn())
    assert main(["audit", "model.safetensors", "--against", "laws.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model.safetensors against laws.toml"
    assert lines[1].split() == ["tensor", "tensors", "shape", "verdict", "evidence"]
    assert ["layers.{0,1}.q.weight", "2", "64×64", "on", "its", "law"] in map(str.split, lines)
    assert lines[-1] == "16 tensors: 16 on its law"
    assert not [line for line in lines if line.startswith("!")]


def test_faults_come_first_within_80_columns_and_give_status_1(tmp_path, laws, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fault = fi.normal((64, 64), std=0.05, seed=0)
    path = "model.safetensors"
    write(tmp_path / path, {**drawn(), "layers.1.k.weight": fault})
    assert main(["audit", path, "--against", "laws.toml"]) == 1
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert lines[1].startswith("! 1 tensor is off its law, layers.1.k.weight: std 0.0")
    assert max(map(len, lines)) <= 80
    off = next(line for line in lines if line.startswith("layers.1.k.weight "))
    assert off.split()[1:6] == ["1", "64×64", "off", "its", "law"] and "std 0.0" in off
    assert text.index("off its law  ") < text.index("on its law")
    assert main(["audit", path, "--against", laws, "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    (row,) = [row for row in content["rows"] if row["verdict"] == "off its law"]
    assert row["name"] == "layers.1.k.weight" and row["expected"] == 0.02


def test_the_page_holds_every_tensor_and_what_is_wrong(tmp_path, laws):
    fault = fi.normal((64, 64), std=0.05, seed=0)
    path = str(write(tmp_path / "model.safetensors", {**drawn(), "layers.1.k.weight": fault}))
    page = tmp_path / "audit.html"
    assert main(["audit", path, "--against", laws, "--html", str(page)]) == 1
    text = page.read_text("utf-8")
    assert all(f'"{name}"' in text for name in drawn())
    assert "16 tensors, 1 with findings" in text and "is off its law" in text
    assert main(["audit", path, "--html", str(tmp_path / "audit.pdf")]) == 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["absent.safetensors"], 1), (["model.bin"], 2), (["{model}", "--against", "gpt22"], 2)],
)
def test_what_cannot_be_audited_gives_one_line(tmp_path, capsys, monkeypatch, arguments, status):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"\x80")
    model = str(write(tmp_path / "model.safetensors", {"w": fi.normal(64, seed=0)}))
    assert main(["audit", *(one.format(model=model) for one in arguments)]) == status
    error = capsys.readouterr().err
    assert error.startswith("fastinit: error: ") and error.count("\n") == 1
