"""variance_scaling and its named cases: xavier, he, lecun, fan_in_uniform.

Every variance is v = scale / n, with n from the fans of the global shape.  One function, scaled(),
computes it, and its order of operations is part of the contract (stream-v1.md, section 3).  A named
case means what its paper says, so the normals are not truncated; what a framework means by a name
is in that framework's adapter.  Fans: ../fans.py.  Aliases (glorot, kaiming, msra): ../_table.py.
"""

from __future__ import annotations

import math
from typing import Any, SupportsIndex

from .._core import draws
from .._core.arguments import choice, double, real, whole
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..fans import Axes, Fans, fans
from ..typing import (
    AxisLayout,
    Distribution,
    Dtype,
    Mode,
    Name,
    Out,
    Real,
    Region,
    Seed,
    Shape,
    Sizes,
)

MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")


DISTRIBUTIONS = ("uniform", "normal", "truncated_normal")


# truncated_std(-2.0, 2.0) of _core/math.py takes 0.1 ms, so it is written here; a test compares.
STD_AT_2_SIGMA = 0.8796256610342398


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
    """The draw of variance scale / n, where mode says what n is."""
    choice(mode, "mode", MODES)
    choice(distribution, "distribution", DISTRIBUTIONS)
    if 0 in shape:  # nothing is drawn, and a fan of 0 would divide by zero
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
        double(fan_in, "fan_in")
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


def _he_scale(negative_slope: Any, gain: Any) -> float:
    a, square = real(negative_slope, "negative_slope"), _squared(gain)
    scale = 2.0 / (1.0 + a * a)  # bits:
    if not scale:
        raise ValueError(f"negative_slope {a!r} has no finite square; give a slope below 1e150")
    scaled_by_gain = scale * square  # bits: exact where gain is 1
    if not math.isfinite(scaled_by_gain) or (square and scaled_by_gain < _SMALLEST_NORMAL):
        raise ValueError(
            f"gain {gain!r} and negative_slope {a!r} give a variance outside the range of doubles; "
            "give a gain nearer to 1"
        )
    return scaled_by_gain


def xavier_uniform_rule(shape: Sizes, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "uniform", **axes)


def xavier_normal_rule(shape: Sizes, dtype: DType, *, gain: float = 1.0, **axes: Any) -> Draw:
    return scaled(shape, dtype, _squared(gain), "fan_avg", "normal", **axes)


def he_uniform_rule(
    shape: Sizes,
    dtype: DType,
    *,
    negative_slope: float = 0.0,
    gain: float = 1.0,
    mode: str = "fan_in",
    **axes: Any,
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope, gain), mode, "uniform", **axes)


def he_normal_rule(
    shape: Sizes,
    dtype: DType,
    *,
    negative_slope: float = 0.0,
    gain: float = 1.0,
    mode: str = "fan_in",
    **axes: Any,
) -> Draw:
    return scaled(shape, dtype, _he_scale(negative_slope, gain), mode, "normal", **axes)


def lecun_uniform_rule(shape: Sizes, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "uniform", **axes)


def lecun_normal_rule(shape: Sizes, dtype: DType, **axes: Any) -> Draw:
    return scaled(shape, dtype, 1.0, "fan_in", "normal", **axes)


# --------------------------------------------------------------------------------- public functions


