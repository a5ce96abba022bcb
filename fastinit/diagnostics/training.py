"""train(): the loss of a small deep ReLU network over its first steps, for each initializer.

It uses only NumPy, and the caller provides the data.  It shows the effect of an initialization and
is not meant for training models.  compare.py measures signal and gradient before the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np

from .._core.arguments import positive, said, shown, whole
from .._core.stream import check_seed
from ..typing import Array, Real, Seed
from .compare import Choice, Initializer, choices


def train(
    initializers: Choice | Sequence[Choice],
    inputs: Any,
    labels: Any,
    *,
    depth: SupportsIndex = 22,
    width: SupportsIndex = 96,
    rate: Real = 0.03,
    steps: SupportsIndex = 1000,
    batch: SupportsIndex = 64,
    seed: Seed = 0,
) -> list[dict[str, Any]]:
    """Train a ReLU classifier from each initializer, W ← W - rate ∂loss/∂W, and give its losses.

    Parameters
    ----------
    initializers : str, callable, tuple or sequence of these
        As of `compare`: "he_normal", "normal:0.01", or several with commas.
    inputs : array_like
        The data, of shape (samples, features), scaled by the caller.
    labels : array_like of int
        The class of each sample, from 0.
    depth : int
        How many weight matrices the network has; a ReLU follows each but the last.
    width : int
        Units of each layer but the last, which has one for each class.
    rate : float
        The learning rate, the same in all steps.
    steps, batch : int
        How many steps of gradient descent, and samples of each.
    seed : int
        One for all weights and for the choice of samples, which is the same for all initializers.
        The weights are named "layers.0.weight" and so on.

    Returns
    -------
    list of dict
        One row for each initializer and step: "initializer", "depth", "step", and "loss", the mean
        cross-entropy of that step's samples before the step. A loss that explodes is inf or nan.

    Raises
    ------
    ValueError
        An unknown initializer; data of other shapes; sizes below 1; a rate that is not above 0.
    TypeError
        Labels that are not integers; arguments that the initializer does not have.

    See Also
    --------
    compare : The signal and the gradient before any training.

    Notes
    -----
    The network has no biases, so that only the weights learn. The loss of a network that has
    learned nothing is about the logarithm of the number of classes. He et al. [1]_ compared two
    initializations in this way, with 22 and 30 layers.

    References
    ----------
    .. [1] He et al., Delving deep into rectifiers: surpassing human-level performance on ImageNet
           classification, 2015.

    Examples
    --------
    >>> from fastinit import diagnostics
    >>> inputs = [[-1.0, 0.5], [1.0, 0.5]]
    >>> rows = diagnostics.train("he_normal", inputs, [0, 1], depth=3, width=16, steps=200)
    >>> rows[-1]["loss"] < rows[0]["loss"]
    True
    """
    chosen = choices(initializers)
    x, classes = _data(inputs, labels)
    depth, width, steps, batch = (
        whole(size, what)
        for size, what in ((depth, "depth"), (width, "width"), (steps, "steps"), (batch, "batch"))
    )
    rate, seed = positive(rate, "rate"), check_seed(seed)
    sizes = [x.shape[1], *[width] * (depth - 1), int(classes.max()) + 1]
    rows = []
    for initializer in chosen:
        weights = _weights(initializer, sizes, seed)
        order = np.random.default_rng(seed)
        with np.errstate(all="ignore"):  # an exploding loss is part of the result
            for step in range(steps):
                picked = order.integers(0, len(x), batch)
                loss, gradients = loss_and_gradients(weights, x[picked], classes[picked])
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight -= rate * gradient
                rows.append(
                    {"initializer": initializer.label, "depth": depth, "step": step, "loss": loss}
                )
    return rows


def _data(inputs: Any, labels: Any) -> tuple[Array, Array]:
    """Inputs in float32, and labels, with matching shapes."""
    x, classes = _array(inputs, "inputs", np.float32), _array(labels, "labels", None)
    if x.ndim != 2 or not x.size:
        raise ValueError(
            f"inputs have shape {x.shape}; they must be (samples, features), neither 0"
        )
    if classes.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, not {classes.dtype}")
    if classes.shape != x.shape[:1]:
        raise ValueError(
            f"labels have shape {classes.shape}; give one for each of the {len(x)} samples"
        )
    if classes.min() < 0:
        raise ValueError(f"a label is {shown(int(classes.min()))}; classes count from 0")
    return x, classes


def _array(values: Any, what: str, dtype: Any) -> Array:
    try:
        return np.asarray(values, dtype)
    except TypeError as error:
        raise TypeError(f"{what} must be an array of numbers: {said(error)}") from None
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{what} must be an array of numbers: {said(error)}") from None


def _weights(initializer: Initializer, sizes: list[int], seed: int) -> list[Array]:
    return [
        np.asarray(
            initializer.function(
                (outputs, inputs),
                seed=seed,
                name=f"layers.{layer}.weight",
                dtype="float32",
                **initializer.arguments,
            )
        )
        for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False))
    ]


def loss_and_gradients(weights: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """The mean cross-entropy of softmax(W_L relu(… relu(W_1 x))), and the gradient for each W."""
    activations = [x]
    for weight in weights[:-1]:
        activations.append(np.maximum(activations[-1] @ weight.T, 0.0))
    logits = activations[-1] @ weights[-1].T
    logits -= logits.max(1, keepdims=True)  # exp() of large logits would overflow
    exponentials = np.exp(logits)
    totals = exponentials.sum(1)
    samples = np.arange(len(x))
    loss = float((np.log(totals) - logits[samples, labels]).mean())
    error = exponentials / totals[:, None]
    error[samples, labels] -= 1.0
    error /= len(x)
    gradients = []
    for weight, below in zip(weights[::-1], activations[::-1], strict=True):
        gradients.append(error.T @ below)
        error = (error @ weight) * (below > 0.0)  # unused for the inputs
    return loss, gradients[::-1]
