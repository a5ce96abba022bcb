"""lora_orthogonal: the two factors of a LoRA adapter; neither is zero, but their product is.

It needs a QR decomposition and is therefore outside the stream contract: it has no rule and is not
in _table.py.
"""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np

from .._core import dtypes
from .._core.arguments import whole
from .._core.engine import guarded
from ..initializers.basic import normal
from ..typing import Array, Dtype, Name, Seed


@guarded
def lora_orthogonal(
    inputs: SupportsIndex,
    outputs: SupportsIndex,
    *,
    rank: SupportsIndex,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype = "float32",
    threads: int | None = None,
) -> tuple[Array, Array]:
    """A = (G·Q₀)ᵀ / 10 and B = (H·Q₁) / 10, Q₀ and Q₁ halves of an orthogonal matrix: B·A = 0.

    The adapter adds B·A to a weight of shape (outputs, inputs). At first that changes nothing, yet
    both factors have gradients from the first step on. The usual start is `fan_in_uniform` for A
    and zeros for B.

    Parameters
    ----------
    inputs, outputs : int
        Sizes of the layer that is adapted.
    rank : int
        Rank of the adapter; it must be even.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The adapter's name: under one seed, different names give unrelated values.
    dtype : str or dtype, default "float32"
        A floating dtype.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    tuple of two arrays
        A of shape (rank, inputs) and B of shape (outputs, rank).

    Raises
    ------
    ValueError
        A rank that is odd; a size below 1.
    TypeError
        A dtype that is not floating.

    See Also
    --------
    fan_in_uniform : The usual start of A.
    zeros : The usual start of B.

    Notes
    -----
    Method of [1]_, as in the package peft (``init_lora_weights="orthogonal"``). Q is the factor of
    a Gaussian matrix's QR decomposition, Q₀ its even rows and Q₁ its odd rows; G and H are standard
    normal. Outside the stream contract: the normals are the same everywhere, but the last bits of
    the decomposition (LAPACK) and of the products (BLAS) depend on the machine.

    References
    ----------
    .. [1] Datta, Rethinking LoRA initialisation, 2024.

    Examples
    --------
    >>> a, b = fi.lora_orthogonal(6, 5, rank=4, seed=0)
    >>> bool(np.abs(b @ a).max() < 1e-6), bool(a.any()), bool(b.any())
    (True, True, True)
    """
    width, height = whole(inputs, "inputs"), whole(outputs, "outputs")
    size = whole(rank, "rank")
    if size % 2:
        raise ValueError(f"rank is {size}; it must be even, as each factor takes half of the rows")
    kind = dtypes.resolve(dtype)
    if not kind.is_float:
        raise TypeError(f"lora_orthogonal needs a floating dtype, not {kind.name}")
    half = size // 2
    drawn = normal(
        size * size + (width + height) * half,
        seed=seed,
        name=name,
        dtype="float64",
        threads=threads,
    )
    square, rest = drawn[: size * size].reshape(size, size), drawn[size * size :]
    q, _ = np.linalg.qr(square)
    a = (rest[: width * half].reshape(width, half) @ q[0::2]).T / 10.0
    b = rest[width * half :].reshape(height, half) @ q[1::2] / 10.0
    return a.astype(kind.numpy()), b.astype(kind.numpy())
