"""The data-dependent methods of fastinit on real modules: a batch runs through the model, whatever
its graph.

Layers are linear and convolutional modules in the order in which the model first calls them; each
is measured by a hook on its output.  Either all of them change, or none; buffers, hooks and torch's
random state are as before.  The methods on plain arrays, with their sources:
fastinit/data_dependent.  Outside the stream contract: the products are torch's.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._core.arguments import positive, real
from .._core.stream import check_seed, stream_id
from ..data_dependent.network import LayerReport, NetworkReport
from . import _draw, _memory, _names, init
from ._translate import Call

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def lsuv_(
    model: nn.Module,
    batch: Any,
    *,
    std: float = 1.0,
    tolerance: float = 0.1,
    tries: int = 10,
    orthonormal: bool = True,
    center: bool = False,
    seed: int | None = 0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Orthonormal weights, zero biases; then layer by layer W ← W·std/s until |s − std| ≤
    tolerance, s the std of y.

    Parameters
    ----------
    batch : a tensor, a tuple of arguments or a dict of them, for model(…).
    tries : at most so many scalings a layer; each is one forward up to it.
    orthonormal : False keeps the weights and biases given.
    center : also moves the biases so that the mean of every layer's output is 0.
    seed : of the orthonormal weights, each drawn under its parameter's name.
    layers : only these modules; None is every linear and convolutional one.

    Raises
    ------
    ValueError
        An output of zero variance or not finite, tied or sharded or meta weights: no parameter is
        changed.

    Same as: fi.lsuv on plain arrays. Source: Mishkin and Matas, All you need is a good init, ICLR
    2016.
    """
    wanted, slack = positive(std, "std"), positive(tolerance, "tolerance")
    network = _Network(model, batch, layers)
    with network.changing():
        if orthonormal:
            network.draw("orthogonal", {}, check_seed(seed))
        for layer in network.layers:
            for _ in range(tries):
                _, found = layer.spread(network.output(layer), per_unit=False)
                if abs(found - wanted) <= slack:
                    break
                layer.scale(wanted / found)
                if layer.bias is not None and not orthonormal:
                    layer.bias *= wanted / found
                layer.write()
            if center and layer.bias is not None:
                layer.bias -= layer.spread(network.output(layer), per_unit=False)[0]
                layer.write(counts=False)
        return network.report("lsuv")


