"""Every usual spelling finds its dtype; rounding equals astype of NumPy and ml_dtypes, or an exact
search.
"""

import math
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from fastinit._core import dtypes as _dtypes
from fastinit._core.dtypes import DTYPES, FLOATING, INTEGERS, decode, encode, resolve

NARROW = [dtype for dtype in FLOATING if dtype.itemsize <= 2]


def named(dtypes):
    return pytest.mark.parametrize("dtype", dtypes, ids=lambda dtype: dtype.name)


def all_bits(dtype):
    return np.arange(256**dtype.itemsize).astype(dtype.unsigned)


def doubles(dtype):
    """The value of every bit pattern of a narrow dtype."""
    with np.errstate(invalid="ignore"):  # ml_dtypes signals when it widens a NaN
        return all_bits(dtype).view(dtype.numpy()).astype(np.float64)


def finite_values(dtype):
    """Every finite value of a narrow dtype, ascending, zero once."""
    values = doubles(dtype)
    return np.unique(values[np.isfinite(values)])


def probes(dtype):
    """Every value of the narrow dtype, every midpoint between two, the doubles next to each of
    them, and doubles far outside.
    """
    values = finite_values(dtype)
    middles = (values[1:] + values[:-1]) / 2
    spots = np.concatenate([values, middles])
    if len(spots) > 20000:
        spots = spots[:: len(spots) // 20000 | 1]
    top = dtype.largest
    outside = np.array(
        [
            top * 1.01,
            top * 1.04,
            top * 1.1,
            top * 1.5,
            1e300,
            -1e300,
            -top * 1.04,
            5e-324,
            -5e-324,
            -0.0,
        ]
    )
    return np.concatenate(
        [spots, np.nextafter(spots, np.inf), np.nextafter(spots, -np.inf), outside]
    )


# ---------------------------------------------------------------------------------------- spellings


@named(DTYPES.values())
def test_every_spelling_finds_the_dtype(dtype):
    array_dtype = dtype.numpy()
    for spelling in (
        dtype.name,
        array_dtype,
        array_dtype.type,
        dtype,
        np.zeros(1, array_dtype).dtype,
    ):
        assert resolve(spelling) is dtype
    assert array_dtype.name == dtype.name
    assert array_dtype.itemsize == dtype.itemsize == dtype.unsigned.itemsize


def test_short_numpy_spellings_and_builtins_are_understood():
    assert (
        resolve("f4").name
        == resolve("<f4" if sys.byteorder == "little" else ">f4").name
        == "float32"
    )
    assert resolve(float).name == "float64"
    assert resolve(bool).name == "bool"
    assert resolve("half").name == "float16"


def test_dtype_survives_pickling_as_the_same_object():
    for dtype in DTYPES.values():
        assert pickle.loads(pickle.dumps(dtype)) is dtype


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("bf16", "bfloat16"),
        ("float8_e4m3", "float8_e4m3fn"),
        ("flot32", "float32"),
        ("Float32", "float32"),
        ("float8", "float8_e4m3fn' or 'float8_e5m2"),
        ("uint", None),
    ],
)
def test_unknown_name_is_refused_with_the_nearest_known_one(given, near):
    if near is None:
        assert resolve(given).kind == "int"
        return
    with pytest.raises(ValueError, match=f"unknown dtype '{given}'; did you mean '{near}'"):
        resolve(given)


