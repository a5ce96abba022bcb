"""The façade: parameters are those of the formulas, constants stand where they should, regions are
the whole's.
"""

import math

import numpy as np
import pytest

import fastinit as fi
from fastinit import _table
from fastinit._core.dtypes import CONSTANT, FLOAT32, FLOAT64, FLOATING, NORMAL, UNIFORM, decode
from fastinit._core.math import truncated_std
from fastinit.initializers.variance_scaling import STD_AT_2_SIGMA

FLOATS = [dtype.name for dtype in FLOATING]


def decided(name, shape, dtype=FLOAT64, **arguments):
    """What a fill would draw; for float64 its parameters are the doubles of the formulas."""
    return _table.RULES[_table.INITIALIZERS[name]](shape, dtype, **arguments)


def std_of(name, shape, **arguments):
    found = decided(name, shape, **arguments)
    assert found.draw == NORMAL and found.parameters[0] == 0.0
    return found.parameters[1]


def bound_of(name, shape, **arguments):
    """The bound b of U(-b, b), having seen that the draw is symmetric."""
    found = decided(name, shape, **arguments)
    low, span, lowest, highest = found.parameters
    assert found.draw == UNIFORM and span == 2 * -low and lowest == -highest
    return -low


# --------------------------------------------------------------------------- formulas of the scaled

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


def test_fan_in_uniform_takes_a_biases_fan_in_from_its_weight():
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


# ------------------------------------------------------------------------------ truncation's bounds


def test_bounds_in_sigmas_and_absolute_bounds_say_the_same_thing():
    sigmas = decided("truncated_normal", (3,), std=0.02, low=-1.5, high=3.0)
    absolute = decided(
        "truncated_normal", (3,), std=0.02, low=-1.5 * 0.02, high=3.0 * 0.02, bounds="absolute"
    )
    assert sigmas == absolute


@pytest.mark.parametrize(
    "sigmas, factor", [(1, 0.5395601), (2, 0.8796257), (3, 0.9865784), (4, 0.9994645)]
)
def test_the_correction_of_the_std_has_the_known_factors(sigmas, factor):
    bounds = {"low": -sigmas, "high": sigmas}
    found = decided("truncated_normal", (3,), std=0.5, correct_std=True, **bounds)
    assert found == decided(
        "truncated_normal", (3,), std=0.5 / truncated_std(-sigmas, sigmas), **bounds
    )
    assert truncated_std(-sigmas, sigmas) == pytest.approx(factor, abs=5e-8)


@pytest.mark.parametrize(
    "mean, std, low, high",
    [
        (0.0, 0.5, -1.0, 1.0),
        (0.3, 0.25, -1.0, 0.5),
        (0.0, 0.2, 1.0, math.inf),
        (0.0, 0.02, -2.0, 2.0),
        (-1.0, 0.3, -math.inf, -0.9),
    ],
)
def test_a_correction_with_absolute_bounds_reaches_the_std(mean, std, low, high):
    from fastinit.initializers.basic import _sigma_for_absolute

    sigma = _sigma_for_absolute(mean, std, low, high)
    assert sigma >= std
    assert sigma * truncated_std((low - mean) / sigma, (high - mean) / sigma) == pytest.approx(
        std, rel=1e-12
    )


def test_a_correction_that_no_normal_reaches_is_an_error():
    with pytest.raises(ValueError, match="a flat density there has only about 0.57735"):
        fi.truncated_normal(3, std=0.6, low=-1.0, high=1.0, bounds="absolute", correct_std=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"low": -1.0, "high": 3.0},
        {"mean": 5.0, "low": 0.5, "high": 0.7},
        {"low": 1.0, "high": math.inf},
        {"low": -1.1, "high": 1.3, "bounds": "absolute"},
    ],
)
def test_corrected_draws_have_the_std_asked_for_and_others_do_not(arguments):
    asked = pytest.approx(0.5, rel=3e-3)
    assert (
        np.std(fi.truncated_normal(2_000_000, std=0.5, correct_std=True, seed=1, **arguments))
        == asked
    )
    assert (
        np.std(fi.truncated_normal(2_000_000, std=0.5, correct_std=False, seed=1, **arguments))
        != asked
    )


# ---------------------------------------------------------------------------------------- constants