def normalize_within_layers_(
    model: nn.Module,
    batch: Any,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Each unit of each layer: W ← W·std/s, b ← (b − m)·std/s + mean, with m and s the mean and std
    of its output.

    Same as: fi.normalize_within_layers. Source: Krähenbühl et al., ICLR 2016, algorithm 1.
    """
    return _normalize(
        model,
        batch,
        "within layers",
        real(mean, "mean"),
        positive(std, "std"),
        layers,
        per_unit=True,
    )


def match_moments_(
    model: nn.Module,
    batch: Any,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """Each layer as a whole: W ← W·std/s, b ← (b − m)·std/s + mean, with m and s the mean and std
    of all of its output.

    Same as: fi.match_moments with mean and std given.
    """
    wanted = positive(std, "std")
    return _normalize(
        model, batch, "moments matched", real(mean, "mean"), wanted, layers, per_unit=False
    )


def weight_norm_init_(
    model: nn.Module,
    batch: Any,
    *,
    scale: float = 1.0,
    std: float | None = 0.05,
    seed: int | None = 0,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """V ~ N(0, std²); W = g·V/|V| of each unit, g = scale/√(var + 1e-10), b = −mean·g, of the
    output on the batch.

    `std` None takes the weights given as V.  Same as: fi.weight_norm_init. Source: Salimans and
    Kingma, NeurIPS 2016.
    """
    wanted = positive(scale, "scale")
    network = _Network(model, batch, layers)
    with network.changing():
        if std is not None:
            network.draw("normal", {"std": std}, check_seed(seed))
        for layer in network.layers:
            length = layer.per_unit_length()
            if not length.all():
                raise ValueError(f"{layer.name}: a unit has weights of length 0")
            layer.scale(1.0 / length)
            if layer.bias is not None:
                layer.bias.zero_()
            layer.write(counts=False)
            middle, spread = layer.spread(network.output(layer), per_unit=True)
            gain = wanted / torch.sqrt(spread.square() + 1e-10)
            layer.scale(gain)
            if layer.bias is not None:
                layer.bias.copy_(-middle * gain)
            layer.write()
        return network.report("weight normalization")


def normalize_between_layers_(
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    tolerance: float = 0.01,
    tries: int = 10,
    layers: Sequence[nn.Module] | None = None,
) -> NetworkReport:
    """W_k ← W_k·√(r_k/r), biases by the product so far, until every rate r_k is within `tolerance`
    of their mean r.

    r_k = √(mean g²/mean W_k²), r their geometric mean.  `loss` takes the model's output and gives a
    scalar; None is the paper's, a random linear function of the output (a tensor). Same as:
    fi.normalize_between_layers. Source: Krähenbühl et al., ICLR 2016, algorithm 2.
    """
    slack = positive(tolerance, "tolerance")
    network = _Network(model, batch, layers)
    with network.changing():
        before: list[float] | None = None
        rates = network.rates(loss)
        for _ in range(tries):
            target = math.exp(sum(map(math.log, rates)) / len(rates))
            before = before or rates
            if all(abs(rate / target - 1.0) <= slack for rate in rates):
                break
            product = 1.0
            for layer, rate in zip(network.layers, rates, strict=True):
                factor = math.sqrt(rate / target)
                product *= factor
                layer.scale(factor)
                if layer.bias is not None:
                    layer.bias *= product
                layer.write()
            rates = network.rates(loss)
        report = network.report("between layers")
        lines = [
            line._replace(rate_before=first, rate=last)
            for line, first, last in zip(report.layers, before or rates, rates, strict=True)
        ]
        return report._replace(layers=tuple(lines))


# ------------------------------------------------------------------------------------------- layers


class _Reached(Exception):
    """The layer that is measured has its output: the rest of the forward is not needed."""


class _Layer:
    """One module: its parameters, their working copies in float32 (float64 where they are), its
    output.
    """

    def __init__(self, name: str, module: Any) -> None:
        self.name, self.module, self.tries = name, module, 0
        self.transposed = isinstance(module, TRANSPOSED)
        self.output_axis = -1 if isinstance(module, nn.Linear) else -(module.weight.ndim - 1)
        wide = torch.float64 if module.weight.dtype == torch.float64 else torch.float32
        self.weight = module.weight.detach().to(wide, copy=True)
        self.bias: Tensor | None = (
            None if module.bias is None else module.bias.detach().to(wide, copy=True)
        )
        self.before: tuple[float, float] | None = None

    def grouped(self) -> tuple[Tensor, tuple[int, ...]]:
        """The weight seen so that its units are its first axes, and the shape of those."""
        if not self.transposed:
            return self.weight, (self.weight.shape[0],)
        groups = (
            self.module.groups
        )  # (in, out / groups, …): output unit number g·(out / groups) + j
        seen = self.weight.unflatten(0, (groups, -1)).movedim(2, 1)
        return seen, (groups, self.weight.shape[1])

    def scale(self, factor: Any) -> None:
        weight, units = self.grouped()
        if isinstance(factor, Tensor):
            factor = factor.to(weight.dtype).reshape(units + (1,) * (weight.ndim - len(units)))
        weight *= factor

    def per_unit_length(self) -> Tensor:
        weight, units = self.grouped()
        return weight.double().flatten(len(units)).square().sum(-1).sqrt().flatten()

    def spread(self, output: Tensor, per_unit: bool) -> tuple[Any, Any]:
        """Mean and std of the output in float64, of all of it or of each unit; a std of zero is an
        error.
        """
        values = (
            output.movedim(self.output_axis, 0).flatten(1).double()
            if per_unit
            else output.double().reshape(1, -1)
        )
        mean, std = values.mean(1), values.std(1, correction=0)
        # A constant that is computed with rounding errors still counts as one.
        if (std <= 8 * torch.finfo(self.weight.dtype).eps * values.abs().amax(1)).any():
            raise ValueError(
                f"{self.name}: {'a unit' if per_unit else 'the output'} has zero variance on this "
                "batch and cannot be scaled to any std; give a batch that varies, or other "
                "weights"
            )
        return (mean, std) if per_unit else (mean.item(), std.item())

    def write(self, counts: bool = True) -> None:
        self.tries += counts
        for own, copy in ((self.module.weight, self.weight), (self.module.bias, self.bias)):
            if copy is not None:
                own.data.copy_(copy)


class _Network:
    """The model's layers in the order in which it calls them, and its way to run up to one of
    them.
    """

    def __init__(self, model: nn.Module, batch: Any, layers: Sequence[nn.Module] | None) -> None:
        self.model, self.batch = model, batch
        names = {
            id(module): name or type(module).__name__ for name, module in _names.modules(model)
        }
        for module in layers or ():
            if id(module) not in names or not isinstance(module, (*LINEAR, *TRANSPOSED)):
                raise ValueError(
                    f"{type(module).__name__} is no linear or convolutional module of this model"
                )
        wanted = (
            list(layers)
            if layers is not None
            else [
                module for module in model.modules() if isinstance(module, (*LINEAR, *TRANSPOSED))
            ]
        )
        for item in _names.parameters(model):
            name = item.name
            if _memory.is_dtensor(item.tensor) or item.tensor.is_meta:
                raise ValueError(
                    f"parameter {name!r} is sharded or on the meta device; a batch needs a whole "
                    "model"
                )
        order = self._called(wanted)
        tensors = [
            id(tensor)
            for module in order
            for tensor in (module.weight, module.bias)
            if tensor is not None
        ]
        if len(set(tensors)) < len(tensors):
            raise ValueError(
                "two of the layers share a parameter; tied layers cannot be scaled one by one"
            )
        self.layers = [_Layer(names[id(module)], module) for module in order]

    def forward(self) -> Any:
        if isinstance(self.batch, Mapping):
            return self.model(**self.batch)
        return (
            self.model(*self.batch)
            if isinstance(self.batch, (tuple, list))
            else self.model(self.batch)
        )

    def _called(self, wanted: list[Any]) -> list[Any]:
        order: list[Any] = []

        def note(module: nn.Module, *_: Any) -> None:
            if not any(module is other for other in order):
                order.append(module)

        hooks = [module.register_forward_hook(note) for module in wanted]
        try:
            with self.unchanged(), torch.no_grad():
                self.forward()
        finally:
            for hook in hooks:
                hook.remove()
        if not order:
            raise ValueError(
                "the model calls no linear or convolutional module on the batch; nothing can be "
                "scaled"
            )
        return order

    def output(self, layer: _Layer) -> Tensor:
        """What the layer gives at its first call."""
        found: list[Tensor] = []

        def keep(module: nn.Module, given: Any, output: Tensor) -> None:
            found.append(output.detach())
            raise _Reached

        hook = layer.module.register_forward_hook(keep)
        try:
            with self.unchanged(), torch.no_grad(), contextlib.suppress(_Reached):
                self.forward()
        finally:
            hook.remove()
        if not found:
            raise ValueError(
                f"{layer.name}: the model does not call it each time it runs on this batch"
            )
        output = found[0]
        if not output.numel() or not output.isfinite().all():
            raise ValueError(
                f"{layer.name}: the output is {'not finite' if output.numel() else 'empty'}"
            )
        if layer.before is None:
            layer.before = _moments(output)
        return output

    def draw(self, name: str, arguments: dict[str, Any], seed: int) -> None:
        """Every layer's weight by an initializer, its units first, under the name of its parameter;
        biases zero.
        """
        for layer in self.layers:
            self.output(layer)
        for layer in self.layers:
            stream = stream_id(
                f"{layer.name}.weight" if layer.module is not self.model else "weight"
            )
            weight, units = layer.grouped()
            drawn = torch.empty(
                (math.prod(units), weight.numel() // math.prod(units)), dtype=weight.dtype
            )
            numbers = seed, stream
            _draw.draw(
                Call(drawn, name, arguments, None, lambda tensor: tensor),
                lambda _, numbers=numbers: numbers,  # type: ignore[misc]
            )
            weight.copy_(drawn.reshape(weight.shape))
            if layer.bias is not None:
                layer.bias.zero_()
            layer.write(counts=False)

    def rates(self, loss: Callable[[Any], Tensor] | None) -> list[float]:
        """How fast each layer would change relative to its size."""
        weights = [layer.module.weight for layer in self.layers]
        with self.unchanged(), torch.enable_grad():
            output = self.forward()
            if loss is None:
                if not isinstance(output, Tensor):
                    raise TypeError(
                        f"the model gives {type(output).__name__}; give a loss that takes it"
                    )
                direction = init.normal_(
                    torch.empty(output.shape), generator=torch.Generator().manual_seed(0)
                )
                value = (output * direction.to(output)).sum()
            else:
                value = loss(output)
            gradients = torch.autograd.grad(value, weights, allow_unused=True)
        rates = []
        for layer, gradient in zip(self.layers, gradients, strict=True):
            size = layer.weight.double().square().mean().item()
            change = 0.0 if gradient is None else gradient.double().square().mean().item()
            rate = math.sqrt(change / size) if size > 0.0 else math.nan
            if not 0.0 < rate < math.inf:
                raise ValueError(
                    f"{layer.name}: |gradient| / |weight| is {rate}; neither may be zero or not "
                    "finite"
                )
            rates.append(rate)
        return rates

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Run the model so that its buffers and torch's random state come back."""
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        with torch.random.fork_rng():
            try:
                yield
            finally:
                with torch.no_grad():
                    for buffer, before in buffers:
                        buffer.copy_(before)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """On an error every layer gets back what it had."""
        every = [
            tensor for layer in self.layers for tensor in (layer.module.weight, layer.module.bias)
        ]
        own = [tensor for tensor in every if tensor is not None]
        before = [tensor.detach().clone() for tensor in own]
        try:
            with torch.no_grad():
                yield
            if not all(tensor.isfinite().all() for tensor in own):
                raise ValueError("a weight or bias is not finite in its dtype")
        except BaseException:
            for tensor, value in zip(own, before, strict=True):
                tensor.data.copy_(value)
            raise

    def report(self, method: str) -> NetworkReport:
        lines = []
        for layer in self.layers:
            after = _moments(self.output(layer))
            lines.append(LayerReport(layer.name, *(layer.before or after), *after, layer.tries))
        return NetworkReport(method, tuple(lines))


def _normalize(
    model: nn.Module,
    batch: Any,
    method: str,
    mean: float,
    std: float,
    layers: Sequence[nn.Module] | None,
    per_unit: bool,
) -> NetworkReport:
    network = _Network(model, batch, layers)
    with network.changing():
        for layer in network.layers:
            found, spread = layer.spread(network.output(layer), per_unit)
            factor = std / spread
            layer.scale(factor)
            if layer.bias is not None:
                layer.bias.copy_((layer.bias - found) * factor + mean)
            layer.write()
        return network.report(method)


def _moments(output: Tensor) -> tuple[float, float]:
    values = output.double()
    return values.mean().item(), values.std(correction=0).item()
