"""zeros, ones, constant, uniform, normal, truncated_normal: elementwise, without fans.

Each public function passes its own parameters to its rule, which turns them into a draw;
_core/fill.py does the rest.  Rounding, range checks and clamping: _core/draws.py.  Initializers
scaled by fans: variance_scaling.py.
"""

from __future__ import annotations

import math
from typing import Any

from .._core import draws
from .._core.arguments import bound, choice, real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Bounds, Dtype, Name, Out, Real, Region, Seed, Shape, Sizes


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
        from .._core.math import truncated_std  # on demand: exact functions, a millisecond to load

        std = std / truncated_std(low, high)  # bits: the std before truncation
    # bits: each bound is rounded twice.
    return draws.truncated_normal(mean, std, mean + low * std, mean + high * std, dtype)


def _sigma_for_absolute(mean: float, std: float, low: float, high: float) -> float:
    """The sigma whose normal, cut at fixed bounds, has the given std.

    The std after truncation grows with sigma, so bisection finds it.
    """

    from .._core.math import truncated_std

    def reached(sigma: float) -> bool:
        return sigma * truncated_std((low - mean) / sigma, (high - mean) / sigma) >= std

    below, above = 0.0, std  # truncation only lowers the std, so sigma >= std
    while not reached(above):
        below, above = above, 2.0 * above
        if above > 1024.0 * std:
            raise ValueError(
                f"no normal of mean {mean!r} cut at {low!r} and {high!r} has std {std!r}: a flat "
                f"density there has only about {(high - low) / math.sqrt(12.0):.6g}; give a "
                "smaller std, or correct_std=False"
            )
    while True:  # bits: bisection until no double lies between the two
        middle = below + 0.5 * (above - below)
        if middle in (below, above):
            return above
        if reached(middle):
            above = middle
        else:
            below = middle


# --------------------------------------------------------------------------------- public functions


