"""fastinit verify: a line a tensor, and the exit status."""

import json

from fastinit import checkpoint
from fastinit.cli import main


def test_verify_prints_each_tensor_and_has_a_status(tmp_path, capsys, spec):
    path = tmp_path / "x.safetensors"
    main(["materialize", spec, "-o", str(path), "--seed", "3"])
    capsys.readouterr()
    assert main(["verify", str(path)]) == 0
    lines = capsys.readouterr().out.replace("\n    ", " ").splitlines()
    assert "layer.weight: initial draw" in lines
    assert lines[-1].startswith(f"{path}: 5 of 5 tensors are their initial draw, seed 3; ")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last tensor, "identity"
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 1
    lines = capsys.readouterr().out.replace("\n    ", " ").splitlines()
    assert any(
        line.startswith("identity: 1 of 16 values differ, first at [3, 3]: expected 1.0, found ")
        for line in lines
    )
    assert main(["verify", str(path), "--spec", spec, "--sample", "0.5"]) == 1
    assert main(["verify", str(tmp_path)]) == 1
    assert main(["verify", str(tmp_path / "absent.safetensors")]) == 1
    assert main(["verify", spec]) == 2


def test_tensors_of_which_the_same_is_said_are_one_line(tmp_path, capsys):
    tensors = {"repeat": {"layer": 12}, "tensors": {"h.{layer}.w": [4], "norm": [4]}}
    spec = {**tensors, "rules": [{"match": "*", "initializer": "normal"}]}
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    assert main(["verify", str(path)]) == 0
    assert capsys.readouterr().out.replace("\n    ", " ").splitlines()[:-1] == [
        "h.{0..11}.w: initial draw",
        "norm: initial draw",
    ]
    assert main(["verify", str(path), "--seed", "1"]) == 1
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(path) not in line) <= 80
    lines = out.replace("\n    ", " ").splitlines()
    text = " ".join(line.strip() for line in lines)
    assert "h.{0..11}.w: 12 tensors differ; h.0.w: 4 of 4 values differ, first at [0]: " in text
    assert "norm: 4 of 4 values differ, first at [0]: " in text
    main(["verify", str(path), "--json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(event["event"] == "tensor" for event in events) == 13
