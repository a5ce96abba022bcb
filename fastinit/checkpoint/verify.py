"""verify() draws a checkpoint again and compares all its bytes, or a sample of them.

This module only compares.  The files' metadata or a spec (spec.py) describe what was drawn.
draw.py draws.  index.py opens untrusted files safely.
"""

from __future__ import annotations

import math
import os
import threading

# Not hashlib: importing it takes 20 ms (OpenSSL).  _blake2 is the same function without OpenSSL.
from _blake2 import blake2b
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from .._core import dtypes, engine
from .._core.arguments import check_progress, path_text, shown, shown_path
from .._core.progress import one_at_a_time
from .._core.safetensors import Tensor
from .._core.stream import check_seed
from .._core.tables import Table
from ..typing import Array, Dtype, PathLike, Seed
from . import index
from .draw import COMPARED, Sample, draw_file
from .header import own_spec, seed_of
from .load import load
from .plan import File, digest_of, file_of
from .source import AnySpec
from .spec import Entry, Spec, not_here


class Checked(NamedTuple):
    """One tensor of a checkpoint, compared with its initial draw; true if they are equal.

    Attributes
    ----------
    name : str
        The tensor's name.
    file : str
        The name of its file.
    values : int
        The number of values that were compared.
    different : int
        The number of these that differ.
    place : tuple of int or None
        Index of the first difference; None if there is none.
    expected, found : number or None
        The drawn value and the file's value at that place.
    reason : str
        Why it could not be compared; "" if it was.
    computed : bool
        Whether the model's own code computes it; it is compared by the digest in the metadata.
    """

    name: str
    file: str
    values: int
    different: int
    place: tuple[int, ...] | None = None
    expected: Any = None
    found: Any = None
    reason: str = ""
    computed: bool = False

    def __bool__(self) -> bool:
        return not self.different and not self.reason

    def __str__(self) -> str:
        return f"{self.name}: {self.said}"

    @property
    def said(self) -> str:
        """What was found."""
        if self.reason:
            return self.reason
        if self.computed:
            return "computed by the model's own code, as it was written"
        if not self.different:
            return "initial draw"
        index = f"[{', '.join(map(str, self.place or ()))}]"
        return (
            f"{self.different} of {self.values} values differ, first at {index}: "
            f"expected {self.expected!r}, found {self.found!r}"
        )


class Verified(NamedTuple):
    """What verify() found; true if every tensor is its initial draw and none is missing.

    Attributes
    ----------
    path : str
        What was verified.
    seed : int
        The seed of the draws that were compared.
    tensors : tuple of Checked
        Every tensor of the files.
    missing : tuple of str
        Names of tensors of the spec that no file holds.
    size : int
        The number of bytes that were compared.
    """

    path: str
    seed: int
    tensors: tuple[Checked, ...]
    missing: tuple[str, ...]
    size: int

    def __bool__(self) -> bool:
        return all(self.tensors) and not self.missing

    def table(self) -> Table:
        """What differs, in rows of text."""
        rows = [(tensor.name, tensor.said) for tensor in self.tensors if not tensor]
        rows += [(name, "missing") for name in self.missing]
        equal, count = sum(map(bool, self.tensors)), len(self.tensors) + len(self.missing)
        said = f"{self.path}: {equal} of {count} tensors are their initial draw, seed {self.seed}"
        return Table("", ("tensor", "what is there"), rows, [f"{said}; {self.size} bytes compared"])

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


