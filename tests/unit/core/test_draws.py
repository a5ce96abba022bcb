"""The parameters of a draw follow sections 3 to 5 of the contract, and what might not be finite is
refused.
"""

import math

import numpy as np
import pytest

from fastinit._core import dtypes
from fastinit._core.arguments import real
from fastinit._core.draws import constant, normal, truncated_normal, uniform
from fastinit._core.dtypes import (
    BFLOAT16,
    BOOL,
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    FLOATING,
    decode,
    encode,
)

E4M3, E5M2 = dtypes.FLOAT8_E4M3FN, dtypes.FLOAT8_E5M2
EVERY = pytest.mark.parametrize("dtype", FLOATING, ids=lambda dtype: dtype.name)
NARROW = pytest.mark.parametrize(
    "dtype", [FLOAT16, BFLOAT16, E4M3, E5M2], ids=lambda dtype: dtype.name
)


def value_of(draw, dtype):
    assert draw.draw == dtypes.CONSTANT
    return decode(draw.parameters[0], dtype)


def bits(value):
    return np.float64(value).view(np.uint64)


# ------------------------------------------------------------------------------------ any parameter


@pytest.mark.parametrize(
    "given", [1, np.float32(1), np.int64(1), np.float64(1.0), np.array(1.0), 1.0]
)
def test_parameters_may_be_any_real_scalar(given):
    assert type(real(given, "mean")) is float
    assert real(given, "mean") == 1.0


def test_minus_zero_parameters_become_plus_zero():
    assert bits(real(-0.0, "mean")) == 0
    assert [bits(number) for number in normal(-0.0, -0.0, FLOAT32).parameters] == [0, 0]
    assert value_of(uniform(-0.0, 0.0, FLOAT16), FLOAT16) == 0.0
    assert uniform(-0.0, -0.0, FLOAT16).parameters == (0,)
    assert [bits(number) for number in uniform(-0.0, 1.0, BFLOAT16).parameters[::2]] == [0, 0]


@pytest.mark.parametrize("given", [True, np.True_, "1", b"1", 1j, None, [1.0], np.ones(2)])
def test_parameters_of_another_type_are_type_errors(given):
    with pytest.raises(TypeError, match="std must be a real number, not"):
        normal(0.0, given, FLOAT32)


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, np.float32(np.inf), 10**400])
@EVERY
def test_parameters_that_are_not_finite_are_value_errors(given, dtype):
    for call in (
        lambda: normal(given, 1.0, dtype),
        lambda: normal(0.0, given, dtype),
        lambda: uniform(given, 1.0, dtype),
        lambda: uniform(0.0, given, dtype),
        lambda: constant(given, dtype),
    ):
        with pytest.raises(ValueError, match="finite"):
            call()


@pytest.mark.parametrize(
    "dtype",
    [dtype for dtype in DTYPES.values() if not dtype.is_float],
    ids=lambda dtype: dtype.name,
)
def test_draws_need_a_floating_dtype(dtype):
    for call in (uniform, normal):
        with pytest.raises(
            TypeError,
            match=f"need a floating dtype, not {dtype.name}; allowed are float64.*zeros, ones",
        ):
            call(0.0, 1.0, dtype)


# ----------------------------------------------------------------------------------------- constant


@NARROW
def test_constants_of_narrow_dtypes_pass_through_float32(dtype):
    # Just above the tie between 1 and its upper neighbour: one rounding goes up, float32 first
    # makes it the tie.
    value = math.nextafter(1.0 + 2.0 ** -(dtype.mantissa + 1), 2.0)
    assert decode(encode(value, dtype), dtype) > 1.0
    assert value_of(constant(value, dtype), dtype) == 1.0


@EVERY
def test_constants_keep_the_sign_of_zero(dtype):
    assert math.copysign(1.0, value_of(constant(-0.0, dtype), dtype)) == -1.0
    assert math.copysign(1.0, value_of(constant(0.0, dtype), dtype)) == 1.0
    assert math.copysign(1.0, value_of(constant(-1e-320, dtype), dtype)) == -1.0


