"""prior_probability_bias: the logit of a prior probability, for the last layer of a classifier.

The logarithm comes from _core/math.py, so that it is the same on every machine.
"""

from __future__ import annotations

from .._core import draws
from .._core import math as exact
from .._core.arguments import real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Dtype, Name, Out, Real, Region, Seed, Shape, Sizes


def prior_probability_bias_rule(shape: Sizes, dtype: DType, *, probability: float = 0.01) -> Draw:
    p = real(probability, "probability")
    if not 0.0 < p < 1.0 or (1.0 - p) / p == float("inf"):
        raise ValueError(f"probability is {p!r}; it must lie between 0 and 1, both excluded")
    return draws.constant(-exact.log((1.0 - p) / p) + 0.0, dtype)  # bits:


def prior_probability_bias(
    shape: Shape | None = None,
    *,
    probability: Real = 0.01,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """−ln((1 − p) / p): its sigmoid is p, so that a rare class starts out rare.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    probability : float, default 0.01
        The prior p, between 0 and 1.
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
        A probability that is not between 0 and 1.

    See Also
    --------
    constant : Any other value.

    Notes
    -----
    Formula in [1]_, section 4.1, and in MMEngine's bias_init_with_prob. Nothing is drawn: `seed`
    and `name` are checked and have no effect.

    References
    ----------
    .. [1] Lin et al., Focal loss for dense object detection, ICCV 2017.

    Examples
    --------
    >>> fi.prior_probability_bias(2, probability=0.01)
    array([-4.59512, -4.59512], dtype=float32)
    """
    own = {"probability": probability}
    return apply(prior_probability_bias_rule, own, shape, dtype, out, region, seed, name, threads)
