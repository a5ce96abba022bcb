"""Scales by depth are their formulas, evaluated with 40 digits."""

import mpmath
import pytest
from precise import close, power

from fastinit import recipes as r

QUARTER = mpmath.mpf(1) / 4


LAYERS = [1, 2, 3, 5, 12, 24, 96, 1000]


@pytest.mark.parametrize("layers", LAYERS)
def test_scales_of_depth_follow_their_formulas(layers):
    n = mpmath.mpf(layers)
    assert close(r.gpt2_scale(layers), 1 / mpmath.sqrt(2 * n))
    assert close(r.depth_scale(layers - 1), 1 / mpmath.sqrt(2 * n))
    assert close(r.tfixup_scale("encoder", layers), mpmath.mpf("0.67") * power(n, -QUARTER))
    assert close(
        r.tfixup_scale("encoder_value", layers),
        mpmath.mpf("0.67") * power(n, -QUARTER) * mpmath.sqrt(2),
    )
    assert close(r.tfixup_scale("decoder", layers), power(9 * n, -QUARTER))
    assert close(r.tfixup_scale("decoder_value", layers), power(9 * n, -QUARTER) * mpmath.sqrt(2))
    assert close(r.tfixup_scale("embedding", layers), power(9 * n, -QUARTER))
    for side in ("encoder_layers", "decoder_layers"):
        alpha, beta = r.deepnet_scale(**{side: layers})
        assert close(alpha, power(2 * n, QUARTER)) and close(beta, power(8 * n, -QUARTER))
        assert close(r.subln_scale(**{side: layers}), mpmath.sqrt(mpmath.log(2 * n)))


@pytest.mark.parametrize(("encoder", "decoder"), [(6, 6), (12, 3), (1, 1), (100, 18)])
def test_scales_of_encoder_decoders_follow_their_formulas(encoder, decoder):
    both = {"encoder_layers": encoder, "decoder_layers": decoder}
    depth = power(mpmath.mpf(encoder) ** 4 * decoder, mpmath.mpf(1) / 16)
    alpha, beta = r.deepnet_scale(**both, part="encoder")
    assert close(alpha, mpmath.mpf("0.81") * depth) and close(beta, mpmath.mpf("0.87") / depth)
    alpha, beta = r.deepnet_scale(**both, part="decoder")
    assert close(alpha, power(3 * decoder, QUARTER)) and close(beta, power(12 * decoder, -QUARTER))
    logs = mpmath.log(3 * decoder) * mpmath.log(2 * encoder)
    assert close(r.subln_scale(**both, part="encoder"), mpmath.sqrt(logs / 3))
    assert close(r.subln_scale(**both, part="decoder"), mpmath.sqrt(mpmath.log(3 * decoder)))
    assert close(
        r.fixup_attention_scale(encoder, decoder),
        power(2 * encoder + 3 * decoder, -mpmath.mpf(1) / 6),
    )


@pytest.mark.parametrize("branches", [1, 2, 8, 16, 54, 101])
@pytest.mark.parametrize("layers", [2, 3, 4, 7])
def test_fixup_follows_its_formula(branches, layers):
    assert close(r.fixup_scale(branches, layers), power(branches, -1 / mpmath.mpf(2 * layers - 2)))


def test_gpt2_has_the_stds_of_its_code_and_paper():
    assert [r.gpt2_std(tensor) for tensor in ("wte", "wpe", "weight")] == [0.02, 0.01, 0.02]
    for layers in LAYERS:
        expected = mpmath.mpf("0.02") / mpmath.sqrt(2 * mpmath.mpf(layers))
        assert close(r.gpt2_std("residual", layers), expected)
    with pytest.raises(ValueError, match="layers is missing"):
        r.gpt2_std("residual")
    with pytest.raises(ValueError, match="tensor"):
        r.gpt2_std("lm_head")
