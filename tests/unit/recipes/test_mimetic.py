"""mimetic's factors multiply to noise and identity."""

import math

import numpy as np
import pytest

from fastinit import recipes as r
from fastinit.initializers import normal


@pytest.mark.parametrize("rank", [None, 8])
def test_mimetic_factors_multiply_to_noise_and_identity(rank):
    dim = 48
    first, second = r.mimetic(
        dim, rank=rank, alpha=0.4, beta=-0.4, seed=3, name="h", dtype="float64"
    )
    target = 0.4 * normal(
        (dim, dim), std=1 / math.sqrt(dim), seed=3, name="h", dtype="float64"
    ) - 0.4 * np.eye(dim)
    product = first @ second
    if rank is None:
        np.testing.assert_allclose(product, target, atol=1e-12)
        assert abs(np.trace(product) / dim + 0.4) < 0.05
    else:
        # It is the best approximation of its rank: only the smaller singular values are missing.
        missing = np.linalg.svd(target - product, compute_uv=False)
        np.testing.assert_allclose(
            missing[: dim - rank], np.linalg.svd(target, compute_uv=False)[rank:], atol=1e-12
        )
    # Balanced: both hold √S.
    np.testing.assert_allclose(first.T @ first, second @ second.T, atol=1e-12)
    assert first.shape == (dim, rank or dim) and second.shape == (rank or dim, dim)
    with pytest.raises(ValueError, match="above dim"):
        r.mimetic(4, rank=5)
    with pytest.raises(TypeError, match="floating"):
        r.mimetic(4, dtype="int8")
