"""fastinit's data-dependent methods for torch modules, which run a batch through the model.

Each function checks its arguments and runs an algorithm of ../data_dependent/algorithms.py on the
model's layers (_network.py).  The results are outside the stream contract, because torch computes
the products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

from torch import Tensor, nn

from .._core.arguments import positive, real, whole
from .._core.stream import check_seed
from ..data_dependent import algorithms
from ..data_dependent.network import NetworkReport
from ..initializers import normal, orthogonal
from ..typing import Real, Seed
from ._network import Network


def lsuv_(
    model: nn.Module,
    batch: Any,
    *,
    std: Real = 1.0,
    tolerance: Real = 0.1,
    tries: SupportsIndex = 10,
    orthonormal: bool = True,
    center: bool = False,
    seed: Seed | None = 0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Orthonormal weights, then layer by layer W ← W·std/s until abs(s − std) ≤ tolerance.

    s is the std of the layer's output. Biases are zeros.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its linear and convolutional modules are the layers.
    batch : tensor, tuple or mapping
        What the model is called with: one argument, several, or keyword arguments.
    std : float, default 1.0
        The std wanted of every output.
    tolerance : float, default 0.1
        How far from it the std may stay.
    tries : int, default 10
        The most scalings of a layer; each is one forward up to it.
    orthonormal : bool, default True
        False keeps the weights and biases that the model has.
    center : bool, default False
        Also move the biases so that the mean of every output is 0.
    seed : int, default 0
        Seed of the orthonormal weights, each drawn under its parameter's name.
    layers : sequence of torch.nn.Module, optional
        Only these modules; every linear and convolutional one by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        An output of zero variance or not finite; tied, sharded or meta weights.
        No parameter is changed.

    See Also
    --------
    fastinit.lsuv : The same on plain arrays.

    Notes
    -----
    Method of [1]_.

    References
    ----------
    .. [1] Mishkin and Matas, All you need is a good init, ICLR 2016.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 4)
    >>> report = fit.lsuv_(model, fit.normal_(torch.empty(9, 3)), tolerance=1e-4)
    >>> round(report.layers[0].std, 3)
    1.0
    """
    wanted, slack = positive(std, "std"), positive(tolerance, "tolerance")
    most, seed = whole(tries, "tries", 0), check_seed(seed)
    network = Network(model, batch, layers)
    with network.changing():
        if orthonormal:
            network.draw(lambda name, out: orthogonal(seed=seed, name=name, out=out))
            for layer in network.layers:
                layer.clear_bias()
                layer.write()
        algorithms.scale_to_std(network, wanted, slack, most, not orthonormal, center)
        return network.report("lsuv")


def normalize_within_layers_(
    model: nn.Module,
    batch: Any,
    *,
    mean: Real = 0.0,
    std: Real = 1.0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Each unit: W ← W·std/s, b ← (b − m)·std/s + mean, m and s the moments of its output.

    Every unit then starts with the same mean and std.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its linear and convolutional modules are the layers.
    batch : tensor, tuple or mapping
        What the model is called with: one argument, several, or keyword arguments.
    mean : float, default 0.0
        The mean wanted of every unit.
    std : float, default 1.0
        The std wanted of every unit.
    layers : sequence of torch.nn.Module, optional
        Only these modules; every linear and convolutional one by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        An output of zero variance or not finite; tied, sharded or meta weights.
        No parameter is changed.

    See Also
    --------
    fastinit.normalize_within_layers : The same on plain arrays.
    match_moments_ : The same by whole layers.

    Notes
    -----
    Algorithm 1 of [1]_.

    References
    ----------
    .. [1] Krähenbühl, Doersch, Donahue and Darrell, Data-dependent initializations of convolutional
           neural networks, ICLR 2016.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 4)
    >>> report = fit.normalize_within_layers_(model, fit.normal_(torch.empty(9, 3)), std=2.0)
    >>> round(report.layers[0].std, 3)
    2.0
    """
    wanted, middle = positive(std, "std"), real(mean, "mean")
    network = Network(model, batch, layers)
    with network.changing():
        algorithms.normalize(network, middle, wanted, per_unit=True)
        return network.report("within layers")


def match_moments_(
    model: nn.Module,
    batch: Any,
    *,
    mean: Real = 0.0,
    std: Real = 1.0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Each layer: W ← W·std/s, b ← (b − m)·std/s + mean, m and s the moments of its output.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its linear and convolutional modules are the layers.
    batch : tensor, tuple or mapping
        What the model is called with: one argument, several, or keyword arguments.
    mean : float, default 0.0
        The mean wanted of every layer's output.
    std : float, default 1.0
        The std wanted of every layer's output.
    layers : sequence of torch.nn.Module, optional
        Only these modules; every linear and convolutional one by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        An output of zero variance or not finite; tied, sharded or meta weights.
        No parameter is changed.

    See Also
    --------
    fastinit.match_moments : The same on plain arrays.
    normalize_within_layers_ : The same unit by unit.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 4)
    >>> report = fit.match_moments_(model, fit.normal_(torch.empty(9, 3)), std=2.0)
    >>> round(report.layers[0].std, 3)
    2.0
    """
    wanted, middle = positive(std, "std"), real(mean, "mean")
    network = Network(model, batch, layers)
    with network.changing():
        algorithms.normalize(network, middle, wanted, per_unit=False)
        return network.report("moments matched")


