"""Predictions of mean-field theory for the layers of stacks.py: the power of activations and
gradients, layer by layer, in the limit of infinite width.

The expectations over the weights are exact in that limit for plain and residual layers.  For
attention, the moments of the softmax are means over fixed draws of the scores.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..initializers.basic import normal
from ..typing import Array
from .activations import Activation
from .stacks import EXPANSION, TOKENS

# Returns the mean square of a matrix's elements, given its name and shape (out, in).
SecondMoment = Callable[[str, tuple[int, int]], float]

# The midpoint rule over z in [-12, 12].  The points are symmetric and exclude 0, so the step in
# ReLU's derivative is integrated exactly.  For smooth functions the rule is exact up to rounding.
_STEP = 1 / 128
_Z = np.arange(-12 + _STEP / 2, 12, _STEP)
_WEIGHT = _STEP * np.exp(-0.5 * _Z * _Z) / math.sqrt(2 * math.pi)
# The same over [-8, 8], for integrals over two variables: ReLU's kink causes an error of 1e-3.
_COARSE = 1 / 16
_COARSE_Z = np.arange(-8 + _COARSE / 2, 8, _COARSE)
_COARSE_WEIGHT = _COARSE * np.exp(-0.5 * _COARSE_Z * _COARSE_Z) / math.sqrt(2 * math.pi)

# Number of draws of the scores of two queries.
_DRAWS = 4096


class Power(NamedTuple):
    """Mean squares of the activations that enter each layer, and of the gradient at that point.

    Both have depth + 1 entries, and the last gradient is 1.
    """

    forward: list[float]
    backward: list[float]


def mean_square(f: Callable[[Array], Array], power: float) -> float:
    """E f(√power · z)², z ~ N(0, 1)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(_WEIGHT @ f(math.sqrt(power) * _Z) ** 2)


def mean_product(f: Callable[[Array], Array], power: float, correlation: float) -> float:
    """E f(a) f(b), where a and b are normal with mean 0, variance `power` and this correlation."""
    z, weight = _COARSE_Z, _COARSE_WEIGHT
    a = math.sqrt(power) * z
    b = correlation * a[:, None] + math.sqrt(power * max(0.0, 1.0 - correlation**2)) * z
    return float((weight * f(a)) @ (f(b) @ weight))


def plain(depth: int, width: int, moment: SecondMoment, activation: Activation) -> Power:
    """Poole et al. 2016: q = n σ² m, m' = E f(√q z)², and backward n σ² E f'(√q z)²."""
    scale = width * moment("weight", (width, width))
    forward, factors = [1.0], []
    for _ in range(depth):
        q = scale * forward[-1]
        forward.append(mean_square(activation.f, q))
        factors.append(scale * mean_square(activation.slope, q))
    return Power(forward, _backward(factors))


def residual(depth: int, width: int, moment: SecondMoment, activation: Activation) -> Power:
    """Yang and Schoenholz 2017: the branch adds its own power, forward and backward."""
    up, down = (width * moment(f"{name}.weight", (width, width)) for name in ("up", "down"))
    forward, factors = [1.0], []
    for _ in range(depth):
        q = up * forward[-1]
        forward.append(forward[-1] + down * mean_square(activation.f, q))
        factors.append(1.0 + up * down * mean_square(activation.slope, q))
    return Power(forward, _backward(factors))


def _backward(factors: list[float]) -> list[float]:
    power = [1.0]
    for factor in reversed(factors):
        power.append(factor * power[-1])
    return power[::-1]


