"""Tensors in safetensors, npy and npz files: found by name, checked, and read by region.

Pickles are refused by their name, without being opened.  A header is checked in full before
anything is allocated (safetensors.py), and only the requested region is read.  The safetensors
library is not used because its NumPy interface lacks bfloat16 and float8.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array, Box, Sizes
from . import dtypes
from .arguments import described, path_text, said, shown, shown_path
from .dtypes import DType

_PICKLES = (".bin", ".pt", ".pth", ".th", ".ckpt", ".pkl", ".pickle", ".joblib")
_COMPARED = 200  # limit for a hint: characters of a name, and number of names


class Source(NamedTuple):
    """A tensor in a file whose header was checked; read(box) returns that part of it, in the
    tensor's own dtype.
    """

    label: str
    dtype: DType
    shape: Sizes
    read: Callable[[Box], Array]


class UnknownDtype(ValueError):
    """The array's header is valid, but no initializer supports its dtype."""

    def __init__(self, text: str, dtype: str, shape: Sizes):
        super().__init__(text)
        self.dtype, self.shape = dtype, shape


def find(path: Any, tensor: str | None) -> Source:
    """The tensor named `tensor` in the file; `tensor` may be None if the file holds only one."""
    name = path_text(path)
    ending = os.path.splitext(name)[1].lower()
    if ending in _PICKLES:
        raise ValueError(
            f"{shown_path(name)} is a pickle by its name, and loading a pickle runs whatever "
            "code it holds; "
            "convert it to safetensors first (safetensors.torch.save_file)"
        )
    if ending not in _READERS:
        how = f"ends in {shown(ending)}" if ending else "has no ending"
        missing = "" if os.path.exists(name) else ", and there is no such file"
        raise ValueError(
            f"{shown_path(name)} {how}{missing}; pretrained reads {', '.join(_READERS)}"
        )
    if tensor is not None and not isinstance(tensor, str):
        raise TypeError(f"tensor must be a name, not {described(tensor)}")
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise ValueError(f"{shown_path(name)} is not a regular file; give the path of one")
    return _READERS[ending](name, tensor)


def names(path: str) -> list[str | None]:
    """The names of the tensors of an .npz file; an .npy file has one without a name."""
    if os.path.splitext(path)[1].lower() != ".npz":
        return [None]
    import zipfile  # 10 ms

    with _zip_errors(path), zipfile.ZipFile(path) as archive:
        return [info.filename.removesuffix(".npy") for info in archive.infolist()]


def _choose(name: str, tensor: str | None, names: list[str]) -> str:
    if tensor is None:
        if len(names) == 1:
            return names[0]
        raise ValueError(
            f"{shown_path(name)} holds {len(names)} tensors; name one with tensor=: {_some(names)}"
        )
    if tensor not in names:
        from difflib import get_close_matches  # on demand: needed only for an error

        # Comparing long names, or many of them, is slow.
        near = get_close_matches(tensor[:_COMPARED], names[:_COMPARED], 1, 0.6)
        hint = f"did you mean {shown(near[0])}?" if near else f"it holds {_some(names)}"
        raise ValueError(f"{shown_path(name)} holds no tensor {shown(tensor)}; {hint}")
    return tensor


def _some(names: list[str]) -> str:
    return (
        ", ".join(shown(each)[:40] for each in names[:5]) + (", …" if len(names) > 5 else "")
        if names
        else "none"
    )


def _map(
    name: str, dtype: Any, shape: Sizes, offset: int, order: Any = "C"
) -> Callable[[Box], Array]:
    """A function that reads boxes of an uncompressed array by mapping the file."""

    def read(box: Box) -> Array:
        if not math.prod(shape):
            return np.empty(_extent(box), dtype)
        # A plain ndarray: slicing a memmap costs more and has no advantage here.
        return np.asarray(
            np.asarray(np.memmap(name, dtype, "r", offset, shape or (1,), order)).reshape(shape)[
                box
            ]
        )

    return read


def _extent(box: Box) -> Sizes:
    return tuple(part.stop - part.start for part in box)


def _find_safetensors(name: str, tensor: str | None) -> Source:
    from . import safetensors  # on demand: json takes a millisecond

    layout, _ = safetensors.read_header(name)
    tensor = _choose(name, tensor, [each.name for each in layout.tensors])
    found = next(each for each in layout.tensors if each.name == tensor)
    kind = found.dtype
    bits = _map(name, kind.unsigned.newbyteorder("<"), found.shape, found.begin)

    def read(box: Box) -> Array:
        return bits(box).astype(kind.unsigned, copy=False).view(kind.numpy())

    return Source(f"{shown(tensor)} of {shown_path(name)}", kind, found.shape, read)


