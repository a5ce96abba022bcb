"""A recipe → what is drawn for each parameter: the user's rules first, the module's own code where
they say nothing.

A recipe is None, rules, a construction(), or a pair of rules and a construction().  Rules are a
callable (name, parameter) → initializer or None, or a mapping of name patterns (fnmatch) and module
types to initializers, of which the first that matches counts.  How an initializer may be written:
_adapters.setting.  Nothing is drawn here.
"""

from __future__ import annotations

import fnmatch
import sys
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn

from .. import _adapters
from .._core import first_match
from .._core.arguments import nearest
from . import _defaults, _memory, _names
from ._defaults import Record
from ._names import Named
from ._prove import Fill, View, prove
from ._rebuilt import rebuilt
from ._replay import Run, Unrunnable, is_draw
from .construct import construction

Rules = Mapping[Any, Any] | Callable[[str, torch.Tensor], Any]
Recipe = Rules | construction | tuple[Rules, construction] | None
Buffers = str | Mapping[str, Any]  # "restore", "leave", or name patterns to initializers or "leave"


class Plan(NamedTuple):
    """What goes into one parameter or buffer: fills in order, or values that the module's own code
    computes.
    """

    name: str
    fills: list[Fill]
    streams: list[str]  # the stream name of each fill
    run: Run | None = None
    keys: Mapping[int, str] | None = None  # stream names of the draws of the run

    def computed(self, seed: int) -> torch.Tensor | None:
        """The whole of the values that the module's own code computes."""
        return None if self.run is None else self.run.values(seed, self.keys or {})

    def fingerprint(self, seed: int) -> str:
        """One line that says everything that is drawn: what ranks compare."""
        parts = [
            f"{fill.view} {fill.initializer} {sorted(fill.arguments.items())}"
            for fill in self.fills
        ]
        computed = self.computed(seed)
        if computed is not None:
            parts.append(f"computed {computed.flatten().tolist()!r}")
        return f"{self.name}: {'; '.join(parts)}"


def split(recipe: Recipe) -> tuple[Rules | None, construction | None]:
    """The rules of a recipe, and the construction() that counts where they say nothing."""
    if recipe is None or isinstance(recipe, construction):
        return None, recipe
    if isinstance(recipe, Mapping) or callable(recipe):
        return recipe, None
    if isinstance(recipe, (tuple, list)) and len(recipe) == 2:
        rules, made = recipe
        if (isinstance(rules, Mapping) or callable(rules)) and isinstance(made, construction):
            return rules, made
    raise TypeError(
        f"recipe is {type(recipe).__name__} {recipe!r:.80}; give None for the modules' "
        "defaults, a mapping of name patterns or module types to initializers, a callable "
        "(name, parameter), a construction(), or a pair (mapping or callable, construction())"
    )


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
    """Plans of the parameters and of the buffers, and for each name that nothing covers the
    reason.  `kept` are parameters that keep the values that they have; with `doubt` not those that
    may have none.
    """
    rules, made = split(recipe)
    names = [one.name for one in _names.buffers(model, prefix)]
    chosen = {**_chosen(parameters, rules, names), **buffer_rules}
    left = [item for item in parameters if chosen.get(item.name) is None]
    own: dict[str, Plan | str] = {}
    record = None
    warned = left and made is None and _warn_of_unrun(model)
    if left or buffers:
        if made is not None:
            record = made.record((*parameters, *buffers))
        else:
            record = _defaults.record(model, dtype, prefix)
        ruled = {name for name, setting in chosen.items() if setting is not None}
        own = _own(record, parameters, buffers, {*kept, *ruled})
    plans, uncovered = [], {}
    for item in parameters:
        setting, mine = chosen.get(item.name), own.get(item.name)
        if item.name in kept and (setting is not None or not item.tensor.numel()):
            continue
        if not item.tensor.numel():
            plans.append(Plan(item.name, [], []))
        elif setting is not None:
            plans.append(_ruled(item, setting))
        elif item.name in kept:
            if doubt and record is not None and made is None and _doubtful(item, record):
                uncovered[item.name] = (
                    "it is real memory that nothing has written, as torch.Tensor(n) makes it even "
                    "on the meta device; overwrite=True fills it, overwrite=False keeps it"
                )
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
    if uncovered and made is None:
        free = {item.name for item in (*parameters, *buffers)} - kept
        free -= {name for name, setting in chosen.items() if setting is not None}
        again = _again(model, parameters, buffers, uncovered, free, prefix, kept)
        given = {one.name: one for one in plans} | again
        plans = [given[item.name] for item in parameters if item.name in given]
        given = {one.name: one for one in restored} | again
        restored = [given[item.name] for item in buffers if item.name in given]
        uncovered = {name: why for name, why in uncovered.items() if name not in again}
        left = [item for item in left if item.name not in again]
    if not (any(item.name in uncovered for item in parameters) or warned or made) and record:
        _warn_of_unseen(left, record)
    return plans, restored, uncovered


