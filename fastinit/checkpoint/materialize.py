"""The main job: write a spec's tensors to a safetensors file or a folder of them.

plan.py determines the layout of the files.  write.py checks existing files and writes new ones.  It
uses draw.py to draw.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from .._core import engine, new_file
from .._core.arguments import path_text, shown
from .._core.progress import one_at_a_time
from .._core.tables import Table
from ..typing import Dtype, PathLike, Seed
from . import write
from .plan import SHARD_SIZE, Plan, plan
from .source import AnySpec
from .spec import Spec


class Report(NamedTuple):
    """What materialize() wrote.

    Attributes
    ----------
    path : str
        The target.
    tensors, values : int
        How many tensors and values the checkpoint has.
    size : int
        The bytes of its safetensors files.
    seed : int
        The seed of the draws.
    seconds : float
        The time that it took.
    written : tuple of str
        Names of the files that this call wrote.
    kept : tuple of str
        Names of the files that were there already, and were checked.
    missing : tuple of str
        Names of the files that other ranks have not written yet.
    """

    path: str
    tensors: int
    values: int
    size: int
    seed: int
    seconds: float
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def table(self) -> Table:
        """The files, in rows of text."""
        states = ("written", "kept", "missing")
        rows = [(name, state) for state in states for name in getattr(self, state)]
        summary = f"{self.path}: {self.tensors} tensors, {self.values} values, {self.size} bytes"
        return Table(f"{summary}, seed {self.seed}, {self.seconds:.3g} s", ("file", "state"), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def is_folder(path: PathLike) -> bool:
    """Whether a target is a folder: one that exists, or a path that ends in a separator.

    Parameters
    ----------
    path : str or path
        A target of materialize().

    Returns
    -------
    bool
        False for the target of a single file.
    """
    name = path_text(path)
    separators = (os.sep, os.altsep) if os.altsep else (os.sep,)
    return name.endswith(separators) or new_file.is_folder(name)


@engine.guarded
def materialize(
    spec: AnySpec | Spec | Plan,
    path: PathLike,
    *,
    seed: Seed | None = None,
    dtype: Dtype | None = None,
    threads: int | None = None,
    force: bool = False,
    resume: bool = False,
    shard_size: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Draw every tensor of a spec into a new safetensors file, or into a folder of them.

    A file appears whole or not at all, and of a folder the index appears last.  Each tensor is what
    its initializer's function gives for this seed and the tensor's name.  Memory: a few MiB a
    thread; for what is not elementwise (orthogonal, sparse, …) a part of 64 MiB, and for the few
    that have no parts (convolutional_orthogonal, what a model's own code computes) the one tensor.

    Parameters
    ----------
    spec : str, path, mapping, Spec or Plan
        A preset ("gpt2"), a path that ends in .toml or .json, a mapping of that form, or what
        load() or plan() gave.
    path : path
        The file to write.  A folder that exists, or a path that ends in a separator, gets
        model.safetensors, or shards and their index, and config.json where the spec has one.
    seed : Seed, optional
        An integer in [0, 2**64); None draws one, which the report and the files' metadata hold.
    dtype : Dtype, optional
        In place of the spec's top-level dtype.
    threads : int, optional
        None is all CPUs that this process may use.
    force : bool
        Replace existing files; otherwise none is overwritten, not even one that appears meanwhile.
    resume : bool
        Go on with what an interrupted call left: each file that is there is compared with what this
        call would write, byte for byte, and kept.  Without a seed, that of the files is taken.
    shard_size : int, optional
        Of a folder: the most bytes of tensors in one file, 5 GB unless given.
    rank, world_size : int
        Of a folder: write only the files number rank, rank + world_size, … .  The ranks need not
        talk: whichever finds all files there writes the index.
    progress : callable, optional
        Called with the number of bytes written since the last call, from one thread at a time.

    Returns
    -------
    Report
        What was written, and the seed.

    Raises
    ------
    SpecError, ValueError, TypeError
        A mistake in the spec or in an argument, before anything is written.
    OSError, MemoryError
        Nothing half-written is left, and a file that was there is as it was.

    See Also
    --------
    fastinit.checkpoint.verify : Compares a checkpoint with what was drawn.
    fastinit.torch.materialize_ : The same weights in a torch model.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastinit.checkpoint import materialize
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rules = [{"match": "*", "initializer": "he_normal"}]
    ...     report = materialize({"tensors": {"w": [2, 3]}, "rules": rules},
    ...                          os.path.join(folder, "model.safetensors"), seed=0)
    >>> report.values, report.size
    (6, 320)
    """
    began = time.perf_counter()
    count, advance = engine.thread_count(threads), one_at_a_time(progress)
    in_folder = is_folder(path)
    _check_options(in_folder, shard_size, rank, world_size)
    if isinstance(spec, Plan):
        if (seed, dtype, shard_size) != (None, None, None):
            raise TypeError(
                "seed, dtype and shard_size belong to plan(); this plan has its own already"
            )
        planned = spec
    else:
        if seed is None and resume:
            seed = write.seed_of(path)
        if seed is None and world_size > 1:
            raise ValueError(
                f"{world_size} ranks and no seed: each would draw another; give all of them the "
                "same seed"
            )
        size = (shard_size or SHARD_SIZE) if in_folder else None
        planned = plan(spec, seed, dtype, shard_size=size)
    job = write.Writing(planned, count, force, resume, advance)
    missing: tuple[str, ...] = ()
    if in_folder:
        written, kept, missing = write.folder(job, path, rank, world_size)
    elif len(planned.files) > 1:
        raise ValueError(
            f"the plan has {len(planned.files)} files; give a folder, or plan without shard_size"
        )
    else:
        written, kept = write.file(job, path)
    return Report(
        path_text(path),
        planned.tensors,
        planned.values,
        planned.size,
        planned.seed,
        time.perf_counter() - began,
        written,
        kept,
        missing,
    )


def _check_options(folder: bool, shard_size: int | None, rank: int, world_size: int) -> None:
    for value, what in ((rank, "rank"), (world_size, "world_size")):
        if type(value) is not int:
            raise TypeError(f"{what} must be a whole number, not {type(value).__name__}")
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(
            f"rank is {shown(rank)} and world_size {shown(world_size)}; "
            "rank must be at least 0 and less than world_size"
        )
    if not folder and (shard_size is not None or world_size > 1):
        raise ValueError(
            "shard_size, rank and world_size are for a checkpoint of several files; give the path "
            "of a folder"
        )
