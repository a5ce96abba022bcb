"""The pass over a chunk: NumPy's numbers, exact counts, and the same bits in every form."""

import math

import numpy as np
import pytest

import fastinit as fi
from fastinit._core import dtypes, engine
from fastinit.reference import scan as reference

FLOATS = [dtype.name for dtype in dtypes.FLOATING]


@pytest.fixture
def with_isa():
    """Chooses an instruction set for one test."""
    before = engine.isa()

    def use(isa):
        if engine.name() == "native":
            from fastinit import _native

            _native.use(isa)

    yield use
    use(before)


def bits(values, name):
    return values.reshape(-1).view(dtypes.resolve(name).unsigned)


def every_kind(name, count=9000, seed=0):
    """Normals with zeros of both signs, subnormals, infinities and NaN among them, as bits."""
    dtype = dtypes.resolve(name)
    values = bits(fi.normal((count,), seed=seed, dtype=name, std=0.5, mean=0.1), name).copy()
    sign = 1 << 8 * dtype.itemsize - 1
    top = (1 << 8 * dtype.itemsize - 1) - 1
    rare = [0, sign, 1, sign | 1, dtype.top, sign | dtype.top, dtype.over, sign | dtype.over, top]
    if count >= 100:
        values[10 : 10 + len(rare)] = rare
    return values


