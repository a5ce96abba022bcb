"""Drawing arrays of JAX: eagerly, inside a trace by a callback to the host, or shard by shard.

draw() and concrete_sharding() serve initializers.py and ../keras.py.  Rules and regions:
../_adapters.py, ../_core/fill.py; complex dtypes: ../_complex.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _adapters, _complex
from .._core import dtypes, engine, fill, shapes
from .._core.draws import Draw
from .._core.engine import guarded
from .._core.fill import apply as _apply
from ..typing import Array, Sizes
from .keys import stream_of, words_of

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
    """A JAX array, drawn by an initializer that is given by the core's name and arguments.

    Every error is raised here and not inside a callback, except errors about traced arguments.
    """
    if name in _CONSTANTS:
        value = arguments.get("value", _CONSTANTS[name])
        if _left_to_jax(name, value, dtype):
            return _full(value, _adapters.sizes(shape), dtype, out_sharding)
    stored = _stored(dtype)
    parts = _complex.parts_of(stored)
    kind = parts or dtypes.resolve(stored)
    sizes = _adapters.sizes(shape)
    order = list(range(len(sizes)))
    if column_axis is not None:  # that axis is drawn last, then moved
        if not -len(sizes) <= column_axis < len(sizes):
            raise ValueError(
                f"column_axis {column_axis} is outside the {len(sizes)} axes of shape {sizes}"
            )
        order.append(order.pop(column_axis))
    whole = tuple([sizes[axis] for axis in order])
    shapes.count((*whole, 2) if parts else whole, kind)
    traced = {k: v for k, v in arguments.items() if isinstance(v, jax.core.Tracer)}
    # A callback that held a tracer would keep its trace alive (jax.checking_leaks).
    numbers = list(traced.values())
    names, fixed = tuple(traced), {k: v for k, v in arguments.items() if k not in traced}
    checked = _with_stand_ins(arguments, traced)
    constant: Any = None
    if parts:
        law = _complex.law(name, checked, whole, parts)
        constant = law.size if law.form == "constant" else None
    else:
        result = _decide(_adapters.rule(name), whole, kind, checked)
        if isinstance(result, Draw) and result.draw == dtypes.CONSTANT and not traced:
            constant = np.array(result.parameters[0], kind.unsigned).view(kind.numpy())
    words = words_of(key if constant is None else np.zeros(2, np.uint32))

    def host(words: Any, *numbers: Any, region: Sequence[slice] | None = None) -> Array:
        own = {**fixed, **dict(zip(names, map(concrete, numbers), strict=True))}
        part = None if region is None else tuple([region[axis] for axis in order])
        if parts:
            law = _complex.law(name, own, whole, parts)
            drawn = _complex.values(law, whole, parts, part, *stream_of(words))
        else:
            rule = _adapters.rule(name)
            drawn = _apply(rule, own, whole, kind, None, part, *stream_of(words), None)
        if column_axis is None:
            return drawn
        return np.ascontiguousarray(np.transpose(drawn, np.argsort(order)))

    if traced or isinstance(words, jax.core.Tracer):
        if constant is not None:
            array = jnp.full(sizes, constant, stored)
        else:
            drawn = name, fixed, names, whole
            array = _called_back(host, words, numbers, sizes, stored, drawn)
        return _constrained(array, out_sharding)
    place = _beside(words) if out_sharding is None else concrete_sharding(out_sharding)
    if place is None:
        return jax.device_put(host(jax.device_get(words)))
    return _sharded(
        functools.partial(host, jax.device_get(words)),
        sizes,
        stored,
        place,
    )


def _beside(words: jax.Array) -> jax.sharding.Sharding | None:
    """Where JAX's own initializers put what they draw: on each device that holds the key, if it is
    committed, or else of the mesh that jax.set_mesh() made the current one.
    """
    whole = jax.sharding.PartitionSpec()
    if not words.committed:
        try:
            mesh = jax.sharding.get_mesh()
        except ValueError:  # a constant of a program that is traced: the program places it
            return None
        return None if mesh.empty else jax.sharding.NamedSharding(mesh, whole)
    if isinstance(words.sharding, jax.sharding.NamedSharding):
        return jax.sharding.NamedSharding(words.sharding.mesh, whole)
    return words.sharding if len(words.sharding.device_set) == 1 else None


def _stored(dtype: Any) -> np.dtype[Any]:
    """The dtype of the result.  If 64-bit types are disabled, JAX decides, and warns."""
    if dtype is None:
        dtype = float
    if isinstance(dtype, type) and dtype in (bool, int, float, complex):
        dtype = jnp.result_type(dtype)  # of the width that JAX gives Python's numbers
    stored = np.dtype(dtype) if _complex.parts_of(dtype) else dtypes.resolve(dtype).numpy()
    if stored.itemsize >= 8 and stored != np.complex64:
        stored = np.dtype(jnp.zeros((), stored).dtype)
    return stored


# These replace traced numbers while everything else is checked; the numbers themselves are checked
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
        if value.dtype == bool or jnp.issubdtype(value.dtype, np.complexfloating):
            raise TypeError(f"{name} is a traced number of dtype {value.dtype}; give a real one")
        if name in _STAND_INS:
            own[name] = _STAND_INS[name]
        elif "bounds" in arguments:  # a truncated normal
            own[name] = -math.inf if name == "low" else math.inf
        else:
            other = arguments["high" if name == "low" else "low"]
            own[name] = 0.0 if isinstance(other, jax.core.Tracer) else other
    return own


def concrete(number: Any) -> Any:
    """A Python number from a concrete array; a rule refuses it if it is not real."""
    number = np.asarray(number)
    return float(number) if number.dtype.kind == "V" else number.item()  # "V": bfloat16


_CONSTANTS = {"zeros": 0, "ones": 1, "constant": None}


def _left_to_jax(name: str, value: Any, dtype: Any) -> bool:
    """Whether a constant is JAX's own: traced numbers, arrays that broadcast, booleans, infinities
    and NaN, numbers in integers, and every constant in a dtype that the core does not know.
    """
    if isinstance(value, (jax.core.Tracer, bool, np.bool_)) or np.ndim(value):
        return True
    if isinstance(value, (float, complex, np.inexact)) and not np.isfinite(value):
        return True
    if _complex.parts_of(dtype) or dtype is None:
        return False
    try:
        known = dtypes.resolve(dtype)
    except (TypeError, ValueError):
        return True
    return name == "constant" and not known.is_float


def _full(value: Any, sizes: Sizes, dtype: Any, out_sharding: Any) -> jax.Array:
    """JAX's own constant, except that arrays round to float32 before they become narrow floats, as
    the core's constants do.
    """
    dtype = float if dtype is None else dtype
    narrow = jnp.issubdtype(dtype, np.floating) and jnp.dtype(dtype).itemsize < 4
    if narrow and not isinstance(value, (int, float, complex)):
        value = jnp.asarray(value).astype(np.float32)
    if out_sharding is None:
        return jnp.full(sizes, value, dtype)
    if isinstance(jnp.asarray(value), jax.core.Tracer):
        return _constrained(jnp.full(sizes, value, dtype), out_sharding)
    return jnp.full(sizes, value, dtype, device=concrete_sharding(out_sharding))


def _called_back(
    host: Callable[..., Array],
    words: Any,
    numbers: list[Any],
    sizes: Sizes,
    stored: np.dtype[Any],
    drawn: tuple[Any, ...],
) -> jax.Array:
    """The whole array, drawn by the host when the traced program runs."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.manual_axes and set(mesh.manual_axes) != set(mesh.axis_names):
        raise NotImplementedError(
            f"fastinit.jax cannot draw inside a shard_map over some axes of a mesh "
            f"({', '.join(mesh.manual_axes)} of {', '.join(mesh.axis_names)}), where JAX calls no "
            "host; give shard_map all axes, or initialize outside, with out_sharding= for shards"
        )
    callback = functools.partial(host)
    # The native engine sets and restores the floating-point state itself.
    if engine.name() == "reference":
        callback = functools.partial(
            lambda thread, *inputs: thread.submit(host, *inputs).result(), _thread()
        )
    callback.drawn = drawn  # type: ignore[attr-defined]  # what laws() reads (_jaxpr.py)

    def values(words: Any, *numbers: Any) -> jax.Array:
        made = jax.pure_callback(
            callback,
            jax.ShapeDtypeStruct(sizes, stored),
            words,
            *numbers,
            vmap_method="sequential",
        )
        # JAX 0.10 fails if the result of a jit under set_mesh is a bare callback.  The barrier
        # changes no bit.
        return jax.lax.optimization_barrier(made)  # type: ignore[no-any-return]

    if not numbers:
        return values(words)
    differentiable = jax.custom_jvp(values)
    differentiable.defjvp(functools.partial(_derivative, differentiable, drawn))
    return differentiable(words, *numbers)


