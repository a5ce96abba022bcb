"""safetensors files: header and layout, byte for byte the library's, and a new file that appears
whole or not at all.

It may not draw and knows no model; the bytes come from the caller, in any order and from any
thread.  Who fills a file with weights: ../checkpoint/materialize.py.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import dtypes
from .dtypes import DType

# The library sorts by dtype, the widest first and in this order, then by name; so do we, and so a
# reader may map any tensor in place: each begins at a multiple of its item size.
_ORDER = "U64 I64 F64 F32 U32 I32 BF16 F16 U16 I16 F8_E4M3 F8_E5M2 I8 U8 BOOL"
_RANK = {code: rank for rank, code in enumerate(_ORDER.split())}
_BY_CODE = {dtype.safetensors: dtype for dtype in dtypes.DTYPES.values()}

HEADER_LIMIT = 100_000_000  # bytes of JSON; the library refuses to read more
_SIZE_LIMIT = 1 << 63  # of a file offset


class Tensor(NamedTuple):
    """One tensor of a file; `begin` and `end` are byte offsets from the start of the file."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


class Layout(NamedTuple):
    """A whole file but for its values: the leading bytes, the tensors in file order, the size in
    bytes.
    """

    header: bytes
    tensors: tuple[Tensor, ...]
    size: int


