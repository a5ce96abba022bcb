"""What each kind of tensor of a dummy checkpoint holds: finite, small and repeatable.

Floats are uniform, packed values the stream's words, block scales small powers of two; all are
draws by the tensor's name, so they do not depend on who draws them.  The numbers are written down
in section 11 of stream-v1.md.  Which tensor is of which kind: dummy.py, quantized.py.
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

_SMALL = 1e-3  # of weights: as vLLM's dummy loader has it
_SMALL_FLOAT8 = 2.0**-4  # 1e-3 is below what 8-bit floats can tell from zero
# With 4-bit values up to 7 and 8-bit ones up to 127 the weights stay small.
_SCALES = 2.0**-10, 2.0**-9
_SCALES_FLOAT8 = 2.0**-2, 2.0**-1  # beside a global scale
_GLOBAL_SCALES = 2.0**10, 2.0**11  # which such scales are divided by
_EXPONENT = 118  # the lowest of four: 2^-9 … 2^-6


def made(
    name: str,
    shape: Sizes,
    dtype: DType,
    initializer: str,
    blocks: list[dict[str, Any]] | None = None,
    **arguments: Any,
) -> Entry:
    """The entry of a tensor; one without values is zeros, but for packed bits."""
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
    """A float that is used as it is, or an 8-bit float that has a scale."""
    narrow = dtype.itemsize == 1
    bound = _SMALL_FLOAT8 if narrow else _SMALL
    return made(name, shape, dtype, "uniform", low=-bound, high=bound)


def scale(name: str, shape: Sizes, dtype: DType) -> Entry:
    """A positive factor of packed values: a float, or the exponent of one."""
    if not dtype.is_float:
        return made(name, shape, dtype, "words", low=_EXPONENT, count=4)
    low, high = _SCALES_FLOAT8 if dtype.itemsize == 1 else _SCALES
    return made(name, shape, dtype, "uniform", low=low, high=high)


def global_scale(name: str, shape: Sizes, dtype: DType) -> Entry:
    """A divisor of scales, one for a whole tensor."""
    low, high = _GLOBAL_SCALES
    return made(name, shape, dtype, "uniform", low=low, high=high)


def packed(name: str, shape: Sizes, dtype: DType) -> Entry:
    """Packed values: every bit pattern is one."""
    return made(name, shape, dtype, "words")


def groups(name: str, inputs: int, size: int) -> Entry:
    """The group of each input."""
    return made(name, (inputs,), dtypes.by_name("int32"), "group_index", size=size)


def pair(name: str, first: int, second: int) -> Entry:
    """Two whole numbers, such as a shape."""
    blocks = [{"start": [1], "size": [1], "value": second}]
    return made(name, (2,), dtypes.by_name("int64"), "constant", blocks, value=first)


def same(name: str, shape: Sizes, dtype: DType, value: int) -> Entry:
    """One whole number everywhere."""
    return made(name, shape, dtype, "constant", value=value)
