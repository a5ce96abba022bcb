"""mup_scale: muP's factor on the std of a base initializer, by width.  It draws nothing.

Factors of depth: depth_scales.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, SupportsIndex

from .._core.arguments import channel_layout, choice, described, whole
from .._core.engine import guarded
from ..typing import Layout


def _sizes(shape: Any, what: str) -> tuple[int, ...]:
    if not isinstance(shape, Iterable) or isinstance(shape, (str, bytes, Mapping)):
        raise TypeError(f"{what} must be a sequence of integers, not {described(shape)}")
    return tuple([whole(size, f"a size of {what}") for size in shape])


_MUP_BASES = ("normal", "xavier", "he_fan_in", "he_fan_out")


@guarded
def mup_scale(
    shape: Sequence[SupportsIndex],
    base_shape: Sequence[SupportsIndex],
    *,
    base: Literal["normal", "xavier", "he_fan_in", "he_fan_out"] = "normal",
    layout: Layout = "oi",
) -> float:
    """muP's factor on the std of `base` for `shape`, when the std was tuned at `base_shape`.

    Hidden weights then scale as 1/√fan_in. An axis is wide if the two shapes differ in its size;
    m_in and m_out are the ratios of the sizes. The factor is, by `base`: "normal" (any std that
    does not depend on a fan): 1/√m_in if both axes are wide, else 1. "xavier": the same times
    √((out + in) / (base out + base in)). "he_fan_in": √m_in if only the inputs are wide (a readout,
    whose output the model divides by m_in), else 1. "he_fan_out": √m_out if only the outputs are
    wide, √(m_out / m_in) if both are.

    Parameters
    ----------
    shape : sequence of int
        Sizes of the tensor.
    base_shape : sequence of int
        Its sizes in the model whose std was tuned.
    base : {"normal", "xavier", "he_fan_in", "he_fan_out"}, default "normal"
        The initializer that is scaled.
    layout : {"oi", "io"}, default "oi"
        The order of axes: ``(out, in, *kernel)`` or ``(*kernel, in, out)``.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        Shapes with different numbers of axes; a kernel axis that differs; an unknown base.

    See Also
    --------
    gpt2_scale : A factor that depends on depth.

    Notes
    -----
    Tables 3 and 8 of [1]_, as in the package mup (mup.init, MuReadout).

    References
    ----------
    .. [1] Yang et al., Tensor programs V: tuning large neural networks via zero-shot hyperparameter
           transfer, 2022.

    Examples
    --------
    >>> fi.mup_scale((1024, 1024), (256, 256))
    0.5
    >>> fi.mup_scale((10, 1024), (10, 256), base="he_fan_in")
    2.0
    """
    choice(base, "base", _MUP_BASES)
    channel_layout(layout, "mup_scale")
    wide, narrow = _sizes(shape, "shape"), _sizes(base_shape, "base_shape")
    if len(wide) != len(narrow):
        raise ValueError(
            f"shape {wide} and base_shape {narrow} differ in their number of axes; give the same "
            "tensor's shape in both models"
        )
    if len(wide) < 2:
        return 1.0  # the std of a vector does not change with its width
    out_axis, in_axis = (0, 1) if layout == "oi" else (len(wide) - 1, len(wide) - 2)
    for axis, (size, base_size) in enumerate(zip(wide, narrow, strict=True)):
        if axis not in (out_axis, in_axis) and size != base_size:
            raise ValueError(
                f"axis {axis} of shape {wide} differs from base_shape {narrow}; only the out and "
                "in axes may differ"
            )
    m_in, m_out = wide[in_axis] / narrow[in_axis], wide[out_axis] / narrow[out_axis]
    wide_in, wide_out = wide[in_axis] != narrow[in_axis], wide[out_axis] != narrow[out_axis]
    if base == "he_fan_in":
        return math.sqrt(m_in) if wide_in and not wide_out else 1.0
    if base == "he_fan_out":
        return math.sqrt(m_out / m_in) if wide_in and wide_out else math.sqrt(m_out)
    scale = 1.0 / math.sqrt(m_in) if wide_in and wide_out else 1.0
    if base == "xavier":
        both, base_both = wide[in_axis] + wide[out_axis], narrow[in_axis] + narrow[out_axis]
        scale = math.sqrt(both / base_both) * scale  # bits:
    return scale
