"""Rules by name pattern: the first rule that matches a name applies.  A rule is a mistake if
earlier rules take all its matches.

Specs (checkpoint/rules.py) and torch's recipes (torch/_rules.py) share this module.  It does not
know tensors or initializers.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

Rule = TypeVar("Rule", bound=Hashable)


def unused(matches: Mapping[Rule, Collection[str]]) -> tuple[Rule, Rule] | None:
    """Find a rule that can never be used.

    Parameters
    ----------
    matches : Mapping
        The names that each rule matches, the rules in their order.

    Returns
    -------
    tuple or None
        The first rule that matches something and whose every match an earlier rule takes, and the
        earlier rule that takes its first match.
    """
    taken: dict[str, Rule] = {}
    for rule, names in matches.items():
        left = [name for name in names if name not in taken]
        if names and not left:
            return rule, taken[next(iter(names))]
        taken.update(dict.fromkeys(left, rule))
    return None
