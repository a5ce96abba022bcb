"""The stream implemented a second time, one value after another, only from the page
fastinit/stream-v1.md.

Sections 1 to 5 and 11 are here, section 6 is in scalar_truncated_v1.py.  Neither may import
fastinit or NumPy, because engines are compared with them.  A Python float is a binary64, and + - *
/ and math.sqrt on it are single IEEE operations.  A binary32 is kept in a Python float too: + - * /
and square roots in binary64, rounded to binary32, are the exactly rounded binary32 operations (53
>= 2*24 + 2).  `python tests/vectors/scalar_v1.py` writes the tables *.txt again; their lines:
cases_v1.py.
"""

import functools
import hashlib
import math
import struct
from fractions import Fraction

M32, M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
x_ = float.fromhex


def constants(text: str) -> list[float]:
    return [x_(c) for c in text.replace(",", " ").split()]


# Section 1 and 2: names and words
# ---------------------------------------------------------------------------------


def stream_id(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest(), "little")


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p = 0xD2511F53 * c0
        q = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (q >> 32) ^ c1 ^ k0, q & M32, (p >> 32) ^ c3 ^ k1, p & M32
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


@functools.lru_cache(maxsize=256)
def block_words(seed: int, stream: int, block: int):
    return philox((block & M32, block >> 32, stream & M32, stream >> 32), (seed & M32, seed >> 32))


