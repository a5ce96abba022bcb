"""Shapes, regions, seeds and names: what apply() accepts, refuses and leaves alone."""

import math
import sys

import numpy as np
import pytest
from small_rules import SEED, draw, normal_rule, ramp_rule

from fastinit import initializers, recipes
from fastinit._core import draws, engine, shapes
from fastinit._core import stream as _stream
from fastinit._core.dtypes import DTYPES, FLOAT32, FLOAT64, FLOATING

EVERY = pytest.mark.parametrize("dtype", [dtype.name for dtype in FLOATING])


def constant_rule(shape, dtype, *, value=0.0):
    return draws.constant(value, dtype)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (5, (5,)),
        (np.int64(5), (5,)),
        ((3, 4), (3, 4)),
        ([3, 4], (3, 4)),
        ((), ()),
        ((np.int32(3), 4), (3, 4)),
        (np.array([3, 4]), (3, 4)),
        (iter((3, 4)), (3, 4)),
        ((0, 3), (0, 3)),
        (0, (0,)),
        (range(1, 3), (1, 2)),
    ],
)
def test_shapes_are_integers_or_sequences_of_them(given, shape):
    assert draw(given).shape == shape


@pytest.mark.parametrize(
    "given",
    [
        "3",
        b"3",
        3.0,
        (3.0, 4),
        (True, 4),
        True,
        np.True_,
        (np.True_,),
        ("3",),
        None,
        (None,),
        {"a": 1},
    ],
)
def test_other_shapes_are_type_errors(given):
    with pytest.raises(TypeError, match="shape"):
        draw(given)


def test_a_wrongly_typed_shape_is_refused_even_beside_a_matching_out():
    out = np.zeros((1, 4), np.float32)
    for shape in ((True, 4), (1.0, 4), (1, 4.0)):
        with pytest.raises(TypeError, match="shape"):
            draw(shape, out=out)
    assert not out.any()


@pytest.mark.parametrize(
    "given", [-1, (3, -1), (0, -2), (2**58 + 1,), (2**29, 2**30), (0, 2**70), (1,) * 65]
)
def test_negative_and_overflowing_shapes_are_value_errors(given):
    with pytest.raises(ValueError, match="shape"):
        draw(given)


def test_the_limits_on_elements_are_those_of_the_contract():
    assert shapes.count((2**58,), FLOAT32) == 2**58
    assert shapes.count((2**29, 2**29), FLOAT32) == 2**58
    assert shapes.count((2**57,), FLOAT64) == 2**57
    for shape in ((2**58,), (2**29, 2**29), (2**57, 2), (2**57 + 1,)):
        with pytest.raises(ValueError, match=r"more than 2\*\*57 elements, the limit of float64"):
            shapes.count(shape, FLOAT64)


def test_a_region_of_the_largest_tensor_is_drawn_without_the_rest():
    last = draw((2**29, 2**29), region=(2**29 - 1, slice(2**29 - 4, None)))
    assert last.shape == (1, 4)
    assert same(last.ravel(), draw(2**58, region=slice(2**58 - 4, None)))
    wide = draw((2**57,), dtype="float64", region=(slice(2**57 - 3, 2**57),))
    assert wide.shape == (3,)


@EVERY
def test_a_scalar_has_the_value_of_index_zero(dtype):
    scalar = draw((), dtype=dtype)
    assert scalar.shape == ()
    assert same(scalar.reshape(1), draw(5, dtype=dtype)[:1])


@EVERY
def test_zero_sizes_give_empty_arrays_and_still_check_parameters(dtype):
    assert draw((0, 3), dtype=dtype).shape == (0, 3)
    assert draw((0,), rule=ramp_rule, dtype=dtype).size == 0
    with pytest.raises(ValueError, match="std"):
        draw((0, 3), rule=normal_rule, dtype=dtype, std=-1)
    with pytest.raises(ValueError, match="seed"):
        draw((0, 3), dtype=dtype, seed=-1)


