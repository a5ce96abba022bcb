"""Problems of a checkpoint, in sentences, derived from the verdicts on all its tensors together.

verdicts.py gives the verdict on one tensor.  audit.py calls this module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from .._core.arguments import nearest
from ..checkpoint.verify import Checked
from .expected import Expected, tied_to
from .verdicts import FAULTS, INITIAL, MISSING, NEVER_FILLED, OFF_LAW, ON_LAW, TWIN, UNKNOWN, Row

# With at least this many values, a sample shows whether two tensors are alike.
_ENOUGH = 256


class Seeds(NamedTuple):
    """The seed of the draws used in the comparison, and the seeds in the files' metadata."""

    used: int | None
    own: list[int]


def missing(what: Expected, there: set[str]) -> list[Row]:
    """Rows for the expected tensors that are in no file."""
    rows = [
        Row(name, MISSING, shape=law.shape, law=law.numbers(), detail="in no file")
        for name, law in what.laws.items()
        if name not in there and not tied_to(law)
    ]
    rows += [
        Row(name, MISSING, shape=one.shape, detail="in no file")
        for name, one in what.reference.items()
        if name not in there
    ]
    for number, row in enumerate(rows[:20]):  # limited: comparing a name with all others is slow
        hint = nearest(row.name, there)
        if hint:
            rows[number] = row._replace(detail=f"in no file; {hint}")
    return rows


def findings(
    what: Expected, rows: list[Row], compared: Mapping[str, Checked], seeds: Seeds
) -> list[str]:
    """The problems of the checkpoint, one sentence each; `compared` lists the tensors that were
    compared with their draws.
    """
    said = []
    random = [row for row in rows if row.name in what.laws and what.laws[row.name].random]
    drawn = [row for row in random if row.name in compared]
    initial = [row for row in drawn if row.verdict == INITIAL]
    if drawn and not initial:
        said.append(f"seed {seeds.used} fits none of the {len(drawn)} drawn tensors{_hint(seeds)}")
    there = [row for row in drawn if row.verdict == ON_LAW]
    changed = [row for row in there if _few_differ(compared[row.name])]
    again = [row for row in there if row not in changed]
    if initial and changed:
        text = _several(changed, "is its draw but for", "are their draws but for")
        said.append(f"{text} some values{_such(changed)}: {changed[0].detail}")
    if initial and again:
        text = _several(
            again, "has its law but not its draw", "have their laws but not their draws"
        )
        others = f"of seed {seeds.used}, as {len(initial)} others have"
        said.append(f"{text} {others}: drawn again{_such(again)}")
    moved = [row for row in random if row.verdict == OFF_LAW]
    stayed = [row for row in random if row.verdict == ON_LAW and math.prod(row.shape) > _ENOUGH]
    if stayed and 2 * len(moved) > len(random):
        text = _several(stayed, "is on its law", "are on their laws")
        among = f"where {len(moved)} others are not"
        said.append(f"{text}, {among}: never trained, or drawn again{_such(stayed)}")
    unlike = [
        row
        for row in rows
        if row.verdict == ON_LAW
        and row.correlation is not None
        and abs(row.correlation) < 0.5
        and math.prod(row.shape) >= _ENOUGH
    ]
    if unlike:
        text = _several(unlike, "is distributed as in", "are distributed as in")
        said.append(f"{text} {what.label}, with unrelated values: drawn again{_such(unlike)}")
    for verdict in FAULTS:
        of = [row for row in rows if row.verdict == verdict]
        if of:
            said.append(f"{_several(of, *_PHRASES[verdict])}{_such(of)}: {of[0].detail}")
    strange = [row for row in rows if row.verdict == UNKNOWN and row.test == "name or shape"]
    if strange:
        text = _several(
            strange, "has an unexpected name or shape", "have unexpected names or shapes"
        )
        said.append(f"{text}{_such(strange)}: {strange[0].detail}")
    return said


def _few_differ(checked: Checked) -> bool:
    """Whether most values match the draw, which means that the tensor was not redrawn."""
    return 2 * checked.different < checked.values


def _hint(seeds: Seeds) -> str:
    if not seeds.own:
        return "; the files do not say theirs"
    if seeds.used not in seeds.own:
        return f"; the files' metadata say {', '.join(map(str, seeds.own))}"
    return ", though it is the one in the files' metadata"


_PHRASES = {
    OFF_LAW: ("is off its law", "are off their laws"),
    NEVER_FILLED: ("was never filled", "were never filled"),
    TWIN: ("is a copy of another", "are copies of others"),
    MISSING: ("is missing", "are missing"),
}


def _several(rows: list[Row], one: str, many: str) -> str:
    return f"1 tensor {one}" if len(rows) == 1 else f"{len(rows)} tensors {many}"


def _such(rows: list[Row]) -> str:
    return f", {rows[0].name}" if len(rows) == 1 else f", such as {rows[0].name}"
