"""Sizes, region and destination → a job for the engine: apply() fills one tensor.

Which draw a tensor gets is decided above, by a rule: rule(shape, dtype, **parameters) -> Draw |
Write, a pure function of the global shape.  Every check comes before the first byte is written.
This module does not know initializers by name.  buffers.py checks the destination; draws.py checks
a draw's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array, Box, Sizes, Write
from . import buffers, engine
from .arguments import shown
from .draws import Draw
from .dtypes import CONSTANT, FLOAT32, KNOWN, DType, resolve
from .jobs import Job, draw_job
from .shapes import count, index_strides, parse_region, parse_shape
from .stream import check_seed, stream_id


class Target(NamedTuple):
    """Where a fill goes: `view` is the bits of the region, `shape` the global tensor that the
    region is a part of.
    """

    view: Array
    dtype: DType
    shape: Sizes
    region: Box  # one (start, stop, 1) per axis


Rule = Callable[..., Draw | Write]


# ------------------------------------------------------------------------------------------ targets


def _destination(
    shape: Any, dtype: Any, out: Any, region: Any
) -> tuple[Array | None, DType, Sizes, Sizes, Box | None]:
    """Validate a destination without allocating it: (memory of `out` or None, dtype, global shape,
    shape of the region, region or None for the whole).
    """
    if out.__class__ is np.ndarray and region is None:
        # The most common case, a whole array in C order: the same checks, 3 µs faster.
        kind = KNOWN.get(out.dtype)
        if kind is not None and out.flags.carray and (dtype is None or resolve(dtype) is kind):
            own = out.shape
            if shape is None or parse_shape(shape) == own:
                return out, kind, own, own, None
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


def _whole(shape: Sizes) -> Box:
    return tuple([slice(0, size, 1) for size in shape])


def target(shape: Any, dtype: Any, out: Any, region: Any) -> Target:
    """The checked destination of one tensor: `out`, or new memory.  `dtype` None means that of
    `out`, or float32.
    """
    lent, kind, shape, local, part = _destination(shape, dtype, out, region)
    array = buffers.allocate(local, kind) if lent is None else lent
    return Target(array.view(kind.unsigned), kind, shape, _whole(shape) if part is None else part)


def job(where: Target, draw: Draw, seed: int, stream: int) -> Job:
    """A Draw of plane 0 at its target."""
    strides = index_strides(where.shape)
    first = sum([part.start * stride for part, stride in zip(where.region, strides, strict=True)])
    return draw_job(where.view, draw, seed, stream, first, strides)


def clear(where: Target, threads: int | None) -> None:
    """Set every element of the region to +0 with the engine, in parallel if the region is large."""
    zero = Draw(CONSTANT, where.dtype.code, (0,))
    engine.run([draw_job(where.view, zero, 0, 0, 0, (0,) * where.view.ndim)], threads)


# -------------------------------------------------------------------------------------------- rules


@lru_cache(maxsize=4096, typed=True)
def _remembered(
    rule: Rule, shape: Sizes, dtype: DType, _sign: float, /, **parameters: Any
) -> Draw | Write:
    return rule(shape, dtype, **parameters)


def decide(rule: Rule, shape: Sizes, dtype: DType, parameters: Mapping[str, Any]) -> Draw | Write:
    """rule(shape, dtype, **parameters), cached if the parameters are hashable."""
    try:
        # A cache treats 0.0 and -0.0 as the same key.  Only constant keeps the sign of a zero, so
        # the sign of its `value` is part of the key.
        value = parameters.get("value")
        sign = 0.0 if value is None else math.copysign(1.0, value)
        return _remembered(rule, shape, dtype, sign, **parameters)
    except (TypeError, OverflowError):
        # A parameter is not hashable or has no sign; or the rule raised and will raise again below.
        pass
    return rule(shape, dtype, **parameters)


# --------------------------------------------------------------------------------------- one tensor


def write(
    result: Draw | Write,
    view: Array,
    dtype: DType,
    shape: Sizes,
    region: Box | None,
    seed: int,
    stream: int,
    threads: int | None = None,
) -> None:
    """Write a rule's result into `view`, the bits of a region (None: all) of a tensor of `shape`.

    The caller is between engine.enter() and leave().
    """
    if not view.size:
        return
    if result.__class__ is not Draw:
        where = Target(view, dtype, shape, _whole(shape) if region is None else region)
        with np.errstate(all="ignore"):  # the caller's setting may raise on underflow
            if view.__class__ is np.ndarray:
                result(where, seed, stream, threads)  # type: ignore[operator]
            else:  # GPU memory: drawn on the host
                engine.through_host(
                    view,
                    lambda bits: result(where._replace(view=bits), seed, stream, threads),  # type: ignore[operator]
                )
        return
    strides, first = index_strides(shape), 0
    if region is not None:
        first = sum([part.start * stride for part, stride in zip(region, strides, strict=True)])
    engine.run((draw_job(view, result, seed, stream, first, strides),), threads)  # type: ignore[arg-type]


def apply(
    rule: Rule,
    parameters: Mapping[str, Any],
    shape: Any,
    dtype: Any,
    out: Any,
    region: Any,
    seed: Any,
    name: Any,
    threads: int | None,
) -> Any:
    """Fill one tensor by its rule and return it, whatever the caller's floating-point state.

    An error about a tensor that has a name begins with the name.
    """
    state = engine.enter()
    try:
        lent, kind, shape, local, part = _destination(shape, dtype, out, region)
        result = decide(rule, shape, kind, parameters)
        seed, stream = check_seed(seed), stream_id(name)
        if threads is not None:
            engine.thread_count(threads)
        if lent is None:
            lent = out = buffers.allocate(local, kind)
        write(result, lent.view(kind.unsigned), kind, shape, part, seed, stream, threads)
        return out
    except (ValueError, TypeError) as error:
        if isinstance(name, str) and type(error) in (ValueError, TypeError):
            error.args = (f"{shown(name)}: {error}",)
        raise
    finally:
        engine.leave(state)
