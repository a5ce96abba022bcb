"""Words and group indices: section 11 of stream-v1.md, against its vectors."""

import numpy as np
import pytest
from vector_cases import heads_and_answers

from fastinit import checkpoint
from fastinit._core import dtypes, fill
from fastinit.checkpoint import SpecError, parts, words

UINT8 = dtypes.by_name("uint8")


def written(rule, shape, dtype, first=0, count=None, seed=0, stream=0, threads=None):
    """The bytes that a rule gives the elements first … of a tensor of one axis."""
    count = shape[0] - first if count is None else count
    view = np.full(count, 0xA5, np.uint8).repeat(dtype.itemsize).view(dtype.unsigned)
    region = (slice(first, first + count, 1),)
    rule(fill.Target(view, dtype, shape, region), seed, stream, threads)
    return view.view(np.uint8)


def file_bytes(path, spec, seed=0, **more):
    """name → bytes of each tensor in a file."""
    checkpoint.materialize({"tensors": spec}, path, seed=seed, force=True, **more)
    raw = path.read_bytes()
    [found] = checkpoint.files(path)
    return {one.name: raw[one.begin : one.end] for one in found.layout.tensors}


def test_words_equal_the_vectors():
    cases = heads_and_answers("words", "words")
    assert len(cases) > 20
    for (_, *numbers), answers in cases:
        seed, stream, first, count, low, modulus = map(int, numbers)
        rule = words.words((first + count,), UINT8, low=low, count=modulus)
        found = written(rule, (first + count,), UINT8, first, count, seed, stream)
        assert found.tolist() == [int(byte, 16) for byte in answers], numbers


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint64", "float4_e2m1fn_x2"])
def test_the_bytes_do_not_depend_on_the_dtype(dtype):
    kind = dtypes.by_name(dtype)
    size = 4096 // kind.itemsize
    expected = written(words.words((4096,), UINT8), (4096,), UINT8, seed=3, stream=9)
    found = written(words.words((size,), kind), (size,), kind, seed=3, stream=9)
    assert found.tolist() == expected.tolist()
    part = written(words.words((size,), kind), (size,), kind, 100, 77, seed=3, stream=9)
    assert np.array_equal(part, expected[100 * kind.itemsize :][: 77 * kind.itemsize])


def test_neither_parts_nor_threads_change_the_bytes(monkeypatch, tmp_path):
    spec = {
        "w": {"shape": [100, 3], "dtype": "uint8", "initializer": "words", "low": 7, "count": 32},
        "i": {"shape": [70, 2], "dtype": "int32", "initializer": "words"},
        "g": {"shape": [500], "dtype": "int32", "initializer": "group_index", "size": 3},
    }
    expected = file_bytes(tmp_path / "x.safetensors", spec)
    monkeypatch.setattr(parts, "PART", 50)
    for threads in (1, 3):
        assert file_bytes(tmp_path / "x.safetensors", spec, threads=threads) == expected


def test_every_byte_is_as_likely_as_any_other_and_low_and_count_bound_them():
    counts = np.bincount(written(words.words((1 << 20,), UINT8), (1 << 20,), UINT8), minlength=256)
    # Chi squared of 255 degrees of freedom, with this seed; six sigma are 390.
    assert ((counts - 4096.0) ** 2 / 4096).sum() < 390
    few = written(words.words((1 << 12,), UINT8, low=118, count=4), (1 << 12,), UINT8)
    assert set(few.tolist()) == {118, 119, 120, 121}


