"""fill: many tensors in one parallel batch, each with the bits of a single call.

_core/fill.py fills one tensor; _table.py knows the initializers by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._core import buffers, engine
from ._core.draws import Draw
from ._core.engine import guarded
from ._core.fill import Rule, Target, decide, job, target, write
from ._core.stream import check_seed, stream_id
from ._table import checked_rule, lookup
from .typing import Box, Seed, Sizes, Write


class Filled(NamedTuple):
    """One tensor of a report."""

    name: str | int | None
    initializer: str
    shape: Sizes  # of the whole tensor
    region: Box  # what was filled of it
    dtype: str
    stream: int
    values: int


class Report(NamedTuple):
    """What fill() did; the same seed draws it again."""

    filled: int
    values: int
    bytes: int
    seconds: float
    seed: int
    entries: tuple[Filled, ...]


@guarded
def fill(
    entries: Mapping[str, Sequence[Any]] | Iterable[Sequence[Any]],
    *,
    seed: Seed | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Fill many tensors in one parallel batch, each with the bits of a single call.

    Parameters
    ----------
    entries : mapping or iterable
        A mapping of names to (buffer, initializer[, arguments]), or an iterable of (buffer,
        initializer[, arguments[, name[, region[, shape]]]]). An initializer is a name, an alias or
        the function; arguments are a dict of its own; a region needs the shape.
    seed : int, optional
        One seed for all tensors. None draws one, which the report holds.
    threads : int, optional
        The most threads to use; their number does not change the bits.
    progress : callable, optional
        Called repeatedly with the number of values drawn since the last call.

    Returns
    -------
    Report
        What was filled, the seed, and one entry for each tensor: name, initializer, shape, region,
        dtype, stream, values.

    Raises
    ------
    TypeError, ValueError
        Whatever an initializer would raise, with the entry named; buffers that overlap. Raised
        before a byte is written.

    See Also
    --------
    explain : What one initializer would fill.
    fastinit.torch.materialize_ : Fills the parameters of a torch module.

    Notes
    -----
    The bits are those of single calls with the same seed and names.

    Examples
    --------
    >>> w, b = np.empty((2, 2), np.float32), np.ones(2, np.float32)
    >>> fi.fill({"w": (w, "he_normal"), "b": (b, "zeros")}, seed=0).values
    6
    """
    return fill_entries(entries, _named_rule, seed=seed, threads=threads, progress=progress)


def _named_rule(initializer: Any) -> tuple[str, Rule]:
    function = lookup(initializer)
    return function.__name__, checked_rule(function)


def fill_entries(
    entries: Any,
    rule_of: Callable[[Any], tuple[str, Rule]],
    *,
    seed: Any = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """fill() with initializers that `rule_of` resolves to a name and a rule."""
    began = time.perf_counter()
    seed = check_seed(seed)
    engine.thread_count(threads)
    todo: list[tuple[Target, Draw | Write, int]] = []
    report: list[Filled] = []
    for number, (buffer, initializer, arguments, name, region, shape) in enumerate(
        _entries(entries)
    ):
        label = f"entry {number}" if name is None else f"entry {name!r}"
        try:
            if buffer is None:
                raise TypeError("the buffer is None; give the array to fill")
            public, rule = rule_of(initializer)
            arguments = {} if arguments is None else dict(arguments)
            stream = stream_id(name)
            where = target(shape, None, buffer, region)
            result = decide(rule, where.shape, where.dtype, arguments)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError):
                raise
            raise type(error)(f"{label}: {error}") from error
        todo.append((where, result, stream))
        report.append(
            Filled(
                name,
                public,
                where.shape,
                where.region,
                where.dtype.name,
                stream,
                where.view.size,
            )
        )
    buffers.check_apart(
        [(f"entry {line.name!r}", item[0].view) for line, item in zip(report, todo, strict=True)]
    )

    for where, result, _ in todo:
        if not isinstance(result, Draw) and buffers.on_gpu(where.view) and where.view.size:
            engine.check_through_host(where.view)
    draws = [
        job(where, result, seed, stream)
        for where, result, stream in todo
        if isinstance(result, Draw) and where.view.size
    ]
    if draws:
        engine.run(draws, threads, progress)
    for where, result, stream in todo:
        if not isinstance(result, Draw) and where.view.size:
            write(result, *where, seed, stream, threads)
            if progress:
                progress(where.view.size)
    values = sum([line.values for line in report])
    size = sum([where.view.nbytes for where, _, _ in todo])
    return Report(len(report), values, size, time.perf_counter() - began, seed, tuple(report))


def _entries(entries: Any) -> Iterable[tuple[Any, ...]]:
    """(buffer, initializer, arguments, name, region, shape) of every entry, in either form."""
    if isinstance(entries, Mapping):
        return [
            (*_entry(entry, 3, f"entry {name!r}"), name, None, None)
            for name, entry in entries.items()
        ]
    if isinstance(entries, (str, bytes)) or not isinstance(entries, Iterable):
        raise TypeError(
            f"fill takes a mapping or an iterable of entries, not {type(entries).__name__}"
        )
    return [_entry(entry, 6, f"entry {number}") for number, entry in enumerate(entries)]


def _entry(entry: Any, most: int, label: str) -> tuple[Any, ...]:
    if not isinstance(entry, (tuple, list)) or not 2 <= len(entry) <= most:
        form = "(buffer, initializer, arguments" + (
            ", name[, region, shape])" if most == 6 else ")"
        )
        raise TypeError(f"{label} is {type(entry).__name__} {entry!r:.80}; give a tuple {form}")
    return (*entry, *[None] * (most - len(entry)))
