"""siren is uniform within its bounds."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from fastinit import recipes as r
from fastinit.initializers import uniform


def test_siren_is_uniform_within_its_bounds():
    shape, n = (1000, 128, 3, 3), 128 * 9
    for first, bound in ((True, 1 / n), (False, math.sqrt(6 / n) / 30)):
        result = r.siren(shape, first=first, seed=2)
        assert -bound <= result.min() and result.max() < bound
        assert (
            scipy.stats.kstest(result.ravel(), scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue
            > 1e-4
        )
        mutant = scipy.stats.uniform(-1.01 * bound, 2.02 * bound).cdf
        assert scipy.stats.kstest(result.ravel(), mutant).pvalue < 1e-8
    np.testing.assert_array_equal(
        r.siren((20, 30), omega=7.0, seed=1),
        uniform((20, 30), low=-math.sqrt(6 / 30) / 7, high=math.sqrt(6 / 30) / 7, seed=1),
    )
    with pytest.raises(ValueError, match="omega"):
        r.siren((2, 2), omega=0.0)
