"""Detects what is invisible in a model that was built on the plain meta device.

Two things are invisible: parameters that the constructors drew in real memory nevertheless, and
writes of the constructors that leave no trace.  A meta tensor has no values, but each write
increases its version.  The versions are therefore compared with the number of writes that
reset_parameters() makes.  Code is searched for writes that do not increase the version
(_hidden.py).  If something may be missing, _recipe.py refuses or warns.  construction() sees all of
it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

import torch
from torch import nn

from . import _defaults, _hidden, _memory, _names, _rebuilt
from ._defaults import Record
from ._log import Log, Ref
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
    unknown = alone and (run.untouched or item.name in record.later)
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


def is_unwritten(item: Named, record: Record) -> bool:
    """Whether a real parameter that no code covers may be memory that nothing has written.

    torch.Tensor(n) makes such memory, and torch.Tensor([1.0, 2.0]) looks the same but has values.
    Memory that torch did not allocate (numpy's, a file's) has values.
    """
    tensor, ref = item.tensor, record.refs.get(item.name)
    if not (_memory.is_plain(type(tensor)) and tensor.is_cpu and tensor.numel()) or ref is None:
        return False
    unwritten = _memory.version(tensor) <= _memory.blanks()
    return unwritten and tensor.untyped_storage().resizable() and Run(record.log, ref).untouched


def warn_of_kept(unwritten: list[str], ignored: list[str]) -> None:
    """Warn of real parameters that are kept: without values, or in spite of a rule for them."""
    if unwritten:
        _warn(
            f"{_listed(unwritten)} keep what they hold, in real memory that nothing has written "
            "since it was made: values if torch.Tensor([1.0]) made it, rubbish if torch.Tensor(n) "
            "did; give rules and overwrite=True to fill them, or overwrite=False to keep them"
        )
    if ignored:
        _warn(
            f"the recipe's rules for {_listed(ignored)} are not used, since these are real and "
            "keep what they hold; overwrite=True fills them, overwrite=False keeps them"
        )


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
    early = {id(item.sites[0].module) for item in left if item.name not in record.later}
    kinds = _defaults.with_init_weights(model, early)
    if kinds:
        _warn(
            f"init_weights() of {', '.join(kinds)} is not run: where constructors call it, or "
            "initialize in other ways, build the model inside fastinit.torch.construction(), and "
            "give that as the recipe"
        )
    return bool(kinds)


_ADVICE = (
    "cannot be seen on the meta device: build the model inside fastinit.torch.construction(), and "
    "give that as the recipe"
)


def warn_of_constructors(
    model: nn.Module, left: list[Named], buffers: list[Named], record: Record, prefix: str
) -> None:
    """Warn of what constructors, and code after them, did to the tensors that only the modules'
    own code covers.
    """
    visible = [one for one in left if one.tensor.is_meta and _memory.is_plain(type(one.tensor))]
    # After model.to("meta"), or a copy of the whole, the tensors have lost their versions.
    reset = [one for one in visible if record.writes.get(one.name) and _resets_itself(one)]
    moved = bool(reset) and not any(_memory.version(one.tensor) for one in reset)
    counted = [] if moved else [one for one in visible if one.name not in record.later]
    more = [one.name for one in (*counted, *buffers) if _more(one, record)]
    if more:
        _warn(
            f"the constructors write {_listed(more)} more often than reset_parameters() does, and "
            f"what they write last {_ADVICE}"
        )
    fewer = _fewer(model, counted, record, prefix)
    if fewer:
        _warn(
            f"the constructors put other tensors in the places of {_listed(fewer)}, after "
            "reset_parameters() wrote those, such as copies of other layers; what the new ones "
            f"hold {_ADVICE}"
        )
    later = _later(model, visible, record, moved, prefix)
    if later:
        _warn(
            f"{_listed(later)} get what _init_weights gives them, but are not as their model's "
            f"constructor leaves them: what code after it does {_ADVICE}"
        )
    last = _rebuilt.written_after_post_init(model, prefix) if record.later else set()
    after = [
        one.name
        for one in left
        if one.name in record.later and one.name.replace(".base_layer.", ".") in last
    ]
    if after:
        _warn(
            f"{_listed(after)} get what _init_weights gives them, but their model's constructor "
            f"writes them after post_init(), and what it writes {_ADVICE}"
        )
    untied = _defaults.untied(model, prefix)
    if untied:
        _warn(
            f"{_listed(untied)} are not tied, although their model ties them: to_empty() separates "
            "tied parameters, and each is filled by its own name; call tie_weights() before, or "
            "after"
        )
    shared = _sharing(visible)
    if shared:
        _warn(
            f"{_listed(shared)} lie in the memory of other parameters, and materialize_() gives "
            f"each its own; what they have in common {_ADVICE}"
        )
    drawn = [one.name for one in _names.buffers(model, prefix) if _is_unkeyed(one, record)]
    if drawn:
        _warn(
            f"{_listed(drawn)} are buffers in real memory that keep what their constructors wrote "
            f"there; whether torch drew it, so that no seed decides it, {_ADVICE}"
        )
    named = {*more, *fewer, *later, *after}
    rest = [one for one in left if one.name not in named]
    if rest:
        lost = moved or any(_is_new(one.tensor) for one in rest)
        # Where the code around this call did something, the warnings above have said so.
        callers = not named and (lost or bool(visible))
        _warn_of_code(model, rest, lost or not visible, callers)


def _is_new(tensor: torch.Tensor) -> bool:
    """Whether fully_shard() or to_empty() have made the tensor, without its earlier versions."""
    if not _memory.is_plain(type(tensor)):
        return True
    return not tensor.is_meta and _memory.version(tensor) <= _memory.blanks()


def _warn_of_code(model: nn.Module, left: list[Named], every: bool, callers: bool) -> None:
    """Warn of code that may have written without a trace to the parameters in `left`.

    With `every`, the tensors have lost their versions, so that each write counts.  The code around
    this call is searched only with `callers`: what it did to real tensors that are to be
    overwritten does not matter.
    """
    owners = {id(site.module) for item in left for site in item.sites}
    kinds: set[type] = {type(one) for one in model.modules() if _may_hold(one, owners)}
    found = {kind.__name__: _hidden.of_constructor(kind, every) for kind in kinds}
    found = {kind: what for kind, what in found.items() if what}
    if found:
        what = ", ".join(sorted(frozenset().union(*found.values()))[:5])
        _warn(
            f"the constructors of {', '.join(sorted(found)[:5])} use {what}: what they write by "
            f"that {_ADVICE}"
        )
        return
    around = _hidden.of_callers(model, every, _defaults.children(model)) if callers else {}
    if around:
        what = ", ".join(sorted(frozenset().union(*around.values())))
        _warn(
            f"the code around this call ({_listed(sorted(around))}) uses {what}: if it wrote to "
            f"this model, what it wrote {_ADVICE}"
        )


def _may_hold(module: nn.Module, owners: set[int]) -> bool:
    """Whether one of the owners is inside a module, or the module has no parameters at all."""
    inside = [one for one in module.modules() if one._parameters]
    return not inside or any(id(one) in owners for one in inside)


def _warn(text: str) -> None:
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and (frame.f_globals.get("__name__") or "").startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)  # of materialize_'s caller


_OWN = __name__.partition(".")[0] + "."


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _more(item: Named, record: Record) -> bool:
    if not (item.tensor.is_meta and _memory.is_plain(type(item.tensor))):
        return False
    expected = record.writes.get(item.name)
    later = record.later.get(item.name, 0)
    return expected is not None and _memory.version(item.tensor) > expected + later


def _fewer(model: nn.Module, items: list[Named], record: Record, prefix: str) -> list[str]:
    """Return the parameters that seem to have been replaced by new tensors after the reset.

    They have had fewer writes than the reset makes.
    """
    found = {
        item.name
        for item in items
        if not item.tensor.is_inference()
        and _memory.version(item.tensor) < record.writes.get(item.name, 0)
        and _resets_itself(item)
    }
    if not found:
        return []
    parameters, buffers = _names.parameters(model, prefix), _names.buffers(model, prefix)
    written = _defaults.own_writes(model, parameters, buffers, found)
    return [
        item.name
        for item in items
        if item.name in found and _memory.version(item.tensor) < written[item.name]
    ]


def _resets_itself(item: Named) -> bool:
    return _hidden.resets_itself(item.sites[0].module)


def _later(
    model: nn.Module, items: list[Named], record: Record, moved: bool, prefix: str
) -> list[str]:
    """Return the parameters that _init_weights writes here, but not in plain construction, or not
    last.

    transformers runs it in the constructor of a model.  It thus does not see modules that are put
    in later, and later writes count.  A model that is built on the meta device by other means than
    torch.device("meta") has had the writes of _init_weights too.
    """
    items = [item for item in items if item.name in record.later]
    plain = _rebuilt.left_by_constructors(model, prefix) if items else None
    if plain is None:
        return []
    mine = {item.name: _rebuilt.left(item) for item in items}
    before = {name: plain.get(name.replace(".base_layer.", ".")) for name in mine}
    ran = all(
        mine[name].writes >= one.writes + record.later[name]
        for name, one in before.items()
        if one is not None
    )
    found = []
    for name, one in before.items():
        here = mine[name]
        same = one is not None and (one.kind, one.shape) == (here.kind, here.shape)
        extra = record.later[name] if ran else 0
        if not same or not (moved or one is None or here.writes == one.writes + extra):
            found.append(name)
    return found


def _is_unkeyed(item: Named, record: Record) -> bool:
    """Whether a buffer in real memory may have been drawn by torch's generator."""
    tensor, ref = item.tensor, record.refs.get(item.name)
    return (
        ref is not None
        and _memory.is_plain(type(tensor))
        and tensor.is_cpu
        and tensor.is_floating_point()
        and _memory.version(tensor) > _memory.blanks()
        and Run(record.log, ref).untouched
        and tensor.numel() > 1
        and not _is_one_number(tensor)
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


def warn_of_common_memory(record: Record, names: Iterable[str]) -> None:
    """Warn of recorded tensors that have elements in common without being the same tensor."""
    first: dict[int, list[str]] = {}
    shared = []
    for name in names:
        ref = record.refs.get(name)
        if ref is None or not ref.elements:
            continue
        others = first.setdefault(ref.storage, [])
        if any(_overlap(record.log, ref, record.refs[one]) for one in others):
            shared.append(name)
        others.append(name)
    if shared:
        _warn(
            f"these lie in the memory of other tensors of the model: {_listed(shared)}.  "
            "materialize_() gives each its own: they begin with the same values, but a write to "
            "one no longer reaches the other"
        )


def _overlap(log: Log, one: Ref, two: Ref) -> bool:
    if one.dtype != two.dtype:
        return True
    elements = log.size(one.storage) // one.dtype.itemsize
    marks = torch.zeros(elements, dtype=torch.bool, device="cpu")
    marks.as_strided(one.size, one.stride, one.offset).fill_(True)
    return bool(marks.as_strided(two.size, two.stride, two.offset).any())
