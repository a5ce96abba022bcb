"""Neighbours, pairs, blocks, tiles, names, planes and seeds that differ in one bit are independent;
and prefixes are equal.

Every check is also run on mutants, which have planted defects that it must report: words or values
are rearranged, or some bits of (seed, stream, index) are ignored.
"""

import math

import numpy as np
import pytest
import statistics_cases as cases

import fastinit as fi
from fastinit._core import draws
from fastinit._core import stream as _stream
from fastinit._core.dtypes import FLOAT32, FLOATING

COUNT = 1 << 22
LAGS = (1, 2, 4, 15, 16, 17, 31, 32, 48, 64, 128, 1024, 65536)  # slots are 16 apart, tiles 64


def normals() -> np.ndarray:
    return cases.draw(draws.normal(0.0, 1.0, FLOAT32), FLOAT32, COUNT).view(np.float32)


def check_lags(z: np.ndarray) -> None:
    for lag in LAGS:
        cases.check_correlation(z[:-lag], z[lag:], f"z at distance {lag}")
    square = z * z
    for lag in LAGS:
        cases.check_correlation(square[:-lag], square[lag:], f"z^2 at distance {lag}")


def check_radii(z: np.ndarray) -> None:
    """The squared radii of the two pairs of a lane, of neighbouring lanes, and of tiles are
    uncorrelated; radii and angles are uniform.
    """
    z = z.reshape(-1, 4, 16).astype(np.float64)
    square = np.square(z[:, 0::2]) + np.square(z[:, 1::2])
    cases.check_correlation(square[:, 0], square[:, 1], "r^2 of the two pairs of a lane")
    cases.check_correlation(square[:, :, :-1], square[:, :, 1:], "r^2 of neighbouring lanes")
    cases.check_correlation(square[:-1], square[1:], "r^2 of neighbouring tiles")
    u, turn = np.exp(-square / 2), np.arctan2(z[:, 1::2], z[:, 0::2]) / (2 * math.pi) + 0.5
    cases.check_correlation(u, np.abs(turn - 0.5), "radius and angle")
    for what, x in (("radius", u), ("angle", turn)):
        bins = np.bincount((x.reshape(-1) * 1024).astype(np.int64), minlength=1025)[:1024]
        chi2 = np.square(bins - x.size / 1024).sum() / (x.size / 1024)
        assert abs(chi2 - 1023) < cases.LIMIT * math.sqrt(2 * 1023), (
            f"{what} is not uniform: chi-square {chi2:.0f}"
        )


def test_neighbours_and_pairs_are_independent():
    z = normals()
    check_lags(z)
    check_radii(z)


def repeated(size: int):
    """One block of values again and again."""
    return lambda w: np.resize(cases.honest(w[:size]), w.size)


