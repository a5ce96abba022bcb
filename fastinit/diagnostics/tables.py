"""Reports as text of at most 80 columns, as HTML and as JSON, whatever they show."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Sequence[str]


def text(head: Row, rows: Sequence[Row], width: int = 80) -> str:
    """Columns with two spaces between them: the first on the left, the others on the right. The
    first column is cut where the table would be wider than `width`.
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    first = widths[0] = max(widths[0] - max(over, 0), len(head[0]), 8)

    def line(row: Row) -> str:
        name = row[0]
        if len(name) > first:
            # The end of a dotted name says more than its beginning.
            begin = first // 5
            name = f"{name[:begin]}…{name[len(name) - (first - begin - 1) :]}"
        cells = [cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True)]
        return "  ".join([name.ljust(first), *cells]).rstrip()

    return "\n".join(map(line, (head, *rows)))


def as_html(caption: str, head: Row, rows: Sequence[Row]) -> str:
    """The same as an HTML table."""

    def line(cell: str, row: Row) -> str:
        return "<tr>" + "".join(f"<{cell}>{html.escape(one)}</{cell}>" for one in row) + "</tr>"

    return "\n".join(
        [
            f"<table><caption>{html.escape(caption)}</caption>",
            f"<thead>{line('th', head)}</thead>",
            "<tbody>",
            *(line("td", row) for row in rows),
            "</tbody></table>",
        ]
    )


def as_json(report: Mapping[str, Any]) -> str:
    """A report as JSON, which has no infinity and no NaN: they become null."""
    return json.dumps(_finite(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
