"""Formats any report as text of at most 80 columns, as HTML for notebooks, and as JSON.

A report converts itself to a Table; its repr is the table's text.  The commands print the same
tables.  This module does not know the reports and imports nothing that would delay a fill.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

WIDTH = 80  # columns of a terminal
MOST = 20  # rows in a repr and in notebooks; the commands show all rows
_LEAST = 8  # characters that a column keeps
_TEXT = 18  # characters that are enough for a text of several lines

Row = Sequence[str]
T = TypeVar("T")


class Table(NamedTuple):
    """What a report shows: lines above, the table, lines below."""

    caption: str  # lines
    head: Row
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def text(self, most: int | None = MOST) -> str:
        """The table with at most `most` rows; None for all."""
        lines = [folded(line) for line in self.caption.splitlines()]
        shown = list(self.rows[:most])
        lines += _columns(self.head, shown) if shown else []
        return "\n".join([*lines, *self._more(shown), *map(folded, self.notes)])

    def html(self) -> str:
        """The same for a notebook."""
        from html import escape  # on demand: a fill's report does not wait for it

        def line(cell: str, row: Row) -> str:
            return "<tr>" + "".join(f"<{cell}>{escape(one)}</{cell}>" for one in row) + "</tr>"

        shown = list(self.rows[:MOST])
        caption = "<br>".join(map(escape, self.caption.splitlines()))
        lines = [f"<table><caption>{caption}</caption>"]
        if shown:
            lines += [f"<thead>{line('th', self.head)}</thead>", "<tbody>"]
            lines += [*(line("td", row) for row in shown), "</tbody>"]
        notes = [f"<p>{escape(note)}</p>" for note in (*self._more(shown), *self.notes)]
        return "\n".join([*lines, "</table>", *notes])

    def _more(self, shown: Sequence[Row]) -> list[str]:
        left = len(self.rows) - len(shown)
        return [f"… and {left} more"] if left else []


class Rows(list[T]):
    """A list of results with a table as its repr; otherwise it behaves like a list."""

    def __init__(self, rows: Iterable[T], table: Callable[[Sequence[T]], Table]):
        super().__init__(rows)
        self._table = table

    def __repr__(self) -> str:
        return self._table(self).text()

    def _repr_html_(self) -> str:
        return self._table(self).html()


def folded(line: str) -> str:
    """A line as lines of at most WIDTH columns, the further ones indented; words stay whole."""
    return textwrap.fill(
        line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _columns(head: Row, rows: Sequence[Row]) -> list[str]:
    """Head and rows in columns with two spaces between them, numbers to the right.

    If the table is too wide, text in the last column wraps to more lines.  Then the widest columns
    lose characters: the first column as _short() says, other columns at the end.
    """
    width = [min(max(map(len, column)), WIDTH) for column in zip(head, *rows, strict=True)]
    right = [_is_numbers(column) for column in zip(*rows, strict=True)]
    while sum(width) + 2 * (len(width) - 1) > WIDTH and max(width) > _LEAST:
        goes_on = width[-1] > _TEXT and not right[-1]
        width[-1 if goes_on else width.index(max(width))] -= 1
    lines = []
    for row in (head, *rows):
        cells = [
            (_cut if place else _short)(cell, size)
            for place, (cell, size) in enumerate(zip(row, width, strict=True))
        ]
        further: list[str] = []
        if len(row[-1]) > width[-1] and not right[-1]:
            cells[-1], *further = textwrap.wrap(row[-1], width[-1], break_on_hyphens=False)
        padded = [
            cell.rjust(size) if to_right else cell.ljust(size)
            for cell, size, to_right in zip(cells, width, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
        indent = " " * (sum(width[:-1]) + 2 * (len(width) - 1))
        lines += [indent + text for text in further]
    return lines


def _is_numbers(column: Sequence[str]) -> bool:
    """Whether most of the cells begin as numbers do."""
    return 2 * sum(bool(re.match(r"[-+]?[.\d]", cell)) for cell in column) > len(column)


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else f"{cell[: size - 1]}…"


def _short(name: str, size: int) -> str:
    """A tensor's name in `size` characters: the words before the last are cut to one letter from
    the left, as far as is needed.  The numbers stay, since they tell the layers apart: "m.l.10.mlp.
    weight".  What is still too long loses its middle.
    """
    parts = name.split(".")
    for place, part in enumerate(parts[:-1]):
        if len(".".join(parts)) <= size:
            break
        if not any(map(str.isdigit, part)):
            parts[place] = part[:1]
    name = ".".join(parts)
    if len(name) <= size:
        return name
    begin = size // 3
    return f"{name[:begin]}…{name[len(name) - (size - begin - 1) :]}"


def as_json(report: Mapping[str, Any]) -> str:
    """A report as JSON; JSON lacks infinity and NaN, so they become null."""
    import json

    return json.dumps(finite(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """Plain data with infinity and NaN replaced by None."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and value - value != 0.0 else value
