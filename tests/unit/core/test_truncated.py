"""The numbers of the truncated normal are the real numbers of stream-v1.md, section 6, each rounded
once; compared with mpmath.
"""

import math
from types import SimpleNamespace

import mpmath  # noqa: E402
import pytest

from fastinit._core import truncated

mpf = mpmath.mpf
INFINITY = math.inf
FLOAT32, FLOAT64 = (
    SimpleNamespace(wide=wide, name=name) for wide, name in ((False, "float32"), (True, "float64"))
)
BOTH = pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=lambda dtype: dtype.name)


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(120):
        yield


def upper(x):
    """1 - Φ(x)."""
    return mpf(x < 0) if mpmath.isinf(x) else mpmath.erfc(mpf(x) / mpmath.sqrt(2)) / 2


def log_upper(x):
    return mpmath.log(upper(x))


def rounded(x, precision):
    with mpmath.workprec(precision):
        return float(+x)


def inward(alpha, beta, bits):
    alpha, beta = mpf(alpha), mpf(beta)
    a, b = (
        0 if mpmath.isinf(x) else min(abs(x) * mpf(2) ** -bits, (beta - alpha) / 16)
        for x in (alpha, beta)
    )
    return alpha + a, beta - b


def central(alpha, beta):
    half = (mpf(beta) - mpf(alpha)) / 2 * (1 - mpf(2) ** -23)
    inside = mpmath.erf(half / mpmath.sqrt(2))
    square = max(inside, mpf(2) ** -20) ** 2
    rough = mpf(float.fromhex("0x1.9a3eeap-2")) * 2**30 / square
    return [inside / 2**31, rough, (mpf(12839) / 10000 - square) * 2**30 / square]


def wide(alpha, beta, word, precision):
    a, b = inward(alpha, beta, precision - 1)
    true_a, true_b = (mpf(alpha), mpf(beta)) if alpha < 0 else (a, b)
    crossing = (mpf(1) / 2 - upper(-true_a)) * 2**word / (1 - upper(-true_a) - upper(true_b))
    first = min(max(int(mpmath.ceil(crossing - mpf(1) / 2)), 0), 2**word - 1)
    below, above = upper(-a), upper(b)
    if alpha < 0:
        steps = [(mpf(1) / 2 - below) / crossing, (mpf(1) / 2 - above) / (2**word - crossing)]
    else:
        steps = [(1 - below - above) / 2**word] * 2
    distances = [crossing - first + mpf(1) / 2, first + mpf(1) / 2 - crossing]
    return first, [
        *distances,
        below,
        above,
        *steps,
        *(s * mpmath.sqrt(2 * mpmath.pi) for s in steps),
    ]


