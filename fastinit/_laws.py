"""Laws: how the values of a tensor are distributed, in numbers that torch, JAX and Keras share.

law() applies an initializer's rule in float64, so that its numbers are not rounded to a dtype.
fold() joins tensors whose names differ only in a number into one line.  This module draws nothing
and reads no file: inspection/laws.py reads files, and the framework adapters find the initializers
in a model's code.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from . import _table
from ._core.arguments import shown
from ._core.draws import Draw
from ._core.dtypes import (
    CONSTANT,
    FLOAT64,
    NORMAL,
    UNIFORM,
    decode,
    largest_below,
    smallest_above,
)
from ._core.tables import Rows, Table
from .fans import fans
from .typing import Sizes

UNKNOWN = "unknown"
TIED = "tied"  # the tensor shares the storage of another name, so nothing is drawn for it
AXES = ("layout", "in_axis", "out_axis", "batch_axis", "groups")


class Law(NamedTuple):
    """How the values of one tensor, or of each tensor of a group, are distributed.

    Attributes
    ----------
    name : str
        The tensor's name; for a group, a pattern in which ``{0..11}`` stands for each number.
    tensors : int
        How many tensors of this name there are.
    shape : tuple of int
        The shape of each of them.
    law : str
        "constant", "uniform", "normal", "truncated_normal"; "tied" for another name of a tensor;
        "unknown"; else the name of the initializer that makes a pattern, such as "orthogonal".
    mean, std : float or None
        Mean and std of the values, after any truncation; None where they are not known.
    low, high : float or None
        The bounds; None where there is none.
    sigma, center : float or None
        Std and mean of a truncated normal before the truncation; `center` only where it is not the
        mean.
    zeros : float or None
        The share of zeros of a sparse matrix.
    fan_in, fan_out : int or None
        The fans, where the law depends on one.
    blocks : tuple of dict
        Boxes {start, size, value} that hold a constant instead of a draw.
    rule : str
        Where the law comes from: the initializer and its arguments, or why it is not known.
    note : str
        Anything unusual about it.
    saved : tuple of (str, shape)
        The names and shapes under which transformers saves it in parts or by another name: patterns
        in which ``{}`` stands for the numbers of `name`, in their order.
    """

    name: str
    tensors: int
    shape: Sizes
    law: str
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    sigma: float | None = None
    center: float | None = None
    zeros: float | None = None
    fan_in: int | None = None
    fan_out: int | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    rule: str = ""
    note: str = ""
    saved: tuple[tuple[str, Sizes], ...] = ()

    @property
    def random(self) -> bool:
        """Whether the values are random, so that the tensor needs a draw."""
        return bool(self.std)

    def numbers(self) -> str:
        """A short text: the law's name and its numbers."""
        parts = [self.law]
        if self.law == "constant":
            return f"constant {self.mean:.7g}"
        for what in ("mean", "std", "low", "high", "sigma", "center", "zeros"):
            value = getattr(self, what)
            if value is not None:
                parts.append(f"{what} {value:.7g}")
        if self.blocks:
            parts.append(f"{len(self.blocks)} constant blocks")
        return ", ".join(parts)


def unknown(name: str, shape: Sizes, why: str) -> Law:
    """The law of a tensor about which nothing is known, with the reason in `rule`."""
    return Law(name, 1, tuple(shape), UNKNOWN, rule=why)


def law(name: str, shape: Sizes, initializer: str, arguments: Mapping[str, Any]) -> Law:
    """The law of the values that an initializer gives a tensor.

    Parameters
    ----------
    name : str
        Of the tensor.
    shape : tuple of int
        Of the whole tensor.
    initializer : str
        Name or alias of an initializer.
    arguments : mapping
        The initializer's own arguments, and `blocks` of a spec.

    Returns
    -------
    Law
        With numbers if the initializer has a distribution, else with the initializer's name.

    Examples
    --------
    >>> law("w", (64, 32), "he_normal", {}).numbers()
    'normal, mean 0, std 0.25'
    """
    function = _table.lookup(initializer)
    own = {key: value for key, value in arguments.items() if key != "blocks"}
    blocks = tuple(arguments.get("blocks", ()))
    text = ", ".join(f"{key}={value!r}" for key, value in own.items())
    rule = f"{function.__name__}({text})"
    shape = tuple(shape)
    found = _of_rule(function.__name__, shape, _hashable(own))
    return found._replace(name=name, blocks=blocks, rule=rule)


