"""Read the headers of a checkpoint's files: how fastinit drew them, or only names and shapes.

This module reads only headers, not weights.  index.py checks that a header is valid.
"""

from __future__ import annotations

import os

from .._core import dtypes
from .._core.arguments import path_text, shown, shown_path
from .._core.stream import STREAM_VERSION
from ..typing import Dtype, PathLike
from . import config, index
from .errors import SpecError
from .source import read_text
from .spec import Entry, Spec, resolve

_SPEC = "fastinit.spec"
# Limits of the spec in a file.  _COLONS is the most colons of an entry, except for one with many
# blocks.  _SPARE is how many more entries than tensors the spec may have, because someone may have
# removed tensors from the file.
_COLONS, _SPARE = 100, 1000


def is_checkpoint(path: object) -> bool:
    """Whether a path is a safetensors file, an index of such files, or a folder with them."""
    if not isinstance(path, (str, os.PathLike)):
        return False
    name = path_text(path)
    if not os.path.isdir(name):
        return name.endswith((".safetensors", index.INDEX_ENDING))
    return any(one.endswith(".safetensors") for one in os.listdir(name))


def spec_of(path: PathLike) -> Spec:
    """The spec of an existing checkpoint, from the metadata that fastinit wrote.

    Parameters
    ----------
    path : str or path
        A file or a folder.

    Returns
    -------
    Spec
        It draws the same checkpoint.

    Raises
    ------
    ValueError
        A file of another writer: its names and shapes do not say how its tensors are drawn.
    """
    found = index.files(path)
    parts = [own_spec(one) for one in found]
    return joined(str(path), parts, beside(path, None))


def joined(label: str, parts: list[Spec], others: dict[str, bytes]) -> Spec:
    """Join the specs of the files of one checkpoint."""
    entries = tuple(entry for part in parts for entry in part.entries)
    tied = {other: name for part in parts for other, name in part.tied.items()}
    return Spec(label, entries, parts[0].metadata, None, others, tied)


def is_ours(path: object) -> bool:
    """Whether a path is a checkpoint all of whose files say how fastinit drew them.

    Parameters
    ----------
    path : object
        Anything; only a path can be a checkpoint.

    Returns
    -------
    bool
        True if spec_of() can read it.
    """
    return is_checkpoint(path) and all(_SPEC in one.metadata for one in index.files(path))  # type: ignore[arg-type]


def load_header(path: PathLike, dtype: Dtype | None = None) -> Spec:
    """The spec of a checkpoint.  For a file of another writer, it has only names and shapes, and a
    recipe must define how to draw them.

    Raises
    ------
    ValueError
        See index.files(); or a dtype for a checkpoint of fastinit, which has its own.
    """
    if is_ours(path):
        if dtype is not None:
            raise ValueError(
                "dtype is for a config or a spec; a checkpoint of fastinit has its own"
            )
        return spec_of(path)
    found = index.files(path)
    kind = None if dtype is None else dtypes.resolve(dtype)
    entries = []
    for one in found:
        for tensor in one.layout.tensors:
            own = tensor.dtype if kind is None or not tensor.dtype.is_float else kind
            entries.append(Entry(tensor.name, tensor.shape, own, UNSAID, {}, _unsaid))
    form = found[0].metadata.get("format", "pt")
    return Spec(path_text(path), tuple(entries), {"format": form}, None, beside(path, kind))


UNSAID = ""  # the initializer of a tensor without a rule


def _unsaid(target: object, seed: int, stream: int, threads: int | None) -> None:
    raise ValueError("nothing says how this tensor is drawn")


def beside(path: PathLike, kind: dtypes.DType | None) -> dict[str, bytes]:
    """Read the config in a checkpoint's folder, and the files that belong to it."""
    name = path_text(path)
    folder = name if os.path.isdir(name) else os.path.dirname(os.path.abspath(name))
    path = os.path.join(folder, config.CONFIG)
    return config.companions(path, kind) if os.path.isfile(path) else {}


def check_said(spec: Spec, recipe: bool) -> None:
    """Refuse a spec with tensors that have no initializer."""
    unsaid = [entry.name for entry in spec.entries if entry.initializer == UNSAID]
    if not unsaid:
        return
    if not recipe:
        raise SpecError(
            "says names and shapes, and not how its tensors are drawn; give a recipe "
            "(--recipe FILE), or the model's config.json in its place",
            spec.label,
        )
    raise SpecError(
        f"no rule of the recipe matches {len(unsaid)} tensors, such as {shown(unsaid[0])}; the "
        "last rule may be for '*'",
        spec.label,
    )


def seed_of(file: index.Found) -> int:
    """The seed in a file's metadata."""
    text = file.metadata.get("fastinit.seed")
    version = file.metadata.get("fastinit.stream_version", str(STREAM_VERSION))
    if text is None:
        raise ValueError(
            f"{shown_path(file.path)} does not say how it was drawn (it has no fastinit "
            "metadata); give a "
            "spec and a seed (--spec, --seed)"
        )
    if version != str(STREAM_VERSION):
        raise ValueError(
            f"{shown_path(file.path)} was drawn by stream version {shown(version)}, and this is "
            "version "
            f"{STREAM_VERSION}"
        )
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 1 << 64):
        raise ValueError(
            f"{shown_path(file.path)} says the seed {shown(text)}, not an integer in [0, 2**64)"
        )
    return int(text)


def own_spec(file: index.Found) -> Spec:
    """The spec in a file's metadata.  A spec that would read other files is refused."""
    seed_of(file)  # raises an error for a file that fastinit did not write
    text = file.metadata.get(_SPEC)
    if text is None:
        raise ValueError(f"{shown_path(file.path)} does not say its spec; give one (--spec)")
    # An entry has about ten colons in JSON.  Resolving a million entries takes a minute.
    colons, most = text.count(":"), _COLONS * (_SPARE + len(file.layout.tensors))
    if colons > most:
        raise ValueError(
            f"the spec in {shown_path(file.path)} describes far more than the "
            f"{len(file.layout.tensors)} "
            "tensors of the file and is not read; give a spec (--spec)"
        )
    source = read_text(text, f"{file.path}: {_SPEC}")
    spec = resolve(source)
    for entry in spec.entries:
        if entry.initializer == "pretrained":
            raise ValueError(
                f"{shown_path(file.path)}: tensor {shown(entry.name)} came from another file; "
                "give the spec "
                "(--spec) if that file may be read"
            )
    return spec
