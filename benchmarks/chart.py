"""The README's chart: fills of each library on each machine, as one SVG.

report.py writes it to docs/speed.svg.  It is 460 units wide and its text is 13 units high, so that
it can be read on a phone without zooming, and it follows the reader's light or dark scheme.  A
machine has a shade of each colour, so that its bars are beside those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 460, 72, 138  # of the picture; where bars begin; the space for their numbers
PITCH, BAR = 14, 10  # from one bar to the next, and its height
APART, GAP = 3, 12  # space between libraries, between groups
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
ON_A_CARD = FILLS[:2]
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
         fill: #1f2328; }
  .ground { fill: #ffffff; }
  .head { font-weight: 600; }
  .small { font-size: 11.5px; fill: #59636e; }
  .ours { fill: #0a6fd6; }
  .rival { fill: #8c959f; }
  .bold { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .ours { fill: #4c9bf0; }
    .rival { fill: #7d8590; }
  }
"""
Result = Mapping[str, Any]
Bars = Sequence[tuple[str, Sequence[float | None]]]  # library, and its rate on each machine


def chart(machines: Mapping[str, Result], cards: Sequence[Result]) -> str:
    """The SVG: billions of values per second on each CPU, then on each card."""
    parts = [_text(0, 18, "Billions of values per second; longer is better", "head")]
    parts.append(_text(0, 36, "One thread, 256 MB in memory:", "small"))
    y = _legend(parts, 44, list(machines))
    rates = {name: _rates(result) for name, result in machines.items()}
    top = max(rate[draw, dtype, "fastinit"] for rate in rates.values() for draw, dtype, _ in FILLS)
    for draw, dtype, label in FILLS:
        bars = [
            (name, [rate.get((draw, dtype, library)) for rate in rates.values()])
            for library, name in RIVALS
        ]
        y = _group(parts, y, label, [bar for bar in bars if any(bar[1])], top)
    for card in cards:
        y += 10
        parts.append(_text(0, y + 12, f"{card['card']}, on its own scale: 2^28 values", "small"))
        y += 12 + GAP
        fills = {
            (row["draw"], row["dtype"]): [
                ("fastinit", [row["values"] / row["milliseconds"] / 1e6]),
                ("torch", [row["values"] / row["torch_milliseconds"] / 1e6]),
            ]
            for row in card["fills"]
            if row.get("torch_milliseconds")
        }
        top = max(fills[draw, dtype][0][1][0] for draw, dtype, _ in ON_A_CARD)
        for draw, dtype, label in ON_A_CARD:
            y = _group(parts, y, label, fills[draw, dtype], top)
    wide, high = WIDTH + 20, f"{y + 4:g}"
    # With a size of its own, the picture does not grow to the width of a desktop.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="-10 -4 {wide} {high}" role="img" '
        f'aria-label="Fills by fastinit and other libraries, billions of values per second">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="ground" x="-10" y="-4" width="{wide}" height="{high}"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _rates(result: Result) -> dict[tuple[str, str, str], float]:
    """Billions of values per second by draw, dtype and library."""
    return {
        (row["draw"], row["dtype"], row["library"]): row["values_per_second"] / 1e9
        for row in result["rows"]
        if "FASTINIT_ISA" not in row and "FASTINIT_ENGINE" not in row
    }


def _shade(machine: int, count: int) -> str:
    """The opacity of a machine's bars, from 1 for the first to 0.45 for the last."""
    return f"{1 - 0.55 * machine / max(1, count - 1):.2g}"


def _legend(parts: list[str], y: float, names: Sequence[str]) -> float:
    """Draw the shades of the machines, a line each; returns where the first group begins."""
    for number, name in enumerate(names):
        shade = _shade(number, len(names))
        for x, kind in ((0, "ours"), (13, "rival")):
            parts.append(_rect(kind, x, y, 11, shade))
        parts.append(_text(30, y + 9.5, name, "small"))
        y += PITCH + 1
    return y + GAP / 2


def _group(parts: list[str], y: float, label: str, bars: Bars, top: float) -> float:
    """Draw one fill: its label, then the bars of each library; returns where the next begins."""
    parts.append(_text(0, y + 12, label, "bold"))
    y += 18
    torch = dict(bars)["torch"]
    for name, rates in bars:
        kind = "ours" if name == "fastinit" else "rival"
        bold = "bold" if kind == "ours" else ""
        middle = y + PITCH * (len(rates) - 1) / 2
        parts.append(_text(LEFT - 8, middle + 9.5, name, bold, end=True))
        for machine, rate in enumerate(rates):
            if rate is not None:
                length = max(1.5, rate / top * (WIDTH - LEFT - RIGHT))
                parts.append(_rect(kind, LEFT, y, length, _shade(machine, len(rates))))
                number = (
                    f"{rate:.3g}" if rate < 1 else f"{rate:.2f}" if rate < 10 else f"{rate:.0f}"
                )
                if kind == "ours" and torch[machine]:
                    number += f" ({rate / torch[machine]:.1f}× torch)"
                parts.append(_text(LEFT + length + 6, y + 9.5, number, bold))
            y += PITCH
        y += APART
    return y + GAP


def _rect(kind: str, x: float, y: float, width: float, shade: str) -> str:
    faint = f' fill-opacity="{shade}"' if shade != "1" else ""
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:.1f}" height="{BAR}" rx="2"'
        f"{faint}/>"
    )


def _text(x: float, y: float, text: str, kind: str = "", end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    cls = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{cls}{anchor}>{escape(text)}</text>'
