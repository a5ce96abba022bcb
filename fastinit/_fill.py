"""Shape, region and destination → jobs for the engine: apply() fills one tensor, fill() many in one
batch.

Which draw a tensor gets is decided above, by a rule: rule(shape, dtype, **parameters) -> Draw |
Write, a pure function of the global shape.  Every check comes before the first byte is written.  No
initializer is known here by name.  The destination's checks: _buffers.py; a draw's parameters:
_draws.py.
"""

import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import _buffers, _engine
from ._draws import Draw
from ._dtypes import _SEEN, FLOAT32, DType, resolve
from ._engine import Job
from ._stream import PLANE_VALUES, check_seed, stream_id

Shape = tuple[int, ...]
Region = tuple[slice, ...]
Array = np.ndarray[Any, Any]
_MOST_AXES = 64  # NumPy's


class Target(NamedTuple):
    """Where a fill goes: `view` is the bits of the region, `shape` the global tensor that the
    region is a part of.
    """

    array: Any  # what the user gets back
    view: Array
    dtype: DType
    shape: Shape
    region: Region  # one (start, stop, 1) an axis


Write = Callable[[Target, int, int, int | None], None]
Rule = Callable[..., Draw | Write]


# --------------------------------------------------------------------------------- shape and region


def parse_shape(shape: Any) -> Shape:
    """A shape given as an int or a sequence of ints, as a tuple; booleans and negative sizes are
    refused.
    """
    if shape.__class__ is not tuple:
        shape = _sequence(shape)
    for size in shape:
        if size.__class__ is not int:
            shape = tuple([_size(size, shape) for size in shape])
            break
    for size in shape:
        if size < 0:
            raise ValueError(f"shape {shape} has a negative size; give sizes >= 0")
    return shape  # type: ignore[no-any-return]


def _sequence(shape: Any) -> tuple[Any, ...]:
    if shape is None:
        raise TypeError("neither shape nor out is given; give a shape, or out= to fill in place")
    if isinstance(shape, (str, bytes)):
        raise TypeError(
            f"shape must be an integer or a tuple of integers, not {type(shape).__name__} "
            f"{shape!r:.80}"
        )
    try:
        return (operator.index(shape),) if type(shape) is not bool else (shape,)
    except TypeError:
        pass
    try:
        return tuple(shape)
    except TypeError:
        raise TypeError(
            f"shape must be an integer or a tuple of integers, not {type(shape).__name__} "
            f"{shape!r:.80}"
        ) from None


def _size(size: Any, shape: Any) -> int:
    if type(size).__name__ in ("bool", "bool_"):
        raise TypeError(f"shape {shape!r:.80} holds the boolean {size!r}; give integers")
    try:
        return operator.index(size)
    except TypeError:
        raise TypeError(
            f"shape {shape!r:.80} holds {type(size).__name__} {size!r:.80}; give integers"
        ) from None


