"""Write a spec as TOML for people to read and edit.  Tensors whose names differ only in a number
are folded into one line.

This is the inverse of spec.py: loading the text gives the same tensors, possibly in another order.
The order only affects how a folder is cut into shards.  The spec of a checkpoint comes from the
metadata of its files.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.arguments import described, shown
from .._laws import patterns
from .config import CONFIG
from .load import load
from .source import AnySpec
from .spec import COMPUTED, Entry, Spec

_NUMBER = re.compile(r"(?<![^.])[0-9]+(?![^.])")  # a component of a name that is a number
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def describe(spec: AnySpec | Spec) -> str:
    """Write a spec as TOML that resolves to the same tensors.

    Parameters
    ----------
    spec : str, path, mapping or Spec
        What load() takes, or what it gave.

    Returns
    -------
    str
        The text of a .toml file.

    Raises
    ------
    ValueError
        A tensor that a model's own code computes, which no spec can say.

    Examples
    --------
    >>> from fastinit import checkpoint
    >>> text = checkpoint.describe("gpt2")
    >>> checkpoint.load("gpt2").canonical().count("transformer"), text.count("transformer")
    (149, 17)
    """
    spec = spec if isinstance(spec, Spec) else load(spec)
    for entry in spec.entries:
        if entry.initializer == COMPUTED:
            raise ValueError(
                f"{shown(entry.name)} is computed by the model's own code, which no spec can say; "
                "materialize the config itself"
            )
    default = _most(entry.dtype.name for entry in spec.entries)
    folded, ranges = _fold(spec.entries)
    lines = [f"dtype = {inline(default)}", ""]
    if ranges:
        lines += ["[repeat]", *(f"{name} = {inline(_ends(ends))}" for name, ends in ranges.items())]
        lines.append("")
    lines += ["[metadata]", *_table(spec.metadata), ""]
    config = _config(spec, default)
    if config:
        lines += ["[config]", *_table(config), ""]
    if spec.tied:
        lines += ["[tied]", *_table(spec.tied), ""]
    lines.append("[tensors]")
    for name, entry in folded:
        content: dict[str, Any] = {"shape": list(entry.shape)}
        if entry.dtype.name != default:
            content["dtype"] = entry.dtype.name
        content |= {"initializer": entry.initializer, **entry.arguments}
        lines.append(f"{inline(name)} = {inline(content)}")
    return "\n".join(lines) + "\n"


def _config(spec: Spec, default: str) -> dict[str, Any]:
    """The content of config.json without the dtype, which resolve() adds."""
    config: dict[str, Any] = spec.config or json.loads(spec.others.get(CONFIG, b"{}"))
    return {
        key: value
        for key, value in config.items()
        if key not in ("dtype", "torch_dtype") or value != default
    }


def rules(spec: Spec) -> list[str]:
    """Say which tensors each initializer fills, one line for each set of arguments.

    Parameters
    ----------
    spec : Spec
        A resolved spec, from load().

    Returns
    -------
    list of str
        Lines for people, those of `--dry-run`.

    Examples
    --------
    >>> from fastinit import checkpoint
    >>> checkpoint.rules(checkpoint.load("gpt2"))[3].partition(": transformer")[0]
    'normal std=0.00408248: 24 tensors, 35389440 values'
    """
    if not isinstance(spec, Spec):
        raise TypeError(f"spec must be a Spec, as load() gives, not {described(spec)}")
    groups: dict[str, list[Entry]] = {}
    for entry in spec.entries:
        said = [f"{name}={_said(value)}" for name, value in entry.arguments.items()]
        if entry.initializer == COMPUTED:
            said = ["by the model's own code, in torch's arithmetic"]
        groups.setdefault(" ".join([entry.initializer, *said]), []).append(entry)
    lines = []
    for rule, entries in groups.items():
        names = [pattern for pattern, _ in patterns(entry.name for entry in entries)]
        more = f", … ({len(names) - _NAMES} more)" if len(names) > _NAMES else ""
        values = sum(math.prod(entry.shape) for entry in entries)
        counts = f"{len(entries)} tensor{'s' * (len(entries) > 1)}, {values} values"
        lines.append(f"{rule}: {counts}: {', '.join(names[:_NAMES])}{more}")
    return lines


_NAMES = 8  # the most names in one line
_SHORT = 4  # the most values of a tuple that are shown


def _said(value: Any) -> str:
    """Format an argument briefly.  For blocks of constants, only their number is shown."""
    if isinstance(value, list):
        return f"{len(value)} of constants"
    if isinstance(value, tuple) and len(value) > _SHORT:
        return f"{len(value)} values"
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(" ", "")


def _most(names: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return max(counts, key=lambda name: counts[name])


def _ends(ends: tuple[int, int]) -> Any:
    return ends[1] if ends[0] == 0 else list(ends)


# ------------------------------------------------------------------------------------------ folding


def _fold(
    entries: Iterable[Entry],
) -> tuple[list[tuple[str, Entry]], dict[str, tuple[int, int]]]:
    """Fold the names of entries that differ only in numbers.

    Returns names with {index} instead of numbers, each with one entry that represents all of them.
    Also returns the range of each index.
    """
    groups: dict[tuple[str, str], list[tuple[tuple[int, ...], Entry]]] = {}
    for entry in entries:
        texts = _NUMBER.findall(entry.name)
        numbers = tuple(int(text) for text in texts if len(text) < 10)
        plain = [str(number) for number in numbers] == texts  # "007" is not 7
        template = _NUMBER.sub("\0", entry.name) if plain else entry.name
        drawn = entry.initializer, sorted(entry.arguments.items())
        key = template, repr((entry.shape, entry.dtype.name, drawn))
        groups.setdefault(key, []).append((numbers, entry))
    ranges: dict[str, tuple[int, int]] = {}
    folded: list[tuple[str, Entry]] = []
    for (template, _), members in groups.items():
        ends = _full([numbers for numbers, _ in members])
        if "\0" not in template or ends is None or len(members) == 1:
            folded += [(_escaped(entry.name), entry) for _, entry in members]
            continue
        name, *rest = template.split("\0")
        text = _escaped(name)
        for (first, stop), after in zip(ends, rest, strict=True):
            if stop - first == 1:
                text += str(first)
            else:
                text += "{" + _index(ranges, text, (first, stop)) + "}"
            text += _escaped(after)
        folded.append((text, members[0][1]))
    return folded, ranges


def _full(numbers: list[tuple[int, ...]]) -> list[tuple[int, int]] | None:
    """The range of each index, if the numbers are the full product of the ranges; else None."""
    ends = [(min(axis), max(axis) + 1) for axis in zip(*numbers, strict=True)]
    if math.prod(stop - first for first, stop in ends) != len(numbers):
        return None
    whole = itertools.product(*(range(first, stop) for first, stop in ends))
    return ends if set(numbers) == set(whole) else None


def _index(ranges: dict[str, tuple[int, int]], before: str, ends: tuple[int, int]) -> str:
    """Choose the name of an index with a range, from the component of the name before it."""
    part = before.rstrip(".").rsplit(".", 1)[-1]
    base = part if _WORD.fullmatch(part) and part not in _RESERVED else "index"
    for number in itertools.count(1):
        apart = "_" if base[-1].isdigit() else ""  # so that layer1_2 is not mistaken for layer12
        name = base if number == 1 else f"{base}{apart}{number}"
        # An index appears once in a name: two components with the same range get two indices.
        if ranges.setdefault(name, ends) == ends and "{" + name + "}" not in before:
            return name
    raise AssertionError("unreachable")


_RESERVED = {"sqrt", "min", "max", "inf"}


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# --------------------------------------------------------------------------------------------- TOML


def _table(content: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {inline(value)}" for key, value in content.items() if value is not None]


def inline(value: Any) -> str:
    """Write a value in one line of TOML.  TOML has no null, so keys with None are left out."""
    if isinstance(value, str):
        # JSON's escapes are valid TOML, except for the delete character and surrogate pairs.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return f'"{value!r}"'  # an expression: "inf"
    if isinstance(value, (int, float)):
        return (int if isinstance(value, int) else float).__repr__(
            value
        )  # np.float64 is a float too
    if isinstance(value, dict):
        inner = ", ".join(_table(value))
        return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(inline(item) for item in value)}]"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else inline(key)
