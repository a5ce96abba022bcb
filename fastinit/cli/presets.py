"""fastinit presets: list or print the specs in the package; see checkpoint/presets/."""

from __future__ import annotations

import argparse
import re

from .._core.tables import Table

SUMMARY = "list the specs that come with fastinit, or print one"
EXAMPLE = "  fastinit presets gpt2 > model.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this one")


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    if options.name is None:
        head = ("preset", "model", "parameters", "dtype", "size")
        print(Table("", head, [_row(name) for name in checkpoint.presets()]).text(None))
    else:
        print(checkpoint.preset(options.name), end="")
    return 0


def _row(name: str) -> tuple[str, ...]:
    """Make a row from the first line of the preset, "# GPT-2 (124 M): ...".

    Counting the values of its tensors would take seconds.
    """
    from .. import checkpoint
    from .._core import dtypes

    text = checkpoint.preset(name)
    model, count, unit = re.findall(r"# (.+?) \(([\d.]+) ([MG])", text)[0]
    dtype = re.findall(r'^dtype = "(\w+)"', text, re.MULTILINE)[0]
    size = float(count) * {"M": 1e-3, "G": 1.0}[unit] * dtypes.resolve(dtype).itemsize
    parameters = f"{count} {unit.replace('G', 'B')}"  # billions, as models are named
    return name, model, parameters, dtype, f"{size:,.{1 if size < 10 else 0}f} GB"
