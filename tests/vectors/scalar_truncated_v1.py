"""Section 6 of fastinit/stream-v1.md implemented a second time: the truncated normal, one word
after another.

The rules of scalar_v1.py also hold here.  The numbers k of a call are computed from their
definitions with mpmath (120 digits) and rounded once; `r` rounds to the working type, so that
r(a * b) is one operation of that type.
"""

import functools
import math
from fractions import Fraction

import mpmath
from scalar_v1 import (
    M32,
    bits32,
    bits64,
    constants,
    encode,
    extreme,
    rounding_of,
    signed,
    store,
    view32,
    view64,
    word_of,
    words_of_lane,
    x_,
)

mp = mpmath.mp.clone()  # of our own: other users of mpmath keep their precision
mp.dps = 120
mpf = mp.mpf


LOG = {
    32: constants("0x1.32d558p-2, 0x1.99541cp-2, 0x1.555588p-1"),
    64: constants("""
        0x1.307f239cfa487p-3, 0x1.39794d0a6f464p-3, 0x1.7467f5364b547p-3, 0x1.c71c48bff0502p-3,
        0x1.2492494f00827p-2, 0x1.999999996e442p-2, 0x1.55555555555d6p-1"""),
}
LN2 = {
    32: constants("0x1.62e4p-1 0x1.7f7d1cp-20"),
    64: constants("0x1.62e42feep-1 0x1.a39ef35793c76p-33"),
}
NEAR = {
    32: constants("0x1.8a4e4p-7, 0x1.2a3254p-7, 0x1.a6fa48p-6, 0x1.dd69fcp-5, 0x1.55562ap-3"),
    64: constants("""
        0x1.7a625dd603ee9p-12, -0x1.9070f62a361c2p-12, 0x1.2f31e131bc344p-11, 0x1.b256583f4f052p-14,
        0x1.411c31fa787bdp-11, 0x1.f11d13b3c143ep-11, 0x1.c9d8b3e63740ap-10, 0x1.a5b75c29f5453p-9,
        0x1.9007329efe624p-8, 0x1.8a8517a297398p-7, 0x1.9cd9cda5e6075p-6, 0x1.ddddddddcd251p-5,
        0x1.55555555555acp-3"""),
}
NEAR_END = {32: x_("0x1.5956b8p-1"), 64: x_("0x1.5956b87528a49p-1")}
TAIL_SHIFT = {32: x_("0x1p+1"), 64: x_("0x1.8p+1")}
TAIL_MIDDLE = {32: x_("0x1.89cp-3"), 64: x_("0x1.268p-3")}
TAIL = {
    32: constants("""
        0x1.974246p+9, 0x1.2a8634p+1, 0x1.35dda6p+6, 0x1.1032ecp+3, 0x1.5b49e4p+3, 0x1.5ac764p+1,
        0x1.bd713p+1, 0x1.5f600ap-1"""),
    64: constants("""
        -0x1.15d0a6a6a6ecbp+51, 0x1.21e08f8a41fep+49, -0x1.3d6637b53fe44p+40,
        -0x1.c3ce4bfd2d8e2p+39, -0x1.62a4aa8f9029ep+38, 0x1.9658b524b877ep+37,
        -0x1.013911e48c2ep+32, 0x1.33bfe6b8317d4p+32, 0x1.3722b5b83b164p+26, 0x1.663d4f03e8bd9p+27,
        0x1.3264471522a69p+23, 0x1.ac14c176ee572p+22, 0x1.32f3e3d365097p+19, 0x1.1608508a0ebf2p+18,
        0x1.0ce050f760fcdp+15, 0x1.8d3c49a87afdcp+13, 0x1.d4343b90d1c29p+10, 0x1.3d50d9712c59bp+9,
        0x1.bcd8c9d0659e5p+6, 0x1.4a8bd2f645059p+5, 0x1.1ef938f0ba92cp+3, 0x1.25f6e5a97300bp+2,
        0x1.34ccc50eec8fap-1"""),
}
LOW = {
    32: constants(
        "0x1.426edep-2, 0x1.ab9ae8p-4, 0x1.adc60ep-3, 0x1.fe9032p-3, 0x1.555ap-2, 0x1p-1"
    ),
    64: constants("""
        0x1.d24948d6a015bp-2, -0x1.6f9a5128be96ap-2, 0x1.48d28eb4c1723p-2, -0x1.8de4113ac470cp-9,
        0x1.c8b39ebfd6826p-4, 0x1.8b900c8edfe96p-4, 0x1.c8c3336405a72p-4, 0x1.ffdcfd959ec3bp-4,
        0x1.24934943286acp-3, 0x1.55554b9e5f99dp-3, 0x1.999999d3fcbb7p-3, 0x1.ffffffff41817p-3,
        0x1.5555555555d0bp-2, 0x1p-1"""),
}
LOW_END = {32: x_("0x1.269622p-2"), 64: x_("0x1.269621134db92p-2")}
NODES = {
    32: (64714, 58387, 46986, 32768, 18550, 7149, 822),
    64: (65297, 63407, 59736, 54497, 47996, 40610, 32768, 24926, 17540, 11039, 5800, 2129, 239),
}
ODD = constants("0x1.4759aap+2, 0x1.6f78dp-1, 0x1.eca41ep-1, 0x1.53b47ep-1, 0x1.3124eap-1")
EVEN = constants("0x1.a2d45ep-7, 0x1.3566ecp-7, 0x1.806e8cp-8")

