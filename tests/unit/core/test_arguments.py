"""Absurd arguments to every public function raise an error of the right class that names the
argument in at most 400 characters; none of Python's own errors gets through.
"""

import inspect
import re

import numpy as np
import pytest

import fastinit as fi
from fastinit import _table

HUGE = 10**5000  # more digits than Python prints
LONG = {"text": "x" * 10_000_000, "surrogates": "\ud800" * 1000, "bytes": b"x" * 10_000_000}
NAMES = sorted(_table.INITIALIZERS)
SHAPES = {"dirac": (4, 4, 3), "delta_orthogonal": (3, 3, 4, 4), "icnr": (8, 2, 3, 3)}


def refused(call, argument):
    """The call ends well, or in an error as it should be."""
    try:
        call()
    except (TypeError, ValueError, OverflowError) as error:
        assert type(error).__name__ in ("TypeError", "ValueError", "SpecError"), repr(error)[:200]
        text = str(error)
        # "known are" begins the list of all initializers.
        assert len(text.split("; known are")[0]) <= 400 and "Exceeds the limit" not in text, text[
            :500
        ]
        # An earlier error is as good: one about the shape, or about a missing argument.
        assert re.search(rf"{argument}|shape|missing|in_axis|give one of|path", text), text
        return text
    return None


def arguments(name):
    return [
        one
        for one in inspect.signature(_table.INITIALIZERS[name]).parameters.values()
        if one.name not in ("out", "dtype")
    ]


CASES = [(name, one.name) for name in NAMES for one in arguments(name)]


@pytest.mark.parametrize("value", [HUGE, -HUGE], ids=["huge", "-huge"])
@pytest.mark.parametrize(("name", "argument"), CASES)
def test_integers_of_5000_digits_are_refused_with_a_short_message(name, argument, value):
    function = _table.INITIALIZERS[name]
    given = {"shape": SHAPES.get(name, (4, 4)), argument: value}
    refused(lambda: function(**given), argument)
    if argument in ("shape", "region"):
        refused(lambda: function(**{**given, argument: (value, 4)}), argument)


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
@pytest.mark.parametrize("argument", ["name", "dtype", "shape", "seed", "threads", "region", "out"])
def test_names_of_10_mb_and_surrogates_are_accepted_or_refused_with_a_short_message(
    argument, value
):
    text = refused(lambda: fi.normal(**{"shape": (2, 2), argument: value}), argument)
    assert text or argument == "name"


@pytest.mark.parametrize("value", [HUGE, *LONG.values(), 3.5, None], ids=range(6))
def test_an_error_of_fill_names_the_entry_and_stays_short(value):
    buffer = np.zeros((2, 2), np.float32)
    for entry in (
        (buffer, value),
        (buffer, "normal", {"std": value}),
        (buffer, "normal", {value: 1}),
        (buffer, "normal", {}, value),
        (buffer, "normal", {}, "w", value),
        (buffer, "normal", {}, "w", None, value),
        (value, "normal"),
    ):
        refused(lambda entry=entry: fi.fill([entry], seed=1), "entry")
    refused(lambda: fi.fill([(buffer, "normal")], seed=value), "seed")
    refused(lambda: fi.fill([(buffer, "normal")], threads=value), "threads")
    refused(lambda: fi.explain(value, (2, 2)), "initializer")
    refused(lambda: fi.explain("normal", value), "shape")
    refused(lambda: fi.fans(value), "shape")
