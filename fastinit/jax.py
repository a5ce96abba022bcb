"""JAX: initializers with JAX's names, signatures and meaning, and the stream's bits.

>>> import jax, fastinit.jax as init
>>> draw = init.he_normal()                       # in Flax: kernel_init=init.he_normal()
>>> w = draw(jax.random.key(0), (4096, 4096), "bfloat16")
>>> mesh = jax.sharding.Mesh(jax.devices(), "x")
>>> sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
>>> sharded = draw(jax.random.key(0), (4096, 4096), "bfloat16", out_sharding=sharding)
>>> bool((sharded == w).all())    # yet each shard was drawn alone, by the process that holds it
True

*_normal means what it does in JAX: truncated at two sigma, the std corrected.  A key names the
stream: threefry's words (k0, k1) give the seed k0 * 2**32 + k1 and stream 0; the four words of rbg
give the seed from the first two and the stream id from the last two.  Under jit and vmap, and so in
Flax's init, the host draws the whole array in a callback; under eval_shape nothing is drawn.
Values: stream-v1.md; rules and regions: _adapters.py, _core/fill.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _adapters
from ._core import dtypes, engine, fill, shapes
from ._core.draws import Draw
from ._core.engine import guarded
from ._core.fill import apply as _apply

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise _adapters.missing("JAX", "jax", error) from error

Axes = int | Sequence[int]
Initializer = Callable[..., Any]  # of (key, shape, dtype=None, out_sharding=None)

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


def key_to_stream(key: Any) -> tuple[int, int]:
    """(seed, stream id) of a concrete key.

    Passed as seed= and name= they make the core functions draw the same values.

    threefry (k0, k1): seed = k0 * 2**32 + k1, stream id 0.  rbg (k0, k1, k2, k3): the stream id is
    k2 * 2**32 + k3.

    >>> key_to_stream(jax.random.key(5)), key_to_stream(jax.random.key(5, impl="rbg"))
    ((5, 0), (5, 5))
    """
    return _stream(_words(key))


def _stream(words: Any) -> tuple[int, int]:
    k0, k1, *rest = map(int, np.asarray(words))
    return k0 << 32 | k1, rest[0] << 32 | rest[1] if rest else 0


# ------------------------------------------------------------------------------------------ drawing

_decide = guarded(fill.decide)


def _initialize(
    name: str,
    arguments: dict[str, Any],
    default: Any,
    column_axis: int | None,
    key: Any,
    shape: Any,
    dtype: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Every initializer here, with the first four arguments bound; the others are JAX's (key,
    shape, dtype, out_sharding).
    """
    kind = _kind(default if dtype is None else dtype)
    shape = shapes.parse_shape(shape)
    axes = list(range(len(shape)))
    if column_axis is not None:  # drawn with that axis last, and moved
        if not -len(shape) <= column_axis < len(shape):
            raise ValueError(
                f"column_axis {column_axis} is outside the {len(shape)} axes of shape {shape}"
            )
        axes.append(axes.pop(column_axis))
    whole = tuple([shape[axis] for axis in axes])
    shapes.count(whole, kind)
    rule = _adapters.rule(name)
    result = _decide(
        rule, whole, kind, arguments
    )  # every error is raised now, not inside a callback
    constant = (
        result.parameters if isinstance(result, Draw) and result.draw == dtypes.CONSTANT else None
    )
    words = _words(np.zeros(2, np.uint32) if constant else key)

    def draw(words: Any, region: Any = None) -> np.ndarray[Any, Any]:
        part = None if region is None else tuple([region[axis] for axis in axes])
        drawn = _apply(rule, dict(arguments), whole, kind, None, part, *_stream(words), None)
        return (
            np.ascontiguousarray(np.transpose(drawn, np.argsort(axes)))
            if column_axis is not None
            else drawn
        )

    if isinstance(words, jax.core.Tracer):
        value = np.array(constant[0], kind.unsigned).view(kind.numpy()) if constant else None
        traced = _called_back(draw, words, shape, kind) if value is None else jnp.full(shape, value)
        return _constrained(traced, out_sharding)
    if out_sharding is None:
        # The values go to the device that the key is committed to, as with JAX's own initializers.
        place = words.sharding if words.committed and len(words.devices()) == 1 else None
        return jax.device_put(draw(jax.device_get(words)), place)
    return _sharded(
        functools.partial(draw, jax.device_get(words)), shape, kind, _concrete(out_sharding)
    )


def _called_back(
    draw: Callable[..., Any], words: Any, shape: tuple[int, ...], kind: dtypes.DType
) -> Any:
    """The whole array, drawn by the host when the traced program runs."""
    if jax.sharding.get_abstract_mesh().manual_axes:
        raise NotImplementedError(
            "fastinit.jax cannot draw inside pmap or shard_map, where every device would ask the "
            "host for its own values; initialize outside, with out_sharding= for shards"
        )
    callback = draw
    if (
        engine.name() == "reference"
    ):  # the native engine sets and restores the floating-point state itself
        callback = functools.partial(
            lambda thread, words: thread.submit(draw, words).result(), _thread()
        )
    drawn = jax.pure_callback(
        callback, jax.ShapeDtypeStruct(shape, kind.numpy()), words, vmap_method="sequential"
    )
    # JAX 0.10 fails on a bare callback as the result of a jit under set_mesh; the barrier changes
    # no bit.
    return jax.lax.optimization_barrier(drawn)


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
    draw: Callable[..., Any], shape: tuple[int, ...], kind: dtypes.DType, sharding: Any
) -> Any:
    """Each addressable shard, drawn by itself; a shard with replicas on this host is drawn once."""

    @functools.cache
    def shard(bounds: tuple[tuple[int, int], ...]) -> Any:
        return draw([slice(*pair) for pair in bounds])

    def at(index: Any) -> Any:
        return shard(tuple([cut.indices(size)[:2] for cut, size in zip(index, shape, strict=True)]))

    return jax.make_array_from_callback(shape, sharding, at, dtype=kind.numpy())