def passed(function, values, name, start=0, width=0):
    """All that a pass gives, as bytes: NaN equals NaN of the same bits only."""
    rows = np.zeros(-(-(start + len(values)) // width) - start // width if width else 0)
    columns, table = np.zeros(width), np.zeros(1 << 16, np.uint64)
    moments = function(values, dtypes.resolve(name).code, start, width, table, rows, columns)
    floats = [np.float64(one).tobytes() for one in tuple(moments)[1:7]]
    counts = [moments[0], *moments[7:]]
    return floats, counts, table.tobytes(), rows.tobytes(), columns.tobytes()


CUTS = [(0, 0), (1000, 0), (7, 5), (16, 3), (33, 30), (20_000, 7)]  # width and first value


@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("count", [0, 1, 15, 16, 4095, 4097, 9000])
@pytest.mark.parametrize("name", FLOATS)
def test_every_instruction_set_gives_the_bits_of_numpy(name, count, isa, with_isa):
    with_isa(isa)
    values = every_kind(name, count)
    for width, start in CUTS:
        expected = passed(reference.scan, values, name, start, width)
        assert passed(engine.scan, values, name, start, width) == expected, (width, start)


@pytest.mark.parametrize("name", FLOATS)
def test_sums_of_squares_are_those_of_the_matrix(name):
    values = fi.normal((60, 45), seed=1, dtype=name, std=0.1)
    rows, columns, table = np.zeros(60), np.zeros(45), np.zeros(1 << 16, np.uint64)
    engine.scan(bits(values, name), dtypes.resolve(name).code, 0, 45, table, rows, columns)
    wide = values.astype(np.float64) ** 2
    np.testing.assert_allclose(rows, wide.sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(columns, wide.sum(axis=0), rtol=1e-14)
    assert table.sum() == values.size


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_moments_keep_their_digits_far_from_zero(name):
    values = (fi.normal((20_000,), seed=2, dtype="float64") * 1e-3 + 1000).astype(name)
    no, table = np.zeros(0), np.zeros(1 << 16, np.uint64)
    count, mean, m2, _, m4, low, high, *_ = engine.scan(
        bits(values, name), dtypes.resolve(name).code, 0, 0, table, no, no
    )
    exact = values.astype(np.float64)
    d = exact - math.fsum(exact) / len(exact)
    assert count == 20_000
    assert mean == pytest.approx(math.fsum(exact) / len(exact), rel=1e-15)
    assert m2 == pytest.approx(math.fsum(d**2), rel=1e-9)
    assert m4 == pytest.approx(math.fsum(d**4), rel=1e-9)
    assert (low, high) == (exact.min(), exact.max())


def test_zeros_subnormals_and_what_is_not_finite_are_counted_apart():
    values = np.array([0.0, -0.0, 1e-310, np.inf, -np.inf, np.nan, 2.0])
    no, table = np.zeros(0), np.zeros(1 << 16, np.uint64)
    found = reference.Moments(
        *engine.scan(bits(values, "float64"), dtypes.F64, 0, 0, table, no, no)
    )
    assert (found.values, found.zeros, found.subnormals, found.high) == (4, 2, 1, 2.0)


def test_joined_moments_are_those_of_the_whole():
    values = np.random.default_rng(0).gamma(2.0, size=10_000)
    parts = [reference._moments(part, dtypes.F64) for part in np.split(values, [10, 4000])]
    found = reference.Moments()
    for part in parts:
        found = reference.join(found, part)
    d = values - values.mean()
    assert found.values == 10_000
    for power, there in ((2, found.m2), (3, found.m3), (4, found.m4)):
        assert there == pytest.approx((d**power).sum(), rel=1e-12)


def digest(function, data, page=0):
    """The number of all bytes, and those of the pages."""
    pages = np.empty(len(data) // 4096, np.uint64)
    return function(data, page, pages), pages.tolist()


@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 20_011])
def test_digests_of_parts_add_up_to_the_wholes(size, isa, with_isa):
    with_isa(isa)
    data = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    data[4096:8192] = 7
    whole, pages = digest(engine.digest, data)
    assert (whole, pages) == digest(reference.digest, data)
    assert [page == 0 for page in pages] == [number == 1 for number in range(len(pages))]
    cut = size // 8192 * 4096
    first, second = (
        digest(engine.digest, data[:cut]),
        digest(engine.digest, data[cut:], cut // 4096),
    )
    assert (first[0] + second[0]) % (1 << 64) == whole
    assert first[1] + second[1] == pages


def test_a_digest_depends_on_every_byte_and_its_place():
    for data in (np.zeros(64, np.uint8), np.zeros(4096, np.uint8)):
        found = {engine.digest(data, 0, np.empty(len(data) // 4096, np.uint64))}
        for place in range(len(data)):
            changed = data.copy()
            changed[place] = 1
            found.add(engine.digest(changed, 0, np.empty(len(data) // 4096, np.uint64)))
        assert len(found) == len(data) + 1
    pages = fi.normal((2, 1024), seed=0).view(np.uint8).reshape(-1)
    turned = np.concatenate([pages[4096:], pages[:4096]])
    assert digest(engine.digest, pages)[0] != digest(engine.digest, turned)[0]
    assert digest(engine.digest, pages)[1] == digest(engine.digest, turned)[1][::-1]


@pytest.mark.native
def test_sums_that_do_not_fit_are_refused():
    values, table = np.zeros(100, np.uint32), np.zeros(1 << 16, np.uint64)
    with pytest.raises(ValueError, match="sums of 72 and 80 bytes for rows of 10"):
        engine.scan(values, dtypes.F32, 0, 10, table, np.zeros(9), np.zeros(10))
    with pytest.raises(ValueError, match="a table of 800 bytes"):
        engine.scan(values, dtypes.F32, 0, 0, np.zeros(100), np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="8 bytes for the pages of 400"):
        engine.digest(values, 0, np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="no storage 6"):
        engine.scan(values, 6, 0, 0, table, np.zeros(0), np.zeros(0))


@pytest.mark.native
@pytest.mark.parametrize("isa", engine.isas())
def test_every_instruction_set_passes_the_test_that_the_first_scan_makes(isa, with_isa):
    from fastinit import _native

    with_isa(isa)
    assert _native.scans_agree()


@pytest.mark.native
def test_a_native_pass_that_fails_its_test_is_replaced_by_numpys(monkeypatch):
    monkeypatch.setattr(engine._ENGINE, "scans_agree", lambda: False)
    assert engine._scanner.__wrapped__() is reference
