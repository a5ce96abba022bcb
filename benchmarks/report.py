"""Writes what the README shows of the benchmarks' results: the chart docs/speed.svg, and the ratios
between the markers in README.md.  The tables of the documentation site also come from here.  None
of these numbers is typed by hand.

    python -P benchmarks/report.py [--check]
        --check: write nothing; exit with 1 if the chart or the README would change

Every machine with a folder in benchmarks/results/ is shown; machines.py says how they are named.
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
from machines import RESULTS, load  # noqa: E402

README = HERE.parent / "README.md"
CHART = HERE.parent / "docs/speed.svg"
END = "<!-- /report.py -->"
ISAS = {"avx512": "AVX-512", "avx2": "AVX2", "sse2": "SSE2", "neon": "NEON", "scalar": "no SIMD"}
LIBRARIES = {
    "numpy_sfc64": "NumPy SFC64",
    "numpy_pcg64": "NumPy PCG64",
    "jax": "JAX",
    "parallel_numpy_rng": "parallel-numpy-rng",
    "mkl_ars5_icdf": "oneMKL ARS-5",
    "mkl_philox_boxmuller": "oneMKL Philox",
    "mkl_sfmt_icdf": "oneMKL SFMT",
}
# A fill that reaches this share of memset is bound by memory, not by drawing.
MEMORY_BOUND = 0.8
Row = dict[str, Any]


def rate(row: Row) -> str:
    """Billions of values per second."""
    return f"{row['values_per_second'] / 1e9:.2f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def by_draw(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Row]]:
    """The fills of one machine: draw and dtype, then library."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in result["rows"]:
        if "FASTINIT_ISA" not in row and "FASTINIT_ENGINE" not in row:
            found.setdefault((row["draw"], row["dtype"]), {})[row["library"]] = row
    return found


def over(ours: Row, theirs: Row) -> float:
    return ours["values_per_second"] / theirs["values_per_second"]


def fills() -> list[str]:
    """A table of fills for each machine: fastinit beside memset and every rival of the same run."""
    lines = []
    for name, result in load("fills").items():
        lines += ["", f"### {name}", "", *_fills_of(result)]
    return lines[1:]


def _fills_of(result: dict[str, Any]) -> list[str]:
    """A row for each library; the first of a fill is fastinit's."""
    rows = []
    found = by_draw(result)
    for (draw, dtype), same in found.items():
        ours, share = same["fastinit"], over(same["fastinit"], same["memset"])
        bound = "memory" if share >= MEMORY_BOUND else "drawing"
        fill = f"{draw.replace('_', ' ')}, {dtype}"
        rows.append(
            [fill, "**fastinit**", f"**{rate(ours)}**", f"{share:.2f}", f"bound by {bound}"]
        )
        for library, row in same.items():
            if library not in ("fastinit", "memset"):
                label = LIBRARIES.get(library, library)
                of_memset = f"{over(row, same['memset']):.2f}"
                rows.append(["", label, rate(row), of_memset, f"{over(ours, row):.1f}×"])
    torch = found["normal", "float32"]["torch"]
    for row in result["rows"]:
        if label := ISAS.get(row.get("FASTINIT_ISA", "")) or row.get("FASTINIT_ENGINE"):
            speed = f"{row['values_per_second'] / 1e9:.3f}"
            beside = f"{over(row, torch):.1f}× torch"
            rows.append([f"normal, float32, {label}", "fastinit", speed, "", beside])
    head = ["fill", "library", "G values/s", "of memset", "fastinit is faster by"]
    return [*table(head, rows), "", *_wrapped(_conditions(result, found))]


def _conditions(result: dict[str, Any], found: dict[tuple[str, str], dict[str, Row]]) -> str:
    """The machine, the versions and the date of a run."""
    measured = [row for same in found.values() for row in same.values()]
    facts = {key: value for row in measured for key, value in row["facts"].items()}
    named = ("torch", "jax", "numpy", "mkl", "parallel-numpy-rng")
    versions = ", ".join(f"{key} {facts[key]}" for key in named if key in facts)
    machine = result["machine"]
    text = (
        f"{machine['cpu']}, {machine['cores']} cores, {ISAS[isa(found)]}; {versions}; medians of "
        f"{len(measured[0]['rounds'])} rounds, {result['date']}."
    )
    if "branch" in facts:
        text += f' oneMKL ran its branch "{facts["branch"]}", {facts["block"]} values a call.'
    return text


def isa(found: dict[tuple[str, str], dict[str, Row]]) -> str:
    """The instruction set that fastinit chose."""
    return str(found["normal", "float32"]["fastinit"]["facts"]["isa"])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, break_on_hyphens=False)


