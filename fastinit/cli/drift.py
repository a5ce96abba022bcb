"""fastinit drift: how far each tensor has moved from its initial draw; see inspection/drift.py."""

from __future__ import annotations

import argparse
import math
import time

from .inspect import add_reports
from .options import add_threads, seed
from .progress import progress

SUMMARY = "measure how far training moved each tensor"
EXAMPLE = """  fastinit drift trained.safetensors
  fastinit drift trained --against config.json --seed 0 --html drift.html"""
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
    from .._core.tables import as_json, folded
    from ..inspection import report
    from ..inspection.drift import by_layer, findings, table

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
        print(as_json(content), end="")
    else:
        print(table(rows)._replace(notes=[]).text(None))
        _print_layers(layers)
        print(folded(f"{options.path}: {len(rows)} tensors, {size} bytes, {seconds:.2f} s"))
    report.write(
        f"drift: {options.path}",
        [{**row._asdict(), "file": None, "findings": ()} for row in rows],
        findings=said,
        html=options.html,
        plot=options.plot,
        measure="relative",
    )
    return 0


def _print_layers(layers: dict[int, float]) -> None:
    """Print a bar for each layer."""
    from ..inspection.inspect import number

    most = max((value for value in layers.values() if math.isfinite(value)), default=0.0)
    if most:
        print()
    for layer, value in layers.items() if most else ():
        bar = "█" * round(_BAR * value / most) if math.isfinite(value) else ""
        print(f"layer {layer:<4} {number(value):>9}  {bar}".rstrip())
