"""Sizes, region and destination → a job for the engine: apply() fills one tensor.

Which draw a tensor gets is decided above, by a rule: rule(shape, dtype, **parameters) -> Draw |
Write, a pure function of the global shape.  Every check comes before the first byte is written.  No
initializer is known here by name.  The destination's checks: buffers.py; a draw's parameters:
draws.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array, Box, Sizes, Write
from . import buffers, engine
from .draws import Draw
from .dtypes import _SEEN, CONSTANT, FLOAT32, DType, resolve
from .jobs import Job, draw_job
from .shapes import count, index_strides, parse_region, parse_shape
from .stream import check_seed, stream_id


class Target(NamedTuple):
    """Where a fill goes: `view` is the bits of the region, `shape` the global tensor that the
    region is a part of.
    """

    array: Any  # what the user gets back
    view: Array
    dtype: DType
    shape: Sizes
    region: Box  # one (start, stop, 1) an axis


Rule = Callable[..., Draw | Write]


# ------------------------------------------------------------------------------------------ targets


def _plan(
    shape: Any, dtype: Any, out: Any, region: Any
) -> tuple[Array | None, DType, Sizes, Sizes, Box | None]:
    """Check all of a destination but whether there is memory: (memory lent, dtype, shape, local
    shape, region).
    """
    wanted = None if dtype is None else resolve(dtype)
    lent: Array | None = None
    if out is not None:
        lent, wanted = buffers.borrow(out, wanted)
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
        if lent.size == math.prod(local) and buffers.is_flat(out, wanted):
            lent = lent.reshape(local)
        else:
            raise ValueError(
                f"out has shape {lent.shape}, but the {'region' if parts else 'tensor'} to fill "
                f"has shape {local}"
                + ("" if parts else "; a shard of a larger tensor needs region= too")
            )
    return lent, wanted, shape, local, parts


def _place(out: Any, plan: tuple[Array | None, DType, Sizes, Sizes, Box | None]) -> Target:
    """The target of a plan; only here is memory allocated."""
    lent, dtype, shape, local, region = plan
    if lent is None:
        lent = out = buffers.allocate(local, dtype)
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
    return draw_job(where.view, draw, seed, stream, first, strides)


def clear(where: Target, threads: int | None) -> None:
    """Every element of the region +0, by the engine: parallel where it is large."""
    zero = Draw(CONSTANT, where.dtype.code, (0,))
    engine.run([draw_job(where.view, zero, 0, 0, 0, (0,) * where.view.ndim)], threads)


# -------------------------------------------------------------------------------------------- rules


@lru_cache(maxsize=4096, typed=True)
def _remembered(
    rule: Rule, shape: Sizes, dtype: DType, /, **parameters: Any
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


def decide(rule: Rule, shape: Sizes, dtype: DType, parameters: Mapping[str, Any]) -> Draw | Write:
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
    """Fill one tensor by its rule and return it; the caller is guarded (engine.guarded)."""
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
                    engine.run(
                        (Job(view, draw, storage, seed, stream, 0, numbers, 0, strides),), threads
                    )
                    return out
    plan = _plan(shape, dtype, out, region)
    result = decide(rule, plan[2], plan[1], parameters)
    seed, stream = check_seed(seed), stream_id(name)
    if threads is not None:
        engine.threads(threads)
    where = _place(out, plan)
    if where.view.size:
        if isinstance(result, Draw):
            engine.run((job(where, result, seed, stream),), threads)
        else:
            result(where, seed, stream, threads)
    return where.array
