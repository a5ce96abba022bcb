"""A plan determines every byte of a checkpoint before anything is drawn.

A plan is one file, or the files of a folder in Hugging Face's layout: shards, their index, and the
files that are copied beside them.  It is a pure function of spec, seed, dtype and shard size, so
processes that do not communicate write parts of the same checkpoint.  materialize.py writes it as a
file or a folder, by write.py.  verify.py compares files with it.
"""

from __future__ import annotations

import json
import re

# Not hashlib: importing it takes 20 ms (OpenSSL).  _blake2 is the same function without OpenSSL.
from _blake2 import blake2b
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._core import engine, fill, safetensors
from .._core.arguments import shown
from .._core.draws import Draw
from .._core.stream import STREAM_VERSION, check_seed, stream_id
from ..typing import Array, Dtype, Seed, Write
from . import parts
from .blocks import Patched
from .index import INDEX, WHOLE
from .load import load
from .source import AnySpec
from .spec import COMPUTED, Entry, Spec, not_here

SHARD_SIZE = 5_000_000_000  # bytes of a file's tensors; transformers 4's own default


class File(NamedTuple):
    """One safetensors file of a checkpoint.

    Attributes
    ----------
    name : str
        Its name in the folder.
    layout : Layout
        Its header, and where each tensor lies.
    rules : tuple of Draw, Patched or callable
        For each tensor of the layout, what is drawn.
    streams : tuple of int
        For each, its stream.
    axes : tuple of int or None
        For each that is not drawn value by value, the axis along which it may be cut.
    """

    name: str
    layout: safetensors.Layout
    rules: tuple[Draw | Patched | Write, ...]
    streams: tuple[int, ...]
    axes: tuple[int | None, ...]

    @property
    def size(self) -> int:
        return self.layout.size

    @property
    def values(self) -> int:
        return sum(
            (tensor.end - tensor.begin) // tensor.dtype.itemsize for tensor in self.layout.tensors
        )


class Plan(NamedTuple):
    """A checkpoint that is ready to be drawn: its spec is checked, and nothing is written yet.

    Attributes
    ----------
    spec : Spec
        The resolved spec.
    seed : int
        The seed of the draws.
    files : tuple of File
        The safetensors files.
    others : dict
        The content of other files of the folder, in the order of writing: the index is last.
    digest : str
        Of the stream version, the seed, and everything else that decides the files.
    """

    spec: Spec
    seed: int
    files: tuple[File, ...]
    others: dict[str, bytes]
    digest: str

    @property
    def size(self) -> int:
        """The bytes of all safetensors files."""
        return sum(file.size for file in self.files)

    @property
    def values(self) -> int:
        return sum(file.values for file in self.files)

    @property
    def tensors(self) -> int:
        return len(self.spec.entries)


@engine.guarded
def plan(
    spec: AnySpec | Spec,
    seed: Seed | None = None,
    dtype: Dtype | None = None,
    *,
    shard_size: int | None = None,
) -> Plan:
    """Resolve a spec and lay its files out.

    Parameters
    ----------
    spec : str, path, mapping or Spec
        What load() takes, or what it gave.
    seed : Seed, optional
        An integer in [0, 2**64); None draws one.
    dtype : Dtype, optional
        In place of the spec's top-level dtype.
    shard_size : int, optional
        The most bytes of tensors in one file; a larger tensor has a file of its own.  None is one
        file, whatever its size.

    Returns
    -------
    Plan
        The metadata of its files holds no date and no version of the package: same input, same
        bytes.

    Raises
    ------
    SpecError, ValueError, TypeError
        A mistake in the spec or in an argument.

    Examples
    --------
    >>> from fastinit import checkpoint
    >>> plan = checkpoint.plan("gpt2", seed=0, shard_size=300_000_000)
    >>> [file.name for file in plan.files]
    ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    """
    if not isinstance(spec, Spec):
        spec = load(spec, dtype)
    elif dtype is not None:
        raise TypeError(
            "dtype belongs to load(), when the spec is read; this spec is resolved already"
        )
    if shard_size is not None and (type(shard_size) is not int or shard_size < 1):
        raise ValueError(
            f"shard_size is {shown(shard_size)}; it must be a number of bytes, at least 1"
        )
    for entry in spec.entries:
        if entry.rule is not_here:
            raise ValueError(
                f"{shown(entry.name)} is computed by the model's own code, which a spec does not "
                "hold; give the model's config.json in place of the spec"
            )
    seed = check_seed(seed)
    spec = spec._replace(entries=tuple(_digested(entry, seed) for entry in spec.entries))
    shards = list(_shards(spec, shard_size))
    common = {
        "fastinit.stream_version": str(STREAM_VERSION),
        "fastinit.seed": str(seed),
    }
    whole = spec.canonical()
    order = [[entry.name for entry in shard] for shard in shards] if len(shards) > 1 else []
    decided = [common, whole, order]
    digest = blake2b(json.dumps(decided).encode(), digest_size=16).hexdigest()
    files = []
    for number, shard in enumerate(shards, 1):
        names = {entry.name for entry in shard}
        metadata = {**spec.metadata, **common}
        if len(shards) == 1:
            # With one file, its spec describes the whole plan, so it needs no digest.
            name, metadata["fastinit.spec"] = WHOLE, whole
        else:
            name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
            metadata |= {"fastinit.digest": digest, "fastinit.spec": spec.canonical(names)}
        files.append(_file(name, shard, metadata))
    return Plan(spec, seed, tuple(files), _others(spec, files), digest)


