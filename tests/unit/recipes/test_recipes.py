"""Recipes against independent evaluations of their formulas: mpmath, scipy, convolutions done by
hand, statistics.
"""

import math

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from fastinit import recipes as r
from fastinit.initializers import normal, uniform

mpmath.mp.dps = 40


def close(value, expected, ulps=8):
    return abs(mpmath.mpf(value) - expected) <= ulps * mpmath.mpf(2) ** -53 * abs(expected)


def power(base, exponent):
    return mpmath.power(mpmath.mpf(base), exponent)


# ------------------------------------------------------------------------------------------- scales

QUARTER = mpmath.mpf(1) / 4
LAYERS = [1, 2, 3, 5, 12, 24, 96, 1000]


@pytest.mark.parametrize("layers", LAYERS)
def test_scales_of_depth_are_their_formulas(layers):
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
def test_scales_of_encoder_decoders_are_their_formulas(encoder, decoder):
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
def test_fixup_is_its_formula(branches, layers):
    assert close(r.fixup_scale(branches, layers), power(branches, -1 / mpmath.mpf(2 * layers - 2)))


def mup_std(shape, base, kind):
    """The std that the package mup would draw with at `shape`, written from the text of
    mup.init.
    """
    (out, into), (base_out, base_into) = shape, base
    wide = (out != base_out) + (into != base_into)
    m_in, m_out = into / base_into, out / base_out
    if kind == "normal":
        return 0.02 * (m_in**-0.5 if wide == 2 else 1)
    if kind == "xavier":
        std = math.sqrt(2 / (base_out + base_into))
        return std / math.sqrt(m_in) if wide == 2 else std
    if kind == "he_fan_in":
        return math.sqrt(2 / base_into) if wide == 1 and into != base_into else math.sqrt(2 / into)
    if wide == 1 and out != base_out:
        return math.sqrt(2 / base_out)
    return math.sqrt(2 / out) * (math.sqrt(m_out / m_in) if wide == 2 else 1)


@pytest.mark.parametrize("kind", ["normal", "xavier", "he_fan_in", "he_fan_out"])
@pytest.mark.parametrize(
    ("shape", "base"),
    [
        ((1024, 1024), (256, 256)),
        ((4096, 1024), (1024, 256)),
        ((512, 784), (64, 784)),
        ((10, 512), (10, 64)),
        ((300, 200), (300, 200)),
        ((96, 640), (48, 64)),
    ],
)
def test_mup_gives_the_stds_of_the_package_mup(shape, base, kind):
    out, into = shape
    plain = {
        "normal": 0.02,
        "xavier": math.sqrt(2 / (out + into)),
        "he_fan_in": math.sqrt(2 / into),
        "he_fan_out": math.sqrt(2 / out),
    }
    got = plain[kind] * r.mup_scale(shape, base, base=kind)
    assert got == pytest.approx(mup_std(shape, base, kind), rel=1e-14)
    turned = r.mup_scale(shape[::-1], base[::-1], base=kind, layout="io")
    assert turned == r.mup_scale(shape, base, base=kind)


def test_mup_leaves_vectors_alone_and_takes_kernels():
    assert r.mup_scale((1024,), (256,)) == 1.0
    assert r.mup_scale((512, 256, 3, 3), (128, 64, 3, 3)) == 0.5
    with pytest.raises(ValueError, match="axis 2"):
        r.mup_scale((512, 256, 5, 3), (128, 64, 3, 3))


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
        (lambda: r.deepnet_scale(encoder_layers=3, decoder_layers=3), ValueError, "say which"),
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
def test_scales_refuse_what_has_no_meaning(call, error, text):
    with pytest.raises(error, match=text):
        call()


# ------------------------------------------------------------------------------------------ weights


def test_normal_recipes_are_the_normal_draw_of_their_std():
    shape, given = (300, 40), {"seed": 5, "name": "w", "dtype": "float64"}
    for result, std in (
        (r.small_init(shape, dim=768, **given), math.sqrt(2 / (5 * 768))),
        (r.wang_init(shape, dim=768, layers=12, **given), 2 / (12 * math.sqrt(768))),
        (r.alexnet_weight(shape, **given), 0.01),
    ):
        np.testing.assert_allclose(result, normal(shape, **given) * std, rtol=1e-14)


def z_of_variance(values, variance):
    return (np.square(values.astype(np.float64)).mean() / variance - 1) * math.sqrt(values.size / 2)


