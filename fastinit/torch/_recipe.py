"""Turns a recipe into a plan of what is drawn for each parameter.

The user's rules come first.  Where no rule applies, the module's own code decides.  A recipe is
None, rules (_rules.py), a construction(), or a pair of rules and a construction().  This module
draws nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn

from .. import _adapters
from .._core.arguments import said, shown
from .._core.dtypes import DTYPES
from .._table import checked_rule, lookup
from . import _defaults, _memory, _names, _unseen
from ._defaults import Record
from ._names import Named
from ._prove import Fill, View, prove
from ._rebuilt import configured, rebuilt
from ._replay import Run, Unrunnable, is_draw
from ._rules import Recipe, chosen_by, split


class Plan(NamedTuple):
    """What one parameter or buffer gets: fills, in order, or values that the module's own code
    computes.
    """

    name: str
    fills: list[Fill]
    streams: list[str]  # the stream name of each fill
    run: Run | None = None
    keys: Mapping[int, str] | None = None  # a draw's log number → its stream name

    def computed(self, seed: int) -> torch.Tensor | None:
        """Return the whole tensor that the module's own code computes, or None if it does not."""
        return None if self.run is None else self.run.values(seed, self.keys or {})

    def fingerprint(self, seed: int) -> str:
        """Return one line that describes all values of the plan; the ranks compare it."""
        parts = [
            f"{fill.view} {fill.initializer} {sorted(fill.arguments.items())}"
            for fill in self.fills
        ]
        computed = self.computed(seed)
        if computed is not None:
            parts.append(f"computed {computed.flatten().tolist()!r}")
        return f"{self.name}: {'; '.join(parts)}"


def plan(
    model: nn.Module,
    parameters: list[Named],
    buffers: list[Named],
    recipe: Recipe,
    dtype: torch.dtype | None = None,
    prefix: str = "",
    kept: frozenset[str] = frozenset(),
    doubt: bool = False,
    buffer_rules: Mapping[str, _adapters.Setting | None] = MappingProxyType({}),
) -> tuple[list[Plan], list[Plan], dict[str, str]]:
    """Return the plans of the parameters, the plans of the buffers, and the reason for each name
    that nothing covers.

    The parameters in `kept` keep their present values.  With `doubt`, a kept parameter is reported
    as uncovered if it may hold no values, or values that no seed determines.
    """
    rules, made = split(recipe)
    names = [one.name for one in _names.buffers(model, prefix)]
    chosen = {**chosen_by(parameters, rules, names), **buffer_rules}
    left = [item for item in parameters if chosen.get(item.name) is None]
    own: dict[str, Plan | str] = {}
    record = None
    if left or buffers:
        if made is not None:
            record = made.record((*parameters, *buffers))
        else:
            record = _defaults.record(model, dtype, prefix)
        ruled = {name for name, setting in chosen.items() if setting is not None}
        own = _own(record, parameters, buffers, {*kept, *ruled})
    code = None  # a record of the modules' own code, to check kept parameters
    if doubt and kept:
        code = record if made is None and record else _defaults.record(model, dtype, prefix)
    plans, uncovered, unwritten = [], {}, []
    for item in parameters:
        setting, mine = chosen.get(item.name), own.get(item.name)
        if item.name in kept:
            why = None if code is None else _unseen.doubt(item, code, made is None)
            if why is not None:
                uncovered[item.name] = why
            elif code is not None and made is None and _unseen.is_unwritten(item, code):
                unwritten.append(item.name)
            continue
        if not item.tensor.numel():
            plans.append(Plan(item.name, [], []))
        elif setting is not None:
            plans.append(_ruled(item, setting))
        elif isinstance(mine, Plan):
            plans.append(mine)
        else:
            uncovered[item.name] = mine or _unwritten(item)
    restored = []
    for item in buffers:
        setting, mine = chosen.get(item.name), own.get(item.name)
        if not item.tensor.numel():
            restored.append(Plan(item.name, [], []))
        elif setting is not None:
            restored.append(_ruled(item, setting))
        elif isinstance(mine, Plan):
            restored.append(mine)
        else:
            uncovered[item.name] = mine or (
                "the code that was recorded does not write it; what a constructor computes, only "
                "construction() sees"
            )
    again: dict[str, Plan] = {}
    if uncovered and made is None:
        free = {item.name for item in (*parameters, *buffers)} - kept
        free -= {name for name, setting in chosen.items() if setting is not None}
        open_names = {name for name in uncovered if chosen.get(name) is None}
        again = _again(model, parameters, buffers, open_names, free, prefix, kept)
        given = {one.name: one for one in plans} | again
        plans = [given[item.name] for item in parameters if item.name in given]
        given = {one.name: one for one in restored} | again
        restored = [given[item.name] for item in buffers if item.name in given]
        uncovered = {name: why for name, why in uncovered.items() if name not in again}
        left = [item for item in left if item.name not in again]
    if doubt:
        named = rules if isinstance(rules, Mapping) else {}
        real = [item for item in parameters if item.name in kept and chosen.get(item.name)]
        ignored = [one.name for one in real if any(site.name in named for site in one.sites)]
        _unseen.warn_of_kept(unwritten, ignored)
    warned = record and not made and _unseen.warn_of_init_weights(model, left, record)
    if not (any(item.name in uncovered for item in parameters) or warned or made) and record:
        computed = {one.name for one in restored} - {*chosen, *again}
        seen = [item for item in buffers if item.name in computed]
        filled = [item for item in left if item.name not in kept]
        _unseen.warn_of_constructors(model, filled, seen, record, prefix)
    if made and record:
        _unseen.warn_of_common_memory(record, [one.name for one in (*plans, *restored)])
    return plans, restored, uncovered


