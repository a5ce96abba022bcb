"""Resets modules under weight_norm, spectral_norm or another parametrization, and then repeats what
the wrapper's construction does.

The reset of a wrapped module writes a weight that is not a parameter any more.  The reset therefore
runs with a plain weight in that place.  Then the parameters that replace the weight get the values
that the wrapper's construction gives them.  This module is only used on the meta device, inside a
Recorder's block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import increment_version
from torch.nn.functional import normalize
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def reset(module: nn.Module, method: Callable[[nn.Module], Any]) -> None:
    """Run a module's reset as if the module were not wrapped, then wrap the written weights."""
    hooks = [one for one in module._forward_pre_hooks.values() if isinstance(one, HOOKS)]
    parametrized = list(_parametrizations(module))
    if not (hooks or parametrized):
        method(module)
        return
    weights = {name: _weight(getattr(module, name)) for name, _ in parametrized}
    weights.update({one.name: _weight(_original(module, one)) for one in hooks})
    method(_plain(module, weights))
    for name, parametrization in parametrized:
        _parametrize(parametrization, weights[name])
    for hook in hooks:
        _hook(module, hook, weights[hook.name])


HOOKS = (WeightNorm, SpectralNorm)


def _parametrizations(module: nn.Module) -> Iterator[tuple[str, Any]]:
    if parametrize.is_parametrized(module):
        yield from module.parametrizations.items()  # type: ignore[union-attr,operator]


def _original(module: nn.Module, hook: Any) -> torch.Tensor:
    suffix = "_v" if isinstance(hook, WeightNorm) else "_orig"
    return module._parameters[hook.name + suffix]  # type: ignore[return-value]


def _weight(like: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(torch.empty(like.shape, dtype=like.dtype), requires_grad=False)


def _plain(module: nn.Module, weights: dict[str, nn.Parameter]) -> nn.Module:
    """Return a copy of the module with these plain parameters; it shares everything else."""
    kind = type(module)
    if parametrize.is_parametrized(module):
        kind = kind.__mro__[1]  # parametrize generated a subclass of this class
    plain = object.__new__(kind)
    plain.__dict__.update(module.__dict__)
    for name in weights:
        plain.__dict__.pop(name, None)
    plain._parameters = {**module._parameters, **weights}
    return plain


def _parametrize(parametrization: Any, weight: torch.Tensor) -> None:
    """Set the original parameters as register_parametrization does."""
    first = parametrization[0]  # later registrations leave the weight as it is
    value: Any = first.right_inverse(weight) if hasattr(first, "right_inverse") else weight
    for one in parametrization:
        if isinstance(one, _SpectralNorm):
            _vectors(one, weight)
    if parametrization.is_tensor:
        # torch puts the value into the weight's own parameter, which counts as a write
        _give(parametrization.original, value, weight._version + 1)
    else:
        for number, part in enumerate(value):
            _give(getattr(parametrization, f"original{number}"), part, part._version)


def _vectors(one: Any, weight: torch.Tensor) -> None:
    """Compute the singular vectors that spectral_norm's constructor estimates."""
    if weight.ndim > 1:
        matrix = one._reshape_weight_to_matrix(weight)
        rows, columns = [matrix.new_empty(size).normal_(0, 1) for size in matrix.shape]
        one._u, one._v = [normalize(each, dim=0, eps=one.eps) for each in (rows, columns)]
        one._power_method(matrix, 15)
        # Registering it then runs its forward once, which makes more iterations.
        one._power_method(matrix, one.n_power_iterations)


def _hook(module: nn.Module, hook: Any, weight: torch.Tensor) -> None:
    """Set the parameters as the hooks of torch.nn.utils.weight_norm and spectral_norm do."""
    if isinstance(hook, WeightNorm):
        lengths = torch.norm_except_dim(weight, 2, hook.dim)
        _give(module._parameters[hook.name + "_g"], lengths, 0)
        _give(_original(module, hook), weight, 0)
        return
    _give(_original(module, hook), weight, weight._version)
    matrix = hook.reshape_weight_to_matrix(weight)
    for suffix, size in (("_u", matrix.shape[0]), ("_v", matrix.shape[1])):
        vector = normalize(matrix.new_empty(size).normal_(0, 1), dim=0, eps=hook.eps)
        module._buffers[hook.name + suffix].copy_(vector)  # type: ignore[union-attr]


def _give(parameter: Any, value: torch.Tensor, writes: int) -> None:
    """Let the parameter take over the value's memory, so that the weight's draw becomes its own.

    `writes` is how often the parameter has been written in a construction, which _unseen.py
    compares.
    """
    parameter.data = value.detach() if value.dtype == parameter.dtype else value.to(parameter.dtype)
    for _ in range(writes):
        increment_version(parameter)
