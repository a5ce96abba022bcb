"""mimetic: two matrices with which attention starts near the identity.

It needs an SVD and is therefore outside the stream contract: it has no rule and is not in
_table.py.
"""

from __future__ import annotations

import math
from typing import SupportsIndex

import numpy as np

from .._core import dtypes
from .._core.arguments import real, whole
from .._core.engine import guarded
from ..initializers.basic import normal
from ..typing import Array, Dtype, Name, Real, Seed


@guarded
def mimetic(
    dim: SupportsIndex,
    *,
    rank: SupportsIndex | None = None,
    alpha: Real = 0.7,
    beta: Real = 0.7,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype = "float32",
    threads: int | None = None,
) -> tuple[Array, Array]:
    """(U·√S, √S·Vᵀ) of alpha·Z + beta·I = U·S·Vᵀ, Z ~ N(0, 1/dim): attention near the identity.

    For weights used as x @ W: with the defaults, query = first and key = second.T; with alpha=0.4
    and beta=-0.4, value = first and projection = second. Transpose them for ``(out, in)`` weights.

    Parameters
    ----------
    dim : int
        Width of the model.
    rank : int, optional
        Width of a head, `dim` if not given; the largest singular values are kept.
    alpha, beta : float, default 0.7
        Factors of the noise and of the identity. The defaults are the paper's; tune them.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    tuple of two arrays
        Of shapes (dim, rank) and (rank, dim).

    Raises
    ------
    ValueError
        `rank` above `dim`; a size below 1.
    TypeError
        A dtype that is not floating.

    See Also
    --------
    eye : The identity.
    normal : The noise.

    Notes
    -----
    Method of [1]_. Outside the stream contract: Z is the same everywhere, but the last bits of the
    SVD (LAPACK) depend on the machine.

    References
    ----------
    .. [1] Trockman and Kolter, Mimetic initialization of self-attention layers, ICML 2023.

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
