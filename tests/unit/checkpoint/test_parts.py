"""Parts of tensors that are not drawn value by value: the same bytes, in memory that is bounded."""

import pytest

import fastinit as fi
from fastinit import checkpoint
from fastinit.checkpoint import draw, parts

TENSORS = {
    "wide": {"shape": [20, 90], "initializer": "orthogonal"},
    "tall": {"shape": [90, 20], "initializer": "orthogonal", "dtype": "bfloat16"},
    "taps": {"shape": [12, 5, 3, 3], "initializer": "orthogonal"},
    "batch": {"shape": [3, 9, 7], "initializer": "orthogonal", "batch_axis": [0]},
    "grouped": {"shape": [24, 7], "initializer": "orthogonal", "groups": 3},
    "inward": {"shape": [3, 40, 30], "initializer": "orthogonal", "layout": "io"},
    "inward wide": {"shape": [3, 4, 30], "initializer": "orthogonal", "layout": "io"},
    "inward grouped": {"shape": [9, 24], "initializer": "orthogonal", "layout": "io", "groups": 4},
    "one matrix": {"shape": [9, 1, 24], "initializer": "orthogonal", "batch_axis": 1},
    "columns": {"shape": [40, 30], "initializer": "sparse", "sparsity": 0.5},
    "rows": {"shape": [40, 30], "initializer": "sparse", "sparsity": 0.5, "per": "row"},
    "delta": {"shape": [24, 16, 3], "initializer": "delta_orthogonal"},
    "delta square": {"shape": [24, 24, 3], "initializer": "delta_orthogonal"},
    "delta inward": {"shape": [3, 16, 24], "initializer": "delta_orthogonal", "layout": "io"},
    "whole": {"shape": [12, 9, 3], "initializer": "convolutional_orthogonal"},
    "eye": {"shape": [30, 40], "initializer": "eye"},
    "dirac": {"shape": [30, 10, 5], "initializer": "dirac"},
    "idinit": {"shape": [30, 40], "initializer": "idinit"},
    "hadamard": {"shape": [32, 40], "initializer": "zero_hadamard"},
    "bilinear": {"shape": [8, 1, 6, 6], "initializer": "bilinear"},
    "icnr": {"shape": [16, 8, 3, 3], "initializer": "icnr", "upscale": 2},
    "lstm": {"shape": [4000], "initializer": "lstm_bias"},
    "chrono": {"shape": [4000], "initializer": "chrono_bias", "t_max": 9.0},
    "steps": {"shape": [60], "initializer": "mamba_dt_bias"},
    "channels": {
        "shape": [192],
        "initializer": "rwkv7",
        "tensor": "w0",
        "layer": 1,
        "layers": 3,
    },
    "everywhere": {
        "shape": [70, 9],
        "initializer": "rwkv7",
        "tensor": "k_a",
        "layer": 1,
        "layers": 3,
    },
    "words": {"shape": [90, 11], "initializer": "words", "dtype": "int16"},
    "groups": {"shape": [1100], "initializer": "group_index", "dtype": "int32", "size": 64},
}
SPEC = {"tensors": TENSORS}


@pytest.mark.parametrize("size", [1, 500, 1700])
def test_parts_of_any_size_give_the_same_bytes(tmp_path, monkeypatch, size):
    checkpoint.materialize(SPEC, tmp_path / "whole", seed=3)
    taken = []
    target = draw.fill.target

    def counted(shape, *arguments):
        taken.append(shape)
        return target(shape, *arguments)

    monkeypatch.setattr(parts, "PART", size)
    monkeypatch.setattr(draw.fill, "target", counted)
    checkpoint.materialize(SPEC, tmp_path / "parts", seed=3)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    for entry in checkpoint.load(SPEC).entries:
        cut = entry.nbytes > size and entry.name != "whole"
        assert (taken.count(entry.shape) > 1) == cut, entry.name
    assert checkpoint.verify(tmp_path / "parts")


def test_a_part_holds_no_more_than_its_bytes(monkeypatch):
    monkeypatch.setattr(parts, "PART", 1000)
    for entry in checkpoint.load(SPEC).entries:
        axis = parts.axis(entry)
        slice_bytes = entry.nbytes // entry.shape[axis or 0]
        if axis is None:
            assert parts.memory(entry) == entry.nbytes
        else:
            assert parts.memory(entry) <= max(1000, slice_bytes)
            assert parts.memory(entry) > min(1000, entry.nbytes) - slice_bytes


def test_what_is_drawn_value_by_value_or_computed_has_no_parts():
    spec = {
        "a": {"shape": [9, 9], "initializer": "normal"},
        "b": {"shape": [9, 9], "initializer": "computed"},
        "c": {"shape": [], "initializer": "ones"},
    }
    for entry in checkpoint.load({"tensors": spec}).entries:
        assert parts.axis(entry) is None


def test_every_initializer_that_draws_no_single_values_is_known_here():
    """A new one must be given an axis, or named as one that has none."""
    named = {tensor["initializer"] for tensor in TENSORS.values()} | {"pretrained"}
    table = fi._table
    for name, function in table.INITIALIZERS.items():
        rule = table.RULES[function]
        if str(rule.__annotations__["return"]).endswith("Write"):
            assert name in named, name
