"""gain: the factor that preserves the second moment through an activation.

Activations of torch have torch's values; a callable is integrated, with the exponential function of
_core/math.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ._core.arguments import described, nearest, real, shown
from ._core.engine import guarded
from .typing import Real

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)


# First torch's values; 1 for sigmoid, 5/3 and 3/4 are conventions, not second moments.  Then
# 1/sqrt(E f(z)²) for a standard normal z, to seventeen digits; tests/unit/test_gain.py computes
# them again by quadrature in mpmath.
_GAINS = {
    **dict.fromkeys((*_LINEAR, "identity", "sigmoid"), 1.0),
    "tanh": 5.0 / 3.0,
    "relu": 1.4142135623730951,
    "selu": 0.75,
    "gelu": 1.5335304411955353,
    "gelu_tanh": 1.5335805216661469,
    "quick_gelu": 1.5394587622988314,
    "silu": 1.6765324703310911,
    "swish": 1.6765324703310911,
    "mish": 1.4868475812732080,
    "softplus": 1.0418668355353018,
    "softsign": 2.3375333631085398,
    "hardswish": 1.7366572127665416,
    "hardsigmoid": 1.8978404247295591,
    "hardtanh": 1.3920361404483097,
    "relu6": 1.4142135650950736,
    "relu_squared": 0.81649658092772603,
    "logsigmoid": 1.0418668355353018,
    "tanhshrink": 2.3383675301021216,
}


_WITH_PARAM = ("leaky_relu", "elu")


# E (e^z - 1)² over z < 0, for a standard normal z.
_ELU_NEGATIVE_SIDE = 0.14494541749292386


@guarded
def gain(
    activation: str | Callable[[float], float],
    param: Real | None = None,
) -> float:
    """1 / √(E f(z)²), z ~ N(0, 1): the factor that preserves the second moment through f.

    Parameters
    ----------
    activation : str or callable
        The activation f: a name, or a callable that takes one float and returns one. Names that
        torch has give torch's values: 1 for linear, conv1d … conv_transpose3d and sigmoid, 5/3 for
        tanh, √2 for relu, √(2 / (1 + slope²)) for leaky_relu, 3/4 for selu. Other names follow the
        formula: gelu, gelu_tanh, quick_gelu, silu = swish, mish, elu, softplus, softsign,
        hardswish, hardsigmoid, hardtanh, relu6, relu_squared, logsigmoid, tanhshrink.
    param : float, optional
        The negative slope of leaky_relu (default 0.01), or the alpha of elu (default 1).

    Returns
    -------
    float
        The factor; give it as the `gain` of an initializer.

    Raises
    ------
    ValueError
        An unknown name; a param that is not finite, or that the activation does not have; a
        callable whose E f(z)² is zero or not finite.

    See Also
    --------
    torch.nn.init.calculate_gain : Equal, for its names.
    xavier_normal, he_normal, orthogonal : Initializers that take a gain.

    Notes
    -----
    Formula in [1]_. A callable is integrated at 768 fixed points; kinks at multiples of 1/2 cost no
    accuracy. The callable's own values are outside the promise of equal bits.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, equations 10 and 14.

    Examples
    --------
    >>> fi.gain("leaky_relu", 0.2), fi.gain(lambda z: max(z, 0.0))
    (1.3867504905630728, 1.4142135623730951)
    """
    if callable(activation):
        if param is not None:
            raise ValueError(
                "param is for leaky_relu and elu; give the callable with its own parameters bound"
            )
        return _gain_by_quadrature(activation)
    if not isinstance(activation, str):
        raise TypeError(f"activation must be a name or a callable, not {described(activation)}")
    if activation in _WITH_PARAM:
        return _gain_with_param(activation, param)
    known = _GAINS.get(activation)
    if known is None:
        raise ValueError(_unknown_activation(activation))
    if param is not None:
        raise ValueError(
            f"{activation} has no param, but {shown(param)} was given; only "
            f"{' and '.join(_WITH_PARAM)} "
            "have one"
        )
    return known


def _gain_with_param(activation: str, param: Real | None) -> float:
    a = real(param, "param") if param is not None else 0.01 if activation == "leaky_relu" else 1.0
    second_moment = (
        0.5 * (1.0 + a * a) if activation == "leaky_relu" else 0.5 + a * a * _ELU_NEGATIVE_SIDE
    )
    if not math.isfinite(second_moment):
        raise ValueError(
            f"param={param!r} of {activation} is too large: its square is not finite; give a "
            "smaller one"
        )
    if activation == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + a * a))  # bits: torch's expression
    return 1.0 / math.sqrt(second_moment)


# Gauss-Legendre, 16 points: the positive half of the nodes and their weights.
_NODES = (
    0.09501250983763744,
    0.2816035507792589,
    0.45801677765722737,
    0.6178762444026438,
    0.755404408355003,
    0.8656312023878318,
    0.9445750230732326,
    0.9894009349916499,
)


_WEIGHTS = (
    0.1894506104550685,
    0.18260341504492358,
    0.16915651939500254,
    0.14959598881657674,
    0.12462897125553388,
    0.09515851168249279,
    0.062253523938647894,
    0.027152459411754096,
)


_PANELS = range(-24, 24)  # of width 1/2, over [-12, 12]: the normal density beyond is below 3e-32


_SQRT_2_PI = 2.5066282746310007


def _gain_by_quadrature(activation: Callable[[float], float]) -> float:
    from ._core.math import exp  # on demand: names need no exact functions

    total = 0.0
    for panel in _PANELS:
        middle = 0.5 * panel + 0.25
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            for z in (middle - 0.25 * node, middle + 0.25 * node):
                value = float(activation(z))
                total += weight * exp(-0.5 * z * z) * (value * value)
    second_moment = 0.25 * total / _SQRT_2_PI
    if not (math.isfinite(second_moment) and second_moment > 0.0):
        raise ValueError(
            f"the activation has E f(z)² = {second_moment!r}; a gain needs it finite and above 0"
        )
    return 1.0 / math.sqrt(second_moment)


def _unknown_activation(activation: str) -> str:
    names = sorted((*_GAINS, *_WITH_PARAM))
    hint = nearest(activation, names)
    return (
        f"unknown activation {shown(activation)}; {hint + ' ' if hint else ''}known are "
        f"{', '.join(names)}, or give a callable of one float"
    )
