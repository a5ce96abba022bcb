"""An arrow only downward: every file's imports compared with the table of layers; what `import
fastinit` may load.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastinit

ROOT = Path(fastinit.__file__).parent

# The table of the architecture.  A file may import files of its own layer and of the layers below;
# frameworks and other packages as PACKAGES has it.  A package counts with every file in it.
LAYERS = {
    1: ["_native", "reference"],
    2: [
        "_stream",
        "_dtypes",
        "_math",
        "_truncated",
        "_draws",
        "_engine",
        "_fill",
        "_buffers",
        "_dlpack",
    ],
    3: ["_fans", "_orthogonal", "_sparse", "_jit", "_safetensors"],
    4: [
        "initializers",
        "recipes",
        "_catalog",
        "_explain",
        "data_dependent",
        "pretrained",
        "__init__",
    ],
    5: ["_adapt", "torch", "jax", "keras", "models", "diagnostics"],
    6: ["cli", "__main__"],
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
# The reference engine reads the codes of draws and dtypes, which are plain numbers, and names the
# Job that it is given.
EXCEPTIONS = {("reference", "_dtypes"), ("reference", "_engine")}
# Who may import what beside NumPy and the standard library.
PACKAGES = {
    "_jit": {"numba", "llvmlite"},
    "_dtypes": {"ml_dtypes"},
    "_sparse": {"scipy"},
    "cli": {"tqdm"},
    "torch": {"torch"},
    "jax": {"jax"},
    "keras": {"keras", "jax", "torch"},
    "models": {"transformers", "torch", "safetensors"},
    "diagnostics": {"matplotlib", "scipy"},
    "pretrained": {"ml_dtypes", "safetensors"},
}
FILES = sorted(ROOT.rglob("*.py"))
every_file = pytest.mark.parametrize(
    "path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES]
)


def unit(path):
    """The name in the table of a file: its own, or that of its package at the top."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(path):
    """Modules that a file imports at any depth, those of fastinit with the package's name in
    front.
    """
    package = ["fastinit", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if (
                module == "fastinit"
            ):  # from . import _fill: each name is a file or comes from __init__
                yield from (f"fastinit.{alias.name}" for alias in node.names)
            else:
                yield module


def own(module):
    """The table's name of an imported module of fastinit."""
    part = (module.split(".") + ["__init__"])[1]
    return part if part in LAYER_OF else "__init__"


def test_every_file_stands_in_the_table():
    assert {unit(path) for path in FILES} <= set(LAYER_OF)


@every_file
def test_imports_point_down_or_sideways(path):
    name = unit(path)
    for module in imported(path):
        if module.split(".")[0] == "fastinit":
            target = own(module)
            allowed = LAYER_OF[target] <= LAYER_OF[name] or (name, target) in EXCEPTIONS
            assert allowed, (
                f"{name} (layer {LAYER_OF[name]}) imports {target} (layer {LAYER_OF[target]})"
            )


@every_file
def test_other_packages_are_imported_only_where_they_belong(path):
    allowed = {"fastinit", "numpy", *sys.stdlib_module_names, *PACKAGES.get(unit(path), ())}
    assert {module.split(".")[0] for module in imported(path)} <= allowed


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
    assert unit(path) in ("cli", "__main__") or not calls & {"print", "exit", "quit"}


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


def test_importing_takes_less_than_40_ms_over_numpy(tmp_path):
    """With bytecode cached, as an installed package has it; the best of a few, for the machine may
    be busy.
    """
    code = (
        "import numpy, time; t = time.perf_counter(); import fastinit; "
        "print(time.perf_counter() - t)"
    )
    cached = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    assert min(float(in_a_new_process(code, **cached)) for _ in range(6)) < 0.04
