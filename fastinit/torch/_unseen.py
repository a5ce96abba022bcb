"""Detects what is invisible in a model that was built on the plain meta device.

Two things are invisible: parameters that the constructors drew in real memory nevertheless, and
writes of the constructors that leave no trace.  A meta tensor has no values, but each write
increases its version.  The versions are therefore compared with the number of writes that
reset_parameters() makes.  The code of the constructors is also searched for writes that do not
increase the version.  If something may be missing, _recipe.py refuses or warns.  construction()
sees all of it.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
import warnings
from collections.abc import Iterator

import torch
from torch import nn

from . import _defaults, _memory, _wrapped
from ._defaults import Record
from ._log import TRACELESS
from ._names import Named
from ._replay import Run

# ------------------------------------------------------------------------ parameters in real memory


def doubt(item: Named, record: Record, alone: bool) -> str | None:
    """Return why a real parameter may hold no values, or values that no seed determines.

    Return None if there is no sign of that.  Inside torch.device("meta"), constructors make such
    parameters by torch.Tensor(n), by device="cpu" or in other threads.  `record` is the record of
    the modules' own code.  `alone` says that nothing else covers the model.
    """
    tensor, ref = item.tensor, record.refs.get(item.name)
    if not (_memory.is_plain(type(tensor)) and tensor.is_cpu and tensor.numel()) or ref is None:
        return None
    writes, run = _memory.version(tensor) - _memory.blanks(), Run(record.log, ref)
    if not writes and alone and not run.untouched:
        return (
            "it is real memory that nothing has written, as torch.Tensor(n) makes it even on the "
            "meta device; overwrite=True fills it, overwrite=False keeps it"
        )
    unknown = alone and (run.untouched or record.writes[item.name] == sys.maxsize)
    if (
        writes > 0
        and (unknown or _drawn(run, writes, record.writes[item.name]))
        and not _is_one_number(tensor)
    ):
        return (
            "it is real memory that its constructor drew, it seems, by torch's own generator, so "
            "that no seed decides it; overwrite=True draws it, overwrite=False keeps it"
        )
    return None


def _drawn(run: Run, writes: int, expected: int) -> bool:
    """Whether the module's own code draws the parameter and made all the writes that it has had.

    Values that are loaded later make one more write.
    """
    calls = [one.function for _, one in run.operations if one.kind == "call"]
    hidden = [one for one in calls if one in _REAL_WRITES]
    low = expected + len(hidden)
    return bool(run.draws) and low <= writes <= low + sum([_REAL_WRITES[one] for one in hidden])


# Initializers whose torch.nn.init functions write nothing on the meta device, with the number of
# additional writes, beyond the first, that they may make in real memory.
_REAL_WRITES = {"truncated_normal": 2, "orthogonal": 1, "sparse": 999, "dirac": 999}


def _is_one_number(tensor: torch.Tensor) -> bool:
    values = tensor.detach().flatten()
    return bool((values == values[0]).all())


# ---------------------------------------------------------------------------- writes on meta memory


def warn_of_init_weights(model: nn.Module, left: list[Named], record: Record) -> bool:
    """Warn of init_weights() methods that may write to parameters that nothing writes later."""
    early = {id(item.sites[0].module) for item in left if _expected(item, record) < sys.maxsize}
    kinds = _defaults.with_init_weights(model, early)
    if kinds:
        _warn(
            f"init_weights() of {', '.join(kinds)} is not run: where constructors call it, or "
            "initialize in other ways, build the model inside fastinit.torch.construction(), and "
            "give that as the recipe"
        )
    return bool(kinds)


def warn_of_constructors(model: nn.Module, left: list[Named], record: Record) -> None:
    """Warn of what constructors did to the parameters that only the modules' own code covers."""
    left = [one for one in left if one.tensor.is_meta and _memory.is_plain(type(one.tensor))]
    advice = (
        "cannot be seen on the meta device: build the model inside fastinit.torch.construction(), "
        "and give that as the recipe"
    )
    more = [one.name for one in left if _memory.version(one.tensor) > _expected(one, record)]
    if more:
        _warn(
            f"the constructors write {_listed(more)} more often than reset_parameters() does, and "
            f"what they write last {advice}"
        )
    replaced = [one.name for one in left if _is_replaced(one, record)]
    if replaced:
        _warn(
            f"the constructors put other tensors in the places of {_listed(replaced)}, after "
            f"reset_parameters() wrote those; what the new ones hold {advice}"
        )
    shared = _sharing(left)
    if shared:
        _warn(
            f"{_listed(shared)} lie in the memory of other parameters, and materialize_() gives "
            f"each its own; what they have in common {advice}"
        )
    hidden = {} if more or replaced or not left else _hidden_writers(model)
    if hidden:
        kinds = ", ".join(sorted(hidden)[:5])
        what = ", ".join(sorted(set().union(*hidden.values())))
        _warn(f"the constructors of {kinds} use {what}: what they write by that {advice}")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=5)  # of materialize_'s caller


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _expected(item: Named, record: Record) -> int:
    return record.writes.get(item.name, sys.maxsize)


