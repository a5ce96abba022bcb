"""fastinit inspect: statistics of every tensor, findings first; see inspection/inspect.py."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from .options import add_threads
from .progress import progress

if TYPE_CHECKING:
    from ..inspection import Inspected

SUMMARY = "measure every tensor of a checkpoint in one pass"
EXAMPLE = """  fastinit inspect model.safetensors
  fastinit inspect path/to/folder --html report.html"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="a .safetensors, .npz or .npy file, or a folder of the first"
    )
    parser.add_argument("--json", action="store_true", help="print every number, not the table")
    add_reports(parser)
    add_threads(parser)


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Add the options --html and --plot.  drift uses them too."""
    parser.add_argument("--html", metavar="FILE", help="write a page to read in a browser")
    parser.add_argument(
        "--plot", metavar="FILE", help="write a figure, .png or .svg (needs matplotlib)"
    )


def run(options: argparse.Namespace) -> int:
    from .. import inspection
    from .._core.tables import as_json
    from ..inspection import report
    from ..inspection.inspect import table

    report.check(options.html, options.plot)
    began = time.perf_counter()
    size = sum(one.nbytes for one in inspection.tensors(options.path))
    with progress(size) as advance:
        rows = inspection.inspect_file(options.path, threads=options.threads, progress=advance)
    seconds = time.perf_counter() - began
    if options.json:
        print(as_json({"path": options.path, "rows": [row._asdict() for row in rows]}), end="")
    else:
        found = table(rows)
        summary = f"{options.path}: {found.notes[0]}, {size} bytes, {seconds:.2f} s"
        print(found._replace(notes=[summary]).text(None))
    laws = inspection.declared_laws(options.path) if options.html else {}
    report.write(
        f"inspect: {options.path}",
        [_shown(row, laws.get(row.name)) for row in rows],
        html=options.html,
        plot=options.plot,
        measure="std",
    )
    return 0


def _shown(row: Inspected, law: Any) -> dict[str, Any]:
    """The row of a tensor in the page."""
    return {**row._asdict(), "law": law, "file": None, "digest": None}
