"""The signal and the gradient through a deep network fade, stay or explode, as the papers say for
each initializer.
"""

import doctest
import json
import sys

import numpy as np
import pytest

import fastinit as fi
from fastinit import diagnostics
from fastinit._core import tables

module = sys.modules["fastinit.diagnostics.compare"]  # whose name is the function's


def curve(initializer, activation="tanh", **settings):
    (one,) = diagnostics.compare(initializer, activation, **settings).curves
    return one


def test_too_small_weights_lose_the_signal_and_the_gradient_and_too_large_ones_saturate_tanh():
    small = curve("normal:0.01")
    assert small.forward[-1] < 1e-30 and small.backward[0] < 1e-30
    assert curve("normal:0.5").forward[-1] > 0.9


def test_he_keeps_a_relu_signal_where_xavier_halves_its_power_every_layer():
    he, xavier = diagnostics.compare("he_normal, xavier_normal", "relu", depth=30, width=384).curves
    assert 0.2 < he.forward[-1] / he.forward[0] < 5
    assert 0.2 < he.backward[0] / he.backward[-1] < 5
    # He et al. 2015: each layer multiplies the power by 1/2, forward and backward.
    assert np.log2(xavier.forward[-1] / he.forward[-1]) == pytest.approx(-15, abs=0.01)
    assert np.log2(xavier.backward[0] / he.backward[0]) == pytest.approx(-15, abs=0.01)
    assert xavier.forward_theory == pytest.approx(2.0 ** (-np.arange(31) / 2))
    assert he.forward_theory == pytest.approx(np.ones(31))


def test_too_large_weights_explode_under_relu():
    assert curve("normal:std=0.5", "relu").forward[-1] > 1e20


def test_a_signal_that_leaves_the_doubles_is_infinite_and_null_in_json():
    found = diagnostics.compare("normal:1e30", "linear", depth=12, width=8)
    assert found.curves[0].forward[-1] == np.inf or np.isnan(found.curves[0].forward[-1])
    text = tables.as_json(found.as_dict())
    assert json.loads(text)["curves"][0]["forward"][-1] is None
    assert "explodes" in str(found)


def test_orthogonal_keeps_a_linear_signal_and_gradient_to_the_rounding_of_float32():
    one = curve("orthogonal", "linear", depth=50)
    # Each layer may add an error of 2**-24 to the size, with either sign.
    assert one.forward == pytest.approx(np.full(51, one.forward[0]), rel=50 * 2.0**-24)
    assert one.backward == pytest.approx(np.full(51, one.backward[-1]), rel=50 * 2.0**-24)
    gaussian = curve("lecun_normal", "linear", depth=50)
    assert abs(gaussian.forward[-1] / gaussian.forward[0] - 1) > 0.01


def test_residual_stacks_grow_where_plain_ones_fade():
    plain, residual = (
        curve("xavier_normal", "relu", stack=stack, depth=20, width=64)
        for stack in ("plain", "residual")
    )
    assert plain.forward[-1] < 0.01 and residual.forward[-1] > 10


@pytest.mark.parametrize(
    ("initializer", "power"),
    [
        ("he_uniform", 2 / 40),
        ("xavier_normal:gain=2", 4 * 2 / 60),
        (("uniform", {"low": -0.3, "high": 0.3}), 0.09 / 3),
        (("truncated_normal", {"std": 0.1}), None),
        ("orthogonal:1.5", 1.5**2 / 40),
    ],
)
def test_the_second_moment_is_that_of_the_law(initializer, power):
    (one,) = module.choices(initializer)
    drawn = np.mean(one.function((20, 40), seed=0, **one.arguments) ** 2.0)
    found = module.second_moment(one)("w", (20, 40))
    assert found == pytest.approx(drawn, rel=0.1)
    if power is not None:
        assert found == pytest.approx(power, rel=1e-12)


@pytest.mark.parametrize("initializer", ["eye", "zeros", ("normal", {"mean": 1.0}), "uniform"])
def test_theory_is_silent_on_matrices_that_are_not_random_or_have_a_mean(initializer):
    one = curve(initializer, depth=2, width=8)
    assert one.forward_theory is None and one.backward_theory is None
    assert len(one.forward) == len(one.backward) == 3


def test_the_weights_are_those_of_the_facade():
    one = curve("he_normal", "relu", depth=1, width=16, batch=4, seed=3)
    x = fi.normal((16, 4), seed=3, name="input", dtype="float64")
    weight = fi.he_normal((16, 16), seed=3, name="layers.0.weight").astype(float)
    expected = np.sqrt(np.mean(np.maximum(weight @ x, 0) ** 2))
    assert one.forward[-1] == pytest.approx(expected)


def test_initializers_may_be_names_functions_and_pairs():
    found = diagnostics.compare(
        ["normal:0.1,eye", fi.he_normal, (fi.normal, {"std": 0.1})], "relu", depth=1, width=8
    )
    labels = [one.initializer for one in found.curves]
    assert labels == ["normal:0.1", "eye", "he_normal", "normal(std=0.1)"]
    assert found.curves[0].forward == found.curves[3].forward


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activations": "geluu"}, "did you mean 'gelu'"),
        ({"initializers": "he_normla"}, "did you mean 'he_normal'"),
        ({"initializers": "zeros:2"}, "neither std nor gain"),
        ({"initializers": []}, "name at least one"),
        ({"stack": "resnet"}, "plain.*residual.*transformer-block"),
        ({"depth": 0}, "depth"),
        ({"stack": "transformer-block", "batch": 20}, "a multiple of 16"),
    ],
)
def test_unknown_names_and_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.compare(**{"initializers": "he_normal", **settings})


def test_an_argument_that_the_initializer_lacks_is_refused():
    with pytest.raises(TypeError, match="did you mean 'std'"):
        diagnostics.compare("normal:sdt=1")


def test_the_report_fits_80_columns_and_names_every_fate():
    found = diagnostics.compare(
        "normal:0.01,normal:0.5,xavier_normal,truncated_normal:std=0.05:low=-0.1:high=0.1",
        "linear",
        width=64,
    )
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[-1] for line in lines[2:]] == ["vanishes", "explodes", "holds", "vanishes"]
    assert found._repr_html_().count("<tr>") == 5
    assert [module.fate(size) for size in (0.01, 100.0)] == ["fades", "grows"]


def test_rows_have_one_line_for_each_curve_and_layer():
    found = diagnostics.compare("he_normal,eye", "relu", depth=3, width=8)
    rows = found.rows()
    assert len(rows) == 8
    assert rows[3]["layer"] == 3 and rows[3]["forward"] == found.curves[0].forward[3]
    assert rows[4]["initializer"] == "eye" and rows[4]["forward_theory"] is None


def test_the_example_in_the_docstring_is_true():
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
