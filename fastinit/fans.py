"""fans: from shape, layout and groups to the fans that scale an initializer.

Nothing here draws, rounds to a dtype or knows an initializer: the formulas that use fans are in
initializers/variance_scaling.py.  Fans are exact integers, always of the global shape, never of a
shard's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, SupportsIndex

from ._core.arguments import described, integer, shown, whole
from ._core.shapes import parse_shape
from .typing import Axes, AxisLayout, Shape


class Fans(NamedTuple):
    """The number of inputs that reach one output, and of outputs that one input reaches.

    Parameters
    ----------
    fan_in : int
        Inputs of one output.
    fan_out : int
        Outputs of one input.

    See Also
    --------
    fans : The function that returns it.

    Examples
    --------
    >>> fi.Fans(fan_in=3, fan_out=4).fan_in
    3
    """

    fan_in: int
    fan_out: int


# In these layouts, of transposed convolutions, the in axis holds all groups; in every other layout
# the out axis does.
_TRANSPOSED = ("IOW", "IOHW", "IODHW", "WOI", "HWOI", "DHWOI")


def fans(
    shape: Shape,
    *,
    layout: AxisLayout = "oi",
    in_axis: Axes | None = None,
    out_axis: Axes | None = None,
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
) -> Fans:
    """fan_in = product of in and kernel axes; fan_out = product of out and kernel axes / groups.

    Parameters
    ----------
    shape : int or sequence of int
        Sizes of the whole tensor, two or more unless `in_axis` and `out_axis` are given.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, as in torch; "io" for ``(*kernel, in, out)``, as in JAX and
        Keras; or one capital letter for each axis: O out, I in, B batch, D H W kernel. "IOHW" is
        torch's transposed convolution, "IOO" is (dim, heads, head_dim).
    in_axis, out_axis : int or sequence of int, optional
        Input and output axes; give both or neither. They override `layout`; () means no axis.
    batch_axis : int or sequence of int, default ()
        Axes of independent weights (experts, heads, channels of a depthwise kernel); no fan counts
        them.
    groups : int, default 1
        Equal blocks stacked along the out axis (in transposed convolutions, the in axis): the
        groups of a convolution, 3 for fused q, k and v, 2 for fused gate and up. With the default,
        fan_out counts the outputs of all groups, as in torch.

    Returns
    -------
    Fans
        The two fans, exact integers.

    Raises
    ------
    ValueError
        Fewer than two axes; axes outside the shape or named twice; groups that do not divide their
        axis.

    See Also
    --------
    variance_scaling : Scales by fans.
    torch.nn.init.kaiming_normal_ : Counts fans as "oi".
    keras.initializers.VarianceScaling : Counts fans as "io".
    jax.nn.initializers.variance_scaling : Counts fans as "io", by in_axis, out_axis and batch_axis.

    Notes
    -----
    Fans are those of the whole tensor, never of a shard: stream-v1.md, section 3.

    Examples
    --------
    >>> fi.fans((64, 32, 3, 3)), fi.fans((96, 32), groups=3)
    (Fans(fan_in=288, fan_out=576), Fans(fan_in=32, fan_out=32))
    """
    shape = parse_shape(shape)
    ins, outs, batch, spelled = _axes(shape, layout, in_axis, out_axis, batch_axis)
    groups = whole(groups, "groups")
    kernel = math.prod(size for axis, size in enumerate(shape) if axis not in (*ins, *outs, *batch))
    fan_in = math.prod(shape[axis] for axis in ins)
    fan_out = math.prod(shape[axis] for axis in outs)
    transposed = spelled in _TRANSPOSED
    counted = fan_in if transposed else fan_out
    if counted % groups:
        raise ValueError(
            f"groups={shown(groups)} does not divide the {counted} "
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
    batch = normalized(batch_axis, shape, "batch_axis")
    if in_axis is not None or out_axis is not None:
        if in_axis is None or out_axis is None:
            missing = "out_axis" if out_axis is None else "in_axis"
            raise ValueError(
                f"{missing} is missing; give both axes (() means no axis), or only a layout"
            )
        ins, outs, spelled = (
            normalized(in_axis, shape, "in_axis"),
            normalized(out_axis, shape, "out_axis"),
            "",
        )
    elif layout in ("oi", "io"):
        free = [axis for axis in range(rank) if axis not in batch]
        if len(free) < 2:
            beside = f" beside batch_axis {batch}" if batch else ""
            raise ValueError(
                f"shape {shown(shape)} has no fan_in and fan_out: layout {layout!r} needs at least "
                f"two axes{beside}; say which axes are inputs and outputs (in_axis=(), out_axis=0 "
                "for a vector of outputs), or use an initializer without fans (zeros, normal, "
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
            f"one axis of shape {shown(shape)} has two roles: in_axis {ins}, out_axis {outs}, "
            f"batch_axis {batch}; each axis has one role: in, out, batch, or kernel if it is in "
            "none of these"
        )
    return ins, outs, batch, spelled


def _spelled(layout: object, shape: tuple[int, ...]) -> str:
    if not isinstance(layout, str):
        raise TypeError(f"layout must be a str such as 'oi' or 'OIHW', not {described(layout)}")
    if set(layout) - set("OIBDHW") or not layout:
        raise ValueError(
            f"unknown layout {shown(layout)}; give 'oi' (out, in, *kernel), 'io' (*kernel, in, "
            "out), or one capital letter for each axis: O out, I in, B batch, D H W kernel, such "
            "as 'OIHW', "
            "'HWIO', 'IOHW'"
        )
    if len(layout) != len(shape):
        raise ValueError(
            f"layout {layout!r} spells {len(layout)} axes, but shape {shown(shape)} has "
            f"{len(shape)}"
        )
    if "O" not in layout or "I" not in layout:
        raise ValueError(
            f"layout {layout!r} names no {'out axis O' if 'O' not in layout else 'in axis I'}; "
            "add it, or give in_axis and out_axis instead (() means no axis)"
        )
    return layout


def normalized(axes: Axes, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Axes as non-negative integers, in the order given."""
    rank = len(shape)
    several = isinstance(axes, Sequence) and not isinstance(axes, (str, bytes, bytearray))
    given = tuple(integer(axis, what) for axis in axes) if several else (integer(axes, what),)  # type: ignore[union-attr]
    if any(not -rank <= axis < rank for axis in given):
        raise ValueError(
            f"{what} {shown(axes)} is outside shape {shown(shape)}; axes run from {-rank} to "
            f"{rank - 1}"
        )
    return tuple(axis % rank for axis in given)
