"""Fits the constants of the normal draw (stream-v1.md, section 5) and prints them as hexadecimal
floats.

    python tests/derivation/fit_normal.py [float64] [radius] [angle]
    (all three: a minute or two, one core)

The fits are minimax, by Remez exchange in mpmath on a fixed grid, so that every machine gets the
same digits.  For float64 they are rounded.  For float32 they are rounded, and then a seeded search
among neighbouring floats looks for the smallest measured error.  The float32 constants in use
(IN_USE) are the best of many such searches, judged by the sweep over all 2^32 words; a run of this
file ends close to them, not at them, and prints both.  It needs mpmath and NumPy.  The constants
are in src/kernel/constants.h and fastinit/reference/normal.py; sweep_normal.c measures them.
"""

import random
import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 50
EIGHTH = (
    mp.pi / 4
) ** 2  # the polynomials of the angle are in x = theta^2, theta up to an eighth of a turn
TINY = mp.mpf(10) ** -20
IN_USE = {
    "radius": (
        "0x1.7efaf2p+2 0x1.0aa8b2p+3 -0x1.30b5e0p+1 0x1.8e03eap-7 0x1.46a7c8p+1 -0x1.35348ep-2 "
        "-0x1.62e430p-23"
    ),
    "angle": (
        "0x1.17848cp-66 0x1.b39d34p+1 -0x1.2140e6p+2 0x1.ee01a4p-35 -0x1.ffee5cp-35 -0x1.922d92p+2"
    ),
}


# ---- minimax -------------------------------------------------------------------------------------


def exchange(error, count):
    """The places of `count` alternating extrema of a list of errors."""
    runs, run = [], [0]
    for i in range(1, len(error)):
        if (error[i] > 0) == (error[run[-1]] > 0):
            run.append(i)
        else:
            runs.append(run)
            run = [i]
    runs.append(run)
    places = [max(run, key=lambda i: abs(error[i])) for run in runs]
    while len(places) > count:
        places.pop(0 if abs(error[places[0]]) < abs(error[places[-1]]) else -1)
    return places


def minimax_rows(rows, values):
    """Coefficients c that minimise max |row . c - value| over the grid; that maximum."""
    count, grid = len(rows[0]), len(rows) - 1
    places = [round(grid * (i + 0.5) / (count + 1)) for i in range(count + 1)]
    for _ in range(40):
        matrix, right = mp.matrix(count + 1, count + 1), mp.matrix(count + 1, 1)
        for i, place in enumerate(places):
            for j in range(count):
                matrix[i, j] = rows[place][j]
            matrix[i, count], right[i] = (-1) ** i, values[place]
        solution = mp.lu_solve(matrix, right)
        c = [solution[j] for j in range(count)]
        error = [
            sum(r * k for r, k in zip(row, c, strict=True)) - v
            for row, v in zip(rows, values, strict=True)
        ]
        before, places = places, exchange(error, count + 1)
        if places == before:
            break
    return c, max(abs(e) for e in error)


def nodes(low, high, grid):
    return [low + (high - low) * (1 - mp.cos(mp.pi * i / grid)) / 2 for i in range(grid + 1)]


def minimax(target, degrees, end, weight):
    """The c_j of sum c_j x^j, j in degrees, that minimize max |weight * (sum - target)| on
    [0, end]; and that maximum.
    """
    xs = nodes(mp.mpf(0), end, 2000)
    xs[0] = TINY
    return minimax_rows(
        [[x**j * weight(x) for j in degrees] for x in xs], [target(x) * weight(x) for x in xs]
    )


