"""inspect_file(): statistics of every tensor of a checkpoint, and oddities in them.

It makes one pass, chunk by chunk, on all threads, with one chunk per thread in memory.  Oddities
are judged without a law or a seed; audit.py uses those.  statistics.py makes the pass.  report.py
writes the results as a page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from .._core import engine
from .._core.arguments import check_progress
from .._core.dtypes import DType
from .._core.progress import one_at_a_time
from .._core.tables import Rows, Table
from .._laws import Law
from ..checkpoint import files
from ..typing import PathLike
from .laws import laws, laws_by_name
from .statistics import PAGE, Statistics, Tally, matrix
from .stored import Stored, tensors

MOST_THREADS = 32  # each thread holds a few megabytes
RUBBISH = 1e-3  # a larger share of subnormals in a wide dtype is not an accident

Progress = Callable[[int], None]


class Inspected(NamedTuple):
    """One tensor of a checkpoint: a row for pandas.DataFrame.

    Attributes
    ----------
    name, dtype, file : str
        Of the tensor; a dtype that is not known is listed by the file's name for it, without
        numbers.
    shape : tuple of int
        Sizes.
    findings : tuple of str
        What is odd about it.
    values, zeros, subnormals, nonfinite : int
        Values, and how many are zero, subnormal, infinite or NaN.
    mean, std, min, max, skewness, excess_kurtosis : float
        Of the finite values.
    distinct : int or None
        Different values, of dtypes of 8 and 16 bits.
    row_norm_min, row_norm_median, row_norm_max : float or None
        Euclidean norms of the rows.
    col_norm_min, col_norm_median, col_norm_max : float or None
        Euclidean norms of the columns.
    edges, counts : tuple
        The histogram.
    repeated_pages : int
        Pages of 4 KiB that are equal to the first one.
    digest : str
        Of all bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    findings: tuple[str, ...]
    values: int
    mean: float = math.nan
    std: float = math.nan
    min: float = math.nan
    max: float = math.nan
    skewness: float = math.nan
    excess_kurtosis: float = math.nan
    zeros: int = 0
    subnormals: int = 0
    nonfinite: int = 0
    distinct: int | None = None
    row_norm_min: float | None = None
    row_norm_median: float | None = None
    row_norm_max: float | None = None
    col_norm_min: float | None = None
    col_norm_median: float | None = None
    col_norm_max: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    repeated_pages: int = 0
    digest: str = ""


@engine.guarded
def inspect_file(
    path: PathLike, *, threads: int | None = None, progress: Progress | None = None
) -> list[Inspected]:
    """Mean, std, range, norms, histogram and oddities of every tensor of a checkpoint.

    Parameters
    ----------
    path : path
        A .safetensors, .npz or .npy file; or a folder of safetensors files, with an index or
        without.
    threads : int, optional
        The most threads to use; their number does not change the bits.
    progress : callable, optional
        Called with the number of bytes measured since the last call, from one thread at a time.

    Returns
    -------
    list of Inspected
        In the order of the files; it prints as a table, and pandas.DataFrame takes it.

    Raises
    ------
    ValueError
        A pickle; a damaged or hostile header or index.
    OSError
        A file that cannot be read.

    See Also
    --------
    fastinit.inspection.statistics.statistics : The same of one array.

    Notes
    -----
    Memory is that of a chunk of 524,288 values a thread, and 16 bytes a row and a column.  A
    compressed npz is unpacked a tensor at a time.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastinit import checkpoint, inspection
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> rules = [{"match": "*", "initializer": "normal", "std": 0.02}]
    >>> _ = checkpoint.materialize({"tensors": {"w": [300, 40]}, "rules": rules}, path, seed=0)
    >>> [row] = inspection.inspect_file(path)
    >>> row.name, row.shape, round(row.std, 4), row.nonfinite, row.findings
    ('w', (300, 40), 0.0198, 0, ())
    """
    check_progress(progress)
    found = list(tensors(path))
    measured = measure(found, threads, progress)
    rows = [_row(one, numbers) for one, numbers in zip(found, measured, strict=True)]
    return Rows(_with_copies(rows), table)


def table(rows: Sequence[Inspected]) -> Table:
    """Rows as text, with the oddities first."""
    odd = "\n".join(f"! {row.name}: {what}" for row in rows for what in row.findings)
    head = ("tensor", "dtype", "shape", "mean", "std", "max|x|")
    summary = f"{len(rows)} tensors, {sum(row.values for row in rows)} values"
    return Table(odd, head, [_cells(row) for row in rows], [summary])


def _cells(row: Inspected) -> list[str]:
    shape = "×".join(map(str, row.shape)) or "scalar"
    numbers = [row.mean, row.std, max(abs(row.min), abs(row.max))]
    return [row.name, short(row.dtype), shape, *map(number, numbers)]