@engine.guarded
def verify(
    path: PathLike,
    spec: AnySpec | Spec | None = None,
    *,
    seed: Seed | None = None,
    dtype: Dtype | None = None,
    sample: float | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verified:
    """Draw a checkpoint's tensors again and compare them with its files.

    Parameters
    ----------
    path : path
        A safetensors file, or a folder with one or with an index.
    spec : str, path, mapping or Spec, optional
        What the tensors should be, for files that others wrote; None is what the files' own
        metadata say.
    seed : Seed, optional
        None is the seed in the metadata.
    dtype : Dtype, optional
        In place of the spec's top-level dtype.
    sample : float, optional
        Compare about this share of the bytes, in (0, 1], in pieces of 64 KiB: always the same
        ones, of each tensor at least the first.  None compares every byte.
    threads : int, optional
        None is all CPUs that this process may use.
    progress : callable, optional
        Called with the number of bytes compared since the last call, from one thread at a time.

    Returns
    -------
    Verified
        True if every tensor is still its initial draw.

    Raises
    ------
    ValueError
        A pickle, a damaged or hostile file, or metadata that say nothing of how it was drawn.
    OSError
        A file that cannot be read.

    See Also
    --------
    fastinit.torch.verify_ : The same for a torch model in memory.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastinit import checkpoint
    >>> rules = [{"match": "*", "initializer": "he_normal"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     _ = checkpoint.materialize({"tensors": {"w": [2, 3]}, "rules": rules}, path, seed=0)
    ...     same = checkpoint.verify(path)
    ...     other = checkpoint.verify(path, seed=1)
    >>> bool(same), bool(other), other.tensors[0].place
    (True, False, (0, 0))
    """
    count = engine.thread_count(threads)
    check_progress(progress)
    if sample is not None and not (isinstance(sample, (int, float)) and 0 < sample <= 1):
        raise ValueError(f"sample is {shown(sample)}; give a share in (0, 1], or None for all")
    found = index.files(path)
    if spec is None and dtype is not None:
        raise ValueError("dtype belongs to a spec, and none is given")
    given = spec if spec is None or isinstance(spec, Spec) else load(spec, dtype)
    if given is not None and seed is None and "fastinit.seed" not in found[0].metadata:
        raise ValueError(
            f"{shown_path(found[0].path)} does not say its seed, and none is given; give seed= "
            "(--seed)"
        )
    tensors: list[Checked] = []
    expected: set[str] = set()
    seeds = {seed_of(one) if seed is None else check_seed(seed) for one in found}
    if len(seeds) > 1:
        raise ValueError(
            f"the files of {shown_path(path_text(path))} have seeds "
            f"{', '.join(map(str, sorted(seeds)))}; "
            "they are not of one checkpoint"
        )
    drawn_by = seeds.pop()
    compared = 0

    @one_at_a_time
    def advance(size: int) -> None:
        nonlocal compared
        compared += size
        if progress is not None:
            progress(size)

    for one in found:
        described = given if given is not None else own_spec(one)
        entries = {entry.name: entry for entry in described.entries}
        expected |= entries.keys()
        wrong, file = match(one, entries)
        if given is None and str(drawn_by) == one.metadata["fastinit.seed"]:
            wrong = by_digest(wrong, one, entries, advance)
        tensors += [*wrong, *check_file(one.path, file, drawn_by, count, advance, sample)]
    names = {tensor.name for one in found for tensor in one.layout.tensors}
    return Verified(
        path_text(path), drawn_by, tuple(tensors), tuple(sorted(expected - names)), compared
    )


def match(found: index.Found, entries: dict[str, Entry]) -> tuple[list[Checked], File]:
    """Return the tensors of a file that cannot be compared, and a File with the others."""
    wrong, right = [], []
    for tensor in found.layout.tensors:
        entry = entries.get(tensor.name)
        reason = ""
        if entry is None:
            reason = "not in the spec"
        elif (entry.shape, entry.dtype) != (tensor.shape, tensor.dtype):
            reason = (
                f"the file has {tensor.dtype.name} {tensor.shape}, the spec {entry.dtype.name} "
                f"{entry.shape}"
            )
        elif entry.rule is not_here:
            reason = NOT_HERE
        if reason:
            wrong.append(Checked(tensor.name, os.path.basename(found.path), 0, 0, reason=reason))
        else:
            right.append(tensor)
    layout = found.layout._replace(tensors=tuple(right))
    return wrong, file_of(os.path.basename(found.path), layout, entries)


NOT_HERE = "computed by the model's own code; give its config (--spec config.json)"


def by_digest(
    checked: list[Checked],
    found: index.Found,
    entries: dict[str, Entry],
    progress: Callable[[int], None],
) -> list[Checked]:
    """Compare the tensors that the model's own code computes with the digests in their file."""
    places = {tensor.name: tensor for tensor in found.layout.tensors}
    result = []
    with open(found.path, "rb", buffering=0) as stream:
        read = _reader(stream)
        for one in checked:
            digest = entries[one.name].arguments.get("digest") if one.reason == NOT_HERE else None
            if digest is not None:
                tensor = places[one.name]
                size = tensor.end - tensor.begin
                same = digest_of(read(tensor.begin, size)) == digest
                progress(size)
                one = one._replace(
                    values=size // tensor.dtype.itemsize,
                    reason="" if same else "computed by the model's own code, and changed since",
                    computed=True,
                )
            result.append(one)
    return result


def check_file(
    path: str,
    file: File,
    seed: int,
    threads: int,
    progress: Callable[[int], None],
    sample: float | None = None,
) -> list[Checked]:
    """Compare each tensor of a file with its draw."""
    tensors = file.layout.tensors
    begins = [tensor.begin for tensor in tensors]
    found: dict[str, Checked] = {
        tensor.name: Checked(tensor.name, file.name, 0, 0) for tensor in tensors
    }
    lock = threading.Lock()
    with open(path, "rb", buffering=0) as stream:
        read = _reader(stream)

        def take(begin: int, expected: Array) -> None:
            there = read(begin, len(expected))
            same = _same(there, expected)
            with lock:
                at = bisect_right(begins, begin) - 1
                while at < len(tensors) and tensors[at].begin < begin + len(expected):
                    low = max(begin, tensors[at].begin)
                    high = min(begin + len(expected), tensors[at].end)
                    if low < high:
                        part = slice(low - begin, high - begin)
                        checked = found[tensors[at].name]
                        found[checked.name] = _compared(
                            checked, tensors[at], low, expected[part], there[part], same
                        )
                    at += 1
            progress(len(expected))

        wanted = None if sample is None else _sampler(begins, sample)
        draw_file(file, seed, threads, take, wanted, span=COMPARED)
    return list(found.values())


def _sampler(begins: Iterable[int], share: float) -> Sample:
    """Choose the spans of a sample: the first of each tensor, and others by a hash of their
    position.
    """
    firsts = set(begins)
    limit = math.ceil(share * (1 << 64))

    def wanted(begin: int, end: int) -> bool:
        digest = blake2b(begin.to_bytes(8, "little"), digest_size=8).digest()
        return begin in firsts or int.from_bytes(digest, "little") < limit

    return wanted


def _reader(stream: Any) -> Callable[[int, int], Array]:
    """Return a function that reads bytes of a file and may be called from any thread.

    Each thread has a buffer, and its next read overwrites it.
    """
    lock, local = threading.Lock(), threading.local()

    def read(begin: int, size: int) -> Array:
        buffer = getattr(local, "buffer", None)
        if buffer is None or len(buffer) < size:
            buffer = local.buffer = np.empty(size, np.uint8)
        buffer = buffer[:size]
        view = memoryview(buffer)  # type: ignore[arg-type]
        done = 0
        while done < size:
            if hasattr(os, "preadv"):
                count = os.preadv(stream.fileno(), [view[done:]], begin + done)
            else:  # macOS before 11 and Windows: threads share one file position
                with lock:
                    stream.seek(begin + done)
                    count = stream.readinto(view[done:])
            if not count:
                raise ValueError(f"{shown_path(stream.name)} became shorter while it was read")
            done += count
        return buffer

    return read


def _same(one: Array, other: Array) -> bool:
    """Whether bytes are equal.  Comparing 8-byte words takes an eighth of the time."""
    words = len(one) - len(one) % 8
    if not (one[:words].view(np.uint64) == other[:words].view(np.uint64)).all():
        return False
    return words == len(one) or np.array_equal(one[words:], other[words:])


def _compared(
    checked: Checked, tensor: Tensor, low: int, expected: Array, found: Array, same: bool
) -> Checked:
    """Update the result of a tensor after comparing the bytes from `low` on."""
    dtype = tensor.dtype
    values = checked.values + len(expected) // dtype.itemsize
    if same:
        return checked._replace(values=values)
    # Copy: in a file of another writer, a tensor may begin at any byte, unaligned.
    ours, theirs = (
        bytes_.copy().view(dtype.unsigned.newbyteorder("<")) for bytes_ in (expected, found)
    )
    places = np.flatnonzero(ours != theirs)
    if not len(places):
        return checked._replace(values=values)
    flat = (low - tensor.begin) // dtype.itemsize + int(places[0])
    where = tuple(int(number) for number in np.unravel_index(flat, tensor.shape or (1,)))
    where = where if tensor.shape else ()
    if checked.place is None or where < checked.place:
        checked = checked._replace(
            place=where,
            expected=dtypes.decode(int(ours[places[0]]), dtype),
            found=dtypes.decode(int(theirs[places[0]]), dtype),
        )
    return checked._replace(values=values, different=checked.different + len(places))
