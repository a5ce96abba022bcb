"""Shape, layout, groups → fans; activation → gain: the two numbers that scale an initializer.

It may not draw, round to a dtype or know an initializer: the formulas that use fans and gains stand
in initializers/scaled.py.  Fans are exact integers, always of the global shape, never of a shard's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ._draws import real
from ._engine import guarded
from ._fill import parse_shape
from ._math import exp

Axes = int | Sequence[int]


class Fans(NamedTuple):
    """Inputs that reach one output, and outputs that one input reaches."""

    fan_in: int
    fan_out: int


# In these layouts of transposed convolutions the in axis counts all groups, in every other layout
# the out axis.
_TRANSPOSED = ("IOW", "IOHW", "IODHW", "WOI", "HWOI", "DHWOI")


def fans(
    shape: Axes,
    *,
    layout: str = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: int = 1,
) -> Fans:
    """fan_in = product of in and kernel axes; fan_out = product of out and kernel axes, divided by
    groups.

    Parameters
    ----------
    shape : the global shape, two or more axes unless in_axis and out_axis are given.
    layout : "oi", (out, in, *kernel) as in torch; "io", (*kernel, in, out) as in JAX and Keras; or
        one capital an axis: O out, I in, B batch, D H W kernel. "IOHW" is torch's transposed
        convolution, "IOO" (dim, heads, head_dim).
    in_axis, out_axis : an axis or axes; both or neither; they win over layout. () stands for no
        axis.
    batch_axis : axes of independent weights (experts, heads, channels of a depthwise kernel); they
        count in no fan.
    groups : equal blocks stacked along the out axis (of transposed convolutions the in axis): a
        convolution's groups, 3 for fused q, k, v, 2 for gate-up. The default is torch's number,
        which counts the outputs of all groups.

    Raises
    ------
    ValueError
        Fewer than two axes, axes outside the shape or named twice, groups that do not divide their
        axis.

    Same as: torch's _calculate_fan_in_and_fan_out ("oi"), Keras' compute_fans ("io"), JAX's axes of
    variance_scaling.

    Examples
    --------
    >>> fi.fans((64, 32, 3, 3)), fi.fans((96, 32), groups=3)
    (Fans(fan_in=288, fan_out=576), Fans(fan_in=32, fan_out=32))
    """
    shape = parse_shape(shape)
    ins, outs, batch, spelled = _axes(shape, layout, in_axis, out_axis, batch_axis)
    groups = _integer(groups, "groups")
    kernel = math.prod(size for axis, size in enumerate(shape) if axis not in (*ins, *outs, *batch))
    fan_in = math.prod(shape[axis] for axis in ins)
    fan_out = math.prod(shape[axis] for axis in outs)
    transposed = spelled in _TRANSPOSED
    counted = fan_in if transposed else fan_out
    if groups < 1 or counted % groups:
        raise ValueError(
            f"groups={groups} does not divide the {counted} "
            f"{'inputs' if transposed else 'outputs'} of shape {shape}, layout {layout!r}; give "
            "the shape of all groups together, or another number of groups"
        )
    if transposed:
        fan_in //= groups
    else:
        fan_out //= groups
    return Fans(fan_in * kernel, fan_out * kernel)


def _axes(
    shape: tuple[int, ...],
    layout: str,
    in_axis: Axes | None,
    out_axis: Axes | None,
    batch_axis: Axes,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], str]:
    """In, out and batch axes, and the layout if it was spelled axis by axis and not overruled."""
    rank = len(shape)
    batch = _normalised(batch_axis, shape, "batch_axis")
    if in_axis is not None or out_axis is not None:
        if in_axis is None or out_axis is None:
            missing = "out_axis" if out_axis is None else "in_axis"
            raise ValueError(
                f"{missing} is missing; give both axes (() stands for no axis), or a layout alone"
            )
        ins, outs, spelled = (
            _normalised(in_axis, shape, "in_axis"),
            _normalised(out_axis, shape, "out_axis"),
            "",
        )
    elif layout in ("oi", "io"):
        free = [axis for axis in range(rank) if axis not in batch]
        if len(free) < 2:
            beside = f" beside batch_axis {batch}" if batch else ""
            raise ValueError(
                f"shape {shape} has no fan_in and fan_out: layout {layout!r} needs at least two "
                f"axes{beside}; say which axes are inputs and outputs (in_axis=(), out_axis=0 for "
                "a vector of outputs), or take an initializer without fans (zeros, normal, "
                "uniform)"
            )
        ins, outs, spelled = (
            ((free[1],), (free[0],), "") if layout == "oi" else ((free[-2],), (free[-1],), "")
        )
    else:
        spelled = _spelled(layout, shape)
        ins, outs, own = (
            tuple(axis for axis in range(rank) if spelled[axis] == letter) for letter in "IOB"
        )
        batch += own
    claimed = (*ins, *outs, *batch)
    if len(set(claimed)) < len(claimed):
        raise ValueError(
            f"one axis of shape {shape} has two roles: in_axis {ins}, out_axis {outs}, batch_axis "
            f"{batch}; each axis is one of in, out, batch or (named nowhere) kernel"
        )
    return ins, outs, batch, spelled


def _spelled(layout: object, shape: tuple[int, ...]) -> str:
    if not isinstance(layout, str):
        raise TypeError(
            f"layout must be a str such as 'oi' or 'OIHW', not {type(layout).__name__} "
            f"{layout!r:.80}"
        )
    if set(layout) - set("OIBDHW") or not layout:
        raise ValueError(
            f"unknown layout {layout!r:.80}; give 'oi' (out, in, *kernel), 'io' (*kernel, in, "
            "out), or one capital an axis: O out, I in, B batch, D H W kernel, such as 'OIHW', "
            "'HWIO', 'IOHW'"
        )
    if len(layout) != len(shape):
        raise ValueError(
            f"layout {layout!r} spells {len(layout)} axes, but shape {shape} has {len(shape)}"
        )
    if "O" not in layout or "I" not in layout:
        raise ValueError(
            f"layout {layout!r} names no {'out axis O' if 'O' not in layout else 'in axis I'}; "
            "give in_axis and out_axis (() stands for no axis) where there is none"
        )
    return layout


def _normalised(axes: Axes, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Axes as non-negative integers, in the order given."""
    rank = len(shape)
    several = isinstance(axes, Sequence) and not isinstance(axes, str)
    given = tuple(_integer(axis, what) for axis in axes) if several else (_integer(axes, what),)  # type: ignore[union-attr]
    if any(not -rank <= axis < rank for axis in given):
        raise ValueError(
            f"{what} {axes!r} is outside shape {shape}; axes run from {-rank} to {rank - 1}"
        )
    return tuple(axis % rank for axis in given)


