"""zeros, ones, constant, uniform, normal, truncated_normal: every value drawn alone, no fans.

Each public function hands its own parameters to its rule, which turns them into a draw; all else is
_core/fill.py's. What is rounded, refused and clamped stands in _core/draws.py; initializers scaled
by fans stand in variance_scaling.py.
"""

from __future__ import annotations

import math
from typing import Any

from .._core import draws
from .._core.arguments import bound, choice, real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from .._core.math import truncated_std
from ..typing import Array, Sizes


def constant_rule(shape: Sizes, dtype: DType, *, value: Any = 0.0) -> Draw:
    return draws.constant(value, dtype)


def zeros_rule(shape: Sizes, dtype: DType) -> Draw:
    return draws.constant(0, dtype)


def ones_rule(shape: Sizes, dtype: DType) -> Draw:
    return draws.constant(1, dtype)


def uniform_rule(shape: Sizes, dtype: DType, *, low: float = 0.0, high: float = 1.0) -> Draw:
    return draws.uniform(low, high, dtype)


def normal_rule(shape: Sizes, dtype: DType, *, mean: float = 0.0, std: float = 1.0) -> Draw:
    return draws.normal(mean, std, dtype)


def truncated_normal_rule(
    shape: Sizes,
    dtype: DType,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -2.0,
    high: float = 2.0,
    bounds: str = "sigma",
    correct_std: bool = False,
) -> Draw:
    mean, std = real(mean, "mean"), real(std, "std")
    low, high = bound(low, "low"), bound(high, "high")
    choice(bounds, "bounds", ("sigma", "absolute"))
    if std < 0.0:
        raise ValueError(f"std is {std!r}; it must be >= 0")
    if not low < high:
        raise ValueError(f"low {low!r} is not below high {high!r}; give low < high")
    if bounds == "absolute":
        if correct_std and std:
            std = _sigma_for_absolute(mean, std, low, high)
        return draws.truncated_normal(mean, std, low, high, dtype)
    if not std:
        if not low < 0.0 < high:
            raise ValueError(
                f"std is 0 and the mean is not between low {low!r} and high {high!r} sigmas; give "
                "std > 0"
            )
        return draws.normal(mean, 0.0, dtype)  # the mean everywhere
    if correct_std:
        std = std / truncated_std(low, high)  # bits: the std before truncation
    return draws.truncated_normal(
        mean, std, mean + low * std, mean + high * std, dtype
    )  # bits: two roundings a bound


def _sigma_for_absolute(mean: float, std: float, low: float, high: float) -> float:
    """The sigma whose normal, cut at fixed bounds, has the given std: that grows with sigma, so
    halving finds it.
    """

    def reached(sigma: float) -> bool:
        return sigma * truncated_std((low - mean) / sigma, (high - mean) / sigma) >= std

    below, above = 0.0, std  # truncation only takes from the std, so sigma >= std
    while not reached(above):
        below, above = above, 2.0 * above
        if above > 1024.0 * std:
            raise ValueError(
                f"no normal of mean {mean!r} cut at {low!r} and {high!r} has std {std!r}: a flat "
                f"density there has only about {(high - low) / math.sqrt(12.0):.6g}; give a "
                "smaller std, or correct_std=False"
            )
    while True:  # bits: halving until the doubles are exhausted
        middle = below + 0.5 * (above - below)
        if middle in (below, above):
            return above
        if reached(middle):
            above = middle
        else:
            below = middle


# --------------------------------------------------------------------------------- public functions


