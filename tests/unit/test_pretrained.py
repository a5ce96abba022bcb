"""Weights from files: every format, whole and by region, grown shapes, conversions, and what is
refused.
"""

import errno
import io
import json
import os
import pickle
import re
import struct
import warnings
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from fastinit._core import dtypes
from fastinit._core import safetensors as _safetensors
from fastinit._core.array_files import find
from fastinit.initializers import eye, he_normal, normal
from fastinit.pretrained import convert, pretrained

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(7, 5)).astype(np.float32)
CUBE = RNG.normal(size=(4, 3, 2))


def write_safetensors(path, **tensors):
    """A file with any of our dtypes.  The header is written by hand, as the library's NumPy
    interface writes no float8.
    """
    header, data = {}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        code = dtypes.resolve(array.dtype).safetensors
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    tensors = {
        "matrix": MATRIX,
        "cube": CUBE,
        "scalar": np.array(3.5, np.float32),
        "none": np.zeros((0, 4)),
    }
    save_file(tensors, folder / "all.safetensors")
    fortran = {"fortran": np.asfortranarray(CUBE), "big": MATRIX.astype(">f4")}
    np.savez(folder / "stored.npz", **tensors, **fortran)
    np.savez_compressed(folder / "packed.npz", **tensors, **fortran)
    np.save(folder / "one.npy", MATRIX)
    np.save(folder / "fortran.npy", np.asfortranarray(CUBE))
    np.save(folder / "big.npy", MATRIX.astype(">f4"))
    np.save(folder / "integers.npy", np.arange(6).reshape(2, 3))
    return folder


FILES = [
    ("all.safetensors", "matrix", MATRIX),
    ("all.safetensors", "cube", CUBE),
    ("stored.npz", "matrix", MATRIX),
    ("stored.npz", "fortran", CUBE),
    ("stored.npz", "big", MATRIX),
    ("packed.npz", "cube", CUBE),
    ("packed.npz", "fortran", CUBE),
    ("packed.npz", "big", MATRIX),
    ("one.npy", None, MATRIX),
    ("fortran.npy", None, CUBE),
    ("big.npy", None, MATRIX),
]


def corner(shape):
    return tuple(slice(0, size) for size in shape)


# ------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize(("file", "tensor", "expected"), FILES)
def test_a_whole_tensor_equals_the_one_in_the_file(folder, file, tensor, expected):
    result = pretrained(folder / file, tensor)
    assert result.dtype == expected.dtype and result.dtype.isnative
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("file", "tensor", "expected"), FILES)
def test_every_region_equals_that_part_of_the_tensor(folder, file, tensor, expected):
    rng = np.random.default_rng(1)
    for _ in range(10):
        region = tuple(
            slice(*sorted(map(int, rng.integers(0, size + 1, 2)))) for size in expected.shape
        )
        np.testing.assert_array_equal(
            pretrained(folder / file, tensor, region=region), expected[region]
        )
    np.testing.assert_array_equal(pretrained(folder / file, tensor, region=(2, ...)), expected[2:3])


@pytest.mark.parametrize("file", ["all.safetensors", "stored.npz", "packed.npz"])
def test_scalars_and_empty_tensors_are_read(folder, file):
    assert pretrained(folder / file, "scalar") == 3.5
    assert pretrained(folder / file, "none").shape == (0, 4)


def test_only_the_bytes_of_the_region_are_read(tmp_path):
    # A sparse file of 8 GiB: to read all of it would take more memory than a test has.
    rows = 1 << 20
    text = json.dumps(
        {"w": {"dtype": "F32", "shape": [rows, 2048], "data_offsets": [0, rows * 8192]}}
    ).encode()
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.seek(8 + len(text) + 777_777 * 8192)
        file.write(np.arange(2048, dtype=np.float32).tobytes())
        file.truncate(8 + len(text) + rows * 8192)
    row = pretrained(path, "w", region=(slice(777_776, 777_779), slice(None)))
    np.testing.assert_array_equal(row, [np.zeros(2048), np.arange(2048), np.zeros(2048)])


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float16", "bool", "int64", "uint8"]
)
def test_every_dtype_of_safetensors_is_read_bit_for_bit(tmp_path, dtype):
    kind = dtypes.resolve(dtype)
    bits = RNG.integers(0, 2, (6, 3)) if dtype == "bool" else RNG.integers(0, 60, (6, 3))
    array = bits.astype(kind.unsigned).view(kind.numpy())
    # W is not aligned.
    path = write_safetensors(tmp_path / "x.safetensors", pad=np.zeros(3, np.uint8), w=array)
    result = pretrained(path, "w", region=(slice(1, 5), slice(None)))
    assert result.dtype == kind.numpy() and result.tobytes() == array[1:5].tobytes()


