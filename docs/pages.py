"""Write the pages that are generated from code: one for each initializer, and the benchmarks.

conf.py calls `write` before each build.  The output is not committed: docs/initializers/,
docs/_figures/, docs/_tables/, docs/api.rst and docs/contributing.md.  story.py draws the figures of
the guide to initializers.  Each page takes the formula and the fans from the docstring, and the
figure from a draw.
"""

from __future__ import annotations

import importlib
import inspect
import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "benchmarks"))

import numpy as np  # noqa: E402
import report  # noqa: E402 - benchmarks/report.py
import story  # noqa: E402 - the file beside this one
from matplotlib.figure import Figure  # noqa: E402

import fastinit as fi  # noqa: E402
from fastinit import _table  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PAGES = HERE / "initializers"
FIGURES = HERE / "_figures"
TABLES = HERE / "_tables"

# For each page's figure: a shape, and arguments that lack a default or make the figure clearer.
MATRIX = (256, 256)
EXAMPLES: dict[str, tuple[tuple[int, ...], dict[str, object]]] = {
    "constant": (MATRIX, {"value": 0.5}),
    "sparse": (MATRIX, {"sparsity": 0.9}),
    "eye": ((24, 32), {}),
    "dirac": ((8, 8, 3), {}),
    "delta_orthogonal": ((32, 16, 3, 3), {}),
    "convolutional_orthogonal": ((32, 16, 3, 3), {}),
    "small_init": (MATRIX, {"dim": 256}),
    "wang_init": (MATRIX, {"dim": 256, "layers": 12}),
    "alexnet_bias": ((256,), {"layer": "conv2"}),
    "lstm_bias": ((4 * 64,), {}),
    "chrono_bias": ((4 * 4096,), {"t_max": 784}),
    "prior_probability_bias": ((256,), {}),
    "mamba_dt_bias": ((65536,), {}),
    "rwkv7": ((1, 1, 1024), {"tensor": "x_r", "layer": 3, "layers": 12}),
    "icnr": ((256, 64, 3, 3), {"upscale": 2}),
    "idinit": ((24, 40), {}),
    "zero_hadamard": ((64, 32), {}),
    "bilinear": ((1, 1, 8, 8), {}),
}
# The figures of these show the positions of the values, not their distribution.
PATTERNS = ("eye", "dirac", "idinit", "zero_hadamard", "bilinear", "sparse", "lstm_bias")
NO_FIGURE = ("pretrained",)  # its values come from a file


def write() -> None:
    """Write every page and figure; a page with unchanged text keeps its modification time."""
    PAGES.mkdir(exist_ok=True)
    FIGURES.mkdir(exist_ok=True)
    names = list(_table.INITIALIZERS)
    for name in names:
        if name not in NO_FIGURE:
            _figure(name)
        _put(PAGES / f"{name}.rst", _page(name))
    _put(PAGES / "index.md", _index(names))
    _put(HERE / "api.rst", _api())
    contributing = (HERE.parent / ".github/CONTRIBUTING.md").read_text()
    for link, page in (("../fastinit/stream-v1.md", "stream.md"), ("../docs/", "")):
        contributing = contributing.replace(link, page)
    _put(HERE / "contributing.md", contributing)
    TABLES.mkdir(exist_ok=True)
    tables = (
        report.fills,
        report.cold,
        report.checkpoints,
        report.others,
        report.inspected,
        report.earlier,
        report.cards,
        report.small_calls,
        report.slower_fills,
    )
    for table in tables:
        _put(TABLES / f"{table.__name__}.md", "\n".join(table()) + "\n")
    story.write()


