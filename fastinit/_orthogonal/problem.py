"""Which matrices, columns and rows of Q to form, and where they go in the destination.

It does no arithmetic.  matrix.py makes a Problem and a Place from shape, layout and region;
numpy_form.py and compiled.py compute them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core.dtypes import DType
from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from ..typing import Array

# draw([(out, first, strides), ...]) fills each `out` with standard normals: value index first +
# sum(i_k * strides[k])
DrawNormals = Callable[[Sequence[tuple[Array, int, tuple[int, ...]]]], None]


class Problem(NamedTuple):
    """Columns `columns` and rows `rows` of the Q (q by p) of each of `matrices`, times gain, as
    `dtype`.
    """

    p: int
    q: int
    matrices: Array  # their numbers, ascending
    columns: Array  # ascending, at least one
    rows: slice
    dtype: DType
    gain: float

    @property
    def working(self) -> np.dtype[Any]:
        return np.dtype(np.float64 if self.dtype.wide else np.float32)

    @property
    def blocks(self) -> int:
        """Blocks of reflectors that the wanted columns need: up to the last column's block."""
        return int(self.columns[-1]) // BLOCK + 1

    @property
    def steps(self) -> float:
        """Approximate number of multiply-adds in all chains."""
        total = 0.0
        for block in range(self.blocks):
            k = block * BLOCK
            columns = len(self.columns) - int(np.searchsorted(self.columns, k))
            total += (2.0 * columns + BLOCK) * min(BLOCK, self.p - k) * (self.q - k)
        return total * len(self.matrices)


class Place:
    """The destination's bits as (matrix, column of Q, row of Q), for any axes and strides.

    The axes of `view` are those of the matrices (`batch` of them), of the columns (`across` of
    them) and of the rows.  `index` lists the wanted rows of Q if they are not all of problem.rows.
    """

    def __init__(
        self, view: Array, batch: int, across: int, problem: Problem, index: Array | None
    ) -> None:
        self._view, self._batch = view, batch
        self._shapes = (
            view.shape[:batch],
            view.shape[batch : batch + across],
            view.shape[batch + across :],
        )
        self._rows, self._index = problem.rows, index
        flat = view.reshape(len(problem.matrices), len(problem.columns), -1)
        self._whole = flat if index is None and np.may_share_memory(flat, view) else None

    def lend(self, matrices: slice, columns: slice) -> Array:
        """Memory for these matrices and columns and the problem's rows: the destination if its
        strides allow it, else scratch for commit().
        """
        if self._whole is not None:
            return self._whole[matrices, columns]
        rows = self._rows.stop - self._rows.start
        return np.empty(
            (matrices.stop - matrices.start, columns.stop - columns.start, rows), self._view.dtype
        )

    def commit(self, array: Array, matrices: slice, columns: slice) -> None:
        """Copy the scratch that lend() returned back to the destination."""
        if self._whole is not None:
            return
        if self._index is not None:
            array = array[:, :, self._index - self._rows.start]
        by_matrix, by_column, by_row = self._shapes
        for m, part in zip(range(matrices.start, matrices.stop), array, strict=True):
            at = np.unravel_index(m, by_matrix) if self._batch else ()
            where = np.unravel_index(np.arange(columns.start, columns.stop), by_column)
            self._view[at][where] = part.reshape(len(part), *by_row)
