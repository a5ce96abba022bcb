"""fastinit audit: a verdict on every tensor of a checkpoint; see inspection/audit.py."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .options import add_threads, seed

if TYPE_CHECKING:
    from ..inspection import Row

SUMMARY = "say of each tensor whether it is what it should be"
EXAMPLE = """  fastinit audit weights
  fastinit audit model.safetensors --against laws.toml"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="a safetensors or npz file, or a folder of safetensors files"
    )
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="what the tensors should be: a preset, a spec, a model's folder or config.json, a "
        "file of laws, or another checkpoint; the default is what the files say",
    )
    parser.add_argument(
        "--seed", type=seed, help="of the initial draw; the default is the files' own"
    )
    parser.add_argument("--json", action="store_true", help="JSON in place of a table")
    parser.add_argument("--html", metavar="FILE", help="write a page to read in a browser")
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    from .. import inspection
    from ..inspection import report
    from .progress import progress

    report.check(options.html, None)
    total = sum(one.nbytes for one in inspection.tensors(options.path))
    with progress(total) as advance:
        found = inspection.audit(
            options.path,
            options.against,
            seed=options.seed,
            threads=options.threads,
            progress=advance,
        )
    print(found.json() if options.json else found.table().text(None))
    title = f"audit: {options.path}"
    rows = [_shown(row) for row in found.rows]
    report.write(title, rows, measure="statistic", findings=found.findings, html=options.html)
    return 0 if found else 1


def _shown(row: Row) -> dict[str, Any]:
    """A row of the page.  If the tensor has a fault, the detail becomes a finding."""
    from ..inspection.verdicts import FAULTS

    shown = row._asdict()
    shown["expected law"] = shown.pop("law")  # "law" is the curve that the page draws
    shown["findings"] = [row.detail] if row.verdict in FAULTS else []
    return shown
