"""Describes, tensor by tensor, what materialize_ would give a model, without doing it.

This serves files of models that are too large for memory.  checkpoint/config.py turns the
descriptions into entries.  _recipe.py makes the plans, and _values.py fills.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from .._core.dtypes import DType, resolve
from ..typing import Array, Sizes
from . import _memory, _names, _recipe, _values
from ._names import Named
from ._prove import Fill
from ._recipe import Plan
from ._rules import Recipe


class Described(NamedTuple):
    """A tensor of a model's state, with its fills in order.

    `fills` is None if the model's own code computes the tensor, or if a façade call by the tensor's
    name would not give its values.
    """

    name: str
    shape: Sizes
    dtype: DType
    fills: tuple[Fill, ...] | None
    seedless: bool  # whether nothing in it is drawn
    write: Callable[[Array, int, int | None], None]  # writes all bits: (view, seed, threads)
    tied: tuple[str, ...]  # its other names


def describe(
    model: nn.Module, recipe: Recipe, dtype: torch.dtype | None = None
) -> tuple[list[Described], dict[str, str]]:
    """Describe every parameter and saved buffer of a model on the meta device, each tied one once.

    Also return the reason for each name that nothing covers.
    """
    parameters = _names.parameters(model)
    buffers = [item for item in _names.buffers(model) if is_saved(item)]
    plans, restored, uncovered = _recipe.plan(model, parameters, buffers, recipe, dtype)
    given = {plan.name: plan for plan in (*plans, *restored)}
    found = []
    for item in (*parameters, *buffers):
        kind = item.tensor.dtype
        if dtype is not None and kind.is_floating_point and isinstance(item.tensor, nn.Parameter):
            kind = dtype
        if item.name not in given:
            uncovered.setdefault(item.name, "no code that was seen says what it holds")
        elif kind.is_complex or (kind not in _memory.DTYPES and _is_drawn(given[item.name])):
            uncovered[item.name] = f"{kind} has no draw"
        else:
            found.append(_described(item, given[item.name], kind))
    return found, uncovered


def is_saved(item: Named) -> bool:
    """Whether a buffer is in the model's state dict."""
    return any(site.attribute not in site.module._non_persistent_buffers_set for site in item.sites)


def _is_drawn(plan: Plan) -> bool:
    """Whether an initializer of fastinit draws it; torch can compute values of any dtype."""
    return any(fill.initializer not in _values.CONSTANTS for fill in plan.fills)


def _described(item: Named, plan: Plan, kind: torch.dtype) -> Described:
    shape, dtype = tuple(item.tensor.shape), resolve(kind)

    def write(view: Array, seed: int, threads: int | None) -> None:
        memory = torch.empty(shape, dtype=kind)
        _values.write(item, plan, memory, seed, threads)
        view[...] = memory.view(_UNSIGNED[dtype.itemsize]).numpy().view(dtype.unsigned)

    # Give the fills only if a façade call by the tensor's own name gives the same values.
    # Otherwise only _values.py can write them.
    own = plan.run is None and all(
        stream == item.name or fill.initializer in _values.CONSTANTS
        for fill, stream in zip(plan.fills, plan.streams, strict=True)
    )
    fills = tuple(plan.fills) if own else None
    seedless = not _is_drawn(plan) and (plan.run is None or not plan.run.draws)
    tied = tuple(site.name for site in item.sites[1:])
    return Described(item.name, shape, dtype, fills, seedless, write, tied)


# Item size → an integer dtype that NumPy has too.
_UNSIGNED = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
