"""Sparse matrices: the known answers, equal bits in both forms and in every region, and the law of
the places.
"""

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from children import growth, python

from fastinit import _sparse
from fastinit._sparse import Pattern, positions
from fastinit.initializers.sparse import sparse

KNOWN = {
    # shape, sparsity or (n_nonzero, per) -> SHA-256 of the flat C-order indices of the non-zeros;
    # seed 9, name "s".
    ((13, 1), 0.0): "2e67e70889cafae229c7288a576b2538aac397816569efaa9df65b070e269443",
    ((13, 1), 0.3): "13ac33508ecfd9579cb5914cb1e0dd94782265be08bcfac2e465594cbc7e4826",
    ((13, 1), 0.9): "a111f275cc2e7588000001d300a31e76336d15b9d314cd1a1d8f3d3556975eed",
    ((13, 1), (5, "column")): "78bbac3ef53430f9ae1133cd390c7da1a583c2e72df34a2cc60ca9e3311423f6",
    ((1, 4), 0.0): "a1e03200f1f82ad2c1cec8795c271aaecf98f5aa2d151d2229ec5fa0c177cf77",
    ((50, 7), 0.0): "526cb3657eab1ab5cfda29360c33b456f1a2013c1c3d36dfb98776c6372c2807",
    ((50, 7), 0.3): "d3cc962231e9301d5797efb9b928cba5b7a3a37cefe607691215810e5dd5793b",
    ((50, 7), 0.9): "5ba30fa984e4678ae8a106ff6f75bc119b82592d331440b992df30412cfa4ace",
    ((50, 7), (5, "column")): "5ba30fa984e4678ae8a106ff6f75bc119b82592d331440b992df30412cfa4ace",
    ((50, 7), (5, "row")): "24a25a038171d12e7e79a456553dd9151073b82c0520e07adb9bd9fa90d7beeb",
}


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def form(request, monkeypatch):
    """Both forms of the choice, whatever the size and whichever engine."""
    if request.param == "numba":
        monkeypatch.setattr(
            _sparse, "_jit", lambda pattern, units: sys.modules["fastinit._jit.sparse"]
        )
        import fastinit._jit.sparse  # noqa: F401
    else:
        monkeypatch.setattr(_sparse, "_jit", lambda pattern, units: None)
    return request.param


def given(spec):
    return {"n_nonzero": spec[0], "per": spec[1]} if isinstance(spec, tuple) else {"sparsity": spec}


# --------------------------------------------------------------------------------------- equal bits


@pytest.mark.parametrize(("shape", "spec"), KNOWN)
def test_places_are_the_known_answers(form, shape, spec):
    matrix = sparse(shape, **given(spec), seed=9, name="s")
    flat = np.flatnonzero(matrix).astype("<i8")
    assert hashlib.sha256(flat.tobytes()).hexdigest() == KNOWN[shape, spec]


CASES = [
    ((40, 33), {"sparsity": 0.9}),
    ((33, 130), {"sparsity": 0.5, "per": "row"}),
    ((64, 64), {"sparsity": 0.1}),
    ((7, 200), {"n_nonzero": 7}),
    ((200, 65), {"n_nonzero": 3}),
    ((129, 300), {"n_nonzero": 200, "per": "row"}),
    ((300, 70), {"sparsity": 1.0}),
]


