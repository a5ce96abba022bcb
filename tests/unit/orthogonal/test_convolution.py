"""delta_orthogonal and convolutional_orthogonal: isometries of circular convolutions, regions,
masks, and bad arguments.
"""

import re

import numpy as np
import pytest
from orthogonal_cases import DTYPES, boxes, force, same

import fastinit as fi
from fastinit._core import engine, jobs
from fastinit._orthogonal import convolution

SHAPES = [
    (8, 5, 3),
    (5, 5, 1),
    (70, 66, 4),
    (12, 12, 3, 3),
    (66, 10, 2, 2),
    (6, 4, 3, 3, 3),
    (4, 1, 2, 2, 2),
]


@pytest.fixture(params=["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def form(request, monkeypatch):
    force(monkeypatch, request.param)
    return request.param


def circular_error(w, gain):
    """How far the circular convolution is from gain times an isometry, measured on its blocks in
    Fourier space on two grids.
    """
    worst = 0.0
    for more in (1, 4):
        sides = [side + more for side in w.shape[2:]]
        blocks = np.fft.fftn(w.astype(np.float64), sides, axes=range(2, w.ndim))
        blocks = np.moveaxis(blocks, (0, 1), (-2, -1)).reshape(-1, *w.shape[:2])
        gram = blocks.conj().swapaxes(1, 2) @ blocks / gain**2
        worst = max(worst, np.abs(gram - np.eye(w.shape[1])).max())
    return worst


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("initializer", [fi.delta_orthogonal, fi.convolutional_orthogonal])
def test_circular_convolution_is_an_isometry_times_gain(form, initializer, shape):
    w = initializer(shape, gain=1.5, seed=1)
    assert circular_error(w, 1.5) < 4e-6
    assert circular_error(initializer(shape, gain=1.5, seed=1, dtype="float64"), 1.5) < 1e-14


def test_norms_of_signals_are_kept():
    """The same said without Fourier: a signal pushed through y[o, x] = Σ w[o, i, t] s[i, x + t]."""
    w = fi.convolutional_orthogonal((12, 8, 3, 3), seed=2, dtype="float64")
    signal = np.random.default_rng(0).standard_normal((8, 9, 10))
    shifted = {(a, b): np.roll(signal, (-a, -b), (1, 2)) for a in range(3) for b in range(3)}
    through = sum(
        np.einsum("oi,ixy->oxy", w[:, :, a, b], moved) for (a, b), moved in shifted.items()
    )
    assert np.isclose(np.linalg.norm(through), np.linalg.norm(signal), rtol=1e-13)


@pytest.mark.parametrize("initializer", [fi.delta_orthogonal, fi.convolutional_orthogonal])
def test_layouts_are_transposes_of_each_other(initializer):
    """(A square delta is not: the matrix in it is that of fi.orthogonal in the layout.)"""
    w = initializer((9, 6, 3, 3), seed=3)
    assert same(
        np.ascontiguousarray(w.transpose(2, 3, 1, 0)),
        initializer((3, 3, 6, 9), layout="io", seed=3),
    )


@pytest.mark.parametrize("layout", ["oi", "io"])
@pytest.mark.parametrize("initializer", [fi.delta_orthogonal, fi.convolutional_orthogonal])
def test_a_region_has_the_bits_it_has_in_the_whole(form, initializer, layout):
    shape = (70, 67, 3, 3) if layout == "oi" else (3, 3, 67, 70)
    whole = initializer(shape, layout=layout, seed=4)
    for region in boxes(shape, 6, 1):
        part = initializer(shape, layout=layout, seed=4, region=region)
        assert same(part, np.ascontiguousarray(whole[region])), region


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("initializer", [fi.delta_orthogonal, fi.convolutional_orthogonal])
@pytest.mark.numba
def test_both_forms_and_all_threads_give_the_same_bits(monkeypatch, initializer, dtype):
    for shape in SHAPES:
        force(monkeypatch, "numpy")
        expected = initializer(shape, gain=0.7, seed=5, dtype=dtype)
        force(monkeypatch, "numba")
        for threads in (1, 3):
            assert same(
                initializer(shape, gain=0.7, seed=5, dtype=dtype, threads=threads), expected
            ), shape


@pytest.mark.numba
def test_large_projections_are_the_same_by_both_forms_and_threads(monkeypatch):
    force(monkeypatch, "numba")
    found = [
        fi.convolutional_orthogonal((300, 20, 2), seed=5, threads=threads) for threads in (1, 2)
    ]
    force(monkeypatch, "numpy")
    assert same(*found) and same(found[0], fi.convolutional_orthogonal((300, 20, 2), seed=5))


# -------------------------------------------------------------------------------------------- delta


def test_delta_is_orthogonal_at_the_centre_and_zero_elsewhere():
    for side in (1, 2, 3, 4, 5):
        w = fi.delta_orthogonal((6, 4, side, 3), gain=2.0, seed=6)
        centre = w[:, :, (side - 1) // 2, 1]
        assert same(np.ascontiguousarray(centre), fi.orthogonal((6, 4), gain=2.0, seed=6))
        assert np.count_nonzero(w) == np.count_nonzero(centre) == 24
        assert not np.signbit(w[w == 0]).any()
    for layout in ("oi", "io"):
        w = fi.delta_orthogonal((5, 5, 1) if layout == "oi" else (1, 5, 5), layout=layout, seed=6)
        assert same(w.reshape(5, 5), fi.orthogonal((5, 5), seed=6))


# ------------------------------------------------------------------------------------ convolutional


def test_it_is_the_block_convolution_of_two_tap_projections():
    """Algorithm 1 of Xiao et al. evaluated in NumPy's float64, from the same matrices and masks."""
    n, seed = 7, 8
    # W = Qᵀ: rows are columns of Q.
    matrices = fi.orthogonal((5, n, n), batch_axis=0, seed=seed, dtype="float64")
    masks = convolution._masks(4, n, seed, 0)
    kernel = {(0, 0): matrices[0][:3]}
    for number in range(4):
        columns = matrices[number + 1][masks[number]].T
        p = columns @ columns.T
        axis = number % 2
        grown = {}
        for (a, b), block in kernel.items():
            for tap, factor in enumerate((p, np.eye(n) - p)):
                at = (a + tap, b) if axis == 0 else (a, b + tap)
                grown[at] = grown.get(at, 0) + block @ factor
        kernel = grown
    w = fi.convolutional_orthogonal((3, 3, 3, n), layout="io", seed=seed, dtype="float64")
    for tap, block in kernel.items():
        assert np.allclose(w[tap], block, atol=1e-14)


def test_masks_are_the_highest_bits_of_plane_2():
    words = np.empty(6 * 50, np.uint32)
    engine.run([jobs.Job(words, 4, 6, 9, 10, 2, (), 0, (1,))])
    assert np.array_equal(convolution._masks(6, 50, 9, 10), (words < 2**31).reshape(6, 50))


def test_projections_keep_half_of_the_columns_on_average():
    masks = convolution._masks(4000, 256, 0, 0)
    assert abs(masks.mean() - 0.5) < 4 * 0.5 / np.sqrt(masks.size)
    assert abs(masks.sum(axis=1).var() / 64 - 1) < 0.1


def test_all_taps_are_in_use():
    w = fi.convolutional_orthogonal((32, 32, 3, 3), seed=1)
    assert (np.abs(w).max(axis=(0, 1)) > 0.01).all()


# ------------------------------------------------------------------------------------ bad arguments


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"shape": (5, 6)}, ValueError, "3 to 5 axes"),
        ({"shape": (5, 5, 3, 3, 3, 3)}, ValueError, "3 to 5 axes"),
        ({"shape": (5, 6, 3)}, ValueError, "at least as many outputs as inputs, not 5 and 6"),
        (
            {"shape": (3, 6, 5), "layout": "io"},
            ValueError,
            "at least as many outputs as inputs, not 5 and 6",
        ),
        ({"shape": (6, 5, 3), "layout": "OIW"}, ValueError, "'oi' (out, in, *kernel)"),
        ({"shape": (6, 5, 3), "gain": float("inf")}, ValueError, "must be finite"),
        (
            {"shape": (6, 5, 3), "gain": 1e5, "dtype": "float16"},
            ValueError,
            "not finite in float16",
        ),
        ({"shape": (6, 5, 3), "dtype": "int32"}, TypeError, "floating dtype"),
    ],
)
@pytest.mark.parametrize("initializer", [fi.delta_orthogonal, fi.convolutional_orthogonal])
def test_bad_arguments_say_what_was_given_and_what_is_allowed(initializer, arguments, error, says):
    with pytest.raises(error, match=re.escape(says)) as raised:
        initializer(**{"seed": 0, **arguments})
    assert initializer.__name__ in str(raised.value) or "gain" in str(raised.value)


def test_only_delta_orthogonal_takes_kernels_with_different_sides():
    with pytest.raises(ValueError, match="equal sides, not .3, 5."):
        fi.convolutional_orthogonal((6, 5, 3, 5), seed=0)
    assert fi.delta_orthogonal((6, 5, 3, 5), seed=0)[:, :, 1, 2].any()


def test_zero_sizes_draw_nothing():
    assert fi.delta_orthogonal((5, 0, 3), seed=0).shape == (5, 0, 3)
    assert fi.convolutional_orthogonal((5, 0, 3), seed=0).shape == (5, 0, 3)
    assert fi.convolutional_orthogonal((5, 4, 0), seed=0).shape == (5, 4, 0)
    assert fi.delta_orthogonal((5, 4, 0), seed=0).shape == (5, 4, 0)
