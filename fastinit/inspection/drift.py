"""drift(): how far each tensor of a checkpoint has moved from its initial draw.

The draw is recomputed from the seed and the names, span by span, and is never stored.  expected.py
says what was drawn; ../checkpoint/draw.py draws it.
"""

from __future__ import annotations

import math
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .._core import engine
from .._core.arguments import path_text, shown_path
from .._core.progress import one_at_a_time
from .._core.safetensors import Tensor
from .._core.stream import check_seed
from .._core.tables import Rows, Table
from ..checkpoint import Spec, files
from ..checkpoint.draw import draw_file
from ..checkpoint.index import Found
from ..checkpoint.plan import file_of
from ..checkpoint.source import AnySpec
from ..checkpoint.spec import Entry, not_here
from ..checkpoint.verify import seed_of
from ..typing import Array, PathLike, Seed
from .expected import Expected, expected, in_dtype, is_array_file
from .inspect import number, short
from .report import layer_of
from .stored import Stored, tensors
from .twins import decoded

PIECE = 1 << 17  # values converted to double at a time: a few megabytes per thread
UNRELATED = 0.1  # below this cosine, the values did not come from training this draw

Progress = Callable[[int], None]


class Drifted(NamedTuple):
    """One tensor against its initial draw: a row for pandas.DataFrame.

    Attributes
    ----------
    name, dtype, file : str
        Of the tensor.
    shape : tuple of int
        Sizes.
    values : int
        How many there are.
    relative : float
        ‖W − W₀‖ / ‖W₀‖; nan where W₀ is zero or not known.
    cosine : float
        Of the angle between W and W₀; nan where one of them is zero.
    unchanged : float
        The share of values that have the bits of the draw.
    norm, initial_norm : float
        ‖W‖ and ‖W₀‖.
    reason : str
        Why nothing was computed; "" where it was.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    values: int
    relative: float = math.nan
    cosine: float = math.nan
    unchanged: float = math.nan
    norm: float = math.nan
    initial_norm: float = math.nan
    reason: str = ""


class _Sums(NamedTuple):
    """Sums over a piece of the current values w and the initial values w0."""

    moved: float  # sum of (w - w0)²
    now: float  # sum of w²
    then: float  # sum of w0²
    both: float  # sum of w w0
    same: int


@engine.guarded
def drift(
    path: PathLike,
    against: AnySpec | Spec | None = None,
    *,
    seed: Seed | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Drifted]:
    """‖W − W₀‖ / ‖W₀‖, cosine and share unchanged of every tensor, W₀ its initial draw.

    Parameters
    ----------
    path : path
        A safetensors file, or a folder of them.
    against : str, path, mapping or Spec, optional
        The spec or config that says how the tensors were drawn; None is what the files say.
    seed : Seed, optional
        Of the draw; None is the seed in the metadata.
    threads : int, optional
        The most threads to use.
    progress : callable, optional
        Called with the number of bytes compared since the last call, from one thread at a time.

    Returns
    -------
    list of Drifted
        In the order of the files; it prints as a table, and pandas.DataFrame takes it.

    Raises
    ------
    ValueError
        Nothing says how the tensors were drawn, or by which seed; a damaged or hostile file.
    OSError
        A file that cannot be read.

    See Also
    --------
    fastinit.checkpoint.verify : Where each tensor first differs.
    audit : Whether a tensor is what it should be.

    Notes
    -----
    A draw has the dtype of the file, so a model drawn in float32 and saved in bfloat16 compares
    with its rounded draw.  Memory is that of a span of 4 MiB a thread; a tensor that is not drawn
    value by value (orthogonal) is in memory as a whole.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastinit import checkpoint, inspection
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> spec = {"tensors": {"w": {"shape": [50, 40], "initializer": "normal"}}}
    >>> _ = checkpoint.materialize(spec, path, seed=0)
    >>> [row] = inspection.drift(path)
    >>> row.name, row.relative, round(row.cosine, 6), row.unchanged
    ('w', 0.0, 1.0, 1.0)
    """
    count, advance = engine.thread_count(threads), one_at_a_time(progress)
    if is_array_file(path):
        raise ValueError(f"{shown_path(path_text(path))}: drift compares safetensors files")
    stored = list(tensors(path))
    what = expected(path, against, {one.name for one in stored})
    if not what.entries:
        raise ValueError(
            f"{what.label or shown_path(path_text(path))} does not say how the tensors were "
            "drawn; give a "
            "preset, a spec or a config (--against)"
        )
    found = files(path, lenient=True)
    seeds = {seed_of(one) for one in found} if seed is None else {check_seed(seed)}
    if len(seeds) > 1:
        raise ValueError(f"the files have the seeds {sorted(seeds)}; give one (--seed)")
    [drawn_by] = seeds
    lock = threading.Lock()
    by_name = {one.name: one for one in stored}
    sums: dict[str, list[_Sums]] = {}
    for one in found:
        entries = _entries(one, what)
        kept = tuple(tensor for tensor in one.layout.tensors if tensor.name in entries)
        file = file_of(os.path.basename(one.path), one.layout._replace(tensors=kept), entries)
        begins = [tensor.begin for tensor in kept]

        def take(
            begin: int,
            expected: Array,
            kept: tuple[Tensor, ...] = kept,
            begins: list[int] = begins,
        ) -> None:
            end = begin + len(expected)
            at = bisect_right(begins, begin) - 1
            while at < len(kept) and kept[at].begin < end:
                tensor = kept[at]
                low, high = max(begin, tensor.begin), min(end, tensor.end)
                if low < high:
                    parts = _compare(
                        by_name[tensor.name], tensor, low, expected[low - begin : high - begin]
                    )
                    with lock:
                        sums.setdefault(tensor.name, []).extend(parts)
                at += 1
            advance(len(expected))

        draw_file(file, drawn_by, count, take)
    return Rows([_row(one, what, sums.get(one.name)) for one in stored], table)


def table(rows: Sequence[Drifted]) -> Table:
    """Rows as text, with the findings about the whole checkpoint first."""
    head = ("tensor", "dtype", "relative", "cosine", "unchanged")
    said = "\n".join(f"! {text}" for text in findings(rows))
    return Table(said, head, [_cells(row) for row in rows], [f"{len(rows)} tensors"])


def _cells(row: Drifted) -> list[str]:
    dtype = short(row.dtype)
    if row.reason:
        return [row.name, dtype, "-", "-", row.reason]
    share = f"{100 * row.unchanged:.3g} %"
    return [row.name, dtype, number(row.relative), number(row.cosine), share]


def findings(rows: Sequence[Drifted]) -> list[str]:
    """What the rows say of the whole: nothing moved, or another seed drew it."""
    drawn = [row for row in rows if not row.reason and row.initial_norm > 0 and row.values > 100]
    moved = [row for row in drawn if row.unchanged < 1]
    if not drawn:
        return []
    if not moved:
        left = sum(bool(row.reason) for row in rows)
        if left:
            return [f"no tensor has moved of those that can be compared; {left} cannot be"]
        return ["no tensor has moved: all are their initial draw"]
    angles = [row.cosine for row in moved if math.isfinite(row.cosine)]
    far = [cosine for cosine in angles if abs(cosine) < UNRELATED]
    said = []
    if 2 * len(far) > len(angles):
        said.append(
            f"{len(far)} of {len(angles)} tensors are unrelated to their draw (cosine below "
            f"{UNRELATED}): another seed or other names? The metadata of the file may say the seed"
        )
    still = len(drawn) - len(moved)
    if still:
        said.append(f"{still} of {len(drawn)} tensors have not moved at all")
    return said


def by_layer(rows: Iterable[Drifted]) -> dict[int, float]:
    """‖W − W₀‖ / ‖W₀‖ of all tensors of a layer as one vector, by the first number in the name."""
    squares: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        layer, _ = layer_of(row.name)
        if layer is not None and math.isfinite(row.relative):
            then = row.initial_norm**2
            squares.setdefault(layer, []).append((row.relative**2 * then, then))
    return {
        layer: math.sqrt(math.fsum(one for one, _ in each) / math.fsum(two for _, two in each))
        for layer, each in sorted(squares.items())
    }


def _entries(one: Found, what: Expected) -> dict[str, Entry]:
    """The entries of a file's floating-point tensors that can be drawn again."""
    entries = {}
    for tensor in one.layout.tensors:
        entry = what.entries.get(tensor.name)
        entry = None if entry is None else in_dtype(entry, tensor.dtype)
        if entry is None or entry.shape != tensor.shape or entry.rule is not_here:
            continue
        if tensor.dtype.is_float and entry.nbytes:
            entries[tensor.name] = entry
    return entries


