"""Every argument of every public function with values that are wrong: a short error that names
it.
"""

import pytest
from wrong_values import check, functions

from fastinit import diagnostics

STACK = {"depth": 2, "width": 4, "batch": 2, "seed": 0}
# Each function with good arguments, and the wrong values that an argument takes.
FUNCTIONS = {
    "compare": (
        {"initializers": "he_normal", "activations": "relu", "stack": "plain", **STACK},
        {"seed": {"None"}},
    ),
    "train": (
        {
            "initializers": "he_normal",
            "inputs": [[-1.0, 0.5], [1.0, 0.5]],
            "labels": [0, 1],
            "rate": 0.1,
            "steps": 2,
            **STACK,
        },
        {"seed": {"None"}, "rate": {"0.5"}},
    ),
}


def test_every_public_function_is_here():
    assert functions(diagnostics) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_values_are_refused_in_a_few_words_that_name_the_argument(name, tmp_path):
    function, (good, accepted) = getattr(diagnostics, name), FUNCTIONS[name]
    check(function, good, accepted, tmp_path)
