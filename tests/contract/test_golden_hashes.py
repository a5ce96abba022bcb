"""Golden hashes: the bits of every initializer in every floating dtype, and a check that every
initializer has some.

`python tests/contract/test_golden_hashes.py` adds lines to the file; run it only when an
initializer is added, because lines that are in it are promises.  The words and operations behind
the bits are tested elsewhere, against independent implementations.
"""

import hashlib
from pathlib import Path

import pytest

from fastinit import _table
from fastinit._core.dtypes import FLOATING

GOLDEN = Path(__file__).parents[1] / "vectors" / "golden_hashes.txt"
SEED, NAME = 20260822, "golden.weight"

# At least one case for every initializer of the table: its shape and its arguments.
CASES = [
    ("zeros", (3, 5), {}),
    ("ones", (3, 5), {}),
    ("constant", (3, 5), {"value": -0.3}),
    ("uniform", (37, 41), {"low": -0.2, "high": 0.7}),
    ("normal", (37, 41), {"mean": 0.1, "std": 0.5}),
    ("truncated_normal", (37, 41), {"mean": 0.1, "std": 0.5}),
    ("truncated_normal", (37, 41), {"std": 0.5, "low": -1.0, "high": 3.0, "correct_std": True}),
    (
        "truncated_normal",
        (37, 41),
        {"std": 0.5, "low": 0.25, "high": 1.5, "bounds": "absolute", "correct_std": False},
    ),
    (
        "truncated_normal",
        (37, 41),
        {"std": 0.3, "low": -0.7, "high": 0.9, "bounds": "absolute", "correct_std": True},
    ),
    ("truncated_normal", (37, 41), {"std": 0.5, "low": 8.0, "high": float("inf")}),
    ("variance_scaling", (37, 41), {"mode": "fan_geo_avg", "scale": 1.5}),
    ("variance_scaling", (37, 41), {"distribution": "truncated_normal", "layout": "io"}),
    ("variance_scaling", (37, 41), {"distribution": "uniform", "mode": "fan_avg"}),
    ("xavier_uniform", (24, 6, 3, 3), {"gain": 1.6666666666666667, "groups": 3}),
    ("xavier_normal", (24, 6, 3, 3), {"gain": 1.0, "layout": "IOHW"}),
    ("he_uniform", (24, 6, 3, 3), {"negative_slope": 0.01, "mode": "fan_in"}),
    ("he_uniform", (24, 6, 3, 3), {"negative_slope": 0.01, "gain": 0.2}),
    ("he_normal", (24, 6, 3, 3), {"negative_slope": 0.0, "mode": "fan_out"}),
    ("he_normal", (24, 6, 3, 3), {"negative_slope": 0.01, "gain": 0.2}),
    ("lecun_uniform", (3, 3, 6, 24), {"layout": "io"}),
    ("lecun_normal", (4, 30, 20), {"batch_axis": 0}),
    ("fan_in_uniform", (30, 20), {}),
    ("fan_in_uniform", (30,), {"fan_in": 20}),
    ("eye", (3, 5), {"gain": -0.3}),
    ("dirac", (6, 2, 4, 3), {"groups": 3}),
    ("sparse", (37, 41), {"sparsity": 0.9, "std": 0.5}),
    ("sparse", (37, 41), {"n_nonzero": 15, "per": "row", "std": 0.5}),
    ("orthogonal", (37, 41), {"gain": 0.3}),
    ("orthogonal", (3, 70, 33), {"gain": 1.0, "batch_axis": 0}),
    ("orthogonal", (12, 20), {"groups": 3}),
    ("orthogonal", (5, 3, 18), {"groups": 3, "layout": "io", "batch_axis": 1}),
    ("delta_orthogonal", (24, 6, 4, 3), {"gain": 0.3}),
    ("convolutional_orthogonal", (24, 6, 3, 3), {"gain": 0.3}),
    ("small_init", (37, 41), {"dim": 41}),
    ("wang_init", (37, 41), {"dim": 41, "layers": 12}),
    ("siren", (37, 41), {"omega": 20.0}),
    ("siren", (37, 41), {"first": True}),
    ("alexnet_weight", (37, 41), {}),
    ("alexnet_bias", (37,), {"layer": "conv2"}),
    ("lstm_bias", (40,), {"forget": 0.3, "gates": "ifgo"}),
    ("chrono_bias", (40,), {"t_max": 784.0, "gates": "fiog"}),
    ("mamba_dt_bias", (37,), {"dt_min": 0.002, "dt_max": 0.2, "dt_floor": 0.004}),
    ("rwkv7", (1, 1, 48), {"tensor": "w0", "layer": 3, "layers": 12, "head_size": 16}),
    ("rwkv7", (40,), {"tensor": "x_w", "layer": 1, "layers": 6}),
    ("prior_probability_bias", (37,), {"probability": 0.01}),
    ("idinit", (37, 41), {"tau": 0.3}),
    ("zero_hadamard", (41, 37), {}),
    ("bilinear", (6, 6, 4, 4), {"channels": "matched"}),
    ("icnr", (24, 6, 3, 3), {"upscale": 2, "scale": 1.5, "mode": "fan_avg"}),
    ("icnr", (3, 3, 6, 24), {"upscale": 2, "distribution": "uniform", "layout": "io"}),
]
WITHOUT = {"pretrained"}  # its bits are a file's


def case(name, shape, arguments, dtype):
    return f"{name} {shape} {arguments} {dtype}"


def digest(name, shape, arguments, dtype):
    """Hash of the little-endian bytes in C order, or the name of the error if the dtype cannot hold
    the draw.
    """
    try:
        w = _table.INITIALIZERS[name](shape, seed=SEED, name=NAME, dtype=dtype, **arguments)
    except ValueError:
        return "ValueError"
    raw = w.view({1: "u1", 2: "u2", 4: "u4", 8: "u8"}[w.itemsize])
    return hashlib.sha256(raw.astype(raw.dtype.newbyteorder("<")).tobytes()).hexdigest()


def golden():
    return dict(line.rsplit(" ", 1) for line in GOLDEN.read_text("utf-8").splitlines())


@pytest.mark.parametrize("name, shape, arguments", CASES, ids=[row[0] for row in CASES])
def test_bits_are_the_promised_ones(name, shape, arguments):
    promised = golden()
    for dtype in FLOATING:
        assert (
            digest(name, shape, arguments, dtype.name)
            == promised[case(name, shape, arguments, dtype.name)]
        ), dtype


def test_every_initializer_has_golden_hashes_and_no_line_is_without_its_case():
    assert {name for name, _, _ in CASES} | WITHOUT == set(_table.INITIALIZERS)
    assert set(golden()) == {case(*row, dtype.name) for row in CASES for dtype in FLOATING}


def test_every_initializers_own_parameters_are_tried_by_a_case():
    """Except those of layout and axes, which change only fans and have a table of their own."""
    for name, function in _table.INITIALIZERS.items():
        own = set(_table.own_parameters(function)) - {
            "layout",
            "in_axis",
            "out_axis",
            "batch_axis",
            "groups",
        }
        tried = {argument for row in CASES if row[0] == name for argument in row[2]}
        assert name in WITHOUT or own <= tried, f"{name}: no case gives {own - tried}"


def write():
    promised = golden() if GOLDEN.exists() else {}
    lines = []
    for row in CASES:
        for dtype in FLOATING:
            key = case(*row, dtype.name)
            lines.append(f"{key} {promised.get(key) or digest(*row, dtype.name)}\n")
    GOLDEN.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    write()