def others() -> list[str]:
    """The table of everything else, a column for each machine: scaling, orthogonal, models, calls,
    files.
    """
    columns: dict[str, dict[str, str]] = {}
    for part in (_scaling, _sparse, _orthogonal, _models, _calls):
        for name, cells in part().items():
            columns.setdefault(name, {}).update(cells)
    labels = dict.fromkeys(label for cells in columns.values() for label in cells)
    names = sorted(columns)
    rows = [[label, *(columns[name].get(label, "—") for name in names)] for label in labels]
    return table(["", *names], rows)


Cells = dict[str, dict[str, str]]  # machine, then label of the row


def _scaling() -> Cells:
    found: Cells = {}
    for name, result in load("threads").items():
        rates = {
            (row["library"], row["draw"], row["threads"]): row["values_per_second"]
            for row in result["rows"]
        }
        spin = rates["spin", "words", 2] / rates["spin", "words", 1]
        cells = found.setdefault(name, {})
        for draw in ("uniform", "normal"):
            scaling = rates["fastinit", draw, 2] / rates["fastinit", draw, 1]
            label = f"{draw} float32, two threads over one"
            cells[label] = f"{scaling:.2f}× (a loop in registers alone: {spin:.2f}×)"
    return found


def _sparse() -> Cells:
    found: Cells = {}
    for name, result in load("sparse").items():
        seconds = {row["library"]: row["seconds"] for row in result["rows"]}
        cell = _beside(seconds["fastinit"], seconds["torch"])
        cell += f"; memset {seconds['memset'] * 1e3:.1f} ms"
        found[name] = {"sparse 4096×4096, 0.9 zero": cell}
    return found


def _beside(ours: float, torch: float) -> str:
    return f"{ours * 1e3:.1f} ms (torch {torch * 1e3:.0f} ms: {torch / ours:.1f}×)"


def _orthogonal() -> Cells:
    found: Cells = {}
    for name, result in load("orthogonal").items():
        seconds = {row["name"]: row["value"] for row in result["rows"]}
        found[name] = {
            f"orthogonal float32 {size}": _beside(seconds[size], seconds[f"torch {size}"])
            for size in ("1024²", "4096²", "16384x1024", "96 of 256²")
        }
    return found


def _models() -> Cells:
    """Models built in torch."""
    models = (("llama", "Llama of 1.2 billion weights, bfloat16"), ("gpt2", "GPT-2, float32"))
    found: Cells = {}
    for name, result in load("torch").items():
        built = {row["name"]: row for row in result["rows"]}
        cells = found.setdefault(name, {})
        for what, label in models:
            plain = built[f"{what} plain"]
            for how in ("accelerate", "materialize"):
                if row := built.get(f"{what} {how}"):
                    cells[f"{label}, built in torch: `{how}`"] = (
                        f"{row['seconds']:.2f} s (plain {plain['seconds']:.2f} s: "
                        f"{row['ratio']:.1f}×; the first of a process {row['first']:.2f} s, plain "
                        f"{plain['first']:.2f} s)"
                    )
    return found


def _calls() -> Cells:
    found: Cells = {}
    for part in ("calls", "files"):
        for name, result in load(part).items():
            for row in result["rows"]:
                small = row["seconds"] < 1e-3
                cell = f"{row['seconds'] * (1e6 if small else 1e3):.{int(small)}f}"
                found.setdefault(name, {})[row["name"]] = cell + (" µs" if small else " ms")
    return found


def cold() -> list[str]:
    """Memory that is filled again beside memory that is filled for the first time."""
    labels = {
        "fastinit": "fastinit, normal, all threads",
        "torch": "torch, normal",
        "memset": "memset, one thread",
    }
    threads, filled = load("threads"), load("fills")
    rows = []
    for name, fresh in load("cold").items():
        warm = {
            row["library"]: row["seconds"]
            for row in threads[name]["rows"]
            if (row["draw"], row["threads"]) == ("normal", fresh["machine"]["cores"])
        }
        memset = by_draw(filled[name])["normal", "float32"]["memset"]
        warm["memset"] = memset["seconds"]
        for row in fresh["rows"]:
            quick, slow = warm[row["library"]], row["seconds"]
            times = [f"{quick * 1e3:.0f} ms", f"{slow * 1e3:.0f} ms", f"{slow / quick:.1f}"]
            rows.append([name, labels[row["library"]], *times])
    head = [
        "machine",
        "256 MB of float32",
        "warm: filled again",
        "cold: a fresh array",
        "cold / warm",
    ]
    return table(head, rows)


def checkpoints() -> list[str]:
    """Whole models written, checked and planned, each beside its limit of the same run: a table for
    each machine.
    """
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
    head = ["work", "seconds", "GB/s", "its limit", "seconds", "share of the limit"]
    lines = []
    for name, found in load("checkpoint").items():
        measured = {row["name"]: row for row in found["rows"]}
        rows = []
        for what, limit, label in work:
            row, beside = measured[what], measured.get(limit)
            gigabytes = f"{row['bytes_per_second'] / 1e9:.1f}" if "bytes_per_second" in row else ""
            cells = [what, f"{row['seconds']:.2f}", gigabytes, label]
            if beside:
                share = row["bytes_per_second"] / beside["bytes_per_second"]
                rows.append([*cells, f"{beside['seconds']:.2f}", f"{share:.2f}"])
            else:
                rows.append([*cells, "", ""])
        lines += ["", f"On {found['machine']['cores']} cores of an {name}:", "", *table(head, rows)]
    return lines[1:]


