"""eye and dirac: identities, which are written and not drawn.

Their rules return a Write: a function that fills the target's region, whatever part of the global
tensor that is.  Nothing here depends on the seed.  Elementwise initializers: basic.py.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout, real, shown, whole
from .._core.dtypes import DType
from .._core.fill import apply, clear
from ..typing import Dtype, Layout, Name, Out, Real, Region, Seed, Shape, Sizes, Write


def eye_rule(shape: Sizes, dtype: DType, *, gain: Any = 1.0) -> Write:
    if len(shape) < 2:
        raise ValueError(
            f"eye needs a shape of at least two axes, not {shape}; the last two are the matrix"
        )
    # real() turns -0.0 into 0.0; bool and integer dtypes check the value as it was given.
    bits = draws.constant(real(gain, "gain") if dtype.is_float else gain, dtype).parameters[0]

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        clear(target, threads)
        rows, columns = target.region[-2:]
        diagonal = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
        target.view[..., diagonal - rows.start, diagonal - columns.start] = bits

    return write


def dirac_rule(shape: Sizes, dtype: DType, *, groups: int = 1, layout: str = "oi") -> Write:
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"dirac needs the 3 to 5 axes of a convolution's weight, not shape {shape}; for a "
            "matrix use eye"
        )
    channel_layout(layout, "dirac")
    groups = whole(groups, "groups")
    outputs, inputs = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    if outputs % groups:
        raise ValueError(
            f"groups={shown(groups)} does not divide the {outputs} outputs of shape {shape}, "
            f"layout {layout!r}"
        )
    one = draws.constant(1, dtype).parameters[0]
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    per_group = outputs // groups

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        clear(target, threads)
        if layout == "oi":
            view, (out, into, *middle) = target.view, target.region
        else:
            *middle, into, out = target.region
            view = np.moveaxis(target.view, (-1, -2), (0, 1))
        if not all(
            part.start <= size // 2 < part.stop for part, size in zip(middle, kernel, strict=True)
        ):
            return  # the centre lies outside this region
        centre = tuple(size // 2 - part.start for part, size in zip(middle, kernel, strict=True))
        output = np.arange(out.start, out.stop)
        source = output % per_group if per_group else output
        there = (into.start <= source) & (source < min(into.stop, inputs))
        view[(output[there] - out.start, source[there] - into.start, *centre)] = one

    return write


# --------------------------------------------------------------------------------- public functions


def eye(
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W[i, j] = gain where i = j, else 0.

    The matrix may be rectangular. Axes before the last two are batches of the same matrix.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        Value of the diagonal: finite in the dtype, exact in bool and integer dtypes.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        Fewer than two axes; a gain that the dtype cannot hold.

    See Also
    --------
    dirac : The identity of a convolution.
    idinit : Identities side by side.
    torch.nn.init.eye_ : Equal, for one matrix.
    keras.initializers.Identity : Equal, for one matrix.

    Notes
    -----
    Nothing is drawn: `seed` and `name` are checked and have no effect.

    Examples
    --------
    >>> fi.eye((2, 3), gain=0.5)
    array([[0.5, 0. , 0. ],
           [0. , 0.5, 0. ]], dtype=float32)
    """
    return apply(eye_rule, {"gain": gain}, shape, dtype, out, region, seed, name, threads)


def dirac(
    shape: Shape | None = None,
    *,
    groups: SupportsIndex = 1,
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W[g·(out/groups) + d, d, k//2, …] = 1 for each group g and d < min(out/groups, in), else 0.

    The convolution with this weight (zero padding, odd kernel) copies each group's input channels
    to its outputs.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    groups : int, default 1
        Groups of the convolution; must divide the outputs.
    layout : {"oi", "io"}, default "oi"
        ``(out, in/groups, *kernel)`` or ``(*kernel, in/groups, out)``.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        A shape of fewer than 3 or more than 5 axes; groups that do not divide the outputs.

    See Also
    --------
    eye : The identity of a matrix.
    delta_orthogonal : An orthogonal matrix at the centre.
    torch.nn.init.dirac_ : Equal; an even kernel's centre is index k//2 there too.

    Notes
    -----
    Nothing is drawn: `seed` and `name` are checked and have no effect.

    Examples
    --------
    >>> fi.dirac((2, 2, 3))
    array([[[0., 1., 0.],
            [0., 0., 0.]],
    <BLANKLINE>
           [[0., 0., 0.],
            [0., 1., 0.]]], dtype=float32)
    """
    return apply(
        dirac_rule,
        {"groups": groups, "layout": layout},
        shape,
        dtype,
        out,
        region,
        seed,
        name,
        threads,
    )
