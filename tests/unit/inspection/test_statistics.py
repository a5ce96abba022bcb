"""The numbers of one tensor: NumPy's, exact where they can be, and no bit by threads or cut."""

import dataclasses
import doctest
import math

import ml_dtypes
import numpy as np
import pytest

import fastinit as fi
import fastinit.inspection.statistics as module
from fastinit._core import dtypes
from fastinit.inspection.statistics import CHUNK, matrix, statistics

FLOATS = [dtype.name for dtype in dtypes.FLOATING]


def as_bytes(found):
    """Every field, floats by their bits."""
    return repr(
        [
            [np.asarray(part).tobytes() for part in value]
            if isinstance(value, tuple)
            else np.asarray(value).tobytes()
            if isinstance(value, float)
            else value
            for value in (getattr(found, field.name) for field in dataclasses.fields(found))
        ]
    )


@pytest.mark.parametrize("name", FLOATS)
def test_the_numbers_are_those_of_numpy(name):
    values = fi.normal((500, 300), seed=3, dtype=name, std=0.25, mean=0.05)
    found, x = statistics(values), values.astype(np.float64)
    z = (x - x.mean()) / x.std()
    assert found.count == x.size
    assert found.mean == pytest.approx(x.mean(), rel=1e-10)
    assert found.std == pytest.approx(x.std(), rel=1e-12)
    assert found.skewness == pytest.approx((z**3).mean(), abs=1e-10)
    assert found.excess_kurtosis == pytest.approx((z**4).mean() - 3, abs=1e-10)
    assert (found.min, found.max) == (x.min(), x.max())
    assert (found.zeros, found.nonfinite) == ((x == 0).sum(), 0)
    norms = np.sqrt((x**2).sum(axis=1))
    expected = (norms.min(), np.median(norms), norms.max())
    assert found.row_norms == pytest.approx(expected, rel=1e-12)
    norms = np.sqrt((x**2).sum(axis=0))
    expected = (norms.min(), np.median(norms), norms.max())
    assert found.col_norms == pytest.approx(expected, rel=1e-12)
    narrow = values.dtype.itemsize <= 2
    assert found.distinct == (len(np.unique(x)) if narrow else None)


@pytest.mark.parametrize("name", FLOATS)
def test_neither_threads_nor_the_cut_into_parts_changes_a_bit(name, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4096)
    values = fi.normal((200, 301), seed=4, dtype=name)
    expected = as_bytes(statistics(values, threads=1))
    assert as_bytes(statistics(values, threads=3)) == expected
    flat = values.reshape(-1)
    for cuts in ([1], [4096, 8192, 50_000], list(range(997, flat.size, 997))):
        parts = iter(np.split(flat, cuts))
        assert as_bytes(statistics(parts, name, values.shape, threads=2)) == expected
    whole = dtypes.resolve(name).unsigned
    assert as_bytes(statistics(flat.view(whole), name, values.shape)) == expected


def test_the_histogram_has_exact_counts_between_exact_edges():
    values = fi.normal((100_000,), seed=5, dtype="bfloat16", std=0.02)
    edges, counts = statistics(values).histogram
    assert 64 <= len(counts) <= 130
    assert counts.sum() == values.size
    x = values.astype(np.float64)
    assert not np.isin(edges, x).any()  # between two values of bfloat16
    assert np.histogram(x, edges)[0].tolist() == counts.tolist()
    assert np.array_equal(edges.astype(np.float32).astype(np.float64), edges)
    float32 = fi.normal((100_000,), seed=5, std=0.02)
    edges, counts = statistics(float32).histogram
    positive = edges[:-1] >= 0
    exact = np.histogram(float32.astype(np.float64), edges)[0]
    assert exact[positive].tolist() == counts[positive].tolist()


@pytest.mark.parametrize("name", FLOATS)
def test_the_edges_are_where_rounding_turns(name):
    """The share of a bin is the law's between its edges: how audits test a distribution."""
    values = fi.normal((200_000,), seed=6, dtype=name, std=0.5)
    edges, counts = statistics(values).histogram
    share = np.array([0.5 * math.erfc(-edge / math.sqrt(0.5)) for edge in edges])
    expected = np.diff(share) * values.size
    there = expected > 10
    chi = ((counts - expected)[there] ** 2 / expected[there]).sum()
    assert chi < there.sum() + 5 * math.sqrt(2 * there.sum())


def test_far_outliers_do_not_take_the_bins_of_the_others():
    values = fi.normal((50_000,), seed=7)
    values[[5, 9]] = 1e20, -1e20
    edges, counts = statistics(values[values < 1e3]).histogram
    values[5] = 30.0
    values[9] = -30.0
    edges, counts = statistics(values).histogram
    assert (np.diff(edges[1:-1]) < 0.3).all()
    assert counts.sum() == 50_000
    assert edges[0] <= -30 < edges[1]


