"""A model of transformers or diffusers built once more from its config, on the meta device and
recorded: what its constructor gives the tensors of which plain meta construction leaves no trace.

Only _recipe.py asks, and only for what it would refuse.  An answer needs a model that is as its
constructor leaves it, so far as the meta device shows that: a third one, not recorded, says how.
torch's generators are not touched.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from . import _memory, _names
from ._defaults import Record, pretrained_model
from ._log import Log, Recorder
from ._names import Named
from ._private import Private
from ._replay import read


def rebuilt(model: nn.Module, prefix: str, kept: frozenset[str]) -> tuple[Record, set[str]] | None:
    """The record of the constructor, and the names of the tensors that it may speak for; None
    where the model is not what its config builds.

    `kept` are parameters in real memory.  It may be that nothing has written them, as where
    torch.Tensor(n) made them: the constructor speaks for them only if it makes exactly the same
    ones real.
    """
    build = _builder(model)
    if build is None:
        return None
    log = Log()
    try:
        with Private(), torch.device("meta"):
            bare = build()
        with Recorder(log, read):
            again = build()
    except Exception:  # whatever a constructor may raise: then there is no second model
        return None
    if not _looks(model, prefix) == _looks(bare, prefix) == _looks(again, prefix):
        return None
    given, left, new = (_tensors(one, prefix) for one in (model, bare, again))
    parameters = {item.name for item in _names.parameters(bare, prefix)}
    real = {item.name for item in left if item.name in parameters and not item.tensor.is_meta}
    names = set()
    for old, one in zip(given, left, strict=True):
        if old.tensor.is_meta:
            # Each write counts the version up; a tensor that is put in the place counts from 0.
            usable = _memory.version(old.tensor) == _memory.version(one.tensor)
        else:
            same = _memory.version(old.tensor) - _memory.version(one.tensor) in (
                0,
                _memory.blanks(),
            )
            usable = old.name not in kept or (same and kept == real)
        if usable:
            names.add(old.name)
    return Record(log, {item.name: log.ref(item.tensor) for item in new}, {}), names


def _builder(model: nn.Module) -> Callable[[], nn.Module] | None:
    """What calls the constructor again, of libraries that keep what it was given."""
    kind: type = type(model)
    transformers = pretrained_model()
    if transformers is not None and isinstance(model, transformers):
        return lambda: kind(copy.deepcopy(model.config))
    diffusers = getattr(sys.modules.get("diffusers.models.modeling_utils"), "ModelMixin", None)
    if diffusers is not None and isinstance(model, diffusers):
        return lambda: kind.from_config(copy.deepcopy(model.config))  # type: ignore[attr-defined,no-any-return]
    return None


def _tensors(model: nn.Module, prefix: str) -> list[Named]:
    return [*_names.parameters(model, prefix), *_names.buffers(model, prefix)]


def _looks(model: nn.Module, prefix: str) -> tuple[list[object], list[object]]:
    """The kinds of the modules and of the tensors."""
    # Parametrized modules, weight_norm's, have a class each, under which their own lies.
    modules: list[object] = [
        (name, type(module).__mro__[is_parametrized(module)])
        for name, module in _names.modules(model)
    ]
    tensors: list[object] = [
        (
            [site.name for site in item.sites],
            tuple(item.tensor.shape),
            item.tensor.dtype,
            item.tensor.layout,
        )
        for item in _tensors(model, prefix)
    ]
    return modules, tensors