def inspected() -> list[str]:
    """The section on how fast a checkpoint is measured and audited, a column for each machine."""
    columns = {
        name: {row["name"]: row for row in result["rows"]}
        for name, result in load("inspection").items()
    }
    rows = []
    for label in dict.fromkeys(label for found in columns.values() for label in found):
        cells = [
            f"{row['values'] / row['seconds'] / 1e9:.2f} ({row['of_fill']:.2f})" if row else "—"
            for row in (found.get(label) for found in columns.values())
        ]
        rows.append([label, *cells])
    if not rows:
        return []
    intro = (
        "How fast `fastinit inspect` and `fastinit audit` read a checkpoint of 1 GiB in the "
        "system's cache, beside a fill of as many values in memory, on all threads."
    )
    head = ["G values/s (share of the fill)", *columns]
    return ["## Looking inside", "", *_wrapped(intro), "", *table(head, rows)]


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
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("cuda-*.json"))]


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
    """The README's figures: how many times faster than torch, on which machines."""
    machines, orthogonal, built = load("fills"), load("orthogonal"), load("torch")
    versions, rows = set(), []
    for name, result in machines.items():
        found = by_draw(result)
        torch = found["normal", "float32"]["torch"]
        versions.add(torch["facts"]["torch"])
        ours = {row.get("FASTINIT_ISA"): row for row in result["rows"]}
        pairs = [
            (found["normal", "float32"]["fastinit"], torch),
            (ours.get("avx2"), torch),
            (ours.get("scalar"), torch),
            *(
                (found[draw]["fastinit"], found[draw]["torch"])
                for draw in (("normal", "bfloat16"), ("truncated_normal", "float32"))
            ),
        ]
        cells = [f"{over(mine, theirs):.1f}×" if mine else "—" for mine, theirs in pairs]
        cells += [_orthogonal_ratio(orthogonal.get(name)), _model_ratio(built.get(name))]
        rows.append([f"{name}, {ISAS[isa(found)]}", *cells])
    head = [
        "",
        *("normal float32", "with AVX2", "no SIMD", "bfloat16", "truncated"),
        *("orthogonal 4096², all threads", "a Llama of 1.2 billion: first, then warm"),
    ]
    torches = " and ".join(sorted(versions))
    intro = f"Times faster than torch {torches} in the same run, fills on one thread, models on "
    intro += "all:"
    normal = ("normal", "float32")
    cards = [
        f"{row['of_torch']:.1f}× on an {card['card']}"
        for card in card_results()
        for row in card["fills"]
        if (row["draw"], row["dtype"]) == normal
    ]
    text = f"Than the CUDA kernels of torch {card_results()[0]['torch']}, normal float32: "
    lines = _wrapped(" ".join([text + ", ".join(cards) + ".", *earlier()]))
    return [*_wrapped(intro), "", *table(head, rows), "", *lines]


def _orthogonal_ratio(result: dict[str, Any] | None) -> str:
    if result is None:
        return "—"
    seconds = {row["name"]: row["value"] for row in result["rows"]}
    return f"{seconds['torch 4096²'] / seconds['4096²']:.1f}×"


def _model_ratio(result: dict[str, Any] | None) -> str:
    if result is None:
        return "—"
    times = {row["name"]: row for row in result["rows"]}
    first = times["llama plain"]["first"] / times["llama materialize"]["first"]
    return f"{first:.0f}×, {times['llama materialize']['ratio']:.0f}×"


def earlier() -> list[str]:
    """What an Intel CPU gave before results were kept by machine; nothing once one has results."""
    if any(name.startswith("Intel") for name in load("fills")):
        return []
    return _wrapped(
        "On an Intel Sapphire Rapids (one thread) an earlier version drew uniforms at 0.97 of "
        "memset's speed and normals at 1.24× that of oneMKL's fastest Gaussian; no result file was "
        "kept."
    )


def main() -> int:
    before = README.read_text("utf-8")
    begin = "<!-- report.py: speed -->"
    head, rest = before.split(begin)
    after = head + begin + "\n" + "\n".join(ratios()) + "\n" + END + rest.split(END, 1)[1]
    picture = chart(load("fills"), [card_results()[-1]])
    if "--check" in sys.argv:
        old = CHART.read_text("utf-8") if CHART.exists() else ""
        return int(after != before or old != picture)
    README.write_text(after, "utf-8")
    CHART.write_text(picture, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
