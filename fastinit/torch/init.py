"""A drop-in for torch.nn.init: every public name with its arguments, defaults, errors, warnings,
returns and meaning.

Each call that draws takes its seed by one `random_` of one int64 from `generator=`, or from torch's
default generator, so torch.manual_seed governs; the numbers are fastinit's.  Constants are torch's
own fills.  A meta tensor stays as it is, as torch leaves it: constructors that call these functions
run on the meta device.  Memory and seeds: _memory.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.init import calculate_gain

from . import _memory
from ._detours import TORCHS
from ._memory import FromGenerator, nothing_drawn

# Private in torch, but used by its modules and by others.
from torch.nn.init import _calculate_correct_fan, _calculate_fan_in_and_fan_out  # noqa: F401  # isort: skip

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

Generator = torch.Generator | None


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """U[a, b), as torch.nn.init.uniform_."""
    again = lambda t: TORCHS["uniform_"](t, a, b, generator)  # noqa: E731
    return _draw(tensor, "uniform", {"low": a, "high": b}, generator, again)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Tensor:
    """N(mean, std²), as torch.nn.init.normal_."""
    again = lambda t: TORCHS["normal_"](t, mean, std, generator)  # noqa: E731
    return _draw(tensor, "normal", {"mean": mean, "std": std}, generator, again)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    """N(mean, std²) between the *values* a and b, as torch.nn.init.trunc_normal_; never on a
    bound.
    """
    if not tensor.is_meta and ((mean < a - 2 * std) or (mean > b + 2 * std)):
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if a == b:
        return constant_(tensor, a)
    arguments = {"mean": mean, "std": std, "low": a, "high": b, "bounds": "absolute"}
    again = lambda t: TORCHS["trunc_normal_"](t, mean, std, a, b, generator)  # noqa: E731
    return _draw(tensor, "truncated_normal", arguments, generator, again)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """val everywhere, as torch.nn.init.constant_ and by torch's own fill."""
    with torch.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere, as torch.nn.init.ones_ and by torch's own fill."""
    with torch.no_grad():
        return tensor.fill_(1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere, as torch.nn.init.zeros_ and by torch's own fill."""
    with torch.no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, as torch.nn.init.eye_; of a DTensor too."""
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if not (_memory.is_dtensor(tensor) or tensor.is_meta or tensor.dtype in _memory.EIGHT_BITS):
        return TORCHS["eye_"](tensor)  # type: ignore[no-any-return]
    return _memory.draw(tensor, "eye", {}, nothing_drawn, TORCHS["eye_"])


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The Dirac delta at index k // 2 of each kernel axis, channel for channel, as
    torch.nn.init.dirac_.
    """
    if tensor.ndimension() not in [3, 4, 5]:
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.size(0) % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    if tensor.dtype not in _memory.DTYPES or not (
        _memory.is_plain(type(tensor)) or _memory.is_dtensor(tensor)
    ):
        return TORCHS["dirac_"](tensor, groups)  # type: ignore[no-any-return]
    return _memory.draw(
        tensor, "dirac", {"groups": groups}, nothing_drawn, lambda t: TORCHS["dirac_"](t, groups)
    )


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """U(±gain·√(6 / (fan_in + fan_out))), as torch.nn.init.xavier_uniform_."""
    if sum(_calculate_fan_in_and_fan_out(tensor)) == 0 or not gain >= 0:
        return TORCHS["xavier_uniform_"](tensor, gain, generator)  # type: ignore[no-any-return]  # raises
    again = lambda t: TORCHS["xavier_uniform_"](t, gain, generator)  # noqa: E731
    return _draw(tensor, "xavier_uniform", {"gain": gain}, generator, again)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """N(0, gain²·2 / (fan_in + fan_out)), not truncated, as torch.nn.init.xavier_normal_."""
    if sum(_calculate_fan_in_and_fan_out(tensor)) == 0 or not gain >= 0:
        return TORCHS["xavier_normal_"](tensor, gain, generator)  # type: ignore[no-any-return]  # raises
    again = lambda t: TORCHS["xavier_normal_"](t, gain, generator)  # noqa: E731
    return _draw(tensor, "xavier_normal", {"gain": gain}, generator, again)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """U(±gain·√(3 / fan)), as torch.nn.init.kaiming_uniform_; `a` counts with leaky_relu alone."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    name, arguments = _kaiming(tensor, a, mode, nonlinearity, "uniform")
    again = lambda t: TORCHS["kaiming_uniform_"](t, a, mode, nonlinearity, generator)  # noqa: E731
    return _draw(tensor, name, arguments, generator, again)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """N(0, gain² / fan), not truncated, as torch.nn.init.kaiming_normal_; `a` counts with
    leaky_relu alone.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    name, arguments = _kaiming(tensor, a, mode, nonlinearity, "normal")
    again = lambda t: TORCHS["kaiming_normal_"](t, a, mode, nonlinearity, generator)  # noqa: E731
    return _draw(tensor, name, arguments, generator, again)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator = None) -> Tensor:
    """gain times a uniformly random (semi-)orthogonal matrix, shape (size(0), the rest), as
    torch.nn.init.orthogonal_.

    Unlike torch's also in float16, bfloat16 and the 8-bit floats: formed in float32 and rounded
    once.
    """
    if tensor.ndimension() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    # A Haar matrix and its negative have one law, so the sign of the gain has nothing to do.
    again = lambda t: TORCHS["orthogonal_"](t, gain, generator)  # noqa: E731
    return _draw(tensor, "orthogonal", {"gain": abs(gain)}, generator, again)


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None
) -> Tensor:
    """N(0, std²) with ceil(sparsity·rows) zeros in every column, as torch.nn.init.sparse_; the seed
    decides where.
    """
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    arguments = {"sparsity": min(sparsity, 1.0), "std": std}
    again = lambda t: TORCHS["sparse_"](t, sparsity, std, generator)  # noqa: E731
    return _draw(tensor, "sparse", arguments, generator, again)


# ------------------------------------------------------------------------------------------ helpers


def _draw(
    tensor: Tensor,
    name: str,
    arguments: dict[str, Any],
    generator: Generator,
    torchs: Callable[[Tensor], Any],
) -> Tensor:
    for key, value in arguments.items():
        if isinstance(value, Tensor):  # torch takes 0-d tensors for numbers
            arguments[key] = value.item()
    return _memory.draw(tensor, name, arguments, FromGenerator(generator), torchs)


def _kaiming(
    tensor: Tensor, a: float, mode: str, nonlinearity: str, distribution: str
) -> tuple[str, dict[str, Any]]:
    """Our initializer of torch's variance: he where it has the gain, else variance scaling by
    gain·gain.
    """
    _calculate_correct_fan(tensor, mode)  # type: ignore[arg-type]  # raises for a bad mode or shape
    gain = calculate_gain(nonlinearity, a)  # type: ignore[arg-type]
    mode = mode.lower()
    if nonlinearity in ("relu", "leaky_relu"):
        slope = 0.0 if nonlinearity == "relu" else 0.01 if a is None else a
        return f"he_{distribution}", {"negative_slope": float(slope), "mode": mode}
    return "variance_scaling", {"scale": gain * gain, "mode": mode, "distribution": distribution}


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    new_name = function.__name__
    old_name = new_name[:-1]

    def deprecated_init(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{old_name}` is now deprecated in favor of `nn.init.{new_name}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    deprecated_init.__doc__ = f"Deprecated, as torch.nn.init.{old_name}: use {new_name}."
    deprecated_init.__name__ = deprecated_init.__qualname__ = old_name
    return deprecated_init


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
