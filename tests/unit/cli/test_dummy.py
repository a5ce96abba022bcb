"""fastinit dummy: the options of materialize, with seed 0."""

from fastinit import checkpoint
from fastinit.cli import main


def test_the_command_writes_a_dummy_with_seed_0(tmp_path, capsys):
    folder = tmp_path / "model"
    checkpoint.materialize(
        {"tensors": {"w": {"shape": [4, 4], "initializer": "ones"}}}, tmp_path / "x.safetensors"
    )
    source = str(tmp_path / "x.safetensors")
    assert main(["dummy", source, "-o", str(folder)]) == 0
    assert "1 tensors, 16 values" in " ".join(capsys.readouterr().out.split())
    assert main(["verify", str(folder), "--seed", "0"]) == 0
    assert main(["dummy", source, "-o", str(tmp_path / "y.safetensors"), "--dry-run"]) == 0
    assert "in [-0.001, 0.001)" in capsys.readouterr().out
    assert main(["dummy", source, "-o", f"{tmp_path}/other/", "--dtype", "float16"]) == 2
    assert "a checkpoint has its dtypes" in capsys.readouterr().err
    assert main(["dummy", str(tmp_path / "absent.safetensors"), "-o", "z"]) == 1
