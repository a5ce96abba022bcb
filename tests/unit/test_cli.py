"""The command line: what it prints, where, and its exit status.  In a process of its own:
processes/test_command_line.py.
"""

import os
import re

import pytest
from specs import SPEC

import fastinit as fi
from fastinit import checkpoint
from fastinit.cli import _LAUNCHERS, main


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "model.toml"
    path.write_text(SPEC)
    return str(path)


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
        + r"\d+\.\d\d s \(.*, 1 thread\)\n",
        out,
    )
    checkpoint.materialize(spec, tmp_path / "y", seed=16, dtype="float16")
    assert path.read_bytes() == (tmp_path / "y").read_bytes()


def test_a_drawn_seed_is_printed_and_makes_the_same_file(tmp_path, spec, capsys):
    assert main(["materialize", spec, "-o", str(tmp_path / "x.safetensors")]) == 0
    seed = re.search(r"seed (\d+),", capsys.readouterr().out).group(1)
    assert main(["materialize", spec, "-o", str(tmp_path / "y.safetensors"), "--seed", seed]) == 0
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


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


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["materialize", "gtp2", "-o", "x"], 2, "did you mean 'gpt2'"),
        (["materialize", "absent.toml", "-o", "x"], 1, "absent.toml: No such file or directory"),
        (["materialize", "bad.toml", "-o", "x"], 2, "bad.toml:2: "),
        (["materialize", "gpt2", "-o", "absent/x"], 1, "no such folder"),
        (["materialize", "gpt2", "-o", "there"], 1, "there: exists; give --force"),
        (["materialize", "gpt2", "-o", "there/x"], 1, "there/x: Not a directory"),
        (["materialize", "gpt2", "-o", "there/x.safetensors"], 1, "is a file, not a folder"),
        (["materialize", "gpt2", "-o", "absent/x.safetensors"], 1, "no such folder"),
        (["materialize", "gpt2", "-o", "/dev/null", "--force"], 1, "is not a regular file"),
        (["materialize", "gpt2", "-o", "x", "--dtype", "flaot16"], 2, "did you mean 'float16'"),
        (["materialize", "gpt2", "-o", "x", "--threads", "0"], 2, "threads is 0"),
        (["presets", "gtp2"], 2, "did you mean 'gpt2'"),
        (["explain", "he_normla", "3", "4"], 2, "did you mean 'he_normal'"),
        (["explain", "he_normal", "3"], 2, "axes"),
        (["explain", "he_normal", "3", "x4"], 2, "'x4' is neither a size nor"),
        (["explain", "he_normal", "3", "4", "seed=3"], 2, "give --seed 3 in place of seed=3"),
        (["explain", "he_normal", "3", "4", "moed=fan_out"], 2, "did you mean 'mode'"),
        (["explain", "normal", "3", "std=1 +"], 2, "not an arithmetic expression"),
        (["explain", "normal", "3", "std=1/x"], 2, "unknown name 'x' in '1/x'"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(
    tmp_path, monkeypatch, capsys, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('[tensors]\n"a" = [-1]\n')
    (tmp_path / "there").write_text("old")
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastinit: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bad.toml", "there"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["materialise"],
        ["materialize"],
        ["materialize", "gpt2", "-o", "x", "--seed", "-1"],
        ["materialize", "gpt2", "-o", "x", "--seed", str(1 << 64)],
        ["materialize", "gpt2", "-o", "x", "--seed", "1.5"],
        ["materialize", "gpt2", "-o", "x", "--threads", "two"],
        ["info", "more"],
    ],
)
def test_a_wrong_command_line_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: fastinit" in capsys.readouterr().err


def test_presets_are_listed_and_printed(capsys):
    assert main(["presets"]) == 0
    assert capsys.readouterr().out.split() == list(checkpoint.presets())
    assert main(["presets", "gpt2"]) == 0
    assert capsys.readouterr().out == checkpoint.preset("gpt2")


def test_explain_says_what_python_says(capsys):
    words = [
        "explain",
        "he_normal",
        "768",
        "3072",
        "mode=fan_out",
        "negative_slope=1/4",
        "layout=io",
    ]
    assert main([*words, "--name", "up", "--seed", "1", "--dtype", "bfloat16"]) == 0
    line = fi.explain(
        "he_normal",
        (768, 3072),
        mode="fan_out",
        negative_slope=0.25,
        layout="io",
        name="up",
        seed=1,
        dtype="bfloat16",
    )
    assert capsys.readouterr().out == line + "\n"
    assert main(["explain", "xavier_uniform", "4", "5", "6", "in_axis=0,2", "out_axis=1"]) == 0
    assert (
        capsys.readouterr().out
        == fi.explain("xavier_uniform", (4, 5, 6), in_axis=(0, 2), out_axis=1) + "\n"
    )


