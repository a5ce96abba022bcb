"""The tensors of files and folders: the same values from each, whatever is asked for."""

import doctest
import json

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit import checkpoint
from fastinit.inspection import stored
from fastinit.inspection.stored import tensors

SPEC = {
    "tensors": {
        "a": [30, 40],
        "b": {"shape": [7], "dtype": "bfloat16"},
        "c": {"shape": [3, 3], "dtype": "float8_e5m2"},
        "scalar": [],
        "empty": {"shape": [0, 4], "initializer": "zeros"},
    },
    "rules": [{"match": "*", "initializer": "normal"}],
}


def values(one):
    size = int(np.prod(one.shape, dtype=int))
    return one.read(0, size).view(one.dtype.numpy()).reshape(one.shape)


@pytest.mark.parametrize("kind", ["file", "folder", "without index"])
def test_every_tensor_of_a_checkpoint_is_there(tmp_path, kind):
    path = tmp_path / ("x.safetensors" if kind == "file" else "x")
    if kind == "file":
        checkpoint.materialize(SPEC, path, seed=0)
    else:
        path.mkdir()
        checkpoint.materialize(SPEC, path, seed=0, shard_size=500)
    if kind == "without index":
        (path / "model.safetensors.index.json").unlink()
    found = {one.name: one for one in tensors(path)}
    assert sorted(found) == sorted(SPEC["tensors"])
    for name, one in found.items():
        draw = fi.zeros if name == "empty" else fi.normal
        expected = draw(one.shape, seed=0, name=name, dtype=one.dtype.name)
        assert np.array_equal(values(one), expected)
    assert found["a"].read(55, 130).view(np.float32).tolist() == (
        fi.normal((30, 40), seed=0, name="a").reshape(-1)[55:130].tolist()
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_are_read(tmp_path, save):
    arrays = {
        "w": np.arange(60, dtype=np.float32).reshape(3, 4, 5),
        "f": np.asfortranarray(np.arange(12, dtype=np.float64).reshape(3, 4)),
        "big": np.arange(5, dtype=">i4"),
        "s": np.array(2.5, np.float16),
        "e": np.zeros((0, 3), np.int8),
    }
    save(tmp_path / "x.npz", **arrays)
    found = {one.name: one for one in tensors(tmp_path / "x.npz")}
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert np.array_equal(values(found[name]), array)
        flat = array.reshape(-1)
        for begin in range(0, flat.size, 4):
            part = found[name].read(begin, min(begin + 7, flat.size))
            assert np.array_equal(part.view(found[name].dtype.numpy()), flat[begin : begin + 7])


def test_arrays_of_unknown_dtypes_are_listed(tmp_path):
    odd = {
        "complex": np.ones(3, np.complex64),
        "words": np.array(["a", "bc"]),
        "objects": np.array([{}, None], dtype=object),
        "fields": np.zeros(2, [("x", "f4"), ("y", "i2")]),
    }
    np.savez(tmp_path / "x.npz", w=np.ones((2, 2), np.float32), **odd)
    found = {one.name: one for one in tensors(tmp_path / "x.npz")}
    assert values(found["w"]).tolist() == [[1, 1], [1, 1]]
    for name, array in odd.items():
        assert found[name][1:4] == (str(array.dtype), array.shape, None)
    np.save(tmp_path / "c.npy", odd["complex"])
    assert [one.dtype for one in tensors(tmp_path / "c.npy")] == ["complex64"]


def test_an_npy_file_has_the_tensor_of_its_name(tmp_path):
    np.save(tmp_path / "weights.npy", np.ones((2, 2), np.float32))
    [one] = tensors(tmp_path / "weights.npy")
    assert (one.name, one.shape) == ("weights", (2, 2))
    assert values(one).tolist() == [[1, 1], [1, 1]]


def test_tensors_of_unknown_dtypes_are_listed(tmp_path):
    header = {
        "w": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        "scale": {"dtype": "F8_E5M2FNUZ", "shape": [4], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(12))
    found = {one.name: one for one in tensors(path)}
    assert found["scale"][:4] == ("scale", "F8_E5M2FNUZ", (4,), None)
    assert values(found["w"]).tolist() == [0, 0]
    with pytest.raises(ValueError, match="has dtype 'F8_E5M2FNUZ'"):
        checkpoint.files(path)


def test_tensors_of_packed_bits_are_listed_with_the_shape_of_the_file(tmp_path):
    tensors_of = {
        "exponents": {
            "shape": [3, 5],
            "dtype": "float8_e8m0fnu",
            "initializer": "words",
            "count": 4,
        },
        "values": {"shape": [3, 5], "dtype": "float4_e2m1fn_x2", "initializer": "words"},
    }
    checkpoint.materialize({"tensors": tensors_of}, tmp_path / "x.safetensors", seed=0)
    found = {one.name: one[1:4] for one in tensors(tmp_path / "x.safetensors")}
    assert found == {"exponents": ("F8_E8M0", (3, 5), None), "values": ("F4", (3, 10), None)}


def test_the_bytes_of_unknown_dtypes_may_not_overlap_others(tmp_path):
    path = tmp_path / "x.safetensors"
    for offsets in ([0, 3], [0, 5], [1, 4], [4, 0], [0]):
        header = {
            "w": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            "scale": {"dtype": "F8_E5M2FNUZ", "shape": [4], "data_offsets": offsets},
        }
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(12))
        with pytest.raises(ValueError, match="a gap or an overlap|are not a range"):
            list(tensors(path))


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"w": np.ones(1000, np.float32)}, path)
    [one] = tensors(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="became shorter while it was read"):
        one.read(0, 1000)


def test_pickles_and_damaged_files_are_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match="is a pickle"):
        list(tensors(tmp_path / "model.bin"))
    (tmp_path / "x.npz").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match="not a readable npz file"):
        list(tensors(tmp_path / "x.npz"))
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="not a safetensors file"):
        list(tensors(tmp_path / "x.safetensors"))


def test_the_example_prints_what_it_says():
    names = {"np": np, "tensors": tensors}
    example = doctest.DocTestParser().get_doctest(stored.tensors.__doc__, names, "t", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
