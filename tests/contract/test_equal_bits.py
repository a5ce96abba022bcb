"""Equal bits: every way to compute a value is compared with the reference engine's whole tensor,
never with a tolerance.

The jobs go to the engine directly, below the façade: draw, dtype, engine, ISA, threads, split and
region.
"""

import itertools
from functools import partial

import numpy as np
import pytest

from fastinit import reference
from fastinit._core import draws, engine
from fastinit._core.dtypes import FLOATING, U32, U64, WORDS, WORDS64, DType
from fastinit._core.jobs import Job

pytestmark = pytest.mark.native

DTYPES = {dtype.name: dtype for dtype in FLOATING}
UNSIGNED = {WORDS: np.dtype(np.uint32), WORDS64: np.dtype(np.uint64)}
SEED, STREAM = 12345678901234567890, 0xFEDCBA9876543210


def draws_of(dtype: DType) -> dict[str, draws.Draw]:
    """One of each draw; the three forms of the truncated normal are draws of their own."""
    far = 6.0 if dtype.name == "float8_e4m3fn" else 60.0
    return {
        "uniform": draws.uniform(-0.3, 0.7, dtype),
        "symmetric": draws.uniform(-0.02, 0.02, dtype, symmetric=True),
        "normal": draws.normal(0.0, 0.02, dtype),
        "normal+mean": draws.normal(-1.5, 3.0, dtype),
        "truncated": draws.truncated_normal(0.0, 0.02, -0.04, 0.04, dtype),
        "truncated wide": draws.truncated_normal(0.5, 1.0, -3.0, 4.5, dtype),
        "truncated one-sided": draws.truncated_normal(0.0, 1.0, 0.5, float("inf"), dtype),
        "truncated far": draws.truncated_normal(0.0, 1.0, far, float("inf"), dtype),
        "constant": draws.constant(0.1, dtype),
    }


DRAWS = tuple(draws_of(FLOATING[0]))


def job(draw: draws.Draw, out: np.ndarray, first: int = 0, strides: tuple[int, ...] = (1,)) -> Job:
    return Job(out, draw.draw, draw.storage, SEED, STREAM, 0, draw.parameters, first, strides)


def expected(draw: draws.Draw, dtype: DType, first: int, count: int) -> np.ndarray:
    out = np.full(count, 0x55, dtype.unsigned)
    reference.Batch([job(draw, out, first)]).work(-1)
    return out


@pytest.fixture
def use():
    """Choose the ISA of the native engine, and put the best back afterwards."""
    from fastinit import _native

    before = _native.isa()
    yield _native.use
    _native.use(before)


def native(jobs: list[Job], threads: int = 1) -> None:
    from fastinit import _native

    assert engine.name() == "native"
    batch = _native.Batch(jobs)
    if threads == 1:
        batch.work(-1)
    else:
        draw = partial(batch.work, -1)
        engine._run_everywhere(draw, draw, batch.cancel, threads)


# ----------------------------------------------------- all pairs of everything, by a covering array

FACTORS: dict[str, tuple] = {
    "draw": DRAWS,
    "dtype": tuple(DTYPES),
    "isa": engine.isas(),
    "threads": (1, 2, 3, 7),
    "split": ("whole", "two at 1", "seven uneven", "every tile"),
    "region": ("all", "rows", "columns", "box", "one column", "last element"),
    "order": ("C", "F", "strided", "negative"),
}


def closes(open_pairs: set, row: dict, c: int, value: object) -> int:
    """How many pairs that no row has yet this row would have with `value` in column c."""
    return sum(
        ((d, v, c, value) if d < c else (c, value, d, v)) in open_pairs for d, v in row.items()
    )


