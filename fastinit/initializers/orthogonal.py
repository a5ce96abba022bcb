"""orthogonal, delta_orthogonal, convolutional_orthogonal: the public functions and their rules.

A rule checks the arguments and finds the matrices' rows and columns; the matrices are formed in
../_orthogonal.  The promise: section 8 of stream-v1.md.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout, real, shown, whole
from .._core.dtypes import DType, is_finite, rounded
from .._core.fill import apply, clear
from .._core.shapes import split_part
from .._orthogonal.convolution import write_kernel
from .._orthogonal.matrix import write_matrices
from ..fans import normalized
from ..typing import Axes, Dtype, Layout, Name, Out, Real, Region, Seed, Shape, Sizes, Write


def checked_gain(gain: Any, dtype: DType, what: str) -> float:
    """The gain, rounded to the working type; its products with a matrix' entries must be finite."""
    draws.floating(dtype, what)
    gain = real(gain, "gain")
    # Rounding errors may make an entry a little larger than 1.
    if not is_finite(abs(gain) * (1.0 + 2.0**-16), dtype):
        raise ValueError(
            f"gain {gain!r} is not finite in {dtype.name}, whose largest number is "
            f"{dtype.largest!r}; give a smaller gain or a wider dtype"
        )
    return rounded(gain, dtype.working)


def orthogonal_rule(
    shape: Sizes,
    dtype: DType,
    *,
    gain: Any = 1.0,
    layout: str = "oi",
    batch_axis: Any = (),
    groups: Any = 1,
) -> Write:
    channel_layout(layout, "orthogonal")
    gain = checked_gain(gain, dtype, "orthogonal")
    groups = whole(groups, "groups")
    batch = normalized(batch_axis, shape, "batch_axis")
    if len(set(batch)) < len(batch):
        raise ValueError(f"batch_axis {batch_axis!r} names an axis of shape {shape} twice")
    free = [axis for axis in range(len(shape)) if axis not in batch]
    if len(free) < 2:
        beside = f" beside batch_axis {batch_axis!r}" if batch else ""
        raise ValueError(
            f"orthogonal needs a shape of at least two axes{beside}, not {shape}; give a vector "
            "an axis of size 1, or use an initializer that needs no rows and columns (zeros, "
            "normal, uniform)"
        )
    split = free[0] if layout == "oi" else free[-1]
    if shape[split] % groups:
        raise ValueError(
            f"groups={shown(groups)} does not divide the {shape[split]} outputs of shape {shape}, "
            f"layout {layout!r}"
        )
    # The groups become one more batch axis, in front of the out axis: split it off in the shape,
    # and move the axes after it by one.
    each = shape[split] // groups
    whole_shape = (*shape[:split], groups, each, *shape[split + 1 :])
    batch = tuple(sorted([split, *[axis + (axis >= split) for axis in batch]]))
    free = [axis + (axis >= split) for axis in free]
    rows, columns = (free[:1], free[1:]) if layout == "oi" else (free[:-1], free[-1:])

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        for view, region in split_part(target.view, target.region, split, each):
            write_matrices(
                view,
                whole_shape,
                region,
                batch,
                tuple(rows),
                tuple(columns),
                gain,
                dtype,
                seed,
                stream,
                threads,
            )

    return write


