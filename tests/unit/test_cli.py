"""The command line: what it prints, where, and its exit status."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

import fastinit as fi
from fastinit import checkpoint
from fastinit._core import safetensors
from fastinit.cli import main

SPEC = """
[tensors]
"layer.weight" = [6, 4]
"layer.bias" = [6]
"identity" = { shape = [4, 4], initializer = "eye", dtype = "bfloat16" }
"bounded" = { shape = [4], initializer = "uniform", low = -0.5 }
"cut" = { shape = [4], initializer = "truncated_normal", std = 0.5, mean = 1 }
[[rules]]
match = "*.bias"
initializer = "zeros"
[[rules]]
match = "*"
initializer = "he_normal"
"""


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


# -------------------------------------------------------------------------------------- the process


# A fresh interpreter with the package that this one has: -P keeps the folder of the call out of its
# path.
PYTHON = [sys.executable, "-P"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fi.__file__))}


def run(*arguments, **environment):
    command = [*PYTHON, "-m", "fastinit", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT | environment)


def test_python_m_fastinit_is_the_command():
    done = run("presets")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split() == [name.encode() for name in checkpoint.presets()]
    assert run("presets", "no").returncode == 2


def test_a_name_that_the_output_cannot_show_is_escaped(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(
        json.dumps(
            {"tensors": {"gewöhnlich": [1]}, "rules": [{"match": "*", "initializer": "ones"}]}
        )
    )
    done = run("materialize", str(path), "--dry-run", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"gew\\xf6hnlich" in done.stdout


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PYTHON, "-m", "fastinit", "presets", "gpt2"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env=ENVIRONMENT,
    )
    os.close(write)
    assert done.stderr == b""


def test_a_bar_is_shown_on_a_terminal_only(tmp_path, spec):
    assert run("materialize", spec, "-o", str(tmp_path / "x")).stderr == b""
    master, slave = pty.openpty()
    fcntl.ioctl(
        slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0)
    )  # on no columns no bar is drawn
    command = [
        *PYTHON,
        "-m",
        "fastinit",
        "materialize",
        spec,
        "-o",
        str(tmp_path / "y.safetensors"),
    ]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=slave, check=False, env=ENVIRONMENT
    )
    os.write(slave, b"end")  # so that there is something to read, bar or not
    shown = os.read(master, 10_000)
    os.close(slave)
    os.close(master)
    assert done.returncode == 0
    assert b"%|" in shown
    assert b"tensors" in done.stdout
    path = tmp_path / "y.safetensors"
    assert safetensors.read_header(path)[0].size == path.stat().st_size


def test_the_command_loads_nothing_heavy(tmp_path, spec):
    program = (
        "import sys; from fastinit.cli import main; assert main(sys.argv[1:]) == 0; heavy = "
        "{'numba', 'ml_dtypes', 'tqdm', 'torch', 'jax', 'hashlib', 'safetensors', "
        "'concurrent.futures'}; print(sorted(heavy & set(sys.modules)))"
    )
    command = [*PYTHON, "-c", program, "materialize", spec, "-o", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.splitlines()[-1] == "[]"
