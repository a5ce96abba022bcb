"""Draws of other people's code by generators of a block's own: torch's global ones are neither read
nor set, not for a moment.

Other threads draw from those too, so putting them back afterwards would repeat numbers there.
_log.py runs constructors so, _network.py forwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Generators:
    """A generator for each device, made when it is first needed, always with the same numbers."""

    def __init__(self) -> None:
        self._made: dict[torch.device, torch.Generator] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One operation of torch's dispatcher; it takes its numbers here if it draws.

        Raises
        ------
        RuntimeError
            For an operation that draws and takes no generator.
        """
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator"):
            return func(*args, **kwargs)
        if _drops_nothing(func, args, kwargs):
            return func(*args, **kwargs)
        device = _device(args, kwargs)
        if device.type == "meta":
            return func(*args, **kwargs)
        if device not in self._made:
            self._made[device] = torch.Generator(device).manual_seed(0)
        generator = self._made[device]
        if func is torch.ops.aten.native_dropout.default:
            return _dropout(generator, *args, **kwargs)
        packet = func.overloadpacket
        overloads = [getattr(packet, name) for name in packet.overloads()]
        if not any(one.name == "generator" for each in overloads for one in each._schema.arguments):
            raise RuntimeError(
                f"{func._schema.name} draws and takes no generator, so it can be run only with "
                "torch's global one, which other threads use too; call model.eval(), or leave it "
                "out of what is run here"
            )
        return packet(*args, **{**kwargs, "generator": generator})


def _device(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    for one in tree_flatten((args, kwargs))[0]:
        if isinstance(one, torch.Tensor):
            return one.device
    return torch.device("cpu")


def _drops_nothing(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether it is an attention kernel without dropout: it could draw, and does not."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            given = args[place] if place < len(args) else kwargs.get("dropout_p", 0.0)
            return bool(given == 0.0)
    return False


def _dropout(
    generator: torch.Generator, tensor: torch.Tensor, p: float, train: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """aten::native_dropout, which GPUs use."""
    if train is False or p == 0.0:
        return tensor.clone(), torch.ones_like(tensor, dtype=torch.bool)
    kept = torch.empty_like(tensor).bernoulli_(1.0 - p, generator=generator).bool()
    return tensor * kept * (1.0 / (1.0 - p) if p < 1.0 else 0.0), kept


class Private(TorchDispatchMode):
    """A block in which what draws on this thread takes its numbers from generators of the block."""

    def __init__(self) -> None:
        super().__init__()
        self._generators = Generators()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, or torch would import torch._dynamo (more than a second) on the first call."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self._generators.run(func, args, kwargs or {})
