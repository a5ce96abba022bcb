"""audit(): a verdict on every tensor of a checkpoint, and problems of the checkpoint as a whole.

expected.py says what each tensor should be.  redrawn.py compares tensors with their draws.  For the
tensors that differ from their draw, statistics.py measures and verdicts.py judges.  twins.py looks
for copies.  findings.py draws conclusions from all verdicts together.  This module prints nothing.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from .._core import engine
from .._core.arguments import nearest, path_text, shown
from .._core.progress import one_at_a_time
from .._core.stream import check_seed
from .._core.tables import Table, as_json
from .._laws import Law, fold
from ..checkpoint import files
from ..checkpoint.config import CONFIG
from ..checkpoint.index import Found
from ..checkpoint.verify import seed_of
from ..typing import Array, PathLike, Seed
from . import findings, redrawn, verdicts
from .expected import Expected, expected, is_array_file, is_pattern, patches, tied_to
from .laws import Described
from .redrawn import Progress
from .statistics import Statistics, Tally
from .stored import Stored, tensors
from .twins import Twin, decoded, sample, twins
from .verdicts import INITIAL, OFF_LAW, ON_LAW, TWIN, UNKNOWN, Row, judge, judge_against


class Audit(NamedTuple):
    """What audit() found; true where nothing speaks against the checkpoint.

    Attributes
    ----------
    path, against : str
        What was audited, and what it was held against; "" for nothing.
    seed : int or None
        Of the draws that were compared.
    findings : tuple of str
        What is wrong, a sentence each.
    rows : tuple of Row
        Every tensor, in the order of the files, then those that are missing.
    """

    path: str
    against: str
    seed: int | None
    findings: tuple[str, ...]
    rows: tuple[Row, ...]

    def __bool__(self) -> bool:
        return not self.findings

    def json(self) -> str:
        """All of it as JSON."""
        rows = [row._asdict() for row in self.rows]
        return as_json({**self._asdict(), "rows": rows}).rstrip("\n")

    def table(self) -> Table:
        """The findings, then the tensors by their verdicts, those that are alike in one row."""
        against = f" against {self.against}" if self.against else ""
        drawn_by = "" if self.seed is None else f", seed {self.seed}"
        found = [f"{self.path}{against}{drawn_by}", *(f"! {text}" for text in self.findings)]
        rows, counts = [], []
        for verdict in verdicts.ORDER:
            same = [row for row in self.rows if row.verdict == verdict]
            said = verdict not in (INITIAL, ON_LAW)
            # A hint names one tensor: with it, layers that are alike would not share a row.
            why = {
                row.name: row.detail.partition("; did you mean")[0] if said else "" for row in same
            }
            for group in fold(
                Law(row.name, 1, row.shape, verdict, rule=why[row.name]) for row in same
            ):
                shape = "×".join(map(str, group.shape))
                rows.append((group.name, str(group.tensors), shape, verdict, group.rule))
            if same:
                counts.append(f"{len(same)} {verdict}")
        head = ("tensor", "tensors", "shape", "verdict", "evidence")
        summary = f"{len(self.rows)} tensors: {', '.join(counts) or 'none'}"
        return Table("\n".join(found), head, rows, [summary])

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


@engine.guarded
def audit(
    path: PathLike,
    against: Described | None = None,
    *,
    seed: Seed | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Say of every tensor whether it is its initial draw, follows its law, or was never filled.

    Parameters
    ----------
    path : path
        A safetensors or npz file, or a folder of safetensors files.
    against : str, path, mapping, Spec, list of Law, or model, optional
        What the tensors should be: anything that laws() accepts, or another checkpoint; None is
        what the files' own metadata say. With a checkpoint of another writer, each tensor is
        compared with the one of its name there.
    seed : Seed, optional
        None is the seed in the metadata. Without one no drawn tensor can be its initial draw.
    threads : int, optional
        The most threads to use.
    progress : callable, optional
        Called with the number of bytes looked at since the last call, from one thread at a time.

    Returns
    -------
    Audit
        True if there is no finding.

    Raises
    ------
    ValueError
        A damaged file; a mistake in `against`, or none of its tensors is in the file.
    OSError
        A file that cannot be read.

    See Also
    --------
    fastinit.checkpoint.verify : Only whether every tensor is its draw.
    laws : What tensors should be.

    Notes
    -----
    A sound checkpoint gives a finding less than once in a million times, whatever its size: every
    p-value is an upper bound, corrected for the number of tests. That holds for values drawn each
    alone in float32 or float64 and then rounded; two checkpoints are compared by the normal limit.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastinit import checkpoint, inspection
    >>> spec = {"tensors": {"a": [64, 64], "b": [64, 64]},
    ...         "rules": [{"match": "*", "initializer": "normal", "std": 0.02}]}
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> _ = checkpoint.materialize(spec, path, seed=0)
    >>> [(row.name, row.verdict) for row in inspection.audit(path).rows]
    [('a', 'initial'), ('b', 'initial')]
    >>> halved = {**spec, "rules": [{"match": "*", "initializer": "normal", "std": 0.01}]}
    >>> print(inspection.audit(path, halved).rows[0].detail)
    std 0.0201131, expected 0.01
    """
    count, advance = engine.thread_count(threads), one_at_a_time(progress)
    stored = list(tensors(path))
    what = expected(path, against, {one.name for one in stored})
    _check_fit(stored, what)
    found = [] if is_array_file(path) else files(path, lenient=True)
    own = _seeds_in(found)
    if seed is None and len(own) > 1:
        raise ValueError(
            f"the files have the seeds {', '.join(map(str, own))}; they are not of one checkpoint, "
            "unless seed= (--seed) says which is meant"
        )
    drawn_by = check_seed(seed) if seed is not None else next(iter(own), None)
    compared = redrawn.compare(found, what, drawn_by, count, advance)
    initial = {name for name, checked in compared.items() if checked}
    fits_seed = any(what.laws[name].random for name in initial & what.laws.keys())
    # If every tensor equals its draw, no tensor is a copy of another.
    apart = any(one.name not in initial for one in stored)
    pairs = _pairs(stored, what, initial, _ties_heads(path)) if apart else {}
    todo = [one for one in stored if one.name not in initial and one.name not in pairs]
    measured = _measure(todo, what.laws, count, advance)
    others = _measure(
        [what.reference[one.name] for one in todo if one.name in what.reference], {}, count, advance
    )
    tests = max(1, len(stored)) * verdicts.TESTS
    rows = []
    for one in stored:
        law = what.laws.get(one.name)
        dtype = one.dtype if isinstance(one.dtype, str) else one.dtype.name
        known = "" if law is None else law.numbers()
        row = Row(one.name, UNKNOWN, os.path.basename(one.file), dtype, one.shape, known)
        if one.name in initial:
            row = redrawn.drawn(row, drawn_by)
        elif one.name in pairs:
            row = _twin(row, pairs[one.name], law)
        elif what.reference:
            row = _held(row, one, what, measured, others, tests)
        else:
            row = _judged(row, one, what, measured.get(one.name), tests)
            if one.name in compared:
                entry = what.entries[one.name]
                fits = fits_seed or is_pattern(entry) or bool(compared[one.name].reason)
                row = redrawn.undrawn(row, compared[one.name], law, drawn_by, fits)
                due = drawn_by is not None and law is not None and law.random
                if due and row.verdict == ON_LAW:
                    row = redrawn.converted(row, one, entry, drawn_by or 0, count)
        rows.append(row)
    rows += findings.missing(what, {row.name for row in rows})
    seeds = findings.Seeds(drawn_by, own)
    said = findings.findings(what, rows, compared, seeds)
    return Audit(path_text(path), what.label, drawn_by, tuple(said), tuple(rows))