@lru_cache(maxsize=4096)
def index_strides(shape: Shape) -> Shape:
    """The C-order strides, in values, of a global shape: what one step along each axis adds to the
    value index.
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 1, 0, -1):
        strides[axis - 1] = strides[axis] * shape[axis]
    return tuple(strides)


@lru_cache(maxsize=4096)
def count(shape: Shape, dtype: DType) -> int:
    """The number of values of a global shape; more than the stream can index is a ValueError."""
    if len(shape) > _MOST_AXES:
        raise ValueError(f"shape has {len(shape)} axes; at most {_MOST_AXES} are allowed")
    limit = 57 if dtype.wide else 58
    if (
        math.prod([size for size in shape if size]) > 1 << limit
    ):  # zero axes do not excuse the others, as in NumPy
        raise ValueError(
            f"shape {shape} has more than 2**{limit} elements, the limit of {dtype.name} tensors"
        )
    return math.prod(shape)


def parse_region(region: Any, shape: Shape) -> Region:
    """One slice(start, stop, 1) an axis: step-1 slices, integers (kept as length 1) and one
    Ellipsis are allowed.
    """
    entries = tuple(region) if isinstance(region, (tuple, list)) else (region,)
    dots = [place for place, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) > 1:
        raise ValueError(f"region {region!r} has {len(dots)} Ellipses; give at most one")
    if dots:
        missing = len(shape) - len(entries) + 1
        entries = (*entries[: dots[0]], *[slice(None)] * missing, *entries[dots[0] + 1 :])
    if len(entries) != len(shape):
        raise ValueError(
            f"region has {len(entries)} entries for the {len(shape)} axes of shape {shape}; "
            "give one slice or integer an axis, or an Ellipsis for the rest"
        )
    return tuple(
        [
            _part(entry, size, axis)
            for axis, (entry, size) in enumerate(zip(entries, shape, strict=True))
        ]
    )


def _part(entry: Any, size: int, axis: int) -> slice:
    def whole(number: Any, default: int) -> int:
        if number is None:
            return default
        if type(number).__name__ in ("bool", "bool_") or not hasattr(number, "__index__"):
            raise TypeError(
                f"region holds {type(number).__name__} {number!r:.80} at axis {axis}; give slices "
                "or integers"
            )
        return operator.index(number)

    if isinstance(entry, slice):
        step = whole(entry.step, 1)
        if step != 1:
            raise ValueError(f"region has step {step} at axis {axis}; only step 1 is allowed")
        start, stop = whole(entry.start, 0), whole(entry.stop, size)
    else:
        start = whole(entry, 0)
        stop = start + 1
    if not (0 <= start <= size and 0 <= stop <= size):
        raise ValueError(
            f"region {start}:{stop} at axis {axis} is outside the {size} elements of the shape; "
            "bounds count from the start, and negative ones are not allowed"
        )
    return slice(start, max(start, stop), 1)


# ------------------------------------------------------------------------------------------ targets


def _plan(
    shape: Any, dtype: Any, out: Any, region: Any
) -> tuple[Array | None, DType, Shape, Shape, Region | None]:
    """Check all of a destination but whether there is memory: (memory lent, dtype, shape, local
    shape, region).
    """
    wanted = None if dtype is None else resolve(dtype)
    lent: Array | None = None
    if out is not None:
        lent, wanted = _buffers.borrow(out, wanted)
        if shape is None:
            if region is not None:
                raise TypeError(
                    "region is given without shape; give the global shape, of which out holds "
                    "the region"
                )
            shape = lent.shape
    elif wanted is None:
        wanted = FLOAT32
    shape = parse_shape(shape)
    count(shape, wanted)
    parts = None if region is None else parse_region(region, shape)
    local = shape if parts is None else tuple([part.stop - part.start for part in parts])
    if lent is not None and lent.shape != local:
        if lent.size == math.prod(local) and _buffers.is_flat(out, wanted):
            lent = lent.reshape(local)
        else:
            raise ValueError(
                f"out has shape {lent.shape}, but the {'region' if parts else 'tensor'} to fill "
                f"has shape {local}"
                + ("" if parts else "; a shard of a larger tensor needs region= too")
            )
    return lent, wanted, shape, local, parts


def _place(out: Any, plan: tuple[Array | None, DType, Shape, Shape, Region | None]) -> Target:
    """The target of a plan; only here is memory allocated."""
    lent, dtype, shape, local, region = plan
    if lent is None:
        lent = out = _buffers.allocate(local, dtype)
    if region is None:
        region = tuple([slice(0, size, 1) for size in shape])
    return Target(out, lent.view(dtype.unsigned), dtype, shape, region)


def target(shape: Any, dtype: Any, out: Any, region: Any) -> Target:
    """The checked destination of one tensor, new memory unless `out` is given; dtype None is out's,
    else float32.
    """
    return _place(out, _plan(shape, dtype, out, region))


def job(where: Target, draw: Draw, seed: int, stream: int) -> Job:
    """A Draw of plane 0 at its target."""
    strides = index_strides(where.shape)
    first = sum([part.start * stride for part, stride in zip(where.region, strides, strict=True)])
    return Job(
        where.view,
        draw.draw,
        draw.storage,
        seed,
        stream,
        PLANE_VALUES,
        draw.parameters,
        first,
        strides,
    )


# -------------------------------------------------------------------------------------------- rules


@lru_cache(maxsize=4096, typed=True)
def _remembered(
    rule: Rule, shape: Shape, dtype: DType, /, **parameters: Any
) -> tuple[Draw | Write, tuple[str, ...]]:
    """The rule's result with every zero parameter as +0.0, and the names of those parameters."""
    zeros = tuple(
        [
            name
            for name, value in parameters.items()
            if isinstance(value, (float, np.floating)) and not value
        ]
    )
    for name in zeros:
        parameters[name] = abs(parameters[name])
    return rule(shape, dtype, **parameters), zeros


def decide(rule: Rule, shape: Shape, dtype: DType, parameters: Mapping[str, Any]) -> Draw | Write:
    """rule(shape, dtype, **parameters), remembered where the parameters hash."""
    try:
        result, zeros = _remembered(rule, shape, dtype, **parameters)
    except (
        TypeError
    ):  # something does not hash, or it is the rule's own complaint, which is then raised below
        pass
    else:
        for (
            name
        ) in zeros:  # 0.0 == -0.0 is one key to a cache, but a constant keeps its sign of zero
            if math.copysign(1.0, parameters[name]) < 0.0:
                break
        else:
            return result
    return rule(shape, dtype, **parameters)


# --------------------------------------------------------------------------------------- one tensor