def _digested(entry: Entry, seed: int) -> Entry:
    """Add a digest of its bytes to an entry that a model's own code computes.

    The metadata cannot define the values any other way: only the model's code can compute them.
    """
    if entry.initializer != COMPUTED:
        return entry
    target = fill.target(entry.shape, entry.dtype.unsigned, None, None)._replace(dtype=entry.dtype)
    entry.rule(target, seed, stream_id(entry.name), None)  # type: ignore[operator]
    bits = target.view.astype(entry.dtype.unsigned.newbyteorder("<"), copy=False)
    return entry._replace(arguments={"digest": digest_of(bits)})


def digest_of(data: Array) -> str:
    """The digest of a tensor's bytes as they are in a file."""
    return blake2b(data.reshape(-1).view(np.uint8).data, digest_size=16).hexdigest()


def _shards(spec: Spec, size: int | None) -> Iterator[list[Entry]]:
    """Divide the entries among files.

    The entries are sorted by name, with numbers in a name compared by value.  Each file gets as
    many as fit, and at least one.  The spec's order is not used, because a config, its spec and its
    files list the same tensors in three orders.
    """
    shard: list[Entry] = []
    room = size
    for entry in sorted(spec.entries, key=_place):
        needed = entry.nbytes
        if size is not None and room is not None:
            if shard and needed > room:
                yield shard
                shard, room = [], size
            room -= needed
        shard.append(entry)
    yield shard


def _place(entry: Entry) -> tuple[list[str | tuple[int, str]], str]:
    """A sort key that puts layer 2 before layer 10."""
    parts: list[str | tuple[int, str]] = list(re.split("([0-9]+)", entry.name))
    for at in range(1, len(parts), 2):
        digits = str(parts[at]).lstrip("0")
        parts[at] = len(digits), digits
    return parts, entry.name


def _file(name: str, entries: list[Entry], metadata: dict[str, str]) -> File:
    layout = safetensors.layout(
        ((entry.name, entry.dtype, entry.shape) for entry in entries), metadata
    )
    return file_of(name, layout, {entry.name: entry for entry in entries})


def file_of(name: str, layout: safetensors.Layout, entries: dict[str, Entry]) -> File:
    """Make the File of a layout.  Each of its tensors must have an entry."""
    rules = tuple(entries[tensor.name].rule for tensor in layout.tensors)
    streams = tuple(stream_id(tensor.name) for tensor in layout.tensors)
    axes = tuple(parts.axis(entries[tensor.name]) for tensor in layout.tensors)
    return File(name, layout, rules, streams, axes)


def _others(spec: Spec, files: list[File]) -> dict[str, bytes]:
    others = dict(spec.others)
    if spec.config is not None:
        others["config.json"] = _json(spec.config)
    if len(files) > 1:
        names = {tensor.name: file.name for file in files for tensor in file.layout.tensors}
        total = sum(tensor.end - tensor.begin for file in files for tensor in file.layout.tensors)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(names.items()))}
        others[INDEX] = _json(index)
    return others


def _json(content: object) -> bytes:
    """JSON in the format that transformers writes."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
