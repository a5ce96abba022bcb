"""eye and dirac: the identity of every matrix and convolution."""

import numpy as np
import pytest

import fastinit as fi


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3), (1, 4), (2, 3, 4), (2, 1, 3, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool"])
def test_eye_is_the_identity_of_every_matrix(shape, dtype):
    expected = np.broadcast_to(np.eye(*shape[-2:]), shape)
    w = fi.eye(shape, dtype=dtype)
    assert w.dtype == dtype and np.array_equal(w, expected)
    if dtype.startswith("float"):
        assert np.array_equal(fi.eye(shape, gain=-0.25, dtype=dtype), -0.25 * expected)


def test_a_negative_zero_gain_of_eye_is_zero():
    assert not np.signbit(fi.eye((3, 3), gain=-0.0)).any()


@pytest.mark.parametrize("kernel", [(3,), (4,), (3, 2), (1, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("outputs, inputs", [(6, 6), (6, 2), (12, 5)])
@pytest.mark.frameworks
def test_dirac_equals_torchs(outputs, inputs, kernel, groups):
    import torch

    expected = torch.nn.init.dirac_(torch.empty(outputs, inputs, *kernel), groups).numpy()
    w = fi.dirac((outputs, inputs, *kernel), groups=groups)
    assert np.array_equal(w, expected)
    assert np.count_nonzero(w) == groups * min(outputs // groups, inputs)
    io = fi.dirac((*kernel, inputs, outputs), groups=groups, layout="io")
    assert np.array_equal(np.moveaxis(io, (-1, -2), (0, 1)), expected)


def test_a_convolution_with_dirac_copies_its_input():
    signal = np.arange(12.0).reshape(2, 6)
    w = fi.dirac((3, 2, 5), dtype="float64")
    padded = np.pad(signal, [(0, 0), (2, 2)])
    result = np.array([[np.sum(w[o] * padded[:, t : t + 5]) for t in range(6)] for o in range(3)])
    assert np.array_equal(result, [*signal, np.zeros(6)])
