"""fill(): many tensors in one batch, each with the bits of a call of its own; if one entry is bad,
no buffer is touched.
"""

import numpy as np
import pytest
from small_rules import SEED, draw, normal_rule, ramp_rule, uniform_rule

import fastinit as fi
from fastinit._core import engine
from fastinit.fill import fill_entries

RULES = {"uniform": uniform_rule, "normal": normal_rule, "ramp": ramp_rule}


def lookup(initializer):
    if initializer in RULES:
        return initializer, RULES[initializer]
    raise ValueError(f"unknown initializer {initializer!r}")


@engine.guarded
def fill(entries, **options):
    return fill_entries(entries, lookup, **options)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def buffers():
    return {
        "a": np.zeros((3, 4), np.float32),
        "b": np.zeros(7, np.float16),
        "c": np.zeros((2, 2), np.float64),
    }


def test_each_of_many_tensors_has_the_bits_of_a_call_of_its_own():
    out = buffers()
    report = fill(
        {
            "a": (out["a"], "uniform", {"low": -1.0}),
            "b": (out["b"], "normal", {"std": 0.02}),
            "c": (out["c"], "ramp", None),
        },
        seed=SEED,
    )
    assert same(out["a"], draw((3, 4), name="a", low=-1.0))
    assert same(out["b"], draw(7, rule=normal_rule, name="b", dtype="float16", std=0.02))
    assert out["c"].view(np.uint64).ravel().tolist() == [0, 1, 2, 3]
    assert len(report.filled) == 3
    assert report[1:3] == (23, 12 * 4 + 7 * 2 + 4 * 8)
    assert report.seconds > 0
    assert report.seed == SEED
    whole = (slice(0, 7, 1),)
    own = {"std": 0.02}
    assert report.filled[1] == ("b", "normal", own, (7,), whole, "float16", "b", 7)


def test_entries_may_be_an_iterable_with_names_regions_and_shapes():
    whole = draw((6, 4), name="w")
    out = np.zeros((3, 4), np.float32)
    plain = np.zeros(5, np.float32)
    report = fill(
        iter([(out, "uniform", {}, "w", (slice(1, 4), ...), (6, 4)), [plain, "uniform"]]),
        seed=SEED,
    )
    assert same(out, whole[1:4])
    assert same(plain, draw(5))
    assert report.filled[0].shape == (6, 4)
    assert report.filled[0].region == (slice(1, 4, 1), slice(0, 4, 1))
    assert report.filled[1].name is None


def test_every_line_of_a_report_is_a_call_that_draws_the_tensor_again():
    buffers = {"w": np.zeros((4, 3), np.float16), "b": np.zeros(3, np.float32)}
    shard, plain = np.zeros((2, 5), np.float32), np.zeros(4)
    entries = [
        (buffers["w"], "xavier_normal", {"gain": 2.0}, "w"),
        (buffers["b"], fi.zeros, None, "b"),
        (shard, "orthogonal", None, 7, (slice(1, 3), ...), (6, 5)),
        (plain, "normal"),
    ]
    report = fi.fill(entries, seed=3)
    for line, buffer in zip(report.filled, [*buffers.values(), shard, plain], strict=True):
        assert same(eval(line.call(report.seed), {"fi": fi}), buffer)
        assert line.values == buffer.size
    assert report.names == ("w", "b", 7, None)
    assert "region=(slice(1, 3, 1), slice(0, 5, 1)), seed=3, name=7" in report.filled[2].call(3)


def test_a_report_is_shown_as_a_short_table():
    many = {f"layers.{n}.weight": (np.zeros((2, 2), np.float32), "he_normal") for n in range(500)}
    text = repr(fi.fill({"b": (np.zeros(3, np.float32), "constant", {"value": 2}), **many}, seed=1))
    lines = text.splitlines()
    assert lines[0].startswith("501 tensors, 2,003 values, 8,012 bytes, ")
    assert lines[0].endswith(" s, seed 1")
    assert lines[1] == "tensor            initializer  shape   dtype    arguments"
    assert lines[2] == "b                 constant     (3,)    float32  value=2"
    assert lines[3] == "layers.0.weight   he_normal    (2, 2)  float32"
    assert lines[-1] == "… and 481 more" and len(lines) == 23 and len(text) < 1300


def test_a_drawn_seed_is_reported_and_fills_the_same_again():
    first, second = np.zeros(9, np.float32), np.zeros(9, np.float32)
    seed = fill({"w": (first, "uniform", {})}).seed
    fill({"w": (second, "uniform", {})}, seed=seed)
    assert same(first, second)
    assert fill({"w": (second, "uniform", {})}).seed != seed


