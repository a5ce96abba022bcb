"""Writes what the README shows of the benchmarks' results: the chart docs/speed.svg, and the ratios
between the markers in README.md.  The tables of the documentation site also come from here.  None
of these numbers is typed by hand.

    python -P benchmarks/report.py [--check]
        --check: write nothing; exit with 1 if the chart or the README would change
"""

from __future__ import annotations

import json
import pathlib
import sys
import textwrap
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from chart import chart  # noqa: E402 - the file beside this one

README = HERE.parent / "README.md"
CHART = HERE.parent / "docs/speed.svg"
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
    """The table of everything else: scaling, orthogonal, models, calls, files."""
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


def cold() -> list[str]:
    """Memory that is filled again beside memory that is filled for the first time."""
    fresh = load("cold")
    warm = {
        row["library"]: row["seconds"]
        for row in load("threads")["rows"]
        if (row["draw"], row["threads"]) == ("normal", fresh["machine"]["cores"])
    }
    memset = next(row for row in load("fills")["rows"] if row["library"] == "memset")
    warm["memset"] = memset["count"] / memset["values_per_second"]
    lines = [
        "| 256 MB of float32 | warm: filled again | cold: a fresh array | cold / warm |",
        "|---|---|---|---|",
    ]
    names = {
        "fastinit": "fastinit, normal, all threads",
        "torch": "torch, normal",
        "memset": "memset, one thread",
    }
    for row in fresh["rows"]:
        name, slow = row["library"], row["seconds"]
        quick = warm[name]
        lines.append(
            f"| {names[name]} | {quick * 1e3:.0f} ms | {slow * 1e3:.0f} ms | {slow / quick:.1f} |"
        )
    return lines


def checkpoints() -> list[str]:
    """Whole models written, checked and planned, each beside its limit of the same run."""
    found = load("checkpoint")
    rows = {row["name"]: row for row in found["rows"]}
    work = (
        ("materialize llama-3.2-1b, memory", "zeros, memory", "zeros by the same calls"),
        ("materialize llama-3.2-1b, disk", "zeros past the cache, disk", "zeros by the same calls"),
        ("materialize llama-3-8b, disk", None, ""),
        ("verify, cache warm, memory", "fill of warm memory, memory", "a fill of warm memory"),
        (
            "materialize, two processes of one thread",
            "materialize, one process of two threads",
            "one process of two threads",
        ),
        ("--dry-run of llama-3.1-405b from a preset", None, ""),
        ("--dry-run of llama-3.1-405b from its config and transformers", None, ""),
    )
    machine = found["machine"]
    lines = [
        f"On {machine['cores']} cores of an {machine['cpu']}:",
        "",
        "| work | seconds | GB/s | its limit | seconds | share of the limit |",
        "|---|---|---|---|---|---|",
    ]
    for name, limit, what in work:
        row, beside = rows[name], rows.get(limit)
        gigabytes = f"{row['bytes_per_second'] / 1e9:.1f}" if "bytes_per_second" in row else ""
        share = beside and row["bytes_per_second"] / beside["bytes_per_second"]
        slow = f"{beside['seconds']:.2f}" if beside else ""
        lines.append(
            f"| {name} | {row['seconds']:.2f} | {gigabytes} | {what} | {slow} | "
            f"{f'{share:.2f}' if share else ''} |"
        )
    return lines


