"""Every argument of every public function with values that are wrong: a short error that names
it.
"""

import pytest
from wrong_values import check, functions

from fastinit import checkpoint, inspection

SPEC = {"tensors": {"w": [4, 4]}, "rules": [{"match": "*", "initializer": "normal"}]}
COMPARED = {"path": "FILE", "against": SPEC, "seed": 0, "threads": 1, "progress": None}
NONE = {"against": {"None"}, "seed": {"None"}, "threads": {"None"}, "progress": {"None", "a class"}}
EMPTY = {"[]", "{}", "a generator"}  # no laws
# Each function with good arguments, and the wrong values that an argument takes.
FUNCTIONS = {
    "audit": (COMPARED, {**NONE, "against": {"None", "[]"}}),
    "compare_laws": ({"one": SPEC, "two": SPEC}, {"one": {"[]"}, "two": {"[]"}}),
    # Its answer for what says no laws is that there are none.
    "declared_laws": (
        {"path": "FILE"},
        {"path": {"megabytes", "megabytes of bytes", "a surrogate", "NUL"}},
    ),
    "difference": ({"pairs": []}, {"pairs": EMPTY | {"''"}}),
    "drift": (COMPARED, NONE),
    "inspect_file": ({"path": "FILE", "threads": 1, "progress": None}, NONE),
    "laws": ({"source": SPEC}, {"source": {"[]"}}),
    "laws_by_name": ({"laws": inspection.laws(SPEC)}, {"laws": EMPTY}),
    "laws_json": ({"laws": inspection.laws(SPEC)}, {"laws": EMPTY}),
    "laws_toml": ({"laws": inspection.laws(SPEC)}, {"laws": EMPTY}),
    "tensors": ({"path": "FILE"}, {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspection")
    checkpoint.materialize(SPEC, folder / "model.safetensors", seed=0)
    return folder


def test_every_public_function_is_here():
    assert functions(inspection) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_values_are_refused_in_a_few_words_that_name_the_argument(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    function, (good, accepted) = getattr(inspection, name), FUNCTIONS[name]
    good = {**good, "path": "model.safetensors"} if "path" in good else good
    check(function, good, accepted, folder)