def _hashable(own: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (key, tuple(value) if isinstance(value, list) else value) for key, value in own.items()
    )


@functools.lru_cache(maxsize=4096)
def _of_rule(initializer: str, shape: Sizes, arguments: tuple[tuple[str, Any], ...]) -> Law:
    function, own = _table.lookup(initializer), dict(arguments)
    known = _table.own_parameters(function)
    draw = _table.RULES[function](shape, FLOAT64, **own)
    if isinstance(draw, Draw):
        found = _of_draw(shape, draw)
    else:
        used = {**known, **own}
        found = Law("", 1, shape, initializer)._replace(**_moments(initializer, shape, used))
    if "in_axis" in known and 0 not in shape and own.get("fan_in") is None:
        axes = {key: own[key] for key in AXES if key in own}
        counted = fans(shape, **axes)
        found = found._replace(fan_in=counted.fan_in, fan_out=counted.fan_out)
    return found


def _of_draw(shape: Sizes, draw: Draw) -> Law:
    """The law of an elementwise float64 draw; its parameters are the user's doubles, unrounded."""
    numbers = draw.numbers()
    if draw.draw == CONSTANT:
        value = decode(numbers["bits"], FLOAT64)
        return constant("", shape, value)
    if draw.draw == UNIFORM:
        return uniform("", shape, numbers["low"], smallest_above(numbers["highest"], FLOAT64))
    if draw.draw == NORMAL:
        return Law("", 1, shape, "normal", numbers["mean"], numbers["std"])
    return truncated(
        "",
        shape,
        numbers["mean"],
        numbers["std"],
        largest_below(numbers["lowest"], FLOAT64),
        smallest_above(numbers["highest"], FLOAT64),
    )


def constant(name: str, shape: Sizes, value: float) -> Law:
    """One value everywhere."""
    return Law(name, 1, shape, "constant", float(value), 0.0, float(value), float(value))


def uniform(name: str, shape: Sizes, low: float, high: float) -> Law:
    """Uniform in [low, high)."""
    std = (high - low) / math.sqrt(12.0)
    # Exactly 0 for symmetric bounds, even if they differ in the last bit.
    mean = 0.5 * (low + high) if abs(low + high) > 1e-12 * (high - low) else 0.0
    return Law(name, 1, shape, "uniform", mean, std, low, high)


# A bound at least this many sigma away has no effect: no float32 draw reaches that far.
_NO_CUT = 10.0


def truncated(name: str, shape: Sizes, center: float, sigma: float, low: float, high: float) -> Law:
    """A normal with this center and sigma, truncated to the bounds; one bound may be infinite."""
    mean, std, _ = truncated_moments((low - center) / sigma, (high - center) / sigma)
    near = min(center - low, high - center) / sigma
    return Law(
        name,
        1,
        shape,
        "truncated_normal",
        center + sigma * mean,
        sigma * std,
        low if math.isfinite(low) else None,
        high if math.isfinite(high) else None,
        sigma,
        None if abs(mean) < 1e-12 else center,
        note=f"its bounds lie {near:.3g} sigma away, so nothing is truncated"
        if near > _NO_CUT
        else "",
    )


@functools.lru_cache(maxsize=4096)
def truncated_moments(alpha: float, beta: float) -> tuple[float, float, float]:
    """Mean, std and kurtosis of a standard normal truncated to [alpha, beta], by Simpson's rule."""
    near = max(alpha, 0.0) if alpha > 0.0 else min(beta, 0.0)
    # Beyond 11 the density is below 1e-25 of its value at the point nearest to zero.
    low, high = max(alpha, near - 11.0), min(beta, near + 11.0)
    steps = 2048
    width = (high - low) / steps
    points = [low + width * step for step in range(steps + 1)]
    weights = [
        math.exp(0.5 * (near - z) * (near + z))
        * (1.0 if end in (0, steps) else 2.0 + 2.0 * (end % 2))
        for end, z in enumerate(points)
    ]
    area = math.fsum(weights)
    mean = math.fsum(w * z for w, z in zip(weights, points, strict=True)) / area
    second = math.fsum(w * (z - mean) ** 2 for w, z in zip(weights, points, strict=True)) / area
    fourth = math.fsum(w * (z - mean) ** 4 for w, z in zip(weights, points, strict=True)) / area
    mean = 0.0 if alpha == -beta else mean
    return mean, math.sqrt(second), fourth / (second * second)