@pytest.mark.parametrize("name", FLOATS)
def test_values_that_are_not_finite_are_counted_and_left_out(name):
    values = fi.normal((64, 64), seed=8, dtype=name)
    clean = statistics(values)
    worse = values.copy()
    worse[3, 5] = worse[60, 0] = np.nan
    found = statistics(worse)
    x = worse.astype(np.float64)
    assert found.nonfinite == 2
    assert found.mean == pytest.approx(np.nanmean(x), rel=1e-12)
    assert found.std == pytest.approx(np.nanstd(x), rel=1e-12)
    assert found.histogram.counts.sum() == 64 * 64 - 2
    assert math.isfinite(found.row_norms.max)
    assert found.digest != clean.digest
    only = statistics(np.full((4, 4), np.nan, values.dtype))
    assert only.nonfinite == 16
    assert math.isnan(only.mean) and math.isnan(only.min) and math.isnan(only.std)
    assert not len(only.histogram.counts)


def test_a_constant_has_no_shape():
    found = statistics(np.ones((5, 5), np.float32))
    assert (found.mean, found.std, found.min, found.max) == (1, 0, 1, 1)
    assert math.isnan(found.skewness) and math.isnan(found.excess_kurtosis)
    assert found.histogram.counts.tolist() == [25]


def test_one_page_that_is_repeated_is_found(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4096)
    page = np.random.default_rng(0).normal(size=512)
    found = statistics(np.tile(page, 40))
    assert (found.pages, found.repeated_pages) == (40, 39)
    other = np.tile(page, 40)
    other[600] += 1
    assert statistics(other).repeated_pages == 38
    inside = fi.normal((40, 512), seed=0, dtype="float64")
    inside[37] = inside[11]  # two pages, neither of them the first
    assert statistics(inside).repeated_pages == 1
    # Pages of one value, and those that hold little else, are no copies: zeros, dirac, a mask.
    for sound in (np.zeros((40, 512)), np.eye(2048, dtype=np.float32), np.tri(2048, 2048)):
        assert statistics(sound).repeated_pages == 0
    assert statistics(fi.normal((40, 512), seed=0)).repeated_pages == 0


def test_equal_tensors_have_equal_digests_and_others_have_not():
    one = fi.normal((300, 300), seed=1)
    assert statistics(one).digest == statistics(one.copy()).digest
    assert statistics(one).digest != statistics(one[::-1]).digest
    assert statistics(one).digest != statistics(-one).digest


@pytest.mark.parametrize(
    "shape,expected",
    [
        ((), (0, 0)),
        ((5,), (0, 0)),
        ((4, 5), (4, 5)),
        ((1, 5), (0, 0)),
        ((0, 5), (0, 0)),
        ((8, 3, 3, 3), (8, 27)),
        ((8, 64, 32), (512, 32)),
        ((3, (1 << 22) + 1), (0, 0)),
    ],
)
def test_norms_are_those_of_a_matrix(shape, expected):
    assert matrix(shape) == expected


@pytest.mark.parametrize(
    "name", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_integers_are_counted(name):
    values = np.array([0, 1, 1, 0, 1], dtype=name)
    found = statistics(values)
    assert (found.count, found.zeros, found.min, found.max) == (5, 2, 0.0, 1.0)
    assert found.mean == 0.6
    assert found.row_norms is None
    assert found.histogram.counts.sum() == 5
    if name.startswith("int"):
        assert statistics(-values).min == -1.0


def test_subnormals_are_counted():
    tiny = np.array([0, 1, 2, 0x80], np.uint16).view(ml_dtypes.bfloat16)
    assert statistics(tiny).subnormals == 2
    assert statistics(np.array([1e-40, 0, 1], np.float32)).subnormals == 1
    assert statistics(np.array([1e-310, 0, 1])).subnormals == 1


def test_an_empty_tensor_has_no_numbers():
    found = statistics(np.zeros((0, 4), np.float32))
    assert found.count == found.nonfinite == 0
    assert math.isnan(found.mean)


@pytest.mark.parametrize("name", [*FLOATS, "int32", "uint8"])
def test_the_numbers_of_few_values_are_counted_as_those_of_many(name, monkeypatch):
    values = (fi.normal((70, 60), seed=4) * 8).astype(dtypes.resolve(name).numpy())
    expected = as_bytes(statistics(values))
    monkeypatch.setattr(module, "FEW", 0)
    assert as_bytes(statistics(values)) == expected


def test_more_than_one_chunk_is_one_tensor():
    values = fi.normal((CHUNK + 1000,), seed=9, dtype="bfloat16")
    found = statistics(values, threads=2)
    assert found.std == pytest.approx(values.astype(np.float64).std(), rel=1e-12)


def test_parts_that_do_not_make_the_shape_are_an_error():
    parts = [np.zeros(3, np.float32), np.zeros(4, np.float32)]
    with pytest.raises(ValueError, match="the parts hold 7 values and shape \\(2, 4\\) takes 8"):
        statistics(parts, "float32", (2, 4))
    with pytest.raises(TypeError, match="give dtype= and shape="):
        statistics(iter(parts))
    with pytest.raises(ValueError, match="a part has dtype float32, not bfloat16"):
        statistics(parts, "bfloat16", (7,))


def test_the_example_prints_what_it_says():
    names = {"fi": fi, "np": np, "statistics": statistics}
    example = doctest.DocTestParser().get_doctest(statistics.__doc__, names, "statistics", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