def test_neither_order_nor_other_entries_change_a_tensor():
    alone, after = np.zeros(70, np.float32), np.zeros(70, np.float32)
    fill({"w": (alone, "normal", {})}, seed=1)
    fill(
        {
            "z": (np.zeros(1000), "uniform", {}),
            "w": (after, "normal", {}),
            "y": (np.zeros(3), "normal", {}),
        },
        seed=1,
        threads=2,
    )
    assert same(alone, after)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ((np.zeros(3, np.float32), "nonsense", {}), ValueError, "entry 'bad': unknown initializer"),
        ((np.zeros(3, np.int8), "normal", {}), TypeError, "entry 'bad': .*floating dtype"),
        ((np.zeros(3, np.float32), "normal", {"std": -1}), ValueError, "entry 'bad': std"),
        ((np.zeros(3, np.float32), "normal", {"spread": 1}), TypeError, "entry 'bad': .*spread"),
        ((np.broadcast_to(np.float32(1), 3), "normal", {}), ValueError, "entry 'bad': .*read-only"),
        ((None, "normal", {}), TypeError, "entry 'bad': .*buffer is None"),
        (
            (np.zeros(3, np.float32),),
            TypeError,
            r"entry 'bad' is tuple .*give a tuple \(buffer, initializer, arguments\)",
        ),
        (7, TypeError, "entry 'bad' is int 7"),
        (
            (np.zeros(3, np.float32), ("normal", {"std": 1})),
            TypeError,
            r"entry 'bad': .*give both parts in the entry: \(buffer, 'normal', {'std': 1}\)",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_one_bad_entry_leaves_every_buffer_untouched(entry, error, message):
    good = np.zeros(5, np.float32)
    with pytest.raises(error, match=message):
        fill({"good": (good, "uniform", {}), "bad": entry}, seed=1)
    assert not good.any()


def test_entries_with_bad_names_or_forms_are_refused():
    good = np.zeros(5, np.float32)
    with pytest.raises(TypeError, match=r"entry 1\.5: name"):
        fill([(good, "uniform", {}, 1.5)])
    with pytest.raises(TypeError, match=r"name\[, region, shape\]\)"):
        fill([(good, "uniform", {}, "a", None, None, None)])
    with pytest.raises(ValueError, match="^entry '(xyz)*x?y?'…: unknown initializer 3"):
        fill({"xyz" * 100: (good, 3)})
    for entries in ("text", 3, None):
        with pytest.raises(TypeError, match="mapping or an iterable"):
            fill(entries)
    with pytest.raises(ValueError, match="threads"):
        fill({"a": (good, "uniform", {})}, threads=0)
    assert not good.any()


def test_overlapping_buffers_are_refused_and_interleaved_ones_are_not():
    base = np.zeros((4, 10), np.float32)
    with pytest.raises(ValueError, match="entry 'a' and entry 'b' overlap in memory"):
        fill({"a": (base[:3], "uniform", {}), "b": (base[2:], "uniform", {})}, seed=1)
    with pytest.raises(ValueError, match="overlap in memory"):
        fill(
            {
                "a": (base, "uniform", {}),
                "c": (np.zeros(3), "uniform", {}),
                "b": (base.T, "uniform", {}),
            },
            seed=1,
        )
    with pytest.raises(ValueError, match="^entry 'x+'… and entry 'y' overlap"):
        fill({"x" * 1000: (base, "uniform"), "y": (base, "uniform")})
    with pytest.raises(ValueError, match="^entry 0 and entry 1 overlap"):
        fill([(base, "uniform"), (base, "uniform")])
    assert not base.any()
    shards = {"left": (base[:, :5], "uniform", {}), "right": (base[:, 5:], "uniform", {})}
    fill(shards, seed=1)
    assert same(np.ascontiguousarray(base[:, 5:]), draw((4, 5), seed=1, name="right"))
    fill(
        {
            "even": (base[:, ::2], "uniform", {}),
            "odd": (base[:, 1::2], "uniform", {}),
            "none": (base[:0], "uniform", {}),
        },
        seed=1,
    )


def test_nothing_to_fill_is_an_empty_report():
    for entries in ({}, []):
        report = fill(entries, seed=1)
        assert report[:3] == ((), 0, 0)


def test_progress_counts_every_value_once():
    told = []
    big = np.zeros(3 << 20, np.float32)
    fill({"a": (big, "uniform", {}), "b": (np.zeros(10), "ramp", {})}, seed=1, progress=told.append)
    assert sum(told) == big.size + 10
