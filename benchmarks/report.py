"""Writes the README's tables between their markers: speed from benchmarks/results/*.json, names
from the table of initializers.  Nothing there is typed by hand.

    python -P benchmarks/report.py [--check]
        --check: write nothing; exit with 1 if the README differs
"""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import sys
import textwrap
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parent / "README.md"
END = "<!-- /report.py -->"


def load(part: str) -> dict[str, Any]:
    return json.loads((HERE / "results" / f"{part}.json").read_text())


def rate(row: dict[str, Any]) -> str:
    """Billions of values per second."""
    return f"{row['values_per_second'] / 1e9:.2f}"


def fills() -> list[str]:
    """The table of fills: fastinit beside memset and every rival of the same run."""
    result = load("fills")
    rows = [
        row for row in result["rows"] if "FASTINIT_ISA" not in row and "FASTINIT_ENGINE" not in row
    ]
    lines = [
        "| fill, one thread, warm 256 MB | fastinit, G values/s | of memset | rivals, G values/s "
        "(ours is faster by) |",
        "|---|---|---|---|",
    ]
    for draw, dtype in dict.fromkeys((row["draw"], row["dtype"]) for row in rows):
        same = {row["library"]: row for row in rows if (row["draw"], row["dtype"]) == (draw, dtype)}
        ours = same.pop("fastinit")
        memset = same.pop("memset")
        rivals = [
            f"{name.replace('_', ' ')} {rate(row)} "
            f"({ours['values_per_second'] / row['values_per_second']:.1f}×)"
            for name, row in same.items()
        ]
        share = ours["values_per_second"] / memset["values_per_second"]
        lines.append(
            f"| {draw.replace('_', ' ')} {dtype} | **{rate(ours)}** | {share:.2f} | "
            f"{', '.join(rivals) or '—'} |"
        )
    torch = next(
        row
        for row in rows
        if (row["library"], row["draw"], row["dtype"]) == ("torch", "normal", "float32")
    )
    for row in result["rows"]:
        label = row.get("FASTINIT_ISA") or row.get("FASTINIT_ENGINE")
        if label:
            lines.append(
                f"| normal float32, {label} | {row['values_per_second'] / 1e9:.3f} | | torch "
                f"{rate(torch)} ({row['values_per_second'] / torch['values_per_second']:.1f}×) |"
            )
    facts = {
        key: value
        for row in rows
        for key, value in row["facts"].items()
        if key in ("torch", "jax", "numpy", "mkl", "parallel-numpy-rng", "branch", "block")
    }
    versions = ", ".join(f"{key} {value}" for key, value in facts.items())
    text = (
        f"{result['machine']['cpu']}, {result['machine']['cores']} cores; {versions}; medians of "
        f"{len(rows[0]['rounds'])} rounds, {result['date']}. oneMKL takes its generic branch on "
        "this CPU; the block is its number of values per call."
    )
    return [*lines, "", *textwrap.wrap(text, 100, break_on_hyphens=False)]


def others() -> list[str]:
    """The table of everything else: scaling, cold memory, orthogonal, models, calls, files."""
    lines = ["| other | figure |", "|---|---|"]
    threads = load("threads")["rows"]
    seconds = {
        (row["library"], row["draw"], row["threads"]): row["values_per_second"] for row in threads
    }
    spin = seconds["spin", "words", 2] / seconds["spin", "words", 1]
    for draw in ("uniform", "normal"):
        scaling = seconds["fastinit", draw, 2] / seconds["fastinit", draw, 1]
        lines.append(
            f"| {draw} float32, two threads over one | {scaling:.2f}× (a loop in registers alone: "
            f"{spin:.2f}×) |"
        )
    cold = {row["library"]: row["seconds"] for row in load("cold")["rows"]}
    lines.append(
        f"| a fresh 256 MB array of normals, all threads | {cold['fastinit'] * 1e3:.0f} ms (torch "
        f"{cold['torch'] * 1e3:.0f} ms, NumPy's fill with a constant {cold['memset'] * 1e3:.0f} "
        "ms) |"
    )
    sparse = {row["library"]: row["seconds"] for row in load("sparse")["rows"]}
    lines.append(
        f"| sparse 4096×4096, 0.9 zero | {sparse['fastinit'] * 1e3:.1f} ms (torch "
        f"{sparse['torch'] * 1e3:.0f} ms: {sparse['torch'] / sparse['fastinit']:.0f}×) |"
    )
    found = {row["name"]: row["value"] for row in load("orthogonal")["rows"]}
    for name in ("1024²", "4096²", "16384x1024", "96 of 256²"):
        ours, torch = found[name], found[f"torch {name}"]
        lines.append(
            f"| orthogonal float32 {name} | {ours * 1e3:.1f} ms (torch {torch * 1e3:.0f} ms: "
            f"{torch / ours:.1f}×) |"
        )
    built = {row["name"]: row for row in load("torch")["rows"]}
    for what, label in (
        ("llama", "Llama of 1.2 billion weights, bfloat16"),
        ("gpt2", "GPT-2, float32"),
    ):
        plain = built[f"{what} plain"]
        for how in ("accelerate", "materialize"):
            if row := built.get(f"{what} {how}"):
                lines.append(
                    f"| {label}, built in torch: `{how}` | {row['seconds']:.2f} s (plain "
                    f"{plain['seconds']:.2f} s: {row['ratio']:.1f}×; the first of a process "
                    f"{row['first']:.2f} s, plain {plain['first']:.2f} s) |"
                )
    for row in [*load("calls")["rows"], *load("files")["rows"]]:
        unit = (
            f"{row['seconds'] * 1e6:.1f} µs"
            if row["seconds"] < 1e-3
            else f"{row['seconds'] * 1e3:.0f} ms"
        )
        lines.append(f"| {row['name']} | {unit} |")
    return lines


