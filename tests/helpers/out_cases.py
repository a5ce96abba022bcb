"""A draw into memory of every order: what the tests of out= and of DLPack share."""

import numpy as np

from fastinit._core import draws, engine
from fastinit._core import fill as _fill
from fastinit._core.dtypes import resolve

SHAPE = (6, 5, 4)


def uniform_rule(shape, dtype, *, low=0.0, high=1.0):
    return draws.uniform(low, high, dtype)


@engine.guarded
def draw(shape=None, *, dtype=None, out=None, region=None, rule=uniform_rule, **own):
    return _fill.apply(rule, own, shape, dtype, out, region, 5, "tensor", None)


def bits(values):
    return np.ascontiguousarray(values).tobytes()


def layouts(dtype):
    """Arrays of shape SHAPE in every kind of memory order, their surroundings zero."""
    kind = resolve(dtype).numpy()
    a, b, c = SHAPE
    return {
        "C": np.zeros(SHAPE, kind),
        "Fortran": np.zeros(SHAPE, kind, order="F"),
        "transposed": np.zeros((b, c, a), kind).transpose(2, 0, 1),
        "strided": np.zeros((2 * a, 3 * b, 2 * c), kind)[::2, 1::3, 1::2],
        "reversed": np.zeros(SHAPE, kind)[::-1],
        "all reversed": np.zeros(SHAPE, kind)[::-1, ::-1, ::-1],
        "reversed strided": np.zeros((a, 2 * b, c), kind)[::-1, ::-2, ::-1],
        "rows": np.zeros((a, b, c + 3), kind)[:, :, :c],
        "matrix subclass": np.zeros(SHAPE, kind).view(type("Sub", (np.ndarray,), {})),
        "broadcast of one": np.zeros((1, a, b, c), kind)[0],
    }
