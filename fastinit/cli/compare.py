"""fastinit compare: how initializers affect the signal and the gradient of a deep network; see
diagnostics/compare.py.
"""

from __future__ import annotations

import argparse

from .options import add_number, seed
from .output import save_figure

SUMMARY = "compare how signal and gradient fare with depth"
EXAMPLE = "  fastinit compare --init normal:0.01,he_normal --activation relu -o depth.png"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--init",
        metavar="NAMES",
        help="initializers with commas between them; normal:0.01 gives the std, "
        "orthogonal:gain=2 an argument (default: five that tell the story)",
    )
    parser.add_argument(
        "--activation",
        metavar="ACTIVATIONS",
        default="tanh,relu",
        help="of linear, tanh, relu, gelu, silu, with commas between (default: %(default)s)",
    )
    parser.add_argument(
        "--stack",
        metavar="KIND",
        default="plain",
        help="plain, residual or transformer-block (default: %(default)s)",
    )
    add_number(parser, "--depth", 50, "number of layers")
    add_number(parser, "--width", 256, "units of a layer")
    add_number(parser, "--batch", 128, "samples")
    parser.add_argument("--seed", type=seed, default=0, help="default: 0")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a figure, .png or .svg, with its numbers beside it in .json (needs matplotlib)",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers, not the table")


def run(options: argparse.Namespace) -> int:
    from .._core.tables import as_json
    from ..diagnostics import compare, figures
    from ..diagnostics.compare import DEFAULT

    if options.output is not None:
        figures.check(options.output)
    found = compare(
        DEFAULT if options.init is None else options.init,
        options.activation,
        stack=options.stack,
        depth=options.depth,
        width=options.width,
        batch=options.batch,
        seed=options.seed,
    )
    print(as_json(found.as_dict()) if options.json else f"{found.table().text(None)}\n", end="")
    if options.output is not None:
        beside = save_figure(options.output, figures.comparison(found), found.as_dict())
        if not options.json:
            print(f"\nwrote {options.output} and {beside}")
    return 0
