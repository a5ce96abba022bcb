"""explain says what a fill uses, and raises what the fill would."""

import math
import re

import numpy as np
import pytest

import fastinit as fi


def test_explain_is_one_line_with_formula_fans_numbers_stream_and_seed():
    line = fi.explain("kaiming_normal", (64, 32, 3, 3), name="conv1.weight", seed=7)
    assert "\n" not in line
    assert line.startswith("he_normal (64, 32, 3, 3) float32: N(0, gain²·2 / ((1 + a²)·n))")
    std = math.sqrt(2.0 / 288)
    for part in (
        "fan_in 288, fan_out 576",
        f"std {std!r} ({std.hex()}, in float32 0x1.555556p-4)",
        "mode='fan_in'",
        "stream 0x6818e6bd312c03df (name 'conv1.weight')",
        "seed 7",
    ):
        assert part in line


def test_explain_shows_bounds_as_hexadecimal_floats_that_read_back():
    line = fi.explain("xavier_uniform", (48, 20), gain=fi.gain("tanh"), dtype="float64")
    low, high = (float.fromhex(found) for found in re.findall(r"\((-?0x[^,)]*)\)", line)[:2])
    assert high == -low == math.sqrt(3.0 * ((5 / 3) * (5 / 3) / 34.0))
    assert "no name" in line and "a new seed every call" in line


def test_explain_of_a_region_of_parameters_shows_what_was_given():
    line = fi.explain("lecun_normal", (8, 30, 20), batch_axis=0)
    assert "batch_axis=0" in line and "fan_in 20, fan_out 30" in line
    assert "low -0.1 (-0x1.999999999999ap-4, in float32 -0x1.99999ap-4), high 0.3 " in fi.explain(
        "uniform", 3, low=-0.1, high=0.3
    )
    assert "value 0.10009765625 (0x1.9a00000000000p-4)" in fi.explain(
        "constant", 3, value=0.1, dtype="bfloat16"
    )
    assert "value 3" in fi.explain("constant", 3, value=3, dtype="int8")


def test_explain_says_when_absolute_bounds_truncate_nothing():
    """trunc_normal_(std=0.02) as many models have it: ±2 are ±100 sigmas."""
    found = fi.explain("truncated_normal", 3, std=0.02, bounds="absolute")
    assert "low -2.0 " in found and "high 2.0 " in found and "nothing is truncated" in found
    found = fi.explain("truncated_normal", 3, std=0.02)
    assert "low -0.04 " in found and "high 0.04 " in found and "nothing is truncated" not in found


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (("he_nromal", (3, 3)), ValueError, "did you mean 'he_normal'"),
        (("he_normal", (3,)), ValueError, "has no fan_in"),
        (("he_normal", (3, -3)), ValueError, "negative"),
        (("he_normal", (3, 3), {"stdev": 1}), TypeError, "no argument 'stdev'"),
        (("normal", (3, 3), {"std": -1}), ValueError, "std"),
        (("normal", (3, 3), {"dtype": "float31"}), ValueError, "float32"),
        (("normal", (3, 3), {"seed": -1}), ValueError, "seed"),
        (("normal", (3, 3), {"name": 1.5}), TypeError, "name"),
    ],
)
def test_explain_raises_what_the_fill_would(arguments, error, message):
    *positional, keywords = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    with pytest.raises(error, match=message):
        fi.explain(*positional, **keywords)


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((2, 2), {"path": "missing.npy"}),
        ((2, 2), {"path": "w.pt"}),
        ((3, 2), {"path": "w.npy"}),
        ((2, 2), {"path": "w.npz", "tensor": "c"}),
        ((2, 2), {"path": "whole.npy"}),
        ((3, 2), {"path": "w.npy", "rest": "he_nromal"}),
    ],
)
def test_explain_of_a_file_raises_what_the_fill_raises(tmp_path, monkeypatch, shape, arguments):
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", np.ones((2, 2), np.float32))
    np.save("whole.npy", np.ones((2, 2), np.int32))
    np.savez("w.npz", a=np.ones((2, 2)), b=np.ones(3))
    with pytest.raises((OSError, ValueError, TypeError)) as of_the_fill:
        fi.pretrained(**arguments, shape=shape, dtype="float32")
    with pytest.raises(of_the_fill.type) as of_explain:
        fi.explain("pretrained", shape, **arguments)
    assert str(of_explain.value) == str(of_the_fill.value)


def test_explain_of_a_file_that_fits_says_whether_a_seed_is_used(tmp_path):
    path = tmp_path / "w.npy"
    np.save(path, np.ones((2, 2), np.float32))
    assert fi.explain("pretrained", (2, 2), path=path).endswith("; no seed is used")
    grown = fi.explain("pretrained", (3, 2), path=path, rest="normal", seed=4)
    assert grown.endswith("; seed 4")


def test_explain_says_what_std_a_truncated_normal_has():
    found = fi.explain("truncated_normal", 3, std=0.02)
    assert "std 0.02 " in found and "(std after truncation 0.0175925)" in found


@pytest.mark.parametrize("name", ["zeros", "constant", "eye", "dirac", "idinit", "zero_hadamard"])
def test_explain_names_no_seed_where_none_is_used(name):
    shape = (3, 3, 3) if name == "dirac" else (3, 3)
    found = fi.explain(name, shape, seed=5, name="w")
    assert found.endswith("; no seed is used") and "stream" not in found
    function = getattr(fi, name)
    assert function(shape, seed=1).tobytes() == function(shape, seed=2).tobytes()


def test_a_draw_of_one_value_uses_no_seed():
    assert fi.explain("normal", (8,), std=0.0, mean=2.0, seed=1).endswith("; no seed is used")
    assert fi.explain("uniform", (8,), low=1.0, high=1.0).endswith("; no seed is used")


def test_every_initializer_that_uses_no_seed_is_listed_as_seedless():
    from fastinit import _table

    for name, shape in {"bilinear": (2, 2, 4), "lstm_bias": (8,)}.items():
        assert name in _table.SEEDLESS
        function = getattr(fi, name)
        assert function(shape, seed=1).tobytes() == function(shape, seed=2).tobytes()
    assert set(_table.SEEDLESS) <= set(_table.TABLE)


def test_explain_keeps_its_formula_without_docstrings():
    import subprocess
    import sys

    code = "import fastinit as fi; print(fi.explain('he_normal', (4, 4), seed=1))"
    run = subprocess.run(
        [sys.executable, "-P", "-OO", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.rstrip("\n") == fi.explain("he_normal", (4, 4), seed=1)
