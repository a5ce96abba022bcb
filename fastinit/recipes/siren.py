"""siren: uniform weights for networks of sines.

Its rule turns the formula into one draw; fans: ../fans.py.
"""

from __future__ import annotations

import math
from typing import Any

from .._core import draws
from .._core.arguments import real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..fans import fans
from ..typing import Array, Sizes


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
    shape: Any = None,
    *,
    first: bool = False,
    omega: float = 30.0,
    layout: str = "oi",
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Hidden layers U(±√(6/n)/omega), the first layer U(±1/n), n = fan_in, for networks of
    sin(omega·(W·x + b)).

    Parameters
    ----------
    first : whether this is the first layer.
    omega : the frequency inside the sine, > 0.
    layout, groups : which axes make fan_in; see fans.

    Source: Sitzmann et al., Implicit neural representations with periodic activation functions,
    NeurIPS 2020.

    Examples
    --------
    >>> fi.siren((2, 3), first=True, seed=0, name="w")
    array([[ 0.06339931, -0.14844935, -0.01268479],
           [ 0.14693633, -0.23992574,  0.178924  ]], dtype=float32)
    """
    own = {"first": first, "omega": omega, "layout": layout, "groups": groups}
    return apply(siren_rule, own, shape, dtype, out, region, seed, name, threads)