@pytest.mark.parametrize(
    "given", ["longdouble", ml_dtypes.int4, ml_dtypes.float8_e4m3fnuz, "nonsense"]
)
def test_dtypes_that_cannot_be_drawn_are_refused_by_name(given):
    if given == "longdouble" and np.dtype(given) == np.float64:
        return  # where it is not a dtype of its own
    with pytest.raises(ValueError, match="unknown dtype .*allowed are float64, float32"):
        resolve(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("complex64", r"complex dtypes have no draw"),
        (np.complex128, r"complex dtypes have no draw"),
        (complex, r"complex dtypes have no draw"),
        ([("a", "f4")], r"structured dtype"),
        (np.dtype([("a", "f4")]), r"structured dtype"),
        (object, r"object arrays hold no numbers"),
        ("datetime64[s]", r"holds no plain numbers"),
        ("m8[ns]", r"holds no plain numbers"),
        ("U4", r"holds no plain numbers"),
        (np.dtype(("f4", (2,))), r"holds no plain numbers"),
        (None, r"dtype is None; give one of"),
        (3, r"dtype 3 is not a dtype"),
        ({"a": 1}, r"is not a dtype"),
    ],
)
def test_complex_structured_and_other_dtypes_are_type_errors(given, message):
    with pytest.raises(TypeError, match=message):
        resolve(given)


def test_byte_swapped_dtype_is_refused_by_name():
    with pytest.raises(ValueError, match="byte-swapped.*float32"):
        resolve(np.dtype(np.float32).newbyteorder())


def test_torch_dtypes_are_found_without_importing_torch():
    class dtype:
        __module__ = "torch"

        def __str__(self):
            return "torch.bfloat16"

    assert resolve(dtype()).name == "bfloat16"


def test_ml_dtypes_is_loaded_only_for_its_own_arrays():
    code = (
        "import sys; from fastinit._core import dtypes as d\n"
        "for t in d.DTYPES.values(): t.largest if t.is_float else d.encode(1, t)\n"
        "for t in d.FLOATING: d.encode(0.1, t); d.largest_below(0.1, t)\n"
        "assert 'ml_dtypes' not in sys.modules\n"
        "d.resolve('bfloat16').numpy(); assert 'ml_dtypes' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_safetensors_codes_are_those_of_the_format():
    codes = {dtype.name: dtype.safetensors for dtype in DTYPES.values()}
    assert codes == {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "bool": "BOOL",
        "int8": "I8",
        "int16": "I16",
        "int32": "I32",
        "int64": "I64",
        "uint8": "U8",
        "uint16": "U16",
        "uint32": "U32",
        "uint64": "U64",
    }


# ----------------------------------------------------------------------------------------- rounding


@named(NARROW)
def test_decoding_every_bit_pattern_equals_numpy(dtype):
    expected = doubles(dtype)
    decoded = np.array([decode(int(pattern), dtype) for pattern in all_bits(dtype)])
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.isnan(decoded), ~numbers)
    assert np.array_equal(decoded[numbers].view(np.uint64), expected[numbers].view(np.uint64))


@named([_dtypes.FLOAT32, _dtypes.FLOAT16])
def test_encoding_doubles_equals_astype(dtype):
    random = np.random.default_rng(0)
    values = random.standard_normal(20000) * 10.0 ** random.integers(-50, 45, 20000)
    if dtype.itemsize == 2:
        values = np.concatenate([values, probes(dtype)])
    with np.errstate(all="ignore"):
        expected = values.astype(dtype.numpy()).view(dtype.unsigned)
    assert [encode(float(value), dtype) for value in values] == expected.tolist()


@named(NARROW)
def test_encoding_float32_values_equals_astype(dtype):
    # Only from float32: ml_dtypes rounds a double twice, through float32, and encode() once.
    with np.errstate(all="ignore"):
        values = probes(dtype).astype(np.float32)
        expected = values.astype(dtype.numpy()).view(dtype.unsigned)
    assert [encode(float(value), dtype) for value in values] == expected.tolist()


@named(NARROW)
def test_encoding_doubles_finds_the_nearest_value(dtype):
    values = finite_values(dtype)
    for value in probes(dtype)[::37]:
        if abs(value) <= dtype.largest:
            distance = np.abs(values - value).min()
            assert abs(_dtypes.rounded(float(value), dtype) - value) == distance


