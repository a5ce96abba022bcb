"""Fits every constant of the truncated normal's three forms and prints them as hexadecimal floats.

    python tests/derivation/fit_truncated.py [central wide log near float32 float64 ...]

The fits are minimax, by Remez' exchange in mpmath on a fixed grid, so that every machine prints the
same digits.  Each coefficient is rounded to the working type in turn, and the others are fitted
again around it.  What each polynomial is for: fastinit/reference/truncated.py.  sweep_truncated.c
measures the result.  This is not part of the package and needs only mpmath.
"""

import sys

import mpmath as mp

mp.mp.dps = 60
GRID = 1500


def hexadecimal(x, precision):
    """The mpf x, already rounded, as a C hexadecimal float."""
    return float(x).hex() if precision == 53 else float.hex(float(x)).replace("0000000p", "p")


def rounded(x, precision):
    with mp.workprec(precision):
        return +x


def nodes(low, high, count=GRID):
    """A Chebyshev grid of [low, high], ends included."""
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    return [middle - half * mp.cos(mp.pi * k / (count - 1)) for k in range(count)]


def remez(columns, target, weight):
    """The coefficients c that minimize max |weight (sum c_j columns_j - target)| over the grid, and
    that maximum.
    """
    terms, count = len(columns), len(target)
    places = [round(k * (count - 1) / terms) for k in range(terms + 1)]
    best = None
    for _ in range(60):
        matrix = mp.matrix(terms + 1, terms + 1)
        right = mp.matrix(terms + 1, 1)
        for row, at in enumerate(places):
            for j in range(terms):
                matrix[row, j] = columns[j][at]
            matrix[row, terms] = (-1) ** row / weight[at]
            right[row] = target[at]
        solution = mp.lu_solve(matrix, right)
        errors = [
            weight[at] * (mp.fsum(solution[j] * columns[j][at] for j in range(terms)) - target[at])
            for at in range(count)
        ]
        largest = max(abs(e) for e in errors)
        if best is None or largest < best[1]:
            best = ([solution[j] for j in range(terms)], largest)
        if largest < abs(solution[terms]) * (1 + mp.mpf(10) ** -6):
            break
        # One extremum for every run of equal sign; of these, the terms + 1 in a row whose smallest
        # is largest.
        extrema = []
        for at, error in enumerate(errors):
            if extrema and (error > 0) == (errors[extrema[-1]] > 0):
                if abs(error) > abs(errors[extrema[-1]]):
                    extrema[-1] = at
            else:
                extrema.append(at)
        while len(extrema) > terms + 1:
            extrema = (
                extrema[1:] if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else extrema[:-1]
            )
        if len(extrema) < terms + 1:
            break
        places = extrema
    return best


def polynomial(variable, powers, target, weight, precision):
    """Fit sum c_k variable^k; in float32 each coefficient is rounded in turn and the rest fitted
    again around it.
    """
    columns = {k: [v**k for v in variable] for k in powers}
    fixed, rest, left = {}, list(powers), list(target)
    coefficients, exact = remez([columns[k] for k in powers], target, weight)
    while rest:
        if precision == 24 and fixed:
            coefficients, _ = remez([columns[k] for k in rest], left, weight)
        k = rest.pop(0)
        fixed[k] = rounded(coefficients.pop(0), precision)
        left = [y - fixed[k] * c for y, c in zip(left, columns[k], strict=True)]
    error = max(abs(w * y) for w, y in zip(weight, left, strict=True))
    return fixed, error, exact


def report(title, constants, error, exact, precision):
    error, exact = (mp.nstr(e * mp.mpf(2) ** precision, 4) for e in (error, exact))
    kind = "float32" if precision == 24 else "float64"
    print(
        f"{title}, {kind}: {error} x 2^-{precision} of the result ({exact} before rounding the "
        "coefficients)"
    )
    for name, value in constants.items():
        print(f"    {name:<12} {hexadecimal(value, precision):<26} {mp.nstr(value, 20)}")


def quantile(tail):
    """The z > 0 with upper tail `tail`."""
    if tail == mp.mpf(1) / 2:
        return mp.mpf(0)
    r = mp.sqrt(-2 * mp.log(tail))
    # Abramowitz and Stegun 26.2.23.
    over, under = (
        (2.515517, 0.802853, 0.010328),
        (1, 1.432788, 0.189269, 0.001308),
    )
    z = max(r - mp.polyval(over[::-1], r) / mp.polyval(under[::-1], r), mp.mpf(0))
    for _ in range(4):
        u = (mp.erfc(z / mp.sqrt(2)) / 2 - tail) * mp.sqrt(2 * mp.pi) * mp.exp(z * z / 2)
        z += u / (1 - z * u / 2)
    return z