def covering_array(factors: dict[str, tuple]) -> list[tuple]:
    """Rows such that every pair of values of two factors occurs in one: greedy, no randomness."""
    names = list(factors)
    open_pairs = {
        (a, x, b, y)
        for a, b in itertools.combinations(range(len(names)), 2)
        for x in factors[names[a]]
        for y in factors[names[b]]
    }
    rows = []
    while open_pairs:
        a, x, b, y = min(open_pairs, key=repr)
        row: dict[int, object] = {a: x, b: y}
        for c in range(len(names)):
            if c not in row:
                row[c] = max(factors[names[c]], key=partial(closes, open_pairs, row, c))
        rows.append(tuple(row[c] for c in range(len(names))))
        for p, q in itertools.combinations(range(len(names)), 2):
            open_pairs.discard((p, row[p], q, row[q]))
    return rows


ROWS = covering_array(FACTORS)


def test_the_covering_array_covers_every_pair():
    names = list(FACTORS)
    for a, b in itertools.combinations(range(len(names)), 2):
        seen = {(row[a], row[b]) for row in ROWS}
        assert seen == set(itertools.product(FACTORS[names[a]], FACTORS[names[b]]))
    print(
        f"{len(ROWS)} combinations cover all pairs of "
        f"{', '.join(f'{len(v)} {k}s' for k, v in FACTORS.items())}"
    )


SHAPE = (37, 5, 29)
STRIDES = (145, 29, 1)
REGIONS = {
    "all": (slice(0, 37), slice(0, 5), slice(0, 29)),
    "rows": (slice(11, 30), slice(0, 5), slice(0, 29)),
    "columns": (slice(0, 37), slice(0, 5), slice(3, 17)),
    "box": (slice(1, 36), slice(2, 4), slice(28, 29)),
    "one column": (slice(0, 37), slice(4, 5), slice(7, 8)),
    "last element": (slice(36, 37), slice(4, 5), slice(28, 29)),
}


def destination(shape: tuple[int, ...], order: str, unsigned: np.dtype) -> np.ndarray:
    if order == "strided":
        return np.full([2 * n + 1 for n in shape], 0xAA, unsigned)[
            tuple(slice(0, 2 * n, 2) for n in shape)
        ]
    if order == "negative":
        return np.full(shape, 0xAA, unsigned)[tuple(slice(None, None, -1) for _ in shape)]
    return np.full(shape, 0xAA, unsigned, order=order)


@pytest.mark.parametrize(("draw", "dtype", "isa", "threads", "split", "region", "order"), ROWS)
def test_same_bits_whatever_computes_them(use, draw, dtype, isa, threads, split, region, order):
    use(isa)
    dtype = DTYPES[dtype]
    drawn = draws_of(dtype)[draw]
    first = 2**31 - 1000
    box = REGIONS[region]
    want = expected(drawn, dtype, first, int(np.prod(SHAPE))).reshape(SHAPE)[box]
    out = destination(want.shape, order, dtype.unsigned)
    rows = len(out)
    cuts = {
        "whole": [0, rows],
        "two at 1": [0, 1, rows],
        "seven uneven": [0, 1, 3, 4, 9, 16, 30, rows],
        "every tile": range(rows + 1),
    }[split]
    cuts = sorted({min(cut, rows) for cut in cuts})
    start = first + sum(s.start * t for s, t in zip(box, STRIDES, strict=True))
    native(
        [
            job(drawn, out[a:b], start + a * STRIDES[0], STRIDES)
            for a, b in itertools.pairwise(cuts)
        ],
        threads,
    )
    assert out.tobytes() == want.tobytes()


# ------------------------------------------------------------------------------ lengths and offsets


@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length_and_offset_up_to_70(use, isa, dtype):
    use(isa)
    dtype = DTYPES[dtype]
    drawn = draws.normal(0.0, 1.0, dtype)
    want = expected(drawn, dtype, 0, 140)
    out = np.empty(70, dtype.unsigned)
    for offset in range(71):
        for length in range(71):
            out[:] = 0xAA
            native([job(drawn, out[:length], offset)])
            assert (out[:length] == want[offset : offset + length]).all(), (offset, length)
            assert (out[length:] == 0xAA).all(), (offset, length)


