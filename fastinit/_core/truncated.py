"""Converts the bounds of a truncated normal, in standard deviations, to the numbers that its
kernels need: stream-v1.md section 6.

Three forms, chosen only by the bounds: CENTRAL (float32, symmetric, at most 2 sigma: the fast
one), WIDE (any bounds around zero, or in float64 any that begin within 4 sigma) and FAR (both
bounds on one side).  Every number is the exact value of a formula, rounded once to the working
type; math.py does the arithmetic on integers.  fastinit/reference/truncated.py and
src/kernel/truncated.h use the numbers.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from . import math as exact

if TYPE_CHECKING:
    from .dtypes import DType

CENTRAL, WIDE, FAR = 0.0, 1.0, 2.0

# Fraction bits: enough for intervals 2^-80 wide, and for the place of zero among 2^64 words, beyond
# a double's precision.
BITS = 384
ONE = 1 << BITS
NO_DISTANCE = 2.0**-200  # a bound this near zero counts as zero; the fixed point reaches further

# Form CENTRAL: the rough ratio is H0 + A1 / (SHIFT - s); A1 and SHIFT go into the per-call numbers,
# H0 into the kernel.
CENTRAL_A1 = float.fromhex("0x1.9a3eeap-2")
CENTRAL_SHIFT = (12839, 10000)

# In float64, form WIDE instead of FAR below this many sigma: FAR's correction would need too many
# coefficients there.
WIDE_END = 4.0

# Form FAR: the correction is fitted at these 2^-16ths of its range, the Chebyshev nodes of 7 and of
# 13 points.
NODES = {
    24: (64714, 58387, 46986, 32768, 18550, 7149, 822),
    53: (65297, 63407, 59736, 54497, 47996, 40610, 32768, 24926, 17540, 11039, 5800, 2129, 239),
}
SHIFT = {24: (5, 2), 53: (4, 1)}  # v = x / (x + alpha + SHIFT), chosen for the fit
# The correction is fitted over [0, 1/16] at least: over less, its high coefficients would be noise.
NARROWEST_RANGE = 16
NO_CORRECTION = 2.0**16  # from here on it is below 2^-80 of the result


def parameters(alpha: float, beta: float, dtype: "DType") -> tuple[float, ...]:
    """The form, then its numbers; alpha < beta in standard deviations, either may be infinite."""
    alpha, beta = (0.0 if abs(x) < NO_DISTANCE else x for x in (alpha, beta))
    return _parameters(alpha, beta, bool(dtype.wide))


@lru_cache(maxsize=256)
def _parameters(alpha: float, beta: float, wide: bool) -> tuple[float, ...]:
    if not alpha < beta:
        raise ValueError(
            f"bounds at {alpha!r} and {beta!r} standard deviations; the first must be the smaller"
        )
    if beta - alpha < 2.0**-80:
        raise ValueError(
            f"bounds at {alpha!r} and {beta!r} standard deviations are less than 2^-80 apart, "
            "where a normal is flat: use uniform"
        )
    precision = 53 if wide else 24
    if alpha < 0.0 < beta:
        symmetric = (
            abs(alpha + beta) <= 2.0**-40 * (beta - alpha) and beta - alpha <= 4.0 + 2.0**-19
        )
        return (
            _central(alpha, beta)
            if symmetric and not wide
            else _wide(alpha, beta, False, precision)
        )
    mirrored = beta <= 0.0
    if mirrored:
        alpha, beta = -beta + 0.0, -alpha
    if wide and alpha < WIDE_END:
        return _wide(alpha, beta, mirrored, precision)
    return _far(alpha, beta, mirrored, precision)


def _to(n: int, precision: int, bits: int = BITS) -> float:
    """n / 2^bits, rounded to the nearest number with `precision` bits, ties to even."""
    cut = max(0, abs(n).bit_length() - precision)
    if cut:
        low = n & ((1 << cut) - 1)
        n >>= cut
        if low << 1 > 1 << cut or (low << 1 == 1 << cut and n & 1):
            n += 1
    return math.ldexp(float(n), cut - bits)


def _upper(x: int) -> int:
    """Q(x) = 1 - Φ(x), both fixed."""
    if x < 0:
        return ONE - _upper(-x)
    if x >> BITS > 60:
        return 0
    m, e = exact.sf_fixed(x, BITS)
    return m >> -(e + BITS) if e + BITS < 0 else m << (e + BITS)


def _bounds(alpha: float, beta: float, inward: int | None = None) -> tuple[int | None, int | None]:
    """Both bounds, fixed (None: infinite), moved inward by 2^-inward of themselves or a sixteenth
    of their distance.

    So rounding in the kernel cannot lead past a bound.  Otherwise the clamp would give the last
    value more than its share.
    """
    a, b = (None if math.isinf(x) else exact.fixed(x, BITS) for x in (alpha, beta))
    if inward is None:
        return a, b
    steps = [0 if x is None else abs(x) >> inward for x in (a, b)]
    if a is not None and b is not None:
        steps = [min(step, (b - a) >> 4) for step in steps]
    return None if a is None else a + steps[0], None if b is None else b - steps[1]


def _central(alpha: float, beta: float) -> tuple[float, ...]:
    """K, B, C: z = (d + 1/2) K F, F from H0 + B / (C + G)."""
    half = exact.fixed(beta, BITS) - exact.fixed(alpha, BITS) >> 1
    half -= half >> 23  # inward, as form WIDE does it
    inside = ONE - 2 * _upper(half)  # Δ = erf(b' / √2)
    square = max(inside, ONE >> 20) ** 2 >> BITS
    rough = exact.fixed(CENTRAL_A1, BITS)
    shift = ONE * CENTRAL_SHIFT[0] // CENTRAL_SHIFT[1] - square
    return (
        CENTRAL,
        _to(inside, 24, BITS + 31),
        _to((rough << BITS + 30) // square, 24),
        _to((shift << BITS + 30) // square, 24),
    )


def _wide(alpha: float, beta: float, mirrored: bool, precision: int) -> tuple[float, ...]:
    """Where z crosses zero among the words, then for the negative and for the positive side: the
    distance of the first word there, the tail outside the bound, the probability of a word, and
    that times √(2π).

    The crossing is computed from the true bounds.  Moving a bound inward shrinks only its side, so
    z stays correct near 0.
    """
    word = 32 if precision == 24 else 64
    a, b = _bounds(alpha, beta, precision - 1 if alpha >= 0.0 else None)
    below = 0 if a is None else _upper(-a)
    above = 0 if b is None else _upper(b)
    # Where w + 1/2 crosses zero, fixed, in words; then the first word on the positive side.
    crossing = ((ONE // 2 - below) << (BITS + word)) // (ONE - below - above)
    first = min(max(-((ONE // 2 - crossing) >> BITS), 0), (1 << word) - 1)
    distances = (crossing - (first << BITS) + ONE // 2, (first << BITS) + ONE // 2 - crossing)
    if alpha < 0.0:
        a, b = _bounds(alpha, beta, precision - 1)
        below = 0 if a is None else _upper(-a)
        above = 0 if b is None else _upper(b)
        steps = (
            ((ONE // 2 - below) << (BITS + word)) // crossing,
            ((ONE // 2 - above) << (BITS + word)) // ((ONE << word) - crossing),
        )
    else:
        steps = (ONE - below - above,) * 2
    root = exact.sqrt_two_pi(BITS)
    numbers = (
        *(_to(n, precision) for n in (*distances, below, above)),
        *(_to(n, precision, BITS + word) for n in steps),
        *(_to(n * root >> BITS, precision, BITS + word) for n in steps),
    )
    if precision == 24:
        return (WIDE, float(first), *numbers)
    return (WIDE, 1.0 if mirrored else 0.0, float(first >> 32), float(first & 0xFFFFFFFF), *numbers)


def _far(alpha: float, beta: float, mirrored: bool, precision: int) -> tuple[float, ...]:
    """The numbers for steps of the probability inside, in units of Q(alpha), and for z - alpha as a
    function of E = -ln of the probability that is left.
    """
    word = 32 if precision == 24 else 64
    at = exact.fixed(min(alpha, 2.0 ** (precision - 4)), BITS)
    left = _ratio(alpha, _bounds(alpha, beta, precision)[1])  # Q(β') / Q(α)
    hazard = (ONE << BITS) // exact.mills_fixed(at, BITS)
    slope = hazard * (hazard - at) >> BITS  # its derivative
    inside = ONE - left
    deepest = BITS * exact.ln2(BITS) - exact.log_fixed(
        (left + (inside >> (word + 1))) << BITS, BITS
    )
    shift = SHIFT[precision]
    scale = at + ONE * shift[0] // shift[1]
    coefficients = [0] * len(NODES[precision])
    if alpha < NO_CORRECTION:
        coefficients = _correction(at, hazard, slope, scale, deepest, NODES[precision])
    return (
        FAR,
        1.0 if mirrored else 0.0,
        _to(inside, precision, BITS + word),
        _to(left, precision) if left >> (BITS - 100) else 0.0,
        _up(alpha, precision),
        _to(inside, precision),
        _to(hazard, precision, BITS + 1),
        _to(slope * inside >> BITS, precision, BITS + 1),
        _to(scale, precision),
        *(_to(c, precision) for c in coefficients),
    )


def _up(x: float, precision: int) -> float:
    """The smallest number with `precision` bits that is at least x, for x >= 0: a bound rounded
    inward (float32: at most 2^120).
    """
    fraction, exponent = math.frexp(min(x, 2.0**120) if precision == 24 else x)
    return math.ldexp(math.ceil(math.ldexp(fraction, precision)), exponent - precision)


def _ratio(alpha: float, b: int | None) -> int:
    """Q(b) / Q(alpha) for alpha <= b, fixed; 0 if it is below 2^-BITS."""
    if b is None:
        return 0
    a = exact.fixed(alpha, BITS)
    if (b - a) * (b + a) >> 2 * BITS > 2 * BITS:
        return 0
    m, k = exact.exp_fixed(-((b - a) * (b + a) >> (BITS + 1)), BITS)
    shrunk = m * exact.mills_fixed(b, BITS) // exact.mills_fixed(a, BITS)
    return shrunk >> -k if k < 0 else shrunk << k


def _correction(
    at: int, hazard: int, slope: int, scale: int, deepest: int, nodes: tuple[int, ...]
) -> list[int]:
    """Coefficients of P, where z - alpha = x (1 + v^2 P(v)), v = x / (x + scale), and hazard x +
    slope x^2 / 2 = E.

    x is z - alpha as if the hazard grew with a constant slope.  P interpolates at the nodes, from
    the root of ln Q(alpha) - ln Q(alpha + delta) = E there.
    """
    root = math.isqrt((hazard * hazard) + 2 * slope * deepest)
    farthest = (2 * deepest << BITS) // (hazard + root)
    reach = max((farthest << BITS) // (farthest + scale), ONE // NARROWEST_RANGE)
    start = exact.log_fixed(exact.mills_fixed(at, BITS), BITS)
    places, values = [], []
    for node in nodes:
        v = reach * node >> 16
        x = scale * v // (ONE - v)
        level = (x * hazard >> BITS) + (x * x >> BITS) * slope // (2 * ONE)
        delta = _deeper(at, x, level, start)
        places.append(v)
        values.append((((delta - x) << BITS) // x << 2 * BITS) // (v * v))
    for order in range(1, len(nodes)):  # divided differences, then Newton's form multiplied out
        for k in range(len(nodes) - 1, order - 1, -1):
            values[k] = ((values[k] - values[k - 1]) << BITS) // (places[k] - places[k - order])
    result = [values[-1]]
    for k in range(len(nodes) - 2, -1, -1):
        shifted = [0, *result]
        result = [
            shifted[j] - (result[j] * places[k] >> BITS if j < len(result) else 0)
            for j in range(len(shifted))
        ]
        result[0] += values[k]
    return result


def _deeper(at: int, delta: int, level: int, start: int) -> int:
    """The delta with ln Q(at) - ln Q(at + delta) = level, by Halley's iteration from a delta near
    it.
    """
    for _ in range(12):
        x = at + delta
        mills = exact.mills_fixed(x, BITS)
        excess = start - exact.log_fixed(mills, BITS) + ((x + at) * delta >> (BITS + 1)) - level
        newton = excess * mills >> BITS
        bend = ((ONE << BITS) // mills - x) * newton >> BITS  # (λ' / λ) times the Newton step
        step = (newton << BITS) // (ONE - (bend >> 1))
        delta -= step
        if abs(step).bit_length() * 3 < abs(delta).bit_length() * 3 - BITS // 2 or not step:
            break
    return delta
