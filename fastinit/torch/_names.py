"""Finds the names that key parameters: fully qualified, without the segments that wrappers add.

A tied parameter has the first of its names in the order of named_parameters().  This module does
not read or write values.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from .._core.arguments import described

# torch.compile, FSDP1 and activation checkpointing keep the module that they wrap under these
# attributes.
_WRAPPERS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))


class Site(NamedTuple):
    """One place where a tensor is registered."""

    name: str
    module: nn.Module
    attribute: str


class Named(NamedTuple):
    """A distinct tensor with every place that holds it; the first place gives its name."""

    tensor: torch.Tensor
    sites: list[Site]
    fsdp: bool  # whether fully_shard has sharded it

    @property
    def name(self) -> str:
        return self.sites[0].name


def modules(
    model: nn.Module, prefix: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, nn.Module]]:
    """Yield (clean name, module) once for each module, in the order of named_modules()."""
    if seen is None:
        seen = set()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model is {described(model)}; give a torch.nn.Module")
    if id(model) in seen:
        return
    seen.add(id(model))
    yield prefix, model
    parallel = isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel))
    for segment, child in model._modules.items():
        if child is None:
            continue
        dropped = segment in _WRAPPERS or (parallel and segment == "module")
        yield from modules(
            child, prefix if dropped else f"{prefix}.{segment}" if prefix else segment, seen
        )


def checked(prefix: object) -> str:
    """Return the prefix of a public call, where None is no prefix, or raise an error.

    A wrong dot or type would give streams that the larger model does not have.
    """
    if prefix is None:
        return ""
    if not isinstance(prefix, str):
        raise TypeError(
            f"prefix is {prefix!r:.80}; give the module's name in the larger model as a string, "
            "such as 'blocks.1', or None"
        )
    if prefix and "" in prefix.split("."):
        raise ValueError(
            f"prefix is {prefix!r:.80}, which has a dot too many; give the module's name in the "
            "larger model, without a dot at either end, such as 'blocks.1'"
        )
    return prefix


def parameters(model: nn.Module, prefix: str = "") -> list[Named]:
    """Return every distinct parameter with its places, in the order of named_parameters()."""
    return _gather(model, "_parameters", prefix)


def buffers(model: nn.Module, prefix: str = "") -> list[Named]:
    """Return every distinct buffer with its places, in the order of named_buffers()."""
    return _gather(model, "_buffers", prefix)


def _gather(model: nn.Module, registry: str, outer: str) -> list[Named]:
    fully_shard = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    sharded: set[int] = set()
    found: dict[Any, Named] = {}
    for prefix, module in modules(model, outer):
        if fully_shard is not None and isinstance(module, fully_shard):
            sharded.update(map(id, module.parameters()))
        for attribute, tensor in getattr(module, registry).items():
            if tensor is not None:
                site = Site(f"{prefix}.{attribute}" if prefix else attribute, module, attribute)
                found.setdefault(
                    _identity(tensor), Named(tensor, [], id(tensor) in sharded)
                ).sites.append(site)
    return list(found.values())


def _identity(tensor: torch.Tensor) -> Any:
    """Return a key that identifies a tensor object; two identical views of one memory share it."""
    if (
        tensor.layout is not torch.strided
        or type(tensor) not in (torch.Tensor, nn.Parameter)
        or not tensor.numel()
    ):
        return id(tensor)
    storage = tensor.untyped_storage()._cdata
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
