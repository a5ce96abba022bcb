"""Names ↔ storage ↔ safetensors codes of every dtype the library fills, and exact rounding to
them.

Rounding uses integers, so a parameter's bits do not depend on a libm, a CPU flag or ml_dtypes.
ml_dtypes is imported only when an array of one of its dtypes must be made.  This module may not
draw.  draws.py and fill.py use it.
"""

import math
import struct
from typing import Any

import numpy as np

from .arguments import nearest, shown

# Draw codes and storage codes of the engines (src/fastinit.h has the same numbers).
CONSTANT, UNIFORM, NORMAL, TRUNCATED_NORMAL, WORDS, WORDS64 = range(6)
F64, F32, F16, BF16, E4M3, E5M2, U32, U64 = range(8)

_UNSIGNED: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.uint16),
    4: np.dtype(np.uint32),
    8: np.dtype(np.uint64),
}
# A constant is stored by its bit pattern: for bool and integers only the width of the storage
# matters.
_STORAGE_OF_WIDTH = {1: E4M3, 2: F16, 4: F32, 8: F64}


class DType:
    """One dtype: a singleton, equal only to itself, so that it is cheap as a cache key.

    `kind` is "float", "int", "bool" or "packed" (of STORED); `code` the engine's storage;
    `unsigned` the NumPy dtype of the bare bits.  For floating dtypes `mantissa` and `bias` give the
    format, `top` the bits of the largest finite magnitude, `over` the bits that an overflow becomes
    (infinity; NaN in float8_e4m3fn, which has no infinity).
    """

    __slots__ = (
        "name",
        "kind",
        "code",
        "itemsize",
        "safetensors",
        "unsigned",
        "mantissa",
        "bias",
        "top",
        "over",
        "low",
        "high",
        "_module",
        "_numpy",
        "is_float",
        "wide",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        itemsize: int,
        safetensors: str,
        *,
        code: int | None = None,
        mantissa: int = 0,
        bias: int = 0,
        top: int = 0,
        low: int = 0,
        high: int = 0,
        module: str = "numpy",
    ):
        self.name, self.kind, self.itemsize, self.safetensors = name, kind, itemsize, safetensors
        self.code = _STORAGE_OF_WIDTH[itemsize] if code is None else code
        self.unsigned: np.dtype[Any] = _UNSIGNED[itemsize]
        self.mantissa, self.bias, self.top, self.over = mantissa, bias, top, top + 1
        self.low, self.high = low, high
        self.is_float = kind == "float"
        # Follows the float64 rule: a separate draw from 64-bit words.
        self.wide = name == "float64"
        self._module = module
        self._numpy: np.dtype[Any] | None = None

    def numpy(self) -> "np.dtype[Any]":
        """The NumPy dtype; for bfloat16 and the 8-bit floats that of ml_dtypes, imported here and
        not before.
        """
        if self._numpy is None:
            if self._module == "numpy":
                self._numpy = self.unsigned if self.kind == "packed" else np.dtype(self.name)
            else:
                import ml_dtypes

                self._numpy = np.dtype(getattr(ml_dtypes, self.name))
        return self._numpy

    @property
    def largest(self) -> float:
        """The largest finite value of a floating dtype."""
        return decode(self.top, self)

    @property
    def working(self) -> "DType":
        """The type in which a draw for this dtype is computed: float64 for float64, float32 for all
        others.
        """
        return FLOAT64 if self.wide else FLOAT32

    def __repr__(self) -> str:
        return f"<fastinit dtype {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return by_name, (self.name,)


