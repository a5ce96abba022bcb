"""Truncated normal in NumPy: one word to z = Φ⁻¹(Φ(α) + p (Φ(β) − Φ(α))), by the form that the
bounds choose.

Each line is one rounded operation (or says how many), always performed, in this order; stream-v1.md
numbers them. z never decreases as the word grows: every step is monotone, or adds to its own
argument something so small that its roundings cannot turn the order.  The numbers k:
fastinit/_core/truncated.py.  The same in C: src/kernel/truncated.h; the constants are fits of
tests/derivation/fit_truncated.py.
"""

from typing import Any

import numpy as np

from ..typing import Array


def _f(*texts: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(text)) for text in texts)


def _d(*texts: str) -> tuple[np.float64, ...]:
    return tuple(np.float64(float.fromhex(text)) for text in texts)


# Form 0.
CENTRAL_H0, CENTRAL_A0 = _f("0x1.f5b98cp-1", "0x1.ac592cp+0")
# C11 C9 C7 C5 C3.
CENTRAL_ODD = _f(
    "0x1.4759aap+2", "0x1.6f78d0p-1", "0x1.eca41ep-1", "0x1.53b47ep-1", "0x1.3124eap-1"
)
CENTRAL_EVEN = _f("0x1.a2d45ep-7", "0x1.3566ecp-7", "0x1.806e8cp-8")  # C6 C4 C2

# Polynomials of forms 1 and 2, highest coefficient first.
LOG_F32 = _f("0x1.32d558p-2", "0x1.99541cp-2", "0x1.555588p-1")
NEAR_F32 = _f("0x1.8a4e40p-7", "0x1.2a3254p-7", "0x1.a6fa48p-6", "0x1.dd69fcp-5", "0x1.55562ap-3")
TAIL_F32 = _f(
    "0x1.974246p+9", "0x1.2a8634p+1", "0x1.35dda6p+6", "0x1.1032ecp+3", "0x1.5b49e4p+3",
    "0x1.5ac764p+1", "0x1.bd7130p+1", "0x1.5f600ap-1"
)  # fmt: skip
LOW_F32 = _f(
    "0x1.426edep-2", "0x1.ab9ae8p-4", "0x1.adc60ep-3", "0x1.fe9032p-3", "0x1.555a00p-2", "0x1p-1"
)
TAIL_SHIFT_F32, TAIL_MIDDLE_F32 = _f("0x1p+1", "0x1.89cp-3")
NEAR_END_F32, LOW_END_F32 = _f("0x1.5956b8p-1", "0x1.269622p-2")  # Φ⁻¹(3/4) and −ln(3/4)
LN2_HIGH_F32, LN2_LOW_F32 = _f("0x1.62e4p-1", "0x1.7f7d1cp-20")

LOG_F64 = _d(
    "0x1.307f239cfa487p-3", "0x1.39794d0a6f464p-3", "0x1.7467f5364b547p-3",
    "0x1.c71c48bff0502p-3", "0x1.2492494f00827p-2", "0x1.999999996e442p-2",
    "0x1.55555555555d6p-1"
)  # fmt: skip
NEAR_F64 = _d(
    "0x1.7a625dd603ee9p-12", "-0x1.9070f62a361c2p-12", "0x1.2f31e131bc344p-11",
    "0x1.b256583f4f052p-14", "0x1.411c31fa787bdp-11", "0x1.f11d13b3c143ep-11",
    "0x1.c9d8b3e63740ap-10", "0x1.a5b75c29f5453p-9", "0x1.9007329efe624p-8",
    "0x1.8a8517a297398p-7", "0x1.9cd9cda5e6075p-6", "0x1.ddddddddcd251p-5",
    "0x1.55555555555acp-3"
)  # fmt: skip
TAIL_F64 = _d(
    "-0x1.15d0a6a6a6ecbp+51", "0x1.21e08f8a41fe0p+49", "-0x1.3d6637b53fe44p+40",
    "-0x1.c3ce4bfd2d8e2p+39", "-0x1.62a4aa8f9029ep+38", "0x1.9658b524b877ep+37",
    "-0x1.013911e48c2e0p+32", "0x1.33bfe6b8317d4p+32", "0x1.3722b5b83b164p+26",
    "0x1.663d4f03e8bd9p+27", "0x1.3264471522a69p+23", "0x1.ac14c176ee572p+22",
    "0x1.32f3e3d365097p+19", "0x1.1608508a0ebf2p+18", "0x1.0ce050f760fcdp+15",
    "0x1.8d3c49a87afdcp+13", "0x1.d4343b90d1c29p+10", "0x1.3d50d9712c59bp+9",
    "0x1.bcd8c9d0659e5p+6", "0x1.4a8bd2f645059p+5", "0x1.1ef938f0ba92cp+3",
    "0x1.25f6e5a97300bp+2", "0x1.34ccc50eec8fap-1"
)  # fmt: skip
LOW_F64 = _d(
    "0x1.d24948d6a015bp-2", "-0x1.6f9a5128be96ap-2", "0x1.48d28eb4c1723p-2",
    "-0x1.8de4113ac470cp-9", "0x1.c8b39ebfd6826p-4", "0x1.8b900c8edfe96p-4",
    "0x1.c8c3336405a72p-4", "0x1.ffdcfd959ec3bp-4", "0x1.24934943286acp-3",
    "0x1.55554b9e5f99dp-3", "0x1.999999d3fcbb7p-3", "0x1.ffffffff41817p-3",
    "0x1.5555555555d0bp-2", "0x1p-1"
)  # fmt: skip
TAIL_SHIFT_F64, TAIL_MIDDLE_F64 = _d("0x1.8p+1", "0x1.268p-3")
NEAR_END_F64, LOW_END_F64 = _d("0x1.5956b87528a49p-1", "0x1.269621134db92p-2")
LN2_HIGH_F64, LN2_LOW_F64 = _d("0x1.62e42feep-1", "0x1.a39ef35793c76p-33")