def weight_norm_init_(
    model: nn.Module,
    batch: Any,
    *,
    scale: Real = 1.0,
    std: Real | None = 0.05,
    seed: Seed | None = 0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """V ~ N(0, std²), W = g·V/norm(V) of each unit, g = scale/√(var + 1e-10), b = −mean·g.

    mean and var are those of the output of V/norm(V) on the batch, so that each unit starts with
    mean 0 and std `scale`.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its linear and convolutional modules are the layers.
    batch : tensor, tuple or mapping
        What the model is called with: one argument, several, or keyword arguments.
    scale : float, default 1.0
        The std wanted of every unit.
    std : float, optional
        Std of V, 0.05 by default; None takes the weights that the model has as V.
    seed : int, default 0
        Seed of V, each drawn under its parameter's name.
    layers : sequence of torch.nn.Module, optional
        Only these modules; every linear and convolutional one by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        An output of zero variance or not finite; tied, sharded or meta weights.
        No parameter is changed.

    See Also
    --------
    fastinit.weight_norm_init : The same on plain arrays.

    Notes
    -----
    Section 3 of [1]_.

    References
    ----------
    .. [1] Salimans and Kingma, Weight normalization, NeurIPS 2016.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 4)
    >>> report = fit.weight_norm_init_(model, fit.normal_(torch.empty(9, 3)), scale=2.0)
    >>> round(report.layers[0].std, 3)
    2.0
    """
    wanted, seed = positive(scale, "scale"), check_seed(seed)
    network = Network(model, batch, layers)
    with network.changing():
        if std is not None:
            network.draw(lambda name, out: normal(std=std, seed=seed, name=name, out=out))
        algorithms.start_weight_norm(network, wanted)
        return network.report("weight normalization")


def normalize_between_layers_(
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    tolerance: Real = 0.01,
    tries: SupportsIndex = 10,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """W_k ← W_k·√(r_k / r) until every rate r_k is within `tolerance` of their mean r.

    r_k = √(mean g² / mean W_k²), g the gradient, is how fast layer k would change, and r is their
    geometric mean. Biases are multiplied by the product of the factors so far.

    Parameters
    ----------
    model : torch.nn.Module
        The model; its linear and convolutional modules are the layers.
    batch : tensor, tuple or mapping
        What the model is called with: one argument, several, or keyword arguments.
    loss : callable, optional
        From the model's output to a scalar tensor; by default the paper's, a random linear function
        of the output, which must then be a tensor.
    tolerance : float, default 0.01
        How far a rate may stay from the mean, relative to it.
    tries : int, default 10
        The most rounds of scaling.
    layers : sequence of torch.nn.Module, optional
        Only these modules; every linear and convolutional one by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after, and its rates.

    Raises
    ------
    ValueError
        An output of zero variance or not finite; gradients of zero; tied, sharded or meta weights.
        No parameter is changed.

    See Also
    --------
    fastinit.normalize_between_layers : The same on plain arrays.
    normalize_within_layers_ : What is run first.

    Notes
    -----
    Algorithm 2 of [1]_.

    References
    ----------
    .. [1] Krähenbühl, Doersch, Donahue and Darrell, Data-dependent initializations of convolutional
           neural networks, ICLR 2016.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    >>> report = fit.normalize_between_layers_(model, fit.normal_(torch.empty(9, 3)))
    >>> first, last = (layer.rate for layer in report.layers)
    >>> 0.98 < first / last < 1.02
    True
    """
    slack, most = positive(tolerance, "tolerance"), whole(tries, "tries", 0)
    network = Network(model, batch, layers)
    with network.changing():
        return algorithms.balance_rates(
            network,
            lambda: network.rates(loss),
            slack,
            most,
            lambda: network.report("between layers"),
        )