def test_destinations_of_any_order_are_filled_in_place(folder):
    for out in (np.zeros((7, 5), np.float32, order="F"), np.zeros((14, 5), np.float32)[::-2, ::-1]):
        assert pretrained(folder / "one.npy", out=out) is out
        np.testing.assert_array_equal(out, MATRIX)


def test_a_shard_is_filled_in_place_without_saying_the_shape(folder):
    out = np.zeros((2, 5), np.float32)
    assert pretrained(folder / "one.npy", out=out, region=(slice(3, 5), ...)) is out
    np.testing.assert_array_equal(out, MATRIX[3:5])


def test_the_name_may_be_left_out_where_there_is_one_tensor(tmp_path):
    save_file({"only": MATRIX}, tmp_path / "one.safetensors")
    np.testing.assert_array_equal(pretrained(tmp_path / "one.safetensors"), MATRIX)


def test_large_tensors_are_copied_by_many_threads_alike(tmp_path):
    large = RNG.normal(size=(3000, 1000)).astype(np.float32)
    np.save(tmp_path / "large.npy", large)
    one = pretrained(tmp_path / "large.npy", dtype="bfloat16", threads=1)
    assert (
        pretrained(tmp_path / "large.npy", dtype="bfloat16", threads=3).tobytes() == one.tobytes()
    )
    assert one.tobytes() == large.astype(ml_dtypes.bfloat16).tobytes()


# ----------------------------------------------------------------------------- a shape that differs


@pytest.mark.parametrize(("file", "tensor", "expected"), FILES)
@pytest.mark.parametrize("grow", [(2, 3, 1), (-1, 2, 0), (3, -1, 2), (-2, -1, -1)])
def test_the_overlap_is_copied_and_the_rest_is_the_named_draw(folder, file, tensor, expected, grow):
    shape = tuple(size + more for size, more in zip(expected.shape, grow, strict=False))
    arguments = {"std": 0.02}
    result = pretrained(
        folder / file,
        tensor,
        shape=shape,
        rest="normal",
        rest_arguments=arguments,
        seed=3,
        name="w",
    )
    whole = normal(shape, std=0.02, seed=3, name="w", dtype=expected.dtype)
    common = corner(min(a, b) for a, b in zip(shape, expected.shape, strict=True))
    whole[common] = expected[common]
    np.testing.assert_array_equal(result, whole)
    rng = np.random.default_rng(2)
    for _ in range(10):
        region = tuple(slice(*sorted(map(int, rng.integers(0, size + 1, 2)))) for size in shape)
        part = pretrained(
            folder / file,
            tensor,
            shape=shape,
            rest=normal,
            rest_arguments=arguments,
            seed=3,
            name="w",
            region=region,
        )
        np.testing.assert_array_equal(part, whole[region])


def test_the_rest_may_be_any_initializer_with_fans_of_the_new_shape(folder):
    result = pretrained(folder / "one.npy", shape=(9, 6), rest="he_normal", seed=1)
    whole = he_normal((9, 6), seed=1)
    whole[:7, :5] = MATRIX
    np.testing.assert_array_equal(result, whole)
    result = pretrained(folder / "one.npy", shape=(9, 8), rest=eye)
    whole = eye((9, 8))
    whole[:7, :5] = MATRIX
    np.testing.assert_array_equal(result, whole)


def test_another_shape_without_rest_is_an_error_that_changes_nothing(folder):
    out = np.full((8, 5), 9, np.float32)
    with pytest.raises(ValueError, match=r"has shape \(7, 5\), not \(8, 5\); give rest="):
        pretrained(folder / "one.npy", out=out)
    assert (out == 9).all()
    with pytest.raises(ValueError, match="another number of axes"):
        pretrained(folder / "one.npy", shape=(7, 5, 1), rest="zeros")


def test_a_file_that_changes_after_a_call_is_read_again(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"w": MATRIX}, path)
    pretrained(path, "w")
    save_file({"another": np.zeros(50, np.float32), "w": 2 * MATRIX}, path)
    np.testing.assert_array_equal(pretrained(path, "w"), 2 * MATRIX)


