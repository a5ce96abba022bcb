"""Names that a pattern matches; and a rule whose every match an earlier rule takes is found, with
the rule that takes it.
"""

from fnmatch import fnmatchcase

import pytest
from children import python

from fastinit._core.first_match import matching, unused


@pytest.mark.parametrize(
    ("matches", "found"),
    [
        ({}, None),
        ({"*": ["a", "b"]}, None),
        ({"*": ["a", "b"], "a": ["a"]}, ("a", "*")),
        ({"a": ["a"], "*": ["a", "b"]}, None),
        ({"a": ["a"], "b": ["b"], "*": ["b", "a"]}, ("*", "b")),  # by several together
        ({"none": [], "*": ["a"]}, None),  # what matches nothing is another mistake
        ({0: ["a"], 1: ["a", "b"], 2: ["b"]}, (2, 1)),
    ],
)
def test_a_rule_that_can_never_be_used_is_found(matches, found):
    assert unused(matches) == found


NAMES = ["h.0.w", "h.1.w", "h.1.b", "a[0]", "a]", "[", "x!y", "H.0.w", "", "line\nbreak"]


@pytest.mark.parametrize(
    "pattern",
    [
        *("*", "h.*", "*.w", "h.?.w", "h.[01].w", "h.[!0].w", "?", "", "h.0.w", "a[[]0]", "a[0]"),
        *(
            "[",
            "[[",
            "a]",
            "*]",
            "x[!]y",
            "[!]",
            "[]]",
            "*[",
            "h.*[wb",
            "[h",
            "*\n*",
            "l*[k]",
            "**",
        ),
    ],
)
def test_a_pattern_matches_the_names_that_fnmatch_matches(pattern):
    assert matching(pattern, NAMES) == [name for name in NAMES if fnmatchcase(name, pattern)]


def test_a_pattern_of_many_open_brackets_is_matched_at_once():
    """Python's fnmatch looks for the end of each of them: minutes for these (the child has two)."""
    run = python("""
        from fastinit._core.first_match import matching
        print([matching(text * 90_000 + "*", ["w"]) for text in ("[", "[!")])
    """)
    assert run.stdout.strip() == "[[], []]"
