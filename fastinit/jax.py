"""JAX: initializers with JAX's names, signatures and meaning, and the stream's bits.

>>> import jax, fastinit.jax as init
>>> draw = init.he_normal()                       # in Flax: kernel_init=init.he_normal()
>>> w = draw(jax.random.key(0), (4096, 4096), "bfloat16")
>>> mesh = jax.sharding.Mesh(jax.devices(), "x")
>>> sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
>>> sharded = draw(jax.random.key(0), (4096, 4096), "bfloat16", out_sharding=sharding)
>>> bool((sharded == w).all())    # yet each shard was drawn by itself, by the process that holds it
True

The *_normal functions are JAX's: truncated at two sigma and corrected.  A key names the stream: the
words (k0, k1) of a threefry key give the seed k0 * 2**32 + k1 and stream 0; of the four words of an
rbg key the first two give the seed and the last two the stream id.  Under jit and vmap (and in
Flax' init) the host draws the whole array in a callback; under eval_shape nothing is drawn.
Standard deviations, scales, bounds and values may be traced numbers.  Complex dtypes:
_complex.py.  Values: stream-v1.md; rules and regions: _adapters.py, _core/fill.py.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from . import _adapters, _complex, _jaxpr, _laws
from ._core import dtypes, engine, fill, shapes
from ._core.draws import Draw
from ._core.dtypes import DType
from ._core.engine import guarded
from ._core.fill import apply as _apply
from ._laws import Law
from .typing import Array, Distribution, Mode, Shape, Sizes

try:
    import jax
    import jax.numpy as jnp
    from jax.typing import ArrayLike, DTypeLike
except ImportError as error:
    raise _adapters.missing("JAX", "jax", error) from error

Axes: TypeAlias = int | Sequence[int]
Key: TypeAlias = jax.Array | np.ndarray[Any, Any]  # one key, typed or raw
Sharding: TypeAlias = jax.sharding.Sharding | jax.sharding.PartitionSpec


class Initializer(Protocol):
    """What every function here builds: JAX's signature of an initializer."""

    def __call__(
        self,
        key: Key,
        shape: Shape,
        dtype: DTypeLike | None = None,
        out_sharding: Sharding | None = None,
    ) -> jax.Array: ...