def central():
    """Form 0: with s = x^2, x = 2q = erf(z / sqrt 2): z / x = A + A's polynomial, A = H0 + A1 / (C
    + 1 - s).
    """
    precision, c = 24, mp.mpf("0.2839")
    bound = 2 * (1 + mp.mpf(2) ** -20)
    end = 1 - mp.erf(bound / mp.sqrt(2)) ** 2
    v = nodes(1 / (1 + c), 1 / (c + end))
    x = [mp.sqrt(max(1 + c - 1 / w, 0)) for w in v]
    ratio = [
        mp.sqrt(2) * mp.erfinv(s) / s if s > mp.mpf(10) ** -20 else mp.sqrt(mp.pi / 2) for s in x
    ]
    middle = (v[0] + v[-1]) / 2
    weight = [1 / y for y in ratio]
    powers = [2, 3, 4, 5, 6, 7, 9, 11]
    free, _ = remez(
        [[mp.mpf(1)] * GRID, *([(w - middle) ** k for w in v] for k in [1, *powers])], ratio, weight
    )
    a0, a1 = rounded(free[0], precision), rounded(free[1], precision)
    h0 = rounded(a0 - a1 * middle, precision)
    t = [h0 + a1 * w - a0 for w in v]
    left = [y - a0 - s for y, s in zip(ratio, t, strict=True)]
    found, error, exact = polynomial(t, powers, left, weight, precision)
    names = {"A1": a1, "H0": h0, "A0": a0, **{f"C{k}": found[k] for k in powers}}
    report(f"central, c = {mp.nstr(c, 6)}", names, error, exact, precision)


def log(precision, terms):
    """ln(1 + f) = f - (f^2/2 - s (f^2/2 + R)), s = f / (2 + f), R = z (L1 + z (L2 + ...)), z =
    s^2.
    """
    s = nodes(mp.mpf(10) ** -6, (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * (1 + mp.mpf(2) ** -20))
    target = [(mp.log((1 + y) / (1 - y)) - 2 * y) / y**3 for y in s]
    found, error, exact = polynomial(
        [y * y for y in s], list(range(terms)), target, [y**3 for y in s], precision
    )
    report("log", {f"L{k + 1}": found[k] for k in found}, error, exact, precision)


def near(precision, terms):
    """z = x + x (s P(s)), x = sqrt(2 pi) q, s = x^2, |q| <= 1/4."""
    q = nodes(mp.mpf(10) ** -6, mp.mpf(1) / 4 * (1 + mp.mpf(2) ** -12))
    z = [mp.sqrt(2) * mp.erfinv(2 * y) for y in q]
    x = [mp.sqrt(2 * mp.pi) * y for y in q]
    target = [(u / y - 1) / y**2 for u, y in zip(z, x, strict=True)]
    weight = [y**3 / u for u, y in zip(z, x, strict=True)]
    found, error, exact = polynomial(
        [y * y for y in x], list(range(terms)), target, weight, precision
    )
    report("near zero", {f"N{k}": found[k] for k in found}, error, exact, precision)


def tail(precision, degree, c, end):
    """z = r - g, r = sqrt(-2 ln tail), g a polynomial in t = 1 / (r + c) - T0."""
    start = mp.sqrt(2 * mp.log(4)) * (1 - mp.mpf(2) ** -16)
    v = nodes(1 / (mp.mpf(end) + c), 1 / (start + c), 500)
    r = [1 / w - c for w in v]
    z = [quantile(mp.exp(-y * y / 2)) for y in r]
    middle = rounded((v[0] + v[-1]) / 2, 12)
    target = [y - u for y, u in zip(r, z, strict=True)]
    found, error, exact = polynomial(
        [w - middle for w in v], list(range(degree + 1)), target, [1 / u for u in z], precision
    )
    names = {"T0": middle, **{f"G{k}": found[k] for k in found}}
    report(f"tail, c = {c}, to r = {end}", names, error, exact, precision)


def low(precision, terms):
    """-ln(1 - u) = u + u^2 (1/2 + u (U3 + u (U4 + ...))), u <= 1/4."""
    u = nodes(mp.mpf(10) ** -6, mp.mpf(1) / 4 * (1 + mp.mpf(2) ** -12))
    target = [(-mp.log(1 - y) - y - y * y / 2) / y**3 for y in u]
    weight = [y**3 / -mp.log(1 - y) for y in u]
    found, error, exact = polynomial(u, list(range(terms)), target, weight, precision)
    report("-ln(1 - u)", {f"U{k + 3}": found[k] for k in found}, error, exact, precision)


FITS = {
    "central": central,
    "log32": lambda: log(24, 3),
    "log64": lambda: log(53, 7),
    "near32": lambda: near(24, 5),
    "near64": lambda: near(53, 13),
    "tail32": lambda: tail(24, 7, 2, "6.95"),
    "tail64": lambda: tail(53, 22, 3, "10.65"),
    "low32": lambda: low(24, 5),
    "low64": lambda: low(53, 13),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or FITS:
        FITS[name]()