def _compare(one: Stored, tensor: Tensor, low: int, expected: Array) -> list[_Sums]:
    """The sums over the values that start at byte `low` of the file."""
    dtype, parts = tensor.dtype, []
    first = (low - tensor.begin) // dtype.itemsize
    # Copied for alignment: in a file by another writer, a tensor may start at any byte.
    drawn = expected.copy().view(dtype.unsigned.newbyteorder("<")).astype(dtype.unsigned)
    assert one.read is not None
    for start in range(0, len(drawn), PIECE):
        then = drawn[start : start + PIECE]
        now = one.read(first + start, first + start + len(then))
        same = int((now == then).sum())
        w, w0 = decoded(now, dtype), decoded(then, dtype)
        with np.errstate(all="ignore"):
            d = w - w0
            moved, new, old, both = (
                float(np.einsum("i,i->", a, b)) for a, b in ((d, d), (w, w), (w0, w0), (w, w0))
            )
        parts.append(_Sums(moved, new, old, both, same))
    return parts


def _row(one: Stored, what: Expected, parts: list[_Sums] | None) -> Drifted:
    dtype = one.dtype if isinstance(one.dtype, str) else one.dtype.name
    row = Drifted(one.name, dtype, one.shape, one.file, math.prod(one.shape))
    if parts is None:
        return row._replace(reason=_why(one, what))
    # fsum is exact, so the order in which threads finished does not matter.
    moved, now, then, both = (_sum(one[part] for one in parts) for part in range(4))
    same = sum(part.same for part in parts)
    return row._replace(
        relative=math.sqrt(moved / then) if then else math.nan,
        cosine=both / math.sqrt(now) / math.sqrt(then) if now and then else math.nan,
        unchanged=same / row.values,
        norm=math.sqrt(now),
        initial_norm=math.sqrt(then),
    )


def _sum(terms: Iterable[float]) -> float:
    numbers = list(terms)
    return math.fsum(numbers) if all(map(math.isfinite, numbers)) else math.nan


def _why(one: Stored, what: Expected) -> str:
    entry = what.entries.get(one.name)
    if entry is None:
        return "not in the spec"
    if entry.shape != one.shape:
        return f"the file has {one.shape}, the spec {entry.shape}"
    if isinstance(one.dtype, str) or not one.dtype.is_float:
        return "no floating dtype"
    if not math.prod(one.shape):
        return "no values"
    return "computed by the model's own code"
