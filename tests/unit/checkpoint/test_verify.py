"""verify: what is still its initial draw, and of what is not, where it first differs."""

import json

import numpy as np
import pytest
import safetensors.numpy

import fastinit as fi
from fastinit import checkpoint
from fastinit.checkpoint import draw

# Every kind of draw, tensors that are drawn whole, several dtypes, no values, one value.
SPEC = {
    "tensors": {
        "embedding": [300, 40],
        "half": {"shape": [333], "dtype": "bfloat16"},
        "eighth": {"shape": [999], "dtype": "float8_e4m3fn"},
        "double": {"shape": [77], "dtype": "float64"},
        "square": {"shape": [24, 24], "initializer": "orthogonal"},
        "identity": {"shape": [5, 5], "initializer": "eye", "dtype": "float16"},
        "cut": {"shape": [100], "initializer": "truncated_normal"},
        "range": {"shape": [100], "initializer": "uniform"},
        "scalar": [],
        "nothing": {"shape": [0, 3], "initializer": "zeros"},
        "count": {"shape": [3], "initializer": "constant", "value": 7, "dtype": "int64"},
    },
    "rules": [{"match": "*", "initializer": "normal"}],
}
NAMES = sorted(SPEC["tensors"])


@pytest.fixture(params=["file", "folder"])
def target(request, tmp_path):
    if request.param == "file":
        path = tmp_path / "x.safetensors"
        checkpoint.materialize(SPEC, path, seed=5)
    else:
        path = tmp_path / "x"
        path.mkdir()
        report = checkpoint.materialize(SPEC, path, seed=5, shard_size=3000)
        assert len(report.written) > 3
    return path


def places(path):
    """(file, tensor) of every tensor of a checkpoint."""
    return {
        tensor.name: (found.path, tensor)
        for found in checkpoint.files(path)
        for tensor in found.layout.tensors
    }


def flip(path, name, value, bit=0):
    """Flip a bit of one value of a tensor."""
    file, tensor = places(path)[name]
    with open(file, "r+b") as stream:
        at = tensor.begin + value * tensor.dtype.itemsize + bit // 8
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 1 << bit % 8]))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("span", [64, 1 << 22])
def test_what_was_drawn_is_its_initial_draw(target, monkeypatch, threads, span):
    monkeypatch.setattr(draw, "SPAN", span)
    told = []
    found = checkpoint.verify(target, threads=threads, progress=told.append)
    assert found
    assert sorted(one.name for one in found.tensors) == NAMES
    assert all(str(one) == f"{one.name}: initial draw" for one in found.tensors)
    assert (found.seed, found.missing) == (5, ())
    total = sum(tensor.end - tensor.begin for _, tensor in places(target).values())
    assert found.size == total == sum(told)
    sizes = {"scalar": 1, "nothing": 0, "embedding": 12000, "eighth": 999, "count": 3}
    assert {one.name: one.values for one in found.tensors if one.name in sizes} == sizes


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nothing"])
@pytest.mark.parametrize("span", [256, 1 << 22])
def test_one_flipped_bit_is_found_and_only_that_tensor(target, monkeypatch, name, span):
    monkeypatch.setattr(draw, "SPAN", span)
    _, tensor = places(target)[name]
    count = (tensor.end - tensor.begin) // tensor.dtype.itemsize
    at = count * 2 // 3
    flip(target, name, at)
    found = checkpoint.verify(target, threads=2)
    assert not found
    [wrong] = [one for one in found.tensors if not one]
    assert (wrong.name, wrong.different, wrong.values) == (name, 1, count)
    assert wrong.place == tuple(np.unravel_index(at, tensor.shape))[: len(tensor.shape)]
    entry = next(one for one in checkpoint.load(SPEC).entries if one.name == name)
    ours = getattr(fi, entry.initializer)(
        entry.shape, seed=5, name=name, dtype=entry.dtype.name, **entry.arguments
    )
    expected = ours[wrong.place].item()
    assert wrong.expected == expected
    assert wrong.found != expected
    assert f"first at [{', '.join(map(str, wrong.place))}]: expected {expected!r}" in str(wrong)


def test_the_first_difference_is_the_first_of_all(target, monkeypatch):
    monkeypatch.setattr(draw, "SPAN", 256)
    for at in (11_999, 4_000, 4_001, 123):
        flip(target, "embedding", at)
    [wrong] = [one for one in checkpoint.verify(target, threads=3).tensors if not one]
    assert (wrong.different, wrong.place) == (4, (3, 3))


def test_another_seed_is_found(target):
    found = checkpoint.verify(target, seed=6)
    same = {one.name for one in found.tensors if one}
    assert same == {"identity", "count", "nothing"}  # in which no seed is
    assert found.seed == 6


def test_a_bit_of_a_nan_counts(target):
    """Bits are compared, not numbers: zeros of two signs are another draw too."""
    file, tensor = places(target)["range"]
    with open(file, "r+b") as stream:
        stream.seek(tensor.begin)
        stream.write(np.array(np.nan, "<f4").tobytes())
    [wrong] = [one for one in checkpoint.verify(target).tensors if not one]
    assert np.isnan(wrong.found)
    flip(target, "identity", 1, bit=15)  # 0.0 becomes -0.0
    wrong = {one.name: one for one in checkpoint.verify(target).tensors if not one}
    assert str(wrong["identity"]).endswith("first at [0, 1]: expected 0.0, found -0.0")


