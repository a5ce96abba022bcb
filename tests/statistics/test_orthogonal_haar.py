"""orthogonal is uniform (Haar): trace, determinant and entries follow their exact laws, and without
the sign fix all of these tests fail.

The mutant is Q of a QR decomposition whose R may have any signs on its diagonal, as in LAPACK: each
column of Q lacks its factor d.
"""

import math

import numpy as np
import pytest
from orthogonal_cases import force
from scipy import stats

import fastinit as fi
from fastinit._orthogonal import forms

LEVEL = 1e-4  # of each family of tests as a whole; seeds are fixed

pytestmark = pytest.mark.numba  # the ensembles would take minutes without it


def too_far(values, mean, variance):
    """Whether the mean of many values lies beyond what chance allows."""
    z = (values.mean() - mean) / math.sqrt(variance / len(values))
    return 2 * stats.norm.sf(abs(z)) < LEVEL


def without_the_sign_fix(w, seed):
    """W = Qᵀ with row c, column c of Q, divided by d_c = -sign(g_c[c])."""
    count, n, _ = w.shape
    g = np.empty((count, n), np.float32)
    forms.draws(False, seed, 0)([(g, 0, (n * n, n + 1))])
    return w * np.where(g >= 0, -1.0, 1.0)[:, :, None]


@pytest.fixture(scope="module")
def ensembles():
    """(the matrices, the mutant) by size."""
    found = {}
    for n, count in ((2, 400_000), (3, 200_000), (6, 60_000)):
        with pytest.MonkeyPatch.context() as patch:
            force(patch, "numba")
            w = fi.orthogonal((count, n, n), batch_axis=0, seed=n).astype(np.float64)
        found[n] = w, without_the_sign_fix(w, n)
    return found


def wrong_traces(w):
    """Moments of the trace, also after a fixed rotation: those of a standard normal (Diaconis and
    Evans).
    """
    n = w.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    for turned in (w, rotation @ w, w @ rotation):
        trace = np.trace(turned, axis1=1, axis2=2)
        yield too_far(trace, 0.0, 1.0)
        if n >= 4:
            yield too_far(trace**2, 1.0, 2.0)
            yield too_far(trace**3, 0.0, 15.0)


def wrong_signs(w):
    """Determinants +1 and -1 are equally likely, and independent of an entry's sign."""
    plus = np.linalg.det(w) > 0
    for chosen in (slice(None), w[:, 0, 0] > 0, w[:, -1, -1] > 0):
        share = plus[chosen]
        yield share.size == 0 or stats.binomtest(int(share.sum()), len(share)).pvalue < LEVEL / 3


def wrong_entries(w):
    """x = w_ij is symmetric and x² is Beta(1/2, (n-1)/2), at every place."""
    n = w.shape[1]
    law = stats.beta(0.5, (n - 1) / 2)
    level = LEVEL / (2 * n * n)
    for i in range(n):
        for j in range(n):
            x = w[:, i, j]
            yield stats.binomtest(int((x > 0).sum()), len(x)).pvalue < level
            yield stats.kstest(np.minimum(x * x, 1.0), law.cdf).pvalue < level


CHECKS = {"trace": wrong_traces, "determinant": wrong_signs, "entries": wrong_entries}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("n", [2, 3, 6])
def test_the_laws_of_haar_measure_hold_and_fail_without_the_sign_fix(ensembles, n, check):
    right, mutant = ensembles[n]
    assert right.size >= 10**6
    assert not any(CHECKS[check](right))
    assert any(CHECKS[check](mutant))


def test_one_by_one_is_plus_or_minus_one():
    w = fi.orthogonal((10_000, 1, 1), batch_axis=0, seed=7).ravel()
    assert (np.abs(np.abs(w) - 1) < 4e-7).all()
    assert stats.binomtest(int((w > 0).sum()), len(w)).pvalue > LEVEL


def test_the_rows_of_a_wide_matrix_are_uniform_on_the_sphere():
    """A 200 by 1000 matrix: the law of every entry is nearly normal, and no two columns are
    related.
    """
    w = fi.orthogonal((200, 5000), seed=3).astype(np.float64)
    law = stats.beta(0.5, (5000 - 1) / 2)
    assert w.size >= 10**6
    assert stats.kstest((w[::7, ::11] ** 2).ravel(), law.cdf).pvalue > LEVEL
    gram = (w.T @ w[:, :50]) * 5000 / 200  # E of the squared off-diagonals is about 1/200
    off = gram[np.arange(5000)[:, None] != np.arange(50)[None, :]]
    assert abs((off**2).mean() * 200 - (1 - 200 / 5000)) < 0.05
