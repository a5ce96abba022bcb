"""The layout equals the safetensors library's, and bad headers are refused."""

import json

import numpy as np
import pytest
import safetensors.numpy

from fastinit._core import dtypes
from fastinit._core import safetensors as _safetensors
from fastinit._core.safetensors import layout, read_header

NUMPY_DTYPES = [name for name, dtype in dtypes.DTYPES.items() if dtype.numpy().isbuiltin == 1]


def layout_of(tensors, metadata=None):
    return layout(
        [(name, dtypes.resolve(array.dtype), array.shape) for name, array in tensors.items()],
        metadata,
    )


def bytes_of(tensors, metadata=None):
    """A whole file of the given arrays by our layout."""
    made = layout_of(tensors, metadata)
    content = bytearray(made.size)
    content[: len(made.header)] = made.header
    for tensor in made.tensors:
        content[tensor.begin : tensor.end] = tensors[tensor.name].tobytes()
    return bytes(content)


def random_tensors(seed):
    generator = np.random.default_rng(seed)
    names = [
        "a",
        "B",
        "a.b",
        "layer.10.w",
        "layer.9.w",
        "é",
        "日本",
        'q"uo\\te',
        "tab\t",
        "",
        "z" * 300,
        "\x7f",
        "\x01",
    ]
    tensors = {}
    for name in generator.permutation(names)[: generator.integers(1, len(names))]:
        shape = tuple(generator.integers(0, 4, generator.integers(0, 4)))
        tensors[str(name)] = np.zeros(shape, generator.choice(NUMPY_DTYPES))
    return tensors


@pytest.mark.parametrize("seed", range(40))
def test_layout_equals_the_safetensors_library(seed):
    tensors = random_tensors(seed)
    assert bytes_of(tensors) == safetensors.numpy.save(tensors)
    assert bytes_of(tensors, {"format": 'é"\n'}) == safetensors.numpy.save(
        tensors, {"format": 'é"\n'}
    )


def test_all_dtypes_are_ordered_as_by_the_library():
    buffer = np.zeros(64, np.uint8)
    described = {
        f"of {dtype.name}": safetensors.TensorSpec(
            dtype=dtype.name, shape=[2, 3], data_ptr=buffer.ctypes.data, data_len=6 * dtype.itemsize
        )
        for dtype in dtypes.DTYPES.values()
    }
    ours = layout([(f"of {dtype.name}", dtype, (2, 3)) for dtype in dtypes.DTYPES.values()])
    theirs = bytes(safetensors.serialize(described, None))
    assert theirs[: len(ours.header)] == ours.header
    assert len(theirs) == ours.size


def test_metadata_is_sorted_and_the_order_of_the_tensors_does_not_matter():
    dtype = dtypes.resolve("float32")
    first = layout([("a", dtype, (2,)), ("b", dtype, (3,))], {"y": "1", "x": "2"})
    assert first == layout([("b", dtype, (3,)), ("a", dtype, (2,))], {"x": "2", "y": "1"})
    assert first.header[8:].startswith(b'{"__metadata__":{"x":"2","y":"1"},"a":')
    assert len(first.header) % 8 == 0


def test_every_tensor_begins_at_a_multiple_of_its_item_size():
    for seed in range(20):
        for tensor in layout_of(random_tensors(seed)).tensors:
            assert tensor.begin % tensor.dtype.itemsize == 0


def test_sizes_are_exact_integers():
    dtype = dtypes.resolve("float8_e5m2")
    made = layout([("a", dtype, (1 << 57,)), ("b", dtype, (3,))])
    assert made.tensors[1].end - len(made.header) == (1 << 57) + 3
    with pytest.raises(ValueError, match="more than any file"):
        layout([(str(number), dtypes.resolve("float64"), (1 << 57,)) for number in range(9)])


def test_names_that_a_file_cannot_hold_are_refused():
    dtype = dtypes.resolve("float32")
    with pytest.raises(ValueError, match="two tensors"):
        layout([("a", dtype, (2,)), ("a", dtype, (3,))])
    with pytest.raises(ValueError, match="__metadata__"):
        layout([("__metadata__", dtype, (2,))])
    with pytest.raises(ValueError, match="surrogate"):
        layout([("\ud800", dtype, (2,))])


# ------------------------------------------------------------------------------------------ reading


def written(folder, content):
    path = folder / "x.safetensors"
    path.write_bytes(content)
    return path


def raw(header, size=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


def test_a_header_is_read_back(tmp_path):
    tensors = {
        "a": np.zeros((2, 3), np.float32),
        "b": np.zeros((), np.int64),
        "c": np.zeros((0, 5), np.uint8),
    }
    read, metadata = read_header(written(tmp_path, bytes_of(tensors, {"format": "pt"})))
    assert metadata == {"format": "pt"}
    assert {tensor.name: (tensor.dtype.name, tensor.shape) for tensor in read.tensors} == {
        name: (array.dtype.name, array.shape) for name, array in tensors.items()
    }
    assert read == layout_of(tensors, metadata)


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01\x00",
        (1 << 63).to_bytes(8, "little") + b"{}",
        ((1 << 64) - 3).to_bytes(8, "little") + b"{}",  # length + 5 would wrap
        (100).to_bytes(8, "little") + b"{}",
        raw(b"[]"),
        raw(b"7"),
        raw(b"{"),
        raw(b"\xff\xff"),
        raw(b'{"a": %s, "a": %s}' % (2 * (json.dumps(F32).encode(),)), 8),
        raw({"a": [1]}),
        raw({"a": {**F32, "more": 1}}, 8),
        raw({"a": {**F32, "dtype": "F33"}}, 8),
        raw({"a": {**F32, "dtype": ["F32"]}}, 8),
        raw({"a": {**F32, "shape": [3]}}, 8),
        raw({"a": {**F32, "shape": [-2]}}, 8),
        raw({"a": {**F32, "shape": [2.0]}}, 8),
        raw({"a": {**F32, "shape": [True, 2]}}, 8),
        raw({"a": {**F32, "shape": 2}}, 8),
        raw({"a": {**F32, "data_offsets": [8, 0]}}, 8),
        raw({"a": {**F32, "data_offsets": [0, 8, 8]}}, 8),
        raw({"a": {**F32, "shape": [1 << 62, 4]}}, 8),  # the product is 2^64
        raw({"a": F32}, 7),
        raw({"a": F32}, 9),
        raw({"a": F32, "b": F32}, 8),  # overlap
        raw({"a": F32, "b": {**F32, "data_offsets": [9, 17]}}, 17),  # gap
        raw({"__metadata__": {"a": 1}}),
        raw({"__metadata__": ["a"]}),
        raw(b"[" * 100_000),
        raw({"a": {**F32, "shape": [1] * 65 + [2]}}, 8),
        raw({"a": {**F32, "shape": [1 << 62] * 1_000_000}}, 8),
        raw(b'{"a": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 8]}}', 8),
        raw({"x" * 1_000_000: {**F32, "more": 1}}, 8),
        raw(b'{"%s": 1, "%s": 1}' % (b"x" * 1_000_000, b"x" * 1_000_000)),
    ],
)
def test_a_header_that_does_not_describe_its_file_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="x.safetensors") as caught:
        read_header(written(tmp_path, content))
    assert len(str(caught.value).replace(str(tmp_path), "")) < 500


def test_the_limit_of_the_header_is_the_librarys(monkeypatch):
    monkeypatch.setattr(_safetensors, "HEADER_LIMIT", 100)
    with pytest.raises(ValueError, match="split the model"):
        layout([("x" * 100, dtypes.resolve("float32"), (2,))])
