"""bilinear kernels up-sample a plane exactly."""

import numpy as np
import pytest

from fastinit import recipes as r


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_bilinear_weights_up_sample_a_plane_exactly(stride):
    size = 2 * stride - stride % 2
    kernel = r.bilinear((1, 1, size, size), dtype="float64")[0, 0]
    image = np.add.outer(3.0 * np.arange(9), 2.0 * np.arange(9))
    full = np.zeros(((9 - 1) * stride + size,) * 2)
    for row in range(9):  # a transposed convolution, spelt out
        for column in range(9):
            full[row * stride : row * stride + size, column * stride : column * stride + size] += (
                image[row, column] * kernel
            )
    inner = full[2 * stride : -2 * stride, 2 * stride : -2 * stride]
    steps = np.diff(inner, axis=0), np.diff(inner, axis=1)
    np.testing.assert_allclose(steps[0], 3.0 / stride, atol=1e-12)
    np.testing.assert_allclose(steps[1], 2.0 / stride, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8])
def test_bilinear_kernels_are_symmetric_and_those_of_the_literature(size):
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5  # Long et al., upsample_filt
    expected = 1 - abs(np.arange(size) - centre) / factor
    line = r.bilinear((1, 1, size), dtype="float64")[0, 0]
    np.testing.assert_allclose(line, expected, rtol=1e-15)
    np.testing.assert_allclose(line, line[::-1], rtol=1e-15)
    cube = r.bilinear((1, 1, size, 2, size), dtype="float64")[0, 0]
    np.testing.assert_allclose(
        cube, np.einsum("i,j,k->ijk", expected, [0.5, 0.5], expected), rtol=1e-14
    )


def test_bilinear_channels_are_matched_or_all():
    kernel = r.bilinear((1, 1, 4, 4))[0, 0]
    matched = r.bilinear((3, 3, 4, 4))
    for i in range(3):
        for j in range(3):
            np.testing.assert_array_equal(matched[i, j], kernel if i == j else 0)
    np.testing.assert_array_equal(r.bilinear((5, 1, 4, 4)), np.broadcast_to(kernel, (5, 1, 4, 4)))
    np.testing.assert_array_equal(
        r.bilinear((2, 5, 4, 4), channels="all"), np.broadcast_to(kernel, (2, 5, 4, 4))
    )
    np.testing.assert_array_equal(
        r.bilinear((4, 4, 3, 3), layout="io"), matched.transpose(2, 3, 1, 0)
    )
    with pytest.raises(ValueError, match="2 out and 5 in"):
        r.bilinear((2, 5, 4, 4))
    with pytest.raises(ValueError, match="3 to 5 axes"):
        r.bilinear((2, 2))