def _moments(initializer: str, shape: Sizes, used: Mapping[str, Any]) -> dict[str, Any]:
    """Mean, std and share of zeros of orthogonal and sparse matrices; empty for other patterns."""
    if initializer == "orthogonal" and 0 not in shape:
        # The mean square of a matrix with orthonormal rows or columns is 1 / (its longer side).
        counted = fans(shape, layout=used.get("layout", "oi")) if len(shape) == 2 else None
        if counted is not None:
            return {"mean": 0.0, "std": abs(used["gain"]) / math.sqrt(max(shape))}
    if initializer == "sparse" and 0 not in shape:
        places = shape[0] if used["per"] == "column" else shape[1]
        kept = used["n_nonzero"]
        if used["sparsity"] is not None:
            kept = places - math.ceil(used["sparsity"] * places)
        share = kept / places
        return {"mean": 0.0, "std": used["std"] * math.sqrt(share), "zeros": 1.0 - share}
    return {}


# ------------------------------------------------------------------------------------------ folding

_NUMBER = re.compile(r"(?<![^./])(?:0|[1-9][0-9]{0,8})(?![^./])")  # a part of a name
_Numbers = tuple[tuple[int, ...], ...]


def fold(laws: Iterable[Law]) -> list[Law]:
    """One law for each group of tensors that differ only in numbers in their names, sorted.

    The given laws are those of single tensors, with their plain names.

    Examples
    --------
    >>> one = law("h.0.w", (4, 4), "he_normal", {})
    >>> [group.name for group in fold([one, one._replace(name="h.1.w")])]
    ['h.{0,1}.w']
    """
    alike: dict[str, tuple[Law, list[str]]] = {}
    for one in laws:
        key = repr(one._replace(name="", tensors=1))
        alike.setdefault(key, (one, []))[1].append(one.name)
    found = [
        one._replace(name=pattern, tensors=count)
        for one, names in alike.values()
        for pattern, count in patterns(names)
    ]
    return Rows(sorted(found, key=lambda one: natural(one.name)), table)


def patterns(names: Iterable[str]) -> list[tuple[str, int]]:
    """Merge names that differ only in numbers into patterns, each with its number of names.

    names() expands a pattern.

    Examples
    --------
    >>> patterns(["h.0.w", "h.1.w", "h.2.w", "norm"])
    [('h.{0..2}.w', 3), ('norm', 1)]
    """
    groups: dict[str, list[_Numbers]] = {}
    for name in names:
        numbers = tuple((int(text),) for text in _NUMBER.findall(name))
        groups.setdefault(_NUMBER.sub("\0", name), []).append(numbers)
    found = []
    for template, members in groups.items():
        parts = [part.replace("{", "{{").replace("}", "}}") for part in template.split("\0")]
        for box in _boxes(members):
            pattern = parts[0] + "".join(
                _runs(axis) + part for axis, part in zip(box, parts[1:], strict=True)
            )
            found.append((pattern, math.prod(map(len, box))))
    return found


def table(laws: Sequence[Law]) -> Table:
    """Laws as text."""
    rows = [(one.name, str(one.tensors), str(one.shape), _words(one)) for one in laws]
    summary = f"{sum(one.tensors for one in laws)} tensors, {len(laws)} laws"
    return Table("", ("tensor", "tensors", "shape", "law"), rows, [summary])


def _words(one: Law) -> str:
    return one.rule if one.law in (UNKNOWN, TIED) else one.numbers()