def minimax_newton(residual, start, low, high):
    """The same for a model that is nonlinear in its parameters, by linear minimax steps (Newton).

    residual(parameters, x) is the weighted error.
    """
    xs, parameters, before = nodes(low, high, 400), [mp.mpf(p) for p in start], None
    for _ in range(30):
        here = [residual(parameters, x) for x in xs]
        columns = []
        for j, p in enumerate(parameters):
            step = abs(p) * mp.mpf(10) ** -20
            moved = [q + step if k == j else q for k, q in enumerate(parameters)]
            columns.append([(residual(moved, x) - h) / step for x, h in zip(xs, here, strict=True)])
        change, worst = minimax_rows(list(zip(*columns, strict=True)), [-h for h in here])
        parameters = [p + c for p, c in zip(parameters, change, strict=True)]
        if before is not None and abs(worst - before) < worst * mp.mpf(10) ** -9:
            break
        before = worst
    return parameters, worst


def cosine_rest(x):
    """(cos(sqrt x) - 1) / x: the constant term of the cosine is exactly 1."""
    return (mp.cos(mp.sqrt(x)) - 1) / x


def cosine_weight(x):
    return x / mp.cos(mp.sqrt(x))


def sinc(x):
    return mp.sin(mp.sqrt(x)) / mp.sqrt(x)


def ulps(exact, bits):
    """How many ulp one relative unit of error is, at this value."""
    mantissa, _ = mp.frexp(abs(exact))
    return mantissa * mp.mpf(2) ** bits


def show(title, names, values, note):
    print(f"{title}: {note}")
    for name, value in zip(names.split(), values, strict=True):
        print(f"    {name:3} {float(value).hex()}")
    sys.stdout.flush()


# ---- float64 -------------------------------------------------------------------------------------


def fit_float64():
    """-2 ln(1 + g) = y L(y^2) with y = g / (g + 2); cosine and sine by polynomials that share g = z
    (z + C5).
    """
    unit = mp.mpf(2) ** 53
    log = lambda z: mp.atanh(mp.sqrt(z)) / mp.sqrt(z)  # noqa: E731
    c, error = minimax(log, range(10), mp.mpf(1) / 9, lambda z: 1 / log(z))
    constants = [*(-4 * k for k in reversed(c)), -2 * mp.log(2)]
    note = f"logarithm to {mp.nstr(error * unit, 3)} 2^-53"
    show("radius, float64", "L9 L8 L7 L6 L5 L4 L3 L2 L1 L0 E", constants, note)

    c, cos_error = minimax(cosine_rest, range(6), EIGHTH, cosine_weight)
    s, sin_error = minimax(sinc, range(7), EIGHTH, lambda x: 1 / sinc(x))
    scale = c[5] ** (mp.mpf(1) / 6)  # z = scale * theta^2 makes the cosine's top coefficient 1
    turn = 2 * mp.pi / mp.mpf(2) ** 66  # theta = turn * y, y = 4 (b - quarter)
    c = [k / scale ** (j + 1) for j, k in enumerate(c)]
    s = [k * turn / scale**j for j, k in enumerate(s)]
    # s3 + s4 z + s5 z^2 + s6 z^3 = (s6 z + S5) (z^2 + c5 z + S4) + S3
    top5 = s[5] - s[6] * c[4]
    top4 = (s[4] - top5 * c[4]) / s[6]
    top3 = s[3] - top5 * top4
    constants = [scale * turn**2, *c[4::-1], s[6], top5, top4, top3, *s[2::-1]]
    note = f"cosine to {mp.nstr(cos_error * unit, 3)}, sine to {mp.nstr(sin_error * unit, 3)} 2^-53"
    show("angle, float64", "K C5 C4 C3 C2 C1 S6 S5 S4 S3 S2 S1 S0", constants, note)


# ---- float32: measured search --------------------------------------------------------------------


