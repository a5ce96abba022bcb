"""fastinit coordcheck: run muP's coordinate check on a transformers config; see
torch/coordinate_check.py.
"""

from __future__ import annotations

import argparse

from .options import add_number, rate, seed, whole
from .output import save_figure

SUMMARY = "check whether activations keep their size as a model widens"
EXAMPLE = "  fastinit coordcheck path/to/config.json --widths 128,256,512 -o fig.png"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", help="a Hugging Face model's folder or config.json"
    )
    parser.add_argument(
        "--widths",
        type=_widths,
        default=(128, 256, 512, 1024, 2048),
        metavar="N,N,...",
        help="at least three (default: 128,256,512,1024,2048)",
    )
    add_number(parser, "--steps", 5, "steps of Adam")
    add_number(parser, "--layers", 2, "at most so many layers")
    add_number(parser, "--vocabulary", 512, "at most so many tokens")
    parser.add_argument(
        "--rate",
        type=rate,
        default=0.003,
        metavar="X",
        help="learning rate of Adam (default: 0.003)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="default: 0")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a figure, .png or .svg, with its numbers beside it in .json (needs matplotlib)",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers, not the table")


def _widths(text: str) -> tuple[int, ...]:
    return tuple([whole(part) for part in text.split(",")])


def run(options: argparse.Namespace) -> int:
    from .._core.tables import as_json
    from ..checkpoint.errors import check_there
    from ..diagnostics import figures

    if options.output is not None:
        figures.check(options.output)
    check_there(options.config, "a model's folder or config.json")
    from ..torch import _widths, coordinate_check

    config, limits = _widths.limited(options.config, options.layers, options.vocabulary)
    found = coordinate_check(
        config, options.widths, options.steps, optimizer=options.rate, seed=options.seed
    )
    if limits:
        found = found._replace(scaled=f"{found.scaled}\n{limits}")
    print(as_json(found.as_dict()) if options.json else f"{found.table().text(None)}\n", end="")
    if options.output is not None:
        beside = save_figure(options.output, figures.coordinates(found), found.as_dict())
        if not options.json:
            print(f"wrote {options.output} and {beside}")
    return 0 if found else 1