def _put(path: pathlib.Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _summary(name: str) -> str:
    docstring = inspect.getdoc(_table.INITIALIZERS[name]) or ""
    return " ".join(docstring.split("\n\n", 1)[0].split())


def _aliases(name: str) -> list[str]:
    return [alias for alias, target in _table.ALIASES.items() if target == name]


def _page(name: str) -> str:
    """A page in reStructuredText: title, aliases, figure, and the docstring through numpydoc."""
    lines = [name, "=" * len(name), ""]
    if aliases := _aliases(name):
        lines += ["Also called " + ", ".join(f"``{alias}``" for alias in aliases) + ".", ""]
    if name not in NO_FIGURE:
        shape, arguments = EXAMPLES.get(name, (MATRIX, {}))
        given = "".join(f", {key}={value!r}" for key, value in arguments.items())
        lines += [
            f".. figure:: ../_figures/{name}.svg",
            f"   :alt: What {name} draws",
            "",
            f"   ``fi.{name}({shape}{given}, seed=0)``",
            "",
        ]
    return "\n".join([*lines, f".. autofunction:: fastinit.{name}", ""])


def _index(names: list[str]) -> str:
    lines = [
        "# Every initializer",
        "",
        "The names of the core, `fastinit` itself. A row is the first line of the function's",
        "docstring; its page has the figure of its values and all arguments.",
        "",
        "| name | draws | in other frameworks |",
        "|---|---|---|",
    ]
    for name in names:
        title = f"[{name}]({name}.rst)" + "".join(f", {alias}" for alias in _aliases(name))
        docstring = inspect.getdoc(_table.INITIALIZERS[name]) or ""
        cells = (title, _summary(name), equals(docstring))
        lines.append("| " + " | ".join(re.sub(r"([|*])", r"\\\1", cell) for cell in cells) + " |")
    toctree = ["", "```{toctree}", ":hidden:", "", *names, "```", ""]
    return "\n".join([*lines, *toctree])


# The frameworks that See Also sections name, and their names on this site.
FRAMEWORKS = {"torch": "torch", "keras": "Keras", "jax": "JAX"}


def equals(docstring: str) -> str:
    """The equivalents in other frameworks that See Also names, each with the differences."""
    section = re.search(r"^See Also\n-+\n(.*?)(?=\n\n|\Z)", docstring, re.S | re.M)
    found = []
    for entry in re.split(r"\n(?=\S)", section.group(1)) if section else ():
        name, _, text = entry.partition(" :")
        framework, _, short = name.partition(".")
        if framework in FRAMEWORKS:
            text = " ".join(text.split()).rstrip(".").removesuffix("; see Notes")
            text = re.sub(r"^Equal( in law)?( to)?[,;]? ?", "", text).replace("``", "`")
            note = f" ({text[0].lower()}{text[1:]})" if text else ""
            found.append(f"{FRAMEWORKS[framework]} `{short.rpartition('.')[2]}`{note}")
    return ", ".join(found) or "—"


# The other public functions: module, heading, and the text above its list.
MODULES = (
    ("fastinit", "Core", "Imported as ``fi``."),
    (
        "fastinit.torch",
        "torch",
        "Names of ``torch.nn.init`` with torch's meaning, and whole models.",
    ),
    ("fastinit.jax", "JAX", "Names of ``jax.nn.initializers`` with JAX's meaning."),
    ("fastinit.keras", "Keras", "Names of ``keras.initializers`` with Keras' meaning."),
    ("fastinit.checkpoint", "Checkpoints", "What ``fastinit materialize`` and ``verify`` call."),
    ("fastinit.inspection", "Look inside", "What ``fastinit inspect``, ``audit`` and so on call."),
    ("fastinit.diagnostics", "Diagnostics", "What an initialization does to a signal."),
)


def _api() -> str:
    """reStructuredText that lists each module's public functions and classes, with their pages."""
    lines = ["All functions", "=============", ""]
    lines += [":doc:`The initializers <initializers/index>` have their own pages.", ""]
    for module, heading, text in MODULES:
        found = importlib.import_module(module)
        own = _table.INITIALIZERS | _table.ALIASES if module == "fastinit" else {}
        names = [
            name
            for name in sorted(found.__all__, key=str.lower)
            if name not in own
            # Skip torch's functions (calculate_gain): their formulas need a script from the web.
            and getattr(getattr(found, name), "__module__", "").startswith("fastinit")
        ]
        lines += [heading, "-" * len(heading), "", text, "", f".. currentmodule:: {module}", ""]
        lines += [".. autosummary::", "   :toctree: generated", ""]
        lines += [*(f"   {name}" for name in names), ""]
    return "\n".join(lines)


def _figure(name: str) -> None:
    """Write one SVG: the density of a draw or, for a pattern, the matrix."""
    shape, arguments = EXAMPLES.get(name, (MATRIX, {}))
    values = np.asarray(getattr(fi, name)(shape, seed=0, name=name, **arguments))
    figure = Figure(figsize=(5, 2.4), layout="constrained")
    axes = figure.subplots()
    if name in PATTERNS:
        matrix = values.reshape(-1, values.shape[-1])
        limit = float(np.abs(matrix).max()) or 1.0
        axes.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        low, high = float(values.min()), float(values.max())
        if low == high:
            axes.axvline(low, lw=3)
            axes.set_xlim(low - 1, high + 1)
        else:
            axes.hist(values.ravel(), bins=100, density=True)
        axes.set_xlabel("value")
        axes.set_ylabel("density")
    figure.savefig(FIGURES / f"{name}.svg", transparent=True, metadata={"Date": None})
