"""The README's chart: fills of each library beside each other, as one SVG, from
benchmarks/results/*.json.

report.py writes it to docs/speed.svg.  It is 460 units wide and its text is 13 units high, so that
it can be read on a phone without zooming, and it follows the reader's light or dark scheme.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 460, 72, 138  # of the picture; where bars begin; the space for their numbers
BAR, GAP = 15, 12  # height of a bar, space between groups
# The rivals in the chart, in order; the tables of the site have all rivals.
RIVALS = (
    ("fastinit", "fastinit"),
    ("torch", "torch"),
    ("numpy_sfc64", "NumPy"),
    ("jax", "JAX"),
    ("mkl_ars5_icdf", "oneMKL"),
)
FILLS = (
    ("normal", "float32", "normal, float32"),
    ("normal", "bfloat16", "normal, bfloat16"),
    ("uniform", "float32", "uniform, float32"),
    ("truncated_normal", "float32", "truncated normal, float32"),
)
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
         fill: #1f2328; }
  .ground { fill: #ffffff; }
  .head { font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .ours { fill: #0a6fd6; }
  .rival { fill: #afb8c1; }
  .bold { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .ours { fill: #4c9bf0; }
    .rival { fill: #59636e; }
  }
"""


def chart(fills: dict[str, Any], cards: list[dict[str, Any]]) -> str:
    """The SVG: billions of values per second on the CPU, then on each card."""
    parts: list[str] = []
    y = 18
    parts.append(_text(0, y, "Billions of values per second; longer is better", "head"))
    y += 18
    machine = fills["machine"]
    parts.append(_text(0, y, f"{machine['cpu']}: one thread, 256 MB in memory", "small"))
    y += GAP
    rows = [
        row
        for row in fills["rows"]
        if "FASTINIT_ISA" not in row and "FASTINIT_ENGINE" not in row and row["threads"] == 1
    ]
    top = max(row["values_per_second"] for row in rows if row["library"] == "fastinit")
    for draw, dtype, label in FILLS:
        found = {
            row["library"]: row for row in rows if (row["draw"], row["dtype"]) == (draw, dtype)
        }
        bars = [
            (name, found[key]["values_per_second"] / 1e9) for key, name in RIVALS if key in found
        ]
        y = _group(parts, y, label, bars, top / 1e9)
    for card in cards:
        y += 10
        parts.append(_text(0, y + 12, f"{card['card']}, on its own scale: 2^28 values", "small"))
        y += 12 + GAP
        rates = {}
        for row in card["fills"]:
            if row.get("torch_milliseconds"):
                rates[row["draw"], row["dtype"]] = [
                    ("fastinit", row["values"] / row["milliseconds"] / 1e6),
                    ("torch", row["values"] / row["torch_milliseconds"] / 1e6),
                ]
        top_card = max(bars[0][1] for bars in rates.values())
        for draw, dtype, label in FILLS:
            key = ("truncated ±2σ" if draw == "truncated_normal" else draw, dtype)
            y = _group(parts, y, label, rates[key], top_card)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 -4 {WIDTH + 20} {y + 4}" '
        f'role="img" '
        f'aria-label="Fills by fastinit and other libraries, billions of values per second">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="ground" x="-10" y="-4" width="{WIDTH + 20}" height="{y + 4}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _group(
    parts: list[str], y: float, label: str, bars: list[tuple[str, float]], top: float
) -> float:
    """Draw one fill: its label, then a bar for each library; returns where the next begins."""
    parts.append(_text(0, y + 12, label, "bold"))
    y += 18
    torch = dict(bars).get("torch")
    for name, rate in bars:
        length = max(1.5, rate / top * (WIDTH - LEFT - RIGHT))
        kind = "ours" if name == "fastinit" else "rival"
        parts.append(_text(LEFT - 8, y + 11.5, name, "bold" if kind == "ours" else "", end=True))
        parts.append(
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 3}" '
            'rx="2"/>'
        )
        number = f"{rate:.3g}" if rate < 1 else f"{rate:.2f}" if rate < 10 else f"{rate:.0f}"
        if kind == "ours" and torch:
            number += f" ({rate / torch:.1f}× torch)"
        parts.append(_text(LEFT + length + 6, y + 11.5, number, "bold" if kind == "ours" else ""))
        y += BAR
    return y + GAP


def _text(x: float, y: float, text: str, kind: str = "", end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    cls = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{cls}{anchor}>{escape(text)}</text>'
