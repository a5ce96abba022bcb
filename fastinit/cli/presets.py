"""fastinit presets: the specs that come with the package; see checkpoint/presets/."""

from __future__ import annotations

import argparse

SUMMARY = "list the specs that come with fastinit, or print one"
EXAMPLE = "  fastinit presets gpt2 > model.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this one")


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    if options.name is None:
        print(*checkpoint.presets(), sep="\n")
    else:
        print(checkpoint.preset(options.name), end="")
    return 0
