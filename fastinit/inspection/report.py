"""The report of inspect, audit, laws or drift: one HTML page that needs no network, and figures.

Rows are plain mappings, so this module does not depend on those commands.  A row holds `name` and
`findings`, numbers under any names, a histogram as `edges` and `counts`, and a Law as `law`.  The
law's density is drawn over the histogram.  The template of the page is report.html.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from .._core import new_file
from .._core.arguments import shown_path
from .._laws import Law
from ..diagnostics import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]

BINS = 48  # at most, per histogram: a page with 1,000 tensors must stay below 2 MB
DIGITS = 4  # per number on the page
_APART = ("name", "findings", "edges", "counts", "law")  # not shown as columns
_NUMBER = re.compile(r"(?:^|[./])([0-9]{1,6})(?=[./]|$)")


def check(html: str | None, plot: str | None) -> None:
    """Before any work, raise ValueError or OSError if files of these names cannot be written."""
    if html is not None:
        if not html.lower().endswith((".html", ".htm")):
            raise ValueError(f"--html {shown_path(html)}: give a name that ends in .html")
        new_file.check_target(html, force=True)
    if plot is not None:
        figures.check(plot)


def write(
    title: str,
    rows: Sequence[Row],
    *,
    measure: str,
    findings: Sequence[str] = (),
    html: str | None = None,
    plot: str | None = None,
) -> None:
    """Write the page and the figure, if requested."""
    if html is not None:
        text = page(title, rows, measure=measure, findings=findings)
        new_file.write_file(html, text.encode())
    if plot is not None:
        figures.save(figure(title, rows, measure=measure), plot)


def page(title: str, rows: Sequence[Row], *, measure: str, findings: Sequence[str] = ()) -> str:
    """One self-contained HTML page: findings first, a table to sort, a histogram for each tensor
    with its law over it, and a number layer by layer.

    Parameters
    ----------
    title : str
        The heading.
    rows : sequence of mapping
        One for each tensor: `name`, `findings`, and what else there is to show.
    measure : str
        The number that the view by layer shows at first.
    findings : sequence of str
        What is wrong with the whole. If there are any, the page lists these, and the findings of a
        tensor are shown where it is opened; otherwise it lists those of the tensors.

    Returns
    -------
    str
        HTML, below 2 MB for 1,000 tensors.

    Examples
    --------
    >>> rows = [{"name": "layers.0.w", "findings": [], "std": 0.02}]
    >>> text = page("inspect: model", rows, measure="std")
    >>> text[:15], "layers.0.w" in text
    ('<!DOCTYPE html>', True)
    """
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in _APART]
    columns = [{"key": "name", "label": "tensor"}]
    for key in keys:
        if any(not _missing(row.get(key)) for row in rows):
            columns.append({"key": key, "label": key.replace("_", " ")})
    odd = sum(bool(row.get("findings")) for row in rows)
    content = {
        "title": title,
        "summary": f"{len(rows)} tensors, {odd} with findings",
        "findings": list(findings),
        "measure": measure,
        "columns": columns,
        "rows": [_content(row, [column["key"] for column in columns]) for row in rows],
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A name may contain "</script>".  In JSON strings this escape means the same character.
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    template = resources.files(__package__).joinpath("report.html").read_text("utf-8")
    return template.replace("DATA", text.encode("utf-8", "replace").decode("utf-8"), 1)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _content(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    layer, group = layer_of(row["name"])
    found: dict[str, Any] = {key: _plain(row.get(key)) for key in keys}
    found |= {"layer": layer, "group": group, "findings": list(row.get("findings", ()))}
    edges, counts = merged(row.get("edges", ()), row.get("counts", ()))
    if len(counts) > 1:  # a constant tensor needs no histogram
        found["histogram"] = [[_rounded(edge, 6) for edge in edges], counts]
        law = row.get("law")
        shares = None if law is None else expected(law, edges)
        if law is not None and shares is not None:
            found["law"] = law.numbers()
            found["expected"] = [_rounded(share, 3) for share in shares]
    return found


def _plain(value: Any) -> Any:
    if _missing(value):
        return None
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return _rounded(value, DIGITS)
    if isinstance(value, int):
        return value
    if isinstance(value, (list, tuple)):
        return " × ".join(map(str, value)) or "scalar"
    return str(value)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def layer_of(name: str) -> tuple[int | None, str]:
    """The first number in a name, and the name with an asterisk in its place.

    Examples
    --------
    >>> layer_of("h.3.attn.weight"), layer_of("lm_head.weight")
    ((3, 'h.*.attn.weight'), (None, 'lm_head.weight'))
    """
    found = _NUMBER.search(name)
    if found is None:
        return None, name
    return int(found.group(1)), name[: found.start(1)] + "*" + name[found.end(1) :]


def merged(edges: Sequence[float], counts: Sequence[int]) -> tuple[list[float], list[int]]:
    """The histogram with neighbouring bins merged into at most BINS bins."""
    if not counts:
        return [], []
    step = -(-len(counts) // BINS)
    fewer = [sum(counts[k : k + step]) for k in range(0, len(counts), step)]
    ends = [*edges[:-1:step], edges[-1]]
    return [float(edge) for edge in ends], [int(count) for count in fewer]


def expected(law: Law, edges: Sequence[float]) -> list[float] | None:
    """The share of a law's values between adjacent edges; None if its distribution is unknown."""
    if law.law == "uniform" and law.low is not None and law.high is not None:
        low, high = law.low, law.high
        at = [min(max((edge - low) / (high - low), 0.0), 1.0) for edge in edges]
    elif law.law == "normal" and law.std:
        at = [_normal(edge, law.mean or 0.0, law.std) for edge in edges]
    elif law.law == "truncated_normal" and law.sigma:
        center = law.mean or 0.0 if law.center is None else law.center
        low = -math.inf if law.low is None else law.low
        high = math.inf if law.high is None else law.high
        first, last = _normal(low, center, law.sigma), _normal(high, center, law.sigma)
        if not last > first:
            return None
        inside = [min(max(edge, low), high) for edge in edges]
        at = [(_normal(edge, center, law.sigma) - first) / (last - first) for edge in inside]
    else:
        return None
    return [b - a for a, b in zip(at, at[1:], strict=False)]


def _normal(value: float, mean: float, std: float) -> float:
    return 0.5 * math.erfc((mean - value) / (std * math.sqrt(2.0)))


def figure(title: str, rows: Sequence[Row], *, measure: str) -> Figure:
    """Plot one number per tensor, layer by layer; tensors without a layer follow one another."""
    groups: dict[str, list[tuple[int, float]]] = {}
    alone: list[tuple[int, float]] = []
    for row in rows:
        value = row.get(measure)
        if _missing(value):
            continue
        layer, group = layer_of(row["name"])
        if layer is None:
            alone.append((len(alone), float(value)))  # type: ignore[arg-type]
        else:
            groups.setdefault(group, []).append((layer, float(value)))  # type: ignore[arg-type]
    drawn = figures.new_figure(10.0, 5.0)
    axes = drawn.subplots()
    for group, points in sorted(groups.items()):
        axes.plot(*zip(*sorted(points), strict=True), marker=".", label=group)
    if alone:
        axes.plot(*zip(*alone, strict=True), "x", label="tensors without a layer")
    axes.set(xlabel="layer", ylabel=measure.replace("_", " "), title=title)
    axes.grid(alpha=0.3)
    if groups or alone:
        drawn.legend(loc="outside right upper", fontsize=7)
    return drawn
