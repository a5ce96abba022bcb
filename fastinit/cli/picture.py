"""fastinit picture: how a signal fares with depth; see diagnostics.py."""

from __future__ import annotations

import argparse

SUMMARY = "draw how a signal fares with depth under initializers"
EXAMPLE = "  fastinit picture depth.png        (needs matplotlib)"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="the image to write; its suffix says which kind"
    )


def run(options: argparse.Namespace) -> int:
    from ..diagnostics import picture

    picture(options.file)
    return 0
