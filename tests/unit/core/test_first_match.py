"""A rule whose every match an earlier rule takes is found, with the rule that takes it."""

import pytest

from fastinit._core.first_match import unused


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
