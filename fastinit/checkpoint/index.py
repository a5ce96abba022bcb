"""Find the files of an existing checkpoint: one file, or a folder with an index.

An index is untrusted input.  It may only name regular files in its folder.  Symbolic links must
also stay in the folder.  The one exception is a snapshot in Hugging Face's cache, which may link to
the blobs of its repository.  No pickle is opened.  ../_core/safetensors.py reads the headers.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from typing import Any, NamedTuple

from .._core import new_file, safetensors
from .._core.arguments import path_text, said, shown, shown_path
from ..typing import PathLike
from .errors import CHECKPOINT, check_there

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
INDEX_ENDING = ".safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".th", ".ckpt", ".pkl", ".pickle", ".joblib")


class Found(NamedTuple):
    """A safetensors file with a valid header."""

    path: str
    layout: safetensors.Layout
    metadata: dict[str, str]
    unknown: tuple[safetensors.Unknown, ...] = ()


def files(path: PathLike, lenient: bool = False) -> list[Found]:
    """Read the headers of a checkpoint: a file, a folder, or an index.

    Parameters
    ----------
    path : str or path
        A safetensors file; a folder of them; or the index of such a folder.
    lenient : bool, default False
        List tensors of unknown dtypes apart, and read a folder of several files without an index.

    Returns
    -------
    list of Found
        The files in order, each with its layout and metadata.

    Raises
    ------
    ValueError
        It is a pickle; its index or a header is damaged or hostile; it is incomplete.
    OSError
        A file is missing or cannot be read.
    """
    name = path_text(path)
    check_there(name, CHECKPOINT)
    if not new_file.is_folder(name):
        if os.path.splitext(name)[1].lower() in PICKLES:
            raise ValueError(_pickle(name))
        if name.endswith(INDEX_ENDING):
            return _indexed(os.path.dirname(name) or os.curdir, name, lenient)
        return [_found(name, lenient)]
    index = os.path.join(name, INDEX)
    if os.path.lexists(index):
        _check_regular(index)
        return _indexed(name, index, lenient)
    there = sorted(os.listdir(name))
    weights = [one for one in there if one.endswith(".safetensors")]
    if weights == [WHOLE] or len(weights) == 1:
        _check_name(weights[0], name, "the folder")
        return [_found(os.path.join(name, weights[0]), lenient)]
    if weights and lenient:
        for one in weights:
            _check_name(one, name, "the folder")
        return [_found(os.path.join(name, one), lenient) for one in weights]
    if weights:
        raise ValueError(
            f"{shown_path(name)} holds {len(weights)} safetensors files and no {INDEX}: it is "
            "not complete "
            "(fastinit materialize --resume goes on with it), or give one of the files"
        )
    for one in there:
        if os.path.splitext(one)[1].lower() in PICKLES:
            raise ValueError(_pickle(os.path.join(name, one)))
    raise FileNotFoundError(2, f"holds neither {INDEX} nor a safetensors file", name)


def _pickle(name: str) -> str:
    return (
        f"{shown_path(name)} is a pickle by its name, and loading a pickle runs whatever code it "
        "holds; "
        "convert it to safetensors first (safetensors.torch.save_file)"
    )


def _found(path: str, lenient: bool) -> Found:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{shown_path(path)} is not a regular file")
    unknown: list[safetensors.Unknown] | None = [] if lenient else None
    layout, metadata = safetensors.read_header(path, unknown)
    return Found(path, layout, metadata, tuple(unknown or ()))


def _indexed(folder: str, path: str, lenient: bool) -> list[Found]:
    weight_map = _weight_map(path)
    found = []
    for name in sorted(set(weight_map.values())):
        _check_name(name, folder, f"{shown_path(path)}")
        one = _found(os.path.join(folder, name), lenient)
        theirs = {tensor.name for tensor in one.layout.tensors}
        theirs |= {tensor.name for tensor in one.unknown}
        ours = {tensor for tensor, file in weight_map.items() if file == name}
        if theirs != ours:
            wrong = sorted(theirs ^ ours)[0]
            where = "the index" if wrong in ours else "the file"
            raise ValueError(
                f"{shown_path(path)} and {shown_path(name)} disagree: tensor {shown(wrong)} is "
                f"only in {where}"
            )
        found.append(one)
    return found


def _check_name(name: str, folder: str, where: str) -> None:
    """Refuse a name that is not that of a regular file directly in the folder."""
    plain = name == os.path.basename(name) and not set(name) & set("/\\:\0")
    try:
        plain = plain and len(os.fsencode(name)) < 256  # no file system supports longer names
    except UnicodeEncodeError:
        plain = False
    if not plain or not name.endswith(".safetensors") or name.startswith("."):
        raise ValueError(
            f"{where} names the file {shown(name)}; only the plain name of a .safetensors file "
            "beside it is allowed"
        )
    _check_regular(os.path.join(folder, name))


def _check_regular(path: str) -> None:
    """Refuse a path that is not a regular file, or that is a link to outside its folder."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return  # opening the file then raises the error
    if stat.S_ISLNK(mode):
        target = os.path.realpath(path)
        if not any(target.startswith(root + os.sep) for root in _roots(os.path.dirname(path))):
            raise ValueError(
                f"{shown_path(path)} is a link to {target!r}, out of its folder, which is not "
                "followed; give "
                "the file itself"
            )
        mode = os.stat(target).st_mode
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"{shown_path(path)} is not a regular file: devices and pipes are not opened"
        )


def _roots(folder: str) -> list[str]:
    """The folders to which the links in a folder may point.

    These are the folder itself and, in Hugging Face's cache, the blobs of the same repository.
    There, snapshots/COMMIT contains links to ../../blobs.
    """
    own = os.path.realpath(folder)
    parts = own.split(os.sep)
    roots = [own]
    if "snapshots" in parts:
        at = len(parts) - 1 - parts[::-1].index("snapshots")
        blobs = os.sep.join([*parts[:at], "blobs"])
        if os.path.realpath(blobs) == blobs:  # a link could point anywhere, so it is not accepted
            roots.append(blobs)
    return roots


def _weight_map(path: str) -> dict[str, str]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{shown_path(path)} is not a regular file")
    if status.st_size > safetensors.HEADER_LIMIT:
        raise ValueError(
            f"{shown_path(path)} has {status.st_size} bytes, more than the "
            f"{safetensors.HEADER_LIMIT} of an "
            "index"
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            raise ValueError(
                f"the key {shown(next(key for key in counts if counts[key] > 1))} appears twice"
            )
        return content

    try:
        with open(path, "rb") as file:
            content = json.loads(file.read().decode("utf-8"), object_pairs_hook=unique)
    except RecursionError:
        raise ValueError(f"{shown_path(path)} is not an index: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{shown_path(path)} is not an index: {said(error)}") from None
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{shown_path(path)} is not an index: it has no weight_map")
    for name, file in weight_map.items():
        if not isinstance(file, str):
            raise ValueError(
                f"{shown_path(path)} gives tensor {shown(name)} the file {shown(file)}"
            )
    return weight_map