def _derivative(
    values: Callable[..., jax.Array],
    drawn: tuple[Any, ...],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
) -> tuple[jax.Array, jax.Array]:
    """The values and how they change with the traced numbers: each is the number times what the
    number 1 draws, but for the square root of a variance and the bounds of a truncation.
    """
    name, _, traced, _ = drawn
    words, *numbers = primals
    made = values(*primals)
    change = jnp.zeros_like(made)
    given = dict(zip(traced, numbers, strict=True))
    scale = next((key for key in traced if key in _SCALES[name]), None)
    units = made
    if scale is not None:
        ones = [jnp.ones_like(x) if key == scale else x for key, x in given.items()]
        units = values(words, *ones)
    for key, tangent in zip(traced, tangents[1:], strict=True):
        if getattr(tangent, "dtype", None) == jax.dtypes.float0:  # of an integer
            continue
        tangent = jnp.asarray(tangent)
        if key == scale:
            slope = units
            if name == "variance_scaling":
                slope = units * (0.5 / jnp.sqrt(given[key])).astype(made.dtype)
        elif name == "truncated_normal":
            slope = _with_bound(key, units, drawn[1], given, scale)
        else:  # sparsity, which moves in steps
            continue
        change = change + slope * tangent.astype(made.dtype)
    return made, change.astype(made.dtype)


