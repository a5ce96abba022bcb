"""fastinit spec: print the spec of a model's config, a checkpoint or a preset as TOML."""

from __future__ import annotations

import argparse

SUMMARY = "write the spec of a config, checkpoint or preset as TOML"
EXAMPLE = "  fastinit spec path/to/config.json > model.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a model's folder or config.json, a checkpoint, or a spec",
    )
    parser.add_argument("--dtype", help="in place of the source's dtype")
    parser.add_argument(
        "--recipe",
        metavar="FILE",
        help="rules that change the spec; a checkpoint of another writer, which says only names "
        "and shapes, needs them",
    )


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    # A folder that fastinit wrote may have a config too, but its files' metadata contain more.
    if checkpoint.is_ours(options.source) and options.recipe is None:
        if options.dtype is not None:
            raise ValueError("--dtype is for a config or a spec; a checkpoint has its dtypes")
        spec = checkpoint.spec_of(options.source)
    else:
        spec = checkpoint.load(options.source, options.dtype, recipe=options.recipe)
    print(checkpoint.describe(spec), end="")
    return 0