@EVERY
def test_reshaping_keeps_values_and_prefixes_agree(dtype):
    flat = draw(120, dtype=dtype)
    assert same(draw((4, 30), dtype=dtype).ravel(), flat)
    assert same(draw((2, 3, 4, 5), dtype=dtype).ravel(), flat)
    assert same(draw(77, dtype=dtype), flat[:77])


def test_new_arrays_have_the_dtype_asked_for_and_float32_by_default():
    assert draw(3).dtype == np.float32
    for name, dtype in DTYPES.items():
        array = draw(3, rule=constant_rule, dtype=name, value=1)
        assert array.dtype == dtype.numpy()
        assert array.astype(np.float32).tolist() == [1.0] * 3
        assert array.flags.owndata
        assert array.flags.carray


# ------------------------------------------------------------------------------------------ regions


@EVERY
@pytest.mark.parametrize(
    "region",
    [
        (slice(2, 5), slice(1, 4), slice(None)),
        (slice(None), slice(2, 2), slice(0, 3)),
        (6, slice(None), 4),
        (...,),
        (slice(1, None), ...),
        (..., slice(3, 5)),
        (3, ..., 2),
        (slice(None), slice(None), slice(None), ...),
        slice(None),
        [slice(5, 7), 0, slice(0, 5, 1)],
        (slice(np.int64(2), 3), np.uint8(4), slice(0, 5, None)),
        (slice(4, 2), slice(None), slice(None)),
    ],
    ids=str,
)
def test_a_region_has_the_bits_it_has_in_the_whole(dtype, region):
    shape = (7, 6, 5) if region != slice(None) else (210,)
    whole = draw(shape, dtype=dtype, name="w")
    keep = tuple(
        slice(entry, int(entry) + 1) if hasattr(entry, "__index__") else entry
        for entry in (region if isinstance(region, (tuple, list)) else (region,))
    )
    part = draw(shape, dtype=dtype, name="w", region=region)
    assert same(part, np.ascontiguousarray(whole[keep]))
    out = np.zeros(part.shape[::-1], part.dtype).T
    assert draw(shape, dtype=dtype, name="w", region=region, out=out) is out
    assert same(np.ascontiguousarray(out), part)


def test_a_region_of_a_scalar_is_the_scalar():
    for region in ((), (...,), ...):
        assert same(draw((), region=region), draw(()))


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((slice(-1, None), ...), "outside"),
        ((slice(0, 8), ...), "outside the 7 elements"),
        ((slice(8, 8), ...), "outside"),
        ((7, ...), "outside"),
        ((-1, ...), "outside"),
        ((slice(0, -1), ...), "outside"),
        ((slice(0, 4, 2), ...), "step 2 at axis 0"),
        ((slice(None, None, -1), ...), "step -1"),
        ((slice(0, 1),), "1 entries for the 2 axes"),
        ((0, 0, 0), "3 entries for the 2 axes"),
        ((..., ...), "at most one"),
    ],
    ids=str,
)
def test_regions_outside_the_rules_are_value_errors(region, message):
    with pytest.raises(ValueError, match=message):
        draw((7, 6), region=region)


@pytest.mark.parametrize(
    "region",
    [
        (True, ...),
        (1.0, ...),
        (slice(0.0, 1), ...),
        (slice(True, 2), ...),
        ("0", ...),
        (np.True_, 0),
    ],
)
def test_regions_of_other_types_are_type_errors(region):
    with pytest.raises(TypeError, match="region at axis"):
        draw((7, 6), region=region)


def test_out_must_have_the_regions_shape():
    out = np.zeros((7, 6), np.float32)
    with pytest.raises(
        ValueError, match=r"out has shape \(7, 6\), but the region to fill has shape \(2, 6\)"
    ):
        draw((7, 6), region=(slice(0, 2), ...), out=out)
    with pytest.raises(
        ValueError,
        match=r"out has shape \(7, 6\), but the tensor to fill has shape \(14, 6\); a shard",
    ):
        draw((14, 6), out=out)
    with pytest.raises(TypeError, match="region is given without shape"):
        draw(region=(slice(0, 2), ...), out=out)
    assert not out.any()


