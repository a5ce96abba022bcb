"""fastinit info: print the version, the engine, the instruction set and the threads in use."""

from __future__ import annotations

import argparse

from .._core.tables import as_json, folded

SUMMARY = "show the version, the engine and the threads in use"
EXAMPLE = "  fastinit info"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON in place of lines")


def run(options: argparse.Namespace) -> int:
    from ..info import info

    found = info()
    if options.json:
        print(as_json(found), end="")
        return 0
    for key, value in found.items():
        if isinstance(value, dict):
            value = [f"{name}: {one}" for name, one in value.items()]
        text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        print(folded(f"{key}: {text or 'none'}"))
    return 0
