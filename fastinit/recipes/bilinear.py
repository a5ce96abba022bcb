"""bilinear: linear interpolation, for a transposed convolution that up-samples.

Its rule returns a Write that computes any region of the global tensor from the indices of its
elements.  It does not depend on the seed.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .._core import draws
from .._core.arguments import channel_layout, shown
from .._core.dtypes import DType
from .._core.fill import apply, clear
from ..typing import Dtype, Layout, Name, Out, Region, Seed, Shape, Sizes, Write
from ._written import channels_first


def _tent(size: int) -> list[float]:
    """The weights of linear interpolation along one axis: 1 - |x / f - c|, a symmetric tent."""
    factor = (size + 1) // 2
    centre = (2 * factor - 1 - size % 2) / (2.0 * factor)
    return [1.0 - abs(place / factor - centre) for place in range(size)]  # bits:


def bilinear_rule(
    shape: Sizes, dtype: DType, *, channels: str = "matched", layout: str = "oi"
) -> Write:
    channel_layout(layout, "bilinear")
    if not 3 <= len(shape) <= 5:
        raise ValueError(
            f"bilinear needs the shape of a convolution's weight, 3 to 5 axes, not {shape}"
        )
    if channels not in ("matched", "all"):
        raise ValueError(
            f"channels is {shown(channels)}; give 'matched' (channel i to channel i) or 'all' "
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
        # bits: the products are formed from the first axis on.
        weights = [before * weight for before in weights for weight in _tent(size)]
    patterns = [draws.constant(weight, dtype).parameters[0] for weight in weights]
    bits = np.array(patterns, dtype.unsigned).reshape(kernel)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        view, (out, into, *middle) = channels_first(target, layout)
        part = bits[tuple(middle)]
        if channels == "all" or depthwise:
            view[...] = part
            return
        clear(target, threads)
        diagonal = np.arange(max(out.start, into.start), min(out.stop, into.stop))
        view[diagonal - out.start, diagonal - into.start] = part

    return write


def bilinear(
    shape: Shape | None = None,
    *,
    channels: Literal["matched", "all"] = "matched",
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """Π over kernel axes of 1 − abs(x/f − c): linear interpolation by a transposed convolution.

    f = ⌈k/2⌉ and c = (2f − 1 − k mod 2) / (2f). To up-sample by s take k = 2s − s mod 2, stride s
    and padding (k − s)/2 rounded down.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    channels : {"matched", "all"}, default "matched"
        Which pairs of channels hold the kernel: channel i with channel i only, or every pair. Where
        one side is 1 (depthwise), both mean every pair.
    layout : {"oi", "io"}, default "oi"
        ``(out, in, *kernel)``, also for torch's ``(in, out, *kernel)``, or ``(*kernel, in, out)``.
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
        Fewer than 3 or more than 5 axes; matched channels that differ in number.

    See Also
    --------
    dirac : The identity of a convolution.

    Notes
    -----
    Proposed in [1]_. The bilinear of MXNet and Caffe is channels="all", but off centre for k = 3,
    6, 7, 10, …; Chainer's UpsamplingDeconvFilter is equal. Nothing is drawn: `seed` and `name` are
    checked and have no effect.

    References
    ----------
    .. [1] Long, Shelhamer and Darrell, Fully convolutional networks for semantic segmentation, CVPR
           2015.

    Examples
    --------
    >>> fi.bilinear((1, 1, 4, 4))[0, 0, 1]
    array([0.1875, 0.5625, 0.5625, 0.1875], dtype=float32)
    """
    own = {"channels": channels, "layout": layout}
    return apply(bilinear_rule, own, shape, dtype, out, region, seed, name, threads)
