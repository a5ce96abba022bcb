"""exp, log, ln(e^x - 1), pow, Φ⁻¹, the upper tail and the std of a truncated normal, in Python
integers only.  Results that are doubles are correctly rounded.

A parameter of a draw is part of the stream (stream-v1.md section 3), so it may not come from a libm
that differs by a bit between machines.  Everything here is exact integer arithmetic on numbers
scaled by 2^bits ("fixed"), about 100 bits finer than a double, and rounded once at the end.  So the
results do not depend on the caller's rounding mode, and each function is specified as its
mathematical value, rounded to nearest even.  tests/unit/core/test_math.py compares with mpmath.
It may not import NumPy or call libm.  Used by truncated.py (kernel parameters), ../gain.py,
../recipes and ../torch/accelerate.py.
"""

import math
from functools import lru_cache

BITS = 192  # default number of fraction bits of a fixed number
GUARD = 40  # extra bits inside a function, for its rounding errors
SERIES_END = 5  # Mills' ratio: a power series below, a continued fraction above; equal cost at 5


# ---- constants, to any number of bits ------------------------------------------------------------


def _arctangent(inverse: int, bits: int, sign: int) -> int:
    """atan(1/inverse) (sign -1) or atanh(1/inverse) (sign +1)."""
    power = total = (1 << bits) // inverse
    square, n = inverse * inverse, 1
    while power:
        power //= square
        n += 2
        total += (sign if n & 2 else 1) * (power // n)
    return total


@lru_cache(maxsize=64)
def ln2(bits: int) -> int:
    """ln 2."""
    work = bits + GUARD
    parts = ((18, 26), (-2, 4801), (8, 8749))
    return sum(count * _arctangent(inverse, work, 1) for count, inverse in parts) >> GUARD


@lru_cache(maxsize=64)
def pi(bits: int) -> int:
    """π, by Machin's formula."""
    work = bits + GUARD
    return (16 * _arctangent(5, work, -1) - 4 * _arctangent(239, work, -1)) >> GUARD


@lru_cache(maxsize=64)
def sqrt_two_pi(bits: int) -> int:
    """√(2π)."""
    return math.isqrt(pi(bits) << (bits + 1))


# ---- fixed-point functions -----------------------------------------------------------------------


def fixed(x: float, bits: int = BITS) -> int:
    """The double x times 2^bits, rounded down (exact where x has no finer bits)."""
    numerator, denominator = x.as_integer_ratio()
    return (numerator << bits) // denominator


def to_double(n: int, exponent: int) -> float:
    """n * 2^exponent to the nearest double, ties to even.

    n is accurate to 128 bits and is rounded to those first, so that exact results, such as
    pow(4.0, 0.5), come out exact.  OverflowError as in `math`; gradual underflow.
    """
    cut = abs(n).bit_length() - 128
    if cut > 0:
        n = (n + (1 << (cut - 1))) >> cut
        exponent += cut
    if exponent >= 0:
        if n and n.bit_length() + exponent > 1100:
            raise OverflowError("the result is beyond the range of a double")
        return float(n << exponent)
    # CPython divides integers to the nearest double, subnormal ones included.
    return n / (1 << -exponent)


def exp_fixed(x: int, bits: int = BITS) -> tuple[int, int]:
    """e^x for a fixed x: (m, k) with e^x = m * 2^(k - bits) and m / 2^bits in [0.7, 1.42]."""
    work = bits + GUARD + max(0, x.bit_length() - bits)
    one, x = 1 << work, x << (work - bits)
    logarithm = ln2(work)
    k = (2 * x + logarithm) // (2 * logarithm)
    r = (x - k * logarithm) >> 8  # e^r by its series, then eight squarings
    total = term = one
    n = 1
    while term:
        term = (term * r >> work) // n if r >= 0 else -((-term * r >> work) // n)
        total += term
        n += 1
    for _ in range(8):
        total = total * total >> work
    return total >> (work - bits), k


def log_fixed(n: int, bits: int = BITS) -> int:
    """ln of a positive fixed number, to an absolute 2^-bits."""
    shift = n.bit_length() - bits
    work = bits + GUARD
    one = 1 << work
    m = n << (GUARD - shift) if shift <= GUARD else n >> (shift - GUARD)  # in [1/2, 1)
    if m * m < one << (work - 1):
        m, shift = m << 1, shift - 1  # in [√½, √2)
    y = ((m - one) << work) // (m + one)
    square = y * y >> work
    total, power, k = 0, y, 1
    while power not in (0, -1):
        total += power // k
        power = power * square >> work
        k += 2
    return (2 * total + shift * ln2(work)) >> GUARD


def mills_fixed(x: int, bits: int = BITS) -> int:
    """Mills' ratio Q(x)/φ(x) for a fixed x >= 0, Q = 1 - Φ; to 2^-bits of itself."""
    work = bits + GUARD + max(0, x.bit_length() - bits)
    x <<= work - bits
    if x >> work < SERIES_END:
        m, k = exp_fixed(x * x >> (work + 1), work)
        square = x * x >> work
        term, total, n = x, 0, 1
        while term:
            total += term
            n += 2
            term = (term * square >> work) // n
        grown = sqrt_two_pi(work) * m
        result = (grown >> (work + 1 - k)) - total
    else:  # 1/(x + 1/(x + 2/(x + 3/ ...))), whose error falls as exp(-2 x √(2n))
        steps = work * 45426 // 65536 + 10
        whole = x >> work
        square = 1 << (2 * work)
        denominator = x
        for n in range((steps // (2 * whole)) ** 2 // 2 + 8, 0, -1):
            denominator = x + n * square // denominator
        result = square // denominator
    return result >> (work - bits)


def sf_fixed(x: int, bits: int = BITS) -> tuple[int, int]:
    """Q(x) = 1 - Φ(x) for a fixed x >= 0: (m, e) with Q = m * 2^e, to about 2^-bits of itself."""
    work = bits + 2 * max(0, x.bit_length() - bits)  # x² / 2 is large for large x
    m, k = exp_fixed(-(x * x) >> (2 * bits - work + 1), work)
    return (m * mills_fixed(x, bits) // sqrt_two_pi(work)), k - bits


# ---- doubles in, doubles out ---------------------------------------------------------------------


def exp(x: float) -> float:
    """e^x."""
    if x > 710.0 or x < -746.0:
        return 0.0 if x < 0.0 else to_double(1, 2000)
    if abs(x) < 2.0**-60:
        return 1.0
    m, k = exp_fixed(fixed(x))
    return to_double(m, k - BITS)


def _log(x: float, bits: int) -> int:
    """ln of a positive double as a fixed number; one in [0.7, 1.4] is not scaled, so near 1 nothing
    cancels.
    """
    fraction, shift = math.frexp(x)
    if fraction < 0.7:
        fraction, shift = 2.0 * fraction, shift - 1
    return log_fixed(fixed(fraction, bits), bits) + shift * ln2(bits)


def log(x: float) -> float:
    """ln x, x > 0."""
    if x <= 0.0:
        raise ValueError(f"log of {x}; it must be > 0")
    return to_double(_log(x, 2 * BITS), -2 * BITS)


def log_expm1(x: float) -> float:
    """ln(e^x - 1), x > 0: the inverse of softplus."""
    if not x > 0.0:
        raise ValueError(f"ln(e^x - 1) of {x}; it must be > 0")
    if x > 64.0:
        return x  # e^-x is far below half an ulp
    bits = 2 * (BITS + max(0, -math.frexp(x)[1]))  # e^x - 1 cancels more bits for smaller x
    m, k = exp_fixed(fixed(x, bits), bits)
    return to_double(log_fixed((m << k) - (1 << bits), bits), -bits)


def pow(x: float, y: float) -> float:  # noqa: A001
    """x^y for x >= 0 (0^y = 0 for y > 0)."""
    if x < 0.0 or (x == 0.0 and y < 0.0):
        raise ValueError(f"{x} to the power {y}; the base must be positive")
    if x == 0.0 or y == 0.0:
        return 1.0 if y == 0.0 else 0.0
    bits = 2 * BITS
    numerator, denominator = y.as_integer_ratio()
    power = _log(x, bits) * numerator // denominator
    if abs(power) >> bits > 800:
        return 0.0 if power < 0 else to_double(1, 2000)
    m, k = exp_fixed(power, bits)
    return to_double(m, k - bits)


def isf_fixed(m: int, e: int, bits: int = BITS) -> int:
    """The fixed x >= 0 with Q(x) = m * 2^e <= 1/2: a rough start, then Halley's iteration."""
    level = log_fixed(m << bits, bits) + e * ln2(bits)  # ln Q
    rough = math.sqrt(max(0.0, -2.0 * (level / (1 << bits))))
    # Abramowitz and Stegun 26.2.23, 4.5e-4
    over = 2.515517 + rough * (0.802853 + rough * 0.010328)
    under = 1.0 + rough * (1.432788 + rough * (0.189269 + rough * 0.001308))
    x = fixed(max(0.0, rough - over / under), bits)
    one = 1 << bits
    root = sqrt_two_pi(bits)
    for _ in range(12):
        grown, k = exp_fixed(x * x >> (bits + 1), bits)
        level_over_density = (
            (m * grown * root >> (2 * bits - (k + e + bits)))
            if k + e + bits <= 2 * bits
            else (m * grown * root << (k + e - bits))
        )
        u = mills_fixed(x, bits) - level_over_density
        x += (u << bits) // (one - (x * u >> (bits + 1)))
        if abs(u).bit_length() * 3 < 2 * bits - 24:
            break
    return x


def norm_ppf(p: float) -> float:
    """Φ⁻¹(p): the z with lower tail p."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p is {p}; it must be in [0, 1]")
    if p in (0.0, 1.0):
        return math.copysign(math.inf, p - 0.5)
    numerator, denominator = min(p, 1.0 - p).as_integer_ratio()  # bits: 1 - p is exact from 1/2 up
    x = isf_fixed(numerator, 1 - denominator.bit_length())
    return to_double(x if p > 0.5 else -x, -BITS)


def truncated_std(alpha: float, beta: float) -> float:
    """Standard deviation of a standard normal kept to [alpha, beta]; either may be infinite.

    sqrt(1 + (α φ(α) - β φ(β))/Z - ((φ(α) - φ(β))/Z)²), Z = Φ(β) - Φ(α), with extra bits to make up
    for cancellation.
    """
    if not alpha < beta:
        raise ValueError(f"bounds {alpha} and {beta}; the first must be the smaller")
    if beta <= 0.0 or -alpha > beta:
        alpha, beta = -beta, -alpha  # now the nearer bound, if on one side, is alpha >= 0
    if math.isinf(alpha):
        return 1.0
    size = max(
        0, math.frexp(max(abs(alpha), 1.0 if math.isinf(beta) else min(beta, 64.0 + abs(alpha))))[1]
    )
    gap = 0 if math.isinf(beta) else max(0, 2 - math.frexp(beta - alpha)[1])
    bits = BITS + 6 * size + 5 * gap
    one = 1 << bits
    a = fixed(alpha, bits)
    finite = not math.isinf(beta)
    b = fixed(beta, bits) if finite else 0
    # Everything is divided by the density at the bound nearer to zero, so that far tails do not
    # vanish.
    if alpha >= 0.0:
        density_a, density_b, area = one, 0, mills_fixed(a, bits)
        if finite:
            m, k = exp_fixed((a * a - b * b) >> (bits + 1), bits)
            density_b = m << k if k >= 0 else m >> -k
            area -= mills_fixed(b, bits) * density_b >> bits
    else:
        (m, k), (n, j) = (
            exp_fixed(-(a * a) >> (bits + 1), bits),
            exp_fixed(-(b * b) >> (bits + 1), bits),
        )
        density_a, density_b = m >> -k, (n >> -j) if finite else 0
        area = sqrt_two_pi(bits) - (mills_fixed(-a, bits) * density_a >> bits)
        if finite:
            area -= mills_fixed(b, bits) * density_b >> bits
    mean = ((density_a - density_b) << bits) // area
    slope = (a * density_a - b * density_b) // area
    variance = one + slope - (mean * mean >> bits)
    return to_double(math.isqrt(variance << bits), -bits)
