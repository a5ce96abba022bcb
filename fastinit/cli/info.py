"""fastinit info: the version, the engine, the instruction set and the threads in use."""

from __future__ import annotations

import argparse

SUMMARY = "show the version, the engine and the threads in use"
EXAMPLE = "  fastinit info"


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(_: argparse.Namespace) -> int:
    from ..info import info

    for key, value in info().items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, (tuple, list)) else value}")
    return 0
