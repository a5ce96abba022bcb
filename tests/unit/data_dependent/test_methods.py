"""Initialization by data, on small real networks over scikit-learn's digits: the statistics are
reached, and nothing is left half done.
"""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fastinit import data_dependent as d
from fastinit.initializers import he_normal, uniform, xavier_uniform


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:600].astype(np.float32)


def relu(y):
    return np.maximum(y, 0)


def perceptron(dtype=np.float32, activation=relu, biases=True):
    """64-50-30-10, badly initialized on purpose: stds fall, then rise, and biases are not zero."""
    sizes = [64, 50, 30, 10]
    layers = []
    for place, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        weight = (
            uniform((outputs, inputs), low=-1.0, high=1.0, seed=place) * 0.01 * 30.0**place
        ).astype(dtype)
        bias = (
            uniform(outputs, low=-0.5, high=1.0, seed=9 + place).astype(dtype) if biases else None
        )
        last = place == len(sizes) - 2
        layers.append(
            d.Layer(weight, bias, activation=None if last else activation, name=f"fc{place}")
        )
    return layers


def convolve(x, weight, bias):
    """A 3x3 convolution of (n, channel, 8, 8) with zero padding."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    y = np.einsum("ncijkl,ockl->noij", windows, weight, optimize=True)
    return y if bias is None else y + bias[:, None, None]


def convolutional():
    """Two convolutions with average pooling, then a dense layer; the images come as (n, 1, 8,
    8).
    """

    def pool(y):
        return (
            relu(y).reshape(*y.shape[:2], y.shape[2] // 2, 2, y.shape[3] // 2, 2).mean(axis=(3, 5))
        )

    def flat(y):
        return pool(y).reshape(len(y), -1)

    kernels = [he_normal((8, 1, 3, 3), seed=1), he_normal((12, 8, 3, 3), seed=2)]
    return [
        d.Layer(kernels[0], np.zeros(8, np.float32), convolve, pool, output_axis=1, name="conv1"),
        d.Layer(kernels[1], np.zeros(12, np.float32), convolve, flat, output_axis=1, name="conv2"),
        d.Layer(xavier_uniform((10, 48), seed=3), np.zeros(10, np.float32), name="fc"),
    ]


def outputs(layers, x):
    """Every layer's y, by the layers' own arrays."""
    result = []
    for layer in layers:
        y = layer.forward(x, layer.weight, layer.bias)
        result.append(y.astype(np.float64))
        x = y if layer.activation is None else layer.activation(y)
    return result


def units(y, axis=-1):
    return np.moveaxis(y, axis, 0).reshape(y.shape[axis], -1)


def frozen(layers):
    return [
        array.copy()
        for layer in layers
        for array in (layer.weight, layer.bias)
        if array is not None
    ]


# --------------------------------------------------------------------------------------------- LSUV


def test_lsuv_brings_every_layer_of_a_perceptron_to_unit_std(digits):
    layers = perceptron()
    before = [y.std() for y in outputs(perceptron(), digits)]
    assert max(before) / min(before) > 20
    report = d.lsuv(layers, digits, seed=0)
    for layer, y, line in zip(layers, outputs(layers, digits), report.layers, strict=True):
        assert abs(y.std() - 1) <= 0.1
        assert line.std == pytest.approx(y.std(), rel=1e-5) and line.mean == pytest.approx(
            y.mean(), abs=1e-5
        )
        assert not layer.bias.any()
        gram = layer.weight.astype(np.float64) @ layer.weight.T.astype(np.float64)
        np.testing.assert_allclose(gram / gram[0, 0], np.eye(len(gram)), atol=1e-5)


def test_lsuv_brings_convolutions_to_any_std(digits):
    layers = convolutional()
    d.lsuv(layers, digits.reshape(-1, 1, 8, 8), std=0.5, tolerance=1e-3, seed=0)
    for y in outputs(layers, digits.reshape(-1, 1, 8, 8)):
        assert abs(y.std() - 0.5) <= 2e-3


def test_lsuv_may_keep_the_weights_and_center_the_outputs(digits):
    layers = perceptron()
    direction = layers[0].weight / np.linalg.norm(layers[0].weight)
    d.lsuv(layers, digits, orthonormal=False, center=True)
    np.testing.assert_allclose(
        layers[0].weight / np.linalg.norm(layers[0].weight), direction, rtol=1e-4, atol=1e-7
    )
    for y in outputs(layers, digits):
        assert abs(y.std() - 1) <= 0.1 and abs(y.mean()) < 1e-3


def test_lsuv_draws_by_seed_and_layer_name(digits):
    one, again, other = perceptron(), perceptron(), perceptron()
    d.lsuv(one, digits, seed=1)
    d.lsuv(again, digits, seed=1)
    d.lsuv(other, digits, seed=2)
    np.testing.assert_array_equal(one[0].weight, again[0].weight)
    assert not np.allclose(one[0].weight, other[0].weight)


def test_lsuv_does_not_change_a_layer_within_the_tolerance(digits):
    layers = perceptron()
    d.lsuv(layers, digits, seed=0, tolerance=1e-4)
    report = d.lsuv(layers, digits, orthonormal=False)
    assert [line.tries for line in report.layers] == [0, 0, 0]


# --------------------------------------------------------------------------------------- Krähenbühl


def varied(digits):
    """Digits without the pixels that never vary: some units would see nothing else."""
    return digits + 0.1 * uniform(digits.shape, low=-1.0, high=1.0, seed=77)


@pytest.mark.parametrize("mean", [0.0, 0.1])
def test_within_layers_every_unit_has_the_mean_and_std(digits, mean):
    layers = perceptron(np.float64, np.tanh)
    report = d.normalize_within_layers(layers, digits, mean=mean, std=0.7)
    for y, line in zip(outputs(layers, digits), report.layers, strict=True):
        np.testing.assert_allclose(units(y).mean(axis=1), mean, atol=1e-6)
        np.testing.assert_allclose(units(y).std(axis=1), 0.7, rtol=1e-6)
        assert line.tries == 1 and line.std == pytest.approx(0.7)


def test_within_layers_works_on_convolutions_by_channel(digits):
    layers = convolutional()
    images = digits.reshape(-1, 1, 8, 8)
    d.normalize_within_layers(layers, images)
    for layer, y in zip(layers, outputs(layers, images), strict=True):
        np.testing.assert_allclose(units(y, layer.output_axis).mean(axis=1), 0, atol=1e-4)
        np.testing.assert_allclose(units(y, layer.output_axis).std(axis=1), 1, rtol=1e-4)


def test_scaling_the_whole_layer_instead_fails_that_test(digits):
    layers = perceptron()
    d.match_moments(layers, digits, mean=0.0, std=1.0)
    assert np.abs(units(outputs(layers, digits)[0]).std(axis=1) - 1).max() > 0.1


def backpropagation(weights, biases, x):
    """Gradients of sum(e * output) for a perceptron of ReLUs, e a fixed random matrix."""
    inputs, signs = [], []
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        inputs.append(x)
        y = x @ weight.T + (0 if bias is None else bias)
        signs.append(y > 0 if place < len(weights) - 1 else np.ones_like(y, bool))
        x = relu(y) if place < len(weights) - 1 else y
    upstream = np.random.default_rng(0).normal(size=x.shape)
    gradients = []
    for weight, own, sign in zip(reversed(weights), reversed(inputs), reversed(signs), strict=True):
        upstream = upstream * sign
        gradients.append(upstream.T @ own)
        upstream = upstream @ weight
    return gradients[::-1]


@pytest.mark.parametrize("biases", [True, False])
def test_between_layers_the_rates_become_equal_and_the_function_stays_the_same(digits, biases):
    layers = perceptron(np.float64, biases=biases)
    before = outputs(layers, digits)[-1]
    report = d.normalize_between_layers(layers, digits, backpropagation)
    rates = [line.rate for line in report.layers]
    first = [line.rate_before for line in report.layers]
    assert max(first) / min(first) > 10 and max(rates) / min(rates) < 1.02
    assert math.prod(rates) == pytest.approx(math.prod(first), rel=1e-9)
    np.testing.assert_allclose(
        outputs(layers, digits)[-1], before, rtol=1e-9, atol=1e-9 * np.abs(before).max()
    )
    gradients = backpropagation(
        [layer.weight for layer in layers], [layer.bias for layer in layers], digits
    )
    for layer, gradient, rate in zip(layers, gradients, rates, strict=True):
        assert math.sqrt((gradient**2).mean() / (layer.weight**2).mean()) == pytest.approx(rate)


def test_not_scaling_the_biases_would_change_the_function(digits):
    layers = perceptron(np.float64)
    before, biases = outputs(layers, digits)[-1], [layer.bias.copy() for layer in layers]
    d.normalize_between_layers(layers, digits, backpropagation)
    for layer, bias in zip(layers, biases, strict=True):
        layer.bias[...] = bias
    assert not np.allclose(outputs(layers, digits)[-1], before, rtol=1e-3)


@pytest.mark.parametrize(
    ("gradients", "text"),
    [
        (lambda w, b, x: [np.ones_like(w[0])], "gave 1 arrays for 3 layers"),
        (lambda w, b, x: [np.ones_like(each).T for each in w], "gradient has shape"),
        (lambda w, b, x: [0 * each for each in w], "is 0.0; both must be finite"),
        (lambda w, b, x: [np.nan * each for each in w], "is nan; both must be finite"),
    ],
)
def test_gradients_that_cannot_be_used_change_nothing(digits, gradients, text):
    layers = perceptron()
    before = frozen(layers)
    with pytest.raises(ValueError, match=text):
        d.normalize_between_layers(layers, digits, gradients)
    for one, two in zip(before, frozen(layers), strict=True):
        np.testing.assert_array_equal(one, two)


# -------------------------------------------------------------------- weight normalization, moments


def test_weight_norm_gives_every_unit_mean_zero_and_the_scale(digits):
    layers = perceptron()
    report = d.weight_norm_init(layers, digits, scale=1.5, seed=3)
    for y in outputs(layers, digits):
        np.testing.assert_allclose(units(y).mean(axis=1), 0, atol=1e-3)
        np.testing.assert_allclose(units(y).std(axis=1), 1.5, rtol=1e-3)
    assert [line.name for line in report.layers] == ["fc0", "fc1", "fc2"]
    assert layers[0].weight.std() != 0 and not np.allclose(layers[0].weight, perceptron()[0].weight)


def test_weight_norm_follows_the_papers_formula_for_one_layer(digits):
    weight = np.random.default_rng(0).normal(size=(5, 64))
    layer = d.Layer(weight.copy(), np.ones(5))
    d.weight_norm_init([layer], digits, std=None)
    t = digits.astype(np.float64) @ (weight / np.linalg.norm(weight, axis=1, keepdims=True)).T
    gain = 1 / np.sqrt(t.var(axis=0) + 1e-10)
    np.testing.assert_allclose(
        layer.weight, gain[:, None] * weight / np.linalg.norm(weight, axis=1, keepdims=True)
    )
    np.testing.assert_allclose(layer.bias, -t.mean(axis=0) * gain)
    np.testing.assert_allclose(np.linalg.norm(layer.weight, axis=1), gain)


def test_moments_match_those_of_the_batch_by_default(digits):
    layers = perceptron(np.float64)
    d.match_moments(layers, digits)
    for y in outputs(layers, digits):
        assert y.mean() == pytest.approx(digits.mean(), rel=1e-5) and y.std() == pytest.approx(
            digits.std(), rel=1e-5
        )
    d.match_moments(layers, digits, mean=-1.0, std=3.0)
    for y in outputs(layers, digits):
        assert y.mean() == pytest.approx(-1.0) and y.std() == pytest.approx(3.0)


def test_layers_without_biases_are_scaled_and_not_shifted(digits):
    layers = perceptron(np.float64, biases=False)
    d.match_moments(layers, digits, mean=0.0, std=2.0)
    for y in outputs(layers, digits):
        assert y.std() == pytest.approx(2.0) and y.mean() != 0


# ---------------------------------------------------------------------------------------- behaviour


METHODS = {
    "lsuv": lambda layers, batch: d.lsuv(layers, batch, orthonormal=False),
    "within": d.normalize_within_layers,
    "between": lambda layers, batch: d.normalize_between_layers(layers, batch, backpropagation),
    "weight_norm": lambda layers, batch: d.weight_norm_init(layers, batch, seed=0),
    "moments": d.match_moments,
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@every_method
def test_the_report_shows_the_statistics_of_every_layer(digits, method):
    layers = perceptron()
    before = outputs(layers, digits)
    report = method(layers, digits)
    for line, old, new in zip(report.layers, before, outputs(layers, digits), strict=True):
        if method is not METHODS["weight_norm"]:
            assert line.std_before == pytest.approx(old.std(), rel=1e-3) or line.name != "fc0"
        assert line.std == pytest.approx(new.std(), rel=1e-4)
        assert line.mean == pytest.approx(new.mean(), rel=1e-3, abs=1e-4)
    table = str(report).splitlines()
    assert len(table) == 5 and table[1].split()[:3] == ["layer", "mean", "before"]
    assert table[2].startswith("fc0") and len({len(line) for line in table[1:]}) == 1


@every_method
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda x: x[:, :63], r"layer 0 \('fc0'\).*64 inputs got a batch of shape \(600, 63\)"),
        (lambda x: x[:0], "empty"),
        (lambda x: np.where(x == x.max(), np.nan, x), "not finite"),
        (lambda x: x[0], "batch of shape"),
        (lambda x: x.astype(complex), "real numbers"),
    ],
)
def test_a_batch_that_does_not_fit_changes_nothing(digits, method, spoil, text):
    layers = perceptron()
    before = frozen(layers)
    with pytest.raises((ValueError, TypeError), match=text):
        method(layers, spoil(digits))
    for one, two in zip(before, frozen(layers), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", ["lsuv", "within", "weight_norm", "moments"])
def test_a_layer_of_constant_output_is_an_error_that_changes_nothing(digits, method):
    layers = perceptron()
    # Layer 1 sees the same input for all examples.
    layers[0] = layers[0]._replace(activation=lambda y: np.ones_like(y))
    before = frozen(layers)
    constant = np.repeat(digits[:1], 20, axis=0)
    # Over a whole layer the units still differ from one another; there it takes one weight for all.
    if method in ("lsuv", "moments"):
        layers[1].weight[...] = 0.1
        layers[1].bias[...] = 0.0
        before = frozen(layers)
    with pytest.raises(ValueError, match=r"layer 1 \('fc1'\): .* zero variance"):
        METHODS[method](layers, digits)
    with pytest.raises(ValueError, match="zero variance"):
        d.normalize_within_layers(perceptron(), constant)
    for one, two in zip(before, frozen(layers), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_error_in_the_last_layer_leaves_the_first_unchanged(digits):
    layers = perceptron()
    layers[2] = layers[2]._replace(forward=lambda x, weight, bias: np.full((len(x), 10), np.inf))
    before = frozen(layers)
    with pytest.raises(ValueError, match=r"layer 2 \('fc2'\): the output is not finite"):
        d.normalize_within_layers(layers, digits)
    for one, two in zip(before, frozen(layers), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_result_that_overflows_the_weights_dtype_changes_nothing(digits):
    layers = perceptron(np.float16)
    before = frozen(layers)
    with pytest.raises(ValueError, match="not finite in float16"):
        d.match_moments(layers, digits, std=1e9)
    for one, two in zip(before, frozen(layers), strict=True):
        np.testing.assert_array_equal(one, two)


def test_arrays_of_any_order_and_dtype_are_written_in_place(digits):
    layers = perceptron(np.float16)
    turned = [layer._replace(weight=np.asfortranarray(layer.weight)) for layer in layers]
    d.normalize_within_layers(layers, digits)
    d.normalize_within_layers(turned, digits)
    for one, two in zip(layers, turned, strict=True):
        assert one.weight.dtype == np.float16
        np.testing.assert_array_equal(one.weight, two.weight)
        assert np.abs(one.weight).max() > 0


def read_only(layers):
    layers[1].bias.flags.writeable = False
    return layers


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (lambda layers: [], ValueError, "no layers"),
        (lambda layers: [layers[0].weight], TypeError, "fi.Layer"),
        (
            lambda layers: [layers[0]._replace(weight=layers[0].weight.tolist())],
            TypeError,
            "floating dtype",
        ),
        (
            lambda layers: [layers[0]._replace(weight=np.ones((50, 64), int))],
            TypeError,
            "floating dtype",
        ),
        (
            lambda layers: [layers[0]._replace(bias=np.zeros(49, np.float32))],
            ValueError,
            r"shape \(49,\)",
        ),
        (lambda layers: [layers[0]._replace(unit_axis=2)], ValueError, "no axis 2"),
        (lambda layers: [layers[0], layers[0]], ValueError, "share memory"),
        (lambda layers: [layers[0]._replace(output_axis=0)], ValueError, "50 units on axis 0"),
        (read_only, ValueError, "read-only"),
    ],
)
def test_senseless_layers_are_refused(digits, spoil, error, text):
    with pytest.raises(error, match=text):
        d.normalize_within_layers(spoil(perceptron()), digits)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda layers, x: d.lsuv(layers, x, std=0.0), "std"),
        (lambda layers, x: d.lsuv(layers, x, tolerance=-1.0), "tolerance"),
        (lambda layers, x: d.normalize_within_layers(layers, x, std=math.inf), "std"),
        (lambda layers, x: d.match_moments(layers, x, mean=math.nan), "mean"),
        (lambda layers, x: d.weight_norm_init(layers, x, scale=-1.0), "scale"),
        (lambda layers, x: d.match_moments(layers, np.ones((9, 64))), "std of the batch"),
    ],
)
def test_bad_arguments_are_refused(digits, call, text):
    with pytest.raises(ValueError, match=text):
        call(perceptron(), digits)


def test_a_weight_of_zero_length_is_refused(digits):
    layers = perceptron()
    layers[1].weight[3] = 0
    with pytest.raises(ValueError, match=r"units \[3\] have weights of length 0"):
        d.weight_norm_init(layers, digits, std=None)
