"""Resolve a model's spec: its tensors, their shapes, and how each is drawn.  The input is TOML,
JSON or a mapping.  The output is resolved entries.

    dtype = "float32"                              # of every tensor without another dtype
    [constants]   layers = 12                      # names for expressions; may use earlier ones
    [repeat]      layer = "layers"                 # {layer} in a tensor's name is 0 … layers - 1;
                                                   # or [first, stop]
    [metadata]    license = "none"                 # strings, written to the file; the default of
                                                   # format is "pt"
    [config]      n_layer = "{layers}"             # a folder's config.json, unchanged except that
                                                   # text in braces is an expression
    [tensors]     "h.{layer}.w" = ["width", "3 * width"]
                  "head" = { shape = [8, 8], dtype = "bfloat16", initializer = "normal",
                             std = 0.02 }
                  "pad" = { shape = [9, 8], initializer = "normal", blocks = [
                            { start = [0, 0], size = [1, 8], value = 0 }] }
                                                   # constants written over boxes of the tensor
    [tied]        "lm_head" = "head"               # other names of tensors in a model's code; the
                                                   # file does not have them
    [[rules]]     match = "h.*.w"                  # an fnmatch pattern or a list of them; the first
                                                   # rule that matches applies; an unused rule is
                                                   # an error
                  initializer = "normal"           # a name in _table.py, or in words.py for
                                                   # packed bits; then its arguments
                  std = "0.02 / sqrt(2 * layers)"  # a number, text, or an expression
                                                   # (expressions.py)

This module draws and writes nothing; plan.py and then materialize.py do.  fields.py reads single
fields, rules.py reads rules, and blocks.py reads constants in boxes.  The initializers' rules check
the arguments.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import _table
from .._core import dtypes, fill, shapes
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.dtypes import CONSTANT, DType
from ..typing import Dtype, Write
from . import words
from .blocks import MOST_PATCHES, Patched, block_rule, read_blocks
from .expressions import Number
from .fields import check_keys, check_name, read_argument, read_dtype, read_number, read_whole
from .rules import Rule, check_rules, match_rules, read_rules
from .saved import Saved
from .source import Source, nearest

_KEYS = ("dtype", "constants", "repeat", "metadata", "config", "tensors", "tied", "rules")
_MOST_TENSORS = 1_000_000
COMPUTED = "computed"  # the initializer of a tensor that a model's own code computes


class Entry(NamedTuple):
    """One resolved tensor: nothing in it is an expression, a pattern or an alias any more.

    Attributes
    ----------
    name : str
        The tensor's name.
    shape : tuple of int
        Its sizes.
    dtype : DType
        Its dtype.
    initializer : str
        The initializer's public name.
    arguments : dict
        The initializer's own arguments, and `blocks`.
    rule : Draw, Patched or callable
        What the initializer's rule makes of them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    initializer: str
    arguments: dict[str, Any]
    rule: Draw | Patched | Write

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Spec(NamedTuple):
    """A resolved spec.

    Attributes
    ----------
    label : str
        The file or the preset that it came from.
    entries : tuple of Entry
        The tensors.
    metadata : dict
        Strings for the header of every file.
    config : dict or None
        The content of config.json; no tensor depends on it.
    others : dict
        The content of files that a folder has beside the weights, by name.
    tied : dict
        For each other name of a tensor in a model's code, the entry's name.
    saved : dict
        Names and shapes under which transformers saves tensors, where they differ.
    """

    label: str
    entries: tuple[Entry, ...]
    metadata: dict[str, str]
    config: dict[str, Any] | None = None
    others: dict[str, bytes] = {}
    tied: dict[str, str] = {}
    saved: Saved = {}

    def canonical(self, names: Collection[str] | None = None) -> str:
        """The tensors and metadata as one line of JSON with sorted keys: a spec that draws the same
        file.

        With `names` only those tensors.
        """
        tensors = {}
        for entry in self.entries:
            if names is not None and entry.name not in names:
                continue
            name = entry.name.replace("{", "{{").replace("}", "}}")
            tensors[name] = {key: _plain(value) for key, value in entry.arguments.items()}
            tensors[name] |= {
                "shape": entry.shape,
                "dtype": entry.dtype.name,
                "initializer": entry.initializer,
            }
        content: dict[str, Any] = {"metadata": self.metadata, "tensors": tensors}
        tied = {other: name for other, name in self.tied.items() if names is None or name in names}
        if tied:
            content["tied"] = tied
        return json.dumps(
            content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # "inf" and "-inf" are expressions; JSON has no such numbers
    return value


def resolve(source: Source, dtype: Dtype | None = None) -> Spec:
    """Resolve a parsed spec; see load.py."""
    content = source.content
    check_keys(source, content, _KEYS, "key")
    for key, kind in (
        ("constants", dict),
        ("repeat", dict),
        ("metadata", dict),
        ("config", dict),
        ("tensors", dict),
        ("tied", dict),
        ("rules", list),
    ):
        if not isinstance(content.get(key, kind()), kind):
            raise source.error(
                f"{key!r} must be a {'list of tables' if kind is list else 'table'}", key
            )
    if dtype is None:
        default = read_dtype(source, content.get("dtype", "float32"), "dtype")
    else:
        default = dtypes.resolve(dtype)
    constants = _constants(source)
    tensors = list(_expand(source, content, constants))
    if not tensors:
        raise source.error(
            "the spec has no tensors; add a table 'tensors' of names and shapes", "tensors"
        )
    rules = read_rules(source)
    entries = _resolve(source, tensors, rules, default)
    config = None
    if "config" in content:
        config = _config(source, content["config"], constants)
        config.setdefault("torch_dtype", default.name)
    metadata = _metadata(source, content.get("metadata", {}))
    names = {entry.name: None for entry in entries}
    return Spec(source.label, entries, metadata, config, tied=_tied(source, names))


# ---------------------------------------------------------------------------------------- the parts


def _constants(source: Source) -> dict[str, Number]:
    table = source.content.get("constants", {})
    if not isinstance(table, dict):
        raise source.error("'constants' must be a table", "constants")
    constants: dict[str, Number] = {}
    for name, value in table.items():
        check_name(source, name, "constants")
        constants[name] = read_number(source, value, constants, "constants", name)
    return constants


def _metadata(source: Source, table: Mapping[str, Any]) -> dict[str, str]:
    for key, value in table.items():
        if not isinstance(value, str):
            raise source.error(f"metadata {shown(key)} must be text in quotes", "metadata", key)
        if key.startswith("fastinit."):
            raise source.error(
                f"metadata {shown(key)}: fastinit itself writes the keys 'fastinit.…'",
                "metadata",
                key,
            )
    return {"format": "pt", **table}  # transformers refuses a file without a format


def _tied(source: Source, names: Mapping[str, None]) -> dict[str, str]:
    """Read the table of tied tensors: each other name, with the tensor's name."""
    table: dict[str, Any] = source.content.get("tied", {})
    for other, name in table.items():
        if not isinstance(name, str) or name not in names:
            hint = nearest(name, names) if isinstance(name, str) else ""
            raise source.error(
                f"{shown(other)} is tied to {shown(name)}, and no tensor is named so{hint}",
                "tied",
                other,
            )
        if other in names:
            raise source.error(
                f"{shown(other)} is tied to {shown(name)}, and is a tensor itself", "tied", other
            )
    return dict(table)


def _config(source: Source, table: Any, constants: Mapping[str, Number]) -> Any:
    """The content of config.json.  Text in braces is evaluated as an expression of constants."""
    if isinstance(table, dict):
        return {key: _config(source, value, constants) for key, value in table.items()}
    if isinstance(table, list):
        return [_config(source, value, constants) for value in table]
    if isinstance(table, str) and table[:1] == "{" and table[-1:] == "}":
        return read_number(source, table[1:-1], constants, "config", table)
    if table is not None and not isinstance(table, (str, bool, int, float)):
        raise source.error(f"{shown(table)} has no form in JSON", "config")
    if type(table) is int and abs(table) >= 1 << 1024:  # too large for any JSON reader
        raise source.error(f"{shown(table)} is too large for a number in JSON", "config")
    return table


# -------------------------------------------------------------------------------------- the tensors

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def _ranges(
    source: Source, table: Mapping[str, Any], constants: Mapping[str, Number]
) -> dict[str, range]:
    ranges = {}
    for name, value in table.items():
        check_name(source, name, "repeat")
        if name in constants:
            raise source.error(
                f"{name!r} is both a constant and an index of 'repeat'; rename one", "repeat", name
            )
        ends = value if isinstance(value, list) else [0, value]
        if len(ends) != 2:
            raise source.error(f"repeat {name!r} must be a count, or [first, stop]", "repeat", name)
        first, stop = (read_whole(source, end, constants, "repeat", name) for end in ends)
        ranges[name] = range(first, stop)
    return ranges


class _Tensor(NamedTuple):
    name: str
    template: str  # the name as the spec has it
    value: Any  # its value in the spec
    names: Mapping[str, Number]  # for expressions


def _expand(
    source: Source, content: Mapping[str, Any], constants: dict[str, Number]
) -> Iterator[_Tensor]:
    """Expand the tensors.  A repeated tensor gives one tensor per index."""
    ranges = _ranges(source, content.get("repeat", {}), constants)
    unused = set(ranges)
    seen: dict[str, str] = {}
    for template, value in content.get("tensors", {}).items():
        where = ("tensors", template)
        if isinstance(value, dict) and "shape" not in value:
            raise source.error(
                f"tensor {shown(template)} has no shape (a name with dots must be in quotes)",
                *where,
            )
        indices: list[str] = []
        for found in _BRACES.finditer(template):
            index = found.group(1)
            if index is None and found.group() in ("{", "}"):
                raise source.error(
                    f"a single {found.group()!r} in {shown(template)}; write it twice to have one",
                    *where,
                )
            if index is not None and index not in ranges:
                hint = nearest(index, ranges) or "; 'repeat' has no such index"
                raise source.error(
                    f"unknown index {{{index:.80}}} in {shown(template)}{hint}", *where
                )
            if index is not None and index not in indices:
                indices.append(index)
        unused.difference_update(indices)
        if len(seen) + math.prod(len(ranges[index]) for index in indices) > _MOST_TENSORS:
            raise source.error(f"more than {_MOST_TENSORS} tensors", *where)
        for numbers in itertools.product(*(ranges[index] for index in indices)):
            local: dict[str, Number] = dict(zip(indices, numbers, strict=True))
            name = _BRACES.sub(partial(_filled, local), template)
            if name in seen:
                raise source.error(
                    f"two tensors are named {shown(name)}: {shown(seen[name])} and "
                    f"{shown(template)}",
                    *where,
                )
            if name in ("", "__metadata__"):
                raise source.error(f"a tensor cannot be named {name!r}", *where)
            seen[name] = template
            # Not a copy of the constants, of which there may be as many as tensors.
            yield _Tensor(name, template, value, ChainMap(local, constants) if local else constants)
    for index in unused:
        raise source.error(f"no tensor's name holds {{{index}}}", "repeat", index)


def _filled(numbers: Mapping[str, Number], braces: re.Match[str]) -> str:
    return str(numbers[braces.group(1)]) if braces.group(1) is not None else braces.group()[0]


def _shape(
    source: Source, value: Any, names: Mapping[str, Number], template: str
) -> tuple[int, ...]:
    where = ("tensors", template)
    if not isinstance(value, list):
        raise source.error(
            f"the shape of {shown(template)} must be a list, such as [768, 3072], not "
            f"{shown(value)}",
            *where,
        )
    return tuple(read_whole(source, item, names, *where) for item in value)


# -------------------------------------------------------------------------------------- the entries


def _resolve(
    source: Source, tensors: list[_Tensor], rules: list[Rule], default: DType
) -> tuple[Entry, ...]:
    without = {  # tensors without an initializer in their table
        tensor.name: None
        for tensor in tensors
        if not (isinstance(tensor.value, dict) and "initializer" in tensor.value)
    }
    names = {tensor.name: None for tensor in tensors}
    matched = match_rules(rules, names, without)
    known: dict[str, Any] = {}
    entries = []
    for tensor in tensors:
        at_tensor: tuple[Any, ...] = ("tensors", tensor.template)
        own = dict(tensor.value) if isinstance(tensor.value, dict) else {"shape": tensor.value}
        shape = _shape(source, own.pop("shape"), tensor.names, tensor.template)
        if "initializer" in own:
            body, where = own, at_tensor
        else:
            check_keys(
                source, own, ("dtype",), "key (without an initializer of its own)", *at_tensor
            )
            if tensor.name not in matched.first:
                raise source.error(
                    f"no rule matches {shown(tensor.name)}; add one, or give it an initializer",
                    *at_tensor,
                )
            rule = matched.first[tensor.name]
            body, where = rule.body, (rule.number,)
        dtype = default
        for table, place in ((own, at_tensor), (body, where)):
            if "dtype" in table:
                dtype = read_dtype(source, table["dtype"], *place, "dtype")
                break
        try:
            shapes.count(shape, dtype)
        except ValueError as error:
            raise source.error(f"{shown(tensor.name)}: {error}", *at_tensor) from None
        entries.append(_entry(source, tensor, shape, dtype, body, where, known))
    check_rules(source, rules, matched, names)
    return tuple(entries)


def override(spec: Spec, source: Source) -> Spec:
    """Apply the rules of a recipe to a spec.

    A recipe has only a spec's keys constants and rules.  The first rule that matches a tensor
    determines how it is drawn.
    """
    check_keys(source, source.content, ("constants", "rules"), "key of a recipe")
    constants = _constants(source)
    names = {entry.name: None for entry in spec.entries}
    rules = read_rules(source)
    if not rules:
        raise source.error("the recipe has no rules")
    matched = match_rules(rules, names, names)
    check_rules(source, rules, matched, names)
    known: dict[str, Any] = {}
    entries = []
    for entry in spec.entries:
        if entry.name in matched.first:
            rule = matched.first[entry.name]
            dtype, where = entry.dtype, (rule.number,)
            if "dtype" in rule.body:
                dtype = read_dtype(source, rule.body["dtype"], *where, "dtype")
            tensor = _Tensor(entry.name, entry.name, None, constants)
            entry = _entry(source, tensor, entry.shape, dtype, rule.body, where, known)
        entries.append(entry)
    return spec._replace(entries=tuple(entries))


def _entry(
    source: Source,
    tensor: _Tensor,
    shape: tuple[int, ...],
    dtype: DType,
    body: Mapping[str, Any],
    where: tuple[Any, ...],
    known: dict[str, Any],
) -> Entry:
    given = body["initializer"]
    if given == COMPUTED:
        return _computed(source, tensor.name, shape, dtype, body, where)
    if not isinstance(given, str) or given not in _INITIALIZERS:
        hint = nearest(str(given), _INITIALIZERS)
        raise source.error(
            f"unknown initializer {shown(given)}{hint}", *where, "initializer", str(given)
        )
    if given in words.RULES:
        initializer, rule_of, parameters = given, words.RULES[given], words.PARAMETERS[given]
    else:
        initializer = _table.ALIASES.get(given, given)
        function = _table.lookup(initializer)
        rule_of, parameters = _table.RULES[function], tuple(_table.own_parameters(function))
        if dtype.kind == "packed":
            raise source.error(
                f"{shown(tensor.name)}, {given}: {dtype.name} holds packed bits, which no "
                'initializer draws; give initializer = "words"',
                *where,
                "initializer",
            )
    raw = {
        key: value for key, value in body.items() if key not in ("initializer", "dtype", "blocks")
    }
    check_keys(source, raw, parameters, f"argument of {given}", *where)
    arguments = {
        key: read_argument(source, value, tensor.names, *where, key) for key, value in raw.items()
    }
    key = repr((initializer, shape, dtype.name, sorted(arguments.items())))
    if key not in known:  # cached, because a model has many tensors of few kinds
        try:
            known[key] = fill.decide(rule_of, shape, dtype, arguments)
        except (ValueError, TypeError) as error:
            text = next((value for value in arguments.values() if isinstance(value, str)), None)
            hint = (
                ""
                if text is None
                else nearest(text, tensor.names) or f" (no constant is named {shown(text)})"
            )
            raise source.error(
                f"{shown(tensor.name)}, {given}: {error}{hint}", *where, "initializer"
            ) from None
    rule = known[key]
    constant = isinstance(rule, Draw) and rule.draw == CONSTANT
    if 0 in shape and not constant and dtype.kind != "packed":
        raise source.error(
            f"{shown(tensor.name)} has shape {shape}, which holds no values for {given} to draw; a "
            "tensor that is meant to be empty may have the initializer zeros",
            "tensors",
            tensor.template,
        )
    if "blocks" in body:
        blocks = read_blocks(source, body["blocks"], shape, tensor.names, *where)
        try:
            rule = block_rule(rule, shape, dtype, blocks)
        except (ValueError, TypeError) as error:
            raise source.error(f"{shown(tensor.name)}, blocks: {error}", *where, "blocks") from None
        if rule is None:
            raise source.error(
                f"{shown(tensor.name)}: blocks are for an initializer that draws each value alone, "
                f"and at most {MOST_PATCHES} rows of them",
                *where,
                "blocks",
            )
        arguments = {**arguments, "blocks": blocks}
    return Entry(tensor.name, shape, dtype, initializer, arguments, rule)


def _computed(
    source: Source,
    name: str,
    shape: tuple[int, ...],
    dtype: DType,
    body: Mapping[str, Any],
    where: tuple[Any, ...],
) -> Entry:
    """A tensor that a model's own code computes.  Its file has a digest of its bytes (plan.py)."""
    raw = {key: value for key, value in body.items() if key not in ("initializer", "dtype")}
    check_keys(source, raw, ("digest",), f"argument of {COMPUTED}", *where)
    for digest in raw.values():
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{32}", digest):
            raise source.error(
                f"{shown(name)}: digest is {shown(digest)}, not 32 hexadecimal digits", *where
            )
    return Entry(name, shape, dtype, COMPUTED, raw, not_here)


_INITIALIZERS = (*_table.INITIALIZERS, *_table.ALIASES, *words.RULES)


def not_here(target: Any, seed: int, stream: int, threads: int | None) -> None:
    """The rule of a tensor that a model's own code computes, if only its spec is available."""
    raise ValueError(
        "a tensor with the initializer 'computed' is computed by the model's own code; give the "
        "model's config.json in place of a spec"
    )
