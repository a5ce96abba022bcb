"""fastinit explain: print what an initializer does for a shape, as a table or as JSON.  The facts
and the texts come from fastinit/explain.py.
"""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from .._core.arguments import shown
from .options import seed

SUMMARY = "say what an initializer fills: formula, fans, std, stream"
EXAMPLE = "  fastinit explain he_normal 3072 768 mode=fan_out --name mlp.up.weight"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "fastinit explain INITIALIZER [SIZE ...] [ARGUMENT=VALUE ...]\n"
        "                        [--name NAME] [--seed SEED] [--dtype DTYPE] [--json]"
    )
    parser.add_argument(
        "initializer", metavar="INITIALIZER", help="its name, such as he_normal or sparse"
    )
    parser.add_argument(
        "words",
        metavar="SIZE",
        nargs="*",
        default=(),  # without a default, argparse says that at least one is required
        help="the shape, then arguments such as mode=fan_out",
    )
    parser.add_argument("--name", help="the tensor's name")
    parser.add_argument("--seed", type=seed, help="an integer in [0, 2**64)")
    parser.add_argument("--dtype", default="float32", help="default: float32")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for programs")


def run(options: argparse.Namespace) -> int:
    from ..checkpoint.fields import TEXT
    from ..explain import facts

    shape: list[int] = []
    arguments: dict[str, Any] = {}
    for word in options.words:
        key, equals, value = word.partition("=")
        if equals:
            if len(key) > 80:
                raise ValueError(f"no initializer has an argument {shown(key)}")
            arguments[key] = value if key in TEXT else _value(value)
        elif word.isascii() and word.isdigit():
            if len(word) > 19:
                raise ValueError(f"the size {shown(word)} is more than any tensor can have")
            shape.append(int(word))
        else:
            raise ValueError(f"{shown(word)} is neither a size nor ARGUMENT=VALUE")
    for option in ("name", "seed", "dtype"):
        if option in arguments:
            value = f"{arguments[option]!s:.80}"
            raise ValueError(f"give --{option} {value} in place of {option}={value}")
    common = {"name": options.name, "seed": options.seed, "dtype": options.dtype}
    found = facts(options.initializer, tuple(shape), **common, **arguments)
    if options.json:
        import json

        print(json.dumps(_finite(found), default=str))  # str converts arguments such as a path
    else:
        print(_table(found))
    return 0


def _finite(value: Any) -> Any:
    """Convert infinite bounds in the facts to text, because JSON cannot represent infinity."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return str(value) if value in (float("inf"), float("-inf")) else value


def _table(found: dict[str, Any]) -> str:
    """Format the facts in two columns, at most 80 characters wide."""
    from ..explain import NUMBERS, number, seed_used, stream

    shape = " × ".join(map(str, found["shape"])) or "one value"
    rows = [
        ("initializer", found["initializer"]),
        ("tensor", f"{shape}, {found['dtype']}"),
        ("formula", found["formula"]),
    ]
    if found["arguments"]:
        rows.append(
            (
                "arguments",
                ", ".join(f"{key}={value!r}" for key, value in found["arguments"].items()),
            )
        )
    rows += [(what, str(found[what])) for what in ("fan_in", "fan_out") if what in found]
    rows += [(what, number(found, what)) for what in NUMBERS if what in found]
    if "truncation" in found:
        rows.append(("truncation", found["truncation"]))
    if "stream" in found:
        rows.append(("stream", stream(found)))
    rows.append(("seed", seed_used(found).removeprefix("seed ")))
    lines = []
    for label, text in rows:
        wrapped = textwrap.wrap(text, 80 - 13, break_on_hyphens=False)
        lines.append(f"{label:13}" + f"\n{'':13}".join(wrapped))
    return "\n".join(lines)


def _value(text: str) -> Any:
    """Parse a number, an expression, true, false, several of these with commas, or text."""
    from ..checkpoint.expressions import evaluate

    if "," in text:
        return tuple(_value(part) for part in text.split(",") if part)
    if text in ("true", "false"):
        return text == "true"
    if text.isidentifier() and text != "inf":
        return text
    try:
        return evaluate(text, {})
    except LookupError as error:
        raise ValueError(
            f"unknown name {shown(error.args[0])} in {shown(text)}: here an expression holds only "
            "numbers"
        ) from None