def _channels(shape: Sizes, layout: str, what: str) -> tuple[int, int, Sizes]:
    """The outputs, the inputs and the kernel's sides of a convolution's weight."""
    channel_layout(layout, what)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"{what} needs the 3 to 5 axes of a convolution's weight, not shape {shape}; "
            "for a matrix use orthogonal"
        )
    outputs, inputs = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    if inputs > outputs:
        raise ValueError(
            f"{what} needs at least as many outputs as inputs, not {outputs} and {inputs} (shape "
            f"{shape}, layout {layout!r}): there is no isometry into a smaller space; orthogonal "
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
            f"layout {layout!r}); delta_orthogonal takes any kernel"
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
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    layout: Layout = "oi",
    batch_axis: Axes = (),
    groups: SupportsIndex = 1,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W = gain·Q or gain·Qᵀ, Q with orthonormal columns, uniform (Haar).

    Q is the factor of a Gaussian matrix's QR decomposition, with its signs fixed.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        The factor of all singular values.
    layout : {"oi", "io"}, default "oi"
        The matrix: ``shape[0]`` by the rest as in torch, or the rest by ``shape[-1]`` as in Keras
        and JAX.
    batch_axis : int or sequence of int, default ()
        Axes of independent matrices, such as heads or experts, formed in parallel.
    groups : int, default 1
        Equal blocks stacked along the out axis, each a separate orthogonal matrix: 4 for the
        gates of an LSTM, 3 for fused q, k and v.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        Fewer than two axes beside `batch_axis`; groups that do not divide the out axis; a gain that
        the dtype cannot hold.
    ImportError
        numba is not installed, and NumPy would need minutes for the matrix.

    See Also
    --------
    delta_orthogonal, convolutional_orthogonal : Isometries of convolutions.
    torch.nn.init.orthogonal_ : Equal in law.
    keras.initializers.Orthogonal : Equal in law with layout="io".
    jax.nn.initializers.orthogonal : Equal in law with layout="io".

    Notes
    -----
    Proposed in [1]_; computed by the method of [2]_ with the signs of [3]_; the bits are defined in
    stream-v1.md, section 8. Rows of a wide or square matrix, and columns of a tall one, cost about
    their share of the whole, later ones more than earlier ones; any other region costs as much as
    all the rows (columns) that it touches. `groups` splits the out axis into
    ``(groups, out/groups)`` and makes the first of the two a batch axis, so that

        orthogonal((g * n, m), groups=g)
        orthogonal((g, n, m), batch_axis=0).reshape(g * n, m)

    are equal bit for bit.

    References
    ----------
    .. [1] Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
           deep linear neural networks, ICLR 2014.
    .. [2] Stewart, The efficient generation of random orthogonal matrices, SIAM J. Numer. Anal. 17,
           1980.
    .. [3] Mezzadri, How to generate random matrices from the classical compact groups, Notices of
           the AMS 54, 2007.

    Examples
    --------
    >>> w = fi.orthogonal((4, 8), gain=2.0, seed=0)
    >>> np.allclose(w @ w.T, 4 * np.eye(4), atol=1e-6)
    True
    """
    parameters = {"gain": gain, "layout": layout, "batch_axis": batch_axis, "groups": groups}
    return apply(orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads)


def delta_orthogonal(
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """0 except at the kernel's centre, index (k−1)//2, which holds gain·orthogonal((out, in)).

    The convolution (same or circular padding) multiplies the norm of every signal by gain.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        The factor of all singular values.
    layout : {"oi", "io"}, default "oi"
        ``(out, in, *kernel)`` or ``(*kernel, in, out)``; one to three kernel axes, out >= in.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        Fewer than 3 or more than 5 axes; more inputs than outputs; a gain that the dtype cannot
        hold.

    See Also
    --------
    orthogonal : The matrix at the centre.
    convolutional_orthogonal : An isometry that uses all taps.
    jax.nn.initializers.delta_orthogonal : Equal in law with layout="io".

    Notes
    -----
    Method in [1]_; the bits are defined in stream-v1.md, section 8.

    References
    ----------
    .. [1] Xiao et al., Dynamical isometry and a mean field theory of CNNs, ICML 2018.

    Examples
    --------
    >>> w = fi.delta_orthogonal((4, 2, 3), seed=0)
    >>> bool(w[:, :, 0].any()), np.allclose(w[:, :, 1].T @ w[:, :, 1], np.eye(2), atol=1e-6)
    (False, True)
    """
    parameters = {"gain": gain, "layout": layout}
    return apply(delta_orthogonal_rule, parameters, shape, dtype, out, region, seed, name, threads)


def convolutional_orthogonal(
    shape: Shape | None = None,
    *,
    gain: Real = 1.0,
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """K = gain·H ⊛ [P₁, I−P₁] ⊛ [P₂, I−P₂] ⊛ …: an isometry that uses all taps.

    H is orthogonal((in, out)) and each P is a random orthogonal projection. There are k−1
    convolutions along each kernel axis in turn. Circular convolution with K multiplies norms by
    gain.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    gain : float, default 1.0
        The factor of all singular values.
    layout : {"oi", "io"}, default "oi"
        ``(out, in, *kernel)`` or ``(*kernel, in, out)``; one to three kernel axes of equal size k,
        out >= in.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        Fewer than 3 or more than 5 axes; kernel axes of different sizes; more inputs than outputs;
        a gain that the dtype cannot hold.

    See Also
    --------
    delta_orthogonal : A simpler isometry, which uses only the centre tap.

    Notes
    -----
    Algorithm 1 of [1]_, as in TensorFlow 1's convolutional_orthogonal_1d, _2d and _3d; the bits are
    defined in stream-v1.md, section 8. A region of some in channels costs about its share of the
    whole; every region needs all the projections.

    References
    ----------
    .. [1] Xiao et al., Dynamical isometry and a mean field theory of CNNs, ICML 2018.

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
