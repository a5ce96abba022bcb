"""compare(): what an initialization does to a signal, layer by layer, before any training.

It uses the public initializers, as a user would.  NumPy computes the products, so these numbers,
unlike the weights, may differ in the last digits between machines.  stacks.py has the layers,
theory.py the predictions, and figures.py the figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, SupportsIndex

import numpy as np

from .. import _table
from .._core.arguments import choice, described, shown, whole
from .._core.draws import Draw
from .._core.dtypes import FLOAT64, NORMAL, TRUNCATED_NORMAL, UNIFORM
from .._core.math import truncated_std
from .._core.stream import check_seed
from .._core.tables import Table
from ..typing import Array, Seed
from . import stacks, theory
from .activations import Activation, activation

# An initializer: "he_normal", "normal:0.01", "orthogonal:gain=2", a function, or (either, its
# arguments).
Choice = str | Callable[..., Any] | tuple[str | Callable[..., Any], Mapping[str, Any]]

DEFAULT = ("normal:0.01", "xavier_normal", "he_normal", "lecun_normal", "orthogonal")


class Curve(NamedTuple):
    """One initializer under one activation: root mean squares, layer by layer.

    Attributes
    ----------
    initializer : str
        As it was given.
    activation : str
        What it was stacked with.
    forward : tuple of float
        Of the input and of each layer's output: depth + 1 numbers.
    backward : tuple of float
        Of the gradient with respect to the same, from the input to the last output, where a
        standard normal gradient comes in.
    forward_theory, backward_theory : tuple of float or None
        What mean-field theory expects; None where it says nothing, as of identities.
    """

    initializer: str
    activation: str
    forward: tuple[float, ...]
    backward: tuple[float, ...]
    forward_theory: tuple[float, ...] | None
    backward_theory: tuple[float, ...] | None


class Comparison(NamedTuple):
    """What compare() found; its text is a short table.

    Attributes
    ----------
    stack : str
        The kind of layers.
    depth, width, batch : int
        Layers, units of a layer, samples.
    seed : int
        The seed of the weights and of the input.
    curves : tuple of Curve
        For each activation, all initializers.
    """

    stack: str
    depth: int
    width: int
    batch: int
    seed: int
    curves: tuple[Curve, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each curve and layer, for pandas.DataFrame or json."""
        return [
            {
                "initializer": curve.initializer,
                "activation": curve.activation,
                "layer": layer,
                "forward": curve.forward[layer],
                "forward_theory": curve.forward_theory and curve.forward_theory[layer],
                "backward": curve.backward[layer],
                "backward_theory": curve.backward_theory and curve.backward_theory[layer],
            }
            for curve in self.curves
            for layer in range(self.depth + 1)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Settings and curves as plain data."""
        return {**self._asdict(), "curves": [curve._asdict() for curve in self.curves]}

    def table(self) -> Table:
        """The report in rows of text."""
        caption = (
            f"{self.depth} {self.stack} layers of {self.width} units, {self.batch} samples, "
            f"seed {self.seed}: root mean squares"
        )
        head = ("initializer", "activation", "signal", "theory", "gradient", "theory", "verdict")
        rows = [
            (
                curve.initializer,
                curve.activation,
                f"{curve.forward[-1]:.2g}",
                "-" if curve.forward_theory is None else f"{curve.forward_theory[-1]:.2g}",
                f"{curve.backward[0]:.2g}",
                "-" if curve.backward_theory is None else f"{curve.backward_theory[0]:.2g}",
                fate(curve.forward[-1]),
            )
            for curve in self.curves
        ]
        return Table(caption, head, rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def fate(size: float) -> str:
    """A word for what happened to a signal that started with size 1."""
    if not size >= 1e-6:  # also true for NaN, the result of inf - inf
        return "vanishes" if size < 1e-6 else "explodes"
    return (
        "fades" if size < 0.1 else "holds" if size <= 10 else "grows" if size <= 1e6 else "explodes"
    )


def compare(
    initializers: Choice | Sequence[Choice] = DEFAULT,
    activations: str | Sequence[str] = ("tanh", "relu"),
    *,
    stack: str = "plain",
    depth: SupportsIndex = 50,
    width: SupportsIndex = 256,
    batch: SupportsIndex = 128,
    seed: Seed = 0,
) -> Comparison:
    """Root mean squares of activations and gradients through `depth` layers, with theory's beside.

    Parameters
    ----------
    initializers : str, callable, tuple or sequence of these
        Initializers of fastinit: a name, "normal:0.01" (the number is the std, or the gain of those
        that have one), "orthogonal:gain=2", a function, or (name or function, arguments). One
        string may hold several, with commas.
    activations : str or sequence of str
        Of linear, tanh, relu, gelu, silu.
    stack : {"plain", "residual", "transformer-block"}
        f(W x); x + V f(W x); a block of attention and an MLP with the norms before them, over
        sequences of 16 tokens.
    depth, width, batch : int
        The number of layers, units per layer, and samples.
    seed : int
        One for all weights; each has its own name, "layers.0.weight" and so on.

    Returns
    -------
    Comparison
        The curves, as plain numbers.

    Raises
    ------
    ValueError
        An unknown initializer, activation or stack; sizes below 1; a batch of a transformer-block
        that is not a multiple of 16.
    TypeError
        Arguments that the initializer does not have.

    See Also
    --------
    fastinit.gain : The factor that keeps the second moment through an activation.

    Notes
    -----
    The input is standard normal. So is the gradient that enters at the last layer; it does not
    depend on the activations. Theory is the limit of infinite width [1]_ [2]_, with the variance
    that each initializer gives a matrix of its shape. A single deep ReLU network strays from it by
    a factor of about exp(√(depth / width)).

    References
    ----------
    .. [1] Poole et al., Exponential expressivity in deep neural networks through transient chaos,
           2016.
    .. [2] Yang and Schoenholz, Mean field residual networks: on the edge of chaos, 2017.

    Examples
    --------
    >>> from fastinit import diagnostics
    >>> found = diagnostics.compare("normal:0.01, xavier_normal", "tanh", depth=20)
    >>> small, good = found.curves
    >>> small.forward[-1] < 1e-14, good.forward[-1] > 0.1
    (True, True)
    """
    chosen = choices(initializers)
    if isinstance(activations, str):
        activations = activations.split(",")
    if not isinstance(activations, Iterable):
        raise TypeError(f"activations must be names, not {described(activations)}")
    functions = [activation(name) for name in activations]
    if not functions:
        raise ValueError("no activations were given; name at least one, such as 'relu'")
    choice(stack, "stack", stacks.LAYERS)
    depth, width, batch = (
        whole(size, what) for size, what in ((depth, "depth"), (width, "width"), (batch, "batch"))
    )
    if stack == "transformer-block" and batch % stacks.TOKENS:
        raise ValueError(
            f"batch is {batch}; samples of a transformer-block are tokens, in sequences of "
            f"{stacks.TOKENS}: give a multiple of {stacks.TOKENS}"
        )
    seed = check_seed(seed)
    curves = [
        _curve(initializer, one, stack, depth, width, batch, seed)
        for one in functions
        for initializer in chosen
    ]
    return Comparison(stack, depth, width, batch, seed, tuple(curves))


# ------------------------------------------------------------------------------- the initializers


class Initializer(NamedTuple):
    """An initializer with its arguments, and how the caller wrote it."""

    label: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]


def choices(given: Choice | Sequence[Choice]) -> list[Initializer]:
    """The initializers that a caller chose, looked up and with their arguments checked."""
    one = isinstance(given, str) or callable(given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        one = True
    several: Iterable[Any] = [given] if one else given  # type: ignore[assignment]
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise TypeError(
            "initializers must be names, functions, pairs (initializer, arguments) or a sequence "
            f"of these, not {described(given)}"
        )
    found = []
    for each in several:
        found += (
            [_parsed(part.strip()) for part in each.split(",")]
            if isinstance(each, str)
            else [_pair(each)]
        )
    if not found:
        raise ValueError("no initializers were given; name at least one, such as 'he_normal'")
    return found


def _pair(given: Any) -> Initializer:
    name, arguments = given if isinstance(given, tuple) else (given, {})
    function = _table.lookup(name)
    _table.check_arguments(function, arguments)
    own = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return Initializer(
        f"{function.__name__}({own})" if own else function.__name__, function, arguments
    )


def _parsed(text: str) -> Initializer:
    """NAME, NAME:NUMBER or NAME:KEY=VALUE:..."""
    name, *parts = text.split(":")
    function = _table.lookup(name)
    own = _table.own_parameters(function)
    arguments: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.rpartition("=")
        if not equals:
            key = next((each for each in ("std", "gain") if each in own), "")
            if not key:
                raise ValueError(
                    f"{shown(text)}: {function.__name__} has neither std nor gain, which a number "
                    f"would be; write {function.__name__}:KEY={value}"
                )
        arguments[key] = _value(value)
    _table.check_arguments(function, arguments)
    return Initializer(text, function, arguments)


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def second_moment(initializer: Initializer) -> theory.SecondMoment | None:
    """The mean square of a matrix's elements, from the initializer's law.

    None if theory makes no prediction: the matrix is not random, or its mean is not 0.
    """
    function, arguments = initializer.function, initializer.arguments
    if function is _table.INITIALIZERS["orthogonal"]:
        gain = float(arguments.get("gain", 1.0))
        return lambda _, shape: gain * gain / max(shape)
    rule = _table.RULES[function]
    if not _has_a_law(rule((2, 2), FLOAT64, **arguments)):
        return None
    return lambda _, shape: _variance(rule(shape, FLOAT64, **arguments))


def _has_a_law(draw: Any) -> bool:
    """Whether elements are independent draws with mean 0."""
    if not isinstance(draw, Draw) or draw.draw not in (NORMAL, UNIFORM, TRUNCATED_NORMAL):
        return False
    numbers = draw.numbers()
    if draw.draw == NORMAL:
        return bool(numbers["mean"] == 0.0)
    middle = numbers["highest"] + numbers["lowest"]
    return abs(middle) <= 1e-6 * numbers["highest"] and not numbers.get("mean")


def _variance(draw: Draw) -> float:
    numbers = draw.numbers()
    if draw.draw == UNIFORM:
        return float(numbers["span"]) ** 2 / 12
    std = float(numbers["std"])
    if draw.draw == TRUNCATED_NORMAL:
        std *= truncated_std(numbers["lowest"] / std, numbers["highest"] / std)
    return std * std


# ------------------------------------------------------------------------------------ one curve


def _curve(
    initializer: Initializer,
    function: Activation,
    stack: str,
    depth: int,
    width: int,
    batch: int,
    seed: int,
) -> Curve:
    normal = _table.INITIALIZERS["normal"]
    shape = (width, batch)
    x = normal(shape, seed=seed, name="input", dtype="float64")
    gradient = normal(shape, seed=seed, name="gradient", dtype="float64")
    forward, backs = [_root_mean_square(x)], []
    with np.errstate(all="ignore"):  # exploding and vanishing signals are part of the result
        for layer in range(depth):

            def weight(name: str, shape: tuple[int, int], layer: int = layer) -> Array:
                matrix = initializer.function(
                    shape, seed=seed, name=f"layers.{layer}.{name}", **initializer.arguments
                )
                return np.asarray(matrix, dtype=np.float64)

            x, back = stacks.LAYERS[stack](x, weight, function)
            forward.append(_root_mean_square(x))
            backs.append(back)
        backward = [_root_mean_square(gradient)]
        for back in reversed(backs):
            gradient = back(gradient)
            backward.append(_root_mean_square(gradient))
    moment = second_moment(initializer)
    expected = None if moment is None else theory.THEORIES[stack](depth, width, moment, function)
    return Curve(
        initializer.label,
        function.name,
        tuple(forward),
        tuple(backward[::-1]),
        None if expected is None else tuple(map(math.sqrt, expected.forward)),
        None if expected is None else tuple(map(math.sqrt, expected.backward)),
    )


def _root_mean_square(x: Array) -> float:
    """√(mean x²), also for numbers whose squares overflow or underflow a double."""
    largest = float(np.abs(x).max())
    if not 0.0 < largest < math.inf:
        return largest
    return largest * float(np.sqrt(np.mean((x / largest) ** 2)))