def _integer(name: str, bits: int, signed: bool) -> DType:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return DType(name, "int", bits // 8, f"{'I' if signed else 'U'}{bits}", low=low, high=high)


FLOAT64 = DType(
    "float64", "float", 8, "F64", code=F64, mantissa=52, bias=1023, top=0x7FEFFFFFFFFFFFFF
)
FLOAT32 = DType("float32", "float", 4, "F32", code=F32, mantissa=23, bias=127, top=0x7F7FFFFF)
FLOAT16 = DType("float16", "float", 2, "F16", code=F16, mantissa=10, bias=15, top=0x7BFF)
BFLOAT16 = DType(
    "bfloat16", "float", 2, "BF16", code=BF16, mantissa=7, bias=127, top=0x7F7F, module="ml_dtypes"
)
FLOAT8_E4M3FN = DType(
    "float8_e4m3fn",
    "float",
    1,
    "F8_E4M3",
    code=E4M3,
    mantissa=3,
    bias=7,
    top=0x7E,
    module="ml_dtypes",
)
FLOAT8_E5M2 = DType(
    "float8_e5m2",
    "float",
    1,
    "F8_E5M2",
    code=E5M2,
    mantissa=2,
    bias=15,
    top=0x7B,
    module="ml_dtypes",
)
BOOL = DType("bool", "bool", 1, "BOOL", low=0, high=1)

FLOATING = (FLOAT64, FLOAT32, FLOAT16, BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2)
INTEGERS = tuple(
    _integer(f"{'' if signed else 'u'}int{bits}", bits, signed)
    for signed in (True, False)
    for bits in (8, 16, 32, 64)
)
DTYPES = {dtype.name: dtype for dtype in (*FLOATING, BOOL, *INTEGERS)}

# Dtypes that occur in files but that no initializer draws: the exponents of block scales, and two
# 4-bit floats per byte.  checkpoint/words.py gives them bits.
FLOAT8_E8M0FNU = DType("float8_e8m0fnu", "packed", 1, "F8_E8M0", high=255, module="ml_dtypes")
FLOAT4_E2M1FN_X2 = DType("float4_e2m1fn_x2", "packed", 1, "F4", high=255)
STORED = {dtype.name: dtype for dtype in (FLOAT8_E8M0FNU, FLOAT4_E2M1FN_X2)}

# Every spelling seen so far: the common case of resolve() is one lookup, and the hot path of a fill
# looks up an array's dtype here.
KNOWN: dict[object, DType] = {}
for _dtype in DTYPES.values():
    KNOWN[_dtype] = KNOWN[_dtype.name] = _dtype
    if _dtype._module == "numpy":
        KNOWN[_dtype.numpy()] = KNOWN[_dtype.numpy().type] = _dtype


def resolve(dtype: Any) -> DType:
    """The DType of a name ("bfloat16"), of a NumPy or ml_dtypes dtype or scalar type, or of a torch
    dtype.
    """
    try:
        return KNOWN[dtype]
    except (KeyError, TypeError):
        found = _search(dtype)
    # Spellings are few.  A caller who keeps making new dtype objects must not fill memory.
    if len(KNOWN) < 256:
        KNOWN[dtype] = found
    return found


def by_name(name: str) -> DType:
    """The DType with this name, including those in STORED."""
    return STORED.get(name) or resolve(name)


def _search(dtype: Any) -> DType:
    if dtype is None:
        raise TypeError(f"dtype is None; give one of {', '.join(DTYPES)}")
    # str(torch.bfloat16) is "torch.bfloat16", so torch need not be imported.
    if type(dtype).__module__ == "torch":
        name = str(dtype).removeprefix("torch.")
    else:
        try:
            array_dtype = np.dtype(dtype)
        except Exception:
            if not isinstance(dtype, str):
                raise TypeError(
                    f"dtype {shown(dtype)} is not a dtype; give one of {', '.join(DTYPES)}"
                ) from None
            name = dtype
        else:
            if not array_dtype.isnative:
                raise ValueError(
                    f"dtype {shown(dtype)} is byte-swapped; fastinit writes the machine's own byte "
                    f"order: use {array_dtype.newbyteorder('=').name!r} and swap the result"
                )
            name = array_dtype.name
            if array_dtype.names is not None:
                raise TypeError(
                    f"structured dtype {str(array_dtype)[:80]} cannot be filled; "
                    "fill its fields one by one"
                )
            if array_dtype.kind in "cOmMSU" or array_dtype.subdtype is not None:
                why = {
                    "c": (
                        "complex dtypes have no draw; fill the .real and .imag views with two "
                        "names, each with half the variance (std / sqrt(2))"
                    ),
                    "O": "object arrays hold no numbers",
                }.get(array_dtype.kind, "it holds no plain numbers")
                raise TypeError(
                    f"dtype {shown(name)} cannot be filled: {why}; allowed are {', '.join(DTYPES)}"
                )
    found = DTYPES.get(name)
    if found is None:
        # By its letters, 'float8' is nearer to 'float64' than to float8_e4m3fn.
        longer = [one for one in DTYPES if one.startswith(f"{name}_")]
        hint = (
            f"did you mean {' or '.join(map(repr, longer))}?" if longer else nearest(name, DTYPES)
        )
        raise ValueError(
            f"unknown dtype {shown(name)}; {hint + ' ' if hint else ''}allowed are "
            f"{', '.join(DTYPES)}"
        )
    return found


def encode(value: float, dtype: DType) -> int:
    """The bits of `value` rounded once to `dtype`, to nearest even, as `astype` does; overflow
    gives infinity or NaN.

    Bool and integer dtypes accept only values they hold exactly; others raise a ValueError.
    """
    if not dtype.is_float:
        if (
            value != value
            or value in (math.inf, -math.inf)
            or value != int(value)
            or not dtype.low <= value <= dtype.high
        ):
            raise ValueError(
                f"{shown(value)} has no exact value in {dtype.name}; give a whole number in "
                f"[{dtype.low}, {dtype.high}]"
            )
        return int(value) & ((1 << 8 * dtype.itemsize) - 1)
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    if dtype.wide:
        return bits  # type: ignore[no-any-return]
    sign = (bits >> 63) << (8 * dtype.itemsize - 1)
    exponent, fraction = bits >> 52 & 0x7FF, bits & ((1 << 52) - 1)
    if exponent == 0x7FF:
        # NaN: set the highest mantissa bit; in float8_e4m3fn this is the only NaN.
        return sign | (dtype.over | 1 << dtype.mantissa - 1 if fraction else dtype.over)
    if exponent:
        fraction |= 1 << 52
    power = max(exponent, 1) - 1023  # value = fraction * 2^(power - 52)
    lowest = 1 - dtype.bias
    field = max(power, lowest)
    shift = field - dtype.mantissa - (power - 52)  # > 0: a narrower mantissa always loses bits
    kept, half = fraction >> shift, 1 << shift - 1
    rest = fraction & ((1 << shift) - 1)
    kept += rest > half or (rest == half and kept & 1)
    # The hidden bit of `kept` adds 1 to the exponent field, and so does a carry out of the
    # mantissa.
    magnitude = (field - lowest << dtype.mantissa) + kept
    return sign | (dtype.over if magnitude > dtype.top else magnitude)


def decode(bits: int, dtype: DType) -> float:
    """The exact value of a bit pattern: every dtype except the 64-bit integers fits a double."""
    if not dtype.is_float:
        return bits - (1 << 8 * dtype.itemsize) if bits > dtype.high else bits
    if dtype.wide:
        return struct.unpack("<d", struct.pack("<Q", bits))[0]  # type: ignore[no-any-return]
    sign_bit = 1 << 8 * dtype.itemsize - 1
    magnitude = bits & (sign_bit - 1)
    if magnitude > dtype.top:
        value = math.inf if magnitude == dtype.over and dtype is not FLOAT8_E4M3FN else math.nan
    else:
        exponent, fraction = magnitude >> dtype.mantissa, magnitude & ((1 << dtype.mantissa) - 1)
        if exponent:
            fraction |= 1 << dtype.mantissa
        value = math.ldexp(fraction, max(exponent, 1) - dtype.bias - dtype.mantissa)
    return -value if bits & sign_bit else value


def rounded(value: float, dtype: DType) -> float:
    """`value` rounded once to `dtype`, as a double."""
    return value if dtype.wide else decode(encode(value, dtype), dtype)


def is_finite(value: float, dtype: DType) -> bool:
    """Whether `value`, rounded once to `dtype`, is a finite number there."""
    return math.isfinite(rounded(value, dtype))


def is_subnormal(value: float, dtype: DType) -> bool:
    """Whether the value of `dtype` lies below its smallest normal number (zero included)."""
    return abs(value) < math.ldexp(1.0, 1 - dtype.bias)


def _step(value: float, dtype: DType, up: bool, strict: bool) -> float:
    """The nearest value of `dtype` on the given side of a finite `value`; `value` itself if `dtype`
    has it and `strict` is false.
    """
    bits = encode(value, dtype)
    sign_bit = 1 << 8 * dtype.itemsize - 1
    magnitude = bits & (sign_bit - 1)
    # The rank grows with the value, and that of both zeros is 0.
    rank = -magnitude if bits & sign_bit else magnitude
    at = math.inf * (1 if rank > 0 else -1) if magnitude > dtype.top else decode(bits, dtype)
    if up and (at < value or (strict and at == value)):
        rank += 1
    elif not up and (at > value or (strict and at == value)):
        rank -= 1
    if abs(rank) > dtype.top:
        return math.inf if rank > 0 else -math.inf
    return decode(rank if rank >= 0 else -rank | sign_bit, dtype)


def smallest_at_least(value: float, dtype: DType) -> float:
    """The smallest value of `dtype` that is >= `value`; +inf if there is none.  A zero is +0."""
    return _step(value, dtype, True, False) + 0.0


def smallest_above(value: float, dtype: DType) -> float:
    """The smallest value of `dtype` that is > `value`; +inf if there is none.  A zero is +0."""
    return _step(value, dtype, True, True) + 0.0


def largest_below(value: float, dtype: DType) -> float:
    """The largest value of `dtype` that is < `value`; -inf if there is none.  A zero is +0."""
    return _step(value, dtype, False, True) + 0.0