__all__ = [
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "key_to_stream",
    "laws",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


# --------------------------------------------------------------------------------------------- keys


def _words(key: Any) -> Any:
    """The 32-bit words of one key, typed or raw; a tracer inside a trace, so that tracing draws
    nothing.
    """
    if not hasattr(key, "dtype"):
        raise TypeError(
            f"key is {type(key).__name__} {key!r:.80}; give a key: jax.random.key(seed) or "
            "jax.random.PRNGKey(seed)"
        )
    words = None
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        words = jax.random.key_data(key)
    elif key.dtype == np.uint32 and key.ndim and key.shape[-1] in (2, 4):
        key = jax.random.wrap_key_data(key, impl="threefry2x32" if key.shape[-1] == 2 else "rbg")
        words = jax.random.key_data(key)
    if words is None or words.shape[-1] not in (2, 4):
        raise TypeError(
            f"key has dtype {key.dtype} and shape {key.shape}; give one key of two words "
            "(threefry) or four (rbg): jax.random.key(seed) or jax.random.PRNGKey(seed)"
        )
    if key.shape:
        raise ValueError(
            f"key is an array of keys, of shape {key.shape}; give one key, or use jax.vmap"
        )
    return words


def key_to_stream(key: Key) -> tuple[int, int]:
    """(seed, stream id) of a concrete key.

    Given as seed= and name=, they make the core functions draw the same values.

    Parameters
    ----------
    key : jax.Array
        One key. A threefry key (k0, k1) has seed k0 * 2**32 + k1 and stream id 0; an rbg key
        (k0, k1, k2, k3) has stream id k2 * 2**32 + k3.

    Returns
    -------
    tuple of (int, int)
        The seed and the stream id.

    Examples
    --------
    >>> key_to_stream(jax.random.key(5)), key_to_stream(jax.random.key(5, impl="rbg"))
    ((5, 0), (5, 5))
    """
    return _stream(_words(key))


def _stream(words: Any) -> tuple[int, int]:
    k0, k1, *rest = map(int, np.asarray(words))
    return k0 << 32 | k1, rest[0] << 32 | rest[1] if rest else 0


# --------------------------------------------------------------------------------------------- laws


def laws(init: Callable[..., Any], *arguments: Any, **options: Any) -> list[Law]:
    """One line for each group of parameters: how their initial values are distributed.

    Parameters
    ----------
    init : callable
        Makes the parameters: a linen model's init, a function that builds an nnx module, or any
        other whose result is a tree of arrays.
    *arguments, **options : any
        What it is called with: keys, inputs or their shapes (jax.ShapeDtypeStruct).

    Returns
    -------
    list of Law
        Sorted by name, the keys of the tree joined by dots. What neither jax.random nor fastinit
        drew by itself has the law "unknown" and the operation that stands in the way.

    See Also
    --------
    fastinit.inspection.laws_toml : The same as a file.
    fastinit.torch.laws : For torch's modules.

    Notes
    -----
    The function is traced, not run: nothing is drawn.

    Examples
    --------
    >>> def make(key):
    ...     return {"w": normal(0.02)(key, (4, 4)), "b": jax.numpy.zeros(4)}
    >>> [(law.name, law.numbers()) for law in laws(make, jax.random.key(0))]
    [('b', 'constant 0'), ('w', 'normal, mean 0, std 0.02')]
    """

    def make(*given: Any) -> Any:
        made = init(*given, **options)
        nnx = sys.modules.get("flax.nnx")
        if nnx is not None and isinstance(made, nnx.Module):
            return nnx.to_pure_dict(nnx.state(made, nnx.Not(nnx.RngState)))
        return made

    closed, shapes_ = jax.make_jaxpr(make, return_shape=True)(*arguments)
    leaves, _ = jax.tree_util.tree_flatten_with_path(shapes_)
    names = [_joined(path) for path, _ in leaves]
    return _laws.fold(_jaxpr.laws(closed, names))


def _joined(path: Sequence[Any]) -> str:
    """The keys of a path in a tree, with dots between them."""
    parts = [getattr(one, "key", getattr(one, "name", getattr(one, "idx", ""))) for one in path]
    return ".".join(map(str, parts))


# ------------------------------------------------------------------------------------------ drawing

_decide = guarded(fill.decide)


def draw(
    name: str,
    arguments: Mapping[str, Any],
    key: Any,
    shape: Any,
    dtype: Any = None,
    out_sharding: Any = None,
    column_axis: int | None = None,
) -> jax.Array:
    """An array of JAX by the core's name and arguments of an initializer; not public, but
    fastinit.keras calls it too.

    Every complaint comes from here, not from inside a callback, but those about traced arguments.
    """
    stored = _stored(dtype)
    parts = _complex.parts_of(stored)
    kind = parts or dtypes.resolve(stored)
    sizes = shapes.parse_shape(shape)
    order = list(range(len(sizes)))
    if column_axis is not None:  # drawn with that axis last, and moved
        if not -len(sizes) <= column_axis < len(sizes):
            raise ValueError(
                f"column_axis {column_axis} is outside the {len(sizes)} axes of shape {sizes}"
            )
        order.append(order.pop(column_axis))
    whole = tuple([sizes[axis] for axis in order])
    shapes.count((*whole, 2) if parts else whole, kind)
    traced = {k: v for k, v in arguments.items() if isinstance(v, jax.core.Tracer)}
    if name == "constant" and (traced or np.ndim(arguments["value"])):
        return _placed(_full(arguments["value"], sizes, stored, kind), out_sharding)
    checked = _with_stand_ins(arguments, traced)
    constant: Any = None
    if parts:
        law = _complex.law(name, checked, whole, parts)
        constant = law.size if law.form == "constant" else None
    else:
        result = _decide(_adapters.rule(name), whole, kind, checked)
        if isinstance(result, Draw) and result.draw == dtypes.CONSTANT and not traced:
            constant = np.array(result.parameters[0], kind.unsigned).view(kind.numpy())
    words = _words(key if constant is None else np.zeros(2, np.uint32))

    def host(words: Any, *numbers: Any, region: Sequence[slice] | None = None) -> Array:
        own = {**arguments, **dict(zip(traced, map(_real, numbers), strict=True))}
        part = None if region is None else tuple([region[axis] for axis in order])
        if parts:
            law = _complex.law(name, own, whole, parts)
            drawn = _complex.values(law, whole, parts, part, *_stream(words))
        else:
            rule = _adapters.rule(name)
            drawn = _apply(rule, own, whole, kind, None, part, *_stream(words), None)
        if column_axis is None:
            return drawn
        return np.ascontiguousarray(np.transpose(drawn, np.argsort(order)))

    if traced or isinstance(words, jax.core.Tracer):
        if constant is not None:
            array = jnp.full(sizes, constant, stored)
        else:
            drawn = name, arguments, tuple(traced), whole
            array = _called_back(host, words, list(traced.values()), sizes, stored, drawn)
        return _constrained(array, out_sharding)
    if out_sharding is None:
        # The values go to the device that the key is committed to, as with JAX's own initializers.
        place = words.sharding if words.committed and len(words.devices()) == 1 else None
        return jax.device_put(host(jax.device_get(words)), place)
    return _sharded(
        functools.partial(host, jax.device_get(words)),
        sizes,
        stored,
        concrete_sharding(out_sharding),
    )


def _stored(dtype: Any) -> np.dtype[Any]:
    """The dtype of the result; JAX's answer, and its warning, where 64-bit types are disabled."""
    if dtype is None:
        dtype = jnp.result_type(float)
    stored = np.dtype(dtype) if _complex.parts_of(dtype) else dtypes.resolve(dtype).numpy()
    if stored.itemsize >= 8 and stored != np.complex64:
        stored = np.dtype(jnp.zeros((), stored).dtype)
    return stored


# Stand in for traced numbers while everything else is checked; the numbers themselves are checked
# when the program runs.
_STAND_INS = {"mean": 0.0, "std": 1.0, "scale": 1.0, "gain": 1.0, "sparsity": 0.5}


def _with_stand_ins(arguments: Mapping[str, Any], traced: Mapping[str, Any]) -> dict[str, Any]:
    own = dict(arguments)
    for name, value in traced.items():
        if value.ndim:
            raise TypeError(
                f"{name} is a traced array of shape {value.shape}; give one number, or use "
                "jax.vmap to draw one tensor for each"
            )
        if name in _STAND_INS:
            own[name] = _STAND_INS[name]
        elif "bounds" in arguments:  # of a truncated normal
            own[name] = -math.inf if name == "low" else math.inf
        else:
            other = arguments["high" if name == "low" else "low"]
            own[name] = 0.0 if isinstance(other, jax.core.Tracer) else other
    return own


def _real(number: Any) -> Any:
    """A Python number from a concrete array; what is not real is refused by its rule."""
    number = np.asarray(number)
    return float(number) if number.dtype.kind == "V" else number.item()  # "V": bfloat16


def _full(value: Any, sizes: Sizes, stored: np.dtype[Any], kind: DType) -> jax.Array:
    """A traced number or an array everywhere: JAX's own, but narrow floats round to float32 first,
    as the core's constants do.
    """
    value = jnp.asarray(value)
    if kind.is_float and not kind.wide and stored.itemsize < 4:
        value = value.astype(np.float32)
    return jnp.full(sizes, value, stored)


def _placed(array: jax.Array, out_sharding: Any) -> jax.Array:
    if isinstance(array, jax.core.Tracer):
        return _constrained(array, out_sharding)
    if out_sharding is None:
        return array
    return jax.device_put(array, concrete_sharding(out_sharding))


def _called_back(
    host: Callable[..., Array],
    words: Any,
    numbers: list[Any],
    sizes: Sizes,
    stored: np.dtype[Any],
    drawn: tuple[Any, ...],
) -> jax.Array:
    """The whole array, drawn by the host when the traced program runs."""
    if jax.sharding.get_abstract_mesh().manual_axes:
        raise NotImplementedError(
            "fastinit.jax cannot draw inside pmap or shard_map, where every device would ask the "
            "host for its own values; initialize outside, with out_sharding= for shards"
        )
    callback = functools.partial(host)
    # The native engine sets and restores the floating-point state itself.
    if engine.name() == "reference":
        callback = functools.partial(
            lambda thread, *inputs: thread.submit(host, *inputs).result(), _thread()
        )
    callback.drawn = drawn  # type: ignore[attr-defined]  # what laws() reads (_jaxpr.py)
    values = jax.pure_callback(
        callback,
        jax.ShapeDtypeStruct(sizes, stored),
        words,
        *numbers,
        vmap_method="sequential",
    )
    # JAX 0.10 fails on a bare callback as the result of a jit under set_mesh; the barrier changes
    # no bit.
    return jax.lax.optimization_barrier(values)  # type: ignore[no-any-return]


@functools.cache
def _thread() -> Any:
    """A thread with the floating-point state of the one that traces: XLA's own threads flush
    subnormals.
    """
    from concurrent.futures import ThreadPoolExecutor

    thread = ThreadPoolExecutor(1, "fastinit.jax")
    thread.submit(int).result()  # starts it here
    return thread


def _sharded(
    host: Callable[..., Array], sizes: Sizes, stored: np.dtype[Any], sharding: Any
) -> jax.Array:
    """Each addressable shard, drawn by itself; a shard with replicas on this host is drawn once."""

    @functools.cache
    def shard(bounds: tuple[tuple[int, int], ...]) -> Array:
        return host(region=[slice(*pair) for pair in bounds])

    def at(index: Any) -> Array:
        return shard(tuple([cut.indices(size)[:2] for cut, size in zip(index, sizes, strict=True)]))

    return jax.make_array_from_callback(sizes, sharding, at, dtype=stored)


def _constrained(array: jax.Array, out_sharding: Any) -> jax.Array:
    """A traced array with the given sharding."""
    if out_sharding is None:
        return array
    mesh = getattr(out_sharding, "mesh", None) or jax.sharding.get_abstract_mesh()
    if mesh.explicit_axes:  # there with_sharding_constraint is an assertion
        return jax.device_put(array, out_sharding)
    return jax.lax.with_sharding_constraint(array, out_sharding)  # type: ignore[no-any-return]


def concrete_sharding(out_sharding: Any) -> jax.sharding.Sharding:
    """A sharding over devices; PartitionSpecs and abstract meshes resolve on the current mesh.

    Not public, but fastinit.keras calls it too.
    """
    spec = out_sharding
    if isinstance(out_sharding, jax.sharding.NamedSharding):
        if not isinstance(out_sharding.mesh, jax.sharding.AbstractMesh):
            return out_sharding
        spec = out_sharding.spec
    if isinstance(spec, jax.sharding.PartitionSpec):
        mesh = jax.sharding.get_mesh()
        if mesh.empty:
            raise ValueError(
                f"out_sharding is {spec} and no mesh is set; use jax.set_mesh or "
                "NamedSharding(mesh, …)"
            )
        return jax.sharding.NamedSharding(mesh, spec)
    if not isinstance(out_sharding, jax.sharding.Sharding):
        raise TypeError(
            f"out_sharding is {type(out_sharding).__name__}; give a jax.sharding.Sharding or "
            "PartitionSpec"
        )
    return out_sharding


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
    """Every initializer here, with the first four arguments bound."""
    return draw(
        name,
        arguments,
        key,
        shape,
        default if dtype is None else dtype,
        out_sharding,
        column_axis,
    )


def _bound(
    name: str, default: Any, column_axis: int | None = None, **arguments: Any
) -> Initializer:
    own = {key: _number(key, value) for key, value in arguments.items()}
    return functools.partial(_initialize, name, own, default, column_axis)


def _number(name: str, value: Any) -> Any:
    """An argument without a hold on device memory: a concrete scalar of JAX becomes a number."""
    if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
        return value
    if value.ndim and name == "value":  # it broadcasts
        return value
    if value.ndim:
        raise TypeError(
            f"{name} is an array of shape {value.shape}; give one number, or use jax.vmap to draw "
            "one tensor for each"
        )
    return _real(value)


# ------------------------------------------------------------------------------------- initializers


def zeros(
    key: Key | None,
    shape: Shape,
    dtype: DTypeLike | None = None,
    out_sharding: Sharding | None = None,
) -> jax.Array:
    """All zeros.  As in JAX this is itself an initializer; the key is ignored.

    Parameters
    ----------
    key : jax.Array or None
        Ignored.
    shape : int or sequence of int
        Sizes of the axes.
    dtype : DTypeLike, optional
        Floating, complex, integer or bool; JAX's default float without it.
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
    """All ones.  As in JAX this is itself an initializer; the key is ignored.

    Parameters
    ----------
    key : jax.Array or None
        Ignored.
    shape : int or sequence of int
        Sizes of the axes.
    dtype : DTypeLike, optional
        Floating, complex, integer or bool; JAX's default float without it.
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
        Of the result, where the call names none.

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
        Of the result, where the call names none.

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
        Of the result, where the call names none.

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
    A traced standard deviation, one for each layer of a stack:

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
        Of the result, where the call names none.
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
        Of the variance, at least 0; it may be traced.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        What n is.
    distribution : {"truncated_normal", "normal", "uniform"}
        Cut at two sigma and its std corrected; not cut; or U(-b, b) with b = sqrt(3 * scale / n).
    in_axis, out_axis, batch_axis : int or sequence of int
        The axes of the inputs, of the outputs, and those that count for neither; all others are
        the receptive field.
    dtype : DTypeLike, optional
        Of the result, where the call names none.

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
    In complex dtypes E|w|**2 = scale / n.  "truncated_normal" cuts the modulus at two sigma, and
    "uniform" is the uniform disk.  JAX's own truncated complex draws have 1.9 % more variance: the
    constant by which it corrects lacks a normalization.

    Examples
    --------
    >>> w = variance_scaling(2.0, "fan_out", "uniform")(jax.random.key(0), (300, 600))
    >>> bool(abs(w).max() < (3 * 2.0 / 600) ** 0.5)
    True
    """

    def axes(given: Axes) -> Axes:
        return given if isinstance(given, int) else tuple(given)

    return functools.partial(
        _variance_scaling,
        {
            "scale": _number("scale", scale),
            "mode": mode,
            "distribution": distribution,
            "in_axis": axes(in_axis),
            "out_axis": axes(out_axis),
            "batch_axis": axes(batch_axis),
        },
        dtype,
    )


def _variance_scaling(
    arguments: dict[str, Any],
    default: Any,
    key: Key,
    shape: Shape,
    dtype: DTypeLike | None = None,
    out_sharding: Sharding | None = None,
) -> jax.Array:
    sizes = shapes.parse_shape(shape)
    if arguments["in_axis"] == -2 and len(sizes) < 2:
        raise ValueError(
            f"Can't compute input and output sizes of a {len(sizes)}-dimensional weights tensor "
            "with default in_axis. Must be at least 2D or specify in_axis explicitly."
        )
    return _initialize(
        "variance_scaling", arguments, default, None, key, sizes, dtype, out_sharding
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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(1.0, "fan_avg", "uniform").

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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(1.0, "fan_avg", "truncated_normal").

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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(2.0, "fan_in", "uniform").

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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(2.0, "fan_in", "truncated_normal").

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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(1.0, "fan_in", "uniform").

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
        Which axes count; see variance_scaling.
    dtype : DTypeLike, optional
        Of the result, where the call names none; complex ones as in variance_scaling.

    Returns
    -------
    Initializer
        variance_scaling(1.0, "fan_in", "truncated_normal").

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
        The axis of the columns; all others together are the rows.
    dtype : DTypeLike, optional
        Of the result, where the call names none; the narrow floats too, which JAX does not have.

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
    Real matrices are drawn shard by shard.  Complex ones are made whole, by Gram-Schmidt in NumPy,
    for every shard, and take seconds from 500 columns on.

    Examples
    --------
    >>> w = orthogonal()(jax.random.key(0), (5, 3))
    >>> bool(abs(w.T @ w - jnp.eye(3)).max() < 1e-6)
    True
    """
    return _bound("orthogonal", dtype, column_axis, gain=scale, layout="io")


def delta_orthogonal(
    scale: ArrayLike = 1.0, column_axis: int = -1, dtype: DTypeLike | None = None
) -> Initializer:
    """Convolution kernels of zeros around an orthogonal matrix at the centre, (k - 1) // 2.

    Parameters
    ----------
    scale : float
        Of the matrix; it may be traced.
    column_axis : {-1, -2}
        The axis of the matrix' columns; both give one law, and one array.
    dtype : DTypeLike, optional
        Of the result, where the call names none; in complex dtypes the matrix is unitary.

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
    if column_axis not in (-1, -2):
        raise ValueError(
            f"column_axis is {column_axis}; the matrix at the centre has the axes -1 and -2"
        )
    return _bound("delta_orthogonal", dtype, gain=scale, layout="io")


def sparse(
    sparsity: ArrayLike, std: ArrayLike = 0.01, dtype: DTypeLike | None = None
) -> Initializer:
    """N(0, std**2) in a matrix (in, out), a share `sparsity` of the inputs of each output zero.

    Parameters
    ----------
    sparsity : float
        In [0, 1]; it may be traced.
    std : float
        The standard deviation of the rest; it may be traced.
    dtype : DTypeLike, optional
        Of the result, where the call names none.

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