def equal(a, b):
    """Equal dtype, shape and bits."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


EVERY = [*FLOATS, "bool", *[f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]]


@pytest.mark.parametrize("dtype", EVERY)
def test_zeros_and_ones_fill_every_dtype(dtype):
    zeros, ones = fi.zeros((3, 5), dtype=dtype), fi.ones((3, 5), dtype=dtype)
    assert zeros.dtype.name == ones.dtype.name == dtype
    assert not zeros.astype(np.float64).any() and (ones.astype(np.float64) == 1).all()


def test_constants_take_integers_beyond_the_doubles_exactly():
    assert (fi.constant(3, value=2**63 + 1, dtype="uint64") == np.uint64(2**63 + 1)).all()
    assert (fi.constant(3, value=-(2**63), dtype="int64") == np.iinfo(np.int64).min).all()
    assert fi.constant(3, value=True, dtype="bool").all()
    assert (fi.constant(3, value=np.float32(7), dtype="int8") == 7).all()


def test_a_constant_keeps_its_sign_of_zero():
    assert np.signbit(fi.constant(3, value=-0.0)).all()
    assert not np.signbit(fi.constant(3, value=0.0)).any()


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (5, 3), (1, 4), (2, 3, 4), (2, 1, 3, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool"])
def test_eye_is_the_identity_of_every_matrix(shape, dtype):
    expected = np.broadcast_to(np.eye(*shape[-2:]), shape)
    w = fi.eye(shape, dtype=dtype)
    assert w.dtype == dtype and np.array_equal(w, expected)
    if dtype.startswith("float"):
        assert np.array_equal(fi.eye(shape, gain=-0.25, dtype=dtype), -0.25 * expected)


def test_a_negative_zero_gain_of_eye_is_zero():
    assert not np.signbit(fi.eye((3, 3), gain=-0.0)).any()


@pytest.mark.parametrize("kernel", [(3,), (4,), (3, 2), (1, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("outputs, inputs", [(6, 6), (6, 2), (12, 5)])
@pytest.mark.frameworks
def test_dirac_is_torchs(outputs, inputs, kernel, groups):
    import torch

    expected = torch.nn.init.dirac_(torch.empty(outputs, inputs, *kernel), groups).numpy()
    w = fi.dirac((outputs, inputs, *kernel), groups=groups)
    assert np.array_equal(w, expected)
    assert np.count_nonzero(w) == groups * min(outputs // groups, inputs)
    io = fi.dirac((*kernel, inputs, outputs), groups=groups, layout="io")
    assert np.array_equal(np.moveaxis(io, (-1, -2), (0, 1)), expected)


def test_a_convolution_with_dirac_copies_its_input():
    signal = np.arange(12.0).reshape(2, 6)
    w = fi.dirac((3, 2, 5), dtype="float64")
    padded = np.pad(signal, [(0, 0), (2, 2)])
    result = np.array([[np.sum(w[o] * padded[:, t : t + 5]) for t in range(6)] for o in range(3)])
    assert np.array_equal(result, [*signal, np.zeros(6)])


# ----------------------------------------------------------------- what holds for every initializer

# A shape, and arguments under which every element is worth comparing.
EXAMPLES = {
    "zeros": ((5, 7), {}),
    "ones": ((5, 7), {}),
    "constant": ((5, 7), {"value": 0.3}),
    "uniform": ((5, 7), {"low": -0.2, "high": 0.7}),
    "normal": ((5, 7), {"mean": 0.1, "std": 0.5}),
    "truncated_normal": ((5, 7), {"std": 0.5}),
    "variance_scaling": ((5, 7), {"distribution": "truncated_normal"}),
    "xavier_uniform": ((5, 7), {"gain": 0.5}),
    "xavier_normal": ((5, 7), {"gain": 0.5}),
    "he_uniform": ((5, 7), {"negative_slope": 0.1}),
    "he_normal": ((5, 7), {"mode": "fan_out"}),
    "lecun_uniform": ((5, 7), {"layout": "io"}),
    "lecun_normal": ((5, 7), {"groups": 5}),
    "fan_in_uniform": ((5, 7), {}),
    "eye": ((5, 7), {"gain": 0.3}),
    "dirac": ((5, 7, 1), {}),
}


def whole(name, **more):
    shape, arguments = EXAMPLES[name]
    return _table.INITIALIZERS[name](shape, seed=1, name="w", **arguments, **more)


def test_every_initializer_of_these_files_is_tried_here():
    files = tuple(f"fastinit.initializers.{file}" for file in ("basic", "variance_scaling"))
    drawn = {name for name, function in _table.INITIALIZERS.items() if function.__module__ in files}
    assert set(EXAMPLES) == drawn | {"eye", "dirac"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_region_filled_alone_has_the_bits_it_has_in_the_whole(name):
    shape, arguments = EXAMPLES[name]
    for dtype in ("float32", "bfloat16"):
        full = whole(name, dtype=dtype)
        for rows, columns in [
            ((1, 4), (2, 7)),
            ((0, 5), (3, 4)),
            ((2, 2), (0, 7)),
            ((0, 2), (5, 6)),
            ((4, 5), (0, 7)),
        ]:
            region = (slice(*rows), slice(*columns), ...)
            assert equal(whole(name, dtype=dtype, region=region), full[region])
        assert equal(whole(name, dtype=dtype, region=(4, ...)), full[4:5])
        out = np.zeros((9, *shape[1:]), full.dtype)
        whole(name, out=out[::-2][:3], region=(slice(1, 4), ...))  # every second row, backwards
        assert equal(np.ascontiguousarray(out[::-2][:3]), full[1:4])


@pytest.mark.parametrize("name", EXAMPLES)
def test_filling_in_place_gives_the_same_bits_in_every_order_of_memory(name):
    full = whole(name)
    for order in "CF":
        out = np.full(full.shape, np.nan, np.float32, order=order)
        assert whole(name, out=out) is out
        assert equal(np.ascontiguousarray(out), full)
    assert equal(whole(name, out=np.empty(full.shape, np.float64)), whole(name, dtype="float64"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_many_at_once_gives_the_bits_of_one_by_one(name):
    shape, arguments = EXAMPLES[name]
    one, part = np.empty(shape, np.float32), np.empty((2, *shape[1:]), np.float32)
    fi.fill(
        [(one, name, arguments, "w"), (part, name, arguments, "w", (slice(2, 4), ...), shape)],
        seed=1,
    )
    assert equal(one, whole(name)) and equal(part, whole(name)[2:4])


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_initializer_fills_every_floating_dtype_with_finite_values(name, dtype):
    w = whole(name, dtype=dtype)
    assert w.dtype.name == dtype and np.isfinite(w.astype(np.float64)).all()


@pytest.mark.parametrize(
    "name", sorted(set(EXAMPLES) - {"zeros", "ones", "constant", "eye", "dirac"})
)
def test_one_seed_with_two_names_gives_other_values_and_no_seed_never_repeats(name):
    shape, arguments = EXAMPLES[name]
    function = _table.INITIALIZERS[name]
    drawn = [
        function(shape, seed=1, name="w", **arguments),
        function(shape, seed=1, name="v", **arguments),
        function(shape, seed=2, name="w", **arguments),
        function(shape, name="w", **arguments),
        function(shape, name="w", **arguments),
    ]
    assert len({w.tobytes() for w in drawn}) == 5
    assert equal(function(shape, seed=1, **arguments), function(shape, seed=1, name=0, **arguments))


@pytest.mark.parametrize("name", EXAMPLES)
def test_zero_size_shapes_are_filled_with_nothing_and_need_no_fans(name):
    function = _table.INITIALIZERS[name]
    extra = (slice(1),) if name == "dirac" else ()
    for shape in [(0, 3), (3, 0)] + [(0,)] * (name not in ("eye", "dirac")):
        shape += (1,) * len(extra)
        assert function(shape, seed=1).shape == shape
    if "mode" in _table.own_parameters(function):
        with pytest.raises(ValueError, match="mode"):
            function((0, 3), mode="fan_max", seed=1)


def test_every_initializer_can_be_explained():
    for name, (shape, arguments) in EXAMPLES.items():
        for dtype in ("float32", "float64", "float8_e4m3fn"):
            line = fi.explain(name, shape, dtype=dtype, name="w", **arguments)
            assert line.startswith(f"{name} {shape} {dtype}: ") and "\n" not in line
            assert ("fan_in" in line) == (
                "in_axis" in _table.own_parameters(_table.INITIALIZERS[name])
            )


def test_layout_changes_the_fans_and_never_the_index():
    oi, io = fi.he_uniform((20, 30), seed=1), fi.he_uniform((20, 30), layout="io", seed=1)
    assert np.allclose(oi * np.sqrt(30), io * np.sqrt(20), rtol=1e-6, atol=1e-6)


def test_the_values_of_a_draw_are_those_of_its_parameters():
    """One draw of each kind against the plain formula on the bare words: the façade adds nothing of
    its own.
    """
    assert decided("constant", (2, 2), FLOAT32, value=0.1).draw == CONSTANT
    assert decode(decided("constant", (2, 2), FLOAT32, value=0.1).parameters[0], FLOAT32) == float(
        np.float32(0.1)
    )
    words = np.array(
        [fi.philox4x32((block, 0, 0, 0), (5, 0)) for block in range(16)], np.uint32
    ).T.reshape(-1)
    u = (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    bound = np.float32(math.sqrt(3.0 * (2.0 / 8)))
    expected = -bound + np.float32(2 * bound) * u
    assert np.array_equal(fi.he_uniform((8, 8), seed=5).reshape(-1), expected)
