"""inspect_file(): every tensor of a checkpoint is measured, and what is odd is found."""

import doctest
import json
import math

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit import checkpoint
from fastinit.inspection import declared_laws, inspect_file
from fastinit.inspection.statistics import statistics

SPEC = {
    "tensors": {
        "w": [300, 40],
        "half": {"shape": [64, 64], "dtype": "bfloat16"},
        "bias": {"shape": [40], "initializer": "zeros"},
        "norm": {"shape": [40], "initializer": "ones"},
    },
    "rules": [{"match": "*", "initializer": "normal", "std": 0.02}],
}


@pytest.mark.parametrize("threads", [1, 3])
def test_every_tensor_has_the_numbers_of_statistics(tmp_path, threads):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    done = []
    rows = {row.name: row for row in inspect_file(path, threads=threads, progress=done.append)}
    assert sorted(rows) == sorted(SPEC["tensors"])
    assert sum(done) == 300 * 40 * 4 + 64 * 64 * 2 + 2 * 40 * 4
    for name, dtype in (("w", "float32"), ("half", "bfloat16")):
        row = rows[name]
        found = statistics(fi.normal(row.shape, seed=0, name=name, std=0.02, dtype=dtype))
        assert (row.mean, row.std, row.min, row.max) == (
            found.mean,
            found.std,
            found.min,
            found.max,
        )
        assert (row.row_norm_min, row.row_norm_median, row.row_norm_max) == found.row_norms
        assert (row.col_norm_min, row.col_norm_median, row.col_norm_max) == found.col_norms
        assert sum(row.counts) == row.values == found.count
        assert row.digest == found.digest
    assert not any(row.findings for row in rows.values())


def test_a_folder_is_inspected_as_its_tensors(tmp_path):
    path = tmp_path / "x"
    path.mkdir()
    checkpoint.materialize(SPEC, path, seed=0, shard_size=20_000)
    assert sorted(row.name for row in inspect_file(path)) == sorted(SPEC["tensors"])


def arrays(**more):
    healthy = {
        "healthy": fi.normal((64, 64), seed=0, name="h"),
        "norm": np.ones(64, np.float32),
        "bias": np.zeros(64, np.float32),
    }
    return {**healthy, **more}


def spoiled(name, place, value):
    array = fi.normal((64, 64), seed=0, name=name)
    array[place] = value
    return array


@pytest.mark.parametrize(
    "array,finding",
    [
        (spoiled("a", (3, 4), np.nan), "1 of 4096 values are not finite"),
        (spoiled("b", (3, 4), np.inf), "1 of 4096 values are not finite"),
        (np.zeros((64, 64), np.float32), "a matrix, and all its values are 0"),
        (np.full((64, 64), 0.5, np.float32), "a matrix, and all its values are 0.5"),
        (
            np.tile(fi.normal((1024,), seed=1), 4).reshape(64, 64),
            "one page of 4096 bytes, 4 times",
        ),
        (
            np.arange(4096, dtype=np.uint32).view(np.float32).reshape(64, 64),
            "4095 of 4096 values are subnormal: memory never filled?",
        ),
        (spoiled("c", 7, 0), "a row is all zero"),
        (spoiled("d", (slice(None), 7), 0), "a column is all zero"),
        (fi.normal((64, 64), seed=0, name="h"), "equal to healthy, byte for byte"),
    ],
)
def test_signs_of_damage_are_found(tmp_path, array, finding):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(arrays(spoiled=array), path)
    found = {row.name: row.findings for row in inspect_file(path)}
    assert finding in found.pop("spoiled")
    assert not any(found.values())


def test_subnormals_of_narrow_dtypes_are_not_a_finding(tmp_path):
    """Of float16 with std 0.001, a part of the values is always subnormal."""
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(
        {"w": fi.normal((64, 64), seed=0, std=0.001, dtype="float16")}, path
    )
    [row] = inspect_file(path)
    assert row.subnormals > 100
    assert row.findings == ()


def test_unknown_dtypes_are_listed_without_numbers(tmp_path):
    header = {"scale": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    [row] = inspect_file(path)
    assert (row.name, row.dtype, row.values) == ("scale", "F8_E8M0", 4)
    assert row.findings == ("its dtype F8_E8M0 is not known: nothing was measured",)
    assert math.isnan(row.mean)


def test_integers_and_empty_tensors_have_rows(tmp_path):
    np.savez(tmp_path / "x.npz", i=np.arange(10), e=np.zeros((0, 3), np.float32))
    rows = {row.name: row for row in inspect_file(tmp_path / "x.npz")}
    assert (rows["i"].min, rows["i"].max, rows["e"].values) == (0, 9, 0)


def test_only_a_file_of_fastinit_says_its_laws(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    laws = declared_laws(path)
    assert (laws["w"].law, laws["w"].std) == ("normal", 0.02)
    safetensors.numpy.save_file(arrays(), path)
    assert declared_laws(path) == {}
    np.savez(tmp_path / "x.npz", i=np.arange(10))
    assert declared_laws(tmp_path / "x.npz") == {}


def test_the_example_prints_what_it_says():
    names = {"np": np}
    example = doctest.DocTestParser().get_doctest(inspect_file.__doc__, names, "i", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
