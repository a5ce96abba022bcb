"""Tensors of a checkpoint that are copies of each other, exact or scaled, found from a few values.

A fingerprint is eight short runs of values spread over the tensor, at places that depend on the
number of values only.  Equal fingerprints are confirmed byte by byte.  A tensor is a scaled copy if
its fingerprint is a multiple of another's, up to the dtype's rounding.  audit.py decides which
copies are faults.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .._core import dtypes
from .._core.dtypes import DType
from ..typing import Array
from .stored import Stored

_RUNS, _RUN = 8, 128  # number of runs, values per run
_CHUNK = 1 << 19  # values compared at a time
# Minimum mantissa bits in a fingerprint: with fewer, independent tensors may be equal by chance.
_LEAST_BITS = 96
# Minimum values for scaled copies: with so many, two independent tensors are proportional up to
# bfloat16's rounding less than once in 1e20.
_LEAST_VALUES = 16


class Twin(NamedTuple):
    """A pair of tensors that are copies."""

    first: str
    second: str
    factor: float | None  # of the second; None for an exact copy


class _Print(NamedTuple):
    stored: Stored
    dtype: DType
    size: int
    raw: bytes
    values: Array  # float64, centred, of length 1
    scale: float  # length before that


def twins(tensors: Iterable[Stored]) -> list[Twin]:
    """Every tensor that is a copy of an earlier one, with the first that it is a copy of.

    Constant tensors, and tensors that are too small to decide, are never reported.
    """
    prints = [one for tensor in tensors if (one := _print(tensor)) is not None]
    found: dict[str, Twin] = {}
    exact: dict[tuple[bytes, int, str], list[_Print]] = {}
    for one in prints:
        others = exact.setdefault((one.raw, one.size, one.dtype.name), [])
        for other in others:
            if _equal(one.stored, other.stored, one.size):
                found[one.stored.name] = Twin(other.stored.name, one.stored.name, None)
                break
        else:
            others.append(one)
    apart = [one for one in prints if one.stored.name not in found and _may_be_scaled(one)]
    apart.sort(key=lambda one: one.size)
    for _, group in itertools.groupby(apart, key=lambda one: one.size):
        for twin in _scaled(list(group)):
            found.setdefault(twin.second, twin)
    return [found[one.stored.name] for one in prints if one.stored.name in found]


def _print(tensor: Stored) -> _Print | None:
    if isinstance(tensor.dtype, str) or tensor.read is None or not tensor.dtype.is_float:
        return None
    count = math.prod(tensor.shape)
    if min(count, _RUNS * _RUN) * (tensor.dtype.mantissa + 1) < _LEAST_BITS:
        return None
    bits = sample(tensor, count)
    values = decoded(bits, tensor.dtype)
    if not np.isfinite(values).all() or values.min() == values.max():
        return None
    values = values - values.mean()
    largest = np.abs(values).max()
    scale = float(largest * np.sqrt(np.square(values / largest).sum()))
    return _Print(tensor, tensor.dtype, count, bits.tobytes(), values / scale, scale)


def sample(tensor: Stored, count: int) -> Array:
    """The bits of a fingerprint, taken at the same places in every tensor with `count` values."""
    assert tensor.read is not None
    if count <= _RUNS * _RUN:
        return tensor.read(0, count)
    last = count - _RUN
    begins = [last * number // (_RUNS - 1) for number in range(_RUNS)]
    return np.concatenate([tensor.read(begin, begin + _RUN) for begin in begins])


def decoded(bits: Array, dtype: DType) -> Array:
    """Values of a floating dtype as float64."""
    if dtype is dtypes.BFLOAT16:
        with np.errstate(invalid="ignore"):  # converting a NaN warns
            return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if dtype.itemsize == 1:
        table = np.array([dtypes.decode(one, dtype) for one in range(256)])
        return table[bits]
    return bits.view(dtype.numpy()).astype(np.float64)


def _equal(one: Stored, other: Stored, count: int) -> bool:
    assert one.read is not None and other.read is not None
    return all(
        np.array_equal(
            one.read(begin, min(begin + _CHUNK, count)),
            other.read(begin, min(begin + _CHUNK, count)),
        )
        for begin in range(0, count, _CHUNK)
    )


def _may_be_scaled(one: _Print) -> bool:
    """False for 8-bit types: they round too coarsely to detect a scaled copy."""
    return one.dtype.itemsize > 1 and one.size >= _LEAST_VALUES


def _scaled(group: list[_Print]) -> list[Twin]:
    """Pairs with equal directions among tensors with the same number of values.

    The projections on one direction are sorted and only neighbours are compared, because a model
    may have many experts.
    """
    if len(group) < 2:
        return []
    length = len(group[0].values)
    direction = np.random.default_rng(0).standard_normal(length)
    places = np.array([float(one.values @ direction) for one in group])
    order = np.argsort(np.abs(places))
    found = []
    for at, here in enumerate(order):
        for there in order[at + 1 :]:
            # A copy of a float64 tensor may have been computed in float32.
            digits = min(23, *(group[one].dtype.mantissa for one in (here, there)))
            eps = 2.0 ** -(digits + 1)
            # The noise of a projection is below eps · |direction| / √length · 4.
            if abs(places[there]) - abs(places[here]) > 8.0 * eps + 1e-9:
                break
            first, second = sorted((int(here), int(there)))
            cosine = float(group[first].values @ group[second].values)
            if 1.0 - abs(cosine) < 16.0 * eps * eps + 1e-12:
                factor = math.copysign(group[second].scale / group[first].scale, cosine)
                names = group[first].stored.name, group[second].stored.name
                found.append(Twin(*names, factor))
    return found
