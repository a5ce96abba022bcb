"""The comparison of laws accepts equal laws and rejects each wrong draw that a sweep looks for."""

import numpy as np
import pytest
from differences import differences

SHAPE = (96, 128)


def drawn(law, seeds=(1, 2, 3)):
    return [law(np.random.default_rng(seed)).astype(np.float32) for seed in seeds]


def normal(rng, std=0.02):
    return std * rng.standard_normal(SHAPE)


def padded(rng):
    weight = normal(rng)
    weight[7] = 0
    return weight


def truncated(rng):
    weight = normal(rng)
    while (wrong := abs(weight) > 0.04).any():
        weight[wrong] = normal(rng)[wrong]
    return weight


def uniform(rng):
    return rng.uniform(-0.02 * 3**0.5, 0.02 * 3**0.5, SHAPE)


def orthogonal(rng):
    return np.linalg.qr(rng.standard_normal(SHAPE[::-1]))[0].T


def two_blocks(rng):
    return np.concatenate([normal(rng, 0.01), normal(rng, 0.03)])


def other_way(rng):
    return two_blocks(rng)[::-1]


def independent(rng):
    return normal(rng, SHAPE[1] ** -0.5)


def tiled(rng):
    return np.tile(rng.standard_normal((1, 16)), (100, 1))


@pytest.mark.parametrize(
    "law", [normal, padded, truncated, uniform, orthogonal, two_blocks, independent, tiled]
)
def test_equal_laws_do_not_differ(law):
    for seed in range(4, 10):
        assert differences(drawn(law), drawn(law, [seed])[0]) == []


@pytest.mark.parametrize(
    ("law", "wrong", "text"),
    [
        (normal, lambda rng: normal(rng, 0.022), "std"),
        (normal, lambda rng: normal(rng) + 0.003, "mean"),
        (normal, uniform, "above: ours ends"),
        (truncated, uniform, "another distribution|above"),
        (truncated, normal, "std|above"),
        (normal, truncated, "std|above"),
        (padded, normal, "128 of 128 constants differ"),
        (orthogonal, independent, "spectrum"),
        (independent, orthogonal, "spectrum"),
        (two_blocks, other_way, "of axis 0: std"),
        (normal, lambda rng: 0 * normal(rng), "values are -?0.0"),
        (normal, lambda rng: normal(rng) * np.nan, "not finite"),
        (normal, lambda rng: normal(rng)[1:], "shape"),
    ],
)
def test_a_wrong_law_is_reported(law, wrong, text):
    (ours,) = drawn(wrong, [4])
    with pytest.raises(AssertionError, match=text):
        assert not (found := differences(drawn(law), ours)), found


def test_memory_that_no_code_writes_has_no_law():
    """torch.empty gives NaN in a sweep."""
    blank = [np.full(SHAPE, np.nan)] * 3
    assert differences(blank, np.zeros(SHAPE)) == []


def test_one_outlier_of_an_erfinv_of_a_rounded_uniform_is_no_difference():
    plain = drawn(normal)
    plain[0][3, 4] = 2.0
    assert differences(plain, drawn(normal, [4])[0]) == []
