"""fastinit materialize: read the options of the spec, the target and the ranks, call
checkpoint.materialize, and print a short report.  dry_run.py prints the output of --dry-run.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .._core.tables import folded
from . import dry_run
from .options import add_threads, seed, size, whole
from .progress import add_json, event, progress

if TYPE_CHECKING:
    from ..checkpoint import Plan, Report, Spec

SUMMARY = "draw a model into a safetensors file or a model folder"
EXAMPLE = """  fastinit materialize gpt2 -o weights --seed 0
  fastinit materialize model.toml -o m.safetensors --dtype bfloat16 --dry-run"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="SPEC",
        help="a preset (see: fastinit presets), a .toml or .json file, a Hugging Face model's "
        "folder or config.json, or (with --recipe) a .safetensors file or an index, whose names "
        "and shapes are taken",
    )
    add_output(parser)
    parser.add_argument(
        "--dtype",
        help="in place of the spec's dtype; tensors and rules that name their own keep it",
    )
    parser.add_argument(
        "--recipe",
        metavar="FILE",
        help="a .toml or .json file of rules; what they match is drawn as they say",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        help="an integer in [0, 2**64); without one a seed is drawn, and printed",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output that write() uses."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="NAME.safetensors: one file; a folder: model.safetensors or shards, and config.json",
    )
    add_threads(parser)
    parser.add_argument(
        "--shard-size",
        type=size,
        metavar="SIZE",
        help="of a folder: the most bytes of tensors in a file, such as 500MB; 5GB unless given",
    )
    parser.add_argument(
        "--rank",
        type=whole,
        help="of a folder: write only this rank's files; the default is what torchrun, SLURM or "
        "MPI say",
    )
    parser.add_argument("--world-size", type=whole, help="the number of ranks")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="check what an interrupted run left, keep it, and write what is missing",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be drawn, and write nothing"
    )
    parser.add_argument("--force", action="store_true", help="replace existing files")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    from .. import checkpoint

    return write(
        options, lambda: checkpoint.load(options.spec, options.dtype, recipe=options.recipe)
    )


def write(options: argparse.Namespace, load: Callable[[], Spec]) -> int:
    """Check the options, then write the spec that load() returns."""
    from .. import checkpoint
    from .._core import engine

    began = time.perf_counter()
    threads = engine.thread_count(options.threads)
    output = None if options.output is None else _target(options.output)
    if output is None and not options.dry_run:
        raise ValueError(
            "the option -o PATH is missing: NAME.safetensors or a folder to write (or give "
            "--dry-run)"
        )
    folder = output is not None and checkpoint.is_folder(output)
    if not folder and output is not None and (options.shard_size or options.world_size):
        raise ValueError(
            f"-o {output} is one file; --shard-size, --rank and --world-size are for a folder"
        )
    rank, world_size = _ranks(options) if folder else (0, 1)
    seed = options.seed
    if seed is None and output is not None and options.resume:
        seed = checkpoint.seed_of(output)
    if seed is None and world_size > 1:
        raise ValueError(
            f"{world_size} ranks and no seed: each would draw another; give all of them the same "
            "--seed"
        )
    size = options.shard_size or (checkpoint.SHARD_SIZE if folder else None)
    plan = checkpoint.plan(load(), seed, shard_size=size)
    if options.dry_run:
        dry_run.show_events(plan) if options.json else dry_run.show(plan, threads)
        return 0
    own = plan.files[rank::world_size]
    total = sum(file.size for file in own)
    if options.json:
        event(
            "start",
            command=options.command,
            path=output,
            seed=plan.seed,
            tensors=sum(len(file.layout.tensors) for file in own),
            files=len(own),
            bytes=total,
        )
    with progress(total, options.json) as advance:
        report = checkpoint.materialize(
            plan,
            str(output),
            threads=threads,
            force=options.force,
            resume=options.resume,
            rank=rank,
            world_size=world_size,
            progress=advance,
        )
    if options.json:
        _file_events(plan, report)
        event("done", **report._asdict())
        return 0
    counts = (
        f"{report.tensors} tensors, {report.values} values, {report.size} bytes, seed {report.seed}"
    )
    how = f"{engine.name()} engine, {engine.isa()}, {threads} thread{'s' * (threads > 1)}"
    print(folded(f"{report.path}: {counts}, {time.perf_counter() - began:.2f} s ({how})"))
    for rule in checkpoint.rules(plan.spec):
        print(folded(rule))
    if folder or report.kept:
        _show_files(report, rank, world_size)
    if folder and "config.json" not in plan.others:
        print("no config.json was written: the spec has no table [config]")
    return 0


def _file_events(plan: Plan, report: Report) -> None:
    sizes = {file.name: file.size for file in plan.files}
    sizes |= {name: len(content) for name, content in plan.others.items()}
    for state in ("written", "kept", "missing"):
        for name in getattr(report, state):
            event("file", file=name, bytes=sizes.get(name, report.size), state=state)


def _show_files(report: Report, rank: int, world_size: int) -> None:
    who = f"rank {rank} of {world_size}: " if world_size > 1 else ""
    print(folded(f"{who}wrote {', '.join(report.written) or 'nothing'}"))
    if report.kept:
        print(folded(f"{who}kept, equal byte for byte: {', '.join(report.kept)}"))
    if report.missing:
        print(
            folded(
                f"{who}not complete yet: {len(report.missing)} files of other ranks are missing, "
                f"such as {report.missing[0]}; the rank that finds all of them writes the index"
            )
        )


def _target(text: str) -> str:
    """The path of -o.

    It is a file if it ends in .safetensors or exists as a file.  Anything else is a folder.  The
    path of a new folder gets a separator at its end.
    """
    from .. import checkpoint

    if checkpoint.is_folder(text) or os.path.exists(text):
        return text
    suffix = os.path.splitext(text)[1]
    if suffix.lower() == ".safetensors":
        return text
    if re.fullmatch(r"\.[A-Za-z]\w*", suffix):  # not "Llama-3.2-1B" or "run.1"
        raise ValueError(
            f"-o {text:.200}: no {suffix} file is written; give NAME.safetensors for one file, or "
            f"a folder (a new one with such a name ends in {os.sep})"
        )
    return text + os.sep


# The environment variables in which launchers pass the rank and the number of ranks.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    # srun.  SLURM_NTASKS does not work: it is also set in a batch script without srun, with
    # SLURM_PROCID=0.  That script is the only process, so it must write all files.
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)


def _ranks(options: argparse.Namespace) -> tuple[int, int]:
    """The rank and the number of ranks, from the options, else from a launcher, else 0 and 1."""
    given = options.rank, options.world_size
    source = "--rank and --world-size"
    if given == (None, None):
        for names in LAUNCHERS:
            if all(name in os.environ for name in names):
                source = " and ".join(names)
                try:
                    given = tuple(whole(os.environ[name]) for name in names)  # type: ignore[assignment]
                except argparse.ArgumentTypeError as error:
                    raise ValueError(f"{source}: {error}") from None
                break
        else:
            return 0, 1
    rank, world_size = given
    if rank is None or world_size is None:
        raise ValueError("--rank and --world-size belong together; give both")
    if not rank < world_size:
        raise ValueError(f"{source} are {rank} and {world_size}; a rank is below the world size")
    return rank, world_size
