"""What holds for all recipes: the draw behind them, regions, bad arguments."""

import math

import numpy as np
import pytest

from fastinit import recipes as r
from fastinit.initializers import normal


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: r.gpt2_scale(0), ValueError, "at least 1"),
        (lambda: r.gpt2_scale(1.5), TypeError, "must be an integer"),
        (lambda: r.gpt2_scale(True), TypeError, "must be an integer"),
        (lambda: r.depth_scale(-1), ValueError, "at least 0"),
        (lambda: r.fixup_scale(4, 1), ValueError, "at least 2"),
        (lambda: r.fixup_attention_scale(0, 0), ValueError, "both 0"),
        (lambda: r.tfixup_scale("middle", 3), ValueError, "encoder_value"),
        (lambda: r.deepnet_scale(), ValueError, "both 0"),
        (
            lambda: r.deepnet_scale(encoder_layers=3, decoder_layers=3),
            ValueError,
            "has both, so give",
        ),
        (
            lambda: r.deepnet_scale(encoder_layers=3, part="decoder"),
            ValueError,
            "3 encoder and 0 decoder",
        ),
        (lambda: r.mup_scale((2, 2), (2, 2), base="he"), ValueError, "he_fan_in"),
        (lambda: r.mup_scale((2, 2), (2,)), ValueError, "number of axes"),
        (lambda: r.mup_scale((2, 2), (2, 0)), ValueError, "at least 1"),
        (lambda: r.mup_scale((2, 2), (2, 2), layout="hwio"), ValueError, "layout"),
    ],
)
def test_scales_refuse_senseless_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_normal_recipes_are_the_normal_draw_of_their_std():
    shape, given = (300, 40), {"seed": 5, "name": "w", "dtype": "float64"}
    for result, std in (
        (r.small_init(shape, dim=768, **given), math.sqrt(2 / (5 * 768))),
        (r.wang_init(shape, dim=768, layers=12, **given), 2 / (12 * math.sqrt(768))),
        (r.alexnet_weight(shape, **given), 0.01),
    ):
        np.testing.assert_allclose(result, normal(shape, **given) * std, rtol=1e-14)


STRUCTURED = [
    (r.zero_hadamard, (37, 20), {}),
    (r.zero_hadamard, (20, 37), {"layout": "io"}),
    (r.zero_hadamard, (9, 4, 3, 2), {}),
    (r.idinit, (13, 5, 3), {"tau": 0.5}),
    (r.idinit, (3, 5, 13), {"tau": 0.5, "layout": "io"}),
    (r.bilinear, (5, 5, 4, 3), {}),
    (r.bilinear, (4, 3, 5, 5), {"layout": "io"}),
    (r.lstm_bias, (40,), {"forget": 2.0}),
    (r.chrono_bias, (400,), {"t_max": 50}),
    (r.chrono_bias, (300,), {"t_max": 50, "gates": "rfn"}),
    (r.mamba_dt_bias, (100,), {}),
    (r.rwkv7, (1, 1, 128), {"tensor": "w0", "layer": 2, "layers": 6}),
    (r.rwkv7, (2, 64), {"tensor": "r_k", "layer": 2, "layers": 6}),
]


@pytest.mark.parametrize(("function", "shape", "arguments"), STRUCTURED)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_region_has_the_bits_it_has_in_the_whole(function, shape, arguments, dtype):
    whole = function(shape, **arguments, seed=4, dtype=dtype)
    rng = np.random.default_rng(0)
    for _ in range(15):
        region = tuple(slice(*sorted(map(int, rng.integers(0, size + 1, 2)))) for size in shape)
        assert (
            function(shape, **arguments, seed=4, dtype=dtype, region=region).tobytes()
            == whole[region].tobytes()
        )
    out = np.ones((*shape[:-1], 2 * shape[-1]), whole.dtype)[..., ::-2]
    assert function(out=out, **arguments, seed=4) is out
    assert out.tobytes() == whole.tobytes()


def test_large_structured_weights_are_written_in_blocks(monkeypatch):
    for function, shape in ((r.zero_hadamard, (300, 200)), (r.idinit, (300, 2, 100))):
        whole = function(shape)
        with monkeypatch.context() as patch:
            patch.setattr(r._written, "_AT_ONCE", 1000)
            np.testing.assert_array_equal(function(shape), whole)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: r.prior_probability_bias(3, probability=0.0), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability=1.0), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability=5e-324), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability="0.1"), TypeError, "real number"),
        (lambda: r.lstm_bias(10), ValueError, r"shape is \(10,\); .* shape \(4·hidden,\)"),
        (lambda: r.lstm_bias((4, 4)), ValueError, "hidden"),
        (lambda: r.lstm_bias(8, gates="igo"), ValueError, "forget gate"),
        (lambda: r.lstm_bias(8, gates="iifo"), ValueError, "input gate"),
        (lambda: r.lstm_bias(8, gates=4), TypeError, "one letter per gate"),
        (lambda: r.lstm_bias(8, forget=math.inf), ValueError, "finite"),
        (lambda: r.chrono_bias(8, t_max=1.5), ValueError, "at least 2"),
        (lambda: r.chrono_bias(8, t_max=math.inf), ValueError, "finite"),
        (lambda: r.chrono_bias(8, t_max=9, dtype="int8"), TypeError, "floating"),
        (lambda: r.mamba_dt_bias((8, 8)), ValueError, "one axis"),
        (lambda: r.mamba_dt_bias(8, dt_min=0.2), ValueError, "0 < dt_min <= dt_max"),
        (lambda: r.mamba_dt_bias(8, dt_floor=1.0), ValueError, "between 0 and dt_max"),
        (lambda: r.mamba_dt_bias(8, dtype="int8"), TypeError, "floating"),
        (lambda: r.rwkv7(64, tensor="k_a", layer=0, layers=2, dtype="int8"), TypeError, "floating"),
        (lambda: r.alexnet_bias(8, layer="conv6"), ValueError, "conv5"),
        (lambda: r.small_init((2, 2), dim=0), ValueError, "dim"),
        (lambda: r.wang_init((2, 2), dim=2.5, layers=1), TypeError, "must be an integer"),
        (lambda: r.idinit((4,)), ValueError, "two axes"),
        (lambda: r.idinit((4, 4), tau=1e9, dtype="float16"), ValueError, "finite in float16"),
        (lambda: r.zero_hadamard((4,)), ValueError, "two axes"),
        (lambda: r.zero_hadamard((4, 4), layout="hwio"), ValueError, "layout"),
    ],
)
def test_bad_arguments_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
