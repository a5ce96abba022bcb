"""A drop-in for torch.nn.init: every public name with its arguments, defaults, errors, warnings,
returns and meaning.

Each call that draws takes its seed, one int64 of `random_`, from `generator=` or from torch's
default generator.  torch.manual_seed therefore determines the values, and fastinit draws the
numbers.  torch's own fills write constants.  A meta tensor is left unchanged, as torch leaves it,
so constructors that call these functions can run on the meta device.  Calls in code that
construction() or materialize_() runs are recorded.  _translate.py reads the arguments, and _draw.py
fills the tensors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.init import calculate_gain

from . import _translate
from ._draw import drop_in

# These are private in torch, but torch's modules and other packages use them.
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


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform values in [a, b).

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; both parts have the bounds.
    a, b : float
        The bounds.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.uniform_ : The function that this one replaces.
    fastinit.uniform : The same values, by seed and name.
    """
    return drop_in(_translate.uniform_(tensor, a, b, generator))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal values, N(mean, std²).

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; its parts share the variance, and both have the mean.
    mean, std : float
        Mean and standard deviation; std >= 0.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.normal_ : The function that this one replaces.
    fastinit.normal : The same values, by seed and name.
    """
    return drop_in(_translate.normal_(tensor, mean, std, generator))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal values N(mean, std²) conditioned on the interval between the values a and b.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
    mean, std : float
        Mean and standard deviation before truncation.
    a, b : float
        The bounds: values, not multiples of std.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.trunc_normal_ : The function that this one replaces.
    fastinit.truncated_normal : The same values, with ``bounds="absolute"``.

    Notes
    -----
    The inverse distribution function is evaluated between the bounds: no value is clamped to a
    bound, and none is rejected.
    """
    return drop_in(_translate.trunc_normal_(tensor, mean, std, a, b, generator))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The value everywhere, by torch's own fill.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
    val : float
        The value.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.constant_ : The function that this one replaces.
    fastinit.constant : A constant array.
    """
    with torch.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere, by torch's own fill.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.ones_ : The function that this one replaces.
    fastinit.ones : An array of ones.
    """
    with torch.no_grad():
        return tensor.fill_(1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere, by torch's own fill.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.zeros_ : The function that this one replaces.
    fastinit.zeros : An array of zeros.
    """
    with torch.no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, 1 on the diagonal and 0 elsewhere.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.eye_ : The function that this one replaces.
    fastinit.eye : The same values.
    """
    return drop_in(_translate.eye_(tensor))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The Dirac delta: a convolution that passes each channel on, 1 at index k // 2 of each axis.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
    groups : int
        Each group of output channels starts again at the first input channel.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.dirac_ : The function that this one replaces.
    fastinit.dirac : The same values.
    """
    return drop_in(_translate.dirac_(tensor, groups))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform values within ±gain·√(6 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; both parts have the bounds.
    gain : float
        A factor; >= 0.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.xavier_uniform_ : The function that this one replaces.
    fastinit.xavier_uniform : The same values, by seed and name.
    """
    return drop_in(_translate.xavier_uniform_(tensor, gain, generator))


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal values, N(0, gain²·2 / (fan_in + fan_out)), not truncated.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; its parts share the variance, and both have the mean.
    gain : float
        A factor; >= 0.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.xavier_normal_ : The function that this one replaces.
    fastinit.xavier_normal : The same values, by seed and name.
    """
    return drop_in(_translate.xavier_normal_(tensor, gain, generator))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform values within ±gain·√(3 / fan).

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; both parts have the bounds.
    a : float
        The negative slope; used with leaky_relu only.
    mode : {'fan_in', 'fan_out'}
        Which fan divides the variance.
    nonlinearity : str
        A name that torch.nn.init.calculate_gain knows.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.kaiming_uniform_ : The function that this one replaces.
    fastinit.he_uniform : The same values, by seed and name.
    """
    call = _translate.kaiming_uniform_(tensor, a, mode, nonlinearity, generator)
    return drop_in(call)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal values, N(0, gain² / fan), not truncated.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
        A complex one must be plain; its parts share the variance, and both have the mean.
    a : float
        The negative slope; used with leaky_relu only.
    mode : {'fan_in', 'fan_out'}
        Which fan divides the variance.
    nonlinearity : str
        A name that torch.nn.init.calculate_gain knows.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.kaiming_normal_ : The function that this one replaces.
    fastinit.he_normal : The same values, by seed and name.
    """
    call = _translate.kaiming_normal_(tensor, a, mode, nonlinearity, generator)
    return drop_in(call)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a uniformly random (semi-)orthogonal matrix of shape (size(0), the rest).

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
    gain : float
        A factor.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.orthogonal_ : The function that this one replaces.
    fastinit.orthogonal : The same values, by seed and name.

    Notes
    -----
    Unlike torch's function it also takes float16, bfloat16 and the 8-bit floats: the matrix is
    formed in float32 and rounded once.
    """
    return drop_in(_translate.orthogonal_(tensor, gain, generator))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal values N(0, std²) with ceil(sparsity·rows) zeros in every column.

    Parameters
    ----------
    tensor : torch.Tensor
        Filled in place, as under no_grad: of a floating dtype, on any device, plain or a DTensor.
    sparsity : float
        The fraction of each column that is zero; the seed decides where.
    std : float
        Standard deviation of the other values.
    generator : torch.Generator, optional
        Gives the seed, as one int64 of `random_`; None is torch's default generator.

    Returns
    -------
    torch.Tensor
        The tensor that was given.

    See Also
    --------
    torch.nn.init.sparse_ : The function that this one replaces.
    fastinit.sparse : The same values, by seed and name.
    """
    return drop_in(_translate.sparse_(tensor, sparsity, std, generator))


# --------------------------------------------------------------------------------- deprecated names


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

    deprecated_init.__doc__ = f"Deprecated, as torch.nn.init.{old_name}: use ``{new_name}``."
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