def _check_fit(stored: list[Stored], what: Expected) -> None:
    """Raise ValueError if the file contains none of the expected tensors."""
    known = what.laws.keys() or what.reference.keys()
    there = {one.name for one in stored}
    if not known or there & known:
        return
    ours = [
        f"{shown(name)}{f' ({hint})' if (hint := nearest(name, known)) else ''}"
        for name in sorted(there)[:3]
    ]
    theirs = [shown(name) for name in sorted(known)[:3]]
    raise ValueError(
        f"the file and {what.label} have no name in common: the file has {', '.join(ours)}; "
        f"expected were {', '.join(theirs)}"
    )


def _seeds_in(found: Iterable[Found]) -> list[int]:
    """The seeds in the files' metadata."""
    return sorted({seed_of(one) for one in found if "fastinit.seed" in one.metadata})


# ------------------------------------------------------------------------------------------- copies


def _ties_heads(path: PathLike) -> bool:
    """Whether a config beside the files ties the input and the output embedding."""
    name = path_text(path)
    folder = name if os.path.isdir(name) else os.path.dirname(name)
    try:
        with open(os.path.join(folder, CONFIG), encoding="utf-8") as file:
            return bool(json.load(file).get("tie_word_embeddings", True))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


# Words in the names of input embeddings.  A tied output head is a copy of an input embedding.
_EMBEDDINGS = ("embed", "wte", "shared")