def cards() -> list[str]:
    """Fills of each card that benchmarks/cuda.py was run on, beside its memset and torch."""
    found = [
        json.loads(path.read_text()) for path in sorted((HERE / "results").glob("cuda-*.json"))
    ]
    wanted = (
        ("uniform", "float32"),
        ("normal", "float32"),
        ("normal", "bfloat16"),
        ("truncated ±2σ", "float32"),
    )
    lines = [
        "| 2^28 values | " + " | ".join(card["card"] for card in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    fills = [{(row["draw"], row["dtype"]): row for row in card["fills"]} for card in found]
    for draw, dtype in wanted:
        cells = [
            f"{row['milliseconds']:.2f} ms: {row['of_memset']:.2f} of memset, torch "
            f"{row['torch_milliseconds']:.2f} ms ({row['of_torch']:.1f}×)"
            for row in (card[draw, dtype] for card in fills)
        ]
        lines.append(f"| {draw} {dtype} | " + " | ".join(cells) + " |")
    name = "llama, times faster than the host path"
    lines.append(
        "| Llama of 1.2 billion weights, bfloat16, from meta by `materialize_` | "
        + " | ".join(f"{card[name]:.1f}× the host path" for card in found)
        + " |"
    )
    name = "first use, compiled, s"
    lines.append(
        "| first use, compiled anew | " + " | ".join(f"{card[name]:.1f} s" for card in found) + " |"
    )
    versions = {f"torch {card['torch']}, driver {card['driver']}" for card in found}
    checks = {len(card["checks"]) for card in found}
    bad = [card["card"] for card in found if card["refused"] or not _clean(card)]
    verdict = (
        f"each card passed {max(checks)} checks of equal bits, 10⁹ values of every draw and dtype "
        "among them"
    )
    if bad:
        verdict = f"{', '.join(bad)} failed a check of equal bits"
    text = f"{'; '.join(sorted(versions))}; medians, by the device's events. In the same run "
    text += f"{verdict}."
    return [*lines, "", *textwrap.wrap(text, 100, break_on_hyphens=False)]


def _clean(card: dict[str, Any]) -> bool:
    return not any(check["difference"] for check in card["checks"].values())


# Where See Also of a docstring points, and what the README calls it.
FRAMEWORKS = {"torch": "torch", "keras": "Keras", "jax": "JAX"}


def equals(docstring: str) -> str:
    """The frameworks' equals that See Also names, each with what differs."""
    section = re.search(r"^See Also\n-+\n(.*?)(?=\n\n|\Z)", docstring, re.S | re.M)
    found = []
    for entry in re.split(r"\n(?=\S)", section.group(1)) if section else ():
        name, _, text = entry.partition(" :")
        framework, _, short = name.partition(".")
        if framework in FRAMEWORKS:
            text = " ".join(text.split()).rstrip(".").removesuffix("; see Notes")
            text = re.sub(r"^Equal( in law)?( to)?[,;]? ?", "", text).replace("``", "`")
            note = f" ({text[0].lower()}{text[1:]})" if text else ""
            found.append(f"{FRAMEWORKS[framework]} `{short.rpartition('.')[2]}`{note}")
    return ", ".join(found) or "—"


def names() -> list[str]:
    """The table of initializers: name and aliases, the summary of the docstring, and the
    frameworks' equals.
    """
    from fastinit import _table

    lines = ["| name (aliases) | draws | in other frameworks |", "|---|---|---|"]
    for name, function in _table.INITIALIZERS.items():
        aliases = [alias for alias, target in _table.ALIASES.items() if target == name]
        docstring = inspect.getdoc(function) or ""
        summary = " ".join(docstring.split("\n\n", 1)[0].split()).rstrip(".")
        title = f"`{name}`" + (f" ({', '.join(aliases)})" if aliases else "")
        cells = (title, summary, equals(docstring))
        lines.append("| " + " | ".join(re.sub(r"([|*])", r"\\\1", cell) for cell in cells) + " |")
    return lines


def main() -> int:
    before = after = README.read_text()
    parts = (
        ("speed", [*fills(), "", *others()]),
        ("cards", cards()),
        ("names", names()),
    )
    for name, lines in parts:
        begin = f"<!-- report.py: {name} -->"
        head, rest = after.split(begin)
        after = head + begin + "\n" + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1]
    if "--check" in sys.argv:
        return int(after != before)
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