def horner(x: Array, coefficients: tuple[Any, ...]) -> Array:
    """((c0 x + c1) x + c2) ...: product and sum rounded separately; x is an array of the working
    type.
    """
    y = x * coefficients[0]
    for c in coefficients[1:-1]:
        y += c
        y *= x
    y += coefficients[-1]
    return y


# ---- form 0: bounds symmetric about the mean, at most 2 sigma off (float32 alone) ----------------


def central_f32(w: Array, scale: Any, rough: Any, shift: Any) -> Array:
    """z = (d + 1/2) K F, F an increasing function of d² that integers form exactly where it is
    steep.
    """
    d = (w ^ np.uint32(0x80000000)).view(np.int32)
    m = (d ^ (d >> np.int32(31))).astype(np.uint64)
    g = (
        (np.int64(1 << 30) - (m * m >> np.uint64(32)).astype(np.int64))
        .astype(np.int32)
        .astype(np.float32)
    )
    g += np.float32(shift)
    a = np.float32(rough) / g
    a += CENTRAL_H0  # roughly F; from here to F all is a function of this alone
    t = a - CENTRAL_A0
    u = t * t
    o = horner(u, CENTRAL_ODD)
    o *= t
    o += horner(u, CENTRAL_EVEN)
    o *= u
    a += o  # F
    f = d.astype(np.float32)
    f += np.float32(0.5)
    f *= np.float32(scale)
    return f * a


# ---- what forms 1 and 2 share --------------------------------------------------------------------


def place_f32(w: Array, fraction: Any) -> Array:
    """w + fraction for words and a float32 (or an array of them): the low half takes the fraction,
    then one sum.
    """
    high = (w >> np.uint32(16)).astype(np.int32).astype(np.float32)
    high *= np.float32(65536)
    low = (w & np.uint32(0xFFFF)).astype(np.int32).astype(np.float32)
    low += fraction
    return high + low


def place_f64(w: Array, fraction: Any) -> Array:
    high = (w >> np.uint64(32)).astype(np.float64)
    high *= np.float64(2.0**32)
    low = (w & np.uint64(0xFFFFFFFF)).astype(np.float64)
    low += fraction
    return high + low


def minus_log(v: Array) -> Array:
    """−ln v of positive normal v: v = 2^k m, m in [√½, √2), f = m − 1 and s = f / (2 + f)."""
    polynomial: tuple[Any, ...]
    ln2_high: Any
    ln2_low: Any
    if v.dtype == np.float64:
        bits = v.view(np.int64)
        k = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
        f = (bits - (k << np.int64(52))).view(np.float64)
        polynomial, ln2_high, ln2_low = LOG_F64, LN2_HIGH_F64, LN2_LOW_F64
    else:
        bits = v.view(np.int32)
        k = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
        f = (bits - (k << np.int32(23))).view(np.float32)
        polynomial, ln2_high, ln2_low = LOG_F32, LN2_HIGH_F32, LN2_LOW_F32
    e = k.astype(v.dtype)
    f = f - v.dtype.type(1)
    s = f / (f + v.dtype.type(2))  # two operations
    z = s * s
    r = horner(z, polynomial)
    r *= z
    h = f * f
    h *= v.dtype.type(0.5)
    r += h
    r *= s
    r += e * ln2_low  # two operations
    h -= r
    h -= f
    h -= e * ln2_high  # two operations, the product exact
    return h


def _flipped(z: Array, flip: Any) -> Array:
    return -z if flip else z


# ---- form 1: any bounds around zero (float64: also any that begin within 4 sigma) ----------------