# --------------------------------------------------------------------------------------- conversion


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float32"]
)
def test_float64_is_rounded_once_to_every_dtype(dtype):
    kind = dtypes.resolve(dtype)
    points = np.array(
        [dtypes.decode(bits, kind) for bits in range(0, kind.top, max(1, kind.top // 300))]
    )
    above = np.array(
        [dtypes.decode(bits + 1, kind) for bits in range(0, kind.top, max(1, kind.top // 300))]
    )
    middle = (
        points + above
    ) / 2  # the ties, and their neighbours that a first rounding to float32 would make ties
    values = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
    values = np.concatenate([values, -values])
    expected = np.array([dtypes.encode(float(value), kind) for value in values], kind.unsigned)
    np.testing.assert_array_equal(convert(values, dtypes.FLOAT64, kind), expected)


def test_rounding_through_float32_fails_that_test():
    kind = dtypes.BFLOAT16
    tie = 1.0 + 2.0**-8
    value = np.array([np.nextafter(tie, 2.0)])
    twice = value.astype(np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)
    assert (
        twice[0] != dtypes.encode(float(value[0]), kind) == convert(value, dtypes.FLOAT64, kind)[0]
    )


def test_narrow_dtypes_are_widened_exactly(tmp_path):
    bits = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e5m2)
    path = write_safetensors(tmp_path / "x.safetensors", w=bits)
    np.testing.assert_array_equal(pretrained(path, "w", dtype="float64"), bits.astype(np.float64))


def test_a_value_that_overflows_the_dtype_is_an_error_that_changes_nothing(tmp_path):
    large = np.zeros((2000, 1000), np.float32)
    large[-1, -1] = 1e30
    np.save(tmp_path / "large.npy", large)
    out = np.ones((2000, 1000), np.float16)
    with pytest.raises(ValueError, match="up to 1e.30, not finite in float16"):
        pretrained(tmp_path / "large.npy", out=out)
    assert (out == 1).all()


def test_infinities_and_nans_of_the_file_are_kept(tmp_path):
    special = np.array([np.inf, -np.inf, np.nan, 1.0])
    np.save(tmp_path / "special.npy", special)
    np.testing.assert_array_equal(
        pretrained(tmp_path / "special.npy", dtype="float16"), special.astype(np.float16)
    )


def test_integers_are_not_converted_silently(folder):
    assert pretrained(folder / "integers.npy").dtype == np.int64
    with pytest.raises(TypeError, match="int64, which is not converted to float32"):
        pretrained(folder / "integers.npy", dtype="float32")


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "ending", [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".PT", ".joblib"]
)
def test_pickles_are_refused_by_name_without_being_opened(tmp_path, ending, monkeypatch):
    path = tmp_path / ("model" + ending)
    os.mkfifo(path)  # opening it would block for ever
    with pytest.raises(ValueError, match="runs whatever code it holds"):
        pretrained(path, "w")


class Bomb:
    def __reduce__(self):
        return (os._exit, (3,))


def test_a_name_without_ending_says_whether_the_file_is_there(tmp_path):
    path = tmp_path / "weights"
    with pytest.raises(ValueError, match="weights' has no ending, and there is no such file; pre"):
        pretrained(path)
    path.touch()
    with pytest.raises(ValueError, match="weights' has no ending; pretrained reads"):
        pretrained(path)


def test_pickles_inside_npy_and_npz_are_never_loaded(tmp_path):
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        pretrained(tmp_path / "bomb.npy")
    np.savez(tmp_path / "bomb.npz", w=np.array([Bomb()], object))
    with pytest.raises(ValueError, match="Python objects"):
        pretrained(tmp_path / "bomb.npz", "w")
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="not an npy file"):
        pretrained(tmp_path / "plain.npy")


def safetensors_bytes(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE = {
    "empty file": b"",
    "seven bytes": b"\0" * 7,
    "length beyond the file": safetensors_bytes({"w": ENTRY}, bytes(8), 10_000),
    "length that wraps": safetensors_bytes({"w": ENTRY}, bytes(8), 2**64 - 8),
    "not JSON": safetensors_bytes(b"{]"),
    "not UTF-8": safetensors_bytes(b'{"\xff": 1}'),
    "a list": safetensors_bytes(b"[]"),
    "a number": safetensors_bytes(b"7"),
    "deep nesting": safetensors_bytes(b"[" * 100_000),
    "duplicate names": safetensors_bytes(
        b'{"w":%s,"w":%s}' % ((json.dumps(ENTRY).encode(),) * 2), bytes(8)
    ),
    "entry is no object": safetensors_bytes({"w": 3}),
    "missing dtype": safetensors_bytes({"w": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "unknown dtype": safetensors_bytes({"w": ENTRY | {"dtype": "F33"}}, bytes(8)),
    "dtype is a list": safetensors_bytes({"w": ENTRY | {"dtype": ["F32"]}}, bytes(8)),
    "negative size": safetensors_bytes({"w": ENTRY | {"shape": [-2]}}, bytes(8)),
    "size is a float": safetensors_bytes({"w": ENTRY | {"shape": [2.0]}}, bytes(8)),
    "size is a boolean": safetensors_bytes(
        {"w": ENTRY | {"shape": [True], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "shape against offsets": safetensors_bytes({"w": ENTRY | {"shape": [3]}}, bytes(8)),
    "shape that overflows": safetensors_bytes({"w": ENTRY | {"shape": [2**62, 4]}}, bytes(8)),
    "offsets reversed": safetensors_bytes({"w": ENTRY | {"data_offsets": [8, 0]}}, bytes(8)),
    "offsets beyond the file": safetensors_bytes({"w": ENTRY | {"data_offsets": [0, 8]}}, bytes(4)),
    "a gap": safetensors_bytes({"w": ENTRY | {"data_offsets": [4, 12]}}, bytes(12)),
    "an overlap": safetensors_bytes(
        {"w": ENTRY, "v": ENTRY | {"data_offsets": [4, 12]}}, bytes(12)
    ),
    "bytes at the end": safetensors_bytes({"w": ENTRY}, bytes(9)),
    "infinite metadata": safetensors_bytes(
        b'{"w":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,8]}}', bytes(8)
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_damaged_and_hostile_safetensors_headers_are_refused(tmp_path, kind):
    path = tmp_path / "x.safetensors"
    path.write_bytes(HOSTILE[kind])
    out = np.full(2, 5, np.float32)
    with pytest.raises(ValueError, match="safetensors"):
        pretrained(path, "w", out=out)
    assert (out == 5).all()


def npy(header, data=b"", version=(1, 0)):
    text = header.encode("latin1")
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(8)),  # cut short
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", bytes(9)),  # too long
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", bytes(8)),
        npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**40}, {2**40})}}", bytes(8)),
        npy("{'descr': '<f4', 'fortran_order': False}", bytes(8)),
        npy("{'descr': 'O', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", bytes(8)),
        npy("__import__('os')._exit(3)", bytes(8)),
        npy("(" * 200, bytes(8)),
        npy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}" + " " * 100_000,
            bytes(8),
            (2, 0),
        ),
        npy("{}", b"", (9, 9)),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_damaged_npy_headers_are_refused(tmp_path, content, inside):
    path = tmp_path / ("x.npz" if inside else "x.npy")
    if inside:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(os.fspath(path))):
        pretrained(path, "w" if inside else None)


def test_damaged_zip_archives_are_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, w=RNG.normal(size=(100, 100)))
    whole = bytearray(buffer.getvalue())
    for damage in (slice(0, 4), slice(200, 400), slice(len(whole) - 30, len(whole))):
        spoilt = whole.copy()
        spoilt[damage] = b"\xa5" * len(spoilt[damage])
        path = tmp_path / "x.npz"
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match="npz"):
            pretrained(path, "w")
    path.write_bytes(whole[:500])
    with pytest.raises(ValueError, match="npz"):
        pretrained(path, "w")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_bytes_of_an_npz_that_changed_are_refused_by_their_checksum(tmp_path, save):
    """Stored members are mapped, and were read without a look at their checksum."""
    path = tmp_path / "x.npz"
    save(path, w=MATRIX)
    content = bytearray(path.read_bytes())
    np.testing.assert_array_equal(pretrained(path), MATRIX)
    content[content.index(b"NUMPY") + 160 if save is np.savez else 60] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="x.npz.*(checksum|CRC|not a readable npz)"):
        pretrained(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_part_of_a_changed_npz_is_refused_wherever_the_change_is(tmp_path, save):
    """The checksum is of the whole tensor, so it is compared before the first part is returned,
    and again after the file has changed.
    """
    path, noise = tmp_path / "x.npz", np.random.default_rng(0).normal(size=(600, 8))
    save(path, w=noise, other=noise)
    first, last = (slice(0, 2), ...), (slice(598, 600), ...)
    np.testing.assert_array_equal(pretrained(path, "w", region=last), noise[-2:])
    whole = path.read_bytes()
    content = bytearray(whole)
    content[len(content) // 4] ^= 1  # in the middle of w
    path.write_bytes(content)
    os.utime(path, (0, 0))  # the clock of files may not have moved since
    for region in (first, last):
        with pytest.raises(ValueError, match="x.npz.*(CRC|not a readable npz)"):
            pretrained(path, "w", region=region)
    np.testing.assert_array_equal(pretrained(path, "other", region=last), noise[-2:])
    path.write_bytes(whole)
    np.testing.assert_array_equal(pretrained(path, "w", region=first), noise[:2])


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "shape",
    [f"({DIGITS},)", f"(-{DIGITS},)", f"({DIGITS[:4000]},)", "(" + f"{DIGITS[:900]}," * 9 + ")"],
    ids=["5000 digits", "negative", "4000 digits", "a product of many digits"],
)
@pytest.mark.parametrize("inside", [False, True])
def test_absurd_sizes_in_an_npy_header_are_refused_in_few_words(tmp_path, shape, inside):
    path = tmp_path / ("x.npz" if inside else "x.npy")
    content = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}", bytes(8))
    if inside:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(path.name)) as caught:
        pretrained(path)
    text = str(caught.value).replace(str(tmp_path), "")
    assert len(text) < 400 and "Exceeds the limit" not in text


