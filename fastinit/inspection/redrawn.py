"""Tensors compared with their draws: bit for bit, by a digest, or as a draw that was converted.

../checkpoint/draw.py draws.  audit.py uses the results.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from .._core import dtypes, safetensors
from .._core.draws import Draw
from .._core.dtypes import DType
from .._laws import Law
from ..checkpoint.blocks import Patched
from ..checkpoint.draw import COMPARED, SAMPLED, draw_file
from ..checkpoint.index import Found
from ..checkpoint.plan import File, file_of
from ..checkpoint.spec import Entry, not_here
from ..checkpoint.verify import NOT_HERE, Checked, by_digest, check_file, seed_of
from ..pretrained import convert
from ..typing import Array
from .expected import Expected, in_dtype, is_pattern
from .stored import Stored
from .verdicts import INITIAL, OFF_LAW, ON_LAW, UNKNOWN, Row

Progress = Callable[[int], None]


def compare(
    found: Iterable[Found],
    what: Expected,
    seed: int | None,
    threads: int,
    advance: Progress,
) -> dict[str, Checked]:
    """Compare tensors with their draws; stop after the first values of a long one if they differ.

    Without a seed, compare only patterns that do not depend on a seed.
    """
    compared: dict[str, Checked] = {}
    for one in found:
        entries: dict[str, Entry] = {}
        for tensor in one.layout.tensors:
            entry = what.entries.get(tensor.name)
            entry = None if entry is None else in_dtype(entry, tensor.dtype)
            if entry is None or entry.shape != tensor.shape or entry.rule is not_here:
                continue
            if entry.nbytes and (seed is not None or is_pattern(entry)):
                entries[tensor.name] = entry
        short = {
            name: entry
            for name, entry in entries.items()
            if isinstance(entry.rule, (Draw, Patched)) and entry.nbytes > SAMPLED
        }
        firsts = check_file(one.path, _firsts(_part(one, short)), seed or 0, threads, _ignore)
        compared |= {checked.name: checked for checked in firsts}
        rest = {name: entry for name, entry in entries.items() if compared.get(name, True)}
        whole = check_file(one.path, _part(one, rest), seed or 0, threads, advance)
        compared |= {checked.name: checked for checked in whole}
        computed = [
            Checked(tensor.name, one.path, 0, 0, reason=NOT_HERE)
            for tensor in one.layout.tensors
            if _has_digest(what.entries.get(tensor.name), tensor.shape, tensor.dtype)
        ]
        if "fastinit.seed" in one.metadata and seed_of(one) == seed:
            digests = by_digest(computed, one, what.entries, advance)
            compared |= {checked.name: checked for checked in digests}
    return compared


def _has_digest(entry: Entry | None, shape: tuple[int, ...], dtype: DType) -> bool:
    """Whether the entry has a digest of the values that the model's code computed."""
    same = entry is not None and (entry.shape, entry.dtype) == (shape, dtype)
    return same and entry is not None and entry.rule is not_here and "digest" in entry.arguments


def _ignore(_: int) -> None:
    pass


def _part(one: Found, entries: Mapping[str, Entry]) -> File:
    """The file with only the tensors of these entries."""
    kept = tuple(tensor for tensor in one.layout.tensors if tensor.name in entries)
    layout = one.layout._replace(tensors=kept)
    return file_of(os.path.basename(one.path), layout, dict(entries))


def _firsts(file: File) -> File:
    """The first values of each long tensor of a file, as tensors of one axis."""
    cut = []
    for tensor in file.layout.tensors:
        if tensor.end - tensor.begin > SAMPLED:
            shape = (SAMPLED // tensor.dtype.itemsize,)
            tensor = tensor._replace(shape=shape, end=tensor.begin + SAMPLED)
        cut.append(tensor)
    return file._replace(layout=file.layout._replace(tensors=tuple(cut)))


def converted(row: Row, one: Stored, entry: Entry, seed: int, threads: int) -> Row:
    """The row of a tensor that follows its law: "initial" if it holds the draw of another dtype, as
    in a converted model.
    """
    for dtype in dtypes.FLOATING:
        drawn = None if dtype is one.dtype else in_dtype(entry, dtype)
        if drawn is None or not isinstance(drawn.rule, (Draw, Patched)):
            continue
        layout = safetensors.layout([(one.name, dtype, one.shape)])
        file = file_of("", layout, {one.name: drawn})
        if all(_holds(one, part, seed, threads) for part in (_firsts(file), file)):
            detail = f"equals its {dtype.name} draw, converted to {row.dtype}"
            return row._replace(verdict=INITIAL, detail=detail)
    return row


def _holds(one: Stored, file: File, seed: int, threads: int) -> bool:
    """Whether a tensor's values, or the first of a long one, are the file's values, converted."""
    (tensor,) = file.layout.tensors
    different: list[int] = []

    def take(begin: int, expected: Array) -> None:
        assert not isinstance(one.dtype, str) and one.read is not None
        first = (begin - tensor.begin) // tensor.dtype.itemsize
        bits = expected.view(tensor.dtype.unsigned.newbyteorder("<")).astype(tensor.dtype.unsigned)
        bits = convert(bits.view(tensor.dtype.numpy()), tensor.dtype, one.dtype)
        if not different and not np.array_equal(bits, one.read(first, first + len(bits))):
            different.append(first)

    draw_file(file, seed, threads, take, span=COMPARED)
    return not different


def drawn(row: Row, seed: int | None) -> Row:
    """The row of a tensor that equals its draw."""
    if seed is None:
        return row._replace(verdict=ON_LAW, detail="equals its pattern bit for bit")
    return row._replace(verdict=INITIAL, detail="equals its draw bit for bit")


def undrawn(row: Row, checked: Checked, law: Law | None, seed: int | None, fits: bool) -> Row:
    """The row of a tensor that differs from its draw.

    If no distribution can be tested, as for values that a model's code computes, the values must
    equal the draw.  `fits` says whether the seed matches other tensors, or does not matter.
    """
    if row.verdict == ON_LAW and law is not None and law.random:
        share = f"{checked.different} of {checked.values} values compared"
        return row._replace(detail=f"{row.detail}; not its draw of seed {seed}: {share} differ")
    if row.verdict != UNKNOWN or not fits:
        return row
    if checked.reason:
        return row._replace(verdict=OFF_LAW, test="draw", p=0.0, detail=checked.reason)
    place = ", ".join(map(str, checked.place or ()))
    detail = (
        f"{checked.different} of {checked.values} values are not those of its draw, first at "
        f"[{place}]: {checked.found:.6g}, expected {checked.expected:.6g}"
    )
    return row._replace(
        verdict=OFF_LAW,
        test="draw",
        expected=float(checked.expected),
        found=float(checked.found),
        p=0.0,
        detail=detail,
    )
