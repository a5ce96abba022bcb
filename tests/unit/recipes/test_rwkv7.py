"""RWKV-7's vectors against a plain evaluation of the authors' loops."""

import numpy as np
import pytest

from fastinit import recipes as r


def source(layer, layers, channels, head_size):
    """RWKV_Tmix_x070, RWKV_CMix_x070 and generate_init_weight, written anew in doubles."""
    first = layer / (layers - 1)
    last = 1.0 - layer / layers
    ramp = np.array([i / channels for i in range(channels)])
    mix = {
        name: 1.0 - ramp ** (power * last)
        for name, power in [("x_r", 0.2), ("x_w", 0.9), ("x_k", 0.7), ("x_v", 0.7), ("x_a", 0.9)]
        + [("x_g", 0.2)]
    }
    decay, zigzag, linear = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    for n in range(channels):
        linear[n] = n / (channels - 1) - 0.5
        zigzag[n] = ((n % head_size) - ((head_size - 1) / 2)) / ((head_size - 1) / 2)
        zigzag[n] = zigzag[n] * abs(zigzag[n])
        decay[n] = -6 + 6 * (n / (channels - 1)) ** (1 + 1 * first**0.3)
    return mix | {
        "ffn_x_k": 1.0 - ramp ** (last**4),
        "w0": decay + 0.5 + zigzag * 2.5,
        "a0": -0.19 + zigzag * 0.3 + linear * 0.4,
        "v0": 0.73 - linear * 0.4,
        "k_k": 0.71 - linear * 0.1,
        "k_a": np.full(channels, 1.02),
        "r_k": np.full(channels, -0.04),
        "ln_x": np.full(channels, ((1 + layer) / layers) ** 0.7),
    }


@pytest.mark.parametrize("layer", [0, 5, 11])
def test_every_vector_equals_the_authors(layer):
    for tensor, expected in source(layer, 12, 128, 32).items():
        ours = r.rwkv7(
            (1, 1, 128), tensor=tensor, layer=layer, layers=12, head_size=32, dtype="float64"
        )
        np.testing.assert_allclose(ours[0, 0], expected, rtol=1e-13, atol=1e-14, err_msg=tensor)


def test_the_first_channel_of_a_mix_takes_only_the_token_before():
    assert r.rwkv7(64, tensor="x_r", layer=3, layers=4)[0] == 1.0


def test_constants_fill_any_shape():
    assert (r.rwkv7((4, 16), tensor="r_k", layer=0, layers=2) == np.float32(-0.04)).all()


@pytest.mark.parametrize(
    ("shape", "given", "text"),
    [
        (64, {"tensor": "x_z", "layer": 0, "layers": 2}, "x_r"),
        (64, {"tensor": "x_r", "layer": 2, "layers": 2}, "the last is 1"),
        (64, {"tensor": "x_r", "layer": 0, "layers": 1}, "at least 2"),
        ((2, 64), {"tensor": "x_r", "layer": 0, "layers": 2}, "one value a channel"),
        ((), {"tensor": "x_r", "layer": 0, "layers": 2}, "one value a channel"),
        (96, {"tensor": "w0", "layer": 0, "layers": 2}, "not a multiple of head_size, 64"),
    ],
)
def test_senseless_arguments_are_refused(shape, given, text):
    with pytest.raises(ValueError, match=text):
        r.rwkv7(shape, **given)
