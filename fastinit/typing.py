"""The types that signatures share, and nothing else.

It imports NumPy only and stands below every other module of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]  # of a whole tensor
Region = tuple[slice, ...]  # the part of it to fill, one slice(start, stop, 1) an axis
Write = Callable[..., None]  # fills a target's region: (target, seed, stream, threads)
