"""Tables, public names, aliases and rules agree; a failed lookup suggests the nearest name."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fastinit as fi
from fastinit import _table

COMMON = {"seed": None, "name": None, "dtype": None, "out": None, "region": None, "threads": None}
# Public names that are not initializers.
OTHERS = {
    "Fans",
    "STREAM_VERSION",
    "explain",
    "fans",
    "fill",
    "gain",
    "info",
    "new_seed",
    "philox4x32",
}


def test_public_names_are_the_initializers_their_aliases_and_nothing_unlisted():
    public = set(fi.__all__)
    assert len(fi.__all__) == len(public)
    assert all(hasattr(fi, name) for name in public)
    assert set(_table.INITIALIZERS) | set(_table.ALIASES) <= public
    initializers = {name for name in public if getattr(fi, name) in _table.RULES}
    assert initializers == set(_table.INITIALIZERS) | set(_table.ALIASES)
    assert public - initializers >= OTHERS


def test_a_name_in_the_table_is_the_functions_own_name():
    for name, function in _table.INITIALIZERS.items():
        assert function.__name__ == name and getattr(fi, name) is function


def test_an_alias_is_the_same_object():
    for alias, name in _table.ALIASES.items():
        assert alias not in _table.INITIALIZERS
        assert getattr(fi, alias) is getattr(fi, name) is _table.lookup(alias)


def test_every_initializer_has_one_rule_and_every_rule_one_initializer():
    assert set(_table.RULES) == set(_table.INITIALIZERS.values())
    assert len(set(_table.RULES.values())) == len(_table.RULES)


def test_every_initializer_takes_the_common_parameters_by_keyword():
    for function in _table.INITIALIZERS.values():
        parameters = inspect.signature(function).parameters
        first = ["path", "tensor"] if function is fi.pretrained else ["shape"]
        for name, parameter in parameters.items():
            assert name in first or parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert list(parameters)[: len(first)] == first and parameters["shape"].default is None
        assert {name: parameters[name].default for name in COMMON} == COMMON


def test_a_rule_takes_its_initializers_parameters_with_the_same_defaults():
    for function, rule in _table.RULES.items():
        own, common_axes = dict(_table.own_parameters(function)), {}
        signature = inspect.signature(rule)
        if any(
            parameter.kind is inspect.Parameter.VAR_KEYWORD
            for parameter in signature.parameters.values()
        ):
            from fastinit.initializers.variance_scaling import scaled

            common_axes = {
                name: parameter.default
                for name, parameter in inspect.signature(scaled).parameters.items()
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY
            }
        parameters = list(signature.parameters.values())
        assert [parameter.name for parameter in parameters[:2]] == ["shape", "dtype"]
        named = {
            parameter.name: parameter.default
            for parameter in parameters[2:]
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        assert own == named | common_axes, function.__name__


def test_lookup_takes_names_aliases_and_functions():
    for given in ("he_normal", "kaiming_normal", "msra_normal", fi.he_normal):
        assert _table.lookup(given) is fi.he_normal


@pytest.mark.parametrize(
    "given, error, message",
    [
        ("he_nromal", ValueError, "did you mean 'he_normal'"),
        ("Zeros", ValueError, "did you mean 'zeros'"),
        ("qqq", ValueError, "known are alexnet_bias, "),
        (print, TypeError, "not an initializer of fastinit"),
        (None, TypeError, "not an initializer of fastinit"),
        ([], TypeError, "not an initializer of fastinit"),
    ],
)
def test_an_unknown_initializer_is_an_error_with_the_nearest_name(given, error, message):
    with pytest.raises(error, match=message):
        _table.lookup(given)
    with pytest.raises(error, match=message):
        fi.fill({"w": (np.empty(3, np.float32), given)}, seed=0)


def test_an_unknown_argument_is_an_error_with_the_nearest_one():
    buffer = np.full((3, 3), 7.0, np.float32)
    for argument, message in [
        ("negativ_slope", "did you mean 'negative_slope'"),
        ("q", "it takes negative_slope"),
    ]:
        with pytest.raises(
            TypeError, match=f"'w': he_normal has no argument '{argument}'; {message}"
        ):
            fi.fill({"w": (buffer, "he_normal", {argument: 0.1})}, seed=0)
    with pytest.raises(TypeError, match="zeros has no argument 'value'; it takes none"):
        fi.fill({"w": (buffer, "zeros", {"value": 1})}, seed=0)
    for common in ("seed", "name", "dtype", "out", "shape", "threads"):
        with pytest.raises(TypeError, match=f"has no argument '{common}'"):
            fi.fill({"w": (buffer, "he_normal", {common: None})}, seed=0)
    with pytest.raises(TypeError, match="'w': wang_init needs the arguments dim, layers"):
        fi.fill({"w": (buffer, "wang_init")}, seed=0)
    with pytest.raises(TypeError, match="small_init needs the argument dim"):
        fi.explain("small_init", (3, 3))
    assert (buffer == 7.0).all()


def test_the_version_is_that_of_the_project_file():
    project = Path(__file__).parents[2] / "pyproject.toml"
    if not project.exists():
        pytest.skip("no project file beside the tests")
    assert re.search(r'^version = "(.*)"$', project.read_text(), re.MULTILINE)[1] == fi.__version__