def correlated(w: np.ndarray) -> np.ndarray:
    """The angle kept to the first quarter of a turn where the radius is large."""
    w = w.reshape(-1, 4, 16).copy()
    far = w[:, 0::2] < np.uint32(2**32 // 20)
    w[:, 1::2] >>= np.where(far, np.uint32(2), np.uint32(0))
    return cases.honest(w)


def smeared(w: np.ndarray) -> np.ndarray:
    z = cases.honest(w)
    return z + np.float32(0.005) * np.roll(z, 1)


@pytest.mark.parametrize(
    ("check", "defect", "mutant"),
    [
        pytest.param(check_lags, "z at distance 16", cases.cos_cos, id="cosine twice"),
        pytest.param(check_lags, "z at distance", repeated(65536), id="64 Ki repeated"),
        pytest.param(check_lags, "z at distance", repeated(64), id="one tile repeated"),
        pytest.param(
            check_lags, r"z\^2 at distance 16", cases.shared_radius, id="pairs share a radius"
        ),
        pytest.param(
            check_radii, "two pairs of a lane", cases.shared_radius, id="pairs share a radius, r^2"
        ),
        pytest.param(check_radii, "radius and angle", correlated, id="angle leans on radius"),
        pytest.param(
            check_radii, "angle is not", cases.changed(angle=0xFF800000), id="angle of 9 bits"
        ),
        pytest.param(
            check_radii, "radius is not", cases.changed(radius=0xFF800000), id="radius of 9 bits"
        ),
        pytest.param(check_lags, "z at distance 1:", smeared, id="1/200 of the neighbour"),
    ],
)
def test_each_dependence_is_seen(check, defect, mutant):
    with pytest.raises(AssertionError, match=defect):
        check(mutant(cases.words(COUNT)))


# -------------------------------------------------------------------------------------------- words


def check_bits(w: np.ndarray) -> None:
    """Each bit is set in half of the words, and changes in half of the steps to the next word,
    lane, slot and tile.
    """
    for step in (0, 1, 16, 64):
        x = w if not step else w[:-step] ^ w[step:]
        for bit in range(32):
            ones = int(np.count_nonzero(x & np.uint32(1 << bit)))
            z = (ones - x.size / 2) / math.sqrt(x.size / 4)
            assert abs(z) < cases.LIMIT, f"bit {bit} at step {step}: {z:.1f} sigmas"


def test_every_bit_of_the_words_is_fair():
    w = cases.words(1 << 20)
    check_bits(w)
    for mutant in (
        w | np.uint32(w[0] | 1),
        w * np.uint32(2),
        np.arange(1 << 20, dtype=np.uint32),
        np.repeat(w[::2], 2),
    ):
        with pytest.raises(AssertionError, match="bit"):
            check_bits(mutant)


def neighbours(source) -> np.ndarray:
    """Words of one seed and stream, of all seeds and streams that differ from these in one bit, of
    other planes, and of far indices.
    """
    seed, stream, count = cases.SEED, cases.STREAM, 1 << 13
    parts = [
        source(seed, stream, 0, 1 << 20),
        source(0, 0, 0, count),
        source(seed, stream, 1, count),
        source(seed, stream, 2, count),
    ]
    for bit in range(64):
        parts += [
            source(seed ^ 1 << bit, stream, 0, count),
            source(seed, stream ^ 1 << bit, 0, count),
        ]
    parts += [source(seed, stream, 0, count, 1 << bit) for bit in range(20, 58)]
    parts.append(source(stream, seed, 0, count))
    return np.concatenate(parts)


def library(seed, stream, plane, count, first=0):
    return cases.words(count, first, seed, stream, plane)


FORGOTTEN = {
    "seed of 32 bits": lambda seed, stream, plane, count, first=0: library(
        seed % 2**32, stream, plane, count, first
    ),
    "seed of 63 bits": lambda seed, stream, plane, count, first=0: library(
        seed % 2**63, stream, plane, count, first
    ),
    "lowest bit of the seed": lambda seed, stream, plane, count, first=0: library(
        seed | 1, stream, plane, count, first
    ),
    "stream of 32 bits": lambda seed, stream, plane, count, first=0: library(
        seed, stream % 2**32, plane, count, first
    ),
    "stream": lambda seed, stream, plane, count, first=0: library(seed, 7, plane, count, first),
    "plane": lambda seed, stream, plane, count, first=0: library(seed, stream, 0, count, first),
    "block of 32 bits": lambda seed, stream, plane, count, first=0: library(
        seed, stream, plane, count, first % 2**34
    ),
    "seed + stream": lambda seed, stream, plane, count, first=0: library(
        (seed + stream) % 2**64, 0, plane, count, first
    ),
}


def test_no_four_words_occur_twice_in_neighbouring_seeds_streams_planes_and_indices():
    cases.check_no_duplicates(neighbours(library))


@pytest.mark.parametrize("forgotten", FORGOTTEN)
def test_forgotten_bits_of_seed_stream_plane_or_index_are_seen(forgotten):
    with pytest.raises(AssertionError, match="duplicate"):
        cases.check_no_duplicates(neighbours(FORGOTTEN[forgotten]))


def test_no_four_float32_normals_occur_twice():
    z = normals()
    cases.check_no_duplicates(z)
    z[-(1 << 16) :] = z[: 1 << 16]
    with pytest.raises(AssertionError, match="duplicate"):
        cases.check_no_duplicates(z)
    z[-(1 << 16) :] = 0  # an end that was never written
    with pytest.raises(AssertionError, match="duplicate"):
        cases.check_no_duplicates(z)


def check_one_bit(source) -> None:
    """One bit of seed or stream changes half of the bits of the words: 2^14 words for each of the
    128 bits.
    """
    count = 1 << 14
    original = source(cases.SEED, cases.STREAM, 0, count)
    for bit in range(64):
        for what, seed, stream in (("seed", 1 << bit, 0), ("stream", 0, 1 << bit)):
            other = source(cases.SEED ^ seed, cases.STREAM ^ stream, 0, count)
            changed = int(np.bitwise_count(original ^ other).sum())
            z = (changed - 16 * count) / math.sqrt(8 * count)
            assert abs(z) < cases.LIMIT, (
                f"bit {bit} of the {what} changes {changed / count:.2f} bits a word"
            )


def test_one_bit_of_seed_or_stream_changes_half_of_all_bits():
    check_one_bit(library)
    for name in ("seed of 32 bits", "stream of 32 bits", "lowest bit of the seed"):
        with pytest.raises(AssertionError, match="bits a word"):
            check_one_bit(FORGOTTEN[name])
    with pytest.raises(AssertionError, match="bits a word"):
        check_one_bit(
            lambda seed, stream, plane, count: library(0, 0, 0, count) ^ np.uint32(seed % 2**32)
        )


# -------------------------------------------------------------------------------------------- names

NAMES = [
    *(f"model.layers.{n}.{part}.weight" for n in range(12) for part in ("q_proj", "k_proj", "up")),
    "a",
    "b",
    "A",
    "a ",
    "",
    "a.weight",
    "a.bias",
    "weight",
    "\u00e9",
    "e\u0301",
    None,
    1,
    2,
    2**63,
]


def check_names(draw) -> None:
    """No two names and no two seeds give correlated values; tried on every pair of 50 names and of
    14 seeds.
    """
    rows = [draw(name, 0) for name in NAMES] + [
        draw("a", seed) for seed in (1, 2, 3, 10**6, *(1 << k for k in range(8, 64, 6)))
    ]
    z = np.stack(rows).astype(np.float64)
    z -= z.mean(axis=1, keepdims=True)
    z /= np.sqrt(np.square(z).sum(axis=1, keepdims=True))
    sigmas = np.abs(z @ z.T - np.eye(len(z))) * math.sqrt(z.shape[1])
    assert sigmas.max() < cases.LIMIT, (
        f"names {np.unravel_index(sigmas.argmax(), sigmas.shape)} are correlated"
    )


def named(name, seed):
    return fi.normal(1 << 15, seed=seed, name=name)


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(lambda name, seed: named("w", seed), id="one seed for all layers"),
        pytest.param(
            lambda name, seed: named("a" if name == "b" else name, seed),
            id="two names, the same words",
        ),
        pytest.param(
            lambda name, seed: named(name.strip() if isinstance(name, str) else name, seed),
            id="names stripped",
        ),
        pytest.param(lambda name, seed: named(str(name).lower(), seed), id="names in lower case"),
        pytest.param(lambda name, seed: named(name, seed % 2**32), id="seed of 32 bits"),
        pytest.param(
            lambda name, seed: named(name, seed) + np.float32(0.2) * named("w", 0),
            id="4 % in common",
        ),
        pytest.param(
            lambda name, seed: np.roll(named("w", 0), _stream.stream_id(name) % 97),
            id="names only shift",
        ),
    ],
)
def test_two_names_that_give_related_values_are_seen(mutant):
    with pytest.raises(AssertionError, match="are correlated"):
        check_names(mutant)