def _npy_header(name: str, stream: Any) -> tuple[Sizes, bool, np.dtype[Any], DType]:
    """Sizes, Fortran order and dtype from the start of an npy stream; reading stops where the data
    begin.
    """
    form = np.lib.format
    try:
        version = form.read_magic(stream)
        if version == (1, 0):
            shape, fortran, stored = form.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, stored = form.read_array_header_2_0(stream)
        else:
            raise ValueError(f"version {version} is for structured arrays")
        if any(size < 0 for size in shape):
            raise ValueError(f"its shape is {shown(shape)}")
    except OSError:
        raise
    # Errors of NumPy's parser get through: SyntaxError, TokenError, RecursionError, KeyError.
    except Exception as error:
        raise ValueError(f"{name} is not an npy file of plain numbers: {said(error)}") from None
    try:
        kind = dtypes.resolve(stored.newbyteorder("="))
    except (TypeError, ValueError):
        what = "Python objects, that is a pickle" if stored.hasobject else shown(str(stored))
        text = f"{name} holds {what}; pretrained reads {', '.join(dtypes.DTYPES)}"
        raise UnknownDtype(text, str(stored), shape) from None
    return shape, bool(fortran), stored, kind


def _find_npy(name: str, tensor: str | None) -> Source:
    if tensor is not None:
        raise ValueError(
            f"{shown_path(name)} is an npy file, one array without a name; omit "
            f"tensor={shown(tensor)}"
        )
    with open(name, "rb") as file:
        shape, fortran, stored, kind = _npy_header(shown_path(name), file)
        begin, size = file.tell(), os.fstat(file.fileno()).st_size
    _check_size(shown_path(name), shape, kind, size - begin)
    return Source(
        shown_path(name), kind, shape, _map(name, stored, shape, begin, "F" if fortran else "C")
    )


def _check_size(name: str, shape: Sizes, kind: DType, size: int) -> None:
    needed = math.prod(shape) * kind.itemsize
    if needed != size:
        raise ValueError(
            f"{name} is damaged: shape {shown(shape)} of {kind.name} takes {shown(needed)} bytes, "
            f"not {size}"
        )


@contextlib.contextmanager
def _zip_errors(name: str) -> Iterator[None]:
    """Turn what zipfile and zlib raise for a damaged archive into one clear ValueError; a real I/O
    error is passed on unchanged.
    """
    import struct
    import zipfile
    import zlib

    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        IndexError,
        OverflowError,
        OSError,
    ) as error:
        # A damaged offset may point to before the file's start; seek() then raises EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{shown_path(name)} is not a readable npz file: {said(error)}") from None


def _find_npz(name: str, tensor: str | None) -> Source:
    import zipfile  # 10 ms

    with _zip_errors(name), zipfile.ZipFile(name) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        tensor = _choose(name, tensor, list(members))
        info = members[tensor]
        label = f"{shown(tensor)} of {shown_path(name)}"
        with archive.open(info) as stream:
            shape, fortran, stored, kind = _npy_header(label, stream)
            begin = stream.tell()
    _check_size(label, shape, kind, info.file_size - begin)
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
        with open(name, "rb") as file:
            file.seek(info.header_offset)
            local = file.read(30)
        extra = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        start = info.header_offset + 30 + extra + begin
        if start + info.file_size - begin <= os.path.getsize(name):
            mapped = _map(name, stored, shape, start, "F" if fortran else "C")

            def read_checked(box: Box) -> Array:
                _check_member(name, info.filename, _state(name))
                return mapped(box)

            return Source(label, kind, shape, read_checked)
        raise ValueError(
            f"{shown_path(name)} is cut short: tensor {shown(tensor)} goes beyond its end"
        )

    def read(box: Box) -> Array:
        # Compressed data are unpacked from the start, but only the rows of the box are kept; in
        # Fortran order, the rows of the transpose.
        own, part = (shape[::-1], box[::-1]) if fortran else (shape, box)
        if not math.prod(_extent(box)):
            return np.empty(_extent(box), stored)
        if not own:
            own, part = (1,), (slice(0, 1),)
        row = math.prod(own[1:]) * kind.itemsize
        rows = part[0].stop - part[0].start
        if _extent(box) != shape:
            _check_member(name, info.filename, _state(name))
        with _zip_errors(name), zipfile.ZipFile(name) as archive, archive.open(info) as stream:
            _skip(stream, begin + part[0].start * row)
            data = stream.read(rows * row)
            if len(data) != rows * row:
                raise EOFError("the compressed data end early")
        result = np.frombuffer(data, stored).reshape((rows, *own[1:]))[(slice(None), *part[1:])]
        return result.T if fortran else result.reshape(_extent(box))

    return Source(label, kind, shape, read)


def _state(name: str) -> tuple[int, ...]:
    """What changes if the file does."""
    status = os.stat(name)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1024)  # once for each state of the file: a shard is read in many parts
def _check_member(name: str, member: str, state: tuple[int, ...]) -> None:
    """Raise ValueError unless a member has the archive's checksum, which is of all its bytes."""
    import zipfile

    with _zip_errors(name), zipfile.ZipFile(name) as archive, archive.open(member) as stream:
        while stream.read(1 << 20):  # zipfile compares at the end
            pass


def _skip(stream: Any, count: int) -> None:
    while count > 0:
        read = len(stream.read(min(count, 1 << 20)))
        if not read:
            raise EOFError("the compressed data end early")
        count -= read


_READERS: dict[str, Callable[[str, str | None], Source]] = {
    ".safetensors": _find_safetensors,
    ".npz": _find_npz,
    ".npy": _find_npy,
}