# The numbers k
# --------------------------------------------------------------------------------------------------


def exact(x) -> Fraction:
    sign, mantissa, exponent, _ = mpf(x)._mpf_
    return Fraction(-mantissa if sign else mantissa) * Fraction(2) ** exponent


def k_(x, word: int) -> float:
    """A real number rounded once to the working type."""
    fraction, dtype = exact(x), "float32" if word == 32 else "float64"
    code = encode(fraction, dtype)
    return view32(code) if word == 32 else view64(code)


def Q(x):
    return mp.erfc(x / mp.sqrt(2)) / 2


def middle(x):
    """Phi(x) - 1/2, without cancelling."""
    return mp.erf(x / mp.sqrt(2)) / 2


def inward(alpha, beta, unit):
    def moved(b):
        return mpf(0) if mp.isinf(b) else min(abs(b) * unit, (beta - alpha) / 16)

    return alpha + moved(alpha), beta - moved(beta)


def form_of(alpha: float, beta: float, word: int) -> str:
    if alpha < 0 < beta:
        central = (
            word == 32
            and abs(alpha + beta) <= 2.0**-40 * (beta - alpha)
            and beta - alpha <= 4 + 2.0**-19
        )
        return "central" if central else "wide"
    nearer = alpha if alpha >= 0 else -beta
    return "wide" if word == 64 and nearer < 4 else "far"


@functools.cache
def numbers(alpha: float, beta: float, word: int):
    """(form, flip, the numbers k by name) of bounds in sigmas."""
    form = form_of(alpha, beta, word)
    flip = beta <= 0
    if flip:
        alpha, beta = -beta, -alpha
    k = {"central": central_numbers, "wide": wide_numbers, "far": far_numbers}[form](
        mpf(alpha), mpf(beta), word
    )
    return form, flip, k


def central_numbers(alpha, beta, word):
    b = (beta - alpha) / 2 * (1 - mpf(2) ** -23)
    D = 2 * middle(b)
    D1 = max(D, mpf(2) ** -20)
    K = D * mpf(2) ** -31
    B = mpf(x_("0x1.9a3eeap-2")) * 2**30 / D1**2
    C = (mpf("1.2839") - D1**2) * 2**30 / D1**2
    return {"K": k_(K, word), "B": k_(B, word), "C": k_(C, word)}


def wide_numbers(alpha, beta, word):
    P, whole = (24 if word == 32 else 53), mpf(2) ** word
    unit = mpf(2) ** (1 - P)
    a, b = (alpha, beta) if alpha < 0 else inward(alpha, beta, unit)
    crossing = -middle(a) * whole / (middle(b) - middle(a))
    first = min(max(int(mp.ceil(crossing - mpf(0.5))), 0), 2**word - 1)
    distance = (crossing - first + mpf(0.5), first + mpf(0.5) - crossing)
    if alpha < 0:
        a, b = inward(alpha, beta, unit)
        step = (-middle(a) / crossing, middle(b) / (whole - crossing))
    else:
        step = ((middle(b) - middle(a)) / whole,) * 2
    tail = (Q(-a), Q(b))
    slope = [s * mp.sqrt(2 * mp.pi) for s in step]
    pairs = {"distance": distance, "tail": tail, "step": step, "slope": slope}
    return {name: [k_(v, word) for v in pair] for name, pair in pairs.items()} | {"first": first}