def test_a_write_fills_its_region_only():
    part = draw((6, 8), rule=ramp_rule, dtype="int32", region=(slice(2, 4), 3), scale=2)
    assert part.tolist() == [[38], [54]]


# -------------------------------------------------------------------------------- seeds and caching


def test_names_separate_streams_and_unnamed_tensors_share_one():
    assert same(draw(50), draw(50))
    assert same(draw(50, name=None), draw(50, name=0))
    assert same(draw(50, name="a"), draw(50, name=_stream.stream_id("a")))
    different = [
        draw(50, name="a"),
        draw(50, name="b"),
        draw(50),
        draw(50, seed=SEED + 1),
        draw(50, seed=None),
        draw(50, seed=None),
    ]
    assert len({array.tobytes() for array in different}) == len(different)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"name": -1}, {"threads": 0}, {"seed": 2**64}])
def test_bad_seeds_names_and_threads_leave_out_untouched(bad):
    out = np.zeros(9, np.float32)
    for view in (out, out[::2]):
        with pytest.raises(ValueError, match=next(iter(bad))):
            draw(out=view, **bad)
    assert not out.any()


def test_remembered_rules_distinguish_signed_zeros_and_types():
    for _ in range(2):
        for value in (0.0, -0.0, np.float32(-0.0), np.float64(0.0), 0):
            zero = draw(1, rule=constant_rule, value=value)
            assert math.copysign(1.0, zero[0]) == math.copysign(1.0, value)
        assert draw(4, rule=normal_rule, std=1).shape == (4,)
        with pytest.raises(TypeError, match="std"):
            draw(4, rule=normal_rule, std=True)


def test_rules_with_parameters_that_do_not_hash_are_called():
    seen = []

    def rule(shape, dtype, *, axes):
        seen.append(axes)
        return draws.constant(len(axes), dtype)

    assert draw(2, rule=rule, axes=[1, 2]).tolist() == [2.0, 2.0]
    assert (
        draw(2, rule=rule, axes=(1,)).tolist()
        == draw(2, rule=rule, axes=(1,)).tolist()
        == [1.0, 1.0]
    )
    assert seen == [[1, 2], (1,)]


def test_unknown_parameters_are_type_errors():
    with pytest.raises(TypeError, match="gain"):
        draw(2, gain=1.0)


# -------------------------------------------------------------------------------------- the one way


@pytest.mark.native
def test_a_fill_in_place_reaches_the_native_module_in_four_frames(monkeypatch):
    out = np.empty((64, 64), np.float32)
    names = []

    class Native:  # stands for fastinit._native, and looks at who called
        @staticmethod
        def Batch(jobs):
            frame = sys._getframe(1)
            while frame.f_code.co_filename != __file__:
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            return real.Batch(jobs)

    real = engine._ENGINE
    monkeypatch.setattr(engine, "_ENGINE", Native)
    initializers.he_normal(out=out, seed=1)
    assert names[-1] == "he_normal" and len(names) <= 4, names


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda **k: initializers.normal((2, 2), std=-1.0, **k), "std is -1.0"),
        (lambda **k: initializers.normal((2, 2), std="x", **k), "std must be a real number"),
        (lambda **k: initializers.he_normal((2,), **k), "shape (2,) has no fan_in"),
        (lambda **k: initializers.orthogonal((2,), **k), "orthogonal needs a shape of at least"),
        (lambda **k: initializers.sparse((2,), n_nonzero=1, **k), "sparse needs a matrix"),
        (lambda **k: recipes.siren((2, 2), omega=0.0, **k), "omega is 0.0"),
        (lambda **k: initializers.zeros((2, -2), **k), "shape (2, -2) has a negative size"),
    ],
)
def test_an_error_about_a_tensor_begins_with_its_name(call, message):
    with pytest.raises((ValueError, TypeError)) as named:
        call(name="layers.0.weight")
    with pytest.raises((ValueError, TypeError)) as unnamed:
        call()
    assert str(named.value) == f"'layers.0.weight': {unnamed.value}"
    assert str(unnamed.value).startswith(message)