def number(value: float | None) -> str:
    """Three digits."""
    return "-" if value is None or value != value else f"{value:.3g}"


_SHORT = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "e4m3",
    "float8_e5m2": "e5m2",
}


def short(dtype: str) -> str:
    """A dtype's short name for a table."""
    return _SHORT.get(dtype, dtype)


def measure(
    stored: Iterable[Stored], threads: int | None = None, progress: Progress | None = None
) -> list[Statistics | None]:
    """The numbers of each tensor, in order; None for a dtype that is not known."""
    todo, advance = list(stored), one_at_a_time(progress)
    found: list[Statistics | None] = [None] * len(todo)

    def chunks() -> Iterator[tuple[int, Tally, int]]:
        for place, one in enumerate(todo):
            if one.read is None or not isinstance(one.dtype, DType):
                continue
            tally = Tally(one.dtype, one.shape)
            if not tally.chunks:
                found[place] = tally.result()
            yield from ((place, tally, chunk) for chunk in range(tally.chunks))

    def work(item: tuple[int, Tally, int]) -> None:
        place, tally, chunk = item
        span = tally.span(chunk)
        read = todo[place].read
        assert read is not None
        if tally.add(chunk, read(*span)):
            found[place] = tally.result()
        advance((span[1] - span[0]) * tally.dtype.itemsize)

    engine.map_tasks(work, chunks(), min(engine.thread_count(threads), MOST_THREADS))
    return found


def declared_laws(path: PathLike) -> dict[str, Law]:
    """The law of each tensor, by name, if fastinit wrote the file and its spec is in the metadata.

    Parameters
    ----------
    path : str or path
        A file or a folder.

    Returns
    -------
    dict
        From name to Law; empty for files of other writers.
    """
    try:
        if any("fastinit.spec" not in one.metadata for one in files(path)):
            return {}
        return laws_by_name(laws(path))
    except ValueError:  # another kind of file, or a spec that this version cannot read
        return {}


def _row(one: Stored, found: Statistics | None) -> Inspected:
    if found is None or not isinstance(one.dtype, DType):
        why = (f"its dtype {one.dtype} is not known: nothing was measured",)
        return Inspected(one.name, str(one.dtype), one.shape, one.file, why, math.prod(one.shape))
    rows, columns = (norms or (None, None, None) for norms in (found.row_norms, found.col_norms))
    return Inspected(
        one.name,
        one.dtype.name,
        one.shape,
        one.file,
        tuple(_oddities(one.dtype, one.shape, found)),
        found.count,
        mean=found.mean,
        std=found.std,
        min=found.min,
        max=found.max,
        skewness=found.skewness,
        excess_kurtosis=found.excess_kurtosis,
        zeros=found.zeros,
        subnormals=found.subnormals,
        nonfinite=found.nonfinite,
        distinct=found.distinct,
        row_norm_min=rows[0],
        row_norm_median=rows[1],
        row_norm_max=rows[2],
        col_norm_min=columns[0],
        col_norm_median=columns[1],
        col_norm_max=columns[2],
        edges=tuple(found.histogram.edges.tolist()),
        counts=tuple(found.histogram.counts.tolist()),
        repeated_pages=found.repeated_pages,
        digest=found.digest,
    )


def _oddities(dtype: DType, shape: tuple[int, ...], found: Statistics) -> Iterator[str]:
    """Properties that no healthy tensor has, whatever its law."""
    if not dtype.is_float or not found.count:
        return
    if found.nonfinite:
        yield f"{found.nonfinite} of {found.count} values are not finite"
    a_matrix = matrix(shape) != (0, 0)
    if a_matrix and found.min == found.max:
        yield f"a matrix, and all its values are {found.min:g}"
        return
    if found.pages > 1 and found.repeated_pages == found.pages - 1 and found.min != found.max:
        yield f"one page of {PAGE} bytes, {found.pages} times"
    wide = dtype.itemsize > 2 or dtype.name == "bfloat16"
    if wide and found.subnormals > RUBBISH * found.count:
        yield f"{found.subnormals} of {found.count} values are subnormal: memory never filled?"
    if found.row_norms is not None and found.row_norms.min == 0:
        yield "a row is all zero"
    if found.col_norms is not None and found.col_norms.min == 0:
        yield "a column is all zero"


def _with_copies(rows: list[Inspected]) -> list[Inspected]:
    """The rows, with a finding for each non-constant tensor that equals another one."""
    first: dict[Any, str] = {}
    found = []
    for row in rows:
        key = row.dtype, row.shape, row.digest
        if row.digest and row.values > 1 and row.min != row.max:
            other = first.setdefault(key, row.name)
            if other != row.name:
                row = row._replace(findings=(*row.findings, f"equal to {other}, byte for byte"))
        found.append(row)
    return found