def _again(
    model: nn.Module,
    parameters: list[Named],
    buffers: list[Named],
    uncovered: dict[str, str],
    free: set[str],
    prefix: str,
    kept: frozenset[str],
) -> dict[str, Plan]:
    """What the constructor of a transformers model, run once more, gives those that nothing else
    covers, and all that no rule speaks for (`free`): what it writes by .data over a module's own
    fill leaves no trace either.  With a warning, for nobody can see what was done since.
    """
    found = rebuilt(model, prefix, kept)
    if found is None:
        return {}
    record, names = found
    asked = names & {*free, *uncovered}
    others = {item.name for item in (*parameters, *buffers)} - asked
    own = _own(record, parameters, buffers, others)
    plans = {name: one for name, one in own.items() if isinstance(one, Plan)}
    newly = plans.keys() & uncovered.keys()
    if not newly:
        return {}
    # Real ones that are not kept are written or compared because the caller asks for it.
    unseen = [
        item.name
        for item in (*parameters, *buffers)
        if item.name in newly and (item.tensor.is_meta or item.name in kept)
    ]
    if unseen:
        more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
        warnings.warn(
            f"{', '.join(unseen[:5])}{more} get what {type(model).__name__}(config), run once "
            "more, gives them: on the meta device constructors leave no values, and neither does "
            "code after them that assigns a tensor or writes to .data. To record all of it, build "
            "the model inside fastinit.torch.construction(), and give that as the recipe",
            stacklevel=4,  # of materialize_'s caller
        )
    return plans


def buffer_rules(
    items: list[Named], buffers: Buffers
) -> tuple[dict[str, _adapters.Setting | None], frozenset[str]]:
    """What `buffers=` says: the initializers by name, and the buffers that are left as they are."""
    if buffers == "restore":
        return {}, frozenset()
    if buffers == "leave":
        return {}, frozenset([item.name for item in items])
    if not isinstance(buffers, Mapping):
        raise TypeError(
            f"buffers is {buffers!r:.80}; give 'restore', 'leave', or a mapping of name patterns "
            "module types to initializers or 'leave'"
        )
    found = _by_mapping(items, buffers, "buffers", _buffer_setting)
    leave = frozenset([name for name, setting in found.items() if setting == _LEAVE])
    return {name: one for name, one in found.items() if name not in leave}, leave


_LEAVE: _adapters.Setting = ("leave", {})


def _buffer_setting(value: Any, what: str) -> _adapters.Setting | None:
    return _LEAVE if isinstance(value, str) and value == "leave" else _setting(value, what)


def _ruled(item: Named, setting: _adapters.Setting) -> Plan:
    """One fill, or one for each of the blocks that a rule asks for along the first axis."""
    name, arguments = setting
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


def _own(
    record: Record,
    parameters: list[Named],
    buffers: list[Named],
    others: set[str],
) -> dict[str, Plan | str]:
    """What the model's own code does to each tensor that it writes: a plan, or why there is none.

    `others` are parameters whose values come from elsewhere.
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


def _doubtful(item: Named, record: Record) -> bool:
    """Whether a real parameter may be memory that nothing has ever written, though the module's
    code would write it: inside torch.device("meta") constructors make such by torch.Tensor(n).
    """
    tensor = item.tensor
    if not (_memory.is_plain(type(tensor)) and tensor.is_cpu and tensor._version == _blanks()):
        return False
    ref = record.refs.get(item.name)
    return ref is not None and tensor.numel() > 0 and not Run(record.log, ref).untouched


def _blanks() -> int:
    """How often torch itself writes memory that it gives out: with deterministic algorithms it
    fills it with NaN.
    """
    return int(
        torch.are_deterministic_algorithms_enabled()
        and torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    )


def _sized(item: Named) -> bool:
    return item.tensor.numel() > 0


def _stream(name: str, fills: list[Fill], number: int) -> str:
    """The tensor's name; of a part of it with the number of the fill."""
    return name if fills[number].view.whole else f"{name}[{number}]"


def _keys(runs: dict[str, Run], proofs: dict[str, list[Fill] | None]) -> dict[int, str]:
    """The stream name of every draw: by the tensor that it fills, else by the first that it goes
    into.
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


def _warn_of_unrun(model: nn.Module) -> bool:
    kinds = _defaults.with_init_weights(model)
    if kinds:
        warnings.warn(
            f"init_weights() of {', '.join(kinds)} is not run: where constructors call it, or "
            "initialize in other ways, build the model inside fastinit.torch.construction(), and "
            "give that as the recipe",
            stacklevel=4,  # of materialize_'s caller
        )
    return bool(kinds)


def _warn_of_unseen(left: list[Named], record: Record) -> None:
    """A write on the meta device leaves no value, but it counts the tensor's version up."""
    unseen = [
        item.name
        for item in left
        if item.tensor.is_meta
        and _memory.is_plain(type(item.tensor))
        and item.tensor._version > record.writes.get(item.name, sys.maxsize)
    ]
    if unseen:
        more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
        warnings.warn(
            f"the constructors write {', '.join(unseen[:5])}{more} more often than "
            "reset_parameters() does, and what they write last cannot be seen on the meta device: "
            "build the model inside fastinit.torch.construction(), and give that as the recipe",
            stacklevel=4,  # of materialize_'s caller
        )