def test_infinity_and_nan_keep_their_kind():
    for dtype in FLOATING:
        assert math.isnan(decode(encode(math.nan, dtype), dtype))
        expected = math.nan if dtype.name == "float8_e4m3fn" else math.inf
        assert str(decode(encode(math.inf, dtype), dtype)) == str(expected)
        assert not _dtypes.is_finite(-math.inf, dtype)


def test_largest_finite_values_are_those_of_the_formats():
    assert {dtype.name: dtype.largest for dtype in FLOATING} == {
        "float64": sys.float_info.max,
        "float32": float(np.finfo(np.float32).max),
        "float16": 65504.0,
        "bfloat16": 2.0**127 * (2 - 2**-7),
        "float8_e4m3fn": 448.0,
        "float8_e5m2": 57344.0,
    }


def test_the_tie_above_the_top_of_float8_goes_to_even():
    e4m3, e5m2 = _dtypes.FLOAT8_E4M3FN, _dtypes.FLOAT8_E5M2
    assert _dtypes.rounded(464.0, e4m3) == 448.0
    assert not _dtypes.is_finite(math.nextafter(464.0, 500.0), e4m3)
    assert _dtypes.rounded(61439.9, e5m2) == 57344.0
    assert not _dtypes.is_finite(61440.0, e5m2)


@named(INTEGERS)
def test_integers_are_exact_or_refused(dtype):
    assert decode(encode(dtype.low, dtype), dtype) == dtype.low
    assert decode(encode(dtype.high, dtype), dtype) == dtype.high
    assert np.array(encode(dtype.low, dtype), dtype.unsigned).view(dtype.numpy()) == dtype.low
    assert encode(1.0, dtype) == 1
    for value in (dtype.low - 1, dtype.high + 1, 0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"no exact value in {dtype.name}"):
            encode(value, dtype)


# --------------------------------------------------------------------------------------- neighbours


@named(NARROW)
def test_neighbours_are_found_exactly(dtype):
    values = finite_values(dtype)
    padded = [-math.inf, *values, math.inf]
    for value in probes(dtype)[::29]:
        value = float(value)
        above, from_ = (
            np.searchsorted(values, value, "right"),
            np.searchsorted(values, value, "left"),
        )
        assert _dtypes.smallest_above(value, dtype) == padded[above + 1]
        assert _dtypes.smallest_at_least(value, dtype) == padded[from_ + 1]
        assert _dtypes.largest_below(value, dtype) == padded[from_]


@named([_dtypes.FLOAT64, _dtypes.FLOAT32])
def test_neighbours_in_wide_dtypes_equal_nextafter(dtype):
    kind = dtype.numpy().type
    for value in (0.0, -0.0, 1.0, -1.0, 0.1, -0.3, 1e-40, 2.0**-149, 3e38):
        value = float(kind(value))
        assert _dtypes.smallest_above(value, dtype) == np.nextafter(kind(value), kind(np.inf))
        assert _dtypes.largest_below(value, dtype) == np.nextafter(kind(value), kind(-np.inf))
        assert _dtypes.smallest_at_least(value, dtype) == value


def test_a_zero_neighbour_is_plus_zero():
    for dtype in FLOATING:
        tiny = decode(1, dtype)
        zeros = [
            _dtypes.largest_below(tiny, dtype),
            _dtypes.smallest_above(-tiny, dtype),
            _dtypes.smallest_at_least(-0.0, dtype),
        ]
        assert [math.copysign(1.0, zero) for zero in zeros if zero == 0.0] == [1.0] * 3


def test_only_numbers_below_the_smallest_normal_one_are_subnormal():
    for dtype, smallest in (
        (_dtypes.FLOAT64, 2.0**-1022),
        (_dtypes.FLOAT32, 2.0**-126),
        (_dtypes.FLOAT16, 2.0**-14),
    ):
        assert not _dtypes.is_subnormal(smallest, dtype)
        assert not _dtypes.is_subnormal(-smallest, dtype)
        assert _dtypes.is_subnormal(smallest * 0.75, dtype)
        assert _dtypes.is_subnormal(0.0, dtype)