@pytest.mark.parametrize(
    ("dtype", "largest", "beyond"),
    [
        (FLOAT32, 3.4028235677973362e38, 3.4028235677973366e38),
        (FLOAT16, 65519.99, 65520.0),
        (
            FLOAT16,
            65519.99,
            65519.9999,
        ),  # rounded once it is finite, but through float32 it becomes 65520
        (BFLOAT16, 2.0**127 * (2 - 2.0**-8 - 2.0**-23), 2.0**127 * (2 - 2.0**-8)),
        (E4M3, 464.0, 464.0001),
        (E5M2, 61439.9, 61440.0),
    ],
)
def test_constants_may_not_overflow(dtype, largest, beyond):
    for sign in (1.0, -1.0):
        assert value_of(constant(sign * largest, dtype), dtype) == sign * dtype.largest
        with pytest.raises(
            ValueError, match=f"not finite in {dtype.name}, whose largest number is"
        ):
            constant(sign * beyond, dtype)


@EVERY
def test_constants_may_underflow(dtype):
    assert value_of(constant(1e-9, dtype), dtype) <= 1e-9 or dtype is FLOAT32 or dtype is BFLOAT16
    assert value_of(constant(0, dtype), dtype) == 0.0
    assert value_of(constant(True, BOOL), BOOL) == 1


def test_constants_of_integers_are_exact():
    int64, uint64 = DTYPES["int64"], DTYPES["uint64"]
    assert value_of(constant(2**53 + 1, int64), int64) == 2**53 + 1
    assert value_of(constant(-(2**63), int64), int64) == -(2**63)
    assert value_of(constant(2**64 - 1, uint64), uint64) == 2**64 - 1
    assert value_of(constant(-0.0, int64), int64) == 0
    assert value_of(constant(np.float32(3.0), int64), int64) == 3
    assert value_of(constant(np.True_, int64), int64) == 1
    assert value_of(constant(np.False_, BOOL), BOOL) == 0
    for value, dtype in ((0.5, int64), (2, BOOL), (-1, uint64), (2**63, int64), (1e300, int64)):
        with pytest.raises(ValueError, match="no exact value"):
            constant(value, dtype)
    with pytest.raises(TypeError, match="value must be a real number, not str"):
        constant("1", int64)


# ------------------------------------------------------------------------------------------ uniform


@EVERY
@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (-0.3, 0.7), (0.1, 0.9), (-400.0, 300.0), (1e-3, 1e-2), (-2.0, -0.5)],
)
def test_uniform_parameters_follow_the_formula(dtype, low, high):
    working = np.float64 if dtype.wide else np.float32
    lo, hi = working(low), working(high)
    draw = uniform(low, high, dtype)
    assert (draw.draw, draw.storage) == (dtypes.UNIFORM, dtype.code)
    assert draw.parameters[:2] == (float(lo), float(hi - lo))
    lowest, highest = draw.parameters[2:]
    assert lowest == dtypes.smallest_at_least(float(lo), dtype)
    assert highest == dtypes.largest_below(float(hi), dtype)
    assert float(lo) <= lowest <= highest < float(hi)
    assert all(dtypes.rounded(end, dtype) == end for end in (lowest, highest))


@EVERY
@pytest.mark.parametrize("bound", [1.0, 0.7, 0.0361, 3e-6, 1e-30])
def test_symmetric_uniform_has_mirrored_ends(dtype, bound):
    lowest, highest = uniform(-bound, bound, dtype, symmetric=True).parameters[2:]
    assert lowest == -highest
    assert highest == uniform(-bound, bound, dtype).parameters[3]
    assert bits(lowest) == 0 or lowest < 0.0


@EVERY
def test_equal_bounds_give_a_constant(dtype):
    assert uniform(0.1, 0.1, dtype) == constant(0.1, dtype)
    assert uniform(-0.1, -0.1, dtype, symmetric=True) == constant(-0.1, dtype)


