"""Why initialization matters, in numbers and in a picture: how a signal fares through a deep
network before any training.

signal() measures, picture() draws (matplotlib, the extra `plot`).  Uses the public initializers as
a reader would; the products are NumPy's, so that the numbers here, unlike the weights, may differ
in the last digits from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np

from . import _table
from ._core import DISTRIBUTION
from .typing import Array

Activation = Literal["linear", "tanh", "relu"]
ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
}

# What the picture compares: too small, too large, and the initializers made for each activation.
CASES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "N(0, 0.01²)": ("normal", {"std": 0.01}),
    "N(0, 0.1²)": ("normal", {"std": 0.1}),
    "U(±1/√fan_in)": ("fan_in_uniform", {}),
    "xavier_normal": ("xavier_normal", {}),
    "he_normal": ("he_normal", {}),
    "orthogonal": ("orthogonal", {}),
}


def signal(
    initializer: str | Callable[..., Any],
    *,
    activation: Activation = "tanh",
    depth: int = 50,
    width: int = 256,
    batch: int = 256,
    seed: int = 0,
    **arguments: Any,
) -> Array:
    """The root mean square of x ~ N(0, 1) and of each layer's output, x = activation(W x).

    Parameters
    ----------
    initializer : str or callable
        An initializer of fastinit, by name or as the function.
    activation : {"tanh", "relu", "linear"}
        What follows each matrix.
    depth, width, batch : int
        The number of layers, units per layer and samples.
    seed : int
        One for all layers; each has its own name.
    **arguments
        The initializer's own.

    Returns
    -------
    array
        depth + 1 numbers, the input's first.

    Raises
    ------
    ValueError
        An unknown activation or initializer; sizes below 1.

    Examples
    --------
    >>> small, good = signal("normal", std=0.01), signal("xavier_normal")
    >>> bool(small[-1] < 1e-30), bool(good[-1] > 0.05)
    (True, True)
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; give one of {', '.join(ACTIVATIONS)}")
    if min(depth, width, batch) < 1:
        raise ValueError(f"depth {depth}, width {width} and batch {batch} must be at least 1")
    function = _table.lookup(initializer)
    x = _table.INITIALIZERS["normal"]((width, batch), seed=seed, name="input", dtype="float64")
    found = [_root_mean_square(x)]
    for layer in range(depth):
        weight = function((width, width), seed=seed, name=f"layers.{layer}.weight", **arguments)
        with np.errstate(
            over="ignore", invalid="ignore", under="ignore"
        ):  # an exploding signal is part of what is shown
            x = ACTIVATIONS[activation](weight.astype(np.float64) @ x)
        found.append(_root_mean_square(x))
    return np.array(found)


def _root_mean_square(x: Array) -> float:
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return float(np.sqrt(np.mean(x * x)))


def picture(path: str | PathLike[str], *, depth: int = 50, width: int = 256, seed: int = 0) -> None:
    """Plot signal() of several initializers under tanh and ReLU into an image file.

    The suffix of `path` chooses the format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"a picture needs matplotlib ({error}); install it with pip install "
            f"'{DISTRIBUTION}[plot]'"
        ) from error
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    compared: tuple[Activation, ...] = ("tanh", "relu")
    for axes, activation in zip(panels, compared, strict=True):
        for label, (name, arguments) in CASES.items():
            values = signal(
                name, activation=activation, depth=depth, width=width, seed=seed, **arguments
            )
            style = "--" if name == "orthogonal" else "-"  # it lies on xavier_normal
            axes.plot(
                np.clip(values, 1e-30, 1e30),
                style,
                label=label if axes is panels[0] else None,
                linewidth=1.8,
            )
        axes.set(
            yscale="log",
            ylim=(1e-12, 1e6),
            xlabel="layer",
            title=f"{activation}, {width} units, {depth} layers",
        )
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("root mean square of the signal, before training")
    figure.legend(loc="outside right center", fontsize=9)
    figure.savefig(path, dpi=120)