def small_calls() -> list[str]:
    """One call on a 64 by 64 tensor of a GPU, ours and torch's."""
    found = card_results()
    pairs = (
        ("`torch.nn.init.normal_`", "torch.nn.init.normal_", "fastinit.torch.normal_"),
        (
            "`torch.nn.init.kaiming_uniform_`",
            "torch.nn.init.kaiming_uniform_",
            "fastinit.torch.kaiming_uniform_",
        ),
    )
    lines = [
        "| 64 × 64, µs a call | " + " | ".join(card["card"] for card in found) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for label, theirs, ours in pairs:
        cells = []
        for card in found:
            times = card["64x64, us"]
            slower = times[ours] / times[theirs]
            cells.append(f"{times[ours]:.1f}, torch {times[theirs]:.1f}: torch is {slower:.1f}×")
        lines.append(f"| {label} | " + " faster | ".join(cells) + " faster |")
    times = [card["64x64, us"]["fi.he_normal(out=tensor)"] for card in found]
    lines.append("| `fi.he_normal(out=tensor)` | " + " | ".join(f"{t:.1f}" for t in times) + " |")
    return lines


def slower_fills() -> list[str]:
    """The fills of a card at which torch is faster."""
    lines = []
    for card in card_results():
        lost = [
            f"{row['draw']} {row['dtype']} {row['of_torch']:.2f}×"
            for row in card["fills"]
            if row.get("of_torch") and row["of_torch"] < 1
        ]
        lines.append(f"* {card['card']}: {', '.join(lost) or 'none'}")
    return lines


def card_results() -> list[dict[str, Any]]:
    """The results of each card that benchmarks/cuda.py was run on."""
    return [json.loads(path.read_text()) for path in sorted((HERE / "results").glob("cuda-*.json"))]


def cards() -> list[str]:
    """Fills of each card, beside its memset and torch."""
    found = card_results()
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


def ratios() -> list[str]:
    """The README's paragraph: how many times faster than torch, on which machine."""
    fills = load("fills")
    rates = {
        (row["library"], row["draw"], row["dtype"]): row["values_per_second"]
        for row in fills["rows"]
        if "FASTINIT_ISA" not in row and "FASTINIT_ENGINE" not in row
    }

    def over_torch(draw: str, dtype: str) -> str:
        return f"{rates['fastinit', draw, dtype] / rates['torch', draw, dtype]:.1f}×"

    def narrow(isa: str) -> str:
        row = next(row for row in fills["rows"] if row.get("FASTINIT_ISA") == isa)
        return f"{row['values_per_second'] / rates['torch', 'normal', 'float32']:.1f}×"

    orthogonal = {row["name"]: row["value"] for row in load("orthogonal")["rows"]}
    built = {row["name"]: row for row in load("torch")["rows"]}
    torch = next(row["facts"]["torch"] for row in fills["rows"] if row["library"] == "torch")
    text = (
        f"Times faster than torch {torch} on an {fills['machine']['cpu']} (Zen 5, AVX-512), one "
        f"thread, in the same run: normal float32 {over_torch('normal', 'float32')} (with AVX2 "
        f"{narrow('avx2')}, without SIMD {narrow('scalar')}), bfloat16 "
        f"{over_torch('normal', 'bfloat16')}, truncated normal "
        f"{over_torch('truncated_normal', 'float32')}, orthogonal 4096² "
        f"{orthogonal['torch 4096²'] / orthogonal['4096²']:.1f}×; a Llama of 1.2 billion weights, "
        f"built in torch, {built['llama plain']['first'] / built['llama materialize']['first']:.0f}"
        f"× (warm {built['llama materialize']['ratio']:.0f}×). Than the CUDA kernels of torch "
        f"{card_results()[0]['torch']}, normal float32: "
    )
    parts = []
    for card in card_results():
        row = next(
            row for row in card["fills"] if (row["draw"], row["dtype"]) == ("normal", "float32")
        )
        parts.append(f"{row['of_torch']:.1f}× on an {card['card']}")
    return textwrap.wrap(text + ", ".join(parts) + ".", 100, break_on_hyphens=False)


def main() -> int:
    before = README.read_text()
    begin = "<!-- report.py: speed -->"
    head, rest = before.split(begin)
    after = head + begin + "\n" + "\n".join(ratios()) + "\n" + END + rest.split(END, 1)[1]
    picture = chart(load("fills"), [card_results()[-1]])
    if "--check" in sys.argv:
        return int(after != before or not CHART.exists() or CHART.read_text() != picture)
    README.write_text(after)
    CHART.write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
