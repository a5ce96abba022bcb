"""drift(): the distance from a draw that is computed again, whatever the file's form."""

import doctest
import math

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit import checkpoint
from fastinit._core import dtypes, tables
from fastinit._core import safetensors as own
from fastinit.checkpoint import draw
from fastinit.inspection import drift
from fastinit.inspection.drift import Drifted, by_layer, findings, table

SPEC = {
    "tensors": {
        "layers.0.w": [60, 50],
        "layers.1.w": [60, 50],
        "square": {"shape": [24, 24], "initializer": "orthogonal"},
        "bias": {"shape": [50], "initializer": "zeros"},
        "norm": {"shape": [50], "initializer": "ones"},
    },
    "rules": [{"match": "*", "initializer": "normal", "std": 0.02}],
}


def drawn(dtype="float32"):
    normal = {
        name: fi.normal((60, 50), seed=3, name=name, std=0.02, dtype=dtype)
        for name in ("layers.0.w", "layers.1.w")
    }
    return {
        **normal,
        "square": fi.orthogonal((24, 24), seed=3, name="square", dtype=dtype),
        "bias": fi.zeros((50,), dtype=dtype),
        "norm": fi.ones((50,), dtype=dtype),
    }


@pytest.mark.parametrize("span", [256, 1 << 22])
def test_tensors_that_were_just_drawn_have_not_moved(tmp_path, monkeypatch, span):
    monkeypatch.setattr(draw, "SPAN", span)
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=3)
    told = []
    rows = drift(path, threads=2, progress=told.append)
    assert [row.unchanged for row in rows] == [1] * 5
    assert {row.relative for row in rows if row.name != "bias"} == {0}
    assert findings(rows) == ["no tensor has moved: all are their initial draw"]
    assert sum(told) == sum(row.values for row in rows) * 4


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "float8_e4m3fn", "bfloat16"])
def test_the_numbers_are_those_of_numpy(tmp_path, dtype, threads):
    """A file without metadata and in another dtype than the spec's is compared with its draw."""
    start = drawn(dtype)
    moved = {name: array.copy() for name, array in start.items()}
    moved["layers.1.w"][7:30] *= 2
    moved["bias"][:] = 0.5
    moved["norm"][3] = 0
    path = tmp_path / "x.safetensors"
    write(path, moved)
    rows = {row.name: row for row in drift(path, SPEC, seed=3, threads=threads)}
    for name, row in rows.items():
        w, w0 = moved[name].astype(np.float64), start[name].astype(np.float64)
        assert row.norm == pytest.approx(np.linalg.norm(w), rel=1e-12)
        assert row.initial_norm == pytest.approx(np.linalg.norm(w0), rel=1e-12)
        assert row.unchanged == (w == w0).mean()
        if name == "bias":
            assert math.isnan(row.relative) and math.isnan(row.cosine)
            continue
        expected = np.linalg.norm(w - w0) / np.linalg.norm(w0)
        assert row.relative == pytest.approx(expected, rel=1e-12)
        cosine = (w * w0).sum() / np.linalg.norm(w) / np.linalg.norm(w0)
        assert row.cosine == pytest.approx(cosine, rel=1e-12)
    layers = by_layer(rows.values())
    assert layers[0] == 0
    assert layers[1] == pytest.approx(rows["layers.1.w"].relative)
    assert findings(rows.values()) == ["2 of 3 tensors have not moved at all"]


def write(path, arrays):
    """A safetensors file of any dtype, without metadata."""
    layout = own.layout([(name, dtypes.resolve(a.dtype), a.shape) for name, a in arrays.items()])
    data = b"".join(arrays[tensor.name].tobytes() for tensor in layout.tensors)
    path.write_bytes(layout.header + data)


def test_another_seed_is_a_finding(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=3)
    rows = drift(path, seed=4)
    assert "unrelated to their draw" in findings(rows)[0]
    assert "metadata" in findings(rows)[0]


def test_a_tensor_that_cannot_be_compared_says_why(tmp_path):
    path = tmp_path / "x.safetensors"
    arrays = drawn()
    arrays["norm"] = np.ones(7, np.float32)
    arrays["more"] = np.ones(7, np.float32)
    arrays["bias"] = np.zeros(50, np.int32)
    safetensors.numpy.save_file(arrays, path)
    reasons = {row.name: row.reason for row in drift(path, SPEC, seed=3)}
    assert reasons == {
        "layers.0.w": "",
        "layers.1.w": "",
        "square": "",
        "norm": "the file has (7,), the spec (50,)",
        "more": "not in the spec",
        "bias": "no floating dtype",
    }


def test_a_file_without_metadata_needs_a_spec_and_a_seed(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(drawn(), path)
    with pytest.raises(ValueError, match="does not say how the tensors were drawn"):
        drift(path)
    with pytest.raises(ValueError, match="give a spec and a seed"):
        drift(path, SPEC)
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    with pytest.raises(ValueError, match="drift compares safetensors files"):
        drift(tmp_path / "x.npz")


def test_values_that_are_not_finite_give_no_number(tmp_path):
    path = tmp_path / "x.safetensors"
    arrays = drawn()
    arrays["layers.0.w"][0, 0] = np.nan
    safetensors.numpy.save_file(arrays, path)
    row = next(row for row in drift(path, SPEC, seed=3) if row.name == "layers.0.w")
    assert math.isnan(row.relative)
    assert row.unchanged == 2999 / 3000


def test_the_example_prints_what_it_says():
    example = doctest.DocTestParser().get_doctest(drift.__doc__, {"fi": fi}, "d", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_tensors_that_cannot_be_compared_are_not_called_unmoved():
    row = Drifted("a", "float32", (64, 64), "m.safetensors", 4096, 0.0, 1.0, 1.0, 1.0, 1.0)
    rows = [row, row._replace(name="b", reason="computed by the model's own code")]
    assert findings(rows) == ["no tensor has moved of those that can be compared; 1 cannot be"]


def test_rows_print_as_a_table_and_stay_a_list():
    rows = [Drifted(f"h.{n}.w", "float32", (4,), "f", 4, 0.5, 1.0, 0.25) for n in range(30)]
    lines = repr(tables.Rows(rows, table)).splitlines()
    assert lines[0].split() == ["tensor", "dtype", "relative", "cosine", "unchanged"]
    assert lines[1].split() == ["h.0.w", "f32", "0.5", "1", "25", "%"]
    assert lines[-2:] == ["… and 10 more", "30 tensors"] and isinstance(
        tables.Rows(rows, table), list
    )