BLOCK, TILE, CHUNK = 4, 64, 1 << 18
EDGES = (BLOCK, 16, TILE, 32 * TILE, CHUNK)


@pytest.mark.parametrize("draw", ["normal", "uniform", "truncated wide"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_edges_of_block_tile_and_chunk_do_not_change_bits(draw, dtype):
    dtype = DTYPES[dtype]
    drawn = draws_of(dtype)[draw]
    whole = np.empty(CHUNK + 200, dtype.unsigned)
    native([job(drawn, whole)], threads=2)
    for edge in EDGES:
        for start in (edge - 1, edge, edge + 1):
            for stop in {start + 1, min(len(whole), start + edge), len(whole) - 1}:
                part = np.empty(stop - start, dtype.unsigned)
                native([job(drawn, part, start)])
                assert (part == whole[start:stop]).all(), (start, stop)
    assert (whole[-1000:] == expected(drawn, dtype, len(whole) - 1000, 1000)).all()


@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("index", [2**31, 2**32, 2**34, 64 * 2**28, 2**57 - 500, 2**58 - 500])
@pytest.mark.parametrize("dtype", ["float32", "float8_e5m2", "float64"])
def test_index_edges_do_not_change_bits(use, isa, index, dtype):
    use(isa)
    dtype = DTYPES[dtype]
    if dtype.wide:
        index //= 2
    drawn = draws.normal(0.0, 1.0, dtype)
    for first in (index - 300, index - 1, index):
        out = np.empty(400, dtype.unsigned)
        native([job(drawn, out, first)])
        assert (out == expected(drawn, dtype, first, 400)).all()


@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("plane", [0, 1, 2, 255])
def test_words_are_equal(use, isa, plane):
    use(isa)
    for draw, storage, unsigned in ((WORDS, U32, np.uint32), (WORDS64, U64, np.uint64)):
        for seed, stream, first in itertools.product(
            (0, 1, 2**32, 2**64 - 1), (0, 2**31, 2**32, 2**64 - 1), (0, 63, 2**34 - 70)
        ):
            a, b = np.full(150, 0xAA, unsigned), np.full(150, 0x55, unsigned)
            native([Job(a, draw, storage, seed, stream, plane, (), first, (1,))])
            reference.Batch([Job(b, draw, storage, seed, stream, plane, (), first, (1,))]).work(-1)
            assert (a == b).all()


def test_many_tensors_in_one_call_have_the_bits_of_each_alone():
    rng = np.random.default_rng(0)
    jobs, wanted = [], []
    for k in range(300):
        dtype = FLOATING[k % len(FLOATING)]
        drawn = draws_of(dtype)[DRAWS[k % len(DRAWS)]]
        out = np.full(int(rng.integers(0, 5000)), 0xAA, dtype.unsigned)
        jobs.append(job(drawn, out, first=int(rng.integers(0, 2**40)))._replace(stream=k))
        want = np.zeros_like(out)
        reference.Batch([jobs[-1]._replace(out=want)]).work(-1)
        wanted.append(want)
    native(jobs, threads=3)
    for one, want in zip(jobs, wanted, strict=True):
        assert (one.out == want).all()


def test_uneven_splits_on_every_axis_equal_the_whole():
    dtype = DTYPES["bfloat16"]
    drawn = draws.normal(0.0, 0.02, dtype)
    shape, strides = (23, 31, 17), (527, 17, 1)
    want = expected(drawn, dtype, 0, 23 * 31 * 17).reshape(shape)
    for axis, ways in itertools.product(range(3), (1, 2, 3, 7)):
        whole = np.full(shape, 0xAA, dtype.unsigned)
        for part in np.array_split(np.arange(shape[axis]), ways):
            box = tuple(
                slice(part[0], part[-1] + 1) if a == axis else slice(None) for a in range(3)
            )
            native([job(drawn, whole[box], int(part[0]) * strides[axis], strides)])
        assert (whole == want).all(), (axis, ways)
