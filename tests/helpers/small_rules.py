"""Small rules, and draw(), which fills one tensor by a rule. For tests of the fills."""

import math

import numpy as np

from fastinit._core import draws, engine
from fastinit._core import fill as _fill

SEED = 2026


def uniform_rule(shape, dtype, *, low=0.0, high=1.0):
    return draws.uniform(low, high, dtype)


def normal_rule(shape, dtype, *, mean=0.0, std=1.0):
    return draws.normal(mean, std, dtype)


def ramp_rule(shape, dtype, *, scale=1):
    """A Write: element i of the global tensor is the bits scale * i."""

    def write(target, seed, stream, threads):
        ramp = np.arange(math.prod(target.shape)).reshape(target.shape) * scale
        target.view[...] = ramp[target.region].astype(target.view.dtype)

    return write


@engine.guarded
def draw(
    shape=None,
    rule=uniform_rule,
    *,
    dtype=None,
    out=None,
    region=None,
    seed=SEED,
    name=None,
    threads=None,
    **own,
):
    return _fill.apply(rule, own, shape, dtype, out, region, seed, name, threads)
