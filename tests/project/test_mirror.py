"""The tests of a module are found by its name: fastinit/a/_b.py in tests/unit/a/test_b.py."""

from pathlib import Path

import fastinit

PACKAGE = Path(fastinit.__file__).parent
TESTS = Path(__file__).parents[1]
UNITS = TESTS / "unit"

ADAPTERS = ("torch", "jax", "keras")  # tests/adapters/test_torch_….py: no folder may be named torch

# Modules, and packages that are tested as a whole, whose tests are in a file or folder of another
# name.
ELSEWHERE = {
    "__main__": "processes/test_command_line.py",
    "_complex": "adapters/test_jax_complex.py",
    "_core/array_files": "unit/test_pretrained.py",
    "_core/jobs": "unit/core/test_engine.py",
    "_core/progress": "processes/test_command_line.py",
    "_core/shapes": "unit/core/test_fill.py",
    "_cuda": "unit/cuda",
    "_jit": "unit/orthogonal/test_forms.py",
    "_orthogonal": "unit/orthogonal",
    "_sparse": "unit/initializers/test_sparse.py",
    "checkpoint/blocks": "unit/checkpoint/test_materialize.py",
    "checkpoint/draw": "unit/checkpoint/test_materialize.py",
    "checkpoint/dummy_values": "unit/checkpoint/test_dummy.py",
    "checkpoint/errors": "unit/checkpoint/test_spec.py",
    "checkpoint/expressions": "unit/checkpoint/test_spec.py",
    "checkpoint/fields": "unit/checkpoint/test_spec.py",
    "checkpoint/load": "unit/checkpoint/test_config.py",
    "checkpoint/rules": "unit/checkpoint/test_spec.py",
    "checkpoint/source": "unit/checkpoint/test_spec.py",
    "cli/selftest": "unit/cuda/test_selftest.py",
    "data_dependent/algorithms": "unit/data_dependent/test_methods.py",
    "data_dependent/network": "unit/data_dependent/test_methods.py",
    "inspection/expected": "unit/inspection/test_audit.py",
    "inspection/findings": "unit/inspection/test_audit.py",
    "inspection/redrawn": "unit/inspection/test_audit.py",
    "inspection/verdicts": "unit/inspection/test_audit.py",
    "recipes/_written": "unit/recipes/test_every_recipe.py",
    "reference/normal": "statistics/test_normal.py",
}
# Test files about a whole package.
ROOMS = {
    "checkpoint/test_bad_arguments.py",
    "checkpoint/test_presets.py",
    "diagnostics/test_bad_arguments.py",
    "initializers/test_bad_arguments.py",
    "initializers/test_every_initializer.py",
    "inspection/test_bad_arguments.py",
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
    used = {key for key in ELSEWHERE for name in without if f"{name}/".startswith(f"{key}/")}
    found = {name for name in without for key in used if f"{name}/".startswith(f"{key}/")}
    assert not without - found, "a test file of this name is missing"
    assert used == set(ELSEWHERE), "these have a test file of their name, or are no modules"
    assert all((TESTS / path).exists() for path in ELSEWHERE.values())


def test_every_unit_test_file_is_named_after_a_module_or_is_about_a_package():
    folders = tuple(path.removeprefix("unit/") + "/" for path in ELSEWHERE.values())
    others = {path for path in FILES if not path.startswith(folders)}
    assert others - {own_test_file(name) for name in MODULES} == ROOMS


def test_every_adapter_has_tests_of_its_name():
    for adapter in ADAPTERS:
        assert list((TESTS / "adapters").glob(f"test_{adapter}_*.py"))
    assert not [path for path in TESTS.rglob("*") if path.is_dir() and path.name in ADAPTERS]
