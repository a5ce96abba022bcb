"""fastinit materialize --dry-run: what it prints."""

import re

from fastinit import checkpoint
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


def test_the_seed_of_a_dry_run_needs_no_output(spec, capsys):
    assert main(["materialize", spec, "--dry-run"]) == 0
    assert main(["materialize", spec]) == 2
    assert "-o PATH is missing" in capsys.readouterr().err
