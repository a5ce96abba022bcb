"""fastinit inspect: the numbers of every tensor, findings first; see inspection/inspect.py."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .options import add_threads
from .progress import progress

if TYPE_CHECKING:
    from ..inspection import Inspected

SUMMARY = "measure every tensor of a checkpoint in one pass"
EXAMPLE = """  fastinit inspect model.safetensors
  fastinit inspect path/to/folder --html report.html"""

HEAD = ["tensor", "dtype", "shape", "mean", "std", "max|x|"]
SHAPE = 16  # characters of a shape in the table
DTYPES = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "e4m3",
    "float8_e5m2": "e5m2",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="a .safetensors, .npz or .npy file, or a folder of the first"
    )
    parser.add_argument("--json", action="store_true", help="print every number, not the table")
    add_reports(parser)
    add_threads(parser)


def add_reports(parser: argparse.ArgumentParser) -> None:
    """The options --html and --plot, which drift has too."""
    parser.add_argument("--html", metavar="FILE", help="write a page to read in a browser")
    parser.add_argument(
        "--plot", metavar="FILE", help="write a figure, .png or .svg (needs matplotlib)"
    )


def run(options: argparse.Namespace) -> int:
    from .. import inspection
    from ..diagnostics import tables
    from ..inspection import report

    report.check(options.html, options.plot)
    began = time.perf_counter()
    size = sum(one.nbytes for one in inspection.tensors(options.path))
    with progress(size) as advance:
        rows = inspection.inspect_file(options.path, threads=options.threads, progress=advance)
    seconds = time.perf_counter() - began
    odd = [row for row in rows if row.findings]
    if options.json:
        print(
            tables.as_json({"path": options.path, "rows": [row._asdict() for row in rows]}), end=""
        )
    else:
        print_findings([f"{row.name}: {what}" for row in odd for what in row.findings])
        print(tables.text(HEAD, [_cells(row) for row in rows]))
        values = sum(row.values for row in rows)
        print(
            f"{options.path}: {len(rows)} tensors, {values} values, {size} bytes, {seconds:.2f} s"
        )
    laws = inspection.declared_laws(options.path) if options.html else {}
    report.write(
        f"inspect: {options.path}",
        [_shown(row, laws.get(row.name)) for row in rows],
        html=options.html,
        plot=options.plot,
        measure="std",
    )
    return 0


def print_findings(findings: Sequence[str]) -> None:
    """What is odd, before the table."""
    for text in findings:
        print(f"! {text}")
    if findings:
        print()


def number(value: float | None) -> str:
    """Three digits."""
    return "-" if value is None or value != value else f"{value:.3g}"


def shape_of(shape: tuple[int, ...]) -> str:
    """Sizes in at most SHAPE characters."""
    text = "×".join(map(str, shape)) or "scalar"
    return text if len(text) <= SHAPE else text[: SHAPE - 1] + "…"


def _cells(row: Inspected) -> list[str]:
    numbers = [row.mean, row.std, max(abs(row.min), abs(row.max))]
    dtype = DTYPES.get(row.dtype, row.dtype)
    return [row.name, dtype[:8], shape_of(row.shape), *map(number, numbers)]


def _shown(row: Inspected, law: Any) -> dict[str, Any]:
    """What the page shows of a tensor."""
    return {**row._asdict(), "law": law, "file": None, "digest": None}
