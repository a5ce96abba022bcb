"""fastinit drift: how far each tensor has moved from its draw; see inspection/drift.py."""

from __future__ import annotations

import argparse
import math
import time
from typing import TYPE_CHECKING

from .inspect import DTYPES, add_reports, number, print_findings
from .options import add_threads, seed
from .progress import progress

if TYPE_CHECKING:
    from ..inspection import Drifted

SUMMARY = "measure how far training moved each tensor"
EXAMPLE = """  fastinit drift trained.safetensors
  fastinit drift trained --against config.json --seed 0 --html drift.html"""
HEAD = ["tensor", "dtype", "relative", "cosine", "unchanged"]
_BAR = 40  # characters of the longest bar


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a safetensors file, or a folder of them")
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="what was drawn: a preset, a spec, or a model's folder or config.json; the default is "
        "what the files say",
    )
    parser.add_argument("--seed", type=seed, help="of the draw; the default is the files' own")
    parser.add_argument("--json", action="store_true", help="print every number, not the table")
    add_reports(parser)
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    from .. import inspection
    from ..diagnostics import tables
    from ..inspection import report
    from ..inspection.drift import by_layer, findings

    report.check(options.html, options.plot)
    began = time.perf_counter()
    size = sum(one.nbytes for one in inspection.tensors(options.path))
    with progress(size) as advance:
        rows = inspection.drift(
            options.path,
            options.against,
            seed=options.seed,
            threads=options.threads,
            progress=advance,
        )
    seconds = time.perf_counter() - began
    said, layers = findings(rows), by_layer(rows)
    if options.json:
        content = {"path": options.path, "findings": said, "layers": layers}
        content["rows"] = [row._asdict() for row in rows]
        print(tables.as_json(content), end="")
    else:
        print_findings(said)
        print(tables.text(HEAD, [_cells(row) for row in rows]))
        _print_layers(layers)
        print(f"{options.path}: {len(rows)} tensors, {size} bytes, {seconds:.2f} s")
    report.write(
        f"drift: {options.path}",
        [{**row._asdict(), "file": None, "findings": ()} for row in rows],
        findings=said,
        html=options.html,
        plot=options.plot,
        measure="relative",
    )
    return 0


def _cells(row: Drifted) -> list[str]:
    dtype = DTYPES.get(row.dtype, row.dtype)[:8]
    if row.reason:
        return [row.name, dtype, "-", "-", row.reason[:32]]
    share = f"{100 * row.unchanged:.3g} %"
    return [row.name, dtype, number(row.relative), number(row.cosine), share]


def _print_layers(layers: dict[int, float]) -> None:
    """A bar for each layer."""
    most = max((value for value in layers.values() if math.isfinite(value)), default=0.0)
    if most:
        print()
    for layer, value in layers.items() if most else ():
        bar = "█" * round(_BAR * value / most) if math.isfinite(value) else ""
        print(f"layer {layer:<4} {number(value):>9}  {bar}".rstrip())
