"""zero_hadamard is algorithm 1 of ZerO, in any layout."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from fastinit import recipes as r


@pytest.mark.parametrize(
    "shape", [(4, 2), (5, 3), (64, 17), (100, 99), (7, 7), (3, 9), (1, 1), (2, 1)]
)
def test_zero_hadamard_is_algorithm_1_of_zero(shape):
    out, into = shape
    if out <= into:
        expected = np.eye(out, into)
    else:
        m = math.ceil(math.log2(out))
        expected = (
            np.eye(out, 2**m) @ (scipy.linalg.hadamard(2**m) / 2 ** (m / 2)) @ np.eye(2**m, into)
        )
    result = r.zero_hadamard(shape, dtype="float64")
    np.testing.assert_allclose(result, expected, rtol=1e-15)
    np.testing.assert_array_equal(
        r.zero_hadamard(shape[::-1], dtype="float64", layout="io"), result.T
    )
    for size in (1, 4, 5):
        kernel = r.zero_hadamard((*shape, size, 3), dtype="float64")
        np.testing.assert_array_equal(kernel[:, :, size // 2, 1], result)
        assert np.count_nonzero(kernel) == np.count_nonzero(result)