@EVERY
@pytest.mark.parametrize(("low", "high"), [(5, 4), (0.0, -1e-300), (math.nextafter(1.0, 2.0), 1.0)])
def test_uniform_bounds_in_the_wrong_order_are_refused(dtype, low, high):
    with pytest.raises(ValueError, match=r"low .* is above high .*; give low <= high"):
        uniform(low, high, dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (FLOAT16, 0, 65520),
        (E4M3, 0, 500),
        (E5M2, -70000, 0),
        (BFLOAT16, 0, 3.4e38),
        (FLOAT32, -3.5e38, 1),
    ],
)
def test_both_uniform_bounds_must_be_finite_in_the_destination(dtype, low, high):
    with pytest.raises(ValueError, match=f"not finite in {dtype.name}"):
        uniform(low, high, dtype)


def test_a_span_that_overflows_the_working_type_is_refused():
    with pytest.raises(ValueError, match="span .* overflows float32.*or dtype float64"):
        uniform(-3e38, 3e38, FLOAT32)
    with pytest.raises(ValueError, match="span .* overflows float64"):
        uniform(-1.5e308, 1.5e308, FLOAT64)
    assert uniform(-1.5e308, 1e307, FLOAT64).parameters[1] == 1.6e308


@EVERY
@pytest.mark.parametrize("low", [0.0, 1.0])
def test_a_span_lost_in_the_working_type_is_refused(dtype, low):
    high = (
        low + (2.0**-1023 if dtype.wide else 2.0**-127) if low == 0.0 else math.nextafter(low, 2.0)
    )
    if dtype.wide and low:
        assert uniform(low, high, dtype).parameters[1] == 2.0**-52
        return
    with pytest.raises(ValueError, match="smallest normal number; give wider bounds"):
        uniform(low, high, dtype)


@NARROW
def test_a_uniform_without_any_value_of_the_destination_is_refused(dtype):
    ulp = 2.0**-dtype.mantissa
    with pytest.raises(ValueError, match=f"{dtype.name} has no value in"):
        uniform(1.0 + 0.25 * ulp, 1.0 + 0.75 * ulp, dtype)
    lowest, highest = uniform(1.0, 1.0 + 0.75 * ulp, dtype).parameters[2:]
    assert lowest == highest == 1.0


# ------------------------------------------------------------------------------------------- normal


@EVERY
def test_normal_parameters_are_rounded_once_to_the_working_type(dtype):
    working = np.float64 if dtype.wide else np.float32
    draw = normal(0.1, 0.02, dtype)
    assert draw == (dtypes.NORMAL, dtype.code, (float(working(0.1)), float(working(0.02))))
    assert normal(1.0, 0.0, dtype).parameters == (1.0, 0.0)


@EVERY
def test_a_negative_std_is_refused(dtype):
    with pytest.raises(ValueError, match=r"std is -1\.0; it must be >= 0"):
        normal(0.0, -1, dtype)


@EVERY
def test_a_std_lost_in_the_working_type_is_refused(dtype):
    smallest = 2.0**-1022 if dtype.wide else 2.0**-126
    assert normal(0.0, smallest, dtype).parameters[1] == smallest
    for std in (smallest * 0.75, 5e-324):
        with pytest.raises(
            ValueError, match=r"std .* below the smallest normal number of float.*; give std=0"
        ):
            normal(0.0, std, dtype)


@EVERY
@pytest.mark.parametrize("share", [0.0, 0.5, -0.999])
def test_the_reach_of_a_normal_must_be_finite(dtype, share):
    reach = 9.5 if dtype.wide else 6.77
    mean = share * dtype.largest
    std = (dtype.largest - abs(mean)) / reach
    normal(mean, std * (1 - 1e-6), dtype)
    with pytest.raises(
        ValueError, match=f"reach .* not finite in {dtype.name}.*give a smaller mean or std"
    ):
        normal(
            mean,
            std * (1 + 2.0**-dtype.mantissa) + 2.0**-dtype.mantissa * dtype.largest / reach,
            dtype,
        )