def test_swapped_tensors_are_found(tmp_path):
    spec = {"tensors": {"a": [64], "b": [64]}, "rules": [{"match": "*", "initializer": "normal"}]}
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    content = path.read_bytes()
    path.write_bytes(content[:-512] + content[-256:] + content[-512:-256])
    assert [bool(one) for one in checkpoint.verify(path).tensors] == [False, False]
    # The same with the names in place of the values.
    header = content[:-512].replace(b'"a":', b'"?":').replace(b'"b":', b'"a":')
    path.write_bytes(header.replace(b'"?":', b'"b":') + content[-512:])
    assert [bool(one) for one in checkpoint.verify(path, spec, seed=0).tensors] == [False, False]


@pytest.mark.parametrize("pad", range(9))
def test_files_of_other_writers_are_compared_with_a_spec(tmp_path, pad):
    """In any order and at any offset: a tensor may begin where no value of its dtype would."""
    tensors = {
        "w": fi.normal((33, 7), seed=3, name="w"),
        "a": fi.normal((5,), seed=3, name="a", dtype="float64"),
        "q": fi.orthogonal((6, 6), seed=3, name="q"),
    }
    header, data = {"__metadata__": {"by": "hand"}}, bytes(pad)
    header["pad"] = {"dtype": "U8", "shape": [pad], "data_offsets": [0, pad]}
    for name, array in tensors.items():
        raw = array.tobytes()
        header[name] = {
            "dtype": {4: "F32", 8: "F64"}[array.itemsize],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    spec = {
        "tensors": {
            "pad": {"shape": [pad], "dtype": "uint8", "initializer": "zeros"},
            "w": [33, 7],
            "a": {"shape": [5], "dtype": "float64"},
            "q": {"shape": [6, 6], "initializer": "orthogonal"},
        },
        "rules": [{"match": "*", "initializer": "normal"}],
    }
    assert checkpoint.verify(path, spec, seed=3, threads=2)
    assert checkpoint.verify(path, checkpoint.load(spec), seed=3, sample=0.5)
    assert not checkpoint.verify(path, spec, seed=4)
    with pytest.raises(ValueError, match="does not say its seed"):
        checkpoint.verify(path, spec)
    with pytest.raises(ValueError, match="does not say how it was drawn"):
        checkpoint.verify(path)
    flip(path, "w", 200)
    [wrong] = [one for one in checkpoint.verify(path, spec, seed=3).tensors if not one]
    assert wrong.place == (28, 4)


def test_the_librarys_own_file_is_compared_too(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"w": fi.he_normal((8, 8), seed=1, name="w")}, path)
    spec = {"tensors": {"w": {"shape": [8, 8], "initializer": "he_normal"}}}
    assert checkpoint.verify(path, spec, seed=1)


def test_extra_and_missing_tensors_are_reported(tmp_path):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(SPEC, path, seed=5)
    spec = {**SPEC, "tensors": {**SPEC["tensors"], "more": [2]}}
    del spec["tensors"]["range"]
    spec["tensors"]["half"] = [333]
    found = checkpoint.verify(path, spec)
    assert found.missing == ("more",)
    wrong = {one.name: one.reason for one in found.tensors if not one}
    assert wrong == {
        "range": "not in the spec",
        "half": "the file has bfloat16 (333,), the spec float32 (333,)",
    }


def test_a_sample_compares_a_share_and_the_start_of_each_tensor(tmp_path, monkeypatch):
    monkeypatch.setattr(draw, "SAMPLED", 64)
    spec = {
        "tensors": {"large": [1000, 100], "small": [20]},
        "rules": [{"match": "*", "initializer": "normal"}],
    }
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    found = checkpoint.verify(path, sample=0.1, threads=2)
    assert found
    assert 0.07 < found.size / 400_080 < 0.13
    assert all(one.values >= 16 for one in found.tensors)
    assert checkpoint.verify(path, sample=0.1).size == found.size  # always the same ones
    assert checkpoint.verify(path, sample=1).size == 400_080
    for name in ("large", "small"):
        flip(path, name, 3)
    assert not any(checkpoint.verify(path, sample=1e-9).tensors)
    flip(path, "large", 3)
    seen = 0
    for at in range(50_000, 51_600, 16):  # 100 pieces, of which about ten are in the sample
        flip(path, "large", at)
        seen += not next(
            one for one in checkpoint.verify(path, sample=0.1).tensors if one.name == "large"
        )
        flip(path, "large", at)
    assert 2 <= seen <= 25


@pytest.mark.parametrize("sample", [0, -1, 1.5, float("nan"), "half"])
def test_a_sample_is_a_share(tmp_path, sample):
    with pytest.raises(ValueError, match="sample is"):
        checkpoint.verify(tmp_path, sample=sample)


def test_nothing_is_written(target):
    before = {path: path.stat().st_mtime_ns for path in target.parent.rglob("*")}
    checkpoint.verify(target)
    checkpoint.verify(target, seed=9)
    assert {path: path.stat().st_mtime_ns for path in target.parent.rglob("*")} == before


def test_reports_print_as_tables_of_what_differs(tmp_path):
    path = tmp_path / "x.safetensors"
    written = checkpoint.materialize(
        {"tensors": {"w": {"shape": [4], "initializer": "normal"}}}, path, seed=0
    )
    assert repr(written).splitlines()[-1].split() == ["x.safetensors", "written"]
    assert "1 of 1 tensors are their initial draw, seed 0" in " ".join(
        repr(checkpoint.verify(path)).split()
    )
    found = checkpoint.verify(path, seed=1)
    head, row, *further = repr(found).splitlines()
    assert head.split() == ["tensor", "what", "is", "there"]
    assert row.split()[:6] == ["w", "4", "of", "4", "values", "differ,"]
    text = " ".join(" ".join(further).split())
    assert ": 0 of 1 tensors" in text and "<td>w</td>" in found._repr_html_()