def _unwritten(item: Named) -> str:
    kind = type(item.sites[0].module).__name__
    return f"no reset_parameters or _init_weights of {kind} or around it writes it"


def _chosen(
    parameters: list[Named], rules: Rules | None, buffers: list[str]
) -> dict[str, _adapters.Setting | None]:
    if rules is None:
        return {}
    if isinstance(rules, Mapping):
        return _by_mapping(parameters, rules, "recipe", _setting, buffers)
    found = {}
    for item in parameters:
        answer = rules(item.name, item.tensor)
        found[item.name] = _setting(answer, f"the recipe's answer for {item.name!r}")
    return found


def _setting(value: Any, what: str) -> _adapters.Setting | None:
    """An initializer and its arguments, of which "blocks" is this file's own."""
    if value is None or isinstance(value, str) and value == "default":
        return None
    arguments = value
    if isinstance(value, (tuple, list)) and len(value) == 2:
        arguments = value[1]
    if not isinstance(arguments, Mapping) or "blocks" not in arguments:
        return _adapters.setting(value, what)
    count = arguments["blocks"]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"{what} has blocks={count!r}; give a positive integer")
    rest = {key: one for key, one in arguments.items() if key != "blocks"}
    name, own = _adapters.setting(rest if arguments is value else (value[0], rest), what)
    return name, {**own, "blocks": count}


Read = Callable[[Any, str], _adapters.Setting | None]


def _by_mapping(
    items: list[Named],
    rules: Mapping[Any, Any],
    argument: str,
    read: Read,
    buffers: list[str] | None = None,
) -> dict[str, _adapters.Setting | None]:
    """The first rule for each parameter or buffer; `argument` is what errors call the mapping,
    `read` reads an initializer, and `buffers` are names that belong into `buffers=`.
    """
    found: dict[str, _adapters.Setting | None] = {}
    matches: dict[Any, list[str]] = {}
    for key, value in rules.items():
        matched = False
        names = matches[key] = []
        if isinstance(key, str):
            setting = read(value, f"{argument}[{key!r:.80}]")
            for item in items:
                if any(fnmatch.fnmatchcase(site.name, key) for site in item.sites):
                    matched = True
                    names.append(item.name)
                    found.setdefault(item.name, setting)
        elif isinstance(key, type) and issubclass(key, nn.Module):
            settings = _by_attribute(key, value, argument, read)
            for item in items:
                site = item.sites[0]
                if isinstance(site.module, key):
                    matched = True
                    if site.attribute in settings or "*" in settings:
                        names.append(item.name)
                        found.setdefault(item.name, settings.get(site.attribute, settings.get("*")))
            _check_attributes(key, settings, items, argument)
        else:
            raise TypeError(
                f"{argument} key {key!r:.80} is neither a name pattern nor a type of module"
            )
        if not matched:
            raise ValueError(_unmatched(key, items, argument, buffers or []))
    unused = first_match.unused(matches)
    if unused is not None:
        key, taker = (one.__name__ if isinstance(one, type) else repr(one) for one in unused)
        raise ValueError(
            f"{argument} key {key:.80} is never used: keys above it, such as {taker:.80}, take all "
            "that it matches, and the first match counts; put it above them, or leave it out"
        )
    return found


def _by_attribute(
    key: type, value: Any, argument: str, read: Read
) -> dict[str, _adapters.Setting | None]:
    """What a module type's value says of its tensors: {"weight": …, "bias": …}, or one initializer
    for all, "*".
    """
    what = f"{argument}[{key.__name__}]"
    if isinstance(value, Mapping) and "initializer" not in value:
        return {name: read(one, f"{what}[{name!r:.80}]") for name, one in value.items()}
    return {"*": read(value, what)}


def _check_attributes(
    key: type, settings: dict[str, Any], items: list[Named], argument: str
) -> None:
    known = {item.sites[0].attribute for item in items if isinstance(item.sites[0].module, key)}
    for name in settings:
        if name != "*" and known and name not in known:
            raise ValueError(
                f"{argument}[{key.__name__}] names {name!r:.80}, which no {key.__name__} of this "
                f"model has; {nearest(name, known) or f'they have {sorted(known)}'}"
            )


def _unmatched(key: Any, items: list[Named], argument: str, buffers: list[str]) -> str:
    kind = "buffer" if argument == "buffers" else "parameter"
    if isinstance(key, str):
        names = [site.name for item in items for site in item.sites]
        if "*" in key:  # a pattern is near to a pattern
            names = list(dict.fromkeys(f"*.{name.rpartition('.')[2]}" for name in names))
        near = f"; {nearest(key, names)}".rstrip("; ")
        if any(fnmatch.fnmatchcase(name, key) for name in buffers):
            near = "; it is a buffer, whose rule goes into buffers="
        return f"{argument} key {key!r:.80} matches no {kind} of this model{near}"
    kinds = ", ".join(sorted({type(item.sites[0].module).__name__ for item in items}))
    return (
        f"{argument} key {key.__name__} matches no module with {kind}s of its own; this model has "
        f"{kinds}"
    )