def test_names_and_seeds_give_unrelated_values():
    check_names(named)


# ----------------------------------------------------------------------------------------- prefixes

SHAPES = [(1000,), (1001,), (10, 100), (25, 40, 3), (1, 4096), (64, 64, 2)]


def check_prefixes(draw) -> None:
    """The shorter of two tensors of one seed and name is the beginning of the longer, in C
    order.
    """
    flat = sorted((draw(shape).reshape(-1).view(np.uint8) for shape in SHAPES), key=len)
    for one in flat:
        assert (one == flat[-1][: len(one)]).all(), f"prefix of {len(one)} bytes"


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize("dtype", [dtype.name for dtype in FLOATING])
def test_the_shape_never_changes_the_value_at_an_index(name, dtype):
    check_prefixes(lambda shape: getattr(fi, name)(shape, seed=9, name="w", dtype=dtype))
    with pytest.raises(AssertionError, match="prefix"):
        check_prefixes(
            lambda shape: getattr(fi, name)(shape, seed=math.prod(shape), name="w", dtype=dtype)
        )
    with pytest.raises(AssertionError, match="prefix"):
        check_prefixes(
            lambda shape: np.ascontiguousarray(
                getattr(fi, name)(shape[::-1], seed=9, dtype=dtype).T
            )
        )
