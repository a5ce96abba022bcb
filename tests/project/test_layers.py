"""Imports point only downward: those of every file are compared with the table of layers.  And what
`import fastinit` may load.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastinit
from fastinit._core import forks

ROOT = Path(fastinit.__file__).parent

# The table of the architecture, from the bottom up.  A room is a file at the top, a file of _core,
# or a package.  A file may import files of its own room and of rooms in lower layers, and the
# frameworks and other packages that PACKAGES lists for its room.
LAYERS = [
    ["typing"],
    ["_core"],  # its __init__.py, which imports nothing
    ["_core/arguments", "_core/forks"],
    ["_core/dtypes"],
    ["_core/math"],
    ["_core/truncated"],
    ["_core/stream"],
    ["_core/draws"],
    ["_core/jobs"],
    ["_core/shapes"],
    ["_cuda"],
    ["_core/dlpack"],
    ["_core/buffers"],
    ["_native", "reference"],
    ["_core/signals"],
    ["_core/engine"],
    ["_core/fill"],
    ["_core/first_match", "_core/progress", "_core/tables"],
    ["_core/new_file", "_core/safetensors"],
    ["_core/array_files"],
    ["fans", "gain", "info", "philox", "_jit"],
    ["_orthogonal", "_sparse"],
    ["initializers"],
    ["recipes", "data_dependent", "pretrained"],
    ["_table"],
    ["fill", "explain"],
    ["__init__"],
    ["_adapters", "_laws", "diagnostics"],
    ["_complex"],
    ["torch", "jax"],
    ["keras", "checkpoint"],
    ["inspection"],
    ["cli"],
    ["__main__"],
]
LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
# Imports that point up, all inside functions.
UPWARD: set[tuple[str, str]] = set()
# Pairs of modules of one room that import each other, the second inside a function.
CIRCLES: set[tuple[str, str]] = set()
# The packages that each room may import, besides NumPy and the standard library.
PACKAGES = {
    "typing": {"typing_extensions"},  # for type checkers only
    "_jit": {"numba", "llvmlite"},
    "_core/dtypes": {"ml_dtypes"},
    "_core/progress": {"tqdm"},
    "_cuda": {"cuda"},
    "_sparse": {"scipy"},
    "checkpoint": {"torch", "transformers"},
    "torch": {"torch", "transformers"},
    "jax": {"jax"},
    "keras": {"keras", "torch"},  # torch on the torch backend, which has loaded it
    "diagnostics": {"matplotlib"},
    "inspection": {"matplotlib"},
    "cli": {"shtab"},
}
FILES = sorted(ROOT.rglob("*.py"))
every_file = pytest.mark.parametrize(
    "path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES]
)


def module(path):
    """The dotted name of a file, without the package's: "torch.init", "torch" for its __init__."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module(path): path for path in FILES} | {"_native": ROOT / "_native.pyi"}


def room(name):
    """The room of a module: a file of _core, else the file or package at the top."""
    first, *rest = name.split(".")
    return f"_core/{rest[0]}" if first == "_core" and rest else first