def _integer(value: object, what: str) -> int:
    kind = type(value)
    if kind is int:
        return value  # type: ignore[return-value]
    if kind.__name__ not in ("bool", "bool_"):
        try:
            return operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"{what} must hold integers, not {kind.__name__} {value!r:.80}")


# -------------------------------------------------------------------------------------------- gains

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)

# torch's values first: 1 for sigmoid, 5/3 and 3/4 are conventions, not second moments.  Then
# 1/sqrt(E f(z)²) of a standard normal z, seventeen digits, which tests/test_gains.py computes again
# by quadrature in mpmath.
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

# E (e^z - 1)² over z < 0, of a standard normal z.
_ELU_NEGATIVE_SIDE = 0.14494541749292386


@guarded
def gain(activation: str | Callable[[float], float], param: float | None = None) -> float:
    """gain = 1 / sqrt(E f(z)²), z ~ N(0, 1): the factor that keeps the second moment through the
    activation f.

    Parameters
    ----------
    activation : a name, or a callable that takes one float and returns one. torch's names have
        torch's values: linear, conv1d … conv_transpose3d and sigmoid 1, tanh 5/3, relu √2,
        leaky_relu √(2/(1 + slope²)), selu 3/4. By the formula: gelu, gelu_tanh, quick_gelu, silu =
        swish, mish, elu, softplus, softsign, hardswish, hardsigmoid, hardtanh, relu6, relu_squared,
        logsigmoid, tanhshrink. A callable is integrated at 768 fixed points (kinks at whole and
        half numbers cost no accuracy); what it computes itself is outside the promise of equal
        bits.
    param : leaky_relu's negative slope (default 0.01), elu's alpha (default 1).

    Raises
    ------
    ValueError
        An unknown name; a param not finite, or not of this activation; a callable with E f(z)² zero
        or not finite.

    Same as: torch.nn.init.calculate_gain, for its names. Source: He et al. 2015, equation 14;
    torch's documentation.

    Examples
    --------
    >>> fi.gain("leaky_relu", 0.2), fi.gain(lambda z: max(z, 0.0))
    (1.3867504905630728, 1.4142135623730951)
    """
    if callable(activation):
        if param is not None:
            raise ValueError(
                "param belongs to leaky_relu and elu; give the callable with its own parameters "
                "bound"
            )
        return _gain_by_quadrature(activation)
    if not isinstance(activation, str):
        raise TypeError(
            f"activation must be a name or a callable, not {type(activation).__name__} "
            f"{activation!r:.80}"
        )
    if activation in _WITH_PARAM:
        return _gain_with_param(activation, param)
    known = _GAINS.get(activation)
    if known is None:
        raise ValueError(_unknown_activation(activation))
    if param is not None:
        raise ValueError(
            f"{activation} has no param, but {param!r} was given; {' and '.join(_WITH_PARAM)} "
            "have one"
        )
    return known


def _gain_with_param(activation: str, param: float | None) -> float:
    a = real(param, "param") if param is not None else 0.01 if activation == "leaky_relu" else 1.0
    second_moment = (
        0.5 * (1.0 + a * a) if activation == "leaky_relu" else 0.5 + a * a * _ELU_NEGATIVE_SIDE
    )
    if not math.isfinite(second_moment):
        raise ValueError(f"param={param!r} of {activation} is too large: its square is not finite")
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
    from difflib import get_close_matches  # only on the way to an error

    names = sorted((*_GAINS, *_WITH_PARAM))
    near = get_close_matches(activation.lower(), names, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"unknown activation {activation!r:.80}; {hint}known are {', '.join(names)}, or give a "
        "callable of one float"
    )
