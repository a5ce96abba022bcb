"""SpecError, which reports a mistake in a spec with its file and line if known, and the error for
a path that does not exist.

The readers of specs and checkpoints raise them.
"""

from __future__ import annotations

import errno
import itertools
import os

from .._core.arguments import nearest, path_text
from ..typing import PathLike

CHECKPOINT = "a .safetensors file, an index of such files, or a folder of them"
ARRAYS = "a .safetensors, .npz or .npy file, or a folder of the first"
SPEC = "a preset, a .toml or .json file, a model's folder or config.json, or a checkpoint"
_COMPARED = 2000  # the most names of a folder to compare for a hint


def check_there(path: PathLike, allowed: str) -> None:
    """Raise FileNotFoundError if a path does not exist.  The message has the nearest name in its
    folder and the kinds of path that are allowed.
    """
    name = path_text(path)
    try:
        os.stat(name)
    except FileNotFoundError:
        text = f"{os.strerror(errno.ENOENT)}; {near_path(name)}give {allowed}"
        raise FileNotFoundError(errno.ENOENT, text, name) from None


def near_path(name: str) -> str:
    """For a missing path, return "did you mean 'x'? " with a similar name in its folder, or ""."""
    folder, base = os.path.split(name)
    try:
        with os.scandir(folder or os.curdir) as there:
            found = [one.name for one in itertools.islice(there, _COMPARED)]
    except OSError:
        return ""
    hint = nearest(base, found)
    return f"{hint} " if hint else ""


class SpecError(ValueError):
    """A mistake in a spec.

    Attributes
    ----------
    file : str or None
        Where it is; None where that is not known.
    line : int or None
        The line, from 1.
    """

    def __init__(self, message: str, file: str | None = None, line: int | None = None):
        self.file, self.line = file, line
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + message)