@pytest.mark.parametrize("dim", [64, 1024])
def test_small_and_wang_init_have_their_variance(dim):
    assert abs(z_of_variance(r.small_init((1000, 2000), dim=dim, seed=1), 2 / (5 * dim))) < 5
    wang = r.wang_init((1000, 2000), dim=dim, layers=24, seed=1)
    assert abs(z_of_variance(wang, 4 / (24**2 * dim))) < 5
    assert abs(z_of_variance(wang, 2 / (24**2 * dim))) > 50  # the mutant: 2 read as a variance


def test_siren_is_uniform_within_its_bounds():
    shape, n = (1000, 128, 3, 3), 128 * 9
    for first, bound in ((True, 1 / n), (False, math.sqrt(6 / n) / 30)):
        result = r.siren(shape, first=first, seed=2)
        assert -bound <= result.min() and result.max() < bound
        assert (
            scipy.stats.kstest(result.ravel(), scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue
            > 1e-4
        )
        mutant = scipy.stats.uniform(-1.01 * bound, 2.02 * bound).cdf
        assert scipy.stats.kstest(result.ravel(), mutant).pvalue < 1e-8
    np.testing.assert_array_equal(
        r.siren((20, 30), omega=7.0, seed=1),
        uniform((20, 30), low=-math.sqrt(6 / 30) / 7, high=math.sqrt(6 / 30) / 7, seed=1),
    )
    with pytest.raises(ValueError, match="omega"):
        r.siren((2, 2), omega=0.0)


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
        # The best approximation of its rank: what is missing are the smaller singular values.
        missing = np.linalg.svd(target - product, compute_uv=False)
        np.testing.assert_allclose(
            missing[: dim - rank], np.linalg.svd(target, compute_uv=False)[rank:], atol=1e-12
        )
    np.testing.assert_allclose(
        first.T @ first, second @ second.T, atol=1e-12
    )  # balanced: both hold √S
    assert first.shape == (dim, rank or dim) and second.shape == (rank or dim, dim)
    with pytest.raises(ValueError, match="above dim"):
        r.mimetic(4, rank=5)
    with pytest.raises(TypeError, match="floating"):
        r.mimetic(4, dtype="int8")


# --------------------------------------------------------------------------------------- structured


@pytest.mark.parametrize(
    "shape", [(4, 2), (5, 3), (64, 17), (100, 99), (7, 7), (3, 9), (1, 1), (2, 1)]
)
def test_zero_hadamard_is_algorithm_1_of_zero(shape):
    out, into = shape
    if out <= into:
        expected = np.eye(out, into)
    else:
        m = math.ceil(math.log2(out))
        expected = (
            np.eye(out, 2**m) @ (scipy.linalg.hadamard(2**m) / 2 ** (m / 2)) @ np.eye(2**m, into)
        )
    result = r.zero_hadamard(shape, dtype="float64")
    np.testing.assert_allclose(result, expected, rtol=1e-15)
    np.testing.assert_array_equal(
        r.zero_hadamard(shape[::-1], dtype="float64", layout="io"), result.T
    )
    for size in (1, 4, 5):
        kernel = r.zero_hadamard((*shape, size, 3), dtype="float64")
        np.testing.assert_array_equal(kernel[:, :, size // 2, 1], result)
        assert np.count_nonzero(kernel) == np.count_nonzero(result)


@pytest.mark.parametrize("shape", [(4, 4), (2, 5), (5, 2), (6, 3), (3, 6), (1, 4)])
def test_idinit_puts_identities_side_by_side(shape):
    out, into = shape
    identity = np.eye(min(shape))
    tiled = np.tile(identity, (math.ceil(out / len(identity)), math.ceil(into / len(identity))))[
        :out, :into
    ]
    np.testing.assert_array_equal(r.idinit(shape), tiled)
    np.testing.assert_array_equal(r.idinit(shape, tau=1e-6, dtype="float64"), tiled * 1e-6)
    assert np.linalg.matrix_rank(r.idinit(shape)) == min(shape)


def test_idinit_of_convolutions_is_that_of_the_flat_matrix():
    np.testing.assert_array_equal(r.idinit((8, 3, 3, 3)), r.idinit((8, 27)).reshape(8, 3, 3, 3))
    np.testing.assert_array_equal(
        r.idinit((3, 3, 3, 8), layout="io"), r.idinit((27, 8)).reshape(3, 3, 3, 8)
    )


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
]


@pytest.mark.parametrize(("function", "shape", "arguments"), STRUCTURED)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_region_filled_alone_has_the_bits_it_has_in_the_whole(function, shape, arguments, dtype):
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


# ------------------------------------------------------------------------------------------- biases


def test_chrono_bias_is_the_logarithm_of_a_uniform_and_its_negative():
    # The uniform itself is tested with 10^6 values elsewhere; here a logarithm costs 14 µs.
    hidden, t_max = 30_000, 784
    bias = r.chrono_bias(4 * hidden, t_max=t_max, seed=6)
    incoming, forget, others = bias[:hidden], bias[hidden : 2 * hidden], bias[2 * hidden :]
    np.testing.assert_array_equal(incoming, -forget)
    assert not others.any()
    law = scipy.stats.uniform(1, t_max - 2).cdf
    assert scipy.stats.kstest(np.exp(forget.astype(np.float64)), law).pvalue > 1e-4
    # The mutant, as the package has it: 1 / t_max for t_max.
    assert scipy.stats.kstest(np.exp(-forget.astype(np.float64)), law).pvalue < 1e-8


def test_chrono_bias_is_the_rounded_logarithm_of_the_uniform_draw():
    for dtype in ("float32", "float64"):
        drawn = uniform(256, low=1.0, high=99.0, seed=1, name="b", dtype=dtype)
        expected = [float(mpmath.log(mpmath.mpf(float(value)))) for value in drawn[64:128]]
        bias = r.chrono_bias(256, t_max=100, seed=1, name="b", dtype=dtype)
        np.testing.assert_array_max_ulp(
            bias[64:128], np.array(expected).astype(dtype), 2 if dtype == "float64" else 0
        )
        gru = r.chrono_bias(192, t_max=100, gates="rfn", seed=1, name="b", dtype=dtype)
        np.testing.assert_array_equal(gru[64:128], bias[64:128])
        assert not gru[:64].any() and not gru[128:].any()


def test_chrono_bias_of_two_steps_is_zero():
    assert not r.chrono_bias(8, t_max=2, seed=0).any()


def test_lstm_bias_is_one_in_the_forget_gate_wherever_that_stands():
    np.testing.assert_array_equal(r.lstm_bias(12), np.repeat([0, 1, 0, 0], 3))
    np.testing.assert_array_equal(
        r.lstm_bias(12, forget=0.5, gates="iofg"), np.repeat([0, 0, 0.5, 0], 3)
    )


@pytest.mark.parametrize(
    "layer", ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
)
def test_alexnet_biases_are_one_where_krizhevsky_has_them(layer):
    expected = 1 if layer in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0
    np.testing.assert_array_equal(r.alexnet_bias(96, layer=layer), np.full(96, expected))


@pytest.mark.parametrize("p", [0.01, 0.5, 0.99, 1e-9, 1 - 1e-9, 1e-300])
def test_prior_probability_bias_is_the_logit(p):
    bias = r.prior_probability_bias(1, probability=p, dtype="float64")[0]
    assert close(bias, -mpmath.log((1 - mpmath.mpf(p)) / mpmath.mpf(p)), 2000 if p > 0.9 else 4)
    assert p != 0.5 or (bias == 0 and not np.signbit(bias))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: r.prior_probability_bias(3, probability=0.0), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability=1.0), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability=5e-324), ValueError, "between 0 and 1"),
        (lambda: r.prior_probability_bias(3, probability="0.1"), TypeError, "real number"),
        (lambda: r.lstm_bias(10), ValueError, r"shape \(4·hidden,\), not \(10,\)"),
        (lambda: r.lstm_bias((4, 4)), ValueError, "hidden"),
        (lambda: r.lstm_bias(8, gates="igo"), ValueError, "forget gate"),
        (lambda: r.lstm_bias(8, gates="iifo"), ValueError, "input gate"),
        (lambda: r.lstm_bias(8, gates=4), TypeError, "one letter a gate"),
        (lambda: r.lstm_bias(8, forget=math.inf), ValueError, "finite"),
        (lambda: r.chrono_bias(8, t_max=1.5), ValueError, "at least 2"),
        (lambda: r.chrono_bias(8, t_max=math.inf), ValueError, "finite"),
        (lambda: r.chrono_bias(8, t_max=9, dtype="int8"), TypeError, "floating"),
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
