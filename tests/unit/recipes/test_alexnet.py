"""AlexNet's biases."""

import numpy as np
import pytest

from fastinit import recipes as r


@pytest.mark.parametrize(
    "layer", ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
)
def test_alexnet_biases_are_one_in_the_papers_layers(layer):
    expected = 1 if layer in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0
    np.testing.assert_array_equal(r.alexnet_bias(96, layer=layer), np.full(96, expected))
