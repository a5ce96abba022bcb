"""fastinit dummy: write a checkpoint with a model's names, shapes and dtypes and small values; see
checkpoint/dummy.py.  The code of materialize writes its files.
"""

from __future__ import annotations

import argparse

from .materialize import add_output, write
from .options import seed

SUMMARY = "write dummy weights, quantized ones too, to test loaders"
EXAMPLE = """  fastinit dummy path/to/config.json -o dummy
  fastinit dummy quantized/model.safetensors -o dummy.safetensors"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a Hugging Face model's folder or config.json, with or without quantization_config; "
        "a checkpoint, of which the headers are read; a preset; or a .toml or .json file",
    )
    add_output(parser)
    parser.add_argument("--dtype", help="of the floats of a config or a spec, but not of scales")
    parser.add_argument("--seed", type=seed, default=0, help="an integer in [0, 2**64); default: 0")


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    return write(options, lambda: checkpoint.dummy(options.source, options.dtype))
