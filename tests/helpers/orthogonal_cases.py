"""What the tests of the orthogonal family share: a choice of the form, and the fixed draws of the
known answers.
"""

import importlib

import numpy as np

from fastinit._orthogonal import forms

DTYPES = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def force(monkeypatch, form):
    """Have every problem worked off by this form, whatever its size and whichever engine draws."""
    module = None if form == "numpy" else importlib.import_module("fastinit._orthogonal.compiled")
    monkeypatch.setattr(forms, "compiled", lambda steps, wide, what: module)
    return module


def replace_draws(monkeypatch, zero=None):
    """g(i) of stream-v1-cases.md for the Gaussian draws; value index `zero`, if given, draws 0."""

    def draws(wide, seed, stream):
        def draw(parts):
            for out, first, strides in parts:
                index = np.full(out.shape, first, np.uint64)
                for axis, stride in enumerate(strides):
                    steps = np.arange(out.shape[axis], dtype=np.uint64) * np.uint64(stride)
                    index += steps.reshape([-1 if k == axis else 1 for k in range(out.ndim)])
                word = (
                    (index * np.uint64(2654435761) & np.uint64(0xFFFFFFFF))
                    .astype(np.uint32)
                    .view(np.int32)
                )
                out[...] = word.astype(out.dtype) / out.dtype.type(2.0**30)
                if zero is not None:
                    out[index == zero] = 0

        return draw

    monkeypatch.setattr(forms, "draws", draws)


def bits(array):
    """The bits of an array, C order, as bytes."""
    return np.ascontiguousarray(array).view(np.uint8)


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(bits(a), bits(b))


def gram_error(w, gain=1.0):
    """max |W Wᵀ - gain² I| / gain² of the shorter side, in float64."""
    w = np.asarray(w, dtype=np.float64) / gain
    w = w if w.shape[0] <= w.shape[1] else w.T
    return np.abs(w @ w.T - np.eye(len(w))).max()


def boxes(shape, count, seed):
    """Regions of a shape at random, some of them empty."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        ends = [sorted(rng.integers(0, size + 1, 2)) for size in shape]
        yield tuple([slice(int(low), int(high)) for low, high in ends])