def zeros(
    shape: Any = None,
    *,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Value 0 everywhere; floating, bool and integer dtypes.

    No draw: seed and name are accepted, checked and without effect.

    Same as: torch zeros_, Keras Zeros, jax.nn.initializers.zeros, TF Zeros.

    Examples
    --------
    >>> fi.zeros((2, 3), dtype="int8")
    array([[0, 0, 0],
           [0, 0, 0]], dtype=int8)
    """
    return apply(zeros_rule, {}, shape, dtype, out, region, seed, name, threads)


def ones(
    shape: Any = None,
    *,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Value 1 everywhere; floating, bool and integer dtypes.

    No draw: seed and name are accepted, checked and without effect.

    Same as: torch ones_, Keras Ones, jax.nn.initializers.ones, TF Ones.

    Examples
    --------
    >>> fi.ones(3)
    array([1., 1., 1.], dtype=float32)
    """
    return apply(ones_rule, {}, shape, dtype, out, region, seed, name, threads)


def constant(
    shape: Any = None,
    *,
    value: Any = 0.0,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """One value everywhere; floating, bool and integer dtypes.

    Parameters
    ----------
    value : a number, finite in the dtype after rounding (narrow floats round it to float32 first);
        it keeps its sign of zero and may underflow to zero. bool and integer dtypes take it
        exactly, or not at all.

    Raises
    ------
    ValueError
        A value that is not finite in the dtype, or has no exact value in a bool or integer dtype.

    Same as: torch constant_, Keras Constant, jax.nn.initializers.constant (of a scalar).

    Examples
    --------
    >>> fi.constant(3, value=0.25, dtype="float16")
    array([0.25, 0.25, 0.25], dtype=float16)
    """
    return apply(constant_rule, {"value": value}, shape, dtype, out, region, seed, name, threads)


def uniform(
    shape: Any = None,
    *,
    low: float = 0.0,
    high: float = 1.0,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """U[low, high): low + (high - low)·u, u one of 2^24 equal steps (float64: 2^53) of [0, 1).

    Any shape. Every value is at least low and below high in the destination dtype too, after
    rounding.

    Parameters
    ----------
    low, high : finite, low <= high; low == high gives low everywhere.

    Raises
    ------
    ValueError
        low above high; a bound or a span that is not finite in the dtype; no value of the dtype
        between them.

    Same as: torch uniform_(a, b), Keras RandomUniform(minval, maxval), Haiku RandomUniform; in law,
    not in numbers.

    Examples
    --------
    >>> fi.uniform(4, low=-1.0, high=1.0, seed=0)
    array([-0.20190716,  0.9444823 , -0.9611012 ,  0.5747355 ], dtype=float32)
    """
    return apply(
        uniform_rule, {"low": low, "high": high}, shape, dtype, out, region, seed, name, threads
    )


def normal(
    shape: Any = None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(mean, std²): mean + std·z, z by Box-Muller, |z| up to 6.76 (float64: 9.49).

    Any shape. Not truncated. Drawn in float32 (float64 for float64) and rounded once to the dtype.

    Parameters
    ----------
    mean : finite.
    std : standard deviation, finite, >= 0.

    Raises
    ------
    ValueError
        std negative, or below the smallest normal number of the working type; a mean and std that
        could overflow.

    Same as: torch normal_, Keras RandomNormal, jax.nn.initializers.normal(stddev); in law, not in
    numbers.

    Examples
    --------
    >>> fi.normal(4, std=0.02, seed=0, name="wte")
    array([-0.03115675, -0.00133634, -0.01578864,  0.02414837], dtype=float32)
    """
    return apply(
        normal_rule, {"mean": mean, "std": std}, shape, dtype, out, region, seed, name, threads
    )


def truncated_normal(
    shape: Any = None,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -2.0,
    high: float = 2.0,
    bounds: str = "sigma",
    correct_std: bool = False,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(mean, std²) between low and high: mean + std·Φ⁻¹(Φ(α) + u·(Φ(β) - Φ(α))), strictly inside,
    no spikes.

    Parameters
    ----------
    mean, std : of the normal before truncation; std 0 gives the mean everywhere.
    low, high : the bounds; -inf or inf for truncation on one side.
    bounds : "sigma": low and high count stds from the mean; "absolute": they are values, as in
        torch.
    correct_std : make std the standard deviation after truncation (at ±2 sigma by std / 0.8796).
        Bounds in sigmas then count the larger std before truncation, as in the variance scaling of
        Keras and JAX.

    Raises
    ------
    ValueError
        low not below high; std negative; no value of the dtype between the bounds; a std that no
        correction reaches.

    Same as: torch trunc_normal_(mean, std, a, b) with bounds="absolute"; Keras TruncatedNormal,
    Haiku TruncatedNormal, jax.nn.initializers.truncated_normal with bounds="sigma".

    Examples
    --------
    >>> fi.truncated_normal(4, std=0.02, seed=0, name="head")
    array([-0.00529593, -0.02378634,  0.01546732, -0.00317297], dtype=float32)
    """
    own = {
        "mean": mean,
        "std": std,
        "low": low,
        "high": high,
        "bounds": bounds,
        "correct_std": correct_std,
    }
    return apply(truncated_normal_rule, own, shape, dtype, out, region, seed, name, threads)