def layout(
    tensors: Iterable[tuple[str, DType, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> Layout:
    """Where each of the (name, dtype, shape) goes, and the header that says so.

    The order and the spacing are the library's own, so the file does not depend on the order of
    `tensors`; metadata is sorted by key (the library leaves it in the order of a hash table).
    """
    ordered = sorted(tensors, key=lambda tensor: (_RANK[tensor[1].safetensors], tensor[0]))
    content: dict[str, Any] = {}
    if metadata:
        content["__metadata__"] = {key: metadata[key] for key in sorted(metadata)}
    position = 0
    spans = []
    for name, dtype, shape in ordered:
        if name == "__metadata__":
            raise ValueError(
                "a tensor cannot be named '__metadata__': safetensors keeps that name for itself"
            )
        if name in content:
            raise ValueError(f"two tensors are named {name!r}")
        end = position + math.prod(shape) * dtype.itemsize
        content[name] = {
            "dtype": dtype.safetensors,
            "shape": shape,
            "data_offsets": (position, end),
        }
        spans.append((position, end))
        position = end
    try:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a name or metadata holds a lone surrogate, which has no UTF-8 form: {error}"
        ) from None
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise ValueError(
            f"the header would take {len(text)} bytes and safetensors reads at most "
            f"{HEADER_LIMIT}; split the model over several files"
        )
    header = len(text).to_bytes(8, "little") + text
    start = len(header)
    if start + position >= _SIZE_LIMIT:
        raise ValueError(
            f"the file would take {start + position} bytes, more than any file can have"
        )
    placed = tuple(
        Tensor(name, dtype, shape, start + begin, start + end)
        for (name, dtype, shape), (begin, end) in zip(ordered, spans, strict=True)
    )
    return Layout(header, placed, start + position)


# --------------------------------------------------------------------------------- reading a header


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the header names a key twice")
    return found


def read_header(path: str | os.PathLike[str]) -> tuple[Layout, dict[str, str]]:
    """The layout and the metadata of a file; a `ValueError` for a header that does not describe it
    exactly.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        # Before anything of that length is allocated, and in Python's integers: nothing wraps.
        if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
            raise ValueError(
                f"{os.fspath(path)!r} is not a safetensors file: its header cannot be {length} "
                "bytes long"
            )
        text = file.read(length)
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        tensors, metadata = _read_tensors(content, 8 + length, size)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)!r} has a bad safetensors header: {error}") from None
    return Layout(start + text, tensors, size), metadata


def _read_tensors(content: Any, start: int, size: int) -> tuple[tuple[Tensor, ...], dict[str, str]]:
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ValueError("its metadata is no table of strings")
    tensors = []
    for name, item in content.items():
        if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"tensor {name!r} has not exactly the keys dtype, shape, data_offsets")
        shape, offsets = item["shape"], item["data_offsets"]
        for numbers in (shape, offsets):
            if not isinstance(numbers, list) or not all(
                type(number) is int and number >= 0 for number in numbers
            ):
                raise ValueError(
                    f"tensor {name!r} has a shape or offsets that are no lists of whole numbers"
                )
        dtype = _BY_CODE.get(item["dtype"]) if isinstance(item["dtype"], str) else None
        if dtype is None:
            raise ValueError(f"tensor {name!r} has dtype {item['dtype']!r}; known are {_ORDER}")
        if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
            raise ValueError(
                f"tensor {name!r} has offsets {offsets} that do not fit its shape {shape}"
            )
        tensors.append(Tensor(name, dtype, tuple(shape), start + offsets[0], start + offsets[1]))
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    position = start
    for tensor in tensors:
        if tensor.begin != position:
            raise ValueError(f"tensor {tensor.name!r} leaves a gap or overlaps another")
        position = tensor.end
    if position != size:
        raise ValueError(f"its tensors end at byte {position} of {size}")
    return tuple(tensors), metadata


# --------------------------------------------------------------------------------------- a new file


def check_target(path: str | os.PathLike[str], force: bool = False) -> str:
    """The real path that a new file at `path` would get; an `OSError` if it may not be written
    there.
    """
    target = os.path.realpath(
        os.fsdecode(path)
    )  # through a symbolic link, as open(path, "w") would go
    folder = os.path.dirname(target)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = 0
    except NotADirectoryError:
        raise NotADirectoryError(
            errno.ENOTDIR, "a part of this path is a file, not a folder", folder
        ) from None
    if not os.path.basename(target) or stat.S_ISDIR(mode):
        raise IsADirectoryError(
            errno.EISDIR, "is a folder; give the path of a file", os.fsdecode(path)
        )
    if mode and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is no regular file; give the path of one", os.fsdecode(path))
    if mode and not force:
        raise FileExistsError(
            errno.EEXIST, "exists; give --force (force=True) to replace it", os.fsdecode(path)
        )
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "no such folder; make it first", folder)
    return target


class NewFile:
    """A file of known size that appears at `path` whole, by commit(), or not at all.

    Until then it has no name where the system can do that (Linux: then even kill -9 leaves nothing
    behind), else a hidden name beside the target.  Without `force` a file that appears at `path`
    meanwhile is never overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], size: int, force: bool = False):
        self.path = os.fsdecode(path)
        self.size, self.force = size, force
        self._target = check_target(path, force)
        self._folder, base = os.path.split(self._target)
        self._temporary = os.path.join(self._folder, f".{base[:100]}.{os.urandom(8).hex()}.tmp")
        self._file = -1
        self._named = False
        self._lock = threading.Lock()

    def __enter__(self) -> NewFile:
        try:
            self._open()
            self._reserve()
        except BaseException as error:
            self._discard()
            raise self._explained(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def _open(self) -> None:
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
            with contextlib.suppress(
                OSError
            ):  # not every file system has it; the next way says what is wrong
                self._file = os.open(self._folder, flags | os.O_TMPFILE, 0o666)
        if self._file < 0:
            # Said before it is true: if Ctrl-C comes between the two, the file is still removed.
            # Nobody else's file can have this name, which holds 64 random bits.
            self._named = True
            self._file = os.open(self._temporary, flags | os.O_CREAT | os.O_EXCL, 0o666)
        if hasattr(os, "fchmod"):
            with contextlib.suppress(
                OSError
            ):  # a replaced file keeps its permissions, as with open(path, "w")
                os.fchmod(self._file, stat.S_IMODE(os.stat(self._target).st_mode))

    def _reserve(self) -> None:
        if hasattr(os, "posix_fallocate"):
            try:
                # A full disk is an error here, before anything is drawn.
                os.posix_fallocate(self._file, 0, self.size)
                return
            except OSError as error:
                if error.errno not in (
                    errno.EOPNOTSUPP,
                    errno.ENOTSUP,
                    errno.EINVAL,
                    errno.ENOSYS,
                    errno.ENODEV,
                ):
                    raise
        os.truncate(self._file, self.size)

    def write(self, offset: int, data: Any) -> None:
        """Write the bytes of a buffer at `offset`; safe from any thread."""
        view = memoryview(data).cast("B")
        try:
            while view:
                written = self._write_some(view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            raise self._explained(error) from None

    def _write_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file, view, offset)  # gives the GIL away
        with self._lock:  # Windows: one place to write at, so one writer at a time
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.write(self._file, view)

    def commit(self) -> None:
        """Bring the bytes to the disk, then give the file its name."""
        try:
            os.fsync(self._file)
            self._publish()
            self._named = False
        except OSError as error:
            raise self._explained(error) from None
        finally:
            self._discard()
        self._sync_folder()

    def _publish(self) -> None:
        if not self._named:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # By way of a folder's descriptor: only then does os.link() follow the link in /proc
                # (man 2 open).
                source = f"/proc/self/fd/{self._file}"
                if not self.force:
                    os.link(
                        source,
                        os.path.basename(self._target),
                        dst_dir_fd=folder,
                        follow_symlinks=True,
                    )
                    return
                self._named = True
                os.link(
                    source,
                    os.path.basename(self._temporary),
                    dst_dir_fd=folder,
                    follow_symlinks=True,
                )
            finally:
                os.close(folder)
        file, self._file = self._file, -1
        os.close(file)  # Windows renames no open file
        if self.force:
            os.replace(self._temporary, self._target)
            return
        try:
            os.link(
                self._temporary, self._target
            )  # unlike a rename it fails if the target has appeared meanwhile
        except FileExistsError:
            raise
        except OSError:
            # no hard links here (FAT, some network file systems): take the name first, then
            # replace it
            os.close(os.open(self._target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(self._temporary, self._target)
            return
        os.unlink(self._temporary)

    def _sync_folder(self) -> None:
        if os.name == "posix":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            except OSError as error:
                if error.errno != errno.EINVAL:  # file systems that keep no folders on a disk
                    raise
            finally:
                os.close(folder)

    def _discard(self) -> None:
        file, self._file = self._file, -1
        try:
            if file >= 0:
                os.close(file)
        finally:
            if self._named:
                with contextlib.suppress(OSError):
                    os.unlink(self._temporary)
                self._named = False

    def _explained(self, error: BaseException) -> BaseException:
        """The same error with the user's path in place of the temporary's and, for a full disk,
        with numbers.
        """
        if not isinstance(error, OSError) or error.errno is None:
            return error
        text = os.strerror(error.errno)
        if error.errno == errno.ENOSPC:
            import shutil  # only on the way to an error

            text += (
                f": {self.size} bytes are needed, {shutil.disk_usage(self._folder).free} are free"
            )
        elif error.errno == errno.EFBIG:
            text += f": {self.size} bytes are needed (see ulimit -f, and the file system's limit)"
        elif error.errno == errno.EEXIST:
            text = (
                "appeared while its content was drawn, and was left alone; give --force "
                "(force=True) to replace it"
            )
        return OSError(error.errno, text, self.path)
