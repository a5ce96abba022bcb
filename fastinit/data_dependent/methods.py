"""LSUV, Krähenbühl's two normalisations, weight normalization's start, moments matched to the
batch.

Each changes working copies layer by layer, in the order of the network, and then calls finish(),
which writes the arrays of the layers themselves.  Layer, copies and reports: network.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._core.arguments import positive, real
from .._core.engine import guarded
from .._core.stream import check_seed
from ..initializers import normal
from ..typing import Array
from .network import Copy, Layer, NetworkReport, copies_of, finish, flow, moments

Gradients = Callable[["list[Array]", "list[Array | None]", Array], "Sequence[Array]"]


@guarded
def lsuv(
    layers: Sequence[Layer],
    batch: Any,
    *,
    std: float = 1.0,
    tolerance: float = 0.1,
    tries: int = 10,
    orthonormal: bool = True,
    center: bool = False,
    seed: Any = None,
    threads: int | None = None,
) -> NetworkReport:
    """Orthonormal weights, zero biases; then layer by layer W ← W·std/s until |s − std| ≤
    tolerance, s the std of y.

    Parameters
    ----------
    layers, batch : see Layer; the first layer's input, one example a row.
    tries : at most so many scalings a layer; each is one forward.
    orthonormal : False keeps the weights and biases given.
    center : also moves the biases so that the mean of every layer's y is 0.
    seed : of the orthonormal weights, each drawn under its layer's name (or place).

    Raises
    ------
    ValueError
        A batch of the wrong width, an output of zero variance or not finite: no array is changed.

    Source: Mishkin and Matas, All you need is a good init, ICLR 2016. The weights' orthonormal
    start keeps the stream contract, the scaling, by NumPy's products, does not.

    Examples
    --------
    >>> net = [fi.Layer(np.empty((4, 3))), fi.Layer(np.empty((2, 4)))]
    >>> report = fi.lsuv(net, fi.normal((9, 3), seed=1), tolerance=1e-6, seed=0)
    >>> [round(layer.std, 6) for layer in report.layers]
    [1.0, 1.0]
    """
    wanted, slack = positive(std, "std"), positive(tolerance, "tolerance")
    copies, x = copies_of(layers, batch)
    seed = check_seed(seed)
    for place, copy in enumerate(copies):
        if orthonormal:
            from ..initializers import orthogonal

            flat = np.moveaxis(copy.weight, copy.layer.unit_axis, 0)
            name = copy.layer.name if copy.layer.name is not None else place
            dtype = copy.weight.dtype.name
            flat[...] = orthogonal(flat.shape, seed=seed, name=name, dtype=dtype, threads=threads)
            if copy.bias is not None:
                copy.bias[...] = 0.0
    for copy, given in flow(copies, x):
        for _ in range(tries):
            mean, found = copy.spread(copy.run(given), per_unit=False)
            if abs(found - wanted) <= slack:
                break
            copy.scale(wanted / found)
            if copy.bias is not None and not orthonormal:
                copy.bias *= wanted / found
            copy.tries += 1
        if center and copy.bias is not None:
            copy.bias -= copy.spread(copy.run(given), per_unit=False)[0]
    return finish("lsuv", copies, x)


@guarded
def normalize_within_layers(
    layers: Sequence[Layer], batch: Any, *, mean: float = 0.0, std: float = 1.0
) -> NetworkReport:
    """Each unit of each layer: W ← W·std/s, b ← (b − m)·std/s + mean, with m and s the mean and std
    of its y.

    So every unit starts with the same mean and std. A layer without biases is scaled and not
    shifted.

    Raises
    ------
    ValueError
        A batch of the wrong width, a unit of zero variance, an output that is not finite: no array
        is changed.

    Source: Krähenbühl, Doersch, Donahue and Darrell, Data-dependent initializations of
    convolutional neural networks, ICLR 2016, algorithm 1; the code magic_init with `mean` its bias.

    Examples
    --------
    >>> net = [fi.Layer(np.array([[1.0], [3.0]]), np.zeros(2))]
    >>> _ = fi.normalize_within_layers(net, [[1.0], [2.0], [3.0], [6.0]])
    >>> net[0].weight.ravel().round(6), net[0].bias.round(6)
    (array([0.534522, 0.534522]), array([-1.603567, -1.603567]))
    """
    wanted, middle = positive(std, "std"), real(mean, "mean")
    copies, x = copies_of(layers, batch)
    for copy, given in flow(copies, x):
        _normalize(copy, given, middle, wanted, per_unit=True)
    return finish("within layers", copies, x)


def _normalize(copy: Copy, given: Array, mean: float, std: float, per_unit: bool) -> None:
    found, spread = copy.spread(copy.run(given), per_unit)
    factor = std / spread
    copy.scale(factor)
    if copy.bias is not None:
        copy.bias = ((copy.bias - found) * factor + mean).astype(copy.weight.dtype)
    copy.tries += 1


@guarded
def normalize_between_layers(
    layers: Sequence[Layer],
    batch: Any,
    gradients: Gradients,
    *,
    tolerance: float = 0.01,
    tries: int = 10,
) -> NetworkReport:
    """W_k ← W_k·√(r_k/r), biases by the product so far, until every rate r_k is within `tolerance`
    of their mean r.

    r_k = √(mean g²/mean W_k²) is how fast layer k would change, r their geometric mean: all then
    train at one rate. The product of all factors is 1: a network of homogeneous activations (ReLU)
    still computes the same function.

    Parameters
    ----------
    gradients : from (weights, biases, batch) to the loss's gradient for every weight; the paper's
        loss is a random linear function of the output.

    Raises
    ------
    ValueError
        A batch of the wrong width; gradients of another number or shape, zero or not finite: no
        array is changed.

    Source: Krähenbühl et al., ICLR 2016, algorithm 2. Run normalize_within_layers first.

    Examples
    --------
    >>> net = [fi.Layer(np.full((1, 1), 4.0)), fi.Layer(np.full((1, 1), 1.0))]
    >>> report = fi.normalize_between_layers(net, [[1.0]], lambda w, b, x: [w[1] * x, w[0] * x])
    >>> net[0].weight, net[1].weight, report.layers[0].rate
    (array([[2.]]), array([[2.]]), 1.0)
    """
    slack = positive(tolerance, "tolerance")
    copies, x = copies_of(layers, batch)
    for copy, given in flow(copies, x):
        copy.run(given)
    before, rates = None, _rates(copies, gradients, x)
    for _ in range(tries):
        target = math.exp(sum(map(math.log, rates)) / len(rates))
        before = before or rates
        if all(abs(rate / target - 1.0) <= slack for rate in rates):
            break
        product = 1.0
        for copy, rate in zip(copies, rates, strict=True):
            factor = math.sqrt(rate / target)
            product *= factor
            copy.scale(factor)
            if copy.bias is not None:
                copy.bias = (copy.bias * product).astype(copy.weight.dtype)
            copy.tries += 1
        rates = _rates(copies, gradients, x)
    report = finish("between layers", copies, x)
    lines = [
        line._replace(rate_before=first, rate=last)
        for line, first, last in zip(report.layers, before or rates, rates, strict=True)
    ]
    return report._replace(layers=tuple(lines))


def _rates(copies: list[Copy], gradients: Gradients, batch: Array) -> list[float]:
    """How fast each layer would change relative to its size."""
    found = list(gradients([copy.weight for copy in copies], [copy.bias for copy in copies], batch))
    if len(found) != len(copies):
        raise ValueError(f"gradients gave {len(found)} arrays for {len(copies)} layers")
    rates = []
    for copy, each in zip(copies, found, strict=True):
        gradient = np.asarray(each, np.float64)
        if gradient.shape != copy.weight.shape:
            raise ValueError(
                f"{copy.label}: its gradient has shape {gradient.shape}, its weight "
                f"{copy.weight.shape}"
            )
        size = float(np.square(copy.weight, dtype=np.float64).mean())
        rate = math.sqrt(float(np.square(gradient).mean()) / size) if size > 0.0 else math.nan
        if not 0.0 < rate < math.inf:
            raise ValueError(
                f"{copy.label}: |gradient| / |weight| is {rate}; neither may be zero or not finite"
            )
        rates.append(rate)
    return rates


@guarded
def weight_norm_init(
    layers: Sequence[Layer],
    batch: Any,
    *,
    scale: float = 1.0,
    std: float | None = 0.05,
    seed: Any = None,
    threads: int | None = None,
) -> NetworkReport:
    """V ~ N(0, std²); W = g·V/|V| of each unit, g = scale/√(var + 1e-10), b = −mean·g, of t =
    x·V/|V| on the batch.

    Each unit starts with mean 0 and std `scale`. Where the gain is kept apart, g = |W| of each unit
    and V any multiple of W.

    Parameters
    ----------
    std : of V; None takes the weights given as V.
    seed : of V, each drawn under its layer's name (or place).

    Raises
    ------
    ValueError
        A batch of the wrong width, a unit of zero variance or zero length: no array is changed.

    Source: Salimans and Kingma, Weight normalization, NeurIPS 2016, section 3; openai/weightnorm.

    Examples
    --------
    >>> net = [fi.Layer(np.zeros((2, 3)), np.zeros(2))]
    >>> report = fi.weight_norm_init(net, 5.0 * fi.normal((9, 3), seed=1), seed=0)
    >>> round(report.layers[0].std, 6)
    1.0
    """
    wanted = positive(scale, "scale")
    copies, x = copies_of(layers, batch)
    seed = check_seed(seed)
    for place, copy in enumerate(copies):
        if std is not None:
            name = copy.layer.name if copy.layer.name is not None else place
            normal(std=std, seed=seed, name=name, out=copy.weight, threads=threads)
        axes = tuple(
            axis
            for axis in range(copy.weight.ndim)
            if axis != copy.layer.unit_axis % copy.weight.ndim
        )
        length = np.sqrt(np.square(copy.weight, dtype=np.float64).sum(axis=axes))
        if not length.all():
            raise ValueError(
                f"{copy.label}: units {np.flatnonzero(length == 0)[:5].tolist()} have weights of "
                "length 0"
            )
        copy.scale(1.0 / length)
        if copy.bias is not None:
            copy.bias[...] = 0.0
    for copy, given in flow(copies, x):
        mean, spread = copy.spread(copy.run(given), per_unit=True)
        gain = wanted / np.sqrt(np.square(spread) + 1e-10)
        copy.scale(gain)
        if copy.bias is not None:
            copy.bias = (-mean * gain).astype(copy.weight.dtype)
        copy.tries += 1
    return finish("weight normalization", copies, x)


@guarded
def match_moments(
    layers: Sequence[Layer], batch: Any, *, mean: float | None = None, std: float | None = None
) -> NetworkReport:
    """Each layer as a whole: W ← W·std/s, b ← (b − m)·std/s + mean, with m and s the mean and std
    of all of its y.

    Parameters
    ----------
    mean, std : wanted of every layer's y; those of the batch itself if not given.

    Raises
    ------
    ValueError
        A batch of the wrong width or of zero variance, an output of zero variance: no array is
        changed.

    See also normalize_within_layers, the same unit by unit. A layer without biases is scaled and
    not shifted.

    Examples
    --------
    >>> net = [fi.Layer(np.array([[3.0], [1.0]]), np.zeros(2))]
    >>> report = fi.match_moments(net, [[0.0], [2.0]])
    >>> round(report.layers[0].mean, 6), round(report.layers[0].std, 6)
    (1.0, 1.0)
    """
    copies, x = copies_of(layers, batch)
    own_mean, own_std = moments(x)
    middle = own_mean if mean is None else real(mean, "mean")
    wanted = positive(own_std, "the std of the batch") if std is None else positive(std, "std")
    for copy, given in flow(copies, x):
        _normalize(copy, given, middle, wanted, per_unit=False)
    return finish("moments matched", copies, x)
