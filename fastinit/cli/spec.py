"""fastinit spec: the spec of a model's config, of a checkpoint or of a preset, as TOML."""

from __future__ import annotations

import argparse
import os

SUMMARY = "write the spec of a config, checkpoint or preset as TOML"
EXAMPLE = "  fastinit spec path/to/config.json > model.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a model's folder or config.json, a checkpoint of fastinit, or a spec",
    )
    parser.add_argument("--dtype", help="in place of the source's dtype")


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    source = options.source
    folder = os.path.isdir(source)
    if source.endswith(".safetensors") or (
        folder and any(name.endswith(".safetensors") for name in os.listdir(source))
    ):
        # A checkpoint holds its spec in the metadata of its files.
        if options.dtype is not None:
            raise ValueError("--dtype is for a config or a spec; a checkpoint has its dtypes")
        print(checkpoint.describe(checkpoint.spec_of(source)), end="")
    else:
        print(checkpoint.describe(checkpoint.load(source, options.dtype)), end="")
    return 0
