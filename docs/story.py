"""The figures and the table of docs/guide/choosing.md, drawn from the public functions.

pages.py calls `write` before each build, into docs/_figures/story-*.svg and docs/_tables/.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import fastinit as fi
from fastinit import diagnostics
from fastinit.diagnostics.compare import fate

HERE = pathlib.Path(__file__).resolve().parent
FIGURES, TABLES = HERE / "_figures", HERE / "_tables"
DEPTH, WIDTH = 50, 128
EARLY = 10  # layers, for the table's first word
COMPARED = (
    "normal:0.01",
    "fan_in_uniform",
    "lecun_normal",
    "xavier_normal",
    "he_normal",
    "orthogonal",
)
ACTIVATIONS = ("linear", "tanh", "relu", "gelu", "silu")


def write() -> None:
    """Draw every figure and the table."""
    TABLES.mkdir(exist_ok=True)
    found = diagnostics.compare(COMPARED, ACTIVATIONS, depth=DEPTH, width=WIDTH)
    (TABLES / "fates.md").write_text("\n".join(table(found.curves)) + "\n")
    scales = diagnostics.compare("normal:0.01,normal:0.0625,normal:0.2", "linear", depth=DEPTH)
    labels = ("std 0.01: vanishes", "std 1/16 = 1/√256: holds", "std 0.2: explodes")
    _save("scale", lambda axes: _depth(axes, scales.curves, labels))
    relu = [curve for curve in found.curves if curve.activation == "relu"]
    shown = ("fan_in_uniform", "xavier_normal", "he_normal")
    curves = [curve for curve in relu if curve.initializer in shown]
    _save("relu", lambda axes: _depth(axes, curves, shown))
    _save("orthogonal", _singular_values)
    _save("sparse", _widths)
    _save("lsuv", _measured)


def table(curves: Sequence[diagnostics.Curve]) -> list[str]:
    """What happens to the signal after EARLY and after DEPTH layers; one word if both agree."""
    lines = ["| weights | " + " | ".join(ACTIVATIONS) + " |", "|---" * (len(ACTIVATIONS) + 1) + "|"]
    for name in COMPARED:
        cells = []
        for curve in (one for one in curves if one.initializer == name):
            words = [fate(curve.forward[layer]) for layer in (EARLY, DEPTH)]
            cells.append(" → ".join(dict.fromkeys(words)))
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return lines


def _save(name: str, draw: Callable[[Any], None]) -> None:
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(FIGURES / f"story-{name}.svg", metadata={"Date": None})


def _depth(axes: Any, curves: Sequence[diagnostics.Curve], labels: Sequence[str]) -> None:
    for curve, label in zip(curves, labels, strict=True):
        axes.plot(curve.forward, label=label)
    axes.set(xlabel="layer", ylabel="rms of the signal", yscale="log")


def _singular_values(axes: Any) -> None:
    """The singular values of a product of matrices: how a linear network scales each direction."""
    for name in ("lecun_normal", "orthogonal"):
        product = np.eye(128)
        for layer in range(10):
            product = np.asarray(getattr(fi, name)((128, 128), seed=0, name=layer)) @ product
        axes.plot(np.linalg.svd(product, compute_uv=False), label=f"{name}, 10 layers of 128")
    axes.set(xlabel="singular value, by size", yscale="log", ylim=(1e-9, 1e2))


def _widths(axes: Any) -> None:
    """The std of a unit's input against the number of its inputs."""
    widths = [32, 64, 128, 256, 512, 1024]
    for label, draw in (
        ("normal, std 1", lambda shape: fi.normal(shape, seed=0)),
        ("sparse, 15 inputs a unit", lambda shape: fi.sparse(shape, n_nonzero=15, std=1, seed=0)),
    ):
        spreads = []
        for width in widths:
            x = fi.normal((64, width), seed=0, name="x")
            # In `sparse`, a column holds the weights of one unit.
            spreads.append(float((x @ np.asarray(draw((width, width)))).std()))
        axes.plot(widths, spreads, marker="o", label=label)
    axes.set(xlabel="units in the layer before", ylabel="std of a unit's input", xscale="log")
    axes.set_xticks(widths, map(str, widths))
    axes.minorticks_off()


def _measured(axes: Any) -> None:
    """LSUV on a network with an activation that this package has no formula for."""
    x = fi.normal((256, 64), seed=0, name="x")
    layers = [
        fi.Layer(np.empty((64, 64), np.float32), activation=lambda y: np.sin(y) * y**2, name=str(n))
        for n in range(12)
    ]
    report = fi.lsuv(layers, x, seed=0)
    axes.plot([one.std_before for one in report.layers], label="orthogonal, before LSUV")
    axes.plot([one.std for one in report.layers], label="after LSUV")
    axes.set(xlabel="layer", ylabel="std of its output", yscale="log")