def imported(path):
    """Dotted names of what a file imports at any depth: those of fastinit begin with a dot."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                yield "." + (".".join(rest) or "__init__") if first == "fastinit" else alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            elif node.module.split(".")[0] == "fastinit":
                base = node.module.split(".")[1:]
            else:
                yield node.module
                continue
            base = ".".join(filter(None, base))
            for alias in node.names:  # each name is a module of the package or comes from it
                full = f"{base}.{alias.name}".strip(".")
                yield "." + (full if full in MODULES else base or "__init__")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            name = node.args[0].value
            top = name.startswith("fastinit.") or not package
            yield "." + ".".join(
                [*(() if top else package), name.removeprefix("fastinit").strip(".")]
            )


IMPORTS = {
    module(path): {name for name in imported(path) if name != "." + module(path)} for path in FILES
}
OURS = {
    name: {target[1:] for target in targets if target[0] == "."}
    for name, targets in IMPORTS.items()
}
THEIRS = {
    name: {target.split(".")[0] for target in targets if target[0] != "."}
    for name, targets in IMPORTS.items()
}


def test_every_file_has_a_layer_and_every_name_of_the_table_is_a_file():
    assert {room(name) for name in MODULES} == set(LAYER_OF)
    assert set().union(*OURS.values()) <= set(MODULES)


@every_file
def test_imports_point_down_or_stay_in_the_room(path):
    own = room(module(path))
    for target in map(room, OURS[module(path)]):
        down = LAYER_OF[target] < LAYER_OF[own]
        assert target == own or down or (own, target) in UPWARD, (
            f"{own} (layer {LAYER_OF[own]}) imports {target} (layer {LAYER_OF[target]})"
        )


def test_every_import_that_may_point_up_does():
    found = {(room(name), room(target)) for name in OURS for target in OURS[name]}
    assert found >= UPWARD
    assert all(LAYER_OF[low] < LAYER_OF[high] for low, high in UPWARD)


def circles():
    """The sets of modules that reach each other by imports, at module level or inside functions."""

    def reached(name):
        seen, todo = set(), [name]
        while todo:
            new = OURS.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        return seen

    reach = {name: reached(name) for name in OURS}
    return {
        frozenset(other for other in reach[name] if name in reach.get(other, ()))
        for name in OURS
        if name in reach[name]
    }


def test_no_modules_import_each_other_except_the_named_pairs():
    assert circles() == {frozenset(pair) for pair in CIRCLES}


@every_file
def test_other_packages_are_imported_only_where_they_belong(path):
    allowed = {"numpy", *sys.stdlib_module_names, *PACKAGES.get(room(module(path)), ())}
    assert THEIRS[module(path)] <= allowed


def test_every_package_that_may_be_imported_is():
    for name, packages in PACKAGES.items():
        found = set().union(*(THEIRS[one] for one in THEIRS if room(one) == name))
        assert packages <= found, name


def test_a_fork_waits_for_the_import_of_every_package_that_may_be_imported():
    ours = {"fastinit", "numpy", *set().union(*PACKAGES.values())}
    assert ours - {"typing_extensions"} == forks.PACKAGES


@every_file
def test_files_open_with_what_they_are(path):
    text = path.read_text("utf-8")
    assert not text or ast.get_docstring(ast.parse(text)), "the file says nothing about itself"


@every_file
def test_only_the_program_prints_and_exits(path):
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert room(module(path)) in ("cli", "__main__") or not calls & {"print", "exit", "quit"}


HEAVY = [
    "torch",
    "jax",
    "keras",
    "tensorflow",
    "numba",
    "ml_dtypes",
    "tqdm",
    "safetensors",
    "scipy",
    "concurrent.futures",
    "hashlib",
    "difflib",
    "importlib.metadata",
    "argparse",
    "tomllib",
]


def in_a_new_process(code, **environment):
    every = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=every
    ).stdout


@pytest.mark.parametrize(
    "use", ["", "fi.he_normal((64, 64), seed=0, name='w')", "fi.fill({'w': (a, 'eye')}, seed=0)"]
)
def test_importing_and_filling_load_no_framework_and_nothing_slow(use):
    loaded = in_a_new_process(
        "import numpy, sys\n"
        "a, before = numpy.empty((2, 2)), set(sys.modules)\n"
        f"import fastinit as fi\n{use}\n"
        f"print(*(set(sys.modules) - before) & set({HEAVY!r}))"
    )
    assert not loaded.split()


def test_the_recipes_and_what_looks_at_data_are_imported_at_their_first_use():
    """They are half of the modules; every public name of theirs is there all the same."""
    later = {"fastinit.recipes", "fastinit.data_dependent"}
    told = in_a_new_process(
        "import sys, fastinit as fi\n"
        "fi.he_normal((8, 8), seed=0)\n"
        f"print(*sys.modules.keys() & {later})\n"
        "assert set(fi.__all__) <= set(dir(fi)) and not hasattr(fi, 'nothing')\n"
        "assert fi.siren.__module__ == 'fastinit.recipes.siren'\n"
        "assert fi.Layer is fi.data_dependent.Layer\n"
        f"print(*sorted(sys.modules.keys() & {later}))\n"
    )
    assert told.splitlines() == ["", " ".join(sorted(later))]
