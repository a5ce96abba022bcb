"""mimetic: the pair of matrices that starts attention near the identity.

It needs an SVD and so is outside the stream contract; it has no rule and is not in _table.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core import dtypes
from .._core.arguments import real, whole
from .._core.engine import guarded
from ..initializers.basic import normal
from ..typing import Array


@guarded
def mimetic(
    dim: int,
    *,
    rank: int | None = None,
    alpha: float = 0.7,
    beta: float = 0.7,
    seed: Any = None,
    name: Any = None,
    dtype: Any = "float32",
    threads: int | None = None,
) -> tuple[Array, Array]:
    """(U·√S, √S·Vᵀ) of alpha·Z + beta·I = U·S·Vᵀ, Z ~ N(0, 1/dim): shapes (dim, rank) and (rank,
    dim).

    For weights used as x @ W: query = first, key = second.T with the defaults; value = first,
    projection = second with alpha=0.4, beta=-0.4. Transpose them for (out, in) weights. rank < dim
    (a head's width) keeps the largest S.

    Outside the stream contract: Z is the same everywhere, but the SVD is LAPACK's and its last bits
    are not.

    Parameters
    ----------
    alpha, beta : of the noise and of the identity; the paper's values, to be tuned.

    Source: Trockman and Kolter, Mimetic initialization of self-attention layers, ICML 2023.

    Examples
    --------
    >>> query, key = fi.mimetic(4, alpha=0.0, beta=0.25, seed=0)
    >>> abs(query @ key).round(6).diagonal()
    array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    dim = whole(dim, "dim")
    rank = dim if rank is None else whole(rank, "rank")
    if rank > dim:
        raise ValueError(f"rank is {rank}, above dim {dim}; give at most {dim}")
    kind = dtypes.resolve(dtype)
    if not kind.is_float:
        raise TypeError(f"mimetic needs a floating dtype, not {kind.name}")
    alpha, beta = real(alpha, "alpha"), real(beta, "beta")
    noise = normal(
        (dim, dim), std=1.0 / math.sqrt(dim), seed=seed, name=name, dtype="float64", threads=threads
    )
    left, singular, right = np.linalg.svd(alpha * noise + beta * np.eye(dim))
    root = np.sqrt(singular[:rank])
    return (left[:, :rank] * root).astype(kind.numpy()), (root[:, None] * right[:rank]).astype(
        kind.numpy()
    )