def _pairs(
    stored: list[Stored], what: Expected, initial: set[str], tied_heads: bool
) -> dict[str, Twin]:
    """Unexpected copies and declared copies, each by the name of the copy."""
    found: dict[str, Twin] = {}
    for twin in twins(stored):
        if twin.second in initial:  # the second equals its draw, so the first is the copy
            factor = None if twin.factor is None else 1.0 / twin.factor
            twin = Twin(twin.second, twin.first, factor)
        laws = [what.laws.get(name) for name in (twin.first, twin.second)]
        tied = [law and tied_to(law) for law in laws]
        if twin.first in tied or twin.second in tied:
            copy = twin.first if tied[0] else twin.second
            other = twin.second if tied[0] else twin.first
            found[copy] = Twin(other, copy, twin.factor)
            continue
        if twin.second in initial or twin.second in what.reference:
            continue
        # Equal values are expected of patterns and of what a model computes alike in every layer.
        if laws[1] is not None and not laws[1].random:
            continue
        if (
            tied_heads
            and twin.factor is None
            and any(word in name for word in _EMBEDDINGS for name in (twin.first, twin.second))
        ):
            continue
        found[twin.second] = twin
    return found


def _twin(row: Row, twin: Twin, law: Law | None) -> Row:
    times = "bit for bit" if twin.factor is None else f"times {twin.factor:.6g}"
    detail = f"equals {twin.first} {times}"
    declared = law is not None and tied_to(law) == twin.first and twin.factor is None
    return row._replace(verdict=ON_LAW if declared else TWIN, twin=twin.first, detail=detail)


# ------------------------------------------------------------------------------------------ numbers


def _measure(
    todo: Iterable[Stored], laws: Mapping[str, Law], threads: int, advance: Progress
) -> dict[str, Statistics]:
    """Measure tensors, leaving out the blocks of constants in their laws."""
    results: dict[str, Statistics] = {}

    def items() -> Iterator[tuple[Stored, Tally, int]]:
        for one in todo:
            if isinstance(one.dtype, str) or one.read is None or not math.prod(one.shape):
                continue
            law = laws.get(one.name)
            part = _without_blocks(one, law) if law is not None and law.blocks else one
            if part is None or part.read is None or not math.prod(part.shape):
                continue
            tally = Tally(one.dtype, part.shape)
            yield from ((part, tally, chunk) for chunk in range(tally.chunks))

    def work(item: tuple[Stored, Tally, int]) -> None:
        one, tally, chunk = item
        begin, end = tally.span(chunk)
        assert one.read is not None
        if tally.add(chunk, one.read(begin, end)):
            results[one.name] = tally.result()
        advance((end - begin) * tally.dtype.itemsize)

    engine.map_tasks(work, items(), threads)
    return results


def _without_blocks(one: Stored, law: Law) -> Stored | None:
    """The values outside the blocks, as a 1-D tensor; None if there are too many blocks."""
    read = one.read
    over = None if law.shape != one.shape or isinstance(one.dtype, str) else patches(law, one.dtype)
    if over is None or read is None:
        return None
    kept, at = [], 0
    for first, stop, _ in sorted(over, key=lambda patch: patch[:2]):
        if first > at:
            kept.append((at, first))
        at = max(at, stop)
    if at < math.prod(one.shape):
        kept.append((at, math.prod(one.shape)))
    starts = np.cumsum([0, *(stop - first for first, stop in kept)])

    def part(begin: int, end: int) -> Array:
        found = []
        at = int(np.searchsorted(starts, begin, "right")) - 1
        while begin < end:
            stop = min(end, int(starts[at + 1]))
            shift = kept[at][0] - int(starts[at])
            found.append(read(begin + shift, stop + shift))
            begin, at = stop, at + 1
        return np.concatenate(found)

    return one._replace(shape=(int(starts[-1]),), read=part)


