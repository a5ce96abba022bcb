"""What holds for every initializer: regions, destinations, dtypes, seeds, names, empty shapes."""

import math

import numpy as np
import pytest
from rules import FLOATS, decided, equal

import fastinit as fi
from fastinit import _table
from fastinit._core.dtypes import CONSTANT, FLOAT32, decode

# A shape, and arguments with which a comparison of every element says something.
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


def test_every_initializer_of_these_files_is_tested_here():
    files = tuple(f"fastinit.initializers.{file}" for file in ("basic", "variance_scaling"))
    drawn = {name for name, function in _table.INITIALIZERS.items() if function.__module__ in files}
    assert set(EXAMPLES) == drawn | {"eye", "dirac"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_region_has_the_bits_it_has_in_the_whole(name):
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
def test_filling_many_at_once_gives_the_bits_of_one_at_a_time(name):
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
    """One draw of each kind against the plain formula on the bare words: the façade adds
    nothing.
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
