"""icnr: He's normal with equal sub-kernels, for a convolution followed by a pixel shuffle.

Its rule draws straight into the destination: the index does not advance along the sub-pixels, so
they all get the same values.
"""

from __future__ import annotations

from typing import Any, SupportsIndex

from .._core import engine
from .._core.arguments import channel_layout, choice, real, shown, whole
from .._core.dtypes import DType
from .._core.fill import apply
from .._core.jobs import draw_job
from .._core.shapes import index_strides, split_part
from ..initializers.variance_scaling import DISTRIBUTIONS, MODES, scaled
from ..typing import (
    Distribution,
    Dtype,
    Layout,
    Mode,
    Name,
    Out,
    Real,
    Region,
    Seed,
    Shape,
    Sizes,
    Write,
)


def icnr_rule(
    shape: Sizes,
    dtype: DType,
    *,
    upscale: Any,
    scale: float = 2.0,
    mode: str = "fan_in",
    distribution: str = "normal",
    layout: str = "oi",
) -> Write:
    channel_layout(layout, "icnr")
    choice(mode, "mode", MODES)
    choice(distribution, "distribution", DISTRIBUTIONS)
    factor = real(scale, "scale")
    if factor < 0.0:
        raise ValueError(f"scale is {factor!r}; it must be >= 0")
    if not 3 <= len(shape) <= 5:
        raise ValueError(f"icnr needs the 3 to 5 axes of a convolution's weight, not shape {shape}")
    pixels = whole(upscale, "upscale") ** (len(shape) - 2)
    axis = 0 if layout == "oi" else len(shape) - 1
    if shape[axis] % pixels:
        raise ValueError(
            f"shape {shape}, layout {layout!r}, has {shape[axis]} outputs, which is not a multiple "
            f"of the {shown(pixels)} sub-pixels of upscale={shown(upscale)}"
        )
    channels = shape[axis] // pixels
    base = (*shape[:axis], channels, *shape[axis + 1 :])
    draw = scaled(base, dtype, factor, mode, distribution, layout=layout)
    strides = index_strides(base)
    # Sub-pixel s of channel k is output k·r² + s to torch's PixelShuffle and s·channels + k to
    # TensorFlow's depth_to_space.  So the out axis is split in two, and the index stays where it is
    # along the sub-pixels.
    each = pixels if layout == "oi" else channels
    steps = (strides[axis], 0) if layout == "oi" else (0, strides[axis])
    steps_of_axes = (*strides[:axis], *steps, *strides[axis + 1 :])

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        if not target.view.size:
            return
        for view, region in split_part(target.view, target.region, axis, each):
            first = sum(part.start * step for part, step in zip(region, steps_of_axes, strict=True))
            engine.run((draw_job(view, draw, seed, stream, first, steps_of_axes),), threads)

    return write


def icnr(
    shape: Shape | None = None,
    *,
    upscale: SupportsIndex,
    scale: Real = 2.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "normal",
    layout: Layout = "oi",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W[k·r² + s] = W′[k] for every sub-pixel s, W′ drawn by variance scaling: ICNR.

    The convolution and its pixel shuffle then start as a convolution and nearest-neighbour
    up-sampling, without a checkerboard pattern. With d kernel axes there are r^d sub-pixels. Set
    the bias to zeros.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    upscale : int
        The factor r of the pixel shuffle; r^d must divide the outputs.
    scale : float, default 2.0
        The variance of W′ is scale / n; 2 is He's value, for ReLU.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}, default "fan_in"
        Which fan of W′ n is.
    distribution : {"uniform", "normal", "truncated_normal"}, default "normal"
        The law of W′; a truncated normal has its std after truncation.
    layout : {"oi", "io"}, default "oi"
        ``(out, in, *kernel)``, outputs ordered for torch's PixelShuffle, or ``(*kernel, in, out)``,
        outputs ordered for TensorFlow's depth_to_space: W[s·channels + k] = W′[k].
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
        Fewer than 3 or more than 5 axes; outputs that r^d does not divide; anything that
        `variance_scaling` refuses.

    See Also
    --------
    variance_scaling : The initializer of W′.
    bilinear : Linear up-sampling, by a transposed convolution.
    torch.nn.PixelShuffle : Follows the convolution.

    Notes
    -----
    Method of [1]_. W′ has the bits of `variance_scaling` with the same seed and name and the shape
    of one sub-pixel's kernel: stream-v1.md, section 3.

    References
    ----------
    .. [1] Aitken et al., Checkerboard artifact free sub-pixel convolution, 2017.

    Examples
    --------
    >>> w = fi.icnr((8, 3, 3, 3), upscale=2, seed=0)
    >>> np.array_equal(w[0], w[3]), np.array_equal(w[3], w[4])
    (True, False)
    """
    own = {
        "upscale": upscale,
        "scale": scale,
        "mode": mode,
        "distribution": distribution,
        "layout": layout,
    }
    return apply(icnr_rule, own, shape, dtype, out, region, seed, name, threads)  # type: ignore[no-any-return]