@pytest.mark.parametrize(("shape", "arguments"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float8_e5m2"])
@pytest.mark.numba
def test_the_numba_form_has_the_bits_of_the_numpy_form(shape, arguments, dtype, monkeypatch):
    import fastinit._jit.sparse as jit

    monkeypatch.setattr(_sparse, "_jit", lambda pattern, units: None)
    plain = sparse(shape, **arguments, seed=1, dtype=dtype)
    monkeypatch.setattr(_sparse, "_jit", lambda pattern, units: jit)
    assert sparse(shape, **arguments, seed=1, dtype=dtype).tobytes() == plain.tobytes()


@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_a_region_has_the_bits_it_has_in_the_whole(form, shape, arguments):
    whole = sparse(shape, **arguments, seed=5, name="w")
    rng = np.random.default_rng(0)
    for _ in range(12):
        region = tuple(slice(*sorted(map(int, rng.integers(0, size + 1, 2)))) for size in shape)
        part = sparse(shape, **arguments, seed=5, name="w", region=region)
        assert part.tobytes() == whole[region].tobytes()
    row = sparse(shape, **arguments, seed=5, name="w", region=(3, ...))
    assert row.tobytes() == whole[3:4].tobytes()


@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_memory_order_and_negative_strides_do_not_change_bits(form, shape, arguments):
    whole = sparse(shape, **arguments, seed=5)
    for out in (
        np.full(shape, 7, np.float32, order="F"),
        np.full((2 * shape[0], shape[1]), 7, np.float32)[::-2, ::-1],
    ):
        assert sparse(out=out, **arguments, seed=5) is out
        np.testing.assert_array_equal(out, whole)


def test_threads_and_block_sizes_do_not_change_bits(form, monkeypatch):
    whole = sparse((500, 400), sparsity=0.8, seed=2, threads=1)
    assert sparse((500, 400), sparsity=0.8, seed=2, threads=3).tobytes() == whole.tobytes()
    for block in (1, 100, 7000, 30000):
        monkeypatch.setattr(_sparse, "_BLOCK", block)
        assert sparse((500, 400), sparsity=0.8, seed=2, threads=2).tobytes() == whole.tobytes()


def test_the_value_of_rank_r_in_unit_u_is_the_normal_of_index_u_times_k_plus_r():
    from fastinit._core import draws, dtypes, engine
    from fastinit._core.stream import stream_id

    matrix = sparse((50, 7), sparsity=0.9, seed=9, name="s", std=0.3)
    normals = np.empty(35, np.uint32)
    pattern = Pattern("column", 7, 50, 5)
    _sparse._normals(
        normals.reshape(7, 5),
        pattern,
        draws.normal(0.0, 0.3, dtypes.FLOAT32),
        9,
        stream_id("s"),
        0,
        None,
    )
    assert engine.name() in ("native", "reference")
    np.testing.assert_array_equal(matrix.T[matrix.T != 0], normals.view(np.float32))


def test_rows_are_the_transpose_of_columns_of_the_transposed_shape(form):
    np.testing.assert_array_equal(
        sparse((30, 90), n_nonzero=4, per="row", seed=3),
        sparse((90, 30), n_nonzero=4, per="column", seed=3).T,
    )


def test_high_64_bits_are_exact_for_factors_beyond_32_bits():
    words = np.random.default_rng(0).integers(0, 2**64, 200, dtype=np.uint64)
    words[:3] = 0, 1, 2**64 - 1
    for factor in (1, 2, 2**32 - 1, 2**32, 2**32 + 1, 2**57 + 12345, 2**58):
        assert _sparse._high64(words, factor).tolist() == [
            int(word) * factor >> 64 for word in words
        ]


# ------------------------------------------------------------------------------------ scipy formats


@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_scipy_formats_hold_the_dense_matrix(form, shape, arguments, format):
    dense = sparse(shape, **arguments, seed=5, dtype="float64")
    matrix = sparse(shape, **arguments, seed=5, dtype="float64", format=format)
    assert matrix.format == format
    np.testing.assert_array_equal(matrix.toarray(), dense)
    region = (slice(2, shape[0] - 1), slice(1, shape[1] - 2))
    part = sparse(shape, **arguments, seed=5, dtype="float64", format=format, region=region)
    np.testing.assert_array_equal(part.toarray(), dense[region])


def test_a_million_by_a_hundred_thousand_with_15_a_unit_fits_in_memory():
    # As a dense matrix it would take 400 GB.
    code = """
        m = sparse((10**6, 10**5), n_nonzero=15, per="row", format="csr", seed=0)
        print(m.nnz, *m.shape)
    """
    mebibytes, printed = growth(code, "from fastinit import sparse")
    assert printed.split() == ["15000000", "1000000", "100000"]
    assert mebibytes < 1000


# --------------------------------------------------------------------------------------- statistics


def chi_square_of_subsets(choose, places, kept, units):
    """Chi-square of all C(places, kept) subsets, standardised by its mean and standard
    deviation.
    """
    chosen = choose(units)
    code = (1 << chosen).sum(axis=1)
    counts = np.unique(code, return_counts=True)[1]
    kinds = math.comb(places, kept)
    expected = units / kinds
    statistic = ((counts - expected) ** 2 / expected).sum() + (kinds - len(counts)) * expected
    return (statistic - (kinds - 1)) / math.sqrt(2 * (kinds - 1))


def places_of(pattern, units, seed=17):
    words = np.empty((units, pattern.picks), np.uint64)
    _sparse._draw_words(words, pattern, seed, 0, 0)
    return positions(words, pattern)


@pytest.mark.parametrize(("places", "kept"), [(6, 3), (7, 2), (5, 4)])
def test_every_subset_is_equally_likely(places, kept):
    pattern = Pattern("column", 10**6, places, kept)
    assert chi_square_of_subsets(lambda units: places_of(pattern, units), places, kept, 10**6) < 4


def test_choosing_the_next_free_place_instead_fails_that_test():
    def careless(units):
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.integers(0, 6, (units, 3)), axis=1)
        for _ in range(6):
            for s in (1, 2):
                clash = chosen[:, s] == chosen[:, s - 1]
                chosen[clash, s] = (chosen[clash, s] + 1) % 6
            chosen.sort(axis=1)
        return chosen

    assert chi_square_of_subsets(careless, 6, 3, 10**6) > 100


def test_every_place_of_a_large_matrix_is_equally_likely():
    matrix = sparse((500, 20000), sparsity=0.9, seed=4)
    counts = np.count_nonzero(matrix, axis=1)
    # A place is among the 50 of 500 with probability 1/10, independently over units.
    z = (counts - 2000) / math.sqrt(20000 * 0.1 * 0.9)
    assert abs((z**2).mean() * 500 - 499 * 500 / 500) < 4 * math.sqrt(2 * 500)
    assert np.abs(z).max() < 5


def test_non_zeros_have_the_mean_and_std_of_the_normal():
    values = sparse((400, 30000), sparsity=0.9, seed=8, std=0.02)
    values = values[values != 0].astype(np.float64)
    assert len(values) == 1_200_000
    assert abs(values.mean()) < 5 * 0.02 / math.sqrt(len(values))
    assert abs(values.std() / 0.02 - 1) < 5 / math.sqrt(2 * len(values))


# ---------------------------------------------------------------------------------------- behaviour


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.3, 0.5, 0.9, 0.99, 1.0, 1 / 3, 0.7])
def test_each_column_has_as_many_zeros_as_torch_makes(sparsity):
    rows = 77
    matrix = sparse((rows, 30), sparsity=sparsity, seed=1)
    assert set((matrix == 0).sum(axis=0)) == {math.ceil(sparsity * rows)}