def _again(
    model: nn.Module,
    parameters: list[Named],
    buffers: list[Named],
    uncovered: set[str],
    free: set[str],
    prefix: str,
    kept: frozenset[str],
) -> dict[str, Plan]:
    """Run the constructor of a transformers or diffusers model again, and return the plans that it
    gives.  The model may be part of a module that its library does not know.

    The plans cover the tensors that nothing else covers, and all tensors without a rule (`free`).
    The latter are included because a constructor may write to .data after a module's own fill, and
    such a write leaves no trace.  A warning is issued, because changes made after construction
    cannot be detected.
    """
    plans: dict[str, Plan] = {}
    newly: set[str] = set()
    kinds: dict[str, None] = {}
    for name, part in configured(model, prefix):
        inside = f"{name}." if name else ""
        needed = any(one.startswith(inside) for one in uncovered)
        mine = frozenset(one for one in kept if one.startswith(inside))
        found = rebuilt(part, name, mine) if needed else None
        if found is None:
            continue
        record, names = found
        asked = names & {*free, *uncovered}
        others = {item.name for item in (*parameters, *buffers)} - asked
        own = _own(record, parameters, buffers, others)
        given = {one: plan for one, plan in own.items() if isinstance(plan, Plan)}
        if given.keys() & uncovered:
            plans |= given
            newly |= given.keys() & uncovered
            kinds[type(part).__name__] = None
    if not newly:
        return {}
    # No warning for real tensors that are not kept: the caller asked to write or compare them.
    unseen = [
        item.name
        for item in (*parameters, *buffers)
        if item.name in newly and (item.tensor.is_meta or item.name in kept)
    ]
    if unseen:
        more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
        warnings.warn(
            f"{', '.join(unseen[:5])}{more} get what {', '.join(kinds)}(config), run once "
            "more, gives them: on the meta device constructors leave no values, and neither does "
            "code after them that assigns a tensor or writes to .data. To record all of it, build "
            "the model inside fastinit.torch.construction(), and give that as the recipe",
            stacklevel=4,  # of materialize_'s caller
        )
    return plans


def _ruled(item: Named, setting: _adapters.Setting) -> Plan:
    """Plan one fill, or one fill per block if the rule asks for blocks along the first axis."""
    name, arguments = setting
    _check_constant(item, name, {key: one for key, one in arguments.items() if key != "blocks"})
    count = arguments.get("blocks")
    shape, axes = tuple(item.tensor.shape), tuple(range(item.tensor.ndim))
    zeros = (0,) * len(shape)
    if count is None:
        view = View(shape, zeros, shape, shape, axes)
        return Plan(item.name, [Fill(view, name, arguments)], [item.name])
    if not shape or shape[0] % count:
        raise ValueError(
            f"blocks={count} of the rule for {item.name!r} does not divide its first axis; its "
            f"shape is {shape}"
        )
    rows = shape[0] // count
    size = (rows, *shape[1:])
    own = {key: value for key, value in arguments.items() if key != "blocks"}
    views = [View(shape, (number * rows, *zeros[1:]), size, size, axes) for number in range(count)]
    fills = [Fill(view, name, own) for view in views]
    return Plan(item.name, fills, [_stream(item.name, fills, n) for n in range(count)])