def test_missing_tensors_are_named_with_the_nearest_one(folder):
    with pytest.raises(ValueError, match="did you mean 'matrix'"):
        pretrained(folder / "all.safetensors", "matrx")
    with pytest.raises(
        ValueError, match="it holds 'cube', 'matrix', 'none', 'scalar'|it holds .*'matrix'"
    ):
        pretrained(folder / "stored.npz", "zzzzzz")
    with pytest.raises(ValueError, match="name one with tensor="):
        pretrained(folder / "all.safetensors")
    with pytest.raises(ValueError, match="one array without a name"):
        pretrained(folder / "one.npy", "matrix")


def test_other_files_folders_and_pipes_are_refused(tmp_path, folder):
    with pytest.raises(ValueError, match=r"\.safetensors, \.npz, \.npy"):
        pretrained(tmp_path / "w.h5", "w")
    with pytest.raises(FileNotFoundError):
        pretrained(tmp_path / "absent.safetensors", "w")
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(ValueError, match="not a regular file"):
        pretrained(tmp_path / "pipe.safetensors", "w")
    os.mkdir(tmp_path / "folder.npy")
    with pytest.raises(ValueError, match="not a regular file"):
        pretrained(tmp_path / "folder.npy")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"rest_arguments": {"std": 1.0}}, TypeError, "rest, which is not given"),
        ({"rest": "nromal"}, ValueError, "did you mean 'normal'"),
        ({"rest": "normal", "rest_arguments": {"sdt": 1.0}}, TypeError, "did you mean 'std'"),
        ({"rest": "normal", "rest_arguments": {"std": -1.0}}, ValueError, "std"),
        ({"rest": "normal", "rest_arguments": [1]}, TypeError, "mapping"),
        ({"tensor": 3}, TypeError, "tensor must be a name"),
    ],
)
def test_bad_arguments_are_refused(folder, arguments, error, text):
    with pytest.raises(error, match=text):
        pretrained(folder / "one.npy", shape=(8, 5), **arguments)