def test_sparsity_counts_zeros_and_n_nonzero_counts_the_rest():
    assert set(np.count_nonzero(sparse((64, 784), n_nonzero=15, per="row", seed=0), axis=1)) == {15}


def test_zero_std_gives_zeros_and_empty_shapes_give_nothing():
    assert not sparse((5, 5), sparsity=0.5, std=0.0, seed=0).any()
    assert sparse((0, 5), sparsity=0.5, seed=0).shape == (0, 5)
    assert sparse((5, 0), n_nonzero=2, seed=0, format="csr").shape == (5, 0)
    with pytest.raises(ValueError, match="has 0 places"):
        sparse((0, 5), n_nonzero=2, seed=0)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"sparsity": 1.5}, ValueError, "must lie in"),
        ({"sparsity": -0.1}, ValueError, "must lie in"),
        ({"sparsity": math.nan}, ValueError, "finite"),
        ({"sparsity": "0.5"}, TypeError, "real number"),
        ({}, ValueError, "give one of"),
        ({"sparsity": 0.5, "n_nonzero": 3}, ValueError, "give one of"),
        ({"n_nonzero": 11}, ValueError, "has 10 places"),
        ({"n_nonzero": -1}, ValueError, "places"),
        ({"n_nonzero": 2.0}, TypeError, "integer"),
        ({"n_nonzero": True}, TypeError, "integer"),
        ({"sparsity": 0.5, "per": "unit"}, ValueError, "'column'"),
        ({"sparsity": 0.5, "std": -1.0}, ValueError, "std"),
        ({"sparsity": 0.5, "std": math.inf}, ValueError, "std"),
        ({"sparsity": 0.5, "format": "bsr"}, ValueError, "'csr', 'csc', 'coo'"),
        ({"sparsity": 0.5, "format": "csr", "dtype": "bfloat16"}, TypeError, "float32"),
        ({"sparsity": 0.5, "dtype": "int32"}, TypeError, "floating"),
    ],
)
def test_bad_arguments_are_refused_and_the_destination_is_not_touched(arguments, error, text):
    with pytest.raises(error, match=text):
        sparse((10, 20), **arguments, seed=0)
    if "format" not in arguments and "dtype" not in arguments:
        out = np.full((10, 20), 3, np.float32)
        with pytest.raises(error):
            sparse(out=out, **arguments, seed=0)
        assert (out == 3).all()


