"""Read the rules of a spec or recipe, match them with tensors, and detect rules that are never
used.

spec.py resolves the initializer that a rule gives a tensor.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from .._core import first_match
from .._core.arguments import shown
from .source import Source, nearest


class Rule(NamedTuple):
    number: int
    patterns: tuple[str, ...]
    body: dict[str, Any]


def read_rules(source: Source) -> list[Rule]:
    rules = source.content.get("rules", [])
    if not isinstance(rules, list):
        raise source.error("'rules' must be a list of tables", "rules")
    return [_rule(source, number, body) for number, body in enumerate(rules)]


def _rule(source: Source, number: int, body: Any) -> Rule:
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
    return Rule(number, tuple(patterns), rest)


class Matched(NamedTuple):
    """Which tensors the rules match."""

    first: dict[str, Rule]  # by tensor: the first rule that matches it
    tensors: dict[int, dict[str, None]]  # by rule number: the tensors that it may decide about
    patterns: dict[int, dict[str, list[str]]]  # by rule number: all names that each pattern matches


def match_rules(
    rules: Iterable[Rule], names: Mapping[str, None], ruled: Collection[str]
) -> Matched:
    """Match the rules with the names of all tensors.  They only decide about those in `ruled`."""
    found = Matched({}, {}, {})
    for rule in rules:
        patterns = {pattern: first_match.matching(pattern, names) for pattern in rule.patterns}
        found.patterns[rule.number] = patterns
        matching = (name for some in patterns.values() for name in some if name in ruled)
        found.tensors[rule.number] = dict.fromkeys(matching)
        for name in found.tensors[rule.number]:
            found.first.setdefault(name, rule)
    return found


def check_rules(source: Source, rules: list[Rule], matched: Matched, names: Iterable[str]) -> None:
    """Raise for a pattern that matches no tensor, and for a rule that is never used."""
    for rule in rules:
        for pattern, found in matched.patterns[rule.number].items():
            if not found:
                likely = _likely(pattern, list(itertools.islice(names, 2000)))
                raise source.error(
                    f"{shown(pattern)} matches no tensor{likely}", rule.number, pattern
                )
    for rule in rules:
        if not matched.tensors[rule.number]:
            raise source.error(
                f"the rule for {shown(rule.patterns[0])} is never used: each tensor that it "
                "matches has an initializer of its own",
                rule.number,
            )
    hidden = first_match.unused(matched.tensors)
    if hidden is not None:
        unused, taker = (rules[number] for number in hidden)
        raise source.error(
            f"the rule for {shown(unused.patterns[0])} is never used: rules above it, such as the "
            f"one for {shown(taker.patterns[0])}, take each tensor that it matches, and the first "
            "rule that matches counts",
            unused.number,
        )


def _likely(pattern: str, names: list[str]) -> str:
    """Suggest the name that was probably meant.

    A pattern without * at either end is compared with whole names.  Otherwise its literal part is
    compared with the end of each name if the pattern begins with *, else with the start.
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
    from difflib import get_close_matches  # imported only to report an error

    found = get_close_matches(literal, parts, 1, 0.5)
    return f"; the nearest is {shown(parts[found[0]])}" if found else ""
