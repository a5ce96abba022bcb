"""fastinit materialize --dry-run: what it prints."""

import json

import pytest

from fastinit import checkpoint
from fastinit.checkpoint import parts
from fastinit.cli import main


def test_a_dry_run_prints_the_tensors_and_writes_nothing(tmp_path, spec, capsys):
    assert main(["materialize", spec, "-o", str(tmp_path / "x"), "--dry-run", "--seed", "0"]) == 0
    out = capsys.readouterr().out.splitlines()
    rows = {name: line.strip() for name, line in zip(out[:-1], out[1:], strict=True)}
    assert rows["layer.weight"] == "6×4 float32, he_normal, std 0.707107: 96 bytes"
    assert rows["identity"] == "4×4 bfloat16, eye, drawn whole: 32 bytes"
    assert rows["bounded"] == "4 float32, uniform, in [-0.5, 1): 16 bytes"
    assert rows["cut"] == "4 float32, truncated_normal, mean 1, std 0.5, truncated: 16 bytes"
    assert rows["layer.bias"] == "6 float32, zeros, 0: 24 bytes"
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


@pytest.mark.parametrize("preset", ["gpt2", "qwen3-30b-a3b"])
def test_layers_are_one_line_and_no_line_is_wider_than_a_terminal(capsys, preset):
    assert main(["materialize", preset, "--dry-run", "--seed", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 60
    if preset == "gpt2":
        at = lines.index("transformer.h.{0..11}.attn.c_attn.weight")
        assert lines[at + 1] == "    12 × 768×2304 float32, normal, std 0.02: 84934656 bytes"
    main(["materialize", preset, "--dry-run", "--seed", "0", "--json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [event["name"] for event in events if event["event"] == "tensor"]
    assert names == [
        tensor.name for file in checkpoint.plan(preset, 0).files for tensor in file.layout.tensors
    ]
