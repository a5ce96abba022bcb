"""What the statistics tests share: samples of the engine, exact probabilities, and the checks that
find a defect.

A check takes values (or words, or counts) and fails with a message that names the check.  The tests
run it on the library and on mutants, which must fail it.  Seeds are fixed, so a failure is never
chance; |z| < 5 is p = 6e-7.  Nothing here compares bits: test_vectors.py and test_equal_bits.py do.
"""

import math
from statistics import NormalDist

import numpy as np

from fastinit import reference
from fastinit._core import draws, engine
from fastinit._core.dtypes import BFLOAT16, FLOAT32, U32, WORDS, DType
from fastinit._core.jobs import Job

SEED, STREAM = 20260726, 7
LIMIT = 5.0


def draw(
    drawn: draws.Draw,
    dtype: DType,
    count: int,
    first: int = 0,
    seed: int = SEED,
    stream: int = STREAM,
):
    """The bits of `count` values."""
    out = np.empty(count, dtype.unsigned)
    engine.run(
        [Job(out, drawn.draw, drawn.storage, seed, stream, 0, drawn.parameters, first, (1,))]
    )
    return out


def words(
    count: int, first: int = 0, seed: int = SEED, stream: int = STREAM, plane: int = 0
) -> np.ndarray:
    out = np.empty(count, np.uint32)
    engine.run([Job(out, WORDS, U32, seed, stream, plane, (), first, (1,))])
    return out


def decode(bits: np.ndarray, dtype: DType) -> np.ndarray:
    return bits.view(dtype.numpy()).astype(np.float64)


# --------------------------------------------------- mutants of the normal: words to float32 values


def honest(w: np.ndarray) -> np.ndarray:
    return reference.normal_f32(w.reshape(-1, 4, 16), 0.0, 1.0).reshape(-1)


def changed(**masks: int):
    """Radius or angle words with bits cut away."""

    def mutant(w):
        w = w.reshape(-1, 4, 16).copy()
        w[:, 0::2] &= np.uint32(masks.get("radius", 0xFFFFFFFF))
        w[:, 1::2] &= np.uint32(masks.get("angle", 0xFFFFFFFF))
        return honest(w)

    return mutant


def cos_cos(w: np.ndarray) -> np.ndarray:
    z = honest(w).reshape(-1, 4, 16)
    z[:, 1::2] = z[:, 0::2]
    return z.reshape(-1)


def shared_radius(w: np.ndarray) -> np.ndarray:
    w = w.reshape(-1, 4, 16).copy()
    w[:, 2] = w[:, 0]
    return honest(w)


def scaled(factor: float):
    return lambda w: honest(w) * np.float32(factor)


def clipped(limit: float):
    return lambda w: np.clip(honest(w), np.float32(-limit), np.float32(limit))


def jax_like_bfloat16(w: np.ndarray) -> np.ndarray:
    """The quantile of a uniform of 7 bits: 128 values."""
    return np.array([NormalDist().inv_cdf((k + 0.5) / 128) for k in range(128)], np.float32)[
        w >> np.uint32(25)
    ]


def one_word_for_both(w: np.ndarray) -> np.ndarray:
    w = w.reshape(-1, 4, 16).copy()
    w[:, 1::2] = w[:, 0::2]
    return honest(w)


# --------------------------------------------------------------- exact probabilities and histograms


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x.tolist()])


def uniform_cdf(low: float, high: float):
    return lambda x: np.clip((x - low) / (high - low), 0.0, 1.0)


def truncated_cdf(low: float, high: float):
    ends = normal_cdf(np.array([low, high]))
    return lambda x: (normal_cdf(np.clip(x, low, high)) - ends[0]) / (ends[1] - ends[0])


