"""fill: many tensors in one parallel batch, each with the bits of a single call.

_core/fill.py fills one tensor; _table.py knows the initializers by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._core import buffers, engine
from ._core.arguments import check_progress, described, shown
from ._core.draws import Draw
from ._core.engine import guarded
from ._core.fill import Rule, Target, decide, job, target, write
from ._core.stream import check_seed, stream_id
from .pretrained import find_rest_by
from .typing import Box, Seed, Sizes, Write

if TYPE_CHECKING:
    from ._core.tables import Table


class Filled(NamedTuple):
    """One fill in a report; call() gives the call that draws the same values again.

    Attributes
    ----------
    name : str, int or None
        The tensor's name.
    initializer : str
        The initializer's public name.
    arguments : dict
        The initializer's own arguments.
    shape : tuple of int
        Sizes of the whole tensor; of the part, where a part of the tensor is filled by itself.
    region : tuple of slice
        The part of `shape` that was filled; for a shard it is not the whole.
    dtype : str
        The tensor's dtype.
    stream : str, int or None
        The ``name=`` that draws it again: the tensor's name, or that of the part.
    values : int
        The number of values that were filled.
    """

    name: str | int | None
    initializer: str
    arguments: dict[str, Any]
    shape: Sizes
    region: Box
    dtype: str
    stream: str | int | None
    values: int

    def call(self, seed: int) -> str:
        """The call that draws these values, as text."""
        own = "".join([f"{key}={value!r}, " for key, value in self.arguments.items()])
        whole = tuple([slice(0, size, 1) for size in self.shape])
        region = "" if self.region == whole else f"region={self.region!r}, "
        return (
            f"fi.{self.initializer}({self.shape}, {own}{region}seed={seed}, "
            f"name={self.stream!r}, dtype={self.dtype!r})"
        )


class Report(NamedTuple):
    """What a fill of many tensors did: returned by fill() and fastinit.torch.materialize_().

    Attributes
    ----------
    filled : tuple of Filled
        Every fill, in order.
    values : int
        The number of values that this process filled.
    bytes : int
        The size of the memory that this process filled.
    seconds : float
        The time that it took.
    seed : int
        The seed that was used.
    tied : dict
        For each other name of a tied parameter, the name under which it is drawn.
    skipped : tuple of str
        Parameters that already had memory, and kept their values.
    unknown : tuple of str
        Buffers, and parameters of dtypes without a draw, that were left as they were, because
        nothing says what they should hold.
    computed : tuple of str
        Parameters that the model's own code computes, from draws or without.
    restored : tuple of str
        Buffers that got the values that the model's own code gives them.
    repeated : tuple of str
        Streams that an earlier call drew with this seed for another module that still exists: the
        two have equal weights where their shapes are equal. Give ``prefix=`` to tell them apart.

    Notes
    -----
    In a report of fill() the fields from `tied` on are empty.
    """

    filled: tuple[Filled, ...]
    values: int
    bytes: int
    seconds: float
    seed: int
    tied: dict[str, str]
    skipped: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str | int | None, ...]:
        """The stream names that were used."""
        return tuple(dict.fromkeys([line.stream for line in self.filled]))

    def table(self) -> Table:
        """What was done, the fills, and names that need a look."""
        from ._core.tables import Table  # on demand: importing fastinit does without

        unnamed = [line for line in self.filled if line.name is None]
        count = len(unnamed) + len({line.name for line in self.filled} - {None})
        caption = (
            f"{count} tensors, {self.values:,} values, {self.bytes:,} bytes, "
            f"{self.seconds:.3g} s, seed {self.seed}"
        )
        rows = [
            (
                str(line.stream),
                line.initializer,
                str(line.shape),
                line.dtype,
                ", ".join([f"{key}={shown(value)[:40]}" for key, value in line.arguments.items()]),
            )
            for line in self.filled
        ]
        notes = []
        for what, names in (
            ("skipped, already real", self.skipped),
            ("computed by the model's code", self.computed),
            ("buffers restored", self.restored),
            ("unknown, left as they were", self.unknown),
            ("drawn before for another module; prefix= tells them apart", self.repeated),
        ):
            if names:
                more = ", ..." if len(names) > 4 else ""
                notes.append(f"{what}: {len(names)} ({', '.join(names[:4])}{more})")
        return Table(caption, ("tensor", "initializer", "shape", "dtype", "arguments"), rows, notes)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


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
        the function; `arguments` is a dict of its own arguments; with a region, give the shape.
    seed : int, optional
        One seed for all tensors. None draws a new seed, which the report holds.
        Functions that fill whole models have seed 0 by default.
    threads : int, optional
        The most threads to use; their number does not change the bits.
    progress : callable, optional
        Called repeatedly with the number of values drawn since the last call.

    Returns
    -------
    Report
        What was filled, and how to draw it again.

    Raises
    ------
    TypeError, ValueError
        Anything that an initializer would raise, with the entry named; buffers that overlap. It is
        raised before a byte is written.

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
    >>> report = fi.fill({"w": (w, "he_normal"), "b": (b, "zeros")}, seed=0)
    >>> report.values
    6
    >>> report.filled[0].call(report.seed)
    "fi.he_normal((2, 2), seed=0, name='w', dtype='float32')"
    """
    return fill_entries(entries, _named_rule, seed=seed, threads=threads, progress=progress)


def _named_rule(initializer: Any) -> tuple[str, Rule]:
    # Not at the top: the table imports every recipe (see __init__.__getattr__).
    from ._table import checked_rule, lookup

    function = lookup(initializer)
    return function.__name__, checked_rule(function)


find_rest_by(lambda initializer: _named_rule(initializer)[1])


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
    check_progress(progress)
    todo: list[tuple[Target, Draw | Write, int]] = []
    filled: list[Filled] = []
    labels: list[str] = []
    for number, (buffer, initializer, arguments, name, region, shape) in enumerate(
        _entries(entries)
    ):
        label = f"entry {number}" if name is None else f"entry {shown(name)}"
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
            advice = ""
            if isinstance(initializer, (tuple, list)) and len(initializer) == 2:
                apart = ", ".join(map(shown, initializer))
                advice = f"; of a pair give both parts in the entry: (buffer, {apart})"
            raise type(error)(f"{label}: {error}{advice}") from error
        labels.append(label)
        todo.append((where, result, stream))
        filled.append(
            Filled(
                name,
                public,
                arguments,
                where.shape,
                where.region,
                where.dtype.name,
                name,
                where.view.size,
            )
        )
    buffers.check_apart([(label, item[0].view) for label, item in zip(labels, todo, strict=True)])

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
    values = sum([line.values for line in filled])
    size = sum([where.view.nbytes for where, _, _ in todo])
    return Report(tuple(filled), values, size, time.perf_counter() - began, seed, {})


def _entries(entries: Any) -> Iterable[tuple[Any, ...]]:
    """(buffer, initializer, arguments, name, region, shape) of every entry, in either form."""
    if isinstance(entries, Mapping):
        return [
            (*_entry(entry, 3, f"entry {shown(name)}"), name, None, None)
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
        raise TypeError(f"{label} is {described(entry)}; give a tuple {form}")
    return (*entry, *[None] * (most - len(entry)))
