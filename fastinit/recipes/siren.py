"""siren: uniform weights for networks whose activation is the sine.

Its rule turns the formula into one draw; fans: ../fans.py.
"""

from __future__ import annotations

import math
from typing import SupportsIndex

from .._core import draws
from .._core.arguments import real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..fans import fans
from ..typing import AxisLayout, Dtype, Name, Out, Real, Region, Seed, Shape, Sizes


def siren_rule(
    shape: Sizes,
    dtype: DType,
    *,
    first: bool = False,
    omega: float = 30.0,
    layout: str = "oi",
    groups: int = 1,
) -> Draw:
    omega = real(omega, "omega")
    if not omega > 0.0:
        raise ValueError(f"omega is {omega!r}; it must be > 0")
    if 0 in shape:
        return draws.normal(0.0, 0.0, dtype)
    n = fans(shape, layout=layout, groups=groups).fan_in
    bound = 1.0 / n if first else math.sqrt(6.0 / n) / omega  # bits:
    return draws.uniform(-bound, bound, dtype, symmetric=True)


def siren(
    shape: Shape | None = None,
    *,
    first: bool = False,
    omega: Real = 30.0,
    layout: AxisLayout = "oi",
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """U(±√(6 / n) / omega), in the first layer U(±1 / n), n = fan_in: for networks of sines.

    Each layer computes sin(omega·(W·x + b)).

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    first : bool, default False
        Whether this is the first layer.
    omega : float, default 30.0
        The frequency inside the sine, > 0.
    layout : str, default "oi"
        "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
    groups : int, default 1
        Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
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
        `omega` not above 0; a shape without fans.

    See Also
    --------
    fans : How fan_in is counted.

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] Sitzmann et al., Implicit neural representations with periodic activation functions,
           NeurIPS 2020.

    Examples
    --------
    >>> fi.siren((2, 3), first=True, seed=0, name="w")
    array([[ 0.06339931, -0.14844935, -0.01268479],
           [ 0.14693633, -0.23992574,  0.178924  ]], dtype=float32)
    """
    own = {"first": first, "omega": omega, "layout": layout, "groups": groups}
    return apply(siren_rule, own, shape, dtype, out, region, seed, name, threads)
