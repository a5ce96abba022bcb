"""fastinit selftest: compare a GPU's draws with the host's; see _cuda/selftest.py."""

from __future__ import annotations

import argparse

from .options import whole
from .output import Failed

SUMMARY = "compare what a GPU draws with what the host draws"
EXAMPLE = "  fastinit selftest --cuda"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cuda", action="store_true", required=True, help="test NVIDIA GPUs (extra cuda)"
    )
    parser.add_argument(
        "--device", type=whole, default=0, metavar="N", help="which GPU (default: 0)"
    )


def run(options: argparse.Namespace) -> int:
    from .._core import engine
    from .._cuda import device, selftest
    from .._cuda.program import Unavailable

    try:
        gpu = device.device(options.device, engine.run)
    except Unavailable as error:
        raise Failed(str(error)) from None
    if gpu.missing is not None:
        raise Failed(gpu.missing)
    print(f"{gpu.name}, {gpu.architecture}, against {engine.name()} {engine.isa()}")
    bad = len(gpu.refused)
    for name in sorted(gpu.refused):
        print(f"{name}: refused, its values differ from the host's")
    for result in selftest.run(gpu, engine.run):
        bad += result.difference is not None
        name = result.name.replace("_", " ")
        print(f"{name}: {result.difference or 'equal bits'} ({result.seconds:.1f} s)", flush=True)
    for row in selftest.speed(gpu):
        rate = row.values / row.milliseconds / 1e6
        print(f"{row.draw} {row.dtype}: {row.milliseconds:.3f} ms, {rate:.0f} G values/s")
    print("all bits are equal" if not bad else f"{bad} checks failed")
    return int(bad > 0)
