"""xavier, he, lecun, fan_in_uniform and variance_scaling: the papers' formulas, to the last bit."""

import math

import numpy as np
import pytest
from rules import FLOATS, bound_of, decided, equal, std_of

import fastinit as fi
from fastinit._core.math import truncated_std
from fastinit.initializers.variance_scaling import STD_AT_2_SIGMA

SHAPES = [
    ((48, 20), {}, 20, 48),
    ((32, 16, 3, 3), {}, 144, 288),
    ((3, 3, 16, 32), {"layout": "io"}, 144, 288),
    ((96, 32), {"groups": 3}, 32, 32),
    ((8, 30, 20), {"batch_axis": 0}, 20, 30),
]


@pytest.mark.parametrize("shape, axes, fan_in, fan_out", SHAPES)
def test_std_and_bound_are_the_papers_formulas_to_the_last_bit(shape, axes, fan_in, fan_out):
    average, root = (fan_in + fan_out) / 2, math.sqrt(fan_in * fan_out)
    assert std_of("he_normal", shape, **axes) == math.sqrt(2.0 / fan_in)
    assert std_of("he_normal", shape, mode="fan_out", **axes) == math.sqrt(2.0 / fan_out)
    assert std_of("he_normal", shape, negative_slope=0.1, **axes) == math.sqrt(
        2.0 / (1.0 + 0.1 * 0.1) / fan_in
    )
    assert bound_of("he_uniform", shape, **axes) == math.sqrt(3.0 * (2.0 / fan_in))
    assert bound_of("he_uniform", shape, mode="fan_geo_avg", **axes) == math.sqrt(
        3.0 * (2.0 / root)
    )
    assert std_of("xavier_normal", shape, **axes) == math.sqrt(1.0 / average)
    assert std_of("xavier_normal", shape, gain=5 / 3, **axes) == math.sqrt(
        (5 / 3) * (5 / 3) / average
    )
    assert bound_of("xavier_uniform", shape, gain=0.5, **axes) == math.sqrt(3.0 * (0.25 / average))
    assert std_of("lecun_normal", shape, **axes) == math.sqrt(1.0 / fan_in)
    assert bound_of("lecun_uniform", shape, **axes) == math.sqrt(3.0 * (1.0 / fan_in))
    assert bound_of("fan_in_uniform", shape, **axes) == 1.0 / math.sqrt(fan_in)
    for mode, n in [
        ("fan_in", fan_in),
        ("fan_out", fan_out),
        ("fan_avg", average),
        ("fan_geo_avg", root),
    ]:
        v = 1.5 / n
        assert std_of("variance_scaling", shape, scale=1.5, mode=mode, **axes) == math.sqrt(v)
        uniform = {"scale": 1.5, "mode": mode, "distribution": "uniform"}
        assert bound_of("variance_scaling", shape, **uniform, **axes) == math.sqrt(3.0 * v)


def test_known_stds_as_hexadecimal_floats():
    assert std_of("he_normal", (4096, 4096)).hex() == "0x1.6a09e667f3bcdp-6"
    assert std_of("he_normal", (1, 3)).hex() == "0x1.a20bd700c2c3ep-1"
    assert std_of("xavier_normal", (3072, 768)).hex() == "0x1.75e9746a0b098p-6"


@pytest.mark.parametrize("gain", [0.0, 0.2041241452319315, 1.0, 3.0, 1e-100])
@pytest.mark.parametrize("slope", [0.0, 0.01, 2.0])
def test_the_gain_of_he_multiplies_the_std(gain, slope):
    scale = 2.0 / (1.0 + slope * slope) * (gain * gain)
    shape = {"shape": (24, 96), "seed": 3, "dtype": "float64"}
    own = {"negative_slope": slope, "gain": gain}
    assert equal(fi.he_normal(**own, **shape), fi.variance_scaling(scale=scale, **shape))
    assert equal(
        fi.he_uniform(**own, **shape),
        fi.variance_scaling(scale=scale, distribution="uniform", **shape),
    )
    if gain == 1.0:
        assert equal(fi.he_normal(**own, **shape), fi.he_normal(negative_slope=slope, **shape))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"gain": -1.0}, "gain is -1.0; it must be >= 0"),
        ({"gain": float("nan")}, "gain"),
        ({"gain": 1e-160}, "square outside the range"),
        ({"gain": 1e160}, "square outside the range"),
        ({"gain": 1e-150, "negative_slope": 1e10}, "variance outside the range of doubles"),
    ],
)
@pytest.mark.parametrize("name", ["he_normal", "he_uniform"])
def test_a_gain_of_he_outside_the_range_of_doubles_is_refused(name, own, message):
    with pytest.raises(ValueError, match=message):
        getattr(fi, name)((3, 4), seed=0, dtype="float64", **own)


def test_xavier_and_he_are_cases_of_variance_scaling():
    shape = {"shape": (6, 5), "seed": 1, "name": "w"}
    assert equal(fi.he_normal(**shape), fi.variance_scaling(scale=2.0, **shape))
    assert equal(
        fi.he_uniform(**shape), fi.variance_scaling(scale=2.0, distribution="uniform", **shape)
    )
    assert equal(
        fi.xavier_normal(gain=2.0, **shape), fi.variance_scaling(scale=4.0, mode="fan_avg", **shape)
    )
    assert equal(fi.lecun_uniform(**shape), fi.variance_scaling(distribution="uniform", **shape))
    square = {"shape": (6, 6), "seed": 1, "name": "w"}  # every mode has the same n
    assert equal(fi.he_normal(**square), fi.he_normal(mode="fan_geo_avg", **square))


def test_truncated_variance_scaling_has_its_std_after_truncation():
    found = decided("variance_scaling", (48, 20), distribution="truncated_normal")
    sigma = math.sqrt(1.0 / 20) / truncated_std(-2.0, 2.0)
    assert truncated_std(-2.0, 2.0) == STD_AT_2_SIGMA
    assert found == decided("truncated_normal", (48, 20), std=sigma)
    assert found == decided("truncated_normal", (48, 20), std=math.sqrt(1.0 / 20), correct_std=True)
    assert sigma == pytest.approx(math.sqrt(1.0 / 20) / 0.87962566103423978, rel=1e-15)


def test_fan_in_uniform_takes_the_fan_in_of_a_biass_weight():
    assert bound_of("fan_in_uniform", (30,), fan_in=20) == 1.0 / math.sqrt(20)
    assert bound_of("fan_in_uniform", (), fan_in=np.int64(20)) == 1.0 / math.sqrt(20)
    assert equal(
        fi.fan_in_uniform((30, 20), seed=1), fi.fan_in_uniform((30, 20), fan_in=20, seed=1)
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_symmetric_uniforms_have_symmetric_limits_in_every_dtype(dtype):
    from fastinit._core.dtypes import resolve

    for name in ("xavier_uniform", "he_uniform", "lecun_uniform", "fan_in_uniform"):
        _, _, lowest, highest = decided(name, (48, 20), resolve(dtype)).parameters
        assert lowest == -highest


def test_a_scale_or_gain_of_zero_gives_positive_zeros():
    for w in [
        fi.variance_scaling((4, 4), scale=0.0, seed=1),
        fi.variance_scaling((4, 4), scale=0, seed=1, distribution="uniform"),
        fi.variance_scaling((4, 4), scale=0.0, seed=1, distribution="truncated_normal"),
        fi.truncated_normal((4, 4), std=0.0, seed=1, low=-math.inf),
        fi.xavier_uniform((4, 4), gain=-0.0, seed=1),
    ]:
        assert not w.any() and not np.signbit(w).any()
