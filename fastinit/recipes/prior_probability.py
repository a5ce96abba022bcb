"""prior_probability_bias: the logit of a prior probability, for the last layer of a classifier.

The logarithm is _core/math.py's, so that it is the same everywhere.
"""

from __future__ import annotations

from typing import Any

from .._core import draws
from .._core import math as exact
from .._core.arguments import real
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Array, Sizes


def prior_probability_bias_rule(shape: Sizes, dtype: DType, *, probability: float = 0.01) -> Draw:
    p = real(probability, "probability")
    if not 0.0 < p < 1.0 or (1.0 - p) / p == float("inf"):
        raise ValueError(f"probability is {p!r}; it must lie between 0 and 1, neither included")
    return draws.constant(-exact.log((1.0 - p) / p) + 0.0, dtype)  # bits:


def prior_probability_bias(
    shape: Any = None,
    *,
    probability: float = 0.01,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """−ln((1 − p)/p): the sigmoid of it is p, so that a rare class starts as rare.

    Parameters
    ----------
    probability : p, between 0 and 1.

    Source: Lin et al., Focal loss for dense object detection (RetinaNet), ICCV 2017, section 4.1.
    Same as: MMEngine bias_init_with_prob(p).

    Examples
    --------
    >>> fi.prior_probability_bias(2, probability=0.01)
    array([-4.59512, -4.59512], dtype=float32)
    """
    own = {"probability": probability}
    return apply(prior_probability_bias_rule, own, shape, dtype, out, region, seed, name, threads)