def apply(
    rule: Rule,
    parameters: dict[str, Any],
    shape: Any,
    dtype: Any,
    out: Any,
    region: Any,
    seed: Any,
    name: Any,
    threads: int | None,
) -> Any:
    """Fill one tensor by its rule and return it; the caller is guarded (_engine.guarded)."""
    if out.__class__ is np.ndarray and region is None:
        # The short way of the commonest case, a whole array in C order: the same checks, about 3 µs
        # less.
        kind = _SEEN.get(out.dtype)
        if kind is not None and out.flags.carray and (dtype is None or resolve(dtype) is kind):
            own = out.shape
            if shape is None or parse_shape(shape) == own:
                result = decide(rule, own, kind, parameters)
                if result.__class__ is Draw:
                    draw, storage, numbers = result  # type: ignore[misc]
                    seed, stream = check_seed(seed), stream_id(name)
                    view, strides = out.view(kind.unsigned), index_strides(own)
                    _engine.run(
                        (Job(view, draw, storage, seed, stream, 0, numbers, 0, strides),), threads
                    )
                    return out
    plan = _plan(shape, dtype, out, region)
    result = decide(rule, plan[2], plan[1], parameters)
    seed, stream = check_seed(seed), stream_id(name)
    if threads is not None:
        _engine.threads(threads)
    where = _place(out, plan)
    if where.view.size:
        if isinstance(result, Draw):
            _engine.run((job(where, result, seed, stream),), threads)
        else:
            result(where, seed, stream, threads)
    return where.array


# ------------------------------------------------------------------------------------- many tensors


class Filled(NamedTuple):
    """One line of a report."""

    name: str | int | None
    initializer: str
    shape: Shape  # of the whole tensor
    region: Region  # what was filled of it
    dtype: str
    stream: int
    values: int


class Report(NamedTuple):
    """What fill() did: draw it again with the same seed."""

    filled: int
    values: int
    bytes: int
    seconds: float
    seed: int
    entries: tuple[Filled, ...]


def _entries(entries: Any) -> "Iterable[tuple[Any, ...]]":
    """(buffer, initializer, arguments, name, region, shape) of every entry of either form."""
    if isinstance(entries, Mapping):
        return [
            (*_entry(entry, 3, f"entry {name!r}"), name, None, None)
            for name, entry in entries.items()
        ]
    if isinstance(entries, (str, bytes)) or not isinstance(entries, Iterable):
        raise TypeError(
            f"fill takes a mapping or an iterable of entries, not {type(entries).__name__}"
        )
    return [_entry(entry, 6, f"entry {number}") for number, entry in enumerate(entries)]


def _entry(entry: Any, most: int, label: str) -> tuple[Any, ...]:
    if not isinstance(entry, (tuple, list)) or not 2 <= len(entry) <= most:
        form = "(buffer, initializer, arguments" + (
            ", name[, region, shape])" if most == 6 else ")"
        )
        raise TypeError(f"{label} is {type(entry).__name__} {entry!r:.80}; give a tuple {form}")
    return (*entry, *[None] * (most - len(entry)))


def fill(
    entries: Any,
    lookup: Callable[[Any], tuple[str, Rule]],
    *,
    seed: Any = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Fill many tensors as one batch; `lookup` gives the public name and the rule of an
    initializer.
    """
    began = time.perf_counter()
    seed = check_seed(seed)
    _engine.threads(threads)
    todo: list[tuple[Target, Draw | Write, int]] = []
    report: list[Filled] = []
    for number, (buffer, initializer, arguments, name, region, shape) in enumerate(
        _entries(entries)
    ):
        label = f"entry {number}" if name is None else f"entry {name!r}"
        try:
            if buffer is None:
                raise TypeError("the buffer is None; give the array to fill")
            public, rule = lookup(initializer)
            arguments = {} if arguments is None else dict(arguments)
            stream = stream_id(name)
            where = target(shape, None, buffer, region)
            result = decide(rule, where.shape, where.dtype, arguments)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError):
                raise
            raise type(error)(f"{label}: {error}") from error
        todo.append((where, result, stream))
        report.append(
            Filled(
                name, public, where.shape, where.region, where.dtype.name, stream, where.view.size
            )
        )
    _buffers.check_apart(
        [(f"entry {line.name!r}", item[0].view) for line, item in zip(report, todo, strict=True)]
    )

    draws = [
        job(where, result, seed, stream)
        for where, result, stream in todo
        if isinstance(result, Draw) and where.view.size
    ]
    if draws:
        _engine.run(draws, threads, progress)
    for where, result, stream in todo:
        if not isinstance(result, Draw) and where.view.size:
            result(where, seed, stream, threads)
            if progress:
                progress(where.view.size)
    values = sum([line.values for line in report])
    size = sum([where.view.nbytes for where, _, _ in todo])
    return Report(len(report), values, size, time.perf_counter() - began, seed, tuple(report))
