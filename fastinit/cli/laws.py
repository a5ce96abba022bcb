"""fastinit laws: print how a model's initial values are distributed; see inspection/laws.py."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..inspection import Law

from .._core.arguments import described, said, shown
from .._core.tables import folded

SUMMARY = "list, keep and compare the distributions of initial values"
EXAMPLE = """  fastinit laws gpt2 > laws.toml
  fastinit laws --check laws.toml package.module:make_model"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a preset, a spec, a model's folder or config.json, a checkpoint of fastinit, a file "
        "of laws, or MODULE:FUNCTION that returns a torch module, a Keras model or laws",
    )
    parser.add_argument(
        "other",
        metavar="OTHER",
        nargs="?",
        help="compare with another: exit status 1 if they differ",
    )
    parser.add_argument(
        "--check", metavar="FILE", help="compare with a file of laws: exit status 1 if they differ"
    )
    parser.add_argument("--json", action="store_true", help="JSON in place of TOML")
    parser.add_argument("--html", metavar="FILE", help="write a page to read in a browser")


def run(options: argparse.Namespace) -> int:
    from .. import inspection
    from ..inspection import report

    report.check(options.html, None)
    if options.check is None and options.other is None:
        found = inspection.laws(_model(options.model))
        text = inspection.laws_json(found) + "\n" if options.json else inspection.laws_toml(found)
        print(text, end="")
        page = [_shown(law) for law in inspection.laws_by_name(found).values()]
        report.write(f"laws: {options.model}", page, measure="std", html=options.html)
        return 0
    if options.html is not None:
        raise ValueError("--html shows the laws of one model; leave --check and OTHER out")
    if options.check is not None and options.other is not None:
        raise ValueError("--check FILE compares one model with the file; leave OTHER out")
    one, two = options.check or options.model, options.model
    if options.other is not None:
        two = options.other
    pairs = inspection.compare_laws(_model(one), _model(two))
    if options.json:
        import json

        rows = [[law and law._asdict() for law in pair] for pair in pairs]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif pairs:
        print(f"--- {one}\n+++ {two}")
        print(*map(folded, inspection.difference(pairs).splitlines()), sep="\n")
    else:
        print(f"{one} and {two} have equal laws")
    return int(bool(pairs))


def _shown(law: Law) -> dict[str, Any]:
    """A row of the page."""
    row = {**law._asdict(), "findings": [law.note] if law.note else []}
    # The page draws the key "law" as a curve over a histogram, and these rows have no histogram.
    row["distribution"] = row.pop("law")
    row["blocks"] = row["blocks"] or None  # no column, rather than one of empty cells
    return {key: value for key, value in row.items() if key not in ("tensors", "note", "saved")}


def _model(text: str) -> Any:
    """The argument of laws(): a path or name, unchanged, or the result of MODULE:FUNCTION."""
    module, colon, function = text.partition(":")
    dotted = all(part.isidentifier() for part in (*module.split("."), *function.split(".")))
    if not colon or not dotted or os.path.exists(text):
        return text
    import pkgutil

    if not sys.flags.safe_path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as with python -m: to import the user's module
    try:
        make = pkgutil.resolve_name(text)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{shown(text)} is MODULE:FUNCTION by its form, and {said(error)}; give a function "
            "that Python can import from here, or the path of a file"
        ) from None
    if not callable(make):
        raise ValueError(
            f"{shown(text)} is {described(make)}; give a function that returns a model"
        )
    return make()
