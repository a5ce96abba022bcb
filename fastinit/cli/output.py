"""What the commands print with: a table, and the error of what could not be done."""

from __future__ import annotations

from collections.abc import Sequence


class Failed(Exception):
    """Something could not be done, and the message says what: exit status 1."""


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """The rows in aligned columns; those whose numbers are in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            word.rjust(width) if column in right else word.ljust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
