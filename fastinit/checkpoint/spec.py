"""A model's spec: which tensors, of which shapes, how each is drawn.  TOML, JSON or a mapping in;
resolved entries out.

    dtype = "float32"                              # of every tensor that nothing else gives one
    [constants]   layers = 12                      # names for expressions; may use those above them
    [repeat]      layer = "layers"                 # {layer} in a tensor's name: 0 … layers - 1;
                                                   # or [first, stop]
    [metadata]    license = "none"                 # strings, written to the file; format = "pt"
                                                   # unless given
    [config]      n_layer = "{layers}"             # config.json of a folder, as it is; text in
                                                   # braces is an expression
    [tensors]     "h.{layer}.w" = ["width", "3 * width"]
                  "head" = { shape = [8, 8], dtype = "bfloat16", initializer = "normal",
                             std = 0.02 }
                  "pad" = { shape = [9, 8], initializer = "normal", blocks = [
                            { start = [0, 0], size = [1, 8], value = 0 }] }
                                                   # then constants over boxes of it
    [[rules]]     match = "h.*.w"                  # fnmatch, or a list of them; the first rule that
                                                   # matches counts, and one that never does is an
                                                   # error
                  initializer = "normal"           # any name of _table.py, or of words.py for
                                                   # packed bits; then its own arguments
                  std = "0.02 / sqrt(2 * layers)"  # a number, text, or an expression
                                                   # (expressions.py)

Nothing is drawn or written here: see plan.py, then materialize.py.  The arguments' checks are the
initializers' own.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from .. import _table
from .._core import dtypes, fill, first_match, shapes
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.dtypes import CONSTANT, DType
from ..typing import Dtype, Write
from . import words
from .expressions import RESERVED, Number, evaluate
from .saved import Saved
from .source import Source, nearest

_KEYS = ("dtype", "constants", "repeat", "metadata", "config", "tensors", "rules")
_MOST_TENSORS = 1_000_000
COMPUTED = "computed"  # the initializer of what a model's own code computes


class Patched(NamedTuple):
    """A draw with constants over parts of it: (first, stop, bits) of flat indices, in order."""

    draw: Draw
    patches: tuple[tuple[int, int, Any], ...]


class Entry(NamedTuple):
    """One tensor, resolved: nothing in it is an expression, a pattern or an alias any more."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    initializer: str
    arguments: dict[str, Any]
    rule: Draw | Patched | Write  # what the initializer makes of them

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Spec(NamedTuple):
    """A resolved spec."""

    label: str  # the file or the preset that it came from
    entries: tuple[Entry, ...]
    metadata: dict[str, str]
    config: dict[str, Any] | None = None  # the content of config.json; it decides no tensor
    others: dict[str, bytes] = {}  # files that a folder has beside the weights, as they are
    tied: dict[str, str] = {}  # other names of tensors in a model's code, each with the entry's
    saved: Saved = {}  # names and shapes under which transformers saves them, where they differ

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
        content = {"metadata": self.metadata, "tensors": tensors}
        return json.dumps(
            content, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )


class _Rule(NamedTuple):
    number: int
    patterns: tuple[str, ...]
    body: dict[str, Any]


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
    _known(source, content, _KEYS, "key")
    for key, kind in (
        ("constants", dict),
        ("repeat", dict),
        ("metadata", dict),
        ("config", dict),
        ("tensors", dict),
        ("rules", list),
    ):
        if not isinstance(content.get(key, kind()), kind):
            raise source.error(
                f"{key!r} must be a {'list of tables' if kind is list else 'table'}", key
            )
    if dtype is None:
        default = _dtype(source, content.get("dtype", "float32"), "dtype")
    else:
        default = dtypes.resolve(dtype)
    constants = _constants(source)
    tensors = list(_expand(source, content, constants))
    if not tensors:
        raise source.error(
            "the spec has no tensors; add a table 'tensors' of names and shapes", "tensors"
        )
    rules = [_rule(source, number, body) for number, body in enumerate(_rules(source))]
    entries = _resolve(source, tensors, rules, default)
    config = None
    if "config" in content:
        config = _config(source, content["config"], constants)
        config.setdefault("torch_dtype", default.name)
    return Spec(source.label, entries, _metadata(source, content.get("metadata", {})), config)