@pytest.mark.parametrize("shape", [(10,), (2, 3, 4), ()])
def test_shapes_that_are_not_a_matrix_are_refused(shape):
    with pytest.raises(ValueError, match="two axes"):
        sparse(shape, sparsity=0.5, seed=0)


def test_out_and_format_together_are_refused():
    with pytest.raises(ValueError, match="out= is for dense"):
        sparse((3, 3), sparsity=0.5, format="csr", out=np.zeros((3, 3), np.float32), seed=0)


def test_a_missing_scipy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        sparse((3, 3), sparsity=0.5, format="csr", seed=0)


def test_without_numba_large_matrices_have_the_same_bits(monkeypatch):
    whole = sparse((700, 2000), sparsity=0.6, seed=2)
    monkeypatch.delenv("FASTINIT_ENGINE", raising=False)
    monkeypatch.setitem(sys.modules, "fastinit._jit.sparse", None)
    assert sparse((700, 2000), sparsity=0.6, seed=2).tobytes() == whole.tobytes()


@pytest.mark.numba
def test_no_openmp_or_tbb_runtime_is_mapped_afterwards_and_a_fork_still_fills():
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    code = (
        "import os, signal; from fastinit import sparse\na = sparse((1000, 4000), "
        "sparsity=0.7, seed=0, threads=2)\nmaps = open('/proc/self/maps').read()\nassert not "
        "any(name in maps for name in ('libgomp', 'libomp', 'libiomp', 'libtbb')), maps\n"
        "signal.alarm(60); child = os.fork()\nif child == 0:\n    same = sparse((1000, 4000), "
        "sparsity=0.7, seed=0, threads=2).tobytes() == a.tobytes()\n    os._exit(0 if same else "
        "1)\nassert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(path for path in sys.path if path),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr


def test_the_known_answers_cover_every_case_of_the_outline():
    # The two empty cases (sparsity 1) and the three that are refused are tested elsewhere.
    assert len(KNOWN) == 10 and len({json.dumps(key) for key in KNOWN}) == 10


@pytest.mark.numba
def test_ctrl_c_ends_a_fill_of_fresh_memory_after_the_current_block():
    """A block of columns reaches every page of the matrix, and the system would provide all of them
    in one call that nothing can interrupt.  The test measures memory after the signal, not time.
    """
    run = python("""
        import mmap, signal
        import numpy as np, fastinit as fi
        from fastinit._core import engine
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * mmap.PAGESIZE >> 20
        fi.sparse((600, 1000), sparsity=0.5, seed=1)  # numba is imported
        whole, taken = engine.map_tasks, []
        def interrupted(function, items, threads=None):
            def work(item):
                taken.append(item)
                function(item)
                signal.raise_signal(signal.SIGINT)
            whole(work, items, threads)
        engine.map_tasks = interrupted
        fresh = mmap.mmap(-1, 256 << 20)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # of which one element takes 2 MiB
            fresh.madvise(mmap.MADV_HUGEPAGE)
        out = np.frombuffer(fresh, np.float32).reshape(8192, 8192)
        before = resident()
        try:
            fi.sparse(out=out, sparsity=0.5, seed=1, threads=1)
        except KeyboardInterrupt:
            print(len(taken), resident() - before)
    """)
    blocks, growth = map(int, run.stdout.split())
    assert blocks == 1 and growth < 20  # MiB; a block of columns takes 32, or all 256 in huge pages
