"""idinit puts identities side by side."""

import math

import numpy as np
import pytest

from fastinit import recipes as r


@pytest.mark.parametrize("shape", [(4, 4), (2, 5), (5, 2), (6, 3), (3, 6), (1, 4)])
def test_idinit_puts_identities_side_by_side(shape):
    out, into = shape
    identity = np.eye(min(shape))
    tiled = np.tile(identity, (math.ceil(out / len(identity)), math.ceil(into / len(identity))))[
        :out, :into
    ]
    np.testing.assert_array_equal(r.idinit(shape), tiled)
    np.testing.assert_array_equal(r.idinit(shape, tau=1e-6, dtype="float64"), tiled * 1e-6)
    assert np.linalg.matrix_rank(r.idinit(shape)) == min(shape)


def test_idinit_of_convolutions_is_that_of_the_flat_matrix():
    np.testing.assert_array_equal(r.idinit((8, 3, 3, 3)), r.idinit((8, 27)).reshape(8, 3, 3, 3))
    np.testing.assert_array_equal(
        r.idinit((3, 3, 3, 8), layout="io"), r.idinit((27, 8)).reshape(3, 3, 3, 8)
    )