def far_numbers(alpha, beta, word):
    P = 24 if word == 32 else 53
    _, moved = inward(alpha, beta, mpf(2) ** -P)
    left = Q(moved) / Q(alpha)
    inside = 1 - left
    a = min(alpha, mpf(2) ** (P - 4))
    hazard = mp.exp(-a * a / 2) / mp.sqrt(2 * mp.pi) / Q(a)
    slope = hazard * (hazard - a)
    shift = mpf(2.5) if word == 32 else mpf(4)
    scale = a + shift
    bound = min(alpha, mpf(2) ** 120) if word == 32 else alpha
    up = k_(bound, word)
    if mpf(up) < bound:
        up = view32(bits32(up) + 1)
    k = {"step": inside / mpf(2) ** word, "left": left if left >= mpf(2) ** -100 else mpf(0)}
    k |= {"top": inside, "hazard": hazard / 2, "slope": slope * inside / 2, "shift": scale}
    k = {name: k_(v, word) for name, v in k.items()} | {"bound": up}
    nodes = NODES[word]
    if alpha >= 2**16:
        return k | {"c": [0.0] * len(nodes)}
    E = -mp.log(left + inside / mpf(2) ** (word + 1))
    X = 2 * E / (hazard + mp.sqrt(hazard**2 + 2 * slope * E))
    reach = max(X / (X + scale), mpf(1) / 16)
    rows, values = [], []
    for node in nodes:
        v = reach * node / 65536
        x = scale * v / (1 - v)
        aim = hazard * x + slope * x * x / 2
        delta = x
        for _ in range(60):  # Newton: the left side rises with the hazard at a + delta
            q = Q(a + delta)
            density = mp.exp(-((a + delta) ** 2) / 2) / mp.sqrt(2 * mp.pi)
            change = (mp.log(Q(a)) - mp.log(q) - aim) / (density / q)
            delta -= change
            if abs(change) < abs(delta) * mpf(10) ** -90:
                break
        else:
            raise ArithmeticError("no convergence")
        rows.append([v**n for n in range(len(nodes))])
        values.append((delta - x) / x / v**2)
    solution = mp.lu_solve(mp.matrix(rows), mp.matrix(values))
    return k | {"c": [k_(c, word) for c in solution]}


# From a word to z
# -------------------------------------------------------------------------------------------------


def poly(r, x, coefficients):
    y = r(x * coefficients[0])
    for c in coefficients[1:-1]:
        y = r(y + c)
        y = r(y * x)
    return r(y + coefficients[-1])


def place(r, w, x, word):
    half = word // 2
    a = r(float(w >> half) * 2.0**half)
    b = r(float(w & ((1 << half) - 1)) + x)
    return r(a + b)


def minus_log(r, v, word):
    if word == 32:
        k = signed(bits32(v) - 0x3F3504F3, 32) >> 23
        f = view32(bits32(v) - (k << 23))
    else:
        k = signed(bits64(v) - 0x3FE6A09E667F3BCD, 64) >> 52
        f = view64(bits64(v) - (k << 52))
    f = r(f - 1.0)
    e = r(float(k))
    d = r(f + 2.0)
    s = r(f / d)
    z = r(s * s)
    p = poly(r, z, LOG[word])
    p = r(p * z)
    h = r(f * f)
    h = r(h * 0.5)
    p = r(p + h)
    p = r(p * s)
    n = r(e * LN2[word][1])
    p = r(p + n)
    h = r(h - p)
    h = r(h - f)
    n = r(e * LN2[word][0])
    return r(h - n)


def z_central(w, k):
    r = rounding_of(32)
    d = signed(w ^ 0x80000000, 32)
    m = (d ^ (d >> 31)) & M32
    g = r(float(0x40000000 - (m * m >> 32)))
    g = r(g + k["C"])
    a = r(k["B"] / g)
    a = r(a + x_("0x1.f5b98cp-1"))
    t = r(a - x_("0x1.ac592cp+0"))
    u = r(t * t)
    o = poly(r, u, ODD)
    o = r(o * t)
    q = poly(r, u, EVEN)
    o = r(o + q)
    o = r(o * u)
    a = r(a + o)
    f = r(float(d))
    f = r(f + 0.5)
    f = r(f * k["K"])
    return r(f * a)