def search(part, names, measure, hardest, starts, rounds=6, steps=2000):
    """The neighbour (in the first six constants) of one of `starts` with the smallest measured
    error.

    After every round the words with the largest errors join the sample; the best candidate over the
    last sample wins.
    """
    rng, pool = random.Random(1), list(starts)
    in_use = np.array([float.fromhex(k) for k in IN_USE[part].split()], np.float32)
    sample = hardest([], None)
    for k in range(rounds):
        tried = []
        for start in pool:
            constants, error, idle = start, measure(start, sample), 0
            for _ in range(steps):
                near = constants.copy()
                for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
                    near.view(np.int32)[rng.randrange(6)] += rng.choice(
                        (1, -1, 2, -2, 5, -5, 20, -20, 100, -100)
                    )
                moved = measure(near, sample)
                idle += 1
                if moved < error:
                    constants, error, idle = near, moved, 0
                if idle > steps // 3:
                    break
            tried.append(constants)
        sample = hardest([*tried, in_use], sample)
        pool = sorted(pool + tried, key=lambda constants: measure(constants, sample))[:4]
        print(
            f"    round {k}: {measure(pool[0], sample):.3f} ulp over {len(sample[0])} words",
            flush=True,
        )
    show(f"{part}, float32, by this search", names, pool[0], f"{measure(pool[0], sample):.3f} ulp")
    show(
        f"{part}, float32, in use",
        names,
        in_use,
        f"{measure(in_use, sample):.3f} ulp over the same words",
    )


def error32(got, exact):
    return np.abs(got - exact) / np.ldexp(1.0, np.frexp(exact)[1] - 24)


def harden(sample, words, error, keep=2048):
    """The sample with the words of the largest error."""
    worst = words[np.argpartition(error, -keep)[-keep:]]
    return np.unique(np.concatenate([sample, worst]))


# ---- float32: radius -----------------------------------------------------------------------------


def radius32(a, k):
    d1, d0, n, q1, w, q0, e = k
    s = a.view(np.int32) >> np.int32(31)
    near = ((a.view(np.int32) ^ s).astype(np.float32) + np.float32(0.5)) * np.float32(-(2.0**-31))
    bits = near.view(np.uint32)
    i = (bits - np.uint32(0xBF800000)) & np.uint32(0xFF800000)
    g = np.where(s < 0, near, np.float32(-2) - (bits - i).view(np.float32))
    t = (i.view(np.int32) & ~s).astype(np.float32) * e
    return np.sqrt(t + ((n / ((g + d1) * g + d0) + q1) * (g + w) + q0) * g)


def exact_radius(a):
    s = a >= 2**31
    v = (np.where(s, ~a, a).astype(np.float64) + 0.5) * 2.0**-32
    return np.sqrt(-2 * np.where(s, np.log1p(-v), np.log(v)))


def fit_radius():
    """-2 ln(1 + g / 2) / g on [-1, 0] as (g + W) (Q1 + N / ((g + D1) g + D0)) + Q0: six parameters
    and few operations.
    """
    target = lambda g: -2 * mp.log1p(g / 2) / g  # noqa: E731
    model = lambda p, g: (g + p[4]) * (p[3] + p[2] / ((g + p[0]) * g + p[1])) + p[5]  # noqa: E731
    # A least-squares fit.
    start = [
        5.984067,
        8.333093,
        -2.3805503,
        0.01214647,
        2.5519953,
        -0.30195828,
    ]
    c, error = minimax_newton(lambda p, g: model(p, g) / target(g) - 1, start, -mp.mpf(1), -TINY)
    print(f"radius, float32: logarithm to {mp.nstr(error * 2**24, 3)} 2^-24")
    first = np.array([float(k) for k in [*c, -2 * mp.log(2) / 2**23]], np.float32)

    def hardest(best, sample):
        rng = np.random.default_rng(5)
        words = rng.integers(0, 2**32, 1 << 22, dtype=np.uint32)
        # R in [0.85, 1): the hardest.
        words[::2] = np.uint32(0x9B450000) + words[::2] % np.uint32(0x17230000)
        if sample is None:
            return words[: 1 << 15], exact_radius(words[: 1 << 15])
        kept = sample[0]
        for k in best:
            kept = harden(kept, words, error32(radius32(words, k), exact_radius(words)))
        return kept, exact_radius(kept)

    def measure(k, sample):
        return error32(radius32(sample[0], k), sample[1]).max()

    search("radius", "D1 D0 N Q1 W Q0 E", measure, hardest, [first])


