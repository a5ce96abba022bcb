"""_core/math.py against mpmath: every function is correctly rounded, at thousands of fixed points
and at the edges.

mpmath computes with 60 digits or more; its value, rounded to the nearest double, must be the double
that _core/math.py gives.
"""

import ast
import math
import random
from fractions import Fraction
from pathlib import Path

import mpmath  # noqa: E402
import pytest

from fastinit._core import math as _math

INFINITY = math.inf


@pytest.fixture(autouse=True)
def _sixty_digits():
    with mpmath.workdps(60):
        yield


def near_zero(rng, count, decades=20):
    return [rng.uniform(-1, 1) * 10.0 ** -rng.randint(0, decades) for _ in range(count)]


def upper_tail(x):
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


def mills(x):
    """Q(x) / φ(x)."""
    if x > 10**4:  # the asymptotic series, which is as exact there as mpmath's erfc
        total, term = mpmath.mpf(0), mpmath.mpf(1)
        for k in range(1, 9):
            total += term
            term *= -(2 * k - 1) / x**2
        return total / x
    with mpmath.workdps(90):
        return upper_tail(x) * mpmath.sqrt(2 * mpmath.pi) * mpmath.exp(x * x / 2)


def quantile(p, start):
    """Φ⁻¹(p) by Newton's iteration in mpmath from a double that is nearly it."""
    q, x = min(p, 1 - p), abs(mpmath.mpf(start))
    for _ in range(3):
        x += (upper_tail(x) - q) * mpmath.sqrt(2 * mpmath.pi) * mpmath.exp(x * x / 2)
    return x if p > 0.5 else -x


def nearest(x):
    """The nearest double; float(mpf) rounds twice where the result is subnormal."""
    man, exp = abs(mpmath.mpf(x)).man_exp
    return math.copysign(float(Fraction(man) * Fraction(2) ** exp), x)


def assert_correctly_rounded(function, exact, points):
    wrong = [(x, function(x), nearest(exact(mpmath.mpf(x)))) for x in points]
    wrong = [row for row in wrong if row[1] != row[2]]
    assert not wrong, f"{len(wrong)} of {len(points)}, first (argument, ours, exact): {wrong[0]}"


def test_exp_is_correctly_rounded():
    rng = random.Random(1)
    points = [rng.uniform(-745, 709.7) for _ in range(1500)] + near_zero(rng, 1000)
    points += [
        0.0,
        1.0,
        -1.0,
        2.0**-53,
        -(2.0**-54),
        2.0**-80,
        709.782712893384,
        -745.1332191019411,
        -745.2,
        -708.5,
    ]
    assert_correctly_rounded(_math.exp, mpmath.exp, points)
    with pytest.raises(OverflowError):
        _math.exp(709.8)


def test_log_is_correctly_rounded():
    rng = random.Random(2)
    points = [rng.uniform(0, 1) * 10.0 ** rng.randint(-300, 300) for _ in range(1500)]
    points += [1 + x for x in near_zero(rng, 1000, 16) if x > -1]
    points += [5e-324, 1.0, 2.0, 1 - 2**-53, 1 + 2**-52, 1.7976931348623157e308, 0.7, 0.70710678]
    assert_correctly_rounded(_math.log, mpmath.log, points)
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError):
            _math.log(bad)


def test_the_inverse_of_softplus_is_correctly_rounded():
    rng = random.Random(11)
    points = [10.0 ** rng.uniform(-18, 2) for _ in range(300)] + [
        5e-324, 2.0**-60, 1e-4, 0.001, 0.1, math.log(2.0), 1.0, 40.0, 64.0, 64.5, 700.0, 1e300,
    ]  # fmt: skip
    with mpmath.workdps(700):
        exact = [mpmath.log(mpmath.expm1(mpmath.mpf(x))) if x < 900 else x for x in points]
        for x, value in zip(points, exact, strict=True):
            assert _math.log_expm1(x) == nearest(value), x
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="must be > 0"):
            _math.log_expm1(bad)


def test_pow_is_correctly_rounded_and_exact_where_the_result_is():
    rng = random.Random(3)
    pairs = [
        (rng.uniform(0, 1) * 10.0 ** rng.randint(-90, 90), rng.uniform(-3, 3)) for _ in range(1500)
    ]
    pairs += [
        (4.0, 0.5),
        (2.0, 10.0),
        (9.0, 1.5),
        (8.0, -1 / 3),
        (1 + 2**-52, 2.0**60),
        (3.0, 33.0),
        (0.1, -0.25),
    ]
    wrong = [(x, y) for x, y in pairs if _math.pow(x, y) != nearest(mpmath.mpf(x) ** mpmath.mpf(y))]
    assert not wrong
    assert [_math.pow(*pair) for pair in ((0.0, 2.0), (0.0, 0.0), (7.0, 0.0), (0.5, 1e300))] == [
        0.0,
        1.0,
        1.0,
        0.0,
    ]
    with pytest.raises(ValueError):
        _math.pow(-1.0, 2.0)
    with pytest.raises(OverflowError):
        _math.pow(2.0, 1e300)