def test_our_own_files_are_found_where_their_header_says(tmp_path):
    save_file({"a": MATRIX, "b": CUBE}, tmp_path / "x.safetensors")
    layout, _ = _safetensors.read_header(tmp_path / "x.safetensors")
    assert {each.name for each in layout.tensors} == {"a", "b"}
    assert find(tmp_path / "x.safetensors", "b").shape == CUBE.shape


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_npz_is_read_or_refused_with_a_clear_message(tmp_path, save, seed):
    """Before, a third of such files gave a bare OSError: Invalid argument."""
    path = tmp_path / "x.npz"
    save(path, w=MATRIX, other=np.arange(3))
    whole = path.read_bytes()
    random = np.random.default_rng(seed)
    refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            at, way = int(random.integers(0, len(content))), random.integers(0, 3)
            if way == 0:
                content[at] = int(random.integers(0, 256))
            elif way == 1:
                del content[at : at + int(random.integers(1, 30))]
            else:
                content[at:at] = random.bytes(int(random.integers(1, 30)))
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of names that appear twice
            try:
                pretrained(path, "w")
            except ValueError as error:
                refused += 1
                assert "x.npz" in str(error)
                assert len(str(error).replace(str(tmp_path), "")) < 500
    assert refused > 30


def test_a_disk_error_is_passed_on_unchanged(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez(path, w=MATRIX)

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        pretrained(path, "w")
