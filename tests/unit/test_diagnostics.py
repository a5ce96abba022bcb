"""The signal through a deep network: lost, kept or exploding, as the papers say of each
initializer.
"""

import doctest

import numpy as np
import pytest

from fastinit import diagnostics


def test_too_small_weights_lose_the_signal_and_too_large_ones_saturate_tanh():
    assert diagnostics.signal("normal", std=0.01)[-1] < 1e-30
    assert diagnostics.signal("normal", std=0.5)[-1] > 0.9


def test_he_keeps_a_relu_signal_where_xavier_halves_its_power_every_layer():
    he = diagnostics.signal("he_normal", activation="relu", depth=30, width=512)
    xavier = diagnostics.signal("xavier_normal", activation="relu", depth=30, width=512)
    assert 0.2 < he[-1] / he[0] < 5
    # He et al. 2015: each layer multiplies the power by 1/2
    assert np.log2(xavier[-1] / he[-1]) == pytest.approx(-15, abs=0.01)


def test_too_large_weights_explode_under_relu():
    assert diagnostics.signal("normal", activation="relu", std=0.5)[-1] > 1e20


def test_orthogonal_keeps_a_linear_signal_exactly():
    values = diagnostics.signal("orthogonal", activation="linear", depth=100)
    assert values == pytest.approx(np.full(101, values[0]), rel=1e-4)


def test_unknown_activations_and_sizes_are_refused():
    with pytest.raises(ValueError, match="tanh, relu"):
        diagnostics.signal("he_normal", activation="gelu")
    with pytest.raises(ValueError, match="at least 1"):
        diagnostics.signal("he_normal", depth=0)


def test_the_example_in_the_docstring_is_true():
    assert doctest.testmod(diagnostics).failed == 0


@pytest.mark.frameworks  # matplotlib
def test_a_picture_is_written(tmp_path):
    diagnostics.picture(tmp_path / "signal.png", depth=5, width=32)
    assert (tmp_path / "signal.png").read_bytes().startswith(b"\x89PNG")
