"""Presents a torch model to the data-dependent algorithms as layers to measure and scale.

Layers are the linear and convolutional modules, in the order in which the model first calls them.
A hook on each layer's output measures it.  Either all layers change or none does.  Buffers and
hooks are restored, and torch's random state is not used.  The algorithms are in
../data_dependent/algorithms.py, and the public functions in data_dependent.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..data_dependent import algorithms
from ..data_dependent.network import LayerReport, NetworkReport
from . import _memory, _names, init
from ._private import Private

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class _Reached(Exception):
    """Stops a forward pass once the measured layer's output is known."""


class Layer:
    """One module, with its parameters, their working copies and its output.

    A working copy is float64 if the parameter is, and float32 otherwise.
    """

    def __init__(self, name: str, module: Any, run: Callable[[Layer], Tensor]) -> None:
        self.label, self.module, self.tries = name, module, 0
        self.run = run  # returns the layer's output on the batch
        self.transposed = isinstance(module, TRANSPOSED)
        self.output_axis = -1 if isinstance(module, nn.Linear) else -(module.weight.ndim - 1)
        wide = torch.float64 if module.weight.dtype == torch.float64 else torch.float32
        self.weight = module.weight.detach().to(wide, copy=True)
        self.bias: Tensor | None = (
            None if module.bias is None else module.bias.detach().to(wide, copy=True)
        )
        self.before: tuple[float, float] | None = None

    def grouped(self) -> tuple[Tensor, tuple[int, ...]]:
        """Return a view of the weight with its units on the first axes, and these axes' shape."""
        if not self.transposed:
            return self.weight, (self.weight.shape[0],)
        # The weight is (in, out / groups, …), and unit j of group g is output g·(out / groups) + j.
        groups = self.module.groups
        seen = self.weight.unflatten(0, (groups, -1)).movedim(2, 1)
        return seen, (groups, self.weight.shape[1])

    def scale(self, factor: Any) -> None:
        weight, units = self.grouped()
        if isinstance(factor, Tensor):
            factor = factor.to(weight.dtype).reshape(units + (1,) * (weight.ndim - len(units)))
        weight *= factor

    def change_bias(self, change: Callable[[Tensor], Any]) -> None:
        if self.bias is not None:
            self.bias.copy_(change(self.bias))

    def clear_bias(self) -> None:
        if self.bias is not None:
            self.bias.zero_()

    def lengths(self) -> Tensor:
        weight, units = self.grouped()
        return weight.double().flatten(len(units)).square().sum(-1).sqrt().flatten()

    def moments(self, per_unit: bool) -> tuple[Any, Any]:
        """Return the mean and std of the whole output or of each unit, in float64.

        A std of zero is an error.
        """
        self.write()
        output = self.run(self)
        values = (
            output.movedim(self.output_axis, 0).flatten(1).double()
            if per_unit
            else output.double().reshape(1, -1)
        )
        mean, std = values.mean(1), values.std(1, correction=0)
        # An output counts as constant if it varies only by rounding errors.
        if (std <= 8 * torch.finfo(self.weight.dtype).eps * values.abs().amax(1)).any():
            raise ValueError(
                f"{self.label}: {'a unit' if per_unit else 'the output'} has zero variance on this "
                "batch and cannot be scaled to any std; give a batch that varies, or other "
                "weights"
            )
        return (mean, std) if per_unit else (mean.item(), std.item())

    def write(self) -> None:
        """Put the working copies into the module."""
        for own, copy in ((self.module.weight, self.weight), (self.module.bias, self.bias)):
            if copy is not None:
                own.data.copy_(copy)


class Network:
    """The model's layers in the order of their calls; it can run the model up to any layer."""

    def __init__(self, model: nn.Module, batch: Any, layers: Sequence[nn.Module] | None) -> None:
        self.model, self.batch = model, batch
        names = {
            id(module): name or type(module).__name__ for name, module in _names.modules(model)
        }
        for module in layers or ():
            if id(module) not in names or not isinstance(module, (*LINEAR, *TRANSPOSED)):
                raise ValueError(
                    f"{type(module).__name__} is not a linear or convolutional module of this model"
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
        self.layers = [Layer(names[id(module)], module, self.output) for module in order]

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

    def output(self, layer: Layer) -> Tensor:
        """Return the layer's output at its first call."""
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
                f"{layer.label}: the model does not call it each time it runs on this batch"
            )
        output = found[0]
        if not output.numel() or not output.isfinite().all():
            raise ValueError(
                f"{layer.label}: the output is {'not finite' if output.numel() else 'empty'}"
            )
        if layer.before is None:
            layer.before = _total_moments(output)
        return output

    def in_order(self) -> Iterator[Layer]:
        """Yield the layers in order.

        A layer's changes are written to its module before the next layer is measured.
        """
        for layer in self.layers:
            yield layer
            layer.write()
            if layer.before is None:
                self.output(layer)

    def draw(self, fill: Callable[[str, Any], Any]) -> None:
        """Call fill(name, array) for every layer's weight.

        The array has the units on its first axis, and `name` is the parameter's name.
        """
        for layer in self.layers:
            self.output(layer)
        for layer in self.layers:
            name = f"{layer.label}.weight" if layer.module is not self.model else "weight"
            weight, units = layer.grouped()
            drawn = torch.empty(
                (math.prod(units), weight.numel() // math.prod(units)),
                dtype=weight.dtype,
                device="cpu",
            )
            fill(name, drawn.numpy())
            weight.copy_(drawn.reshape(weight.shape))

    def rates(self, loss: Callable[[Any], Tensor] | None) -> list[float]:
        """Return how fast each layer would change, relative to its size."""
        for layer in self.layers:
            layer.write()
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
            rates.append(algorithms.rate(layer.label, change, size))
        return rates

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Restore the model's buffers after the block.

        Draws in the block (dropout) are the same each time, and torch's own generators are not
        used.
        """
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        with Private():
            try:
                yield
            finally:
                with torch.no_grad():
                    for buffer, before in buffers:
                        buffer.copy_(before)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Restore every layer if the block raises an error."""
        every = [
            tensor for layer in self.layers for tensor in (layer.module.weight, layer.module.bias)
        ]
        own = [tensor for tensor in every if tensor is not None]
        before = [tensor.detach().clone() for tensor in own]
        try:
            with torch.no_grad():
                yield
            if not all(tensor.isfinite().all() for tensor in own):
                raise ValueError("a weight or bias would not be finite in its dtype")
        except BaseException:
            for tensor, value in zip(own, before, strict=True):
                tensor.data.copy_(value)
            raise

    def report(self, method: str) -> NetworkReport:
        lines = []
        for layer in self.layers:
            after = _total_moments(self.output(layer))
            lines.append(LayerReport(layer.label, *(layer.before or after), *after, layer.tries))
        return NetworkReport(method, tuple(lines))


def _total_moments(output: Tensor) -> tuple[float, float]:
    values = output.double()
    return values.mean().item(), values.std(correction=0).item()