def transformer_block(
    depth: int, width: int, moment: SecondMoment, activation: Activation
) -> Power:
    """Propagate the power of a token and the covariance of two tokens, forward and backward.

    Attention increases the covariance.  The gradient has the same two numbers.  All pairs of tokens
    are treated alike.
    """
    square = (width, width)
    q, k, v, o = (width * moment(f"{name}.weight", square) for name in "qkvo")
    inner = EXPANSION * width
    up, down = moment("up.weight", (inner, width)), moment("down.weight", (width, inner))
    # The norm gives the MLP's input power 1, so its output has the same power in every block.
    mlp = inner * down * mean_square(activation.f, width * up)
    mlp_back = width * down * inner * up * mean_square(activation.slope, width * up)

    power, shared = 1.0, 0.0
    forward = [power]
    layers = []
    for _ in range(depth):
        rho = shared / power
        share = _softmax_moments(q * k, rho)
        before = power
        power += v * o * (rho + (1 - rho) * share.same)
        shared += v * o * (rho + (1 - rho) * share.other)
        middle, rho_2 = power, shared / power
        power += mlp
        shared += inner * down * mean_product(activation.f, width * up, rho_2)
        forward.append(power)
        layers.append((before, rho, share, middle, rho_2))

    power, shared = 1.0, 0.0
    backward = [power]
    for before, rho, share, middle, rho_2 in reversed(layers):
        power += power * mlp_back / middle
        slopes = mean_product(activation.slope, width * up, rho_2)
        shared += shared * width * down * inner * up * slopes / middle
        own, other = _through_attention(share, rho, q * k, power, shared)
        power += v * o * own / before
        shared += v * o * other / before
        backward.append(power)
    return Power(forward, backward[::-1])


class Softmax(NamedTuple):
    """Means over the scores; p and p' are the softmax of one query and of another.

    They are Σ p², Σ p p', and Σ p p' (1 - p - p' + Σ p p') for one query (p' = p) and for two.
    """

    same: float
    other: float
    spread: float
    spread_other: float


@functools.cache
def _scores() -> tuple[Array, Array]:
    shape = (_DRAWS, TOKENS)
    one, two = (normal(shape, seed=0, name=name, dtype="float64") for name in ("one", "two"))
    return one, two


def _softmax_moments(power: float, rho: float) -> Softmax:
    """The moments for keys and queries with correlation rho between tokens.

    The component shared by all keys shifts all scores of a query equally, and the softmax is
    invariant to that.
    """
    rho = min(max(rho, 0.0), 1.0)
    size = math.sqrt(power * (1.0 - rho))
    one, two = _scores()
    p, other = (
        _softmax(size * score) for score in (one, rho * one + math.sqrt(1.0 - rho * rho) * two)
    )
    same, crossed = (p * p).sum(-1, keepdims=True), (p * other).sum(-1, keepdims=True)
    return Softmax(
        float(same.mean()),
        float(crossed.mean()),
        float((p * p * (1 - 2 * p + same)).sum(-1).mean()),
        float((p * other * (1 - p - other + crossed)).sum(-1).mean()),
    )


def _softmax(score: Array) -> Array:
    share: Array = np.exp(score - score.max(-1, keepdims=True))
    return share / share.sum(-1, keepdims=True)


def _through_attention(
    share: Softmax, rho: float, scores: float, power: float, shared: float
) -> tuple[float, float]:
    """The gradient's power and covariance after the norm, in units of v·o: the sum of the paths
    through the values, the queries and the keys.
    """
    others = TOKENS - 1
    value = shared * (share.same + others * share.other) + (power - shared) * share.same
    value_shared = shared * (1 - share.other) + power * (1 - share.same) / others
    query = scores * (1 - rho) ** 2 * power * share.spread
    query_shared = scores * (1 - rho) ** 2 * shared * share.spread_other
    key = scores * (1 - rho) * (power * share.spread + others * shared * rho * share.spread_other)
    # The gradient of a query's scores sums to 0, so the keys' term has a minus sign.
    return value + query + key, value_shared + query_shared - key / others


THEORIES: dict[str, Callable[[int, int, SecondMoment, Activation], Power]] = {
    "plain": plain,
    "residual": residual,
    "transformer-block": transformer_block,
}