def variance_scaling(
    shape: Shape | None = None,
    *,
    scale: Real = 1.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "normal",
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """Variance v = scale / n, n a fan: U(±√(3v)), N(0, v), or N(0, v) cut at ±2 sigma.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    scale : float, default 1.0
        The numerator, finite and >= 0.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        What n is; fan_avg is the mean of the two fans, fan_geo_avg their geometric mean.
    distribution : {"uniform", "normal", "truncated_normal"}, default "normal"
        The law; a truncated normal has std √v after truncation.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        An unknown mode or distribution; a shape without fans; a scale too large or too small for
        the dtype.

    See Also
    --------
    fans : How fans are counted.
    keras.initializers.VarianceScaling :
        Equal in law with layout="io"; its "normal" is "truncated_normal" here.
    jax.nn.initializers.variance_scaling : Equal in law with layout="io".

    Notes
    -----
    Formula in [1]_ and [2]_. The order of operations is part of the contract: stream-v1.md, section
    3.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, equations 10 and 14.
    .. [2] Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
           networks, AISTATS 2010, equation 16.

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
    shape: Shape | None = None,
    *,
    fan_in: SupportsIndex | None = None,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U(±1 / √fan_in): variance 1 / (3·fan_in), torch's default for Linear and Conv.

    It is for weights and for biases.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    fan_in : int, optional
        For a bias, whose shape has no fans: the fan_in of its weight (for an RNN, the hidden size).
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        A shape without fans when `fan_in` is not given; `fan_in` below 1.

    See Also
    --------
    torch.nn.Linear :
        Equal in law to its reset_parameters, which calls ``kaiming_uniform_(a=sqrt(5))``.
    lecun_uniform : Variance 1 / fan_in.

    Notes
    -----
    Element i depends on the seed, the name and i only: stream-v1.md, section 4.

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
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U(±gain·√(6 / (fan_in + fan_out))): Xavier (Glorot) uniform.

    The variance is gain²·2 / (fan_in + fan_out).

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        Finite and >= 0, such as ``fi.gain("tanh")``; it enters as scale = gain·gain.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        A negative gain; a shape without fans.

    See Also
    --------
    xavier_normal : The normal of the same variance.
    torch.nn.init.xavier_uniform_ : Equal in law.
    keras.initializers.GlorotUniform : Equal in law with layout="io".
    jax.nn.initializers.glorot_uniform : Equal in law with layout="io".

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
           networks, AISTATS 2010, equation 16.

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
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, gain²·2 / (fan_in + fan_out)): Xavier (Glorot) normal, not truncated.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        Finite and >= 0, such as ``fi.gain("tanh")``; it enters as scale = gain·gain.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        A negative gain; a shape without fans; a std that could overflow the dtype.

    See Also
    --------
    xavier_uniform : The uniform of the same variance.
    torch.nn.init.xavier_normal_ : Equal in law.
    keras.initializers.GlorotNormal : Truncated; see Notes.
    jax.nn.initializers.glorot_normal : Truncated; see Notes.

    Notes
    -----
    Keras and JAX truncate: that is ``variance_scaling(mode="fan_avg",
    distribution="truncated_normal", layout="io")``. Formula in [1]_. Element i depends on the seed,
    the name and i only: stream-v1.md, section 5.

    References
    ----------
    .. [1] Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
           networks, AISTATS 2010, equation 16.

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
    shape: Shape | None = None,
    *,
    negative_slope: Real = 0.0,
    gain: Real = 1.0,
    mode: Mode = "fan_in",
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U(±gain·√(6 / ((1 + a²)·n))), a the negative slope, n the fan of the mode: He uniform.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    negative_slope : float, default 0.0
        Slope a of the leaky ReLU that follows; 0 for ReLU. It enters as scale = 2 / (1 + a·a).
    gain : float, default 1.0
        Another factor on the std, finite and >= 0, such as ``fi.gpt2_scale(layers)``. It multiplies
        scale by gain·gain.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        The fan n: "fan_in" preserves the variance of activations, "fan_out" that of gradients.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        An unknown mode; a shape without fans; a negative gain; a slope that is not finite.

    See Also
    --------
    he_normal : The normal of the same variance.
    torch.nn.init.kaiming_uniform_ : Equal in law, with a for negative_slope.
    keras.initializers.HeUniform : Equal in law with layout="io".
    jax.nn.initializers.he_uniform : Equal in law with layout="io".

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, equations 10 and 14.

    Examples
    --------
    >>> fi.he_uniform((1, 4), seed=0, name="w")
    array([[ 0.23294401, -0.54543775, -0.0466069 ,  0.5398786 ]],
          dtype=float32)
    """
    own = {
        "negative_slope": negative_slope,
        "gain": gain,
        "mode": mode,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(he_uniform_rule, own, shape, dtype, out, region, seed, name, threads)


def he_normal(
    shape: Shape | None = None,
    *,
    negative_slope: Real = 0.0,
    gain: Real = 1.0,
    mode: Mode = "fan_in",
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, gain²·2 / ((1 + a²)·n)), a the negative slope, n the fan of the mode: He normal.

    Not truncated. The std is multiplied by `gain`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    negative_slope : float, default 0.0
        Slope a of the leaky ReLU that follows; 0 for ReLU. It enters as scale = 2 / (1 + a·a).
    gain : float, default 1.0
        Another factor on the std, finite and >= 0, such as ``fi.gpt2_scale(layers)``. It multiplies
        scale by gain·gain.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        The fan n: "fan_in" preserves the variance of activations, "fan_out" that of gradients.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        An unknown mode; a shape without fans; a negative gain; a slope that is not finite; a std
        that could overflow the dtype.

    See Also
    --------
    he_uniform : The uniform of the same variance.
    torch.nn.init.kaiming_normal_ : Equal in law, with a for negative_slope.
    keras.initializers.HeNormal : Truncated; see Notes.
    jax.nn.initializers.he_normal : Truncated; see Notes.

    Notes
    -----
    Keras and JAX truncate: that is ``variance_scaling(scale=2.0, distribution="truncated_normal",
    layout="io")``. Formula in [1]_. Element i depends on the seed, the name and i only:
    stream-v1.md, section 5.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, equations 10 and 14.

    Examples
    --------
    >>> fi.he_normal((1, 4), seed=0, name="w")
    array([[-0.3101834, -0.8613478,  0.3332626,  0.5032308]], dtype=float32)
    """
    own = {
        "negative_slope": negative_slope,
        "gain": gain,
        "mode": mode,
        "layout": layout,
        "in_axis": in_axis,
        "out_axis": out_axis,
        "batch_axis": batch_axis,
        "groups": groups,
    }
    return apply(he_normal_rule, own, shape, dtype, out, region, seed, name, threads)


def lecun_uniform(
    shape: Shape | None = None,
    *,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U(±√(3 / fan_in)): LeCun uniform, variance 1 / fan_in.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        A shape without fans.

    See Also
    --------
    lecun_normal : The normal of the same variance.
    torch.nn.init.kaiming_uniform_ : Equal in law with nonlinearity="linear".
    keras.initializers.LecunUniform : Equal in law with layout="io".
    jax.nn.initializers.lecun_uniform : Equal in law with layout="io".

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, section 4.6.

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
    shape: Shape | None = None,
    *,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, 1 / fan_in): LeCun normal, not truncated.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights, such as heads or experts; no fan counts them.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        A shape without fans; a std that could overflow the dtype.

    See Also
    --------
    lecun_uniform : The uniform of the same variance.
    torch.nn.init.kaiming_normal_ : Equal in law with nonlinearity="linear".
    keras.initializers.LecunNormal : Truncated; see Notes.
    jax.nn.initializers.lecun_normal : Truncated; see Notes.

    Notes
    -----
    Keras and JAX truncate: that is ``variance_scaling(distribution="truncated_normal",
    layout="io")``. Formula in [1]_; used for SELU networks in [2]_. Element i depends on the seed,
    the name and i only: stream-v1.md, section 5.

    References
    ----------
    .. [1] LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, section 4.6.
    .. [2] Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, NeurIPS
           2017.

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
