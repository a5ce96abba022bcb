"""Reads the caller's rules in a recipe, which say which initializer each parameter or buffer gets.

Rules are a callable (name, parameter) → initializer or None, or a mapping of name patterns
(fnmatch) and module types to initializers.  In a mapping, the first match counts.  For the ways to
write an initializer, see ../_adapters.py.  For tensors without a rule, see _recipe.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from .. import _adapters
from .._core import first_match
from .._core.arguments import described, nearest, shown
from ._names import Named
from .construct import construction

Rules = Mapping[Any, Any] | Callable[[str, torch.Tensor], Any]
Recipe = Rules | construction | tuple[Rules, construction] | None
Buffers = str | Mapping[str, Any]  # "restore", "leave", or name patterns to initializers or "leave"


def split(recipe: Recipe) -> tuple[Rules | None, construction | None]:
    """Split a recipe into its rules and the construction() for tensors without a rule."""
    if recipe is None or isinstance(recipe, construction):
        return None, recipe
    if isinstance(recipe, Mapping) or callable(recipe):
        return recipe, None
    if isinstance(recipe, (tuple, list)) and len(recipe) == 2:
        rules, made = recipe
        if (isinstance(rules, Mapping) or callable(rules)) and isinstance(made, construction):
            return rules, made
    raise TypeError(
        f"recipe is {described(recipe)}; give None for the modules' "
        "defaults, a mapping of name patterns or module types to initializers, a callable "
        "(name, parameter), a construction(), or a pair (mapping or callable, construction())"
    )


def buffer_rules(
    items: list[Named], buffers: Buffers
) -> tuple[dict[str, _adapters.Setting | None], frozenset[str]]:
    """Read `buffers=`: return the initializers by name, and the buffers to leave unchanged."""
    if buffers == "restore":
        return {}, frozenset()
    if buffers == "leave":
        return {}, frozenset([item.name for item in items])
    if not isinstance(buffers, Mapping):
        raise TypeError(
            f"buffers is {shown(buffers)}; give 'restore', 'leave', or a mapping of name patterns "
            "or module types to initializers or 'leave'"
        )
    found = _by_mapping(items, buffers, "buffers", _buffer_setting)
    leave = frozenset([name for name, setting in found.items() if setting == _LEAVE])
    return {name: one for name, one in found.items() if name not in leave}, leave


_LEAVE: _adapters.Setting = ("leave", {})


def _buffer_setting(value: Any, what: str) -> _adapters.Setting | None:
    return _LEAVE if isinstance(value, str) and value == "leave" else _setting(value, what)


def chosen_by(
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
    """Read an initializer and its arguments; the argument "blocks" is defined only in this file."""
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
    """Return the first matching rule for each parameter or buffer.

    `argument` is the mapping's name in error messages.  `read` parses an initializer.  `buffers`
    lists the names of buffers, whose rules belong in `buffers=`.
    """
    found: dict[str, _adapters.Setting | None] = {}
    sites = {site.name: item.name for item in items for site in item.sites}
    matches: dict[Any, list[str]] = {}
    for key, value in rules.items():
        matched = False
        names = matches[key] = []
        if isinstance(key, str):
            setting = read(value, f"{argument}[{shown(key)}]")
            matching = first_match.matching(key, sites)
            matched = bool(matching)
            for name in dict.fromkeys(sites[site] for site in matching):
                names.append(name)
                found.setdefault(name, setting)
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
                f"{argument} key {shown(key)} is neither a name pattern nor a type of module"
            )
        if not matched:
            raise ValueError(_unmatched(key, items, argument, buffers or []))
    unused = first_match.unused(matches)
    if unused is not None:
        key, taker = (one.__name__ if isinstance(one, type) else repr(one) for one in unused)
        raise ValueError(
            f"{argument} key {key:.80} is never used: keys above it, such as {taker:.80}, match "
            "all that it matches, and the first match counts; put it above them, or leave it out"
        )
    return found


def _by_attribute(
    key: type, value: Any, argument: str, read: Read
) -> dict[str, _adapters.Setting | None]:
    """Return the settings that a module type's value gives to its tensors, by attribute.

    The value is {"weight": …, "bias": …}, or one initializer for all of them, returned under "*".
    """
    what = f"{argument}[{key.__name__}]"
    if isinstance(value, Mapping) and "initializer" not in value:
        return {name: read(one, f"{what}[{shown(name)}]") for name, one in value.items()}
    return {"*": read(value, what)}


def _check_attributes(
    key: type, settings: dict[str, Any], items: list[Named], argument: str
) -> None:
    known = {item.sites[0].attribute for item in items if isinstance(item.sites[0].module, key)}
    for name in settings:
        if name != "*" and known and name not in known:
            raise ValueError(
                f"{argument}[{key.__name__}] names {shown(name)}, which no {key.__name__} of this "
                f"model has; {nearest(name, known) or f'they have {sorted(known)}'}"
            )


def _unmatched(key: Any, items: list[Named], argument: str, buffers: list[str]) -> str:
    kind = "buffer" if argument == "buffers" else "parameter"
    if isinstance(key, str):
        names = [site.name for item in items for site in item.sites]
        if "*" in key:  # compare patterns with patterns
            names = list(dict.fromkeys(f"*.{name.rpartition('.')[2]}" for name in names))
        near = f"; {nearest(key, names)}".rstrip("; ")
        if first_match.matching(key, buffers):
            near = "; it is a buffer, whose rule goes into buffers="
        return f"{argument} key {shown(key)} matches no {kind} of this model{near}"
    kinds = ", ".join(sorted({type(item.sites[0].module).__name__ for item in items}))
    return (
        f"{argument} key {key.__name__} matches no module with {kind}s of its own; this model has "
        f"{kinds}"
    )