_NAME_OR_SHAPE = "name or shape"


def _judged(row: Row, one: Stored, what: Expected, found: Statistics | None, tests: int) -> Row:
    """Judge a tensor by its statistics, if both they and its law are known."""
    law = what.laws.get(one.name)
    if isinstance(one.dtype, str):
        return row._replace(detail=f"its dtype {one.dtype} is not known here")
    if law is not None and law.shape != one.shape:
        return row._replace(
            test=_NAME_OR_SHAPE, detail=f"has shape {one.shape}, not {law.shape} as in {what.label}"
        )
    if not math.prod(one.shape):
        return row._replace(detail="it holds no values")
    if law is not None and tied_to(law):
        detail = f"should equal {tied_to(law)}, and does not"
        return row._replace(verdict=OFF_LAW, twin=tied_to(law), detail=detail)
    if found is None:
        return row._replace(detail="its blocks of constants are too many to leave out")
    row = judge(row, found, law, one.dtype, tests)
    if law is None and what.laws and row.verdict == UNKNOWN:
        hint = nearest(one.name, what.laws)
        return row._replace(
            test=_NAME_OR_SHAPE, detail=f"not in {what.label}{f'; {hint}' if hint else ''}"
        )
    if law is not None and law.blocks and row.verdict == ON_LAW:
        wrong = _wrong_block(one, law)
        if wrong:
            return row._replace(verdict=OFF_LAW, test="constant", p=0.0, detail=wrong)
    return row


def _wrong_block(one: Stored, law: Law) -> str:
    """What is wrong with the blocks of constants in a law; "" if nothing is wrong."""
    assert not isinstance(one.dtype, str) and one.read is not None
    over = patches(law, one.dtype) or []
    ends = np.array([patch[:2] for patch in over], np.int64).reshape(-1, 2)
    for number, (first, stop, bits) in enumerate(over):
        there = one.read(first, stop)
        wrong = there != bits
        later = ends[number + 1 :]  # where blocks overlap, the later one applies
        for begin, end in later[(later[:, 0] < stop) & (later[:, 1] > first)]:
            wrong[max(begin - first, 0) : max(end - first, 0)] = False
        if wrong.any():
            at = int(np.argmax(wrong))
            index = ", ".join(str(int(size)) for size in np.unravel_index(first + at, one.shape))
            value = float(decoded(there[at : at + 1], one.dtype)[0])
            return f"at [{index}] is {value:.6g}, where a constant is due"
    return ""


def _held(
    row: Row,
    one: Stored,
    what: Expected,
    measured: Mapping[str, Statistics],
    others: Mapping[str, Statistics],
    tests: int,
) -> Row:
    """Judge a tensor against the tensor of the same name in another checkpoint."""
    other = what.reference.get(one.name)
    if isinstance(one.dtype, str):
        return row._replace(detail=f"its dtype {one.dtype} is not known here")
    if other is None:
        hint = nearest(one.name, what.reference)
        return row._replace(
            test=_NAME_OR_SHAPE, detail=f"not in {what.label}{f'; {hint}' if hint else ''}"
        )
    if one.shape != other.shape:
        return row._replace(
            test=_NAME_OR_SHAPE,
            detail=f"has shape {one.shape}, not {other.shape} as in {what.label}",
        )
    if one.name not in measured or other.name not in others:
        return row._replace(detail="it holds no values")
    ours, theirs = (_centred(tensor) for tensor in (one, other))
    likeness = float(ours @ theirs)
    return judge_against(row, measured[one.name], others[one.name], likeness, tests)


def _centred(one: Stored) -> Array:
    """A sample of the values, with the mean subtracted and scaled to length 1."""
    assert not isinstance(one.dtype, str)
    bits = sample(one, math.prod(one.shape))
    values = decoded(bits, one.dtype) if one.dtype.is_float else bits.astype(np.float64)
    values = np.nan_to_num(values - values.mean())
    return values / (float(np.sqrt(np.square(values).sum())) or 1.0)