def zeros(
    shape: Shape | None = None,
    *,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """Value 0 everywhere.

    Floating, bool and integer dtypes.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong kind; `out` that cannot be written.

    See Also
    --------
    ones, constant : Other constants.
    torch.nn.init.zeros_ : Equal.
    jax.nn.initializers.zeros : Equal.
    keras.initializers.Zeros : Equal.

    Notes
    -----
    Nothing is drawn: `seed` and `name` are checked and have no effect. Scales of norms begin at 0
    where the norm multiplies by 1 + w, as Gemma's RMSNorm does, and at 1 elsewhere.

    Examples
    --------
    >>> fi.zeros((2, 3), dtype="int8")
    array([[0, 0, 0],
           [0, 0, 0]], dtype=int8)
    """
    return apply(zeros_rule, {}, shape, dtype, out, region, seed, name, threads)


def ones(
    shape: Shape | None = None,
    *,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """Value 1 everywhere.

    Floating, bool and integer dtypes.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    TypeError, ValueError
        An argument of the wrong kind; `out` that cannot be written.

    See Also
    --------
    zeros, constant : Other constants.
    torch.nn.init.ones_ : Equal.
    jax.nn.initializers.ones : Equal.
    keras.initializers.Ones : Equal.

    Notes
    -----
    Nothing is drawn: `seed` and `name` are checked and have no effect.

    Examples
    --------
    >>> fi.ones(3)
    array([1., 1., 1.], dtype=float32)
    """
    return apply(ones_rule, {}, shape, dtype, out, region, seed, name, threads)


def constant(
    shape: Shape | None = None,
    *,
    value: Real = 0.0,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """One value everywhere.

    Floating, bool and integer dtypes.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    value : float, default 0.0
        Finite in the dtype after rounding; narrow floats round it to float32 first. The sign of
        zero is kept, and a small value may underflow to zero. Bool and integer dtypes take exact
        values only.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        A value that is not finite in the dtype, or not exact in a bool or integer dtype.

    See Also
    --------
    zeros, ones : Its two named cases.
    torch.nn.init.constant_ : Equal.
    jax.nn.initializers.constant : Equal for a scalar.
    keras.initializers.Constant : Equal.

    Notes
    -----
    Nothing is drawn: `seed` and `name` are checked and have no effect.

    Examples
    --------
    >>> fi.constant(3, value=0.25, dtype="float16")
    array([0.25, 0.25, 0.25], dtype=float16)
    """
    return apply(constant_rule, {"value": value}, shape, dtype, out, region, seed, name, threads)


def uniform(
    shape: Shape | None = None,
    *,
    low: Real = 0.0,
    high: Real = 1.0,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U[low, high): low + (high - low)·u, u uniform in [0, 1).

    Rounding to the destination dtype keeps this: every value is at least `low` and below `high`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    low, high : float, defaults 0.0 and 1.0
        The bounds, finite, low <= high; where they are equal, every value is `low`.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        `low` above `high`; a bound or a span that is not finite in the dtype; no value of the dtype
        between the bounds.

    See Also
    --------
    torch.nn.init.uniform_ : Equal in law, with a and b for low and high.
    keras.initializers.RandomUniform : Equal in law, with minval and maxval.
    jax.nn.initializers.uniform : Equal in law with low=0.

    Notes
    -----
    u is one of 2^24 equal steps (float64: 2^53). Element i depends on the seed, the name and i
    only: stream-v1.md, section 4.

    Examples
    --------
    >>> fi.uniform(4, low=-1.0, high=1.0, seed=0)
    array([-0.20190716,  0.9444823 , -0.9611012 ,  0.5747355 ], dtype=float32)
    """
    return apply(
        uniform_rule, {"low": low, "high": high}, shape, dtype, out, region, seed, name, threads
    )


def normal(
    shape: Shape | None = None,
    *,
    mean: Real = 0.0,
    std: Real = 1.0,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(mean, std²): mean + std·z, z by Box-Muller, not truncated.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    mean : float, default 0.0
        The mean, finite.
    std : float, default 1.0
        The standard deviation, finite and >= 0.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        `std` negative, or below the smallest normal number of the working type; a mean and std that
        could overflow.

    See Also
    --------
    truncated_normal : The same without tails.
    torch.nn.init.normal_ : Equal in law.
    keras.initializers.RandomNormal : Equal in law.
    jax.nn.initializers.normal : Equal in law, with stddev for std.

    Notes
    -----
    The largest z is 6.76 (float64: 9.49). Values are computed in float32 (float64 for float64) and
    rounded once. Element i depends on the seed, the name and i only: stream-v1.md, section 5.

    Examples
    --------
    >>> fi.normal(4, std=0.02, seed=0, name="wte")
    array([-0.03115675, -0.00133634, -0.01578864,  0.02414837], dtype=float32)
    """
    return apply(
        normal_rule, {"mean": mean, "std": std}, shape, dtype, out, region, seed, name, threads
    )


def truncated_normal(
    shape: Shape | None = None,
    *,
    mean: Real = 0.0,
    std: Real = 1.0,
    low: Real = -2.0,
    high: Real = 2.0,
    bounds: Bounds = "sigma",
    correct_std: bool = False,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(mean, std²) between low and high: mean + std·Φ⁻¹(Φ(α) + u·(Φ(β) - Φ(α))).

    α and β are the bounds in standard deviations from the mean. Every value lies strictly between
    the bounds; none is clipped to them.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    mean, std : float, defaults 0.0 and 1.0
        Of the normal before truncation; a `std` of 0 gives the mean everywhere.
    low, high : float, defaults -2.0 and 2.0
        The bounds; -inf or inf truncates one side only.
    bounds : {"sigma", "absolute"}, default "sigma"
        With "sigma", `low` and `high` are in stds from the mean; with "absolute" they are values,
        as in torch.
    correct_std : bool, default False
        Make `std` the standard deviation after truncation (at 2 sigma, the std before truncation is
        std / 0.8796). Bounds in sigmas then refer to that larger std, as in the variance scaling of
        Keras and JAX.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        `low` not below `high`; `std` negative; no value of the dtype between the bounds; a
        corrected std that no normal cut at these bounds has.

    See Also
    --------
    torch.nn.init.trunc_normal_ : Equal in law with bounds="absolute".
    keras.initializers.TruncatedNormal : Equal in law.
    jax.nn.initializers.truncated_normal : Equal in law.

    Notes
    -----
    Element i depends on the seed, the name and i only: stream-v1.md, section 6.

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