# ---- float32: angle ------------------------------------------------------------------------------


def angle32(b, k):
    scale, c2, c1, s3, s2, s1 = k
    y = (b << np.uint32(2)).view(np.int32).astype(np.float32)
    z = y * scale * y
    g = (c2 - z) * z
    return (g + c1) * z + np.float32(1), (z * s3 + s2) * (g + s1) * y


def exact_angle(b):
    theta = b * (np.pi * 2.0**-31)
    return np.cos(theta), np.sin(theta)


def angle_error(k, b, exact):
    cosine, sine = angle32(b, k)
    return np.maximum(error32(sine, exact[1]), error32(cosine, exact[0]))


def fit_angle():
    """cos = 1 + z (C1 + g), sin = y (S3 z + S2) (g + S1), which share g = z (C2 - z), with
    z = scale * theta^2.

    The sine is a cubic in z with only three parameters of its own.  The fourth is the cosine's top
    coefficient: moved a little away from the cosine's optimum, it costs the cosine some accuracy
    and gains the sine more.
    """
    unit, turn = mp.mpf(2) ** 24, 2 * mp.pi / mp.mpf(2) ** 34
    optimum = minimax(cosine_rest, range(3), EIGHTH, cosine_weight)[0][2]
    starts, sine = [], [0.153627, -9.371532, 1 / (0.153627 * -9.371532)]
    for per_mille in range(-5, 1):
        c3 = optimum * (1 + mp.mpf(per_mille) / 1000)
        (c1, c2), cos_error = minimax(
            lambda x, c3=c3: cosine_rest(x) - c3 * x * x, range(2), EIGHTH, cosine_weight
        )

        def residual(p, x, c2=c2, c3=c3):
            exact = sinc(x)
            return (p[0] * (x + p[1]) * (x * (c2 + c3 * x) + p[2]) / exact - 1) * ulps(
                exact * mp.sqrt(x), 24
            )

        sine, sin_error = minimax_newton(residual, sine, TINY, EIGHTH)
        scale = (-c3) ** (mp.mpf(1) / 3)  # makes the cosine's top coefficient -1
        s3 = turn * sine[0]
        k = [scale * turn**2, c2 / scale**2, c1 / scale, s3, s3 * scale * sine[1], sine[2] / scale]
        starts.append(np.array([float(v) for v in k], np.float32))
        note = (
            f"cosine to {mp.nstr(cos_error * unit, 3)} 2^-24, sine to {mp.nstr(sin_error, 3)} ulp"
        )
        print(f"angle, float32: top coefficient {per_mille:+d} per mille: {note}", flush=True)

    def hardest(best, sample):
        rng = np.random.default_rng(9)
        words = rng.integers(1, (1 << 29) + 1, 1 << 22, dtype=np.uint32)
        # Hardest: sines just under 1/2, 1/4 and 1/8, and words next to a tie of their conversion to
        # float32.
        words[::2] = 297000000 + words[::2] % np.uint32(61000000)
        words >>= rng.integers(0, 4, len(words), dtype=np.uint32)
        low = np.maximum(np.frexp(words)[1] - 24, 1).astype(np.uint32)
        tie = np.uint32(1) << (low - np.uint32(1))
        close = (words >> low << low) + tie - rng.integers(0, 2, len(words), dtype=np.uint32)
        words = np.maximum(np.where(rng.integers(0, 2, len(words)) == 0, close, words), 1).astype(
            np.uint32
        )
        kept = words[: 1 << 16] if sample is None else sample[0]
        for k in best:
            kept = harden(kept, words, angle_error(k, words, exact_angle(words)))
        return kept, exact_angle(kept)

    search(
        "angle",
        "K C2 C1 S3 S2 S1",
        lambda k, sample: angle_error(k, *sample).max(),
        hardest,
        starts,
    )


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["float64", "radius", "angle"]
    for part in chosen:
        {"float64": fit_float64, "radius": fit_radius, "angle": fit_angle}[part]()
