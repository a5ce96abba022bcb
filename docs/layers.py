"""Draw docs/layers.svg from the code: the rooms of the package and their imports.

    python -P docs/layers.py [--check]
        --check: only report whether docs/layers.svg is up to date

Rooms, layers and imports come from the layers test, which reads them from the installed package and
checks the code against them.  An import that follows from others is omitted: an arrow means that a
room may use everything below it along the arrows.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import textwrap
from types import ModuleType
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = HERE / "layers.svg"
CORE = "_core"  # its files, including the engines, share one box
ENGINES = ("_native", "_cuda", "reference")
WIDTH, ROW, BOX = 940, 66, 38  # pixels: picture width, row height, box height
FILES = 104  # characters of small print in a line of CORE's box
STYLE = """
  text { font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .ground { fill: #ffffff; stroke: none; }
  rect { fill: #ffffff; stroke: #59636e; }
  .core { fill: #eef4fb; }
  path { fill: none; stroke: #8c959f; }
  .up { stroke-dasharray: 4 3; }
  marker path { fill: #8c959f; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .ground { fill: #0d1117; stroke: none; }
    rect { fill: #0d1117; stroke: #9198a1; }
    .core { fill: #121d2f; }
    path { stroke: #656c76; }
    marker path { fill: #656c76; }
  }
"""


def layers_test() -> ModuleType:
    """The module of the layers test, which has the table and finds the imports."""
    (path,) = (HERE.parent / "tests").rglob("test_layers.py")
    spec = importlib.util.spec_from_file_location("layers_test", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grouped(room: str) -> str:
    """The name of the box that a room belongs to."""
    return CORE if room.startswith(CORE) or room in ENGINES else room


def boxes(table: list[list[str]]) -> list[list[str]]:
    """The rows of the picture from the bottom up: the rows of the table, with CORE as one box."""
    rows: list[list[str]] = []
    seen: set[str] = set()
    for layer in table:
        row = [box for box in dict.fromkeys(map(grouped, layer)) if box not in seen]
        seen.update(row)
        if row:
            rows.append(row)
    return rows


def arrows(imports: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports without those that follow from others."""

    def reached(box: str) -> set[str]:
        found: set[str] = set()
        todo = [box]
        while todo:
            new = imports.get(todo.pop(), set()) - found
            found |= new
            todo += new
        return found

    return sorted(
        (high, low)
        for high, lows in imports.items()
        for low in lows
        if not any(low in reached(other) for other in lows - {low})
    )


def width_of(box: str, note: str) -> float:
    return 720 if box == CORE else max(8.5 * len(box) + 26, 6.7 * len(note) + 16)


def places(
    rows: list[list[str]], found: list[tuple[str, str]], width: dict[str, float]
) -> tuple[dict[str, float], dict[tuple[str, str], list[float]]]:
    """The middle of every box, and of every arrow in each row that it crosses.

    Each row is ordered by the mean position of its neighbours, in sweeps down and up.  An arrow
    takes up space in the rows that it crosses, so it does not run through their boxes.
    """
    level = {box: number for number, row in enumerate(rows) for box in row}
    lanes: list[list[str]] = [list(row) for row in rows]
    neighbours: dict[str, list[str]] = {box: [] for box in level}
    chains: dict[tuple[str, str], list[str]] = {}
    for high, low in found:
        chain = [high]
        for number in range(level[high] - 1, level[low], -1):
            lane = f"{high}>{low}@{number}"
            lanes[number].append(lane)
            neighbours[lane] = []
            chain.append(lane)
        chain.append(low)
        chains[high, low] = chain
        for one, other in zip(chain, chain[1:], strict=False):
            neighbours[one].append(other)
            neighbours[other].append(one)

    row_of = {name: number for number, row in enumerate(lanes) for name in row}
    size = {name: width[name] + 26 if name in level else 20.0 for name in neighbours}
    place = {}
    for row in lanes:
        for number, name in enumerate(row):
            place[name] = WIDTH * (number + 1) / (len(row) + 1)
    for sweep in range(40):
        order = range(len(lanes)) if sweep % 2 else range(len(lanes) - 1, -1, -1)
        for number in order:
            row = lanes[number]
            wish = {}
            for name in row:
                near = neighbours[name]
                if sweep < 30:  # early sweeps order by one side, later ones use both
                    side = [
                        other
                        for other in near
                        if (row_of[other] < number if sweep % 2 else row_of[other] > number)
                    ]
                    near = side or near
                middle = sum(place[other] for other in near) / len(near) if near else WIDTH / 2
                wish[name] = middle
            row.sort(key=lambda name: (wish[name], name))
            place.update(spread(row, wish, size))
    middles = {box: place[box] for box in level}
    passing = {arrow: [place[name] for name in chain[1:-1]] for arrow, chain in chains.items()}
    return middles, passing


def spread(row: list[str], wish: dict[str, float], size: dict[str, float]) -> dict[str, float]:
    """Positions in this order, as close to `wish` as the widths allow (pool adjacent violators)."""
    groups: list[tuple[list[str], float]] = []  # adjacent names, and their left edge
    for name in row:
        names, left = [name], wish[name] - size[name] / 2
        while groups and groups[-1][1] + sum(size[one] for one in groups[-1][0]) > left:
            names = groups.pop()[0] + names
            offset, total = 0.0, 0.0
            for one in names:
                total += wish[one] - size[one] / 2 - offset
                offset += size[one]
            left = total / len(names)
        groups.append((names, left))
    found = {}
    for names, left in groups:
        span = sum(size[one] for one in names)
        left = min(max(left, 4.0), max(4.0, WIDTH - 4.0 - span))
        for one in names:
            found[one] = left + size[one] / 2
            left += size[one]
    return found


def curve(points: list[tuple[float, float]]) -> str:
    """A smooth curve through the points, from top to bottom."""
    (x, y), *others = points
    text = f"M{x:.0f} {y:.0f}"
    for next_x, next_y in others:
        bend = (next_y - y) / 2
        text += f" C{x:.0f} {y + bend:.0f} {next_x:.0f} {next_y - bend:.0f}"
        text += f" {next_x:.0f} {next_y:.0f}"
        x, y = next_x, next_y
    return text


def picture() -> str:
    """The whole SVG."""
    test = layers_test()
    imports: dict[str, set[str]] = {}
    for name, targets in test.OURS.items():
        for target in targets:
            one, other = test.room(name), test.room(target)
            if (one, other) not in test.UPWARD and grouped(one) != grouped(other):
                imports.setdefault(grouped(one), set()).add(grouped(other))
    rows = boxes(test.LAYERS)
    found = arrows(imports)
    notes = {
        box: ", ".join(other for other in sorted(test.PACKAGES.get(box, ())) if other != box)
        for row in rows
        for box in row
    }
    width = {box: width_of(box, note) for box, note in notes.items()}
    middle, passing = places(rows, found, width)
    inner = [
        [room.removeprefix("_core/") for room in layer if grouped(room) == CORE and room != CORE]
        for layer in test.LAYERS
    ]
    inner = [layer for layer in inner if layer]
    files = textwrap.wrap(" ‹ ".join(" | ".join(layer) for layer in inner), FILES)
    tall = {CORE: BOX + 16 * len(files) + 2}

    top: dict[str, float] = {}
    heights = [max(tall.get(box, BOX) for box in row) + ROW - BOX for row in rows]
    starts: list[float] = []
    y = 16.0
    for row, height in zip(reversed(rows), reversed(heights), strict=True):
        starts.insert(0, y)
        top.update(dict.fromkeys(row, y))
        y += height
    level = {box: number for number, row in enumerate(rows) for box in row}

    parts = []
    for high, low in found:
        points = [(middle[high], top[high] + tall.get(high, BOX))]
        for number, x in zip(
            range(level[high] - 1, level[low], -1), passing[high, low], strict=True
        ):
            points += [(x, starts[number]), (x, starts[number] + heights[number] - ROW + BOX)]
        half = width[low] / 2 - 14  # an arrow to a wide box goes straight down to it
        last = points[-1][0]
        end = min(max(last, middle[low] - half), middle[low] + half)
        points.append((end if low == CORE else middle[low], top[low] - 3))
        parts.append(f'<path d="{curve(points)}" marker-end="url(#head)"/>')
    for high, low in sorted(test.UPWARD):
        points = [
            (middle[low] + width[low] / 2, top[low] + BOX / 2),
            (middle[high] + width[high] / 2 - 8, top[high]),
        ]
        parts.append(f'<path class="up" d="{curve(points)}" marker-start="url(#head)"/>')
    for box in middle:
        height, x, y0 = tall.get(box, BOX), middle[box] - width[box] / 2, top[box]
        kind = ' class="core"' if box == CORE else ""
        parts.append(
            f'<rect{kind} x="{x:.0f}" y="{y0:.0f}" width="{width[box]:.0f}" height="{height}" '
            'rx="6"/>'
        )
        lines = [(box, "", 17 if notes[box] else 24)]
        if notes[box]:
            lines.append((notes[box], "small", 32))
        if box == CORE:
            lines = [("_core and the engines", "", 20)]
            lines += [(line, "small", 42 + 16 * number) for number, line in enumerate(files)]
        for line, style, down in lines:
            parts.append(
                f'<text class="{style}" x="{middle[box]:.0f}" y="{y0 + down:.0f}" '
                f'text-anchor="middle">{escape(line)}</text>'
            )
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z"/></marker>'
    )
    left = min(middle[box] - width[box] / 2 for box in middle) - 8
    right = max(middle[box] + width[box] / 2 for box in middle) + 8
    across = right - left
    ground = f'<rect class="ground" x="{left:.0f}" y="0" width="{across:.0f}" height="{y:.0f}"/>'
    body = "\n".join([ground, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {across:.0f} {y:.0f}"'
        ' role="img" aria-label="The rooms of the package and their imports, all pointing down">\n'
        f"<style>{STYLE}</style>\n<defs>{head}</defs>\n{body}\n</svg>\n"
    )


def main() -> int:
    drawn = picture()
    if "--check" in sys.argv:
        return int(not PICTURE.exists() or PICTURE.read_text("utf-8") != drawn)
    PICTURE.write_text(drawn, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
