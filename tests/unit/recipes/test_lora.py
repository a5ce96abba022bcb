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


def gram_schmidt(columns):
    """The orthogonal factor of a QR decomposition, column by column; its signs are free."""
    found = []
    for column in columns.T:
        for one in found:
            column = column - (one @ column) * one
        found.append(column / np.sqrt(column @ column))
    return np.array(found).T


def test_lora_factors_are_those_of_pefts_code_for_the_same_normals():
    inputs, outputs, rank = 7, 5, 6
    size, half = rank * rank, rank // 2
    count = size + (inputs + outputs) * half
    drawn = fi.normal(count, seed=3, name="q", dtype="float64")
    square, first, second = np.split(drawn, [size, size + inputs * half])
    q = gram_schmidt(square.reshape(rank, rank))
    a = np.zeros((rank, inputs))
    b = np.zeros((outputs, rank))
    for column in range(rank):
        for number in range(half):
            for place in range(inputs):
                drawn = first.reshape(inputs, half)[place, number]
                a[column, place] += drawn * q[2 * number, column] / 10
            for place in range(outputs):
                drawn = second.reshape(outputs, half)[place, number]
                b[place, column] += drawn * q[2 * number + 1, column] / 10
    ours, theirs = fi.lora_orthogonal(inputs, outputs, rank=rank, seed=3, name="q", dtype="float64")
    signs = np.sign((ours * a).sum(axis=1))  # LAPACK's columns may point the other way
    np.testing.assert_allclose(ours, signs[:, None] * a, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(theirs, signs * b, rtol=1e-10, atol=1e-13)


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
