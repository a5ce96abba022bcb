"""fastinit verify: draw a checkpoint again and compare; see checkpoint/verify.py.

Tensors with the same result are printed in one line, by the pattern of their names.  With --json,
each tensor is an event.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from .._core.tables import folded
from .options import add_threads, seed, share
from .progress import add_json, event, progress

if TYPE_CHECKING:
    from ..checkpoint import Checked, Verified

SUMMARY = "compare a checkpoint with its initial draw, bit for bit"
EXAMPLE = "  fastinit verify weights --sample 0.01"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a safetensors file, or a folder of them")
    parser.add_argument(
        "--spec",
        help="what the tensors should be (a preset, or a .toml or .json file); the default is what "
        "the files say",
    )
    parser.add_argument("--recipe", metavar="FILE", help="rules that change the spec")
    parser.add_argument("--seed", type=seed, help="the default is the files' own")
    parser.add_argument("--dtype", help="in place of the spec's dtype")
    parser.add_argument(
        "--sample",
        type=share,
        metavar="P",
        help="compare about this share of the bytes, in (0, 1]",
    )
    add_threads(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint
    from .._core import engine

    began = time.perf_counter()
    threads = engine.thread_count(options.threads)
    files = checkpoint.files(options.path)
    total = sum(tensor.end - tensor.begin for file in files for tensor in file.layout.tensors)
    spec = options.spec
    if options.recipe is not None:
        if spec is None:
            raise ValueError("--recipe changes a spec, and none is given; give --spec too")
        spec = checkpoint.load(spec, options.dtype, recipe=options.recipe)
    if options.json:
        event(
            "start",
            command=options.command,
            path=options.path,
            seed=options.seed,
            tensors=sum(len(file.layout.tensors) for file in files),
            files=len(files),
            bytes=total,
        )
    with progress(total, options.json) as advance:
        found = checkpoint.verify(
            options.path,
            spec,
            seed=options.seed,
            dtype=None if options.recipe else options.dtype,
            sample=options.sample,
            threads=threads,
            progress=advance,
        )
    equal = sum(map(bool, found.tensors))
    if options.json:
        for tensor in found.tensors:
            event("tensor", equal=bool(tensor), **tensor._asdict())
        event(
            "done",
            path=found.path,
            seed=found.seed,
            equal=equal,
            tensors=len(found.tensors) + len(found.missing),
            missing=found.missing,
            bytes=found.size,
            seconds=round(time.perf_counter() - began, 3),
        )
        return 0 if found else 1
    _show(found)
    [summary] = found.table().notes
    print(folded(f"{summary}, {time.perf_counter() - began:.2f} s"))
    return 0 if found else 1


def _show(found: Verified) -> None:
    """Print the result of each tensor.  Of a group of tensors that differ, only print the first."""
    from .._laws import names, patterns

    alike: dict[str, dict[str, Checked]] = {}
    for tensor in found.tensors:
        said = "differs" if tensor.different else tensor.said
        alike.setdefault(said, {})[tensor.name] = tensor
    for said, tensors in alike.items():
        for pattern, count in patterns(tensors):
            first = tensors[next(names(pattern))]
            if not first.different:
                print(folded(f"{pattern}: {said}"))
            elif count == 1:
                print(folded(str(first)))
            else:
                print(folded(f"{pattern}: {count} tensors differ; {first}"))
    for pattern, _ in patterns(found.missing):
        print(folded(f"{pattern}: missing"))
