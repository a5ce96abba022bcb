"""lora_orthogonal: two factors whose product is zero."""

import numpy as np
import pytest

import fastinit as fi


@pytest.mark.parametrize(("inputs", "outputs", "rank"), [(64, 32, 8), (3, 200, 16), (7, 5, 2)])
def test_lora_factors_are_not_zero_and_their_product_is(inputs, outputs, rank):
    a, b = fi.lora_orthogonal(inputs, outputs, rank=rank, seed=3, name="q", dtype="float64")
    assert a.shape == (rank, inputs) and b.shape == (outputs, rank)
    assert np.abs(b @ a).max() < 1e-14
    assert np.linalg.matrix_rank(a) == min(rank // 2, inputs)
    assert np.linalg.matrix_rank(b) == min(rank // 2, outputs)
    single, _ = fi.lora_orthogonal(inputs, outputs, rank=rank, seed=3, name="q")
    np.testing.assert_array_equal(single, a.astype(np.float32))


def test_lora_factors_have_the_law_of_the_method():
    """10·A is normal with rank / 2 degrees of freedom in each column: E|column|² is rank / 2."""
    a, b = fi.lora_orthogonal(20000, 20000, rank=8, seed=0, dtype="float64")
    for factor in (a, b.T):
        assert 100.0 * np.square(factor).sum(axis=0).mean() == pytest.approx(4.0, rel=0.02)
    assert abs(np.corrcoef(np.square(a).sum(axis=0), np.square(b).sum(axis=1))[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [({"rank": 3}, ValueError, "even"), ({"rank": 2, "dtype": "int8"}, TypeError, "floating")],
)
def test_lora_refuses_odd_ranks_and_integers(own, error, message):
    with pytest.raises(error, match=message):
        fi.lora_orthogonal(4, 4, **own)