# --------------------------------------------------------------------------------- truncated normal


@EVERY
@pytest.mark.parametrize(
    ("mean", "std", "low", "high"),
    [
        (0.0, 1.0, -2.0, 2.0),
        (0.0, 0.02, -0.04, 0.04),
        (0.1, 1.0, -0.7, 0.3),
        (-0.0, 1, 0.1, math.inf),
        (1, 2, -math.inf, 3),
    ],
)
def test_truncated_parameters_clamp_strictly_between_the_bounds(dtype, mean, std, low, high):
    working = np.float64 if dtype.wide else np.float32
    draw = truncated_normal(mean, std, low, high, dtype)
    assert (draw.draw, draw.storage) == (dtypes.TRUNCATED_NORMAL, dtype.code)
    assert draw.parameters[1:3] == (float(working(mean)), float(working(std)))
    assert bits(draw.parameters[1]) == bits(float(working(mean)) + 0.0)
    lowest, highest = draw.parameters[3:5]
    assert low < lowest <= highest < high
    assert working(low) < working(lowest) <= working(highest) < working(high)
    assert lowest == dtypes.smallest_above(float(working(low)), dtype)
    assert highest == dtypes.largest_below(float(working(high)), dtype)
    if math.isinf(high):
        assert highest == dtype.largest


@EVERY
def test_symmetric_bounds_have_mirrored_clamps_and_the_same_form_at_any_std(dtype):
    for std in (1.0, 0.02):
        draw = truncated_normal(0.0, std, -2.0 * std, 2.0 * std, dtype)
        assert draw.parameters[3] == -draw.parameters[4]
        assert draw.parameters[5:] == truncated_normal(0.0, 1.0, -2.0, 2.0, dtype).parameters[5:]


@EVERY
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, -1.0, -2.0, 2.0), "std is -1.0; it must be >= 0"),
        ((0.0, 0.0, -2.0, 2.0), "std is 0; a truncated normal needs std > 0"),
        ((0.0, 1.0, 2.0, -2.0), "low 2.0 is not below high -2.0"),
        ((0.0, 1.0, 1.0, 1.0), "low 1.0 is not below high 1.0"),
        ((0.0, 1.0, math.inf, math.inf), "low inf is not below high inf"),
        ((0.0, 1.0, math.nan, 1.0), "low is nan"),
        ((0.0, 1.0, -1.0, math.nan), "high is nan"),
        ((math.inf, 1.0, -1.0, 1.0), "mean is inf; it must be finite"),
        ((0.0, math.inf, -1.0, 1.0), "std is inf; it must be finite"),
        ((0.0, 1.0, 1.0, math.nextafter(1.0, 2.0)), "no value strictly between"),
    ],
)
def test_truncated_parameters_that_make_no_sense_are_refused(dtype, arguments, message):
    with pytest.raises(ValueError, match=message):
        truncated_normal(*arguments, dtype)


@EVERY
def test_the_reach_of_a_truncated_normal_must_be_finite(dtype):
    top = dtype.largest
    truncated_normal(0.0, top / 16, -math.inf, math.inf, dtype)
    truncated_normal(0.0, top / 4, -top / 8, top / 8, dtype)  # finite by its bounds
    if not dtype.wide:
        # Finite by its std, whatever the bounds.
        truncated_normal(0.0, 1.0, -(2.0**200), 2.0**200, dtype)
    for arguments in ((0.0, top / 4, -math.inf, 1.0), (top / 2, top / 8, 0.0, math.inf)):
        with pytest.raises(ValueError, match=f"not finite in {dtype.name}"):
            truncated_normal(*arguments, dtype)
    if dtype in (FLOAT32, FLOAT64):  # std * z would overflow before the mean is added
        with pytest.raises(ValueError, match=f"not finite in {dtype.name}"):
            truncated_normal(0.9 * top, 0.9 * top, -0.9 * top, 0.95 * top, dtype)