def _wide(m: Array, e: Array, tail: Array, step: Any, slope: Any) -> Array:
    """|z| of the distances m from the zero crossing and e from the bound, in words; `tail` lies
    beyond that bound.
    """
    double = m.dtype == np.float64
    near, far = (NEAR_F64, TAIL_F64) if double else (NEAR_F32, TAIL_F32)
    shift, middle, end = (
        (TAIL_SHIFT_F64, TAIL_MIDDLE_F64, NEAR_END_F64)
        if double
        else (TAIL_SHIFT_F32, TAIL_MIDDLE_F32, NEAR_END_F32)
    )
    t = e * step
    t += tail  # the probability beyond z
    x = m * slope  # sqrt(2 pi) times that between 0 and z
    s = x * x
    c = horner(s, near)
    c *= s
    c *= x
    c += x
    r = minus_log(t)
    r += r
    np.sqrt(r, out=r)
    v = np.divide(1, r + shift, dtype=r.dtype)  # two operations
    v -= middle
    r -= horner(v, far)
    return np.where(t > t.dtype.type(0.25), np.minimum(c, end), np.maximum(r, end))


def wide_f32(w: Array, first: Any, *k: Any) -> Array:
    negative = w < np.uint32(first)
    mask = np.where(negative, np.uint32(0xFFFFFFFF), np.uint32(0))
    fraction, tail, step, slope = (
        np.where(negative, np.float32(a), np.float32(b))
        for a, b in zip(k[0::2], k[1::2], strict=True)
    )
    m = place_f32((w - np.uint32(first)) ^ mask, fraction)
    e = place_f32(~(w ^ mask), np.float32(0.5))
    z = _wide(m, e, tail, step, slope)
    return np.where(negative, -z, z)


def wide_f64(w: Array, flip: Any, high: Any, low: Any, *k: Any) -> Array:
    first = np.uint64((int(high) << 32) + int(low))
    if flip:
        w = ~w
    negative = w < first
    mask = np.where(negative, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0))
    fraction, tail, step, slope = (
        np.where(negative, a, b) for a, b in zip(k[0::2], k[1::2], strict=True)
    )
    m = place_f64((w - first) ^ mask, fraction)
    e = place_f64(~(w ^ mask), np.float64(0.5))
    z = _wide(m, e, tail, step, slope)
    return _flipped(np.where(negative, -z, z), flip)


# ---- form 2: both bounds on one side -------------------------------------------------------------


def _far(near: Array, away: Array, k: tuple[Any, ...]) -> Array:
    """|z| of the distances from the nearer and the farther bound, in words; k from `step` on."""
    kind = near.dtype.type
    double = near.dtype == np.float64
    step, left, bound, scale, hazard, slope, shift = (kind(x) for x in k[:7])
    u = near * step  # the share of the near bound's tail that lies between it and z
    p = horner(u, LOW_F64 if double else LOW_F32)
    p *= u * u  # two operations
    p += u
    v = away * step
    v += left  # 1 - u
    end = LOW_END_F64 if double else LOW_END_F32
    e = np.where(u < kind(0.25), np.minimum(p, end), np.maximum(minus_log(v), end))
    y = scale / e
    a = y * hazard
    b = a * a
    b += y * slope  # two operations
    a += np.sqrt(b)  # two operations
    x = scale / a  # e = hazard x + slope x^2 / 2, solved so that no rounding turns the order
    v = x / (x + shift)  # two operations
    p = horner(v, tuple(kind(c) for c in reversed(k[7:])))
    p *= v * v  # two operations
    p *= x
    x += p
    x += bound
    return x


def far_f32(w: Array, flip: Any, *k: Any) -> Array:
    if flip:
        w = ~w
    half = np.float32(0.5)
    return _flipped(_far(place_f32(w, half), place_f32(~w, half), k), flip)


def far_f64(w: Array, flip: Any, *k: Any) -> Array:
    if flip:
        w = ~w
    half = np.float64(0.5)
    return _flipped(_far(place_f64(w, half), place_f64(~w, half), k), flip)


# ---- the draws -----------------------------------------------------------------------------------


def _placed(z: Array, mean: Any, std: Any, low: Any, high: Any) -> Array:
    kind = z.dtype.type
    z *= kind(std)
    z += kind(mean)
    z[z < kind(low)] = kind(low)
    z[z > kind(high)] = kind(high)
    return z


def truncated_normal_f32(
    w: Array, form: float, mean: float, std: float, low: float, high: float, *k: float
) -> Array:
    w = np.ascontiguousarray(w)
    z = (central_f32, wide_f32, far_f32)[int(form)](w, *k)
    return _placed(z, mean, std, low, high)


def truncated_normal_f64(
    w: Array, form: float, mean: float, std: float, low: float, high: float, *k: float
) -> Array:
    z = (wide_f64 if form == 1 else far_f64)(np.ascontiguousarray(w), *k)
    return _placed(z, mean, std, low, high)
