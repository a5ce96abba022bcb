"""The tensors of a file or folder, found without reading their values: safetensors and npz.

Untrusted files are checked: headers by _core/safetensors.py and array_files.py, folders by
checkpoint/index.py.  A tensor with an unknown dtype or packed bits is listed but cannot be read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._core.arguments import path_text, shown_path
from .._core.array_files import Source, UnknownDtype, find, names
from .._core.dtypes import DType
from .._core.safetensors import in_file
from ..checkpoint import index
from ..checkpoint.errors import ARRAYS, check_there
from ..typing import Array, PathLike
from .statistics import Read


class Stored(NamedTuple):
    """A tensor in a file.

    Attributes
    ----------
    name : str
        Its name.
    dtype : DType or str
        Its dtype; the file's name for it, if it is not known.
    shape : tuple of int
        Its sizes.
    read : callable or None
        read(begin, end) returns these values, in flat order, as unsigned integers of the dtype's
        width; any thread may call it. None for a dtype that is not known.
    file : str
        The name of its file.
    """

    name: str
    dtype: DType | str
    shape: tuple[int, ...]
    read: Read | None
    file: str

    @property
    def nbytes(self) -> int:
        """The size of its values, 0 where the dtype is not known."""
        return 0 if isinstance(self.dtype, str) else math.prod(self.shape) * self.dtype.itemsize


def tensors(path: PathLike) -> Iterator[Stored]:
    """The tensors of a checkpoint in the order of its files, with what reads them.

    Parameters
    ----------
    path : path
        A .safetensors, .npz or .npy file; or a folder of safetensors files, with an index or
        without.

    Yields
    ------
    Stored
        Name, dtype, shape, reader and file of each tensor.

    Raises
    ------
    ValueError
        A pickle; a damaged or hostile header or index.
    OSError
        A file that cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "w.npz")
    >>> np.savez(path, a=np.ones((2, 3), np.float32))
    >>> [(one.name, one.dtype.name, one.shape, one.read(1, 3).tolist()) for one in tensors(path)]
    [('a', 'float32', (2, 3), [1065353216, 1065353216])]
    """
    name = path_text(path)
    check_there(name, ARRAYS)
    ending = os.path.splitext(name)[1].lower()
    if ending in (".npz", ".npy") and not os.path.isdir(name):
        yield from _arrays(name)
        return
    for found in index.files(name, lenient=True):
        for tensor in found.layout.tensors:
            if tensor.dtype.kind == "packed":  # packed bits, which cannot be read as numbers
                code, shape = tensor.dtype.safetensors, in_file(tensor.shape, tensor.dtype)
                yield Stored(tensor.name, code, shape, None, found.path)
                continue
            read = _reader(found.path, tensor.dtype, tensor.begin)
            yield Stored(tensor.name, tensor.dtype, tensor.shape, read, found.path)
        for other in found.unknown:
            yield Stored(other.name, other.dtype, other.shape, None, found.path)


def _reader(path: str, dtype: DType, start: int) -> Read:
    """A function that reads values from a file that stores them uncompressed.

    It opens the file again for each chunk: a folder may have more files than a process may open.
    """

    def read(begin: int, end: int) -> Array:
        size = dtype.itemsize
        buffer = np.empty((end - begin) * size, np.uint8)
        view, done = memoryview(buffer), 0  # type: ignore[arg-type]
        with open(path, "rb", buffering=0) as file:
            file.seek(start + begin * size)
            while done < len(buffer):
                count = file.readinto(view[done:])
                if not count:
                    raise ValueError(f"{shown_path(path)} became shorter while it was read")
                done += count
        bits = buffer.view(dtype.unsigned.newbyteorder("<"))
        return bits.astype(dtype.unsigned, copy=False)

    return read


def _arrays(path: str) -> Iterator[Stored]:
    for name in names(path):
        label = os.path.splitext(os.path.basename(path))[0] if name is None else name
        try:
            source = find(path, name)
        except UnknownDtype as error:
            yield Stored(label, error.dtype, error.shape, None, path)
            continue
        yield Stored(label, source.dtype, source.shape, _box_reader(source), path)


def _box_reader(source: Source) -> Read:
    """A function that reads the rows that hold the requested values."""
    shape = source.shape
    row = math.prod(shape[1:])

    def read(begin: int, end: int) -> Array:
        if not shape or begin == end:
            box = tuple(slice(0, size) for size in shape)
        else:
            first = begin // row
            begin, end = begin - first * row, end - first * row
            box = (slice(first, first - -end // row), *(slice(0, size) for size in shape[1:]))
        values = np.ascontiguousarray(source.read(box)).reshape(-1)[begin:end]
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        return values.view(source.dtype.unsigned)

    return read
