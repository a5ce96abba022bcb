"""xavier, he and lecun, each uniform and normal: variance scaling under its authors' names and with
their meaning.

The normals are not truncated, as in the papers; a framework's own meaning stands under that
framework's names.  Their arithmetic is scaled.py's; here stand only their scales.  Aliases (glorot,
kaiming, msra): _catalog.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._draws import Draw, real
from .._dtypes import DType
from .._engine import guarded
from .._fans import Axes
from .scaled import apply, scaled

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

_SMALLEST_NORMAL = 2.0**-1022


def _squared(value: Any) -> float:
    """The scale of a gain: its square, which must not leave the normal doubles."""
    gain = real(value, "gain")
    if gain < 0.0:
        raise ValueError(f"gain is {gain!r}; it must be >= 0")
    scale = gain * gain  # bits:
    if not math.isfinite(scale) or (gain and scale < _SMALLEST_NORMAL):
        raise ValueError(
            f"gain {gain!r} has a square outside the range of doubles; give one between 1e-150 "
            "and 1e150"
        )
    return scale


def _he_scale(negative_slope: Any) -> float:
    a = real(negative_slope, "negative_slope")
    scale = 2.0 / (1.0 + a * a)  # bits:
    if not scale:
        raise ValueError(f"negative_slope {a!r} has no finite square; give a slope below 1e150")
    return scale


def xavier_uniform_rule(shape: Shape, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "uniform", **axes)


def xavier_normal_rule(shape: Shape, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "normal", **axes)


def he_uniform_rule(
    shape: Shape, dtype: DType, *, negative_slope: float = 0.0, mode: str = "fan_in", **axes: Any
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope), mode, "uniform", **axes)


def he_normal_rule(
    shape: Shape, dtype: DType, *, negative_slope: float = 0.0, mode: str = "fan_in", **axes: Any
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope), mode, "normal", **axes)


def lecun_uniform_rule(shape: Shape, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "uniform", **axes)


def lecun_normal_rule(shape: Shape, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "normal", **axes)


# --------------------------------------------------------------------------------- public functions


@guarded
def xavier_uniform(
    shape: Any = None,
    *,
    gain: float = 1.0,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """U(±gain·sqrt(6 / (fan_in + fan_out))): variance gain²·2 / (fan_in + fan_out).

    Parameters
    ----------
    gain : finite, >= 0, such as fi.gain("tanh"). It enters as scale = gain·gain.
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        A negative gain; a shape without fans.

    Same as: torch xavier_uniform_, Keras GlorotUniform and jax.nn.initializers.glorot_uniform with
    layout="io". Source: Glorot and Bengio 2010, equation 16.

    Examples
    --------
    >>> fi.xavier_uniform((1, 4), seed=0, name="w")
    array([[ 0.20835137, -0.48785436, -0.04168642,  0.48288214]],
          dtype=float32)
    """
    own = {
        "gain": gain,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(xavier_uniform_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def xavier_normal(
    shape: Any = None,
    *,
    gain: float = 1.0,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, gain²·2 / (fan_in + fan_out)), not truncated.

    Parameters
    ----------
    gain : finite, >= 0, such as fi.gain("tanh"). It enters as scale = gain·gain.
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        A negative gain; a shape without fans; a std that could overflow the dtype.

    Same as: torch xavier_normal_. Keras GlorotNormal and JAX glorot_normal truncate: that is
    variance_scaling(mode="fan_avg", distribution="truncated_normal", layout="io"). Source: Glorot
    and Bengio 2010.

    Examples
    --------
    >>> fi.xavier_normal((1, 4), seed=0, name="w")
    array([[-0.2774365 , -0.7704129 ,  0.29807913,  0.4501033 ]],
          dtype=float32)
    """
    own = {
        "gain": gain,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(xavier_normal_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def he_uniform(
    shape: Any = None,
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """U(±sqrt(6 / ((1 + a²)·n))), a the negative slope, n the fan of the mode.

    Parameters
    ----------
    negative_slope : of the leaky ReLU that follows; 0 for ReLU. scale = 2 / (1 + a·a).
    mode : "fan_in" keeps the variance of activations, "fan_out" that of gradients; also "fan_avg",
        "fan_geo_avg".
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        An unknown mode; a shape without fans; a slope that is not finite.

    Same as: torch kaiming_uniform_(a, mode), whose default nonlinearity is leaky_relu; Keras
    HeUniform and jax.nn.initializers.he_uniform with layout="io". Source: He et al. 2015, equations
    10 and 14.

    Examples
    --------
    >>> fi.he_uniform((1, 4), seed=0, name="w")
    array([[ 0.23294401, -0.54543775, -0.0466069 ,  0.5398786 ]],
          dtype=float32)
    """
    own = {
        "negative_slope": negative_slope,
        "mode": mode,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(he_uniform_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def he_normal(
    shape: Any = None,
    *,
    negative_slope: float = 0.0,
    mode: str = "fan_in",
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, 2 / ((1 + a²)·n)), a the negative slope, n the fan of the mode, not truncated.

    Parameters
    ----------
    negative_slope : of the leaky ReLU that follows; 0 for ReLU. scale = 2 / (1 + a·a).
    mode : "fan_in" keeps the variance of activations, "fan_out" that of gradients; also "fan_avg",
        "fan_geo_avg".
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        An unknown mode; a shape without fans; a slope that is not finite; a std that could overflow
        the dtype.

    Same as: torch kaiming_normal_(a, mode). Keras HeNormal and JAX he_normal truncate: that is
    variance_scaling(scale=2.0, distribution="truncated_normal", layout="io"). Source: He et al.
    2015, equations 10, 14.

    Examples
    --------
    >>> fi.he_normal((1, 4), seed=0, name="w")
    array([[-0.3101834, -0.8613478,  0.3332626,  0.5032308]], dtype=float32)
    """
    own = {
        "negative_slope": negative_slope,
        "mode": mode,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(he_normal_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def lecun_uniform(
    shape: Any = None,
    *,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """U(±sqrt(3 / fan_in)): variance 1 / fan_in.

    Parameters
    ----------
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        A shape without fans.

    Same as: Keras LecunUniform and jax.nn.initializers.lecun_uniform with layout="io"; torch
    kaiming_uniform_(nonlinearity="linear"). Source: LeCun et al. 1998, Efficient BackProp, section
    4.6.

    Examples
    --------
    >>> fi.lecun_uniform((1, 4), seed=0, name="w")
    array([[ 0.1647163 , -0.3856827 , -0.032956  ,  0.38175184]],
          dtype=float32)
    """
    own = {
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(lecun_uniform_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def lecun_normal(
    shape: Any = None,
    *,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, 1 / fan_in), not truncated.

    Parameters
    ----------
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        A shape without fans; a std that could overflow the dtype.

    Same as: torch kaiming_normal_(nonlinearity="linear"). Keras LecunNormal and JAX lecun_normal
    truncate: that is variance_scaling(distribution="truncated_normal", layout="io"). Source: LeCun
    et al. 1998; Klambauer et al. 2017.

    Examples
    --------
    >>> fi.lecun_normal((1, 4), seed=0, name="w")
    array([[-0.2193328 , -0.6090649 ,  0.23565225,  0.3558379 ]],
          dtype=float32)
    """
    own = {
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(lecun_normal_rule, own, shape, dtype, out, region, seed, name, threads)
