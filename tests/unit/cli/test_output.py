"""What the commands print: lines of at most 80 columns, whatever the tensors are called."""

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit.cli import main

SPEC = """
[repeat]
layer = 3
[tensors]
"model.decoder.layers.{layer}.self_attention.query_projection.weight" = [16, 16]
"model.decoder.layers.{layer}.feed_forward.bias" = [16]
"model.decoder.convolutional_stem.kernel" = [4, 4, 3, 3]
"norm" = { shape = [16], initializer = "ones", dtype = "float64" }
[[rules]]
match = "*.bias"
initializer = "zeros"
[[rules]]
match = "*"
initializer = "truncated_normal"
std = 0.020303030303
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A spec, its file, a file with faults, and another spec."""
    folder = tmp_path_factory.mktemp("width")
    (folder / "a.toml").write_text(SPEC)
    (folder / "b.toml").write_text(SPEC.replace("0.0203", "0.03"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["materialize", "a.toml", "-o", "a.safetensors", "--seed", "0"]) == 0
    tensors = safetensors.numpy.load_file(folder / "a.safetensors")
    name = "model.decoder.layers.1.self_attention.query_projection.weight"
    tensors[name] = np.zeros((16, 16), np.float32)
    tensors[name.replace(".1.", ".2.")] = 40 * fi.normal((16, 16), seed=3)
    safetensors.numpy.save_file(tensors, folder / "bad.safetensors")
    return folder


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("materialize a.toml -o made --seed 0 --shard-size 1KB", 0),
        ("materialize a.toml -o made --dry-run --shard-size 1KB", 0),
        ("materialize gpt2-xl --dry-run", 0),
        ("verify a.safetensors", 0),
        ("verify bad.safetensors --spec a.toml --seed 0", 1),
        ("inspect bad.safetensors", 0),
        ("audit bad.safetensors --against a.toml", 1),
        ("audit a.safetensors", 0),
        ("drift bad.safetensors --against a.toml --seed 0", 0),
        ("laws a.toml b.toml", 1),
        ("laws gpt2 llama-3.2-1b", 1),
        ("compare --depth 3 --width 16 --batch 16 --stack plain", 0),
        ("explain truncated_normal 3072 768 std=0.02 low=-inf --name " + "w" * 200, 0),
        ("presets", 0),
        ("info", 0),
        ("", 0),
    ],
)
def test_a_command_prints_lines_of_at_most_80_columns(command, status, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(command.split()) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines and [line for line in lines if len(line) > 80] == []


def test_a_name_that_is_cut_keeps_its_numbers_and_its_end(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    main(["inspect", "a.safetensors"])
    [line] = [line for line in capsys.readouterr().out.splitlines() if "16×16" in line][:1]
    name = line.split()[0]
    assert len(name) < 40 and ".0." in name and name.endswith("projection.weight")
