"""From a user's parameters (doubles) to a draw and the engine's parameters: sections 3 to 6 of
stream-v1.md.

Every ValueError that the contract requires of an elementwise draw is raised here, so that an engine
never sees a parameter that could give an infinite, NaN or saturated value.  This module may not
know shapes, seeds or buffers; fill.py handles those.
"""

import math
import operator
from typing import Any, NamedTuple

from . import dtypes
from .arguments import bound, double, is_boolean, real
from .dtypes import (
    CONSTANT,
    FLOAT32,
    NORMAL,
    TRUNCATED_NORMAL,
    UNIFORM,
    WORDS,
    WORDS64,
    DType,
    decode,
    encode,
    is_finite,
    is_subnormal,
    rounded,
)

# The largest |z| of a normal draw is 6.76 (float64: 9.49), given by the smallest radius word.
# Rounded up here.
REACH, REACH_FLOAT64 = 6.77, 9.5


# The first parameters of each draw, in the engines' order: lowest and highest clamp what is
# drawn, and span is high - low.
_NUMBERS = {
    CONSTANT: ("bits",),
    UNIFORM: ("low", "span", "lowest", "highest"),
    NORMAL: ("mean", "std"),
    TRUNCATED_NORMAL: ("form", "mean", "std", "lowest", "highest"),
    WORDS: (),
    WORDS64: (),
}


class Draw(NamedTuple):
    """What an engine needs for an elementwise draw: codes of dtypes.py, parameters as doubles."""

    draw: int
    storage: int
    parameters: tuple[Any, ...]

    def numbers(self) -> dict[str, Any]:
        """The parameters by name; those of the truncated normal's own form are left out."""
        return dict(zip(_NUMBERS[self.draw], self.parameters, strict=False))


def floating(dtype: DType, what: str) -> None:
    """Raise TypeError unless the dtype is a floating-point type."""
    if not dtype.is_float:
        raise TypeError(
            f"{what} draws need a floating dtype, not {dtype.name}; "
            f"allowed are {', '.join(d.name for d in dtypes.FLOATING)} "
            "(zeros, ones and constant also fill bool and integers)"
        )


def constant(value: Any, dtype: DType) -> Draw:
    """`value` everywhere.

    Narrow floats round it to float32 first; bool and integer types require an exact value.
    """
    if not dtype.is_float:
        try:
            value = operator.index(value)  # also of bool and numpy.bool_: True is 1
        except TypeError:
            value = bool(value) if is_boolean(value) else double(value, "value")
        return Draw(CONSTANT, dtype.code, (encode(value, dtype),))
    value = double(value, "value")
    if not math.isfinite(value):
        raise ValueError(f"value is {value}; it must be finite")
    # bits: through float32, which near a tie may differ from one rounding; both must be finite.
    bits = encode(value if dtype.wide else rounded(value, FLOAT32), dtype)
    if not (math.isfinite(decode(bits, dtype)) and is_finite(value, dtype)):
        raise ValueError(
            f"value {value!r} is not finite in {dtype.name}, whose largest number is "
            f"{dtype.largest!r}; give a smaller value or a wider dtype"
        )
    return Draw(CONSTANT, dtype.code, (bits,))


def uniform(low: Any, high: Any, dtype: DType, symmetric: bool = False) -> Draw:
    """Uniform in [low, high), also after rounding to the destination dtype.

    `symmetric`: U(-b, b) by definition, mean zero.
    """
    floating(dtype, "uniform")
    low, high = real(low, "low"), real(high, "high")
    if low > high:
        raise ValueError(f"low {low!r} is above high {high!r}; give low <= high")
    for end, value in (("low", low), ("high", high)):
        if not is_finite(value, dtype):
            raise ValueError(
                f"{end} {value!r} is not finite in {dtype.name}, whose largest number is "
                f"{dtype.largest!r}; give narrower bounds or a wider dtype"
            )
    if low == high:
        return constant(low, dtype)
    working = dtype.working
    lo, hi = rounded(low, working) + 0.0, rounded(high, working) + 0.0
    # The difference of two float32 values as a double, rounded again, is the float32 difference,
    # because 53 >= 2 * 24 + 2.
    span = rounded(hi - lo, working)
    if not math.isfinite(span):
        raise ValueError(
            f"the span from {low!r} to {high!r} overflows {working.name}, in which {dtype.name} "
            "is drawn; give narrower bounds" + ("" if dtype.wide else " or dtype float64")
        )
    if is_subnormal(span, working):
        raise ValueError(
            f"the span from {low!r} to {high!r} is {span!r} in {working.name}, in which "
            f"{dtype.name} is drawn: below its smallest normal number; give wider bounds, or low "
            "== high for a constant"
        )
    highest = dtypes.largest_below(hi, dtype)
    lowest = -highest + 0.0 if symmetric else dtypes.smallest_at_least(lo, dtype)
    if lowest > highest:
        raise ValueError(
            f"{dtype.name} has no value in [{low!r}, {high!r}); give wider bounds or a finer dtype"
        )
    return Draw(UNIFORM, dtype.code, (lo, span, lowest, highest))


