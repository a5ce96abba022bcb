"""orthogonal, delta_orthogonal, convolutional_orthogonal: the public functions; their rules stand
beside.

Rules and regions: matrix.py, convolution.py.  Which form computes: forms.py; NumPy's:
numpy_form.py; Numba's: compiled.py (memory and threads) and ../_jit (products).  The promise:
section 8 of stream-v1.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _fill
from .._engine import guarded
from .convolution import convolutional_orthogonal_rule, delta_orthogonal_rule
from .matrix import orthogonal_rule

__all__ = [
    "convolutional_orthogonal",
    "convolutional_orthogonal_rule",
    "delta_orthogonal",
    "delta_orthogonal_rule",
    "orthogonal",
    "orthogonal_rule",
]

Array = np.ndarray[Any, Any]


@guarded
def orthogonal(
    shape: Any = None,
    *,
    gain: float = 1.0,
    layout: str = "oi",
    batch_axis: Any = (),
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """W = gain · Q or gain · Qᵀ, Q with orthonormal columns, uniform (Haar): the Q of a Gaussian's
    QR, its signs fixed.

    Parameters
    ----------
    gain : the factor of all singular values.
    layout : W is shape[0] by the rest ("oi", as torch) or the rest by shape[-1] ("io", as Keras and
        JAX).
    batch_axis : axes of independent matrices (heads, experts), formed in parallel.
    region : rows of a wide or square W, or columns of a tall one, cost about their share, later
        ones more than earlier; any other part costs as much as all the rows (columns) that it
        touches.

    Raises
    ------
    ValueError
        Fewer than two axes beside batch_axis; a gain that the dtype cannot hold.
    ImportError
        Without numba, a matrix that NumPy would need minutes for.

    Source: Saxe et al. 2014; Stewart 1980; Mezzadri 2007. Same as: torch orthogonal_, Keras and JAX
    orthogonal ("io").

    Examples
    --------
    >>> w = fi.orthogonal((4, 8), gain=2.0, seed=0)
    >>> np.allclose(w @ w.T, 4 * np.eye(4), atol=1e-6)
    True
    """
    parameters = {"gain": gain, "layout": layout, "batch_axis": batch_axis}
    return _fill.apply(orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads)


@guarded
def delta_orthogonal(
    shape: Any = None,
    *,
    gain: float = 1.0,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """A convolution's kernel of zeros but for its centre, index (k−1)//2, which is orthogonal((out,
    in), gain).

    The convolution (same or circular padding) multiplies every signal's norm by gain.

    Parameters
    ----------
    gain : the factor of all singular values.
    layout : "oi", (out, in, *kernel), or "io", (*kernel, in, out); one to three kernel axes, out >=
        in.

    Raises
    ------
    ValueError
        Fewer than 3 or more than 5 axes; more inputs than outputs; a gain that the dtype cannot
        hold.

    Source: Xiao et al. 2018. Same as: JAX delta_orthogonal and TF1 convolutional_delta_orthogonal
    with layout="io".

    Examples
    --------
    >>> w = fi.delta_orthogonal((4, 2, 3), seed=0)
    >>> bool(w[:, :, 0].any()), np.allclose(w[:, :, 1].T @ w[:, :, 1], np.eye(2), atol=1e-6)
    (False, True)
    """
    parameters = {"gain": gain, "layout": layout}
    return _fill.apply(
        delta_orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads
    )


@guarded
def convolutional_orthogonal(
    shape: Any = None,
    *,
    gain: float = 1.0,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """K = gain · H ⊛ [P₁, I−P₁] ⊛ [P₂, I−P₂] ⊛ …, along each kernel axis in turn, k−1 times: an
    isometry of all taps.

    H is orthogonal((in, out)), the P are random orthogonal projections. Circular convolution
    multiplies norms by gain.

    Parameters
    ----------
    gain : the factor of all singular values.
    layout : "oi", (out, in, *kernel), or "io", (*kernel, in, out); one to three kernel axes, all k
        long; out >= in.
    region : in channels cost about their share; any part needs all the projections.

    Raises
    ------
    ValueError
        Not 3 to 5 axes; sides that differ; more inputs than outputs; a gain that the dtype cannot
        hold.

    Source: Xiao et al. 2018, algorithm 1. Same as: TF1 convolutional_orthogonal_1d, _2d and _3d
    with layout="io".

    Examples
    --------
    >>> w = fi.convolutional_orthogonal((4, 2, 3), seed=0)
    >>> spectrum = np.fft.fft(w, 8)[:, :, 3]
    >>> np.allclose(spectrum.conj().T @ spectrum, np.eye(2), atol=1e-5)
    True
    """
    parameters = {"gain": gain, "layout": layout}
    return _fill.apply(
        convolutional_orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads
    )
