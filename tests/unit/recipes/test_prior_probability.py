"""The bias of a prior probability is its logit."""

import mpmath
import numpy as np
import pytest
from precise import close

from fastinit import recipes as r


@pytest.mark.parametrize("p", [0.01, 0.5, 0.99, 1e-9, 1 - 1e-9, 1e-300])
def test_prior_probability_bias_is_the_logit(p):
    bias = r.prior_probability_bias(1, probability=p, dtype="float64")[0]
    assert close(bias, -mpmath.log((1 - mpmath.mpf(p)) / mpmath.mpf(p)), 2000 if p > 0.9 else 4)
    assert p != 0.5 or (bias == 0 and not np.signbit(bias))
