"""fastinit materialize --dry-run: what it prints."""

import json
import re

from fastinit import checkpoint
from fastinit.checkpoint import parts
from fastinit.cli import main


def test_a_dry_run_prints_the_tensors_and_writes_nothing(tmp_path, spec, capsys):
    assert main(["materialize", spec, "-o", str(tmp_path / "x"), "--dry-run", "--seed", "0"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["tensor", "shape", "dtype", "initializer", "values", "bytes"]
    rows = {line.split()[0]: line for line in out[1:-1]}
    assert (
        re.sub(" +", " ", rows["layer.weight"])
        == "layer.weight 6×4 float32 he_normal std 0.707107 96"
    )
    assert re.sub(" +", " ", rows["identity"]) == "identity 4×4 bfloat16 eye drawn whole 32"
    assert re.sub(" +", " ", rows["bounded"]) == "bounded 4 float32 uniform in [-0.5, 1) 16"
    assert (
        re.sub(" +", " ", rows["cut"])
        == "cut 4 float32 truncated_normal mean 1, std 0.5, truncated 16"
    )
    assert re.sub(" +", " ", rows["layer.bias"]) == "layer.bias 6 float32 zeros 0 24"
    checkpoint.materialize(spec, tmp_path / "x", seed=0)
    assert out[-1] == (
        f"5 tensors, 54 values; the file takes {(tmp_path / 'x').stat().st_size} bytes; "
        "nothing was written"
    )


def test_a_dry_run_names_the_memory_of_tensors_that_are_not_drawn_value_by_value(
    tmp_path, capsys, monkeypatch
):
    tensors = {
        "square": {"shape": [64, 64], "initializer": "orthogonal"},
        "taps": {"shape": [8, 8, 3], "initializer": "convolutional_orthogonal"},
        "plain": {"shape": [999, 999], "initializer": "normal"},
    }
    (tmp_path / "spec.json").write_text(json.dumps({"tensors": tensors}))
    command = ["materialize", str(tmp_path / "spec.json"), "--dry-run"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "memory: 16384 bytes at once for 'square', which is drawn as a whole\n" in out
    monkeypatch.setattr(parts, "PART", 1000)
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "memory: 768 bytes at once for 'square', which is drawn part by part\n" in out or (
        "memory: 768 bytes at once for 'taps', which is drawn as a whole\n" in out
    )
    assert "drawn part by part" in out and "drawn whole" in out


def test_the_seed_of_a_dry_run_needs_no_output(spec, capsys):
    assert main(["materialize", spec, "--dry-run"]) == 0
    assert main(["materialize", spec]) == 2
    assert "-o PATH is missing" in capsys.readouterr().err