def test_info_and_version(capsys):
    assert main(["info"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(fi.info())
    assert lines["engine"] == fi.info()["engine"]
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastinit {fi.info()['version']}\n"


def test_help_shows_commands_that_work(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for command in ("materialize", "presets", "explain", "info"):
        assert command in out


def test_the_command_alone_prints_its_help(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: fastinit") and "materialize" in out and err == ""


@pytest.mark.parametrize("name", ["x.bin", "x.pt", "x.toml", "x.npz", "m.safetensor", "x.H5"])
def test_a_suffix_that_is_not_written_is_said(tmp_path, monkeypatch, capsys, spec, name):
    monkeypatch.chdir(tmp_path)
    assert main(["materialize", spec, "-o", name]) == 2
    err = capsys.readouterr().err
    assert f"-o {name}: no {os.path.splitext(name)[1]} file is written" in err
    assert err.count("\n") == 1
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["gpt2", "Llama-3.2-1B", "run.1", "x.bin/", "deep/"])
def test_what_is_no_file_name_is_a_folder(tmp_path, monkeypatch, capsys, spec, name):
    monkeypatch.chdir(tmp_path)
    assert main(["materialize", spec, "-o", name, "--seed", "1"]) == 0
    assert main(["materialize", spec, "-o", "one.safetensors", "--seed", "1"]) == 0
    assert [entry.name for entry in (tmp_path / name).iterdir()] == ["model.safetensors"]
    there = (tmp_path / name / "model.safetensors").read_bytes()
    assert there == (tmp_path / "one.safetensors").read_bytes()
    assert "the spec has no table [config]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["materialize", "gpt2", "-o", "x", "--seed", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--threads", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--threads", "-1"],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "0"],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "5XB"],
        ["materialize", "gpt2", "-o", "x", "--rank", "9" * 5000, "--world-size", "2"],
        ["materialize", "gpt2", "-o", "x", "--rank", "2", "--world-size", "2", "--seed", "0"],
        ["materialize", "gpt2", "-o", "x", "--rank", "2", "--seed", "0"],
        ["materialize", "gpt2", "-o", "x", "--rank", "0", "--world-size", "2"],
        ["materialize", "gpt2", "-o", "x.safetensors", "--shard-size", "5"],
        ["materialize", "g" * 100_000, "-o", "x"],
        ["verify", "x", "--sample", "2"],
        ["verify", "x", "--sample", "nan"],
        ["explain", "he_normal", "9" * 5000],
        ["explain", "normal", "3", "std=" + "9" * 5000],
        ["explain", "normal", "3", "std=" + "x" * 100_000],
        ["explain", "normal", "3", "mean=(" + "9" * 900 + ")"],
        ["explain", "normal", "3", "x" * 100_000 + "=1"],
        ["explain", "normal", "3", "name=" + "x" * 100_000],
        ["explain", "normal", "x" * 100_000],
        ["explain", "normal", "3", "--seed", "9" * 5000],
    ],
)
def test_a_bad_argument_however_long_has_a_short_message(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: " in err
    assert len(err.split("error: ", 1)[1]) < 500
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "ranks"),
    [
        ({}, (0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "4"}, (1, 4)),
        ({"RANK": "1"}, (0, 1)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}, (2, 3)),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "9", "SLURM_STEP_NUM_TASKS": "3"}, (2, 3)),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, (0, 2)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2)),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None),
        ({"RANK": "x", "WORLD_SIZE": "2"}, None),
    ],
)
def test_ranks_are_those_of_the_launcher(tmp_path, monkeypatch, capsys, spec, variables, ranks):
    for names in _LAUNCHERS:
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


def test_verify_prints_each_tensor_and_has_a_status(tmp_path, capsys, spec):
    path = tmp_path / "x.safetensors"
    main(["materialize", spec, "-o", str(path), "--seed", "3"])
    capsys.readouterr()
    assert main(["verify", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "layer.weight: initial draw" in lines
    assert lines[-1].startswith(f"{path}: 5 of 5 tensors are their initial draw, seed 3; ")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last tensor, "identity"
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("identity: 1 of 16 values differ, first at [3, 3]: expected 1.0, found ")
        for line in lines
    )
    assert main(["verify", str(path), "--spec", spec, "--sample", "0.5"]) == 1
    assert main(["verify", str(tmp_path)]) == 1
    assert main(["verify", str(tmp_path / "absent.safetensors")]) == 1
    assert main(["verify", spec]) == 2
