"""The public functions on plain arrays: LSUV, Krähenbühl's two normalizations, the start of weight
normalization, and moments matched to the batch.

Each checks its arguments, draws where it has to, runs one of algorithms.py on working copies, and
calls finish(), which writes the layers' own arrays.  Layer, copies and reports: network.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from .._core.arguments import positive, real, whole
from .._core.engine import guarded
from .._core.stream import check_seed
from ..initializers import normal, orthogonal
from ..typing import Array, Real, Seed
from . import algorithms
from .network import Layer, Network, NetworkReport, total_moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Gradients = Callable[["list[Array]", "list[Array | None]", Array], "Sequence[Array]"]


@guarded
def lsuv(
    layers: Sequence[Layer],
    batch: ArrayLike,
    *,
    std: Real = 1.0,
    tolerance: Real = 0.1,
    tries: SupportsIndex = 10,
    orthonormal: bool = True,
    center: bool = False,
    seed: Seed | None = None,
    threads: int | None = None,
) -> NetworkReport:
    """Orthonormal weights, then layer by layer W ← W·std/s until abs(s − std) ≤ tolerance.

    s is the std of the layer's output. Biases are set to zeros.

    Parameters
    ----------
    layers : sequence of Layer
        The network, in order.
    batch : array_like
        Input of the first layer, one example a row.
    std : float, default 1.0
        The std that every layer's output should have.
    tolerance : float, default 0.1
        How far from `std` an output's std may stay.
    tries : int, default 10
        How often a layer is scaled at most; each time costs one forward pass.
    orthonormal : bool, default True
        False keeps the given weights and biases.
    center : bool, default False
        Also move the biases so that the mean of every output is 0.
    seed : int, optional
        Seed of the orthonormal weights; each is drawn under its layer's name (or place).
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        A batch of the wrong width; an output that has zero variance or is not finite. No array is
        changed.

    See Also
    --------
    normalize_within_layers : Unit by unit, in one pass.
    fastinit.torch.lsuv_ : On torch modules.

    Notes
    -----
    Method of [1]_. The orthonormal weights keep the stream contract; the scaling does not, because
    it uses NumPy's products.

    References
    ----------
    .. [1] Mishkin and Matas, All you need is a good init, ICLR 2016.

    Examples
    --------
    >>> net = [fi.Layer(np.empty((4, 3))), fi.Layer(np.empty((2, 4)))]
    >>> report = fi.lsuv(net, fi.normal((9, 3), seed=1), tolerance=1e-6, seed=0)
    >>> [round(layer.std, 6) for layer in report.layers]
    [1.0, 1.0]
    """
    wanted, slack = positive(std, "std"), positive(tolerance, "tolerance")
    network, seed = Network(layers, batch), check_seed(seed)
    for place, copy in enumerate(network.layers):
        if orthonormal:
            flat = np.moveaxis(copy.weight, copy.layer.unit_axis, 0)
            name = copy.layer.name if copy.layer.name is not None else place
            flat[...] = orthogonal(
                flat.shape, seed=seed, name=name, dtype=copy.weight.dtype, threads=threads
            )
            copy.clear_bias()
    algorithms.scale_to_std(
        network, wanted, slack, whole(tries, "tries", 0), not orthonormal, center
    )
    return network.finish("lsuv")


@guarded
def normalize_within_layers(
    layers: Sequence[Layer],
    batch: ArrayLike,
    *,
    mean: Real = 0.0,
    std: Real = 1.0,
) -> NetworkReport:
    """Each unit: W ← W·std/s, b ← (b − m)·std/s + mean, m and s the moments of its output.

    Every unit then starts with the same mean and std. A layer without biases is only scaled.

    Parameters
    ----------
    layers : sequence of Layer
        The network, in order.
    batch : array_like
        Input of the first layer, one example a row.
    mean : float, default 0.0
        The mean that every unit should have.
    std : float, default 1.0
        The std that every unit should have.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        A batch of the wrong width; a unit with zero variance; an output that is not finite. No
        array is changed.

    See Also
    --------
    match_moments : The same for whole layers.
    normalize_between_layers : The next step of the method.
    fastinit.torch.normalize_within_layers_ : On torch modules.

    Notes
    -----
    Algorithm 1 of [1]_; `mean` is called bias in its code, magic_init. Outside the stream contract:
    the products are NumPy's.

    References
    ----------
    .. [1] Krähenbühl, Doersch, Donahue and Darrell, Data-dependent initializations of convolutional
           neural networks, ICLR 2016.

    Examples
    --------
    >>> net = [fi.Layer(np.array([[1.0], [3.0]]), np.zeros(2))]
    >>> _ = fi.normalize_within_layers(net, [[1.0], [2.0], [3.0], [6.0]])
    >>> net[0].weight.ravel().round(6), net[0].bias.round(6)
    (array([0.534522, 0.534522]), array([-1.603567, -1.603567]))
    """
    wanted, middle = positive(std, "std"), real(mean, "mean")
    network = Network(layers, batch)
    algorithms.normalize(network, middle, wanted, per_unit=True)
    return network.finish("within layers")


@guarded
def normalize_between_layers(
    layers: Sequence[Layer],
    batch: ArrayLike,
    gradients: Gradients,
    *,
    tolerance: Real = 0.01,
    tries: SupportsIndex = 10,
) -> NetworkReport:
    """W_k ← W_k·√(r_k / r) until every rate r_k is within `tolerance` of their mean r.

    r_k = √(mean g² / mean W_k²), where g is the gradient, is how fast layer k would change, and r
    is the geometric mean of these: all layers then train at one rate. Each layer's biases are
    multiplied by the product of the factors up to that layer. The product of all factors is 1, so a
    network with homogeneous activations (ReLU) still computes the same function.

    Parameters
    ----------
    layers : sequence of Layer
        The network, in order.
    batch : array_like
        Input of the first layer, one example a row.
    gradients : callable
        A function of (weights, biases, batch) that returns the gradient of the loss for every
        weight; the paper's loss is a random linear function of the output.
    tolerance : float, default 0.01
        How far a rate may stay from the mean, relative to the mean.
    tries : int, default 10
        The most rounds of scaling.

    Returns
    -------
    NetworkReport
        Mean, std and rate of every layer, before and after.

    Raises
    ------
    ValueError
        A batch of the wrong width; gradients of the wrong number or shape, zero, or not finite. No
        array is changed.

    See Also
    --------
    normalize_within_layers : The step before.
    fastinit.torch.normalize_between_layers_ : On torch modules.

    Notes
    -----
    Algorithm 2 of [1]_. Outside the stream contract: the products are NumPy's.

    References
    ----------
    .. [1] Krähenbühl, Doersch, Donahue and Darrell, Data-dependent initializations of convolutional
           neural networks, ICLR 2016.

    Examples
    --------
    >>> net = [fi.Layer(np.full((1, 1), 4.0)), fi.Layer(np.full((1, 1), 1.0))]
    >>> report = fi.normalize_between_layers(net, [[1.0]], lambda w, b, x: [w[1] * x, w[0] * x])
    >>> net[0].weight, net[1].weight, report.layers[0].rate
    (array([[2.]]), array([[2.]]), 1.0)
    """
    slack = positive(tolerance, "tolerance")
    network = Network(layers, batch)
    return algorithms.balance_rates(
        network,
        lambda: _rates(network, gradients),
        slack,
        whole(tries, "tries", 0),
        lambda: network.finish("between layers"),
    )


def _rates(network: Network, gradients: Gradients) -> list[float]:
    copies = network.layers
    found = list(
        gradients([copy.weight for copy in copies], [copy.bias for copy in copies], network.batch)
    )
    if len(found) != len(copies):
        raise ValueError(
            f"gradients gave {len(found)} arrays for {len(copies)} layers; give one for each"
        )
    rates = []
    for copy, each in zip(copies, found, strict=True):
        gradient = np.asarray(each, np.float64)
        if gradient.shape != copy.weight.shape:
            raise ValueError(
                f"{copy.label}: its gradient has shape {gradient.shape}, its weight "
                f"{copy.weight.shape}"
            )
        size = float(np.square(copy.weight, dtype=np.float64).mean())
        rates.append(algorithms.rate(copy.label, float(np.square(gradient).mean()), size))
    return rates


@guarded
def weight_norm_init(
    layers: Sequence[Layer],
    batch: ArrayLike,
    *,
    scale: Real = 1.0,
    std: Real | None = 0.05,
    seed: Seed | None = None,
    threads: int | None = None,
) -> NetworkReport:
    """V ~ N(0, std²), W = g·V/norm(V) of each unit, g = scale/√(var + 1e-10), b = −mean·g.

    mean and var are those of t = x·V/norm(V) on the batch, so that each unit starts with mean 0 and
    std `scale`. A model that keeps g and V as two parameters takes for g the norm of each unit of
    W, and for V any multiple of W.

    Parameters
    ----------
    layers : sequence of Layer
        The network, in order.
    batch : array_like
        Input of the first layer, one example a row.
    scale : float, default 1.0
        The std that every unit should have.
    std : float, optional
        Std of V, 0.05 by default; None uses the given weights as V.
    seed : int, optional
        Seed of V; each layer's is drawn under its name (or place).
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        A batch of the wrong width; a unit with zero variance or weights of length 0. No array is
        changed.

    See Also
    --------
    normalize_within_layers : The same without drawing V.
    fastinit.torch.weight_norm_init_ : On torch modules.

    Notes
    -----
    Section 3 of [1]_ and openai/weightnorm. Outside the stream contract: the products are NumPy's.

    References
    ----------
    .. [1] Salimans and Kingma, Weight normalization, NeurIPS 2016.

    Examples
    --------
    >>> net = [fi.Layer(np.zeros((2, 3)), np.zeros(2))]
    >>> report = fi.weight_norm_init(net, 5.0 * fi.normal((9, 3), seed=1), seed=0)
    >>> round(report.layers[0].std, 6)
    1.0
    """
    wanted = positive(scale, "scale")
    network, seed = Network(layers, batch), check_seed(seed)
    if std is not None:
        for place, copy in enumerate(network.layers):
            name = copy.layer.name if copy.layer.name is not None else place
            normal(std=std, seed=seed, name=name, out=copy.weight, threads=threads)
    algorithms.start_weight_norm(network, wanted)
    return network.finish("weight normalization")


@guarded
def match_moments(
    layers: Sequence[Layer],
    batch: ArrayLike,
    *,
    mean: Real | None = None,
    std: Real | None = None,
) -> NetworkReport:
    """Each layer: W ← W·std/s, b ← (b − m)·std/s + mean, m and s the moments of its output.

    A layer without biases is only scaled.

    Parameters
    ----------
    layers : sequence of Layer
        The network, in order.
    batch : array_like
        Input of the first layer, one example a row.
    mean : float, optional
        The mean that every layer's output should have; that of the batch by default.
    std : float, optional
        The std that every layer's output should have; that of the batch by default.

    Returns
    -------
    NetworkReport
        Mean and std of every layer's output, before and after.

    Raises
    ------
    ValueError
        A batch of the wrong width; a batch or an output with zero variance. No array is changed.

    See Also
    --------
    normalize_within_layers : The same for each unit.
    fastinit.torch.match_moments_ : On torch modules.

    Notes
    -----
    Outside the stream contract: the products are NumPy's.

    Examples
    --------
    >>> net = [fi.Layer(np.array([[3.0], [1.0]]), np.zeros(2))]
    >>> report = fi.match_moments(net, [[0.0], [2.0]])
    >>> round(report.layers[0].mean, 6), round(report.layers[0].std, 6)
    (1.0, 1.0)
    """
    network = Network(layers, batch)
    own_mean, own_std = total_moments(network.batch)
    middle = own_mean if mean is None else real(mean, "mean")
    wanted = positive(own_std, "the std of the batch") if std is None else positive(std, "std")
    algorithms.normalize(network, middle, wanted, per_unit=False)
    return network.finish("moments matched")