def cells(dtype: DType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of the finite values in ascending order (zero once), the values, and the ends of the
    interval that rounds to each.
    """
    codes = np.arange(1 << 8 * dtype.itemsize).astype(dtype.unsigned)
    with np.errstate(invalid="ignore"):
        values = decode(codes, dtype)
    keep = np.isfinite(values) & (codes != 1 << 8 * dtype.itemsize - 1)  # -0 is counted with +0
    order = np.argsort(values[keep])
    values = values[keep][order]
    return (
        codes[keep][order],
        values,
        np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]]),
    )


class Histogram:
    """The number of values that round to each finite value of a narrow dtype; wider values are
    counted in bfloat16's cells.
    """

    def __init__(self, dtype: DType):
        self.dtype = dtype if dtype.itemsize < 4 else BFLOAT16
        self.codes, self.values, self.ends = cells(self.dtype)
        self.by_code = np.zeros(1 << 8 * self.dtype.itemsize, np.int64)

    def add(self, bits: np.ndarray) -> "Histogram":
        if bits.dtype.itemsize == 8:
            bits = bits.view(np.float64).astype(np.float32).view(np.uint32)
        if bits.dtype.itemsize == 4:
            bits = reference.store(bits.view(np.float32), self.dtype.code)
        self.by_code += np.bincount(bits, minlength=len(self.by_code))
        return self

    @property
    def counts(self) -> np.ndarray:
        sign = len(self.by_code) // 2
        counts = self.by_code[self.codes].copy()
        counts[self.codes == 0] += self.by_code[sign]
        assert counts.sum() == self.by_code.sum(), "finite: some values are not"
        return counts


def normal_histogram(dtype: DType, count: int, mutant=None) -> Histogram:
    """Of N(0, 1); of a mutant, its float32 values rounded to the dtype."""
    result, piece = Histogram(dtype), min(count, 1 << 22)
    for first in range(0, count, piece):
        if mutant is None:
            result.add(draw(draws.normal(0.0, 1.0, dtype), dtype, piece, first))
        else:
            result.add(
                reference.store(
                    mutant(words(piece, first)), (FLOAT32 if dtype.wide else dtype).code
                )
            )
    return result


# ------------------------------------------------------------------------------------------- checks


def check_tails(histogram: Histogram) -> None:
    """How many lie beyond 4, 4.5 and 5, on either side and both, in whole cells."""
    total, counts, ends = histogram.by_code.sum(), histogram.counts, histogram.ends
    for limit in (4.0, 4.5, 5.0):
        at = int(np.searchsorted(ends, limit))
        expected = total * 0.5 * math.erfc(ends[at] / math.sqrt(2.0))
        above, below = int(counts[at:].sum()), int(counts[: len(counts) - at].sum())
        for side, found, exact in (
            ("+", above, expected),
            ("-", below, expected),
            ("+-", above + below, 2 * expected),
        ):
            # Anscombe: Poisson to normal.
            deviation = 2.0 * (math.sqrt(found + 0.375) - math.sqrt(exact + 0.125))
            assert abs(deviation) < LIMIT, (
                f"tail beyond {side}{limit}: {found} instead of {exact:.1f}"
            )


def check_chi_square(histogram: Histogram, cdf) -> None:
    """All values of the dtype against exact probabilities: first in cells that are joined until 64
    values are expected in each, then in 128 equal cells.

    The fine cells show spikes and gaps, the coarse cells a small error everywhere.  A fit that is
    too good fails too.
    """
    counts, expected = histogram.counts, np.diff(cdf(histogram.ends)) * histogram.by_code.sum()
    assert not counts[expected == 0].any(), "chi-square: values where the probability is 0"
    counts, expected = counts[expected > 0], expected[expected > 0]
    for least in (64.0, expected.sum() / 128):
        group = np.unique(
            ((np.cumsum(expected) - expected) / least).astype(np.int64), return_inverse=True
        )[1]
        # It may also be too small.
        group[group == group[-1]] -= int(expected[group == group[-1]].sum() < least / 2)
        found, wanted = np.bincount(group, counts), np.bincount(group, expected)
        freedom = len(found) - 1
        chi2 = ((found - wanted) ** 2 / wanted).sum()
        # Wilson and Hilferty.
        z = ((chi2 / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom))
        assert abs(z) < LIMIT, f"chi-square {chi2:.1f} with {freedom} degrees of freedom"


def check_moments(pieces) -> None:
    """Mean, variance, skewness and kurtosis of N(0, 1); `pieces` are arrays of values."""
    sums, n = np.zeros(4), 0
    for z in pieces:
        z = z.astype(np.float64)
        square = z * z
        sums += z.sum(), square.sum(), (square * z).sum(), (square * square).sum()
        n += z.size
    for k, exact, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        z = (sums[k - 1] / n - exact) / math.sqrt(variance / n)
        assert abs(z) < LIMIT, f"moment {k} is {sums[k - 1] / n:.6f}, {z:.1f} sigmas off"


def check_mean_zero(values: np.ndarray, std: float) -> None:
    z = values.mean() / std * math.sqrt(values.size)
    assert abs(z) < LIMIT, f"mean {values.mean():.6g} is {z:.1f} sigmas off"


def check_std(values: np.ndarray, std: float, kurtosis: float) -> None:
    z = (np.square(values).mean() / std**2 - 1.0) / math.sqrt((kurtosis - 1.0) / values.size)
    assert abs(z) < LIMIT, f"std {values.std():.6g} instead of {std:.6g}, {z:.1f} sigmas off"


def check_correlation(a: np.ndarray, b: np.ndarray, what: str) -> None:
    a, b = a - a.mean(), b - b.mean()
    z = (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()) * math.sqrt(a.size)
    assert abs(z) < LIMIT, f"correlation of {what}: {z:.1f} sigmas"


def check_no_duplicates(values: np.ndarray) -> None:
    """No four consecutive 32-bit words twice."""
    fours = np.ascontiguousarray(values).view(np.uint32).reshape(-1, 4).astype(np.uint64)
    mixed = np.zeros(len(fours), np.uint64)
    for k in range(4):  # a 64-bit hash: of 4 million different ones two are equal with p = 5e-7
        mixed = (mixed ^ fours[:, k]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    mixed.sort()
    twice = int((mixed[1:] == mixed[:-1]).sum())
    assert not twice, f"duplicate: {twice} groups of four words are there twice"
