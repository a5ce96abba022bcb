"""orthogonal, delta_orthogonal, convolutional_orthogonal: the public functions and their rules.

A rule checks the arguments and finds the matrices' rows and columns; the matrices are formed in
../_orthogonal.  The promise: section 8 of stream-v1.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout, real
from .._core.dtypes import DType, is_finite, rounded
from .._core.fill import apply, clear
from .._orthogonal.convolution import write_kernel
from .._orthogonal.matrix import write_matrices
from ..fans import normalized
from ..typing import Array, Sizes, Write


def checked_gain(gain: Any, dtype: DType, what: str) -> float:
    """A finite gain, in the working type, whose products with entries of an orthogonal matrix stay
    finite.
    """
    draws.floating(dtype, what)
    gain = real(gain, "gain")
    if not is_finite(
        abs(gain) * (1.0 + 2.0**-16), dtype
    ):  # an entry may exceed 1 by its rounding errors
        raise ValueError(
            f"gain {gain!r} is not finite in {dtype.name}, whose largest number is "
            f"{dtype.largest!r}; give a smaller gain or a wider dtype"
        )
    return rounded(gain, dtype.working)


def orthogonal_rule(
    shape: Sizes, dtype: DType, *, gain: Any = 1.0, layout: str = "oi", batch_axis: Any = ()
) -> Write:
    channel_layout(layout, "orthogonal")
    gain = checked_gain(gain, dtype, "orthogonal")
    batch = normalized(batch_axis, shape, "batch_axis")
    if len(set(batch)) < len(batch):
        raise ValueError(f"batch_axis {batch_axis!r} names an axis of shape {shape} twice")
    batch = tuple(sorted(batch))
    free = tuple([axis for axis in range(len(shape)) if axis not in batch])
    if len(free) < 2:
        beside = f" beside batch_axis {batch_axis!r}" if batch else ""
        raise ValueError(
            f"orthogonal needs a shape of at least two axes{beside}, not {shape}; give a vector "
            "an axis of size 1, or take an initializer without rows and columns (zeros, normal, "
            "uniform)"
        )
    rows, columns = (free[:1], free[1:]) if layout == "oi" else (free[:-1], free[-1:])

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        write_matrices(
            target.view,
            shape,
            target.region,
            batch,
            rows,
            columns,
            gain,
            dtype,
            seed,
            stream,
            threads,
        )

    return write


def _channels(shape: Sizes, layout: str, what: str) -> tuple[int, int, Sizes]:
    """(outputs, inputs, kernel's sides) of a convolution's weight."""
    channel_layout(layout, what)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{what} needs the 3 to 5 axes of a convolution's weight, not shape {shape}; "
            "orthogonal does matrices"
        )
    outputs, inputs = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    if inputs > outputs:
        raise ValueError(
            f"{what} needs at least as many outputs as inputs, not {outputs} and {inputs} (shape "
            f"{shape}, layout {layout!r}): no isometry leads into a smaller space; orthogonal "
            "takes any shape"
        )
    return outputs, inputs, shape[2:] if layout == "oi" else shape[:-2]


def delta_orthogonal_rule(
    shape: Sizes, dtype: DType, *, gain: Any = 1.0, layout: str = "oi"
) -> Write:
    _, _, kernel = _channels(shape, layout, "delta_orthogonal")
    gain = checked_gain(gain, dtype, "delta_orthogonal")
    rank = len(shape)
    rows, columns = ((0,), (1,)) if layout == "oi" else ((rank - 2,), (rank - 1,))
    middle = tuple(range(2, rank)) if layout == "oi" else tuple(range(rank - 2))

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        view = target.view
        clear(target, threads)
        centre: list[Any] = [slice(None)] * rank
        for axis, side in zip(middle, kernel, strict=True):
            place = (side - 1) // 2
            if not target.region[axis].start <= place < target.region[axis].stop:
                return
            centre[axis] = slice(
                place - target.region[axis].start, place - target.region[axis].start + 1
            )
        flat = tuple([1 if axis in middle else size for axis, size in enumerate(shape)])
        region = [
            slice(0, 1) if axis in middle else part for axis, part in enumerate(target.region)
        ]
        write_matrices(
            view[tuple(centre)],
            flat,
            region,
            middle,
            rows,
            columns,
            gain,
            dtype,
            seed,
            stream,
            threads,
        )

    return write


def convolutional_orthogonal_rule(
    shape: Sizes, dtype: DType, *, gain: Any = 1.0, layout: str = "oi"
) -> Write:
    outputs, inputs, kernel = _channels(shape, layout, "convolutional_orthogonal")
    gain = checked_gain(gain, dtype, "convolutional_orthogonal")
    if len(set(kernel)) > 1:
        raise ValueError(
            f"convolutional_orthogonal needs a kernel of equal sides, not {kernel} (shape {shape}, "
            f"layout {layout!r}); delta_orthogonal takes any"
        )

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        if not target.view.size:
            return
        if layout == "oi":  # to (*kernel, in, out)
            view, parts = (
                np.moveaxis(target.view, (0, 1), (-1, -2)),
                (*target.region[2:], *target.region[1::-1]),
            )
        else:
            view, parts = target.view, target.region
        what = f"convolutional_orthogonal of shape {shape}"
        write_kernel(view, parts, outputs, inputs, kernel, gain, dtype, seed, stream, threads, what)

    return write


# --------------------------------------------------------------------------------- public functions


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
    return apply(orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads)


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
    return apply(delta_orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads)


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
    return apply(
        convolutional_orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads
    )
