"""What recipes without randomness share: views by layout, and regions cut into bounded pieces.

Used by zero_hadamard.py, idinit.py and bilinear.py, whose rules return a Write.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..typing import Array

_AT_ONCE = 1 << 20  # elements whose indices are held in memory together


def channels_first(target: Any, layout: str) -> tuple[Array, list[slice]]:
    """The region's view and its slices, both in the order out, in, *kernel."""
    if layout == "oi":
        return target.view, list(target.region)
    *kernel, inputs, outputs = target.region
    return np.moveaxis(target.view, (-1, -2), (0, 1)), [outputs, inputs, *kernel]


def blocks(view: Array, first: int) -> Any:
    """Cut the view into parts of a bounded number of elements; yields each part and the global
    indices along its first axis.
    """
    rows = max(1, _AT_ONCE // max(1, math.prod(view.shape[1:])))
    for start in range(0, len(view), rows):
        part = view[start : start + rows]
        yield part, np.arange(first + start, first + start + len(part))