def _is_replaced(item: Named, record: Record) -> bool:
    """Whether a parameter seems to have been replaced by a new tensor after the reset.

    That is the case if it has no write, but another parameter of the same module has as many
    writes as the module's reset makes.
    """
    module, attribute = item.sites[0].module, item.sites[0].attribute
    if any(isinstance(hook, _wrapped.HOOKS) for hook in module._forward_pre_hooks.values()):
        return False  # weight_norm replaces the module's parameters
    if len(item.sites) > 1 or _memory.version(item.tensor) or not 0 < _expected(item, record) < 99:
        return False
    prefix = item.name.removesuffix(attribute)
    return any(
        other is not None
        and _memory.is_plain(type(other))
        and 0 < _memory.version(other) == record.writes.get(prefix + name)
        for name, other in module._parameters.items()
    )


def _sharing(items: list[Named]) -> list[str]:
    """Return the parameters that share their memory with an earlier one."""
    first: dict[int, str] = {}
    return [
        item.name
        for item in items
        if item.tensor.numel()
        and first.setdefault(item.tensor.untyped_storage()._cdata, item.name) != item.name
    ]


# ------------------------------------------------------------------------- the code of constructors

_RESETS = ("reset_parameters", "_reset_parameters")
# Libraries whose constructors are not searched: what they do beyond reset_parameters() is recorded
# or known.
_KNOWN = ("torch", "transformers")


def _hidden_writers(model: nn.Module) -> dict[str, frozenset[str]]:
    """Return the module types whose constructors write without a trace, and what they use."""
    kinds: set[type] = {type(module) for module in model.modules()}
    found = {kind: hidden_writes(kind) for kind in kinds}
    return {kind.__name__: what for kind, what in found.items() if what}


@functools.lru_cache(maxsize=4096)
def hidden_writes(kind: type) -> frozenset[str]:
    """Return what the constructor of a class uses to write without a trace.

    The candidates are `.data` and some functions of torch.nn.init.  Functions that the constructor
    calls are searched too.  Functions that reset_parameters() calls are recorded, and not counted.
    """
    seen: set[types.CodeType] = set()
    for name in _RESETS:
        _search(getattr(kind, name, None), kind, seen)
    found: set[str] = set()
    for base in kind.__mro__:
        found |= _search(base.__dict__.get("__init__"), kind, seen)
    return frozenset(found)


def _search(function: object, kind: type, seen: set[types.CodeType]) -> set[str]:
    if not isinstance(function, types.FunctionType) or function.__code__ in seen:
        return set()
    if (function.__module__ or "").partition(".")[0] in _KNOWN:
        return set()
    seen.add(function.__code__)
    found: set[str] = set()
    for code in _codes(function.__code__):
        names = set(code.co_names)
        in_place = {name for name in names if name.endswith("_") and not name.endswith("__")}
        if "data" in names and (in_place or _stores_data(code)):
            found.add(".data")
        found |= names & TRACELESS
        for name in names - set(_RESETS):
            found |= _search(getattr(kind, name, None), kind, seen)
            found |= _search(function.__globals__.get(name), kind, seen)
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _stores_data(code: types.CodeType) -> bool:
    return any(
        one.opname == "STORE_ATTR" and one.argval == "data" for one in dis.get_instructions(code)
    )
