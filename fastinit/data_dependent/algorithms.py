"""The data-dependent algorithms, written once for NumPy networks and torch models.

An algorithm sees layers that can be measured and scaled, and knows nothing of arrays or modules.
Moments are numbers or arrays of the network's own kind; only + - * / and powers are applied to
them.
Layers: network.py and ../torch/_network.py.  Public functions: methods.py and
../torch/data_dependent.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from .network import NetworkReport


class MeasuredLayer(Protocol):
    label: str
    tries: int  # how often an algorithm scaled it

    def moments(self, per_unit: bool) -> tuple[Any, Any]:
        """Mean and std of the output on the batch; a std of zero is an error."""

    def lengths(self) -> Any:
        """The Euclidean norm of the weights of each unit."""

    def scale(self, factor: Any) -> None:
        """Multiply the weight by one number, or by one a unit."""

    def change_bias(self, change: Callable[[Any], Any]) -> None:
        """Set the bias to change(bias); do nothing where there is no bias."""

    def clear_bias(self) -> None:
        """Set the bias to zeros; do nothing where there is no bias."""


class MeasuredNetwork(Protocol):
    @property
    def layers(self) -> Sequence[MeasuredLayer]: ...

    def in_order(self) -> Iterator[MeasuredLayer]:
        """The layers in order; each is measured on the output of the finished layers before it."""


def scale_to_std(
    network: MeasuredNetwork,
    std: float,
    tolerance: float,
    tries: int,
    scale_biases: bool,
    center: bool,
) -> None:
    """LSUV after its orthonormal start."""
    for layer in network.in_order():
        for _ in range(tries):
            _, found = layer.moments(per_unit=False)
            if abs(found - std) <= tolerance:
                break
            factor = std / found
            layer.scale(factor)
            if scale_biases:
                layer.change_bias(lambda bias, factor=factor: bias * factor)  # type: ignore[misc]
            layer.tries += 1
        if center:
            mean, _ = layer.moments(per_unit=False)
            layer.change_bias(lambda bias, mean=mean: bias - mean)  # type: ignore[misc]


def normalize(network: MeasuredNetwork, mean: float, std: float, per_unit: bool) -> None:
    """Bring every unit, or every layer as a whole, to the mean and the std."""
    for layer in network.in_order():
        found, spread = layer.moments(per_unit)
        factor = std / spread
        layer.scale(factor)
        layer.change_bias(lambda bias, m=found, f=factor: (bias - m) * f + mean)  # type: ignore[misc]
        layer.tries += 1


def start_weight_norm(network: MeasuredNetwork, scale: float) -> None:
    """Weight normalization's start, which keeps the directions of the weights."""
    for layer in network.layers:
        lengths = layer.lengths()
        zero = [unit for unit, length in enumerate(lengths.tolist()) if not length]
        if zero:
            raise ValueError(f"{layer.label}: units {zero[:5]} have weights of length 0")
        layer.scale(1.0 / lengths)
        layer.clear_bias()
    for layer in network.in_order():
        mean, spread = layer.moments(per_unit=True)
        gain = scale / (spread**2 + 1e-10) ** 0.5
        layer.scale(gain)
        layer.change_bias(lambda _, shift=-mean * gain: shift)  # type: ignore[misc]
        layer.tries += 1


def balance_rates(
    network: MeasuredNetwork,
    rates: Callable[[], list[float]],
    tolerance: float,
    tries: int,
    report: Callable[[], NetworkReport],
) -> NetworkReport:
    """Scale all layers until their rates of change are alike; then call report()."""
    for _ in network.in_order():
        pass  # so that every layer is measured before it changes
    before = now = rates()
    for _ in range(tries):
        target = math.exp(sum(map(math.log, now)) / len(now))
        if all(abs(rate / target - 1.0) <= tolerance for rate in now):
            break
        product = 1.0
        for layer, rate in zip(network.layers, now, strict=True):
            factor = math.sqrt(rate / target)
            product *= factor
            layer.scale(factor)
            layer.change_bias(lambda bias, product=product: bias * product)  # type: ignore[misc]
            layer.tries += 1
        now = rates()
    result = report()
    lines = [
        line._replace(rate_before=first, rate=last)
        for line, first, last in zip(result.layers, before, now, strict=True)
    ]
    return result._replace(layers=tuple(lines))


def rate(label: str, gradient: float, weight: float) -> float:
    """How fast a layer would change relative to its size, from two mean squares."""
    found = math.sqrt(gradient / weight) if weight > 0.0 else math.nan
    if not 0.0 < found < math.inf:
        raise ValueError(
            f"{label}: |gradient| / |weight| is {found}; both must be finite and above zero"
        )
    return found
