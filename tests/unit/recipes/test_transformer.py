"""small_init and wang_init are normals of their variance."""

import math

import numpy as np
import pytest

from fastinit import recipes as r


def z_of_variance(values, variance):
    return (np.square(values.astype(np.float64)).mean() / variance - 1) * math.sqrt(values.size / 2)


@pytest.mark.parametrize("dim", [64, 1024])
def test_small_and_wang_init_have_their_variance(dim):
    assert abs(z_of_variance(r.small_init((1000, 2000), dim=dim, seed=1), 2 / (5 * dim))) < 5
    wang = r.wang_init((1000, 2000), dim=dim, layers=24, seed=1)
    assert abs(z_of_variance(wang, 4 / (24**2 * dim))) < 5
    assert abs(z_of_variance(wang, 2 / (24**2 * dim))) > 50  # the mutant: 2 read as a variance
