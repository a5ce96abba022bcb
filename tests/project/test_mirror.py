"""The tests of a module are found by its name: fastinit/a/_b.py in tests/unit/a/test_b.py."""

from pathlib import Path

import fastinit

PACKAGE = Path(fastinit.__file__).parent
TESTS = Path(__file__).parents[1]
UNITS = TESTS / "unit"

ADAPTERS = ("torch", "jax", "keras")  # tests/adapters/test_torch_….py: no folder may be named torch

# Modules whose tests are in a file of another name.
ELSEWHERE = {
    "__main__": "unit/test_cli.py",
    "_core/arguments": "unit/core/test_fill.py",
    "_core/jobs": "unit/core/test_engine.py",
    "_core/shapes": "unit/core/test_fill.py",
    "_jit/orthogonal": "unit/orthogonal/test_forms.py",
    "_jit/sparse": "unit/initializers/test_sparse.py",
    "_jit/stores": "unit/orthogonal/test_forms.py",
    "_jit/tiles": "unit/orthogonal/test_forms.py",
    "_orthogonal/compiled": "unit/orthogonal/test_forms.py",
    "_orthogonal/matrix": "unit/initializers/test_orthogonal.py",
    "_orthogonal/numpy_form": "unit/orthogonal/test_forms.py",
    "_orthogonal/problem": "unit/orthogonal/test_forms.py",
    "_sparse": "unit/initializers/test_sparse.py",
    "checkpoint/errors": "unit/checkpoint/test_spec.py",
    "checkpoint/expressions": "unit/checkpoint/test_spec.py",
    "checkpoint/source": "unit/checkpoint/test_spec.py",
    "data_dependent/network": "unit/data_dependent/test_methods.py",
    "recipes/_written": "unit/recipes/test_every_recipe.py",
    "reference/normal": "statistics/test_normal.py",
}
# Test files about a whole room.
ROOMS = {
    "initializers/test_bad_arguments.py",
    "initializers/test_every_initializer.py",
    "recipes/test_every_recipe.py",
}


def own_test_file(module):
    *folders, name = (part.lstrip("_") for part in module.split("/"))
    return "/".join([*folders, f"test_{name}.py"])


MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix()
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}
FILES = {path.relative_to(UNITS).as_posix() for path in UNITS.rglob("test_*.py")}


def test_every_module_has_a_test_file_of_its_name():
    mirrored = {name for name in MODULES if name.split("/")[0] not in ADAPTERS}
    without = {name for name in mirrored if own_test_file(name) not in FILES}
    assert without == set(ELSEWHERE)
    assert all((TESTS / path).exists() for path in ELSEWHERE.values())


def test_every_unit_test_file_is_named_after_a_module_or_is_about_a_room():
    assert FILES - {own_test_file(name) for name in MODULES} == ROOMS


def test_every_adapter_has_tests_of_its_name():
    for adapter in ADAPTERS:
        assert list((TESTS / "adapters").glob(f"test_{adapter}_*.py"))
    assert not [path for path in TESTS.rglob("*") if path.is_dir() and path.name in ADAPTERS]
