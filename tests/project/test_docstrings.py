"""Every public docstring has the house's form, and its example prints what it says, for the bits
are promised.
"""

import doctest
import inspect

import numpy as np
import pytest

import fastinit as fi

PUBLIC = sorted({getattr(fi, name).__name__ for name in fi.__all__ if callable(getattr(fi, name))})


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_print_what_they_say(name):
    function = getattr(fi, name)
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(function), {"fi": fi, "np": np}, name, None, 0
    )
    with np.printoptions():
        found = doctest.DocTestRunner(verbose=False).run(example)
    assert found.failed == 0
    assert found.attempted or name in ("Fans", "new_seed", "dense")


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_short_and_say_the_formula_first(name):
    text = inspect.getdoc(getattr(fi, name))
    assert len(text.splitlines()) <= 31
    assert text.split("\n\n")[0].endswith(".")


def test_no_example_is_skipped():
    for name in PUBLIC:
        assert "+SKIP" not in getattr(fi, name).__doc__
