"""Lets foreign code draw from private generators, so that torch's global generators are never read
or set, not even temporarily.

Other threads draw from the global generators too.  Restoring the state afterwards would therefore
repeat numbers in those threads.  _recorder.py runs constructors this way, and _network.py runs
forward passes this way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Generators:
    """One generator per device, made on first use and always seeded with the same number."""

    def __init__(self) -> None:
        self._made: dict[torch.device, torch.Generator] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one operation of torch's dispatcher; if it draws, it uses a private generator.

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
    """Whether this is an attention kernel with dropout 0, which does not draw despite its tag."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == "dropout_p":
            given = args[place] if place < len(args) else kwargs.get("dropout_p", 0.0)
            return bool(given == 0.0)
    return False


def _dropout(
    generator: torch.Generator, tensor: torch.Tensor, p: float, train: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute aten::native_dropout, which GPUs use."""
    if train is False or p == 0.0:
        return tensor.clone(), torch.ones_like(tensor, dtype=torch.bool)
    kept = torch.empty_like(tensor).bernoulli_(1.0 - p, generator=generator).bool()
    return tensor * kept * (1.0 / (1.0 - p) if p < 1.0 else 0.0), kept


class Private(TorchDispatchMode):
    """A context manager in which draws on this thread use generators that belong to the block."""

    def __init__(self) -> None:
        super().__init__()
        self._generators = Generators()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False.

        Otherwise torch would import torch._dynamo on the first call, which takes over a second.
        """
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        return self._generators.run(func, args, kwargs or {})
