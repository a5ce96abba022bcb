"""Translates calls of torch.nn.init's functions into fastinit's initializers.

Only this module reads torch's arguments.  Each function here has the name and the arguments of a
function of torch.nn.init.  It returns a Call and draws nothing.  init.py and accelerate.py draw the
calls (_draw.py), and _recorder.py records them.  A call may be impossible to translate, because
torch refuses its arguments or because there is nothing to fill.  Its Call then has no initializer,
and torch's own function does everything and raises its own errors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Generator, Tensor
from torch.nn.init import _calculate_correct_fan, _calculate_fan_in_and_fan_out, calculate_gain

from ._detours import ORIGINALS

Fallback = Callable[[Tensor], Any]


class Call(NamedTuple):
    """One call of a torch.nn.init function."""

    tensor: Tensor
    initializer: str | None  # fastinit's name; None if `fallback` does everything
    arguments: dict[str, Any]  # fastinit's
    generator: Generator | None
    fallback: Fallback  # torch's own function with these arguments, on any tensor


def _call(
    tensor: Tensor,
    initializer: str | None,
    arguments: dict[str, Any],
    generator: Generator | None,
    fallback: Fallback,
) -> Call:
    for key, value in arguments.items():
        if isinstance(value, Tensor):  # torch accepts 0-d tensors as numbers
            arguments[key] = value.item()
    return Call(tensor, initializer, arguments, generator, fallback)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Call:
    fallback = lambda t: ORIGINALS["uniform_"](t, a, b, generator)  # noqa: E731
    return _call(tensor, "uniform", {"low": a, "high": b}, generator, fallback)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Call:
    fallback = lambda t: ORIGINALS["normal_"](t, mean, std, generator)  # noqa: E731
    return _call(tensor, "normal", {"mean": mean, "std": std}, generator, fallback)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Call:
    if not tensor.is_meta and ((mean < a - 2 * std) or (mean > b + 2 * std)):
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=3,
        )
    if a == b:
        return _call(tensor, "constant", {"value": a}, None, lambda t: t.fill_(a))
    arguments = {"mean": mean, "std": std, "low": a, "high": b, "bounds": "absolute"}
    fallback = lambda t: ORIGINALS["trunc_normal_"](t, mean, std, a, b, generator)  # noqa: E731
    return _call(tensor, "truncated_normal", arguments, generator, fallback)


def eye_(tensor: Tensor) -> Call:
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return Call(tensor, "eye", {}, None, ORIGINALS["eye_"])


def dirac_(tensor: Tensor, groups: int = 1) -> Call:
    if tensor.ndimension() not in [3, 4, 5]:
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.size(0) % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    fallback = lambda t: ORIGINALS["dirac_"](t, groups)  # noqa: E731
    return Call(tensor, "dirac", {"groups": groups}, None, fallback)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Call:
    fallback = lambda t: ORIGINALS["xavier_uniform_"](t, gain, generator)  # noqa: E731
    refused = sum(_calculate_fan_in_and_fan_out(tensor)) == 0 or not gain >= 0
    name = None if refused else "xavier_uniform"
    return _call(tensor, name, {"gain": gain}, generator, fallback)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Call:
    fallback = lambda t: ORIGINALS["xavier_normal_"](t, gain, generator)  # noqa: E731
    refused = sum(_calculate_fan_in_and_fan_out(tensor)) == 0 or not gain >= 0
    name = None if refused else "xavier_normal"
    return _call(tensor, name, {"gain": gain}, generator, fallback)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Call:
    if 0 in tensor.shape:
        return _nothing(tensor)
    name, arguments = _kaiming(tensor, a, mode, nonlinearity, "uniform")
    fallback = lambda t: ORIGINALS["kaiming_uniform_"](t, a, mode, nonlinearity, generator)  # noqa: E731
    return Call(tensor, name, arguments, generator, fallback)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Call:
    if 0 in tensor.shape:
        return _nothing(tensor)
    name, arguments = _kaiming(tensor, a, mode, nonlinearity, "normal")
    fallback = lambda t: ORIGINALS["kaiming_normal_"](t, a, mode, nonlinearity, generator)  # noqa: E731
    return Call(tensor, name, arguments, generator, fallback)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Call:
    if tensor.ndimension() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    fallback = lambda t: ORIGINALS["orthogonal_"](t, gain, generator)  # noqa: E731
    # A Haar matrix and its negative have the same distribution, so the gain's sign does not matter.
    name = "orthogonal" if tensor.numel() else None
    return _call(tensor, name, {"gain": abs(gain)}, generator, fallback)


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Call:
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    arguments = {"sparsity": min(sparsity, 1.0), "std": std}
    fallback = lambda t: ORIGINALS["sparse_"](t, sparsity, std, generator)  # noqa: E731
    return _call(tensor, "sparse", arguments, generator, fallback)


def _nothing(tensor: Tensor) -> Call:
    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=4)
    return Call(tensor, None, {}, None, lambda t: t)


def _kaiming(
    tensor: Tensor, a: float, mode: str, nonlinearity: str, distribution: str
) -> tuple[str, dict[str, Any]]:
    """Return the initializer that has torch's variance.

    This is He if it has the same gain.  Otherwise it is variance scaling by gain·gain.
    """
    _calculate_correct_fan(tensor, mode)  # type: ignore[arg-type]  # raises for a bad mode or shape
    gain = calculate_gain(nonlinearity, a)  # type: ignore[arg-type]
    mode = mode.lower()
    if nonlinearity in ("relu", "leaky_relu"):
        slope = 0.0 if nonlinearity == "relu" else 0.01 if a is None else a
        return f"he_{distribution}", {"negative_slope": float(slope), "mode": mode}
    return "variance_scaling", {"scale": gain * gain, "mode": mode, "distribution": distribution}


# Name of the torch.nn.init function → its translation, for all functions that _detours.py replaces.
TRANSLATIONS: dict[str, Callable[..., Call]] = {
    one.__name__: one
    for one in (
        uniform_,
        normal_,
        trunc_normal_,
        eye_,
        dirac_,
        xavier_uniform_,
        xavier_normal_,
        kaiming_uniform_,
        kaiming_normal_,
        orthogonal_,
        sparse_,
    )
}
