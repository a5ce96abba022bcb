"""The initializers of fastinit.jax: JAX's names, signatures and meaning.

Each builds a function of a key that _arrays.draw() answers.  What they promise: __init__.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
from jax.typing import ArrayLike, DTypeLike

from .. import _adapters
from .._core.arguments import integer
from ..initializers.variance_scaling import MODES
from ..typing import Distribution, Mode, Shape, Sizes
from ._arrays import concrete, draw
from .keys import Key

Axes: TypeAlias = int | Sequence[int]
Sharding: TypeAlias = jax.sharding.Sharding | jax.sharding.PartitionSpec


@runtime_checkable
class Initializer(Protocol):
    """The signature that JAX gives initializers; every function here returns one."""

    def __call__(
        self,
        key: Key,
        shape: Shape,
        dtype: DTypeLike | None = None,
        out_sharding: Sharding | None = None,
    ) -> jax.Array: ...


def _initialize(
    name: str,
    arguments: dict[str, Any],
    default: Any,
    column_axis: int | None,
    key: Key,
    shape: Shape,
    dtype: DTypeLike | None = None,
    out_sharding: Sharding | None = None,
) -> jax.Array:
    """Draw; an initializer is this function with its first four arguments bound."""
    sizes = _adapters.sizes(shape)
    if name == "variance_scaling":
        arguments = _with_fans(arguments, sizes)
    elif name == "orthogonal" and len(sizes) < 2:
        raise ValueError("orthogonal initializer requires at least a 2D shape")
    elif name == "delta_orthogonal":
        if len(sizes) not in (3, 4, 5):
            raise ValueError("Delta orthogonal initializer requires a 3D, 4D or 5D shape.")
        if sizes[-1] < sizes[-2]:
            raise ValueError("`fan_in` must be less or equal than `fan_out`. ")
    return draw(
        name,
        arguments,
        key,
        sizes,
        default if dtype is None else dtype,
        out_sharding,
        column_axis,
    )


def _with_fans(arguments: dict[str, Any], sizes: Sizes) -> dict[str, Any]:
    """The arguments of variance_scaling, checked in JAX's words.

    In JAX an axis may have two roles, as in_axis=0 gives the one axis of a vector; its size then
    divides the receptive field twice.  The core refuses that, so the fan goes into the scale.
    """
    if arguments["in_axis"] == -2 and len(sizes) < 2:
        raise ValueError(
            f"Can't compute input and output sizes of a {len(sizes)}-dimensional weights tensor "
            "with default in_axis. Must be at least 2D or specify in_axis explicitly."
        )
    named = [arguments[role] for role in ("in_axis", "out_axis", "batch_axis")]
    roles = [(one,) if isinstance(one, int) else one for one in named]
    axes, rank = [axis for role in roles for axis in role], len(sizes)
    if 0 in sizes or not all(axis in range(-rank, rank) for axis in axes):
        return arguments
    if len({axis % rank for axis in axes}) == len(axes) or arguments["mode"] not in MODES:
        return arguments
    ins, outs, batch = (math.prod([sizes[axis] for axis in role]) for role in roles)
    field = math.prod(sizes) / ins / outs / batch
    fans = {"fan_in": ins * field, "fan_out": outs * field}
    fans |= {"fan_avg": sum(fans.values()) / 2, "fan_geo_avg": math.sqrt(math.prod(fans.values()))}
    return {
        **arguments,
        "scale": arguments["scale"] / fans[arguments["mode"]],
        "in_axis": (),
        "out_axis": (),
        "batch_axis": tuple(range(rank)),
    }


def _bound(
    name: str, default: Any, column_axis: int | None = None, **arguments: Any
) -> Initializer:
    own = {key: _number(key, value) for key, value in arguments.items()}
    return functools.partial(_initialize, name, own, default, column_axis)


def _number(name: str, value: Any) -> Any:
    """The argument; a concrete scalar of JAX becomes a number, so that no device memory is kept."""
    if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
        return value
    if value.ndim and name == "value":  # it broadcasts
        return value
    if value.ndim:
        raise TypeError(
            f"{name} is an array of shape {value.shape}; give one number, or use jax.vmap to draw "
            "one tensor for each"
        )
    return concrete(value)


def zeros(
    key: Key | None,
    shape: Shape,
    dtype: DTypeLike | None = None,
    out_sharding: Sharding | None = None,
) -> jax.Array:
    """All zeros.  As in JAX, this is itself an initializer; the key is ignored.

    Parameters
    ----------
    key : jax.Array or None
        Ignored.
    shape : int or sequence of int
        Sizes of the axes.
    dtype : DTypeLike, optional
        Floating, complex, integer or bool; by default JAX's default float.
    out_sharding : Sharding or PartitionSpec, optional
        How the result is laid out over devices.

    Returns
    -------
    jax.Array
        The array.

    See Also
    --------
    jax.nn.initializers.zeros : JAX's own.

    Examples
    --------
    >>> zeros(None, (2, 2), "int8")
    Array([[0, 0],
           [0, 0]], dtype=int8)
    """
    return draw("zeros", {}, key, shape, dtype, out_sharding)


def ones(
    key: Key | None,
    shape: Shape,
    dtype: DTypeLike | None = None,
    out_sharding: Sharding | None = None,
) -> jax.Array:
    """All ones.  As in JAX, this is itself an initializer; the key is ignored.

    Parameters
    ----------
    key : jax.Array or None
        Ignored.
    shape : int or sequence of int
        Sizes of the axes.
    dtype : DTypeLike, optional
        Floating, complex, integer or bool; by default JAX's default float.
    out_sharding : Sharding or PartitionSpec, optional
        How the result is laid out over devices.

    Returns
    -------
    jax.Array
        The array.

    See Also
    --------
    jax.nn.initializers.ones : JAX's own.

    Examples
    --------
    >>> ones(None, (2,), "complex64")
    Array([1.+0.j, 1.+0.j], dtype=complex64)
    """
    return draw("ones", {}, key, shape, dtype, out_sharding)


def constant(value: ArrayLike, dtype: DTypeLike | None = None) -> Initializer:
    """`value` everywhere; the key is ignored.

    Parameters
    ----------
    value : ArrayLike
        A number, or an array that broadcasts to the shape; it may be traced.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.constant : JAX's own.

    Examples
    --------
    >>> constant(0.5)(None, (3,), "float16")
    Array([0.5, 0.5, 0.5], dtype=float16)
    """
    return _bound("constant", dtype, value=value)


def uniform(scale: ArrayLike = 1e-2, dtype: DTypeLike | None = None) -> Initializer:
    """U[0, scale); real dtypes only, as in JAX.

    Parameters
    ----------
    scale : float
        The upper bound; it may be traced.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.uniform : JAX's own.
    fastinit.uniform : The same values by seed and name.

    Examples
    --------
    >>> uniform(1.0)(jax.random.key(3), (3,))
    Array([0.816655 , 0.268224 , 0.7683152], dtype=float32)
    """
    return _bound("uniform", dtype, low=0.0, high=scale)


def normal(stddev: ArrayLike = 1e-2, dtype: DTypeLike | None = None) -> Initializer:
    """N(0, stddev**2), not truncated; in complex dtypes E|w|**2 = stddev**2.

    Parameters
    ----------
    stddev : float
        The standard deviation; it may be traced.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.normal : JAX's own.
    fastinit.normal : The same values by seed and name, in real dtypes.

    Examples
    --------
    Traced standard deviations, one for each layer of a stack:

    >>> keys, stds = jax.random.split(jax.random.key(0), 2), jnp.array([0.01, 100.0])
    >>> w = jax.vmap(lambda key, std: normal(std)(key, (1000,)))(keys, stds)
    >>> [round(float(std), 4) for std in w.std(axis=1)]
    [0.0098, 100.6913]
    """
    return _bound("normal", dtype, mean=0.0, std=stddev)


def truncated_normal(
    stddev: ArrayLike = 1e-2,
    dtype: DTypeLike | None = None,
    lower: ArrayLike = -2.0,
    upper: ArrayLike = 2.0,
) -> Initializer:
    """stddev times N(0, 1) truncated to (lower, upper); real dtypes only, as in JAX.

    Parameters
    ----------
    stddev : float
        The standard deviation before truncation, which is not corrected; it may be traced.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.
    lower, upper : float
        The bounds, in units of stddev; they may be traced.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.truncated_normal : JAX's own.
    fastinit.truncated_normal : The same values by seed and name.

    Examples
    --------
    >>> bool(abs(truncated_normal(1.0)(jax.random.key(0), (1000,))).max() < 2.0)
    True
    """
    return _bound("truncated_normal", dtype, std=stddev, low=lower, high=upper, bounds="sigma")


def variance_scaling(
    scale: ArrayLike,
    mode: Mode,
    distribution: Distribution,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """Mean 0 and variance scale / n, n a fan of the global shape, also of sharded arrays.

    Parameters
    ----------
    scale : float
        The numerator of the variance, at least 0; it may be traced.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What n is.
    distribution : {"truncated_normal", "normal", "uniform"}
        The law: cut at two sigma, with the std corrected; not cut; or U(-b, b) with
        b = sqrt(3 * scale / n).
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes of the inputs, those of the outputs, and those that count for neither; all other
        axes are the receptive field.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.variance_scaling : JAX's own.
    fastinit.variance_scaling : The same values by seed and name, in real dtypes.

    Notes
    -----
    In complex dtypes E|w|**2 = scale / n; "truncated_normal" cuts the modulus at two sigma, and
    "uniform" is the uniform disk. JAX's own truncated complex draws have 1.9 % more variance,
    because the constant of its correction lacks a normalization.

    Examples
    --------
    >>> w = variance_scaling(2.0, "fan_out", "uniform")(jax.random.key(0), (300, 600))
    >>> bool(abs(w).max() < (3 * 2.0 / 600) ** 0.5)
    True
    """

    def axes(given: Axes) -> Axes:
        return given if isinstance(given, int) else tuple(given)

    return _bound(
        "variance_scaling",
        dtype,
        scale=scale,
        mode=mode,
        distribution=distribution,
        in_axis=axes(in_axis),
        out_axis=axes(out_axis),
        batch_axis=axes(batch_axis),
    )


def glorot_uniform(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """U(-b, b), b = sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(1.0, "fan_avg", "uniform").

    See Also
    --------
    jax.nn.initializers.glorot_uniform : JAX's own.

    Examples
    --------
    >>> glorot_uniform()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """N cut at two sigma, of variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(1.0, "fan_avg", "truncated_normal").

    See Also
    --------
    jax.nn.initializers.glorot_normal : JAX's own.

    Examples
    --------
    >>> glorot_normal()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def he_uniform(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """U(-b, b), b = sqrt(6 / fan_in).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(2.0, "fan_in", "uniform").

    See Also
    --------
    jax.nn.initializers.he_uniform : JAX's own.

    Examples
    --------
    >>> he_uniform()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """N cut at two sigma, of variance 2 / fan_in.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(2.0, "fan_in", "truncated_normal").

    See Also
    --------
    jax.nn.initializers.he_normal : JAX's own.

    Examples
    --------
    >>> he_normal()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """U(-b, b), b = sqrt(3 / fan_in).

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(1.0, "fan_in", "uniform").

    See Also
    --------
    jax.nn.initializers.lecun_uniform : JAX's own.

    Examples
    --------
    >>> lecun_uniform()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DTypeLike | None = None,
) -> Initializer:
    """N cut at two sigma, of variance 1 / fan_in.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes that count; see variance_scaling.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; complex dtypes as in variance_scaling.

    Returns
    -------
    Initializer
        Equal to variance_scaling(1.0, "fan_in", "truncated_normal").

    See Also
    --------
    jax.nn.initializers.lecun_normal : JAX's own.

    Examples
    --------
    >>> lecun_normal()(jax.random.key(0), (3, 4), "bfloat16").shape
    (3, 4)
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(
    scale: ArrayLike = 1.0, column_axis: int = -1, dtype: DTypeLike | None = None
) -> Initializer:
    """`scale` times (semi-)orthogonal matrices, uniformly distributed; in complex dtypes unitary.

    Parameters
    ----------
    scale : float
        It may be traced.
    column_axis : int
        The axis of the columns; all other axes together are the rows.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; narrow floats too, which JAX does not
        have here.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    jax.nn.initializers.orthogonal : JAX's own, without out_sharding.
    fastinit.orthogonal : The same values by seed and name, with layout="io", in real dtypes.

    Notes
    -----
    Real matrices are drawn shard by shard. Complex ones are computed whole for every shard, by
    Gram-Schmidt in NumPy, and take seconds from 500 columns on.

    Examples
    --------
    >>> w = orthogonal()(jax.random.key(0), (5, 3))
    >>> bool(abs(w.T @ w - jnp.eye(3)).max() < 1e-6)
    True
    """
    return _bound("orthogonal", dtype, integer(column_axis, "column_axis"), gain=scale, layout="io")


def delta_orthogonal(
    scale: ArrayLike = 1.0, column_axis: int = -1, dtype: DTypeLike | None = None
) -> Initializer:
    """0 except at the kernel's centre, (k - 1) // 2, which holds an orthogonal matrix.

    Parameters
    ----------
    scale : float
        The factor of the matrix; it may be traced.
    column_axis : {-1, -2, 0, 1}
        The axis of the matrix' columns; all give the same array.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one; in complex dtypes the matrix is unitary.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None) for shapes
        ``(*kernel, in, out)`` with no more inputs than outputs.

    Raises
    ------
    ValueError
        Another column_axis.

    See Also
    --------
    jax.nn.initializers.delta_orthogonal : JAX's own, without out_sharding.

    Examples
    --------
    >>> kernel = delta_orthogonal()(jax.random.key(0), (3, 4, 4))
    >>> bool(kernel[0].any()), bool(kernel[1].any()), bool(kernel[2].any())
    (False, True, False)
    """
    if integer(column_axis, "column_axis") not in range(-2, 2):
        raise ValueError(
            f"column_axis is {column_axis}; give -1 or -2, the axes of the matrix at the centre"
        )
    return _bound("delta_orthogonal", dtype, gain=scale, layout="io")


def sparse(
    sparsity: ArrayLike, std: ArrayLike = 0.01, dtype: DTypeLike | None = None
) -> Initializer:
    """N(0, std**2) in a matrix (in, out); of each output's inputs, the share `sparsity` is 0.

    Parameters
    ----------
    sparsity : float
        In [0, 1]; it may be traced.
    std : float
        The standard deviation of the non-zeros; it may be traced.
    dtype : DTypeLike, optional
        Dtype of the result, if the call does not give one.

    Returns
    -------
    Initializer
        A function of (key, shape, dtype=None, out_sharding=None).

    See Also
    --------
    fastinit.sparse : The same values by seed and name. JAX has no such initializer.

    Examples
    --------
    >>> w = sparse(0.75)(jax.random.key(0), (8, 3))
    >>> (w == 0).sum(axis=0)
    Array([6, 6, 6], dtype=int32)
    """
    return _bound("sparse", dtype, sparsity=sparsity, std=std)
