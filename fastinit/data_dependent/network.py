"""A network as a plain sequence of layers, its working copies, and the report about it.

Every check is made here.  Only Network.finish() writes the layers' own arrays, all of them or none.
What happens to the copies in between: algorithms.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .._core.arguments import described, shown
from .._core.tables import Table
from ..typing import Array

Forward = Callable[[Array, Array, "Array | None"], Array]


def dense(
    x: Array,
    weight: Array,
    bias: Array | None,
) -> Array:
    """x @ weight.T + bias: the forward of a fully connected layer.

    Parameters
    ----------
    x : array
        A batch, one example a row.
    weight : array
        Of shape (out, in).
    bias : array, optional
        One number for each output.

    Returns
    -------
    array
        The outputs, one example a row.

    Raises
    ------
    ValueError
        A batch whose width differs from the weight's.

    See Also
    --------
    Layer : Its default forward is this function.

    Examples
    --------
    >>> fi.dense(np.array([[1.0, 2.0]]), np.eye(2), np.ones(2))
    array([[2., 3.]])
    """
    if x.ndim < 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"a dense layer of {weight.shape[1]} inputs got a batch of shape {x.shape}; give one "
            f"example a row, of {weight.shape[1]} values"
        )
    y = x @ weight.T
    return y if bias is None else y + bias


class Layer(NamedTuple):
    """One layer: y = forward(x, weight, bias); activation(y) is the input x of the next layer.

    Parameters
    ----------
    weight : array
        The weight, with its units along `unit_axis`; weight and bias are written in place.
    bias : array, optional
        One number for each unit.
    forward : callable
        A function of (x, weight, bias) that returns y, linear in weight and bias; `dense` by
        default.
    activation : callable, optional
        A function of y that returns the next layer's x.
    unit_axis : int, default 0
        Axis of the units in `weight`.
    output_axis : int, default -1
        Axis of the units in y; 1 if y is (example, channel, …).
    name : str, optional
        Name for reports, errors and the draws of `lsuv` and `weight_norm_init`.

    See Also
    --------
    lsuv, match_moments, weight_norm_init : Methods that take a sequence of these.
    dense : The default forward.

    Examples
    --------
    >>> layer = fi.Layer(np.eye(2), np.ones(2), activation=np.tanh, name="fc")
    >>> fi.dense(np.array([[1.0, 2.0]]), layer.weight, layer.bias)
    array([[2., 3.]])
    """

    weight: Array
    bias: Array | None = None
    forward: Forward = dense
    activation: Callable[[Array], Array] | None = None
    unit_axis: int = 0
    output_axis: int = -1
    name: str | None = None


class LayerReport(NamedTuple):
    """Mean and std of a layer's y before and after, how often it was scaled, and its rates of
    change where normalize_between_layers measured them.
    """

    name: str
    mean_before: float
    std_before: float
    mean: float
    std: float
    tries: int
    rate_before: float | None = None
    rate: float | None = None


class NetworkReport(NamedTuple):
    """What was done, layer by layer; it prints as a table."""

    method: str
    layers: tuple[LayerReport, ...]

    def table(self) -> Table:
        """The report in rows of text."""
        columns = ["layer", "mean before", "std before", "mean", "std", "tries"]
        rows = [
            [each.name, *(f"{number:.4g}" for number in each[1:5]), str(each.tries)]
            for each in self.layers
        ]
        if any(each.rate is not None for each in self.layers):
            columns += ["rate before", "rate"]
            rows = [
                [*row, f"{each.rate_before:.4g}", f"{each.rate:.4g}"]
                for row, each in zip(rows, self.layers, strict=True)
            ]
        return Table(self.method, columns, rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


# ---------------------------------------------------------------------------------- the common part


class Copy:
    """A layer's working copy: weight and bias in float32 (in float64 if the weight is), and what
    was measured.
    """

    def __init__(self, layer: Any, place: int, dtype: Any) -> None:
        self.layer = layer
        self.label = f"layer {place}" + ("" if layer.name is None else f" ({shown(layer.name)})")
        self.weight = layer.weight.astype(dtype)
        self.bias = None if layer.bias is None else layer.bias.astype(dtype)
        self.given: Array = np.empty(0)  # its input, set by Network.in_order
        self.tries = 0
        self.before: tuple[float, float] | None = None

    def run(self, x: Array) -> Array:
        """y for x, checked."""
        try:
            with np.errstate(all="ignore"):
                y = np.asarray(self.layer.forward(x, self.weight, self.bias))
        except Exception as error:
            raise ValueError(
                f"{self.label}: forward failed on an input of shape {x.shape}: {error}"
            ) from error
        units, axis = self.weight.shape[self.layer.unit_axis], self.layer.output_axis
        if not -y.ndim <= axis < y.ndim or y.shape[axis] != units:
            raise ValueError(
                f"{self.label}: output of shape {y.shape} does not have its {units} units on axis "
                f"{axis}; see output_axis of fi.Layer"
            )
        if not y.size or not np.isfinite(y).all():
            raise ValueError(f"{self.label}: the output is {'not finite' if y.size else 'empty'}")
        if self.before is None:
            self.before = total_moments(y)
        return y

    def activated(self, y: Array) -> Array:
        return y if self.layer.activation is None else np.asarray(self.layer.activation(y))

    def moments(self, per_unit: bool) -> tuple[Any, Any]:
        """Mean and std of y in float64, of all of it or of each unit; a std of zero is an error."""
        y = self.run(self.given)
        values = np.moveaxis(y, self.layer.output_axis, 0).reshape(
            y.shape[self.layer.output_axis], -1
        )
        if not per_unit:
            values = values.reshape(1, -1)
        mean, std = values.mean(axis=1, dtype=np.float64), values.std(axis=1, dtype=np.float64)
        # An output that is constant but for rounding errors counts as constant.
        constant = std <= 8 * np.finfo(self.weight.dtype).eps * np.abs(values).max(axis=1)
        if constant.any():
            what = f"units {np.flatnonzero(constant)[:5].tolist()}" if per_unit else "the output"
            raise ValueError(
                f"{self.label}: {what} of this batch has zero variance and cannot be scaled to "
                "any std; give a batch that varies, or other weights"
            )
        return (mean, std) if per_unit else (mean[0], std[0])

    def scale(self, factor: Any) -> None:
        """Multiply the weight, by one number or by one a unit."""
        if np.ndim(factor):
            factor = np.reshape(
                factor,
                [
                    -1 if axis == self.layer.unit_axis % self.weight.ndim else 1
                    for axis in range(self.weight.ndim)
                ],
            )
        self.weight = (self.weight * factor).astype(self.weight.dtype)

    def change_bias(self, change: Callable[[Array], Any]) -> None:
        if self.bias is not None:
            self.bias = np.asarray(change(self.bias)).astype(self.weight.dtype)

    def clear_bias(self) -> None:
        if self.bias is not None:
            self.bias[...] = 0.0

    def lengths(self) -> Array:
        unit_axis = self.layer.unit_axis % self.weight.ndim
        axes = tuple(axis for axis in range(self.weight.ndim) if axis != unit_axis)
        return np.sqrt(np.square(self.weight, dtype=np.float64).sum(axis=axes))  # type: ignore[no-any-return]

    def report(self) -> LayerReport:
        after = total_moments(self.run(self.given))
        name = self.layer.name if self.layer.name is not None else self.label
        return LayerReport(name, *(self.before or after), *after, self.tries)


def total_moments(y: Array) -> tuple[float, float]:
    """Mean and std of a whole array."""
    return float(y.mean(dtype=np.float64)), float(y.std(dtype=np.float64))


class Network:
    """Working copies of all layers, and the batch; the layers' own arrays change in finish()."""

    def __init__(self, layers: Any, batch: Any) -> None:
        self.layers, self.batch = _copies(layers, batch)

    def in_order(self) -> Iterator[Copy]:
        """Each layer with its input; it may change between being yielded and the next step."""
        x = self.batch
        for copy in self.layers:
            copy.given = x
            yield copy
            x = copy.activated(copy.run(x))

    def finish(self, method: str) -> NetworkReport:
        """Commit, with the statistics of the finished network."""
        reports = [copy.report() for copy in self.in_order()]
        _commit(self.layers)
        return NetworkReport(method, tuple(reports))