def words_of_lane(seed: int, stream: int, i: int, word: int):
    """All words of the lane of value i (4, or 2 of 64 bits), and which of them is its own."""
    tile, place = (i // 64, i % 64) if word == 32 else (i // 32, i % 32)
    w = block_words(seed, stream, 16 * tile + place % 16)
    return (w if word == 32 else (w[0] | w[1] << 32, w[2] | w[3] << 32)), place // 16


# Section 3: formats and the two working types
# ---------------------------------------------------------------------

# name: exponent bits, fraction bits, largest finite magnitude, bits of the whole
FORMATS = {
    "float64": (11, 52, 0x7FEFFFFFFFFFFFFF, 64),
    "float32": (8, 23, 0x7F7FFFFF, 32),
    "float16": (5, 10, 0x7BFF, 16),
    "bfloat16": (8, 7, 0x7F7F, 16),
    "float8_e4m3fn": (4, 3, 0x7E, 8),
    "float8_e5m2": (5, 2, 0x7B, 8),
}


def two(e: int) -> Fraction:
    return Fraction(2) ** e


def encode(x: Fraction, dtype: str, negative: bool = False) -> int:
    """Bits of x rounded once, to nearest even; `negative` gives a zero its sign."""
    exponent_bits, m, largest, width = FORMATS[dtype]
    sign = 1 << (width - 1) if x < 0 or (x == 0 and negative) else 0
    x = abs(x)
    if x == 0:
        return sign
    smallest = 2 - (1 << (exponent_bits - 1))  # exponent of the smallest normal number
    e = x.numerator.bit_length() - x.denominator.bit_length()
    e = max(e if two(e) <= x else e - 1, smallest)
    code = ((e - smallest) << m) + round(x / two(e - m))  # round of a Fraction goes to even
    if code > largest:
        raise OverflowError(f"{float(x)!r} does not fit {dtype}")
    return sign | code


def decode(code: int, dtype: str) -> Fraction:
    exponent_bits, m, _, width = FORMATS[dtype]
    magnitude = code & ((1 << (width - 1)) - 1)
    e, fraction = magnitude >> m, magnitude & ((1 << m) - 1)
    smallest = 2 - (1 << (exponent_bits - 1))
    value = (
        fraction * two(smallest - m)
        if e == 0
        else (fraction + (1 << m)) * two(smallest - m + e - 1)
    )
    return -value if code >> (width - 1) else value


def store(y: float, dtype: str) -> int:
    return encode(Fraction(y), dtype, math.copysign(1.0, y) < 0)


def extreme(dtype: str, inside, largest: bool):
    """Largest (smallest) finite value for which `inside` holds, which is true up (down) to some
    point.
    """
    sign = 1 if largest else -1
    top = FORMATS[dtype][2]
    value = lambda n: sign * (decode(n, dtype) if n >= 0 else -decode(-n, dtype))  # noqa: E731
    low, high = -top, top  # magnitudes count through zero
    if not inside(value(low)):
        raise ValueError("no value")
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if inside(value(middle)) else (low, middle - 1)
    return float(value(low)) + 0.0


def round32(y: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", y))[0]
    except OverflowError:
        return math.copysign(math.inf, y)


def round64(y: float) -> float:
    return y


def bits32(f: float) -> int:
    return struct.unpack("<I", struct.pack("<f", f))[0]


def bits64(f: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", f))[0]


def view32(i: int) -> float:
    return struct.unpack("<f", struct.pack("<I", i & M32))[0]


def view64(i: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", i & M64))[0]


def signed(i: int, word: int) -> int:
    i &= (1 << word) - 1
    return i - (1 << word) if i >> (word - 1) else i


def word_of(dtype: str) -> int:
    return 64 if dtype == "float64" else 32


def rounding_of(word: int):
    return round32 if word == 32 else round64


def scaling(rule: str, fan_in: int, fan_out: int, argument: float):
    """std, bound, std to truncate of he (argument: slope), xavier (gain), lecun; of fan_in_uniform
    the bound.
    """
    if rule == "fan_in":
        return (1.0 / math.sqrt(fan_in),)
    if rule == "he":
        v = 2.0 / (1.0 + argument * argument) / fan_in
    elif rule == "xavier":
        v = argument * argument / ((fan_in + fan_out) / 2)
    else:
        v = 1.0 / fan_in
    std = math.sqrt(v)
    return std, math.sqrt(3.0 * v), std / 0.8796256610342398


# Section 4: uniform
# -----------------------------------------------------------------------------------------------


def uniform(seed, stream, i, dtype, low, high, symmetric=False) -> int:
    low, high = low + 0.0, high + 0.0
    word = word_of(dtype)
    r = rounding_of(word)
    if low == high:
        return store(r(low), dtype)
    lo, hi = r(low), r(high)
    L, H = uniform_ends(dtype, lo, hi)
    if symmetric:
        L = 0.0 - H
    d = r(hi - lo)
    words, own = words_of_lane(seed, stream, i, word)
    n = words[own] >> (8 if word == 32 else 11)
    u = float(n) * (2.0**-24 if word == 32 else 2.0**-53)
    y = r(d * u)
    y = r(lo + y)
    y = L if y < L else y
    y = H if y > H else y
    return store(y, dtype)


@functools.lru_cache
def uniform_ends(dtype, lo, hi):
    lo, hi = Fraction(lo), Fraction(hi)
    return extreme(dtype, lambda v: v >= lo, False), extreme(dtype, lambda v: v < hi, True)


# Section 5: normal
# ------------------------------------------------------------------------------------------------


def radius32(a: int) -> float:
    r = round32
    s = signed(a, 32) >> 31
    x = (a ^ s) & M32
    f = r(float(x))
    f = r(f + 0.5)
    n = r(f * -(2.0**-31))
    i = (bits32(n) - 0xBF800000) & 0xFF800000
    m = view32(bits32(n) - i)
    g = n if s else r(-2.0 - m)
    i = 0 if s else i
    e = r(float(signed(i, 32)))
    d = r(g + x_("0x1.7efaf2p+2"))
    d = r(d * g)
    d = r(d + x_("0x1.0aa8b2p+3"))
    q = r(x_("-0x1.30b5e0p+1") / d)
    q = r(q + x_("0x1.8e03eap-7"))
    w = r(g + x_("0x1.46a7c8p+1"))
    q = r(q * w)
    q = r(q + x_("-0x1.35348ep-2"))
    q = r(q * g)
    t = r(e * x_("-0x1.62e430p-23"))
    t = r(t + q)
    return r(math.sqrt(t))


def angle32(b: int):
    r = round32
    y = r(float(signed(b << 2, 32)))
    h = r(y * x_("0x1.17848cp-66"))
    z = r(h * y)
    g = r(x_("0x1.b39d34p+1") - z)
    g = r(g * z)
    c = r(g + x_("-0x1.2140e6p+2"))
    c = r(c * z)
    c = r(c + 1.0)
    o = r(z * x_("0x1.ee01a4p-35"))
    o = r(o + x_("-0x1.ffee5cp-35"))
    w = r(g + x_("-0x1.922d92p+2"))
    o = r(o * w)
    o = r(o * y)
    k = (b + 0x20000000) & M32
    cosine, sine = (o, c) if k >> 30 & 1 else (c, o)
    if ((b + 0x60000000) & M32) >> 31:
        cosine = -cosine
    if k >> 31:
        sine = -sine
    return cosine, sine


RADIUS64 = constants("""
    -0x1.6c7b8e459d159p-2 -0x1.94628ce69b42bp-3 -0x1.16626d902646fp-2 -0x1.3aa4eb443b94dp-2
    -0x1.74629de74a744p-2 -0x1.c71c470c95747p-2 -0x1.2492498323604p-1 -0x1.99999998c57f2p-1
    -0x1.5555555555b17p+0 -0x1p+2""")
COSINE64 = constants("""
    -0x1.30fe4b7a90174p+2 0x1.e9ba294a8768ap+3 -0x1.e94018f921208p+4 0x1.05d7d8230db9dp+5
    -0x1.c06fcfe0f07d2p+3""")
SINE64 = constants("""
    0x1.efaee14b82f67p-68 -0x1.a9411b3b04146p-68 0x1.1fbbe354ad78ap+4 -0x1.3fa86788c94e9p-62
    0x1.490ab327bb3cdp-61 -0x1.d59a1500046b9p-62 0x1.921fb54442d18p-64""")


def radius64(a: int) -> float:
    s = signed(a, 64) >> 63
    x = (a ^ s) & M64
    p = float(x >> 32) * 2.0**32
    q = float(x & M32) + 0.5
    f = p + q
    n = f * -(2.0**-63)
    i = (bits64(n) - 0xBFF0000000000000) & 0xFFF0000000000000
    m = view64(bits64(n) - i)
    g = n if s else -2.0 - m
    e = 0.0 if s else float(signed(i, 64) >> 52)
    d = g + 4.0
    y = g / d
    z = y * y
    p = z * RADIUS64[0]
    for c in RADIUS64[1:9]:
        p = p + c
        p = p * z
    p = p + RADIUS64[9]
    p = p * y
    t = e * x_("-0x1.62e42fefa39efp+0")
    t = t + p
    return math.sqrt(t)


def angle64(b: int):
    y = float(signed(b << 2, 64))
    h = y * x_("0x1.68980f20d0d33p-132")
    z = h * y
    C5, C4, C3, C2, C1 = COSINE64
    S6, S5, S4, S3, S2, S1, S0 = SINE64
    g = z + C5
    g = g * z
    c = g + C4
    for k in (C3, C2, C1):
        c = c * z
        c = c + k
    c = c * z
    c = c + 1.0
    o = z * S6
    o = o + S5
    w = g + S4
    o = o * w
    o = o + S3
    for k in (S2, S1, S0):
        o = o * z
        o = o + k
    o = o * y
    k = (b + 2**61) & M64
    cosine, sine = (o, c) if k >> 62 & 1 else (c, o)
    if ((b + 3 * 2**61) & M64) >> 63:
        cosine = -cosine
    if k >> 63:
        sine = -sine
    return cosine, sine


def normal(seed, stream, i, dtype, mean, std) -> int:
    word = word_of(dtype)
    r = rounding_of(word)
    mean, std = r(mean + 0.0), r(std + 0.0)
    words, own = words_of_lane(seed, stream, i, word)
    a, b = words[own & ~1], words[own | 1]
    radius, angle = (radius32, angle32) if word == 32 else (radius64, angle64)
    t = r(radius(a) * angle(b)[own & 1])
    p = r(std * t)
    y = r(mean + p)
    return store(y, dtype)


# Section 11: words
# -----------------------------------------------------------------------------------------------


def byte_of_words(seed, stream, b, low, count) -> int:
    words, own = words_of_lane(seed, stream, b // 4, 32)
    return low + (words[own] >> 8 * (b % 4)) % 256 % count


if __name__ == "__main__":
    import cases_v1

    cases_v1.main()