def test_the_upper_tail_is_correctly_rounded_down_to_subnormals():
    rng = random.Random(4)
    points = [rng.uniform(0.0, 38.6) for _ in range(1500)]
    points += [abs(x) for x in near_zero(rng, 500)]
    points += [0.0, 5.0, math.nextafter(5.0, 0.0), 37.5, 38.4, 38.5]
    assert_correctly_rounded(
        lambda x: _math.to_double(*_math.sf_fixed(_math.fixed(x))), upper_tail, points
    )


def test_mills_ratio_is_correctly_rounded_however_far_out():
    rng = random.Random(6)
    points = [rng.uniform(0, 60) for _ in range(500)]
    points += [10.0 ** rng.uniform(1, 150) for _ in range(100)]
    points += [0.0, 5.0, math.nextafter(5.0, 0.0)]

    def ours(x):
        bits = _math.BITS + max(0, 2 * math.frexp(x)[1])
        return _math.to_double(_math.mills_fixed(_math.fixed(x, bits), bits), -bits)

    assert_correctly_rounded(ours, mills, points)


def test_quantiles_are_correctly_rounded():
    rng = random.Random(7)
    points = [rng.uniform(0, 1) for _ in range(200)] + [
        10.0 ** rng.uniform(-323, -1) for _ in range(200)
    ]
    points += [0.5 + x / 2 for x in near_zero(rng, 100, 16)] + [
        1 - 10.0 ** -rng.uniform(1, 15) for _ in range(100)
    ]
    points += [0.5, 5e-324, 0.25, 1 - 2**-53, math.nextafter(0.5, 0), math.nextafter(0.5, 1)]
    points = [p for p in points if 0 < p < 1]
    wrong = [
        p
        for p in points
        if _math.norm_ppf(p) != nearest(quantile(mpmath.mpf(p), _math.norm_ppf(p)))
    ]
    assert not wrong
    assert (_math.norm_ppf(0.0), _math.norm_ppf(1.0)) == (-INFINITY, INFINITY)
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError):
            _math.norm_ppf(bad)


def exact_truncated_std(alpha, beta):
    def density(x):
        return (
            mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi) if abs(x) < 1e5 else mpmath.mpf(0)
        )

    def moment(x):
        return x * density(x) if abs(x) < 1e5 else mpmath.mpf(0)

    def tail(x):
        return upper_tail(x) if abs(x) < 1e5 else mpmath.mpf(x < 0)

    with mpmath.workdps(700):
        a, b = mpmath.mpf(alpha), mpmath.mpf(beta)
        a, b = (-b, -a) if b <= 0 else (a, b)
        area = tail(a) - tail(b)
        mean = (density(a) - density(b)) / area
        return nearest(mpmath.sqrt(1 + (moment(a) - moment(b)) / area - mean**2))


def test_std_of_a_truncated_normal_is_correctly_rounded():
    rng = random.Random(8)
    cases = [(-1, 1), (-2, 2), (-3, 3), (-4, 4), (0, INFINITY), (-INFINITY, 0), (8, 10), (100, 101)]
    cases += [
        (1, 1.001),
        (-1, 3),
        (1, 1 + 2**-40),
        (-1000, 1000),
        (-1e-9, 1e-9),
        (-1e-9, 3),
        (-40, -39),
    ]
    cases += [
        (-40, 0.5),
        (2.5, INFINITY),
        (9, INFINITY),
        (-INFINITY, -2.5),
        (-INFINITY, INFINITY),
        (-30, 31),
    ]
    for _ in range(60):
        low = rng.uniform(-12, 12)
        cases.append((low, low + 10.0 ** rng.uniform(-9, 1.2)))
    wrong = [
        case
        for case in cases
        if _math.truncated_std(*map(float, case)) != exact_truncated_std(*case)
    ]
    assert not wrong


def test_std_of_a_truncated_normal_has_the_known_values_and_limits():
    known = {1.0: 0.5395601, 2.0: 0.8796257, 3.0: 0.9865784, 4.0: 0.9994645}
    assert {k: round(_math.truncated_std(-k, k), 7) for k in known} == known
    # Exponential of rate alpha.
    assert _math.truncated_std(1e300, INFINITY) == pytest.approx(1e-300, rel=1e-15)
    # Uniform.
    assert _math.truncated_std(0.0, 1e-300) == pytest.approx(1e-300 / math.sqrt(12), rel=1e-15)
    for low, high in ((1.0, 1.0), (2.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(ValueError):
            _math.truncated_std(low, high)


def test_no_libm_function_is_called():
    exact = {"frexp", "ldexp", "isqrt", "sqrt", "isinf", "copysign", "inf"}
    tree = ast.parse(Path(_math.__file__).read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if getattr(node.value, "id", "") == "math"}
    assert used <= exact
    assert {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } == {"math"}
