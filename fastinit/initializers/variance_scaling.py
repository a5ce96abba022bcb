"""variance_scaling and its named cases: xavier, he, lecun, fan_in_uniform.

All are v = scale / n with n from the fans of the global shape; one function, scaled, computes them,
and its operation order is part of the contract (stream-v1.md, section 3).  The named cases have
their authors' meaning: the normals are not truncated, as in the papers; a framework's own meaning
stands under that framework's names.  Fans: ../fans.py.  Aliases (glorot, kaiming, msra):
../_table.py.
"""

from __future__ import annotations

import math
from typing import Any

from .._core import draws
from .._core.arguments import choice, real, whole
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..fans import Axes, Fans, fans
from ..typing import Array, Sizes

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")


DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")


STD_AT_2_SIGMA = (
    0.8796256610342398  # math.truncated_std(-2.0, 2.0), which takes 0.1 ms; a test compares
)


def scaled(
    shape: Sizes,
    dtype: DType,
    scale: float,
    mode: str,
    distribution: str,
    *,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
) -> Draw:
    """The draw of variance scale / n, n counted by mode."""
    choice(mode, "mode", MODES)
    choice(distribution, "distribution", DISTRIBUTIONS)
    if 0 in shape:  # nothing will be drawn, and fans of nothing would divide by zero
        return draws.normal(0.0, 0.0, dtype)
    counted = fans(
        shape,
        layout=layout,
        in_axis=in_axis,
        out_axis=out_axis,
        batch_axis=batch_axis,
        groups=groups,
    )
    v = scale / _count(counted, mode)  # bits:
    if distribution == "uniform":
        bound = math.sqrt(3.0 * v)  # bits:
        return draws.uniform(-bound, bound, dtype, symmetric=True)
    std = math.sqrt(v)  # bits:
    if distribution == "normal" or not std:
        return draws.normal(0.0, std, dtype)
    std = std / STD_AT_2_SIGMA  # bits: the std before truncation
    return draws.truncated_normal(0.0, std, -2.0 * std, 2.0 * std, dtype)


def _count(counted: Fans, mode: str) -> float:
    fan_in, fan_out = counted
    if mode == "fan_in":
        return fan_in
    if mode == "fan_out":
        return fan_out
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2  # bits: of exact integers
    return math.sqrt(fan_in * fan_out)  # bits: of their exact product


def _scale(value: Any) -> float:
    scale = real(value, "scale")
    if scale < 0.0:
        raise ValueError(f"scale is {scale!r}; it must be >= 0")
    return scale


def variance_scaling_rule(
    shape: Sizes,
    dtype: DType,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    **axes: Any,
) -> Draw:
    return scaled(shape, dtype, _scale(scale), mode, distribution, **axes)


def fan_in_uniform_rule(
    shape: Sizes, dtype: DType, *, fan_in: int | None = None, **axes: Any
) -> Draw:
    if fan_in is not None:
        fan_in = whole(fan_in, "fan_in")
    if 0 in shape:
        return draws.normal(0.0, 0.0, dtype)
    bound = 1.0 / math.sqrt(fans(shape, **axes).fan_in if fan_in is None else fan_in)  # bits:
    return draws.uniform(-bound, bound, dtype, symmetric=True)


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


def xavier_uniform_rule(shape: Sizes, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "uniform", **axes)


def xavier_normal_rule(shape: Sizes, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "normal", **axes)


def he_uniform_rule(
    shape: Sizes, dtype: DType, *, negative_slope: float = 0.0, mode: str = "fan_in", **axes: Any
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope), mode, "uniform", **axes)


def he_normal_rule(
    shape: Sizes, dtype: DType, *, negative_slope: float = 0.0, mode: str = "fan_in", **axes: Any
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope), mode, "normal", **axes)


def lecun_uniform_rule(shape: Sizes, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "uniform", **axes)


def lecun_normal_rule(shape: Sizes, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "normal", **axes)


# --------------------------------------------------------------------------------- public functions


def variance_scaling(
    shape: Any = None,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
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
    """Variance v = scale / n: U(±sqrt(3v)), N(0, v), or N cut at ±2 sigma and corrected to variance
    v.

    Parameters
    ----------
    scale : finite, >= 0.
    mode : what n is: "fan_in", "fan_out", "fan_avg" (their mean) or "fan_geo_avg" (their geometric
        mean).
    distribution : "uniform", "normal" (not truncated) or "truncated_normal" (std sqrt(v) after
        truncation).
    layout, in_axis, out_axis, batch_axis, groups : which axes count; see fans.

    Raises
    ------
    ValueError
        An unknown mode or distribution; a shape without fans; a scale too large or too small for
        the dtype.

    Same as: Keras VarianceScaling, jax.nn.initializers.variance_scaling, Haiku and TF
    VarianceScaling with layout="io"; Keras' "normal" is our "truncated_normal". Source: He et al.
    2015; Glorot and Bengio 2010.

    Examples
    --------
    >>> fi.variance_scaling((1, 4), scale=2.0, mode="fan_avg", seed=0, name="w")
    array([[-0.39235443, -1.0895283 ,  0.42154756,  0.6365422 ]],
          dtype=float32)
    """
    own = {
        "scale": scale,
        "mode": mode,
        "distribution": distribution,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(variance_scaling_rule, own, shape, dtype, out, region, seed, name, threads)


def fan_in_uniform(
    shape: Any = None,
    *,
    fan_in: int | None = None,
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
    """U(±1 / sqrt(fan_in)): variance 1 / (3·fan_in), torch's default for weights and biases of
    Linear and Conv.

    Parameters
    ----------
    fan_in : given for a bias, whose shape has no fans: the fan_in of its weight (of an RNN the
        hidden size).
    layout, in_axis, out_axis, batch_axis, groups : which axes count, without fan_in; see fans.

    Raises
    ------
    ValueError
        A shape without fans when fan_in is not given; fan_in below 1.

    Same as: torch.nn.Linear.reset_parameters, which writes it as kaiming_uniform_(a=sqrt(5)).

    Examples
    --------
    >>> fi.fan_in_uniform((1, 4), seed=0, name="w")
    array([[ 0.09509897, -0.22267401, -0.01902717,  0.2204045 ]],
          dtype=float32)
    >>> fi.fan_in_uniform(2, fan_in=3, seed=0, name="b")
    array([ 0.31233585, -0.41552633], dtype=float32)
    """
    own = {
        "fan_in": fan_in,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(fan_in_uniform_rule, own, shape, dtype, out, region, seed, name, threads)


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
