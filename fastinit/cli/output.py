"""What the commands print and write with: tables, figures, the error of what could not be done."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any


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


def wrapped(line: str) -> str:
    """A line of any length as lines of at most 80 columns, the further ones indented."""
    return textwrap.fill(
        line, 80, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def save_figure(path: str, figure: Any, report: Mapping[str, Any]) -> str:
    """Write a figure, and its numbers beside it as .json, whose path is returned."""
    from .._core import new_file
    from .._core.tables import as_json
    from ..diagnostics import figures

    figures.save(figure, path)
    beside = os.path.splitext(path)[0] + ".json"
    new_file.write_file(beside, as_json(report).encode())
    return beside