def _kind(dtype: Any) -> dtypes.DType:
    kind = dtypes.resolve(jnp.result_type(float) if dtype is None else dtype)
    if kind.itemsize == 8:  # JAX's own answer, and its warning, where 64-bit types are disabled
        kind = dtypes.resolve(jnp.zeros((), kind.numpy()).dtype)
    return kind


def _constrained(array: Any, out_sharding: Any) -> Any:
    """A traced array with the given sharding."""
    if out_sharding is None:
        return array
    mesh = getattr(out_sharding, "mesh", None) or jax.sharding.get_abstract_mesh()
    if mesh.explicit_axes:  # there with_sharding_constraint is an assertion
        return jax.device_put(array, out_sharding)
    return jax.lax.with_sharding_constraint(array, out_sharding)


def _concrete(out_sharding: Any) -> Any:
    """A sharding over devices; PartitionSpecs and abstract meshes resolve on the current mesh."""
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


def _bound(
    name: str, default: Any, column_axis: int | None = None, **arguments: Any
) -> Initializer:
    return functools.partial(_initialize, name, arguments, default, column_axis)


# ------------------------------------------------------------------------------------- initializers


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """All zeros.  As in JAX this is itself an initializer; the key is ignored."""
    return _initialize("zeros", {}, None, None, key, shape, dtype, out_sharding)


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """All ones.  As in JAX this is itself an initializer; the key is ignored."""
    return _initialize("ones", {}, None, None, key, shape, dtype, out_sharding)


def constant(value: float, dtype: Any = None) -> Initializer:
    """`value` everywhere; the key is ignored."""
    return _bound("constant", dtype, value=value)


def uniform(scale: float = 1e-2, dtype: Any = None) -> Initializer:
    """U[0, scale), as jax.nn.initializers.uniform.

    >>> uniform(1.0)(jax.random.key(3), (3,))
    Array([0.816655 , 0.268224 , 0.7683152], dtype=float32)
    """
    return _bound("uniform", dtype, low=0.0, high=float(scale))


def normal(stddev: float = 1e-2, dtype: Any = None) -> Initializer:
    """N(0, stddev**2), not truncated, as jax.nn.initializers.normal."""
    return _bound("normal", dtype, mean=0.0, std=float(stddev))


def truncated_normal(
    stddev: float = 1e-2, dtype: Any = None, lower: float = -2.0, upper: float = 2.0
) -> Initializer:
    """stddev times N(0, 1) truncated to (lower, upper), both in sigmas; the std is not corrected,
    as in JAX.
    """
    return _bound(
        "truncated_normal",
        dtype,
        std=float(stddev),
        low=float(lower),
        high=float(upper),
        bounds="sigma",
    )


def variance_scaling(
    scale: float,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Variance scale / n, n = fan_in, fan_out, fan_avg or fan_geo_avg by `mode`, as JAX's of the
    same name.

    "truncated_normal" is cut at two sigma and its std is corrected; "normal" is not cut;
    "uniform" is U(-b, b) with b = sqrt(3 * scale / n).  Fans come from the global shape, also of
    sharded arrays.
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


def _named(
    name: str, scale: float, mode: str, distribution: str, formula: str
) -> Callable[..., Initializer]:
    def build(
        in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
    ) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = (
        f"{formula}, as JAX's of the same name: variance_scaling({scale}, {mode!r}, "
        f"{distribution!r})."
    )
    return build


glorot_uniform = xavier_uniform = _named(
    "glorot_uniform", 1.0, "fan_avg", "uniform", "U(-b, b), b = sqrt(6 / (fan_in + fan_out))"
)
glorot_normal = xavier_normal = _named(
    "glorot_normal",
    1.0,
    "fan_avg",
    "truncated_normal",
    "Truncated normal of variance 2 / (fan_in + fan_out)",
)
he_uniform = kaiming_uniform = _named(
    "he_uniform", 2.0, "fan_in", "uniform", "U(-b, b), b = sqrt(6 / fan_in)"
)
he_normal = kaiming_normal = _named(
    "he_normal", 2.0, "fan_in", "truncated_normal", "Truncated normal of variance 2 / fan_in"
)
lecun_uniform = _named("lecun_uniform", 1.0, "fan_in", "uniform", "U(-b, b), b = sqrt(3 / fan_in)")
lecun_normal = _named(
    "lecun_normal", 1.0, "fan_in", "truncated_normal", "Truncated normal of variance 1 / fan_in"
)


def orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """`scale` times uniformly distributed (semi-)orthogonal matrices: `column_axis` against all
    other axes.

    As JAX's of the same name; also in bfloat16 and the other narrow dtypes, and with out_sharding.
    """
    return _bound("orthogonal", dtype, column_axis, gain=float(scale), layout="io")


def delta_orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Convolution kernels (*kernel, in, out) that are zero but for an orthogonal matrix at the
    centre (k - 1) // 2.

    As JAX's of the same name, with no more inputs than outputs; both column axes give one law, and
    one array.
    """
    if column_axis not in (-1, -2):
        raise ValueError(
            f"column_axis is {column_axis}; the matrix at the centre has the axes -1 and -2"
        )
    return _bound("delta_orthogonal", dtype, gain=float(scale), layout="io")


def sparse(sparsity: float, std: float = 0.01, dtype: Any = None) -> Initializer:
    """N(0, std**2) in a matrix (in, out), a share `sparsity` of the inputs of each output zero.

    (Not in JAX.)
    """
    return _bound("sparse", dtype, sparsity=float(sparsity), std=float(std))
