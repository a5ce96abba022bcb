"""Box-Muller in NumPy: a radius word and an angle word give two normals.  The numbered operations
are stream-v1.md's.

Each line is one rounded operation (or says how many), always performed, in this order.  The same in
C: src/kernel/normal.h; the constants, minimax fits of tests/derivation/fit_normal.py:
src/kernel/constants.h.
"""

import numpy as np

from ..typing import Array


def _f(text: str) -> np.float32:
    return np.float32(float.fromhex(text))


def _hex(texts: str) -> list[float]:
    return [float.fromhex(text) for text in texts.split()]


RADIUS_D1, RADIUS_D0 = _f("0x1.7efaf2p+2"), _f("0x1.0aa8b2p+3")
RADIUS_N, RADIUS_Q1 = _f("-0x1.30b5e0p+1"), _f("0x1.8e03eap-7")
RADIUS_W, RADIUS_Q0 = _f("0x1.46a7c8p+1"), _f("-0x1.35348ep-2")
RADIUS_E = _f("-0x1.62e430p-23")  # -2 ln 2 * 2^-23
ANGLE_K, ANGLE_C2, ANGLE_C1 = _f("0x1.17848cp-66"), _f("0x1.b39d34p+1"), _f("-0x1.2140e6p+2")
ANGLE_S3, ANGLE_S2, ANGLE_S1 = _f("0x1.ee01a4p-35"), _f("-0x1.ffee5cp-35"), _f("-0x1.922d92p+2")

_HALF, _ONE, _MINUS_TWO = np.float32(0.5), np.float32(1), np.float32(-2)
_SIGN = np.uint32(0x80000000)


def radius_f32(a: Array) -> Array:
    """r = sqrt(-2 ln u), u the centred value of the radius word."""
    a = np.ascontiguousarray(a).view(np.int32)
    s = a >> np.int32(31)
    n = (a ^ s).astype(np.float32)
    n += _HALF
    n *= np.float32(-(2.0**-31))  # -2v
    bits = n.view(np.int32)
    i = bits - np.int32(-0x40800000)  # 0xBF800000, the bits of -1.0
    i &= np.int32(-0x800000)
    g = _MINUS_TWO - (bits - i).view(np.float32)
    np.copyto(g, n, where=s < 0)
    i &= ~s
    t = i.astype(np.float32)
    d = g + RADIUS_D1
    d *= g
    d += RADIUS_D0
    q = RADIUS_N / d
    q += RADIUS_Q1
    q *= g + RADIUS_W  # two operations
    q += RADIUS_Q0
    q *= g
    t *= RADIUS_E
    t += q
    return np.sqrt(t, out=t)


def sincos_f32(b: Array) -> tuple[Array, Array]:
    """Cosine and sine of b / 2^32 turns."""
    b = np.ascontiguousarray(b)
    y = (b << np.uint32(2)).view(np.int32).astype(np.float32)
    z = y * ANGLE_K
    z *= y
    g = ANGLE_C2 - z
    g *= z  # shared with the sine
    c = g + ANGLE_C1
    c *= z
    c += _ONE
    o = z * ANGLE_S3
    o += ANGLE_S2
    g += ANGLE_S1
    o *= g
    o *= y
    quarter = b + np.uint32(0x20000000)
    odd = (quarter & np.uint32(0x40000000)).astype(bool)
    sine = np.where(odd, c, o)
    np.copyto(c, o, where=odd)
    c.view(np.uint32)[...] ^= (b + np.uint32(0x60000000)) & _SIGN
    sine.view(np.uint32)[...] ^= quarter & _SIGN
    return c, sine


_LOG64 = _hex(
    "-0x1.6c7b8e459d159p-2 -0x1.94628ce69b42bp-3 -0x1.16626d902646fp-2 -0x1.3aa4eb443b94dp-2 "
    "-0x1.74629de74a744p-2 -0x1.c71c470c95747p-2 -0x1.2492498323604p-1 -0x1.99999998c57f2p-1 "
    "-0x1.5555555555b17p+0 -0x1p+2"
)
_LOG64_E = float.fromhex("-0x1.62e42fefa39efp+0")  # -2 ln 2
_ANGLE64_K = float.fromhex("0x1.68980f20d0d33p-132")
_C64 = _hex(
    "-0x1.30fe4b7a90174p+2 0x1.e9ba294a8768ap+3 -0x1.e94018f921208p+4 0x1.05d7d8230db9dp+5 "
    "-0x1.c06fcfe0f07d2p+3"
)
_S64 = _hex(
    "0x1.efaee14b82f67p-68 -0x1.a9411b3b04146p-68 0x1.1fbbe354ad78ap+4 -0x1.3fa86788c94e9p-62 "
    "0x1.490ab327bb3cdp-61 -0x1.d59a1500046b9p-62 0x1.921fb54442d18p-64"
)
_SIGN64 = np.uint64(1 << 63)


def radius_f64(a: Array) -> Array:
    """The radius of a 64-bit word, in float64."""
    s = np.ascontiguousarray(a).view(np.int64) >> np.int64(63)
    x = a ^ s.view(np.uint64)
    n = (x >> np.uint64(32)).astype(np.float64) * 2.0**32  # exact, as is the next line
    n += (x & np.uint64(0xFFFFFFFF)).astype(np.float64) + 0.5
    n *= -(2.0**-63)  # -2v
    bits = n.view(np.uint64)
    i = (bits - np.uint64(0xBFF0000000000000)) & np.uint64(0xFFF0000000000000)
    g = -2.0 - (bits - i).view(np.float64)
    near1 = s < 0
    np.copyto(g, n, where=near1)
    t = (i.view(np.int64) >> np.int64(52)).astype(np.float64)
    t[near1] = 0.0
    y = g / (g + 4.0)  # two operations
    z = y * y
    p = z * _LOG64[0]
    for constant in _LOG64[1:-1]:
        p += constant
        p *= z
    p += _LOG64[-1]
    p *= y
    t *= _LOG64_E
    t += p
    return np.sqrt(t, out=t)


def sincos_f64(b: Array) -> tuple[Array, Array]:
    """Cosine and sine of b / 2^64 turns, in float64."""
    b = np.ascontiguousarray(b)
    y = (b << np.uint64(2)).view(np.int64).astype(np.float64)
    z = y * _ANGLE64_K
    z *= y
    g = z + _C64[0]
    g *= z  # shared with the sine
    c = g + _C64[1]
    for constant in _C64[2:]:
        c *= z
        c += constant
    c *= z
    c += 1.0
    o = z * _S64[0]
    o += _S64[1]
    o *= g + _S64[2]  # two operations
    o += _S64[3]
    for constant in _S64[4:]:
        o *= z
        o += constant
    o *= y
    quarter = b + np.uint64(1 << 61)
    odd = (quarter & np.uint64(1 << 62)).astype(bool)
    sine = np.where(odd, c, o)
    np.copyto(c, o, where=odd)
    c.view(np.uint64)[...] ^= (b + np.uint64(3 << 61)) & _SIGN64
    sine.view(np.uint64)[...] ^= quarter & _SIGN64
    return c, sine