def far(alpha, beta, word, precision):
    """All but the correction, then the correction's polynomial as a function, and its reach."""
    left = upper(inward(alpha, beta, precision)[1]) / upper(alpha)
    inside = 1 - left
    hazard = mpmath.exp(-(mpf(alpha) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi) / upper(alpha)
    slope = hazard * (hazard - mpf(alpha))
    scale = mpf(alpha) + (mpf(5) / 2 if word == 32 else 4)
    deepest = -mpmath.log(left + inside / mpf(2) ** (word + 1))
    farthest = 2 * deepest / (hazard + mpmath.sqrt(hazard**2 + 2 * slope * deepest))
    reach = max(farthest / (farthest + scale), mpf(1) / 16)

    def correction(v):
        x = scale * v / (1 - v)
        level = log_upper(alpha) - hazard * x - slope * x * x / 2
        delta = x
        for _ in range(9):
            z = mpf(alpha) + delta
            density = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
            delta += (log_upper(z) - level) * upper(z) / density
        return (delta / x - 1) / v**2

    bound = rounded(mpf(alpha), precision)
    assert bound == alpha  # the cases take bounds that need no rounding
    return (
        [inside / 2**word, left, bound, inside, hazard / 2, slope * inside / 2, scale],
        correction,
        reach,
    )


CENTRAL_CASES = [
    (-2.0, 2.0),
    (-1.0, 1.0),
    (-0.3, 0.3),
    (-1e-9, 1e-9),
    (-2.0000000000000004, 1.9999999999999996),
]
WIDE_CASES = [
    (-1.0, 3.0),
    (-3.0, 3.0),
    (-1000.0, 1000.0),
    (-0.001, 0.002),
    (-INFINITY, 0.3),
    (-5.0, 1e-9),
    (-2.5, 2.5),
]
WIDE_FLOAT64_CASES = [
    (-2.0, 2.0),
    (0.0, INFINITY),
    (1.0, 1.5),
    (2.5, INFINITY),
    (1.0, 1.0 + 2.0**-40),
    (3.99, 4.5),
]
FAR_FLOAT32_CASES = [
    (0.0, INFINITY),
    (0.0, 0.001),
    (1.0, INFINITY),
    (1.0, 1.0009765625),
    (2.5, 3.0),
]
FAR_CASES = [(4.0, INFINITY), (4.0, 5.0), (8.0, 10.0), (9.0, INFINITY), (16.0, 16.0009765625)]


@pytest.mark.parametrize("case", CENTRAL_CASES, ids=str)
def test_numbers_of_symmetric_bounds(case):
    form, *numbers = truncated.parameters(*case, FLOAT32)
    assert form == truncated.CENTRAL
    assert numbers == [rounded(x, 24) for x in central(*case)]


@BOTH
@pytest.mark.parametrize("case", WIDE_CASES + WIDE_FLOAT64_CASES, ids=str)
def test_numbers_of_bounds_around_zero(case, dtype):
    if case in WIDE_FLOAT64_CASES and dtype is FLOAT32:
        return  # another form there
    word, precision = (64, 53) if dtype.wide else (32, 24)
    form, *numbers = truncated.parameters(*case, dtype)
    first, rest = wide(*case, word, precision)
    head = [0.0, float(first >> 32), float(first & 0xFFFFFFFF)] if dtype.wide else [float(first)]
    assert form == truncated.WIDE
    assert numbers == [*head, *(rounded(x, precision) for x in rest)]


@BOTH
@pytest.mark.parametrize("case", FAR_CASES + FAR_FLOAT32_CASES, ids=str)
def test_numbers_of_bounds_on_one_side(case, dtype):
    if case in FAR_FLOAT32_CASES and dtype.wide:
        return  # another form there
    word, precision = (64, 53) if dtype.wide else (32, 24)
    form, flip, *numbers = truncated.parameters(*case, dtype)
    rest, correction, reach = far(*case, word, precision)
    assert (form, flip) == (truncated.FAR, 0.0)
    if rest[1] < mpf(2) ** -100:
        rest[1] = mpf(0)
    assert numbers[:7] == [rounded(x, precision) for x in rest]
    nodes = truncated.NODES[precision]
    assert len(numbers) == 7 + len(nodes)
    places = [reach * node / 2**16 for node in nodes]
    powers = mpmath.matrix([[v**k for k in range(len(nodes))] for v in places])
    exact = mpmath.lu_solve(powers, mpmath.matrix([correction(v) for v in places]))
    assert numbers[7:] == [rounded(c, precision) for c in exact]


@BOTH
def test_bounds_on_the_negative_side_are_mirrored(dtype):
    for low, high in [(1.0, INFINITY), (8.0, 10.0), (0.0, 2.0), (5.0, 5.5)]:
        plain, mirrored = (
            list(truncated.parameters(*pair, dtype)) for pair in ((low, high), (-high, -low))
        )
        assert (plain[1], mirrored[1]) == (0.0, 1.0)
        plain[1] = 1.0
        assert mirrored == plain


def test_the_nearer_bound_is_rounded_inward():
    third = 1 / 3
    for low, high in [(third, INFINITY), (-INFINITY, -third)]:
        # Not 11184810, below the bound.
        assert truncated.parameters(low, high, FLOAT32)[4] == 11184811 / 2**25
    assert truncated.parameters(12 + third, INFINITY, FLOAT64)[4] == 12 + third


@BOTH
def test_a_bound_far_beyond_all_others_has_finite_numbers(dtype):
    for alpha, beta in [
        (1e5, INFINITY),
        (1e10, 2e10),
        (1e30, INFINITY),
        (1e300, INFINITY),
        (70000.0, 70001.0),
    ]:
        form, *numbers = truncated.parameters(alpha, beta, dtype)
        assert form == truncated.FAR
        assert all(map(math.isfinite, numbers))
        assert not any(numbers[8:])  # no correction


@BOTH
def test_bounds_that_are_not_an_interval_are_refused(dtype):
    for alpha, beta in [
        (1.0, 1.0),
        (2.0, 1.0),
        (math.nan, 1.0),
        (INFINITY, INFINITY),
        (0.0, 1e-25),
        (-1e-25, 1e-26),
    ]:
        with pytest.raises(ValueError):
            truncated.parameters(alpha, beta, dtype)