# ---------------------------------------------------------------------------------------- the parts


def _known(
    source: Source, table: Mapping[str, Any], keys: Iterable[str], what: str, *where: Any
) -> None:
    for key in table:
        if key not in keys:
            hint = nearest(key, keys) or f"; allowed are {', '.join(keys)}"
            raise source.error(f"unknown {what} {shown(key)}{hint}", *where, key)


def _check_name(source: Source, name: str, table: str) -> None:
    if not (name.isidentifier() and name.isascii()) or name in RESERVED:
        reserved = ", ".join(sorted(RESERVED))
        raise source.error(
            f"{shown(name)} must be a plain name of letters, digits and _ (not {reserved})",
            table,
            name,
        )


def _number(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> Number:
    """A number or an expression."""
    if isinstance(value, str):
        try:
            return evaluate(value, names)
        except LookupError as error:
            unknown = error.args[0]
            raise source.error(
                f"unknown name {shown(unknown)} in {shown(value)}{nearest(unknown, names)}", *where
            ) from None
        except ValueError as error:
            raise source.error(str(error), *where) from None
    if type(value) not in (int, float):
        raise source.error(
            f"{shown(value)} is neither a number nor an expression in quotes", *where
        )
    return value  # type: ignore[no-any-return]


def _whole(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> int:
    number = _number(source, value, names, *where)
    if type(number) is not int:
        raise source.error(
            f"{shown(value)} gives {shown(number)}, which is not a whole number (// divides whole "
            "numbers)",
            *where,
        )
    if number < 0:
        raise source.error(f"{shown(value)} gives {shown(number)}; it must be at least 0", *where)
    if number >= 1 << 63:
        raise source.error(
            f"{shown(value)} gives {shown(number)}, more than any tensor can have", *where
        )
    return number


def _dtype(source: Source, dtype: Any, *where: Any) -> DType:
    try:
        if not isinstance(dtype, str):
            raise ValueError(f"dtype must be a name in quotes, not {shown(dtype)}")
        return dtypes.by_name(dtype)
    except (ValueError, TypeError) as error:
        raise source.error(str(error), *where) from None


def _constants(source: Source) -> dict[str, Number]:
    table = source.content.get("constants", {})
    if not isinstance(table, dict):
        raise source.error("'constants' must be a table", "constants")
    constants: dict[str, Number] = {}
    for name, value in table.items():
        _check_name(source, name, "constants")
        constants[name] = _number(source, value, constants, "constants", name)
    return constants


def _rules(source: Source) -> list[Any]:
    rules = source.content.get("rules", [])
    if not isinstance(rules, list):
        raise source.error("'rules' must be a list of tables", "rules")
    return rules


def _check_matches(
    source: Source, rule: _Rule, matches: Mapping[str, list[str]], names: Iterable[str]
) -> None:
    for pattern, found in matches.items():
        if not found:
            likely = _likely(pattern, list(itertools.islice(names, 2000)))
            raise source.error(f"{shown(pattern)} matches no tensor{likely}", rule.number, pattern)


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
    return {"format": "pt", **table}  # without a format transformers refuses the file


def _config(source: Source, table: Any, constants: Mapping[str, Number]) -> Any:
    """The content of config.json: text in braces is an expression over the constants."""
    if isinstance(table, dict):
        return {key: _config(source, value, constants) for key, value in table.items()}
    if isinstance(table, list):
        return [_config(source, value, constants) for value in table]
    if isinstance(table, str) and table[:1] == "{" and table[-1:] == "}":
        return _number(source, table[1:-1], constants, "config", table)
    if table is not None and not isinstance(table, (str, bool, int, float)):
        raise source.error(f"{shown(table)} has no form in JSON", "config")
    return table


# -------------------------------------------------------------------------------------- the tensors

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def _ranges(
    source: Source, table: Mapping[str, Any], constants: Mapping[str, Number]
) -> dict[str, range]:
    ranges = {}
    for name, value in table.items():
        _check_name(source, name, "repeat")
        if name in constants:
            raise source.error(
                f"{name!r} is both a constant and an index of 'repeat'; rename one", "repeat", name
            )
        ends = value if isinstance(value, list) else [0, value]
        if len(ends) != 2:
            raise source.error(f"repeat {name!r} must be a count, or [first, stop]", "repeat", name)
        first, stop = (_whole(source, end, constants, "repeat", name) for end in ends)
        ranges[name] = range(first, stop)
    return ranges


class _Tensor(NamedTuple):
    name: str
    template: str  # the name as it is written
    value: Any  # its value in the spec
    names: dict[str, Number]  # for expressions


def _expand(
    source: Source, content: Mapping[str, Any], constants: Mapping[str, Number]
) -> Iterator[_Tensor]:
    """Every tensor, the repeated ones once for each index."""
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
            local = dict(zip(indices, numbers, strict=True))
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
            yield _Tensor(name, template, value, {**constants, **local})
    for index in unused:
        raise source.error(f"no tensor's name holds {{{index}}}", "repeat", index)


def _filled(numbers: Mapping[str, int], braces: re.Match[str]) -> str:
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
    return tuple(_whole(source, item, names, *where) for item in value)


# ---------------------------------------------------------------------------------------- the rules


def _rule(source: Source, number: int, body: Any) -> _Rule:
    if not isinstance(body, dict):
        raise source.error("each of 'rules' must be a table", "rules")
    patterns = body.get("match")
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if (
        not isinstance(patterns, list)
        or not patterns
        or not all(isinstance(pattern, str) for pattern in patterns)
    ):
        raise source.error('a rule needs match = "pattern" or a list of patterns', number)
    if "initializer" not in body:
        hint = next(
            (nearest(key, ("initializer",)) for key in body if nearest(key, ("initializer",))), ""
        )
        raise source.error(f"the rule for {shown(patterns[0])} has no initializer{hint}", number)
    rest = {key: value for key, value in body.items() if key != "match"}
    return _Rule(number, tuple(patterns), rest)


def _matches(patterns: Iterable[str], names: Mapping[str, None]) -> dict[str, list[str]]:
    """The names that each pattern matches.  A pattern without wildcards is looked up, so that a
    rule for each of many tensors takes no quadratic time.
    """
    found = {}
    for pattern in patterns:
        if _WILDCARD.search(pattern):
            match = re.compile(fnmatch.translate(pattern)).match
            found[pattern] = [name for name in names if match(name)]
        else:
            found[pattern] = [pattern] if pattern in names else []
    return found


_WILDCARD = re.compile(r"[*?\[]")


def _resolve(
    source: Source, tensors: list[_Tensor], rules: list[_Rule], default: DType
) -> tuple[Entry, ...]:
    without = {  # tensors that have no initializer of their own
        tensor.name: None
        for tensor in tensors
        if not (isinstance(tensor.value, dict) and "initializer" in tensor.value)
    }
    names = {tensor.name: None for tensor in tensors}
    first: dict[str, _Rule] = {}
    found_by: list[tuple[_Rule, dict[str, list[str]]]] = []
    matches: dict[int, dict[str, None]] = {}
    for rule in rules:
        by_pattern = _matches(rule.patterns, names)
        found_by.append((rule, by_pattern))
        matched = (name for found in by_pattern.values() for name in found if name in without)
        matches[rule.number] = dict.fromkeys(matched)
        for name in matches[rule.number]:
            first.setdefault(name, rule)
    known: dict[str, Any] = {}
    entries = []
    for tensor in tensors:
        at_tensor: tuple[Any, ...] = ("tensors", tensor.template)
        own = dict(tensor.value) if isinstance(tensor.value, dict) else {"shape": tensor.value}
        shape = _shape(source, own.pop("shape"), tensor.names, tensor.template)
        if "initializer" in own:
            body, where = own, at_tensor
        else:
            _known(source, own, ("dtype",), "key (without an initializer of its own)", *at_tensor)
            if tensor.name not in first:
                raise source.error(
                    f"no rule matches {shown(tensor.name)}; add one, or give it an initializer",
                    *at_tensor,
                )
            body, where = first[tensor.name].body, (first[tensor.name].number,)
        dtype = default
        for table, place in ((own, at_tensor), (body, where)):
            if "dtype" in table:
                dtype = _dtype(source, table["dtype"], *place, "dtype")
                break
        try:
            shapes.count(shape, dtype)
        except ValueError as error:
            raise source.error(f"{shown(tensor.name)}: {error}", *at_tensor) from None
        entries.append(_entry(source, tensor, shape, dtype, body, where, known))
    for rule, by_pattern in found_by:
        _check_matches(source, rule, by_pattern, names)
    _check_used(source, rules, matches)
    return tuple(entries)


def override(spec: Spec, source: Source) -> Spec:
    """Draw what a recipe's rules match as they say: a recipe has the keys constants and rules of a
    spec, and its first rule that matches a tensor counts.
    """
    _known(source, source.content, ("constants", "rules"), "key of a recipe")
    constants = _constants(source)
    names = {entry.name: None for entry in spec.entries}
    rules = [_rule(source, number, body) for number, body in enumerate(_rules(source))]
    if not rules:
        raise source.error("the recipe has no rules")
    first: dict[str, _Rule] = {}
    matches: dict[int, dict[str, None]] = {}
    for rule in rules:
        by_pattern = _matches(rule.patterns, names)
        _check_matches(source, rule, by_pattern, names)
        matched = (name for found in by_pattern.values() for name in found)
        matches[rule.number] = dict.fromkeys(matched)
        for name in matches[rule.number]:
            first.setdefault(name, rule)
    _check_used(source, rules, matches)
    known: dict[str, Any] = {}
    entries = []
    for entry in spec.entries:
        if entry.name in first:
            rule = first[entry.name]
            dtype, where = entry.dtype, (rule.number,)
            if "dtype" in rule.body:
                dtype = _dtype(source, rule.body["dtype"], *where, "dtype")
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
        return Entry(tensor.name, shape, dtype, given, {}, not_here)
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
    _known(source, raw, parameters, f"argument of {given}", *where)
    arguments = {
        key: _argument(source, value, tensor.names, *where, key) for key, value in raw.items()
    }
    key = repr((initializer, shape, dtype.name, sorted(arguments.items())))
    if key not in known:  # a model has many tensors of few kinds
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
        blocks = _blocks(source, body["blocks"], shape, tensor.names, *where)
        rule = block_rule(rule, shape, dtype, blocks)
        if rule is None:
            raise source.error(
                f"{shown(tensor.name)}: blocks are for an initializer that draws each value alone, "
                f"and at most {_MOST_PATCHES} rows of them",
                *where,
                "blocks",
            )
        arguments = {**arguments, "blocks": blocks}
    return Entry(tensor.name, shape, dtype, initializer, arguments, rule)


_INITIALIZERS = (*_table.INITIALIZERS, *_table.ALIASES, *words.RULES)


def not_here(target: Any, seed: int, stream: int, threads: int | None) -> None:
    """The rule of a tensor that a model's own code computes, where there is only its spec."""
    raise ValueError(
        "a tensor with the initializer 'computed' is computed by the model's own code; give the "
        "model's config.json in place of a spec"
    )


def _blocks(
    source: Source, blocks: Any, shape: tuple[int, ...], names: Mapping[str, Number], *where: Any
) -> list[dict[str, Any]]:
    """Blocks with numbers in the places of expressions, each within the shape."""
    found = []
    for block in blocks if isinstance(blocks, list) else [None]:
        if not isinstance(block, dict) or block.keys() != {"start", "size", "value"}:
            raise source.error(
                "blocks must be a list of tables {start = […], size = […], value = …}",
                *where,
                "blocks",
            )
        start, size = (
            [_whole(source, item, names, *where, "blocks") for item in block[key]]
            if isinstance(block[key], list)
            else []
            for key in ("start", "size")
        )
        inside = len(start) == len(size) == len(shape) and all(
            first + count <= whole for first, count, whole in zip(start, size, shape, strict=True)
        )
        if not inside:
            raise source.error(
                f"a block of size {shown(size)} at {shown(start)} is not within shape {shape}",
                *where,
                "blocks",
            )
        value = _argument(source, block["value"], names, *where, "blocks")
        found.append({"start": start, "size": size, "value": value})
    return found


_MOST_PATCHES = 4096


def block_rule(
    rule: Draw | Write, shape: tuple[int, ...], dtype: DType, blocks: list[dict[str, Any]]
) -> Patched | None:
    """The rule with constant blocks over it, None where that cannot be drawn value by value."""
    if not isinstance(rule, Draw):
        return None
    patches: list[tuple[int, int, Any]] = []
    for block in blocks:
        start, size = block["start"], block["size"]
        constant = _table.RULES[_table.INITIALIZERS["constant"]]
        filled = fill.decide(constant, shape, dtype, {"value": block["value"]})
        bits = filled.parameters[0]  # type: ignore[union-attr]  # constant gives a Draw
        # Axes after the last one that is not whole are one run of indices.
        partial = [axis for axis, whole in enumerate(shape) if size[axis] != whole]
        outer = partial[-1] if partial else 0
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        if math.prod(size[:outer]) + len(patches) > _MOST_PATCHES:
            return None
        length = size[outer] * strides[outer] if shape else 1
        for index in itertools.product(
            *(
                range(first, first + count)
                for first, count in zip(start[:outer], size[:outer], strict=True)
            )
        ):
            place = (*index, *start[outer : outer + 1])
            first = sum(one * stride for one, stride in zip(place, strides, strict=False))
            patches.append((first, first + length, bits))
    return Patched(rule, tuple(patches))


def _argument(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> Any:
    """An argument's value: text that is one plain word and names no constant is text, such as mode
    = "fan_out".
    """
    if isinstance(value, list):
        return tuple(_argument(source, item, names, *where) for item in value)
    if isinstance(value, str) and value.isidentifier() and value not in names and value != "inf":
        return value
    return value if isinstance(value, bool) else _number(source, value, names, *where)


def _check_used(source: Source, rules: list[_Rule], matches: Mapping[int, Collection[str]]) -> None:
    for rule in rules:
        if not matches[rule.number]:
            raise source.error(
                f"the rule for {shown(rule.patterns[0])} is never used: each tensor that it "
                "matches has an initializer of its own",
                rule.number,
            )
    found = first_match.unused(matches)
    if found is not None:
        unused, taker = (rules[number] for number in found)
        raise source.error(
            f"the rule for {shown(unused.patterns[0])} is never used: rules above it, such as the "
            f"one for {shown(taker.patterns[0])}, take each tensor that it matches, and the first "
            "rule that matches counts",
            unused.number,
        )


def _likely(pattern: str, names: list[str]) -> str:
    """The name that was likely meant: the literal part of a pattern, compared with that end of each
    name.
    """
    literal = pattern.strip("*")[:200]  # the comparison takes quadratic time
    length = max(len(literal), 1)
    parts: dict[str, str] = {}
    for name in names:
        part = (
            name
            if pattern == literal
            else name[-length:]
            if pattern.startswith("*")
            else name[:length]
        )
        parts.setdefault(part, name)
    from difflib import get_close_matches  # only on the way to an error

    found = get_close_matches(literal, parts, 1, 0.5)
    return f"; the nearest is {shown(parts[found[0]])}" if found else ""