def _check_constant(item: Named, name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a constant that a dtype without draws does not hold.

    torch writes these constants, and would cut 2.5 to 2 and wrap -1 to 255.
    """
    kind = item.tensor.dtype
    if name not in ("constant", "zeros", "ones") or kind in _memory.DTYPES:
        return
    known = DTYPES.get(str(kind).removeprefix("torch."))
    value = arguments.get("value", int(name == "ones"))
    try:
        if known is not None:
            checked_rule(lookup(name))(tuple(item.tensor.shape), known, **arguments)
        torch.empty(2, dtype=kind, device="cpu").fill_(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the rule for {item.name!r}: {error}") from None
    except RuntimeError as error:  # what torch raises for a dtype that it does not fill
        text = str(kind).removeprefix("torch.")
        raise TypeError(
            f"the rule for {item.name!r}: torch does not fill dtype {text} with {shown(value)} "
            f"({said(error)}); give None for it, and write its values yourself"
        ) from None


def _own(
    record: Record,
    parameters: list[Named],
    buffers: list[Named],
    others: set[str],
) -> dict[str, Plan | str]:
    """Return, for each tensor that the model's own code writes, a plan or the reason for none.

    The values of the parameters in `others` come from elsewhere.
    """
    items = {item.name: item for item in (*parameters, *buffers) if item.name in record.refs}
    runs = {
        name: Run(record.log, record.refs[name]) for name, item in items.items() if _sized(item)
    }
    runs = {name: run for name, run in runs.items() if not run.untouched}
    proofs = {name: prove(run) for name, run in runs.items()}
    keys = _keys(runs, proofs)
    foreign = {record.refs[name].storage: name for name in others if name in record.refs}
    own: dict[str, Plan | str] = {}
    for name, run in runs.items():
        if name in others:
            continue
        fills = proofs[name]
        elsewhere = [foreign[one] for one in run.memories if foreign.get(one, name) != name]
        if run.result.size != tuple(items[name].tensor.shape):
            own[name] = "its own code puts another tensor in its place"
        elif elsewhere:
            own[name] = f"it is computed from {elsewhere[0]}, which has other values"
        elif fills is not None:
            streams = [
                _stream(name, fills, number)
                if fill.draw is None
                else keys.get(fill.draw, _stream(name, fills, number))
                for number, fill in enumerate(fills)
            ]
            own[name] = Plan(name, fills, streams)
        else:
            try:
                run.values(0, keys)
                own[name] = Plan(name, [], [], run, keys)
            except Unrunnable as error:
                own[name] = str(error)
    return own


def _sized(item: Named) -> bool:
    return item.tensor.numel() > 0


def _stream(name: str, fills: list[Fill], number: int) -> str:
    """Return the tensor's name; for a fill of a part, append the number of the fill."""
    return name if fills[number].view.whole else f"{name}[{number}]"


def _keys(runs: dict[str, Run], proofs: dict[str, list[Fill] | None]) -> dict[int, str]:
    """Return the stream name of every draw.

    A draw is named after the tensor that it fills.  If it fills none of these tensors, it is named
    after the first tensor that depends on it.
    """
    owners: dict[int, str] = {}
    by_memory = {run.result.storage: name for name, run in reversed(runs.items())}
    for name, run in runs.items():
        for number, one in run.operations:
            if is_draw(one) and number not in owners:
                (target,) = one.writes
                owners[number] = by_memory.get(target, name)
    drawn: dict[str, list[int]] = {}
    for number in sorted(owners):
        drawn.setdefault(owners[number], []).append(number)
    keys: dict[int, str] = {}
    for name, mine in drawn.items():
        fills = proofs[name]
        for place, fill in enumerate(fills or ()):
            if fill.draw in mine:
                keys[fill.draw] = _stream(name, fills or [], place)
        count = len(fills or ())
        for number in mine:
            if number not in keys:
                keys[number] = f"{name}[{count}]"
                count += 1
    return keys


def _unwritten(item: Named) -> str:
    kind = type(item.sites[0].module).__name__
    return f"no reset_parameters or _init_weights of {kind} or around it writes it"
