"""Weights without randomness: ZerO (zero_hadamard), IDInit (idinit) and bilinear up-sampling.

Their rules return a Write that computes any region of the global tensor alone, from the indices of
its elements. Nothing here depends on the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _draws, _fill
from .._draws import real
from .._dtypes import DType
from .._engine import guarded

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Write = Callable[..., None]
_AT_ONCE = 1 << 20  # elements whose indices are held in memory together


def _layout(layout: Any) -> None:
    if layout not in ("oi", "io"):
        raise ValueError(
            f"layout is {layout!r:.80}; give 'oi' (out, in, *kernel) or 'io' (*kernel, in, out)"
        )


def _channels_first(target: Any, layout: str) -> tuple[Array, list[slice]]:
    """The region's view and its slices, in the order out, in, *kernel."""
    if layout == "oi":
        return target.view, list(target.region)
    *kernel, inputs, outputs = target.region
    return np.moveaxis(target.view, (-1, -2), (0, 1)), [outputs, inputs, *kernel]


def _blocks(view: Array, first: int) -> Any:
    """(part of the view, global indices of its first axis) a bounded number of elements at a
    time.
    """
    rows = max(1, _AT_ONCE // max(1, math.prod(view.shape[1:])))
    for start in range(0, len(view), rows):
        part = view[start : start + rows]
        yield part, np.arange(first + start, first + start + len(part))


# --------------------------------------------------------------------------------------------- ZerO


def zero_hadamard_rule(shape: Shape, dtype: DType, *, layout: str = "oi") -> Write:
    _layout(layout)
    if len(shape) < 2:
        raise ValueError(
            f"zero_hadamard needs a shape of two axes or more, not {shape}; ZerO's biases are zeros"
        )
    outputs, inputs = shape[:2] if layout == "oi" else (shape[-1], shape[-2])
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    one = _draws.constant(1.0, dtype).parameters[0]
    power = max(0, outputs - 1).bit_length()  # ceil(log2(outputs))
    scale = 1.0 / math.sqrt(1 << power)  # bits:
    plus, minus = (
        dtype.unsigned.type(_draws.constant(value, dtype).parameters[0])
        for value in (scale, -scale)
    )

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        target.view[...] = 0
        view, (out, into, *middle) = _channels_first(target, layout)
        if not all(
            part.start <= size // 2 < part.stop for part, size in zip(middle, kernel, strict=True)
        ):
            return  # the centre lies outside this region
        view = view[
            (
                slice(None),
                slice(None),
                *(size // 2 - part.start for part, size in zip(middle, kernel, strict=True)),
            )
        ]
        columns = np.arange(into.start, into.stop)
        if outputs <= inputs:
            diagonal = np.arange(max(out.start, into.start), min(out.stop, into.stop))
            view[diagonal - out.start, diagonal - into.start] = one
            return
        for part, rows in _blocks(
            view, out.start
        ):  # H[i, j] = (-1)^(number of bits that i and j share)
            part[...] = np.where(np.bitwise_count(rows[:, None] & columns) & 1, minus, plus)

    return write


@guarded
def zero_hadamard(
    shape: Any = None,
    *,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """ZerO: the identity if out ≤ in; else 2^(−m/2) × a corner of the Hadamard matrix of 2^m, m =
    ⌈log₂ out⌉.

    A convolution holds that at the centre k//2 of its kernel and 0 elsewhere. Biases and the last
    layer of every residual branch are zeros (fi.zeros).

    Parameters
    ----------
    layout : "oi", (out, in, *kernel), or "io", (*kernel, in, out).

    Source: Zhao, Schäfer and Anandkumar, ZerO initialization: initializing neural networks with
    only zeros and ones, TMLR 2022, algorithms 1 and 2; 2^(−m/2) as in the authors' code (the paper
    prints 2^(−(m−1)/2)).

    Examples
    --------
    >>> fi.zero_hadamard((4, 2))
    array([[ 0.5,  0.5],
           [ 0.5, -0.5],
           [ 0.5,  0.5],
           [ 0.5, -0.5]], dtype=float32)
    """
    return _fill.apply(
        zero_hadamard_rule, {"layout": layout}, shape, dtype, out, region, seed, name, threads
    )


# ------------------------------------------------------------------------------------------- IDInit


def idinit_rule(shape: Shape, dtype: DType, *, tau: float = 1.0, layout: str = "oi") -> Write:
    _layout(layout)
    if len(shape) < 2:
        raise ValueError(
            f"idinit needs a shape of two axes or more, not {shape}; its biases are zeros"
        )
    bits = dtype.unsigned.type(_draws.constant(real(tau, "tau"), dtype).parameters[0])
    zero = dtype.unsigned.type(0)
    if layout == "oi":
        rows, columns = shape[0], math.prod(shape[1:])
    else:
        rows, columns = math.prod(shape[:-1]), shape[-1]
    period = max(1, min(rows, columns))
    strides = _fill.index_strides(shape)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        later = [
            np.arange(part.start, part.stop) * stride
            for part, stride in zip(target.region[1:], strides[1:], strict=True)
        ]
        rest = np.zeros((), np.int64)
        for axis in later:
            rest = rest[..., None] + axis
        for part, first in _blocks(target.view, target.region[0].start):
            # The C-order index is row * columns + column whichever the layout: no need to take the
            # axes apart.
            row, column = np.divmod(
                (first * strides[0]).reshape((-1,) + (1,) * rest.ndim) + rest, columns
            )
            part[...] = np.where(row % period == column % period, bits, zero)

    return write


@guarded
def idinit(
    shape: Any = None,
    *,
    tau: float = 1.0,
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """W[i, j] = tau where i ≡ j modulo min(R, C), 0 elsewhere, of the R × C matrix: identities side
    by side.

    tau = 1 on the main path and in all layers of a residual branch but its last, which takes tau =
    1e-6 (the paper's IDIZ): next to nothing, but no dead units. Convolutions: the matrix is out ×
    (in·kernel), so each output channel copies its own place of the patch (the paper's
    patch-maintain). Biases are zeros.

    Parameters
    ----------
    layout : "oi": R = shape[0], C the rest; "io": C = shape[-1], R the rest.

    Source: Pan et al., IDInit: a universal and stable initialization method for neural network
    training, ICLR 2025; written from the paper's description, the authors' code was not at hand.

    Examples
    --------
    >>> fi.idinit((2, 5))
    array([[1., 0., 1., 0., 1.],
           [0., 1., 0., 1., 0.]], dtype=float32)
    """
    return _fill.apply(
        idinit_rule, {"tau": tau, "layout": layout}, shape, dtype, out, region, seed, name, threads
    )


# ----------------------------------------------------------------------------------------- bilinear


def _tent(size: int) -> list[float]:
    """The weights of linear interpolation along one axis of a kernel: 1 - |x / f - c|, symmetric
    about the middle.
    """
    factor = (size + 1) // 2
    centre = (2 * factor - 1 - size % 2) / (2.0 * factor)
    return [1.0 - abs(place / factor - centre) for place in range(size)]  # bits:


def bilinear_rule(
    shape: Shape, dtype: DType, *, channels: str = "matched", layout: str = "oi"
) -> Write:
    _layout(layout)
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"bilinear needs the shape of a convolution's weight, 3 to 5 axes, not {shape}"
        )
    if channels not in ("matched", "all"):
        raise ValueError(
            f"channels is {channels!r:.80}; give 'matched' (channel i to channel i) or 'all' "
            "(every pair)"
        )
    outputs, inputs = shape[:2] if layout == "oi" else (shape[-1], shape[-2])
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    depthwise = 1 in (outputs, inputs)
    if channels == "matched" and not depthwise and outputs != inputs:
        raise ValueError(
            f"shape {shape}, layout {layout!r}, has {outputs} out and {inputs} in channels; "
            "channels='matched' needs them equal, or one of them 1 (depthwise); give "
            "channels='all' for every pair"
        )
    weights = [1.0]
    for size in kernel:
        weights = [
            before * weight for before in weights for weight in _tent(size)
        ]  # bits: from the first axis on
    patterns = [_draws.constant(weight, dtype).parameters[0] for weight in weights]
    bits = np.array(patterns, dtype.unsigned).reshape(kernel)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        view, (out, into, *middle) = _channels_first(target, layout)
        part = bits[tuple(middle)]
        if channels == "all" or depthwise:
            view[...] = part
            return
        target.view[...] = 0
        diagonal = np.arange(max(out.start, into.start), min(out.stop, into.stop))
        view[diagonal - out.start, diagonal - into.start] = part

    return write


@guarded
def bilinear(
    shape: Any = None,
    *,
    channels: str = "matched",
    layout: str = "oi",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Π over kernel axes of 1 − |x/f − c|, f = ⌈k/2⌉, c = (2f − 1 − k mod 2)/(2f): linear
    interpolation.

    Of a transposed convolution. To up-sample by s take k = 2s − s mod 2, stride s, padding (k −
    s)/2 rounded down.

    Parameters
    ----------
    channels : "matched", channel i to channel i alone (where one side is 1, depthwise, every pair),
        or "all".
    layout : "oi", (out, in, *kernel), also for torch's (in, out, *kernel); "io", (*kernel, in,
        out).

    Raises
    ------
    ValueError
        Fewer than 3 or more than 5 axes; matched channels that differ in number.

    Source: Long, Shelhamer and Darrell, Fully convolutional networks, CVPR 2015. Same as: MXNet and
    Caffe bilinear with channels="all" (theirs is off centre for k = 3, 6, 7, 10, …), Chainer
    UpsamplingDeconvFilter.

    Examples
    --------
    >>> fi.bilinear((1, 1, 4, 4))[0, 0, 1]
    array([0.1875, 0.5625, 0.5625, 0.1875], dtype=float32)
    """
    own = {"channels": channels, "layout": layout}
    return _fill.apply(bilinear_rule, own, shape, dtype, out, region, seed, name, threads)
