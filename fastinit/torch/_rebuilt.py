"""Builds a transformers or diffusers model again from its config, on the meta device, and records
the construction.

The record has the values that the constructor gives to its tensors.  Plain construction on the meta
device leaves no trace of them.  Only _recipe.py uses this module, and only if it would otherwise
refuse a tensor.  The result is usable only if the model is still as its constructor left it, as far
as the meta device shows.  To check this, the model is built a third time, without a recording.
torch's generators are not touched.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from . import _memory, _names
from ._defaults import Record, bare, pretrained_model
from ._log import Log
from ._names import Named
from ._private import Private
from ._recorder import Recorder
from ._replay import read


def rebuilt(model: nn.Module, prefix: str, kept: frozenset[str]) -> tuple[Record, set[str]] | None:
    """Return the record of the constructor and the names of the tensors for which it is valid.

    Return None if the model is not what its config builds.

    `kept` are parameters in real memory.  torch.Tensor(n) makes such parameters without writing
    them.  The record is valid for them only if the constructor makes exactly the same parameters
    real.
    """
    build = _builder(model)
    if build is None:
        return None
    log = Log()
    try:
        with Private(), torch.device("meta"):
            bare = build()
        with Recorder(log, read) as recorder:
            again = build()
        _log_real_buffers(again, recorder)
    except Exception:  # a constructor may raise anything
        return None
    if not _looks(model, prefix) == _looks(bare, prefix) == _looks(again, prefix):
        return None
    given, left, new = (_tensors(one, prefix) for one in (model, bare, again))
    parameters = {item.name for item in _names.parameters(bare, prefix)}
    real = {item.name for item in left if item.name in parameters and not item.tensor.is_meta}
    names = set()
    for old, one in zip(given, left, strict=True):
        if old.tensor.is_meta:
            # Each write increases the version; a tensor assigned later starts from 0.
            usable = _memory.version(old.tensor) == _memory.version(one.tensor)
        else:
            same = _memory.version(old.tensor) - _memory.version(one.tensor) in (
                0,
                _memory.blanks(),
            )
            usable = old.name not in kept or (same and kept == real)
        if usable:
            names.add(old.name)
    return Record(log, {item.name: log.ref(item.tensor) for item in new}, {}, {}), names


def _log_real_buffers(model: nn.Module, recorder: Recorder) -> None:
    """Log the values of buffers that a constructor computed in real memory.

    It does so where it names a device, most often that of a parameter.
    """
    for item in _names.buffers(model):
        recorder.doubt(item.tensor)
        if item.tensor.is_cpu and not recorder.log.knows(item.tensor):
            recorder.log.literal(item.tensor, item.tensor)


class Left(NamedTuple):
    """A parameter as a constructor leaves it on the meta device."""

    kind: type  # of its module
    shape: tuple[int, ...]
    writes: int


def left_by_constructors(model: nn.Module, prefix: str) -> dict[str, Left] | None:
    """Build the models of transformers in a model again, and describe the parameters that
    transformers initializes.

    Each of them is built on the meta device, and nothing is drawn.  Of a class of the user, the
    class of transformers that it extends is built, since what its constructor adds afterwards is
    not initialized by transformers, unless it calls post_init() itself.  Return None if that, or a
    constructor that fails, leaves unknown what transformers initializes.
    """
    transformers = pretrained_model()
    found: dict[str, Left] = {}
    for name, module in configured(model, prefix):
        if transformers is None or not isinstance(module, transformers):
            return None
        kinds = type(module).__mro__
        kind = next(one for one in kinds if one.__module__.startswith("transformers."))
        if any(_initializes(one) for one in kinds[: kinds.index(kind)]):
            return None
        if kind is transformers:
            continue  # a model of the user, which transformers does not initialize
        again = bare(module, kind)
        if again is None:
            return None
        found |= {item.name: left(item) for item in _names.parameters(again, name)}
    return found


def written_after_post_init(model: nn.Module, prefix: str) -> set[str]:
    """Return the parameters that constructors of the user's classes write, or put in, after
    post_init(), so that what _init_weights gives them is lost.

    Each class is built again on the meta device, and versions are read when init_weights() ends,
    which post_init() calls.
    """
    transformers = pretrained_model()
    found: set[str] = set()
    for name, module in configured(model, prefix):
        if transformers is None or not isinstance(module, transformers):
            continue
        kinds = type(module).__mro__
        kind = next(one for one in kinds if one.__module__.startswith("transformers."))
        if not any(_initializes(one) for one in kinds[: kinds.index(kind)]):
            continue
        before: dict[int, tuple[torch.Tensor, int]] = {}
        again = bare(module, _noting(type(module), before))
        for item in _names.parameters(again, name) if again is not None and before else ():
            # The tensors are kept in `before`, so that no new one can have the id of an old one.
            if before.get(id(item.tensor), (None, -1))[1] != _memory.version(item.tensor):
                found.add(item.name)
    return found


def _noting(kind: type, before: dict[int, tuple[torch.Tensor, int]]) -> type:
    """Return a class like `kind` that notes the parameters' versions when init_weights() ends."""

    def init_weights(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = super(noting, self).init_weights(*args, **kwargs)
        before.clear()
        before.update({id(one): (one, _memory.version(one)) for one in self.parameters()})
        return result

    body = {"init_weights": init_weights, "__module__": kind.__module__}
    noting: Any = type(kind.__name__, (kind,), body)
    return noting  # type: ignore[no-any-return]


def _initializes(kind: type) -> bool:
    """Whether a class's constructor calls what initializes a model of transformers."""
    code = getattr(kind.__dict__.get("__init__"), "__code__", None)
    return code is not None and bool({"post_init", "init_weights"} & {*code.co_names})


def left(item: Named) -> Left:
    return Left(
        _real_type(item.sites[0].module), tuple(item.tensor.shape), _memory.version(item.tensor)
    )


def _real_type(module: nn.Module) -> type:
    """Return a module's class; of a parametrized one (weight_norm's), whose class was generated,
    the base.
    """
    return type(module).__mro__[is_parametrized(module)]


def configured(model: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    """Return the outermost modules that a config builds, with their names: the model, or its parts.

    A user's module may hold a model of a library.
    """
    found, inside = [], set()
    for name, module in _names.modules(model, prefix):
        if id(module) not in inside and _builder(module) is not None:
            inside |= {id(one) for one in module.modules()}
            found.append((name, module))
    return found


def _builder(model: nn.Module) -> Callable[[], nn.Module] | None:
    """Return a function that calls the constructor again; None if the library keeps no config."""
    kind: type = type(model)
    transformers = pretrained_model()
    if transformers is not None and isinstance(model, transformers):
        return lambda: kind(copy.deepcopy(model.config))
    diffusers = getattr(sys.modules.get("diffusers.models.modeling_utils"), "ModelMixin", None)
    # Some models of diffusers only hold others, and have no config.
    kept = hasattr(kind, "from_config") and hasattr(model, "config")
    if diffusers is not None and isinstance(model, diffusers) and kept:
        return lambda: kind.from_config(copy.deepcopy(model.config))  # type: ignore[attr-defined,no-any-return]
    return None


def _tensors(model: nn.Module, prefix: str) -> list[Named]:
    return [*_names.parameters(model, prefix), *_names.buffers(model, prefix)]


def _looks(model: nn.Module, prefix: str) -> tuple[list[object], list[object]]:
    """Return two lists: the types of the modules, and a description of each tensor.

    A description has the tensor's names, shape, dtype and layout.
    """
    modules: list[object] = [(name, _real_type(module)) for name, module in _names.modules(model)]
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