def _copies(layers: Any, batch: Any) -> tuple[list[Copy], Array]:
    """Working copies of all layers and of the batch, after every check that needs no forward
    pass.
    """
    try:
        layers = list(layers)
    except TypeError:
        raise TypeError(f"layers must be a sequence of fi.Layer, not {described(layers)}") from None
    if not layers:
        raise ValueError("there are no layers; give at least one fi.Layer")
    for place, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layer {place} is {described(layer)}; give fi.Layer(weight, bias, ...)"
            )
        for what, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array is None and what == "bias":
                continue
            if not isinstance(array, np.ndarray) or not _is_floating(array):
                raise TypeError(f"layer {place}: {what} must be a NumPy array of a floating dtype")
            if not array.flags.writeable:
                raise ValueError(
                    f"layer {place}: {what} is read-only, and it would be written in place; give a "
                    "writable array"
                )
        if not -layer.weight.ndim <= layer.unit_axis < layer.weight.ndim:
            raise ValueError(
                f"layer {place}: weight of shape {layer.weight.shape} has no axis {layer.unit_axis}"
            )
        units = layer.weight.shape[layer.unit_axis]
        if layer.bias is not None and layer.bias.shape != (units,):
            raise ValueError(
                f"layer {place}: bias has shape {layer.bias.shape}, but the weight has {units} "
                f"units; give a bias of shape ({units},)"
            )
    arrays = [
        array for layer in layers for array in (layer.weight, layer.bias) if array is not None
    ]
    for place, array in enumerate(arrays):
        if any(np.shares_memory(array, other) for other in arrays[:place]):
            raise ValueError(
                "two of the weights and biases share memory; tied layers cannot be scaled one by "
                "one"
            )
    dtype = np.float64 if any(layer.weight.dtype == np.float64 for layer in layers) else np.float32
    data = np.asarray(batch)
    if data.dtype == object or data.dtype.kind == "c":
        raise TypeError(f"batch has dtype {data.dtype}; give real numbers")
    data = data.astype(dtype)
    if not data.size:
        raise ValueError(f"batch of shape {data.shape} is empty")
    if not np.isfinite(data).all():
        raise ValueError("batch holds values that are not finite; give finite numbers")
    return [Copy(layer, place, dtype) for place, layer in enumerate(layers)], data


def _is_floating(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name in (
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
    )


def _commit(copies: list[Copy]) -> None:
    """Write all weights and biases into the layers' own arrays, or none."""
    ready = []
    for copy in copies:
        for mine, own in ((copy.weight, copy.layer.weight), (copy.bias, copy.layer.bias)):
            if mine is None or own is None:
                continue
            with np.errstate(all="ignore"):
                rounded = mine.astype(own.dtype)
            if not np.isfinite(rounded.astype(np.float64)).all():
                raise ValueError(f"{copy.label}: the result is not finite in {own.dtype}")
            ready.append((own, rounded))
    for own, rounded in ready:
        own[...] = rounded