def positive_std(std: float, dtype: DType) -> float:
    """A std (finite, >= 0) rounded to the working type, where a non-zero one must stay a normal
    number.
    """
    if std < 0.0:
        raise ValueError(f"std is {std!r}; it must be >= 0")
    working = dtype.working
    result = rounded(std, working)
    if std and is_subnormal(result, working):
        raise ValueError(
            f"std {std!r} is below the smallest normal number of {working.name}, in which "
            f"{dtype.name} is drawn; give std=0 for a constant, a larger std"
            + ("" if dtype.wide else " or dtype float64")
        )
    return result


def normal(mean: Any, std: Any, dtype: DType) -> Draw:
    """Normal with the given mean and standard deviation; the largest value it could give must be
    finite in `dtype`.
    """
    floating(dtype, "normal")
    mean, std = real(mean, "mean"), real(std, "std")
    spread = positive_std(std, dtype)
    reach = REACH_FLOAT64 if dtype.wide else REACH
    if not is_finite(abs(mean) + reach * std, dtype):
        raise ValueError(
            f"mean {mean!r} and std {std!r} reach |mean| + {reach} * std = "
            f"{abs(mean) + reach * std:.6g}, which is not finite in {dtype.name} (largest number "
            f"{dtype.largest!r}); give a smaller mean or std, or a wider dtype"
        )
    return Draw(NORMAL, dtype.code, (rounded(mean, dtype.working) + 0.0, spread))


def truncated_normal(mean: Any, std: Any, low: Any, high: Any, dtype: DType) -> Draw:
    """The normal truncated to lie strictly between low and high; these are absolute bounds, and one
    or both may be infinite.
    """
    floating(dtype, "truncated_normal")
    mean, std = real(mean, "mean"), real(std, "std")
    spread = positive_std(std, dtype)
    if not std:
        raise ValueError("std is 0; a truncated normal needs std > 0 (constant fills one value)")
    low, high = bound(low, "low"), bound(high, "high")
    if not low < high:
        raise ValueError(f"low {low!r} is not below high {high!r}; give low < high")
    working = dtype.working
    # Computed from the rounded bounds, so that values lie strictly inside both when compared as
    # doubles and as float32.
    lowest = dtypes.smallest_above(rounded(low, working), dtype)
    highest = dtypes.largest_below(rounded(high, working), dtype)
    if lowest > highest:
        raise ValueError(
            f"{dtype.name} has no value strictly between {low!r} and {high!r}; give wider bounds "
            "or a finer dtype"
        )
    alpha, beta = (low - mean) / std, (high - mean) / std  # bits: from the unrounded parameters
    if not alpha < beta:
        raise ValueError(
            f"low {low!r} and high {high!r} are the same number of stds from mean {mean!r} "
            f"({alpha!r}); give bounds nearer to the mean, or further apart"
        )
    # Beyond a bound at alpha > 0 the tail falls at least as fast as exp(-z*z/2), so z*z <
    # alpha*alpha + reach*reach.
    reach = REACH_FLOAT64 if dtype.wide else REACH
    above, below = max(alpha, 0.0), max(-beta, 0.0)
    top = min(high, mean + std * math.sqrt(above * above + reach * reach))
    bottom = max(low, mean - std * math.sqrt(below * below + reach * reach))
    for end in (bottom, top):
        # std * z, which is end - mean, must not overflow either.
        if not (is_finite(end, dtype) and is_finite(end - mean, working)):
            raise ValueError(
                f"mean {mean!r} and std {std!r} between {low!r} and {high!r} reach {end:.6g}, "
                f"which is not finite in {dtype.name} (largest number {dtype.largest!r}); give a "
                "smaller mean or std, or a wider dtype"
            )
    from .truncated import parameters  # on demand: it loads the exact functions of math.py

    form, *numbers = parameters(alpha, beta, dtype)
    return Draw(
        TRUNCATED_NORMAL,
        dtype.code,
        (form, rounded(mean, working) + 0.0, spread, lowest, highest, *numbers),
    )