def with_saved(one: Law, saved: Mapping[str, Sizes]) -> Law:
    """The law of a single tensor with the names and shapes under which it is saved.

    Examples
    --------
    >>> one = law("h.3.experts", (2, 4, 4), "he_normal", {})
    >>> with_saved(one, {"h.3.expert.0": (4, 4), "h.3.expert.1": (4, 4)}).saved
    (('h.{}.expert.{0,1}', (4, 4)),)
    """
    by_shape: dict[Sizes, list[str]] = {}
    for name, shape in saved.items():
        by_shape.setdefault(shape, []).append(name)
    found = []
    for shape, alike in by_shape.items():
        for pattern, _ in patterns(alike):
            numbers = _NUMBER.findall(one.name)
            parts, at = [], 0
            for match in _NUMBER.finditer(pattern):
                if numbers and match.group() == numbers[0]:
                    parts += [pattern[at : match.start()], "{}"]
                    at, numbers = match.end(), numbers[1:]
            found.append(("".join([*parts, pattern[at:]]), shape))
    return one._replace(saved=tuple(found))


def saved_as(one: Law) -> dict[str, Sizes]:
    """The names and shapes under which the tensor of a law is saved, where they are others."""
    found: dict[str, Sizes] = {}
    for pattern, shape in one.saved:
        numbers = iter(_NUMBER.findall(one.name))
        filled = _OWN.sub(lambda _, numbers=numbers: next(numbers, ""), pattern)  # type: ignore[misc]
        found |= dict.fromkeys(names(filled), tuple(shape))
    return found


_OWN = re.compile(r"(?<!\{)\{\}(?!\})")  # {}: replaced by a number from the law's name


def _boxes(members: list[_Numbers]) -> list[_Numbers]:
    """The members merged into a small number of Cartesian products of sets of numbers."""
    boxes = members
    for axis in reversed(range(len(members[0]))):
        merged: dict[Any, set[int]] = {}
        for box in boxes:
            merged.setdefault((box[:axis], box[axis + 1 :]), set()).update(box[axis])
        boxes = [(*before, tuple(sorted(of)), *after) for (before, after), of in merged.items()]
    return boxes


def _runs(numbers: tuple[int, ...]) -> str:
    """One number as it is; several in braces, where a run of three or more becomes first..last."""
    if len(numbers) == 1:
        return str(numbers[0])
    texts = []
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        row = [number for _, number in run]
        texts += [f"{row[0]}..{row[-1]}"] if len(row) > 2 else [str(number) for number in row]
    return "{" + ",".join(texts) + "}"


_BRACES = re.compile(r"\{\{|\}\}|\{([0-9]+(?:\.\.[0-9]+)?(?:,[0-9]+(?:\.\.[0-9]+)?)*)\}|[{}]")
_MOST_NAMES = 1_000_000
_DIGITS = 18


def names(pattern: str) -> Iterator[str]:
    """The names that a group's pattern stands for.

    Raises
    ------
    ValueError
        Braces that hold no numbers, or more than a million names.

    Examples
    --------
    >>> list(names("h.{0..2,7}.w"))
    ['h.0.w', 'h.1.w', 'h.2.w', 'h.7.w']
    """
    parts: list[list[str]] = []
    at = count = 0
    for match in _BRACES.finditer(pattern):
        parts.append([pattern[at : match.start()]])
        at = match.end()
        text = match.group()
        if text in ("{", "}"):
            raise ValueError(
                f"{shown(pattern)} has a single {text!r}; braces hold numbers, such as {{0..11}}; "
                "write a literal brace twice"
            )
        if match.group(1) is None:
            parts.append([text[0]])
            continue
        numbers: list[str] = []
        for run in match.group(1).split(","):
            first, _, last = run.partition("..")
            if max(len(first), len(last)) > _DIGITS:
                raise ValueError(f"{shown(pattern)} holds a number of more than {_DIGITS} digits")
            ends = int(first), int(last or first)
            if ends[1] - ends[0] + len(numbers) >= _MOST_NAMES:
                raise ValueError(f"{shown(pattern)} stands for more than {_MOST_NAMES} names")
            numbers += map(str, range(ends[0], ends[1] + 1))
        parts.append(numbers)
    parts.append([pattern[at:]])
    count = math.prod(map(len, parts))
    if count > _MOST_NAMES:
        raise ValueError(
            f"{shown(pattern)} stands for {shown(count)} names; at most {_MOST_NAMES} are read"
        )
    for words in itertools.product(*parts):
        yield "".join(words)


def natural(name: str) -> list[Any]:
    """A key that sorts h.2 before h.10."""
    return [
        (1, int(part), "") if part.isdigit() and len(part) < 10 else (0, 0, part)
        for part in re.split(r"([0-9]+)", name)
    ]
