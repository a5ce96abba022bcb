"""Every argument of every public function with values that are wrong: a short error that names it,
and nothing written.
"""

import pytest
from wrong_values import WRONG, check, functions

from fastinit import checkpoint

SPEC = {"tensors": {"w": [4, 4]}, "rules": [{"match": "*", "initializer": "normal"}]}
RECIPE = {"rules": [{"match": "*", "initializer": "zeros"}]}
ANY = set(WRONG)
# Each function with good arguments, and the wrong values that an argument takes.  A switch takes
# any value, and is_ours() any object.
DRAWN = {"seed": 0, "dtype": "float32", "threads": 1, "progress": None}
FUNCTIONS = {
    "describe": ({"spec": SPEC}, {}),
    "dummy": ({"source": SPEC, "dtype": "float32"}, {"dtype": {"None"}}),
    "files": ({"path": "FILE", "lenient": False}, {"lenient": ANY}),
    "is_folder": ({"path": "FILE"}, {"path": {"''"}}),
    "is_ours": ({"path": "FILE"}, {"path": ANY - {"megabytes", "a surrogate", "NUL"}}),
    "load": (
        {"spec": SPEC, "dtype": "float32", "recipe": RECIPE},
        {"dtype": {"None"}, "recipe": {"None"}},
    ),
    "materialize": (
        {
            "spec": SPEC,
            "path": "NEW",
            **DRAWN,
            "force": True,
            "resume": False,
            "shard_size": None,
            "rank": 0,
            "world_size": 1,
        },
        {
            "force": ANY - {"None", "''", "[]", "{}"},  # false, and the file is there by then
            "resume": ANY,
            "progress": {"None", "a class"},
            **{key: {"None"} for key in ("seed", "dtype", "threads", "shard_size")},
        },
    ),
    "plan": (
        {"spec": SPEC, "seed": 0, "dtype": "float32", "shard_size": 1000},
        {"seed": {"None"}, "dtype": {"None"}, "shard_size": {"None", "5,000 digits"}},
    ),
    "preset": ({"name": "gpt2"}, {}),
    "presets": ({}, {}),
    "rules": ({"spec": checkpoint.load(SPEC)}, {}),
    "seed_of": ({"path": "FILE"}, {"path": {"''"}}),
    "spec_of": ({"path": "FILE"}, {}),
    "verify": (
        {"path": "FILE", "spec": SPEC, **DRAWN, "sample": 1.0},
        {
            "seed": {"None"},
            "dtype": {"None"},
            "sample": {"None", "0.5", "True"},
            "threads": {"None"},
            "progress": {"None", "a class"},
        },
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoint.materialize(SPEC, folder / "model.safetensors", seed=0)
    return folder


def test_every_public_function_is_here():
    assert functions(checkpoint) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_values_are_refused_in_a_few_words_that_name_the_argument(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    function, (good, accepted) = getattr(checkpoint, name), FUNCTIONS[name]
    paths = {"FILE": "model.safetensors", "NEW": "new.safetensors"}
    good = {key: paths.get(one, one) if key == "path" else one for key, one in good.items()}
    check(function, good, accepted, folder)
