"""variance_scaling and fan_in_uniform, and the arithmetic of everything scaled by fans.

All such initializers are v = scale / n with n from the fans of the global shape; one function,
scaled, computes them, and its operation order is part of the contract (stream-v1.md, section 3).
Named cases: xavier_he_lecun.py; fans and gains: _fans.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _draws, _fill
from .._draws import Draw, real
from .._dtypes import DType
from .._engine import guarded
from .._fans import Axes, Fans, fans

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")
STD_AT_2_SIGMA = (
    0.8796256610342398  # _math.truncated_std(-2.0, 2.0), which takes 0.1 ms; a test compares
)


def scaled(
    shape: Shape,
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
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; give one of {', '.join(MODES)}")
    if distribution not in DISTRIBUTIONS:
        raise ValueError(
            f"distribution is {distribution!r}; give one of {', '.join(DISTRIBUTIONS)}"
        )
    if 0 in shape:  # nothing will be drawn, and fans of nothing would divide by zero
        return _draws.normal(0.0, 0.0, dtype)
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
        return _draws.uniform(-bound, bound, dtype, symmetric=True)
    std = math.sqrt(v)  # bits:
    if distribution == "normal" or not std:
        return _draws.normal(0.0, std, dtype)
    std = std / STD_AT_2_SIGMA  # bits: the std before truncation
    return _draws.truncated_normal(0.0, std, -2.0 * std, 2.0 * std, dtype)


def _count(counted: Fans, mode: str) -> float:
    fan_in, fan_out = counted
    if mode == "fan_in":
        return fan_in
    if mode == "fan_out":
        return fan_out
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2  # bits: of exact integers
    return math.sqrt(fan_in * fan_out)  # bits: of their exact product


def apply(
    rule: Any,
    own: dict[str, Any],
    shape: Any,
    dtype: Any,
    out: Any,
    region: Any,
    seed: Any,
    name: Any,
    threads: int | None,
) -> Any:
    """_fill.apply; what is wrong with a tensor (above all a bias, which has no fans) is said with
    its name.
    """
    try:
        return _fill.apply(rule, own, shape, dtype, out, region, seed, name, threads)
    except ValueError as error:
        if name is not None and type(error) is ValueError:
            error.args = (f"{name!r}: {error}",)
        raise


def _scale(value: Any) -> float:
    scale = real(value, "scale")
    if scale < 0.0:
        raise ValueError(f"scale is {scale!r}; it must be >= 0")
    return scale


def variance_scaling_rule(
    shape: Shape,
    dtype: DType,
    *,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    **axes: Any,
) -> Draw:
    return scaled(shape, dtype, _scale(scale), mode, distribution, **axes)


def fan_in_uniform_rule(
    shape: Shape, dtype: DType, *, fan_in: int | None = None, **axes: Any
) -> Draw:
    if fan_in is not None:
        if isinstance(fan_in, (bool, np.bool_)) or not hasattr(fan_in, "__index__"):
            raise TypeError(
                f"fan_in must be an integer, not {type(fan_in).__name__} {fan_in!r:.80}"
            )
        fan_in = fan_in.__index__()
        if fan_in < 1:
            raise ValueError(f"fan_in is {fan_in}; it must be at least 1")
    if 0 in shape:
        return _draws.normal(0.0, 0.0, dtype)
    bound = 1.0 / math.sqrt(fans(shape, **axes).fan_in if fan_in is None else fan_in)  # bits:
    return _draws.uniform(-bound, bound, dtype, symmetric=True)


# --------------------------------------------------------------------------------- public functions


@guarded
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


@guarded
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
