"""fastinit audit: a verdict on every tensor of a checkpoint; see inspection/audit.py."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any

from .options import add_threads, seed

if TYPE_CHECKING:
    from ..inspection import Audit, Row

SUMMARY = "say of each tensor whether it is what it should be"
EXAMPLE = """  fastinit audit gpt2
  fastinit audit model.safetensors --against laws.toml"""
_WIDTH = 80


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
    print(found.json() if options.json else _text(found))
    title = f"audit: {options.path}"
    rows = [_shown(row) for row in found.rows]
    report.write(title, rows, measure="statistic", findings=found.findings, html=options.html)
    return 0 if found else 1


def _shown(row: Row) -> dict[str, Any]:
    """A row of the page: what is wrong is its finding."""
    from ..inspection.verdicts import FAULTS

    shown = row._asdict()
    shown["expected law"] = shown.pop("law")  # the page draws a law of its own
    shown["findings"] = [row.detail] if row.verdict in FAULTS else []
    return shown


def _text(found: Audit) -> str:
    """The findings, then the tensors by their verdicts, those that are alike in one line."""
    from .._laws import Law, fold
    from ..inspection.verdicts import ORDER

    against = f" against {found.against}" if found.against else ""
    drawn_by = "" if found.seed is None else f", seed {found.seed}"
    lines = [f"{found.path}{against}{drawn_by}", ""]
    for finding in found.findings:
        lines += textwrap.wrap(finding, _WIDTH, initial_indent="! ", subsequent_indent="  ")
    if found.findings:
        lines.append("")
    counts = []
    for verdict in ORDER:
        rows = [row for row in found.rows if row.verdict == verdict]
        said = verdict not in ("initial", "on its law")
        groups = fold(
            Law(row.name, 1, row.shape, verdict, rule=row.detail if said else "") for row in rows
        )
        for group in groups:
            shape = "×".join(map(str, group.shape))
            lines.append(f"{verdict:12}  {group.tensors:>5}  {group.name}  {shape}".rstrip())
            if said:
                indent = " " * 21
                lines += textwrap.wrap(
                    group.rule, _WIDTH, initial_indent=indent, subsequent_indent=indent
                )
        if rows:
            counts.append(f"{len(rows)} {verdict}")
    lines += ["", f"{len(found.rows)} tensors: {', '.join(counts) or 'none'}"]
    return "\n".join(lines)
