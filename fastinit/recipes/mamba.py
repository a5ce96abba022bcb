"""mamba_dt_bias: the bias of Mamba's step sizes.

The rule returns a Write that fills any region of the bias.  Exponentials and logarithms come from
_core/math.py, so that they are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import draws, dtypes, engine
from .._core import math as exact
from .._core.arguments import real
from .._core.dtypes import DType
from .._core.fill import apply
from .._core.jobs import draw_job
from ..typing import Dtype, Name, Out, Real, Region, Seed, Shape, Sizes, Write


def mamba_dt_bias_rule(
    shape: Sizes,
    dtype: DType,
    *,
    dt_min: float = 0.001,
    dt_max: float = 0.1,
    dt_floor: float = 1e-4,
) -> Write:
    shortest, longest = real(dt_min, "dt_min"), real(dt_max, "dt_max")
    floor = real(dt_floor, "dt_floor")
    if not 0.0 < shortest <= longest < float("inf"):
        raise ValueError(
            f"dt_min is {shortest!r} and dt_max {longest!r}; give 0 < dt_min <= dt_max, finite"
        )
    if not 0.0 <= floor <= longest:
        raise ValueError(f"dt_floor is {floor!r}; it must lie between 0 and dt_max, {longest!r}")
    if len(shape) != 1:
        raise ValueError(
            f"shape is {shape}; mamba_dt_bias has one axis, of heads or channels, as in (768,)"
        )
    if not dtype.is_float:
        raise TypeError(f"mamba_dt_bias needs a floating dtype, not {dtype.name}")
    working = dtype.working
    draw = draws.uniform(exact.log(shortest), exact.log(longest), working)
    for step in (max(shortest, floor), longest):
        draws.constant(exact.log_expm1(step), dtype)  # the ends must be finite

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        (part,) = target.region
        drawn = np.empty(part.stop - part.start, working.unsigned)
        engine.run([draw_job(drawn, draw, seed, stream, part.start, (1,))], threads)
        steps = [max(exact.exp(one), floor) for one in drawn.view(working.numpy()).tolist()]
        target.view[...] = [dtypes.encode(exact.log_expm1(step), dtype) for step in steps]

    return write


def mamba_dt_bias(
    shape: Shape | None = None,
    *,
    dt_min: Real = 0.001,
    dt_max: Real = 0.1,
    dt_floor: Real = 1e-4,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """ln(e^dt − 1), ln dt ~ U(ln dt_min, ln dt_max): its softplus is Mamba's step size dt.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    dt_min, dt_max : float, default 0.001 and 0.1
        The shortest and the longest step.
    dt_floor : float, default 1e-4
        Steps shorter than this are set to it.
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
        More than one axis; steps that are not positive and ordered.

    See Also
    --------
    ones : For Mamba-3's D, B_bias and C_bias.

    Notes
    -----
    From [1]_. Mamba, Mamba-2 and Mamba-3 (package mamba_ssm) have the same bias: one value for each
    channel of Mamba's dt_proj, and one for each head (dt_bias) in the others. Mamba-3 [2]_ adds
    B_bias and C_bias, which are `ones`. Its variant with several inputs and outputs also has
    mimo_z, which is `ones`, and mimo_x and mimo_o, which are `constant` with 1 / rank. Its decay
    has no parameter. The exponential and the logarithm are computed in double and rounded once to
    the dtype. Element i depends on the seed, the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] Gu and Dao, Mamba: linear-time sequence modeling with selective state spaces, COLM 2024.
    .. [2] Lahoti et al., Mamba-3: improved sequence modeling using state space principles, ICLR
           2026.

    Examples
    --------
    >>> bias = fi.mamba_dt_bias(4, seed=0, name="dt_bias")
    >>> bias
    array([-6.874007 , -3.2938528, -4.7511034, -3.5511048], dtype=float32)
    >>> [round(float(dt), 4) for dt in np.log1p(np.exp(bias))]
    [0.001, 0.0364, 0.0086, 0.0283]
    """
    own = {"dt_min": dt_min, "dt_max": dt_max, "dt_floor": dt_floor}
    return apply(mamba_dt_bias_rule, own, shape, dtype, out, region, seed, name, threads)