def z_wide(w, k, word):
    r, ones = rounding_of(word), (1 << word) - 1
    negative = w < k["first"]
    mask, side = (ones, 0) if negative else (0, 1)
    distance, tail, step, slope = (k[name][side] for name in ("distance", "tail", "step", "slope"))
    m = place(r, ((w - k["first"]) & ones) ^ mask, distance, word)
    e = place(r, (w ^ mask) ^ ones, 0.5, word)
    t = r(e * step)
    t = r(t + tail)
    x = r(m * slope)
    s = r(x * x)
    c = poly(r, s, NEAR[word])
    c = r(c * s)
    c = r(c * x)
    c = r(c + x)
    p = minus_log(r, t, word)
    p = r(p + p)
    p = r(math.sqrt(p))
    v = r(p + TAIL_SHIFT[word])
    v = r(1.0 / v)
    v = r(v - TAIL_MIDDLE[word])
    q = poly(r, v, TAIL[word])
    p = r(p - q)
    c = NEAR_END[word] if NEAR_END[word] < c else c
    p = NEAR_END[word] if p < NEAR_END[word] else p
    z = c if t > 0.25 else p
    return -z if negative else z


def z_far(w, k, word):
    r, ones = rounding_of(word), (1 << word) - 1
    near = place(r, w, 0.5, word)
    away = place(r, w ^ ones, 0.5, word)
    u = r(near * k["step"])
    p = poly(r, u, LOW[word])
    s = r(u * u)
    p = r(p * s)
    p = r(p + u)
    v = r(away * k["step"])
    v = r(v + k["left"])
    n = minus_log(r, v, word)
    p = LOW_END[word] if LOW_END[word] < p else p
    n = LOW_END[word] if n < LOW_END[word] else n
    e = p if u < 0.25 else n
    y = r(k["top"] / e)
    a = r(y * k["hazard"])
    b = r(a * a)
    s = r(y * k["slope"])
    b = r(b + s)
    s = r(math.sqrt(b))
    a = r(a + s)
    x = r(k["top"] / a)
    d = r(x + k["shift"])
    v = r(x / d)
    p = poly(r, v, k["c"][::-1])
    s = r(v * v)
    p = r(p * s)
    p = r(p * x)
    x = r(x + p)
    return r(x + k["bound"])


def truncated_z(w, alpha, beta, word) -> float:
    form, flip, k = numbers(alpha, beta, word)
    if flip:
        w = w ^ ((1 << word) - 1)
    z = (
        z_central(w, k)
        if form == "central"
        else z_wide(w, k, word)
        if form == "wide"
        else z_far(w, k, word)
    )
    return -z if flip else z


# The draw
# --------------------------------------------------------------------------------------------------


def sigmas(mean, std, low, high):
    """The bounds in stds of the mean; one nearer to zero than 2^-200 counts as 0."""
    bounds = (low - mean) / std, (high - mean) / std
    return tuple(0.0 if abs(b) < 2.0**-200 else b for b in bounds)


@functools.lru_cache
def truncated_ends(dtype, low, high):
    """Smallest and largest value strictly between low and high and between their roundings to the
    working type.
    """
    r = rounding_of(word_of(dtype))
    # A comparison of a Fraction with an infinity is exact too.
    return (
        extreme(dtype, lambda v: v > low and v > r(low), False),
        extreme(dtype, lambda v: v < high and v < r(high), True),
    )


def truncated_of_word(w, dtype, mean, std, low, high) -> int:
    mean, std, low, high = (p + 0.0 for p in (mean, std, low, high))
    word = word_of(dtype)
    r = rounding_of(word)
    alpha, beta = sigmas(mean, std, low, high)
    L, H = truncated_ends(dtype, low, high)
    z = truncated_z(w, alpha, beta, word)
    p = r(r(std) * z)
    y = r(r(mean) + p)
    y = L if y < L else y
    y = H if y > H else y
    return store(y, dtype)


def truncated_normal(seed, stream, i, dtype, mean, std, low, high) -> int:
    words, own = words_of_lane(seed, stream, i, word_of(dtype))
    return truncated_of_word(words[own], dtype, mean, std, low, high)
