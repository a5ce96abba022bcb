"""Rules by name pattern: the first rule that matches a name applies.  A rule is a mistake if
earlier rules take all its matches.

Specs (checkpoint/rules.py) and torch's recipes (torch/_rules.py) share this module.  It does not
know tensors or initializers.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

Rule = TypeVar("Rule", bound=Hashable)

_WILDCARD = re.compile(r"[*?\[]")


def matching(pattern: str, names: Collection[str]) -> list[str]:
    """Find the names that an fnmatch pattern matches, in their order.

    Parameters
    ----------
    pattern : str
        With the wildcards ``*``, ``?`` and ``[...]``; case counts.
    names : collection of str
        A mapping or a set if there are many patterns: one without wildcards is looked up.

    Returns
    -------
    list of str
        Empty if there is none.

    Examples
    --------
    >>> matching("h.*.w", ["h.0.w", "h.0.b", "h.1.w"])
    ['h.0.w', 'h.1.w']
    """
    if not _WILDCARD.search(pattern):
        return [pattern] if pattern in names else []
    # A bracket that nothing closes is a plain one.  fnmatch looks for the end of each, which takes
    # hours for a megabyte of them.
    closed = pattern.rfind("]") + 1
    escaped = pattern[:closed] + pattern[closed:].replace("[", "[[]")
    match = re.compile(fnmatch.translate(escaped)).match
    # Most patterns have a part that few names contain, and to look for it is quicker.
    part = max(re.split(r"[*?]|\[.*", pattern, flags=re.DOTALL), key=len)
    return [name for name in names if part in name and match(name)]


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
