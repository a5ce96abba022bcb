"""The values of each kind of tensor in a dummy checkpoint.  They are finite, small and repeatable.

Floats are uniform.  Packed values are the stream's words.  Block scales are small powers of two.
All are drawn by the tensor's name, so every process draws the same values.  Section 11 of
stream-v1.md specifies the numbers.  dummy.py and quantized.py determine the kind of each tensor.
"""

from __future__ import annotations

import math
from typing import Any

from .. import _table
from .._core import dtypes, fill
from .._core.dtypes import DType
from .blocks import block_rule
from .spec import Entry
from .words import RULES

Sizes = tuple[int, ...]

_SMALL = 1e-3  # bound of weights: the same as in vLLM's dummy loader
_SMALL_FLOAT8 = 2.0**-4  # 1e-3 is below what 8-bit floats can distinguish from zero
# 4-bit values are at most 7 and 8-bit values at most 127, so the weights stay small.
_SCALES = 2.0**-10, 2.0**-9
_SCALES_FLOAT8 = 2.0**-2, 2.0**-1  # for use with a global scale
_GLOBAL_SCALES = 2.0**10, 2.0**11  # divisors of those float8 scales
_EXPONENT = 118  # the lowest of four exponents: 2^-9 … 2^-6


def made(
    name: str,
    shape: Sizes,
    dtype: DType,
    initializer: str,
    blocks: list[dict[str, Any]] | None = None,
    **arguments: Any,
) -> Entry:
    """Make a tensor's entry.  An empty tensor gets zeros, except with a packed dtype."""
    if not math.prod(shape) and dtype.kind != "packed":
        initializer, arguments, blocks = "zeros", {}, None
    rule_of = RULES.get(initializer) or _table.RULES[_table.INITIALIZERS[initializer]]
    rule = fill.decide(rule_of, shape, dtype, arguments)
    if blocks:
        patched = block_rule(rule, shape, dtype, blocks)
        assert patched is not None, name
        return Entry(name, shape, dtype, initializer, {**arguments, "blocks": blocks}, patched)
    return Entry(name, shape, dtype, initializer, arguments, rule)


def weight(name: str, shape: Sizes, dtype: DType) -> Entry:
    """A float weight without a scale, or an 8-bit float weight with one."""
    narrow = dtype.itemsize == 1
    bound = _SMALL_FLOAT8 if narrow else _SMALL
    return made(name, shape, dtype, "uniform", low=-bound, high=bound)


def scale(name: str, shape: Sizes, dtype: DType) -> Entry:
    """A positive factor of packed values: a float, or only its exponent."""
    if not dtype.is_float:
        return made(name, shape, dtype, "words", low=_EXPONENT, count=4)
    low, high = _SCALES_FLOAT8 if dtype.itemsize == 1 else _SCALES
    return made(name, shape, dtype, "uniform", low=low, high=high)


def global_scale(name: str, shape: Sizes, dtype: DType) -> Entry:
    """A divisor of scales, one per tensor."""
    low, high = _GLOBAL_SCALES
    return made(name, shape, dtype, "uniform", low=low, high=high)


def packed(name: str, shape: Sizes, dtype: DType) -> Entry:
    """Packed values.  Every bit pattern is valid."""
    return made(name, shape, dtype, "words")


def groups(name: str, inputs: int, size: int) -> Entry:
    """The group index of each input."""
    return made(name, (inputs,), dtypes.by_name("int32"), "group_index", size=size)


def pair(name: str, first: int, second: int) -> Entry:
    """Two integers, such as a shape."""
    blocks = [{"start": [1], "size": [1], "value": second}]
    return made(name, (2,), dtypes.by_name("int64"), "constant", blocks, value=first)


def same(name: str, shape: Sizes, dtype: DType, value: int) -> Entry:
    """The same integer in every element."""
    return made(name, shape, dtype, "constant", value=value)
