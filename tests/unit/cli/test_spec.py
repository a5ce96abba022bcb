"""fastinit spec: its source is a spec, a config or a checkpoint."""

from fastinit import checkpoint
from fastinit.cli import main


def test_the_spec_of_a_checkpoint_draws_the_checkpoint_again(tmp_path, spec, capsys):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=3)
    for source in (str(path), spec):
        assert main(["spec", source]) == 0
        (tmp_path / "again.toml").write_text(capsys.readouterr().out)
        again = checkpoint.verify(path, tmp_path / "again.toml")
        assert again and len(again.tensors) == 5


def test_a_folder_of_safetensors_files_is_a_checkpoint(tmp_path, spec, capsys):
    folder = tmp_path / "folder"
    checkpoint.materialize(spec, f"{folder}/", seed=3)
    assert main(["spec", str(folder)]) == 0
    of_the_folder = capsys.readouterr().out
    assert main(["spec", str(folder / "model.safetensors")]) == 0
    assert capsys.readouterr().out == of_the_folder


def test_the_dtype_of_a_checkpoint_cannot_be_replaced(tmp_path, spec, capsys):
    checkpoint.materialize(spec, tmp_path / "x.safetensors", seed=3)
    assert main(["spec", str(tmp_path / "x.safetensors"), "--dtype", "float16"]) == 2
    assert "a checkpoint has its dtypes" in capsys.readouterr().err
    assert main(["spec", spec, "--dtype", "float16"]) == 0
    assert "float16" in capsys.readouterr().out
