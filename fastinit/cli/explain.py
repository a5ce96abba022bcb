"""fastinit explain: what an initializer does for a shape; the words of the command line as the
arguments of fi.explain.
"""

from __future__ import annotations

import argparse
from typing import Any

from .._core.arguments import shown
from .options import seed

SUMMARY = "say what an initializer fills: formula, fans, std, stream"
EXAMPLE = "  fastinit explain he_normal 3072 768 mode=fan_out --name mlp.up.weight"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "fastinit explain INITIALIZER [SIZE ...] [ARGUMENT=VALUE ...]\n"
        "                        [--name NAME] [--seed SEED] [--dtype DTYPE]"
    )
    parser.add_argument("initializer", metavar="INITIALIZER")
    parser.add_argument(
        "words", metavar="SIZE", nargs="*", help="the shape, then arguments such as mode=fan_out"
    )
    parser.add_argument("--name", help="the tensor's name")
    parser.add_argument("--seed", type=seed)
    parser.add_argument("--dtype", default="float32")


def run(options: argparse.Namespace) -> int:
    from ..explain import explain

    shape: list[int] = []
    arguments: dict[str, Any] = {}
    for word in options.words:
        key, equals, value = word.partition("=")
        if equals:
            if len(key) > 80:
                raise ValueError(f"no initializer has an argument {shown(key)}")
            arguments[key] = _value(value)
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
    print(explain(options.initializer, tuple(shape), **common, **arguments))
    return 0


def _value(text: str) -> Any:
    """A number, an expression, true, false, several of them with commas, or text."""
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