# The number that a draw is proportional to; of variance_scaling the square.
_SCALES = {
    "uniform": ("high",),
    "normal": ("std",),
    "truncated_normal": ("std",),
    "variance_scaling": ("scale",),
    "orthogonal": ("gain",),
    "delta_orthogonal": ("gain",),
    "sparse": ("std",),
}


def _with_bound(
    key: str, units: jax.Array, arguments: Mapping[str, Any], given: Mapping[str, Any], scale: Any
) -> jax.Array:
    """How a truncated normal changes with one of its bounds, which are in units of std: a value
    keeps its share u of the probability between them, so dz/dlow = (1 - u) pdf(low) / pdf(z) and
    dz/dhigh = u pdf(high) / pdf(z).
    """
    norm = jax.scipy.stats.norm
    own = {**arguments, **given}
    std, low, high = (jnp.asarray(own[one], np.float32) for one in ("std", "low", "high"))
    z = units.astype(np.float32) / (std if scale is None else 1.0)
    share = (norm.cdf(z) - norm.cdf(low)) / (norm.cdf(high) - norm.cdf(low))
    bound, part = (low, 1.0 - share) if key == "low" else (high, share)
    return (std * part * jnp.exp((z * z - bound * bound) / 2)).astype(units.dtype)


@functools.cache
def _thread() -> Any:
    """A thread with the floating-point state of the thread that traces, because XLA's own threads
    flush subnormals.
    """
    from concurrent.futures import ThreadPoolExecutor

    thread = ThreadPoolExecutor(1, "fastinit.jax")
    thread.submit(int).result()  # start it now, so that it inherits this thread's state
    return thread


def _sharded(
    host: Callable[..., Array], sizes: Sizes, stored: np.dtype[Any], sharding: Any
) -> jax.Array:
    """Each addressable shard is drawn separately, and once if it has replicas on this host."""

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
    if mesh.explicit_axes:  # with such axes, with_sharding_constraint only asserts
        return jax.device_put(array, out_sharding)
    return jax.lax.with_sharding_constraint(array, out_sharding)  # type: ignore[no-any-return]


def concrete_sharding(out_sharding: Any) -> jax.sharding.Sharding:
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
