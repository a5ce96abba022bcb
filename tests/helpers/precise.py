"""Real numbers for the tests: mpmath with 40 digits, and what counts as equal to a double."""

import mpmath

mpmath.mp.dps = 40


def close(value, expected, ulps=8):
    return abs(mpmath.mpf(value) - expected) <= ulps * mpmath.mpf(2) ** -53 * abs(expected)


def power(base, exponent):
    return mpmath.power(mpmath.mpf(base), exponent)