@pytest.mark.parametrize("size", [1, 3, 100, 1000])
def test_a_group_index_counts_the_groups(size):
    kind = dtypes.by_name("int32")
    rule = words.group_index((500,), kind, size=size)
    found = written(rule, (500,), kind).view(np.int32)
    assert found.tolist() == [i // size for i in range(500)]
    part = written(rule, (500,), kind, 120, 7).view(np.int32)
    assert part.tolist() == [i // size for i in range(120, 127)]


def test_a_spec_has_words_and_its_file_says_so(tmp_path):
    spec = {
        "qweight": {"shape": [3, 5], "dtype": "int32", "initializer": "words"},
        "fp4": {"shape": [3, 5], "dtype": "float4_e2m1fn_x2", "initializer": "words"},
        "scale": {
            "shape": [7],
            "dtype": "float8_e8m0fnu",
            "initializer": "words",
            "low": 118,
            "count": 4,
        },
        "g_idx": {
            "shape": [300],
            "dtype": "int32",
            "initializer": "group_index",
            "size": "100 + 28",
        },
    }
    path = tmp_path / "x.safetensors"
    found = file_bytes(path, spec, seed=5)
    assert found["qweight"] != found["fp4"]  # by their names
    assert {name: len(raw) for name, raw in found.items()} == {
        "qweight": 60,
        "fp4": 15,
        "scale": 7,
        "g_idx": 1200,
    }
    assert checkpoint.verify(path)
    assert checkpoint.load(spec_file(tmp_path, path)).canonical() == (
        checkpoint.load({"tensors": spec}).canonical()
    )
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    [wrong] = [one for one in checkpoint.verify(path).tensors if not one]
    assert wrong.name == "fp4" and wrong.place == (2, 4)


def spec_file(folder, path):
    text = folder / "again.toml"
    text.write_text(checkpoint.describe(checkpoint.spec_of(path)), encoding="utf-8")
    return text


def test_packed_tensors_may_be_empty(tmp_path):
    spec = {
        name: {"shape": [3, 0], "dtype": name, "initializer": "words", "count": 4}
        for name in dtypes.STORED
    }
    assert set(file_bytes(tmp_path / "x.safetensors", spec).values()) == {b""}
    assert checkpoint.verify(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"dtype": "float32"}, "words are for integers and packed dtypes, not float32"),
        ({"dtype": "uint8", "count": 3}, "count must be a power of two"),
        ({"dtype": "uint8", "low": 253, "count": 4}, r"low \+ count at most 256"),
        ({"dtype": "uint8", "low": 1.5}, "low is 1.5; it must be a whole number"),
        ({"dtype": "int32", "count": 4}, "low and count are for dtypes of one byte, not int32"),
        ({"dtype": "float8_e8m0fnu"}, "reach 255, which is NaN in float8_e8m0fnu"),
        ({"dtype": "uint8", "high": 4}, "unknown argument of words 'high'"),
        ({"dtype": "uint8", "blocks": []}, "blocks are for an initializer that draws each value"),
        ({"dtype": "float32", "initializer": "group_index", "size": 1}, "is an integer"),
        ({"dtype": "int32", "initializer": "group_index", "size": 0}, "at least 1"),
        (
            {"dtype": "int8", "initializer": "group_index", "size": 1, "shape": [129]},
            "more groups of 1 than int8 can number",
        ),
        ({"dtype": "float8_e8m0fnu", "initializer": "zeros"}, "holds packed bits"),
        ({"dtype": "float4_e2m1fn_x2", "initializer": "normal"}, 'give initializer = "words"'),
        ({"dtype": "uint8", "initializer": "wrds"}, "did you mean 'words'"),
        ({"dtype": "float4_e2m1fn_x2", "shape": []}, "has at least one axis"),
    ],
)
def test_tensors_that_cannot_hold_packed_words_are_refused(tensor, message):
    tensor = {"shape": [4], "initializer": "words", **tensor}
    with pytest.raises((SpecError, ValueError), match=message):
        checkpoint.plan({"tensors": {"w": tensor}}, 0)


@pytest.mark.parametrize(
    ("start", "step", "dtype", "shape"),
    [
        (0, 1, "int64", (7, 11)),
        (2, 1, "int32", (77,)),
        (5, -3, "int8", (3, 9)),
        (-(1 << 63), 1 << 60, "int64", (15,)),
        (1 << 63, 1, "uint64", (4, 4)),
        (7, 0, "int16", ()),
    ],
)
def test_arange_counts_along_the_last_axis_in_any_part(
    monkeypatch, tmp_path, start, step, dtype, shape
):
    own = {"initializer": "arange", "start": start, "step": step}
    spec = {"x": {"shape": list(shape), "dtype": dtype, **own}}
    width = shape[-1] if shape else 1
    row = [start + step * place for place in range(width)]
    expected = np.broadcast_to(np.array(row, dtype), shape or (1,)).tobytes()
    for size in (1, 20, 1 << 20):
        monkeypatch.setattr(parts, "PART", size)
        assert file_bytes(tmp_path / "x.safetensors", spec)["x"] == expected
        assert checkpoint.verify(tmp_path / "x.safetensors")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn", "int8", "bool"])
def test_a_table_is_repeated_to_the_end_in_any_part(monkeypatch, tmp_path, dtype):
    values = [1, 0, 1, 1, 0] if dtype in ("int8", "bool") else [0.1, -2.5, 0, -0.0, 3]
    spec = {"x": {"shape": [13, 7], "dtype": dtype, "initializer": "table", "values": values}}
    kind = dtypes.by_name(dtype)
    bits = np.array([dtypes.encode(value, kind) for value in values], kind.unsigned)
    expected = np.resize(bits, 91).tobytes()
    for size in (1, 20, 1 << 20):
        monkeypatch.setattr(parts, "PART", size)
        assert file_bytes(tmp_path / "x.safetensors", spec)["x"] == expected


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"initializer": "arange"}, "counts in integers"),
        ({"initializer": "arange", "dtype": "int8", "step": 100}, r"300 is not in \[-128, 127\]"),
        ({"initializer": "arange", "dtype": "int8", "start": 0.5}, "start is 0.5"),
        ({"initializer": "table"}, "values"),
        ({"initializer": "table", "values": []}, "a list of 1 to 1024"),
        ({"initializer": "table", "values": [0.0] * 1025}, "a list of 1 to 1024"),
        ({"initializer": "table", "values": 3}, "a list of 1 to 1024"),
        ({"initializer": "table", "values": ["inf"]}, "values has inf"),
        ({"initializer": "table", "values": [1e39]}, r"values has 1e\+39"),
        ({"initializer": "table", "values": [10**400]}, "values has a whole number of 1329 bits"),
        ({"initializer": "table", "dtype": "int8", "values": [10**400]}, "no exact value"),
        ({"initializer": "arange", "dtype": "int8", "start": 10**400}, "is not in"),
        ({"initializer": "table", "dtype": "int8", "values": [0.5]}, "0.5 has no exact value"),
        ({"initializer": "table", "dtype": "float4_e2m1fn_x2", "values": [1]}, "packed"),
    ],
)
def test_what_no_count_and_no_table_gives_is_a_mistake_with_its_place(own, message):
    with pytest.raises(SpecError, match=message) as caught:
        checkpoint.load({"tensors": {"x": {"shape": [4], **own}}})
    assert "'x'" in str(caught.value)
