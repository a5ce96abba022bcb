"""fastinit materialize: what it prints and writes, the target of -o, and the ranks of launchers."""

import os
import re

import pytest

from fastinit import checkpoint
from fastinit.cli import main
from fastinit.cli.materialize import LAUNCHERS


def test_materialize_writes_the_file_that_python_writes(tmp_path, spec, capsys):
    path = tmp_path / "x.safetensors"
    assert (
        main(
            [
                "materialize",
                spec,
                "-o",
                str(path),
                "--seed",
                "0x10",
                "--dtype",
                "float16",
                "--threads",
                "1",
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    assert err == ""
    assert re.fullmatch(
        re.escape(f"{path}: 5 tensors, 54 values, {path.stat().st_size} bytes, seed 16, ")
        + r"\d+\.\d\d s \(.*, 1 thread\) "
        + re.escape(" ".join(checkpoint.rules(checkpoint.load(spec)))),
        " ".join(out.split()),  # a long path folds the line
    )
    checkpoint.materialize(spec, tmp_path / "y", seed=16, dtype="float16")
    assert path.read_bytes() == (tmp_path / "y").read_bytes()


def test_a_drawn_seed_is_printed_and_makes_the_same_file(tmp_path, spec, capsys):
    assert main(["materialize", spec, "-o", str(tmp_path / "x.safetensors")]) == 0
    seed = re.search(r"seed (\d+),", capsys.readouterr().out).group(1)
    assert main(["materialize", spec, "-o", str(tmp_path / "y.safetensors"), "--seed", seed]) == 0
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["x.bin", "x.pt", "x.toml", "x.npz", "m.safetensor", "x.H5"])
def test_a_suffix_that_cannot_be_written_is_named_in_the_error(
    tmp_path, monkeypatch, capsys, spec, name
):
    monkeypatch.chdir(tmp_path)
    assert main(["materialize", spec, "-o", name]) == 2
    err = capsys.readouterr().err
    assert f"-o {name}: no {os.path.splitext(name)[1]} file is written" in err
    assert err.count("\n") == 1
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["gpt2", "Llama-3.2-1B", "run.1", "x.bin/", "deep/"])
def test_an_output_without_a_file_suffix_is_a_folder(tmp_path, monkeypatch, capsys, spec, name):
    monkeypatch.chdir(tmp_path)
    assert main(["materialize", spec, "-o", name, "--seed", "1"]) == 0
    assert main(["materialize", spec, "-o", "one.safetensors", "--seed", "1"]) == 0
    assert [entry.name for entry in (tmp_path / name).iterdir()] == ["model.safetensors"]
    there = (tmp_path / name / "model.safetensors").read_bytes()
    assert there == (tmp_path / "one.safetensors").read_bytes()
    assert "the spec has no table [config]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "ranks"),
    [
        ({}, (0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "4"}, (1, 4)),
        ({"RANK": "1"}, (0, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "3"}, (0, 1)),  # a batch script without srun
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "9", "SLURM_STEP_NUM_TASKS": "3"}, (2, 3)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, (0, 2)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2)),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None),
        ({"RANK": "x", "WORLD_SIZE": "2"}, None),
    ],
)
def test_ranks_are_those_of_the_launcher(tmp_path, monkeypatch, capsys, spec, variables, ranks):
    for names in LAUNCHERS:
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status = main(
        ["materialize", spec, "-o", str(tmp_path / "out"), "--shard-size", "32", "--seed", "0"]
    )
    if ranks is None:
        assert status == 2
        assert next(iter(variables)) in capsys.readouterr().err
        return
    rank, world = ranks
    names = [file.name for file in checkpoint.plan(spec, 0, shard_size=32).files]
    assert len(names) == 4
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written - {"model.safetensors.index.json"} == set(names[rank::world])
