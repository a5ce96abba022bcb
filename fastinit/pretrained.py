"""Weights taken from a file: safetensors, npy or npz; whole, by region, or as the corner of a
larger tensor.

Pickles are refused by their name, without being opened.  A header is checked in full before
anything is allocated or written (safetensors: _core/safetensors.py), and only the region that
is asked for is read.  The safetensors library itself is not used to read: its NumPy door has no
bfloat16 and no float8.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._core import dtypes, engine, fill
from ._core.arguments import described
from ._core.dtypes import DType
from ._core.fill import Rule, apply
from .typing import (
    Array,
    Box,
    Dtype,
    Initializer,
    Name,
    Out,
    PathLike,
    Region,
    Seed,
    Shape,
    Sizes,
    Write,
)

_PICKLES = (".bin", ".pt", ".pth", ".th", ".ckpt", ".pkl", ".pickle", ".joblib")
_AT_ONCE = 1 << 20  # values that one task converts


_rest_rule: Callable[[Any], Rule]


def find_rest_by(find: Callable[[Any], Rule]) -> None:
    """Set what gives the rule of rest=; called by _table.py once.

    `rest` may be any initializer of the table, and the table lists this module's function, so the
    import points from there to here.
    """
    global _rest_rule
    _rest_rule = find


class Source(NamedTuple):
    """A tensor in a file whose header is sound; read(box) gives that part of it as values of its
    own dtype.
    """

    label: str
    dtype: DType
    shape: Sizes
    read: Callable[[Box], Array]


# ---------------------------------------------------------------------------------------- the files


def find(path: Any, tensor: str | None) -> Source:
    """The tensor named `tensor` of the file; it may be None where the file holds only one."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path must be a str, bytes or os.PathLike, not {described(path)}")
    name = os.fsdecode(path)
    ending = os.path.splitext(name)[1].lower()
    if ending in _PICKLES:
        raise ValueError(
            f"{name!r} is a pickle by its name, and loading a pickle runs whatever code it holds; "
            "convert it to safetensors first (safetensors.torch.save_file)"
        )
    if ending not in _READERS:
        raise ValueError(f"{name!r} ends in {ending!r}; pretrained reads {', '.join(_READERS)}")
    if tensor is not None and not isinstance(tensor, str):
        raise TypeError(f"tensor must be a name, not {type(tensor).__name__} {tensor!r:.80}")
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise ValueError(f"{name!r} is not a regular file")
    return _READERS[ending](name, tensor)


def names(path: str) -> list[str | None]:
    """The tensors of an .npz file by name; of an .npy file one without a name."""
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
            f"{name!r} holds {len(names)} tensors; say which by tensor=: {_some(names)}"
        )
    if tensor not in names:
        from difflib import get_close_matches  # only on the way to an error

        near = get_close_matches(tensor, names, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"it holds {_some(names)}"
        raise ValueError(f"{name!r} holds no tensor {tensor!r:.200}; {hint}")
    return tensor


def _some(names: list[str]) -> str:
    return (
        ", ".join(repr(each)[:80] for each in names[:5]) + (", …" if len(names) > 5 else "")
        if names
        else "none"
    )


def _map(
    name: str, dtype: Any, shape: Sizes, offset: int, order: Any = "C"
) -> Callable[[Box], Array]:
    """Reads boxes of an array that lies in the file as it is, by mapping it."""

    def read(box: Box) -> Array:
        if not math.prod(shape):
            return np.empty(_extent(box), dtype)
        # Plain ndarray: memmap's own slicing costs more and brings nothing here.
        return np.asarray(
            np.asarray(np.memmap(name, dtype, "r", offset, shape or (1,), order)).reshape(shape)[
                box
            ]
        )

    return read


def _extent(box: Box) -> Sizes:
    return tuple(part.stop - part.start for part in box)


def _find_safetensors(name: str, tensor: str | None) -> Source:
    from ._core import safetensors  # on demand: json takes a millisecond

    layout, _ = safetensors.read_header(name)
    tensor = _choose(name, tensor, [each.name for each in layout.tensors])
    found = next(each for each in layout.tensors if each.name == tensor)
    kind = found.dtype
    bits = _map(name, kind.unsigned.newbyteorder("<"), found.shape, found.begin)

    def read(box: Box) -> Array:
        return bits(box).astype(kind.unsigned, copy=False).view(kind.numpy())

    return Source(f"{tensor!r} of {name!r}", kind, found.shape, read)


def _npy_header(name: str, stream: Any) -> tuple[Sizes, bool, np.dtype[Any], DType]:
    """Sizes, Fortran order and dtype from the start of an npy stream, which is left where the data
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
            raise ValueError(f"its shape is {shape}")
    except OSError:
        raise
    # NumPy leaks what its parser raises: SyntaxError, TokenError, RecursionError, KeyError
    except Exception as error:
        raise ValueError(f"{name!r} is not an npy file of plain numbers: {error}") from None
    try:
        kind = dtypes.resolve(stored.newbyteorder("="))
    except (TypeError, ValueError):
        what = "Python objects, that is a pickle" if stored.hasobject else f"dtype {stored}"
        raise ValueError(
            f"{name!r} holds {what}; pretrained reads {', '.join(dtypes.DTYPES)}"
        ) from None
    return shape, bool(fortran), stored, kind


def _find_npy(name: str, tensor: str | None) -> Source:
    if tensor is not None:
        raise ValueError(
            f"{name!r} is an npy file, one array without a name; leave out tensor={tensor!r:.80}"
        )
    with open(name, "rb") as file:
        shape, fortran, stored, kind = _npy_header(name, file)
        begin, size = file.tell(), os.fstat(file.fileno()).st_size
    _check_size(name, shape, kind, size - begin)
    return Source(
        repr(name), kind, shape, _map(name, stored, shape, begin, "F" if fortran else "C")
    )


def _check_size(name: str, shape: Sizes, kind: DType, size: int) -> None:
    needed = math.prod(shape) * kind.itemsize
    if needed != size:
        raise ValueError(
            f"{name!r} is damaged: shape {shape} of {kind.name} takes {needed} bytes, not {size}"
        )


@contextlib.contextmanager
def _zip_errors(name: str) -> Iterator[None]:
    """What zipfile and zlib raise for a damaged archive, as one clear ValueError; a real I/O error
    stays what it is.
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
        # A damaged offset may lead before the file's start, and then seek() says EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(f"{name!r} is not a readable npz file: {str(error):.200}") from None


def _find_npz(name: str, tensor: str | None) -> Source:
    import zipfile  # 10 ms

    with _zip_errors(name), zipfile.ZipFile(name) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        tensor = _choose(name, tensor, list(members))
        info = members[tensor]
        label = f"{tensor!r} of {name!r}"
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
            return Source(
                label, kind, shape, _map(name, stored, shape, start, "F" if fortran else "C")
            )
        raise ValueError(f"{name!r} is cut short")

    def read(box: Box) -> Array:
        # Compressed: unpacked from its start, but only the rows of the box are kept.  Fortran
        # order: of the transpose.
        own, part = (shape[::-1], box[::-1]) if fortran else (shape, box)
        if not math.prod(_extent(box)):
            return np.empty(_extent(box), stored)
        if not own:
            own, part = (1,), (slice(0, 1),)
        row = math.prod(own[1:]) * kind.itemsize
        rows = part[0].stop - part[0].start
        with _zip_errors(name), zipfile.ZipFile(name) as archive, archive.open(info) as stream:
            _skip(stream, begin + part[0].start * row)
            data = stream.read(rows * row)
            if len(data) != rows * row:
                raise EOFError("the compressed data end early")
        result = np.frombuffer(data, stored).reshape((rows, *own[1:]))[(slice(None), *part[1:])]
        return result.T if fortran else result.reshape(_extent(box))

    return Source(label, kind, shape, read)


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


# ------------------------------------------------------------------------------------- the contents


def _odd_float32(values: Array) -> Array:
    """float64 to float32 rounded to odd, so that a second rounding, to a narrower dtype, is as
    one.
    """
    near = values.astype(np.float32)
    back = near.astype(np.float64)
    bits = near.view(np.uint32)
    # An inexact even result is the neighbour of the odd one, on the side where the value lies.
    off = (back != values) & (bits & np.uint32(1) == 0) & np.isfinite(values)
    step = np.where((np.abs(values) > np.abs(back)), np.uint32(1), np.uint32(0xFFFFFFFF))
    return np.where(off, bits + step, bits).view(np.float32)


def convert(values: Array, kind: DType, dtype: DType) -> Array:
    """Bits of the values in `dtype`: unchanged if it is their own, else rounded once to nearest
    even.
    """
    if kind is dtype:
        return values.astype(kind.numpy(), copy=False).view(dtype.unsigned)
    with np.errstate(all="ignore"):
        if dtype.wide or kind.wide and dtype is dtypes.FLOAT32:
            result = values.astype(dtype.numpy())
        else:
            result = (_odd_float32(values) if kind.wide else values.astype(np.float32)).astype(
                dtype.numpy()
            )
        lost = np.isfinite(values.astype(np.float64)) & ~np.isfinite(result.astype(np.float64))
    if lost.any():
        worst = float(np.abs(values[lost].astype(np.float64)).max())
        raise ValueError(
            f"it holds values up to {worst:.6g}, not finite in {dtype.name} (largest number "
            f"{dtype.largest!r}); give a wider dtype"
        )
    return result.view(dtype.unsigned)


def find_for(shape: Sizes, dtype: DType, path: Any, tensor: str | None, rest: Any) -> Source:
    """The tensor in the file, if it can fill one of `shape` and `dtype`."""
    source = find(path, tensor)
    if source.dtype is not dtype and not (source.dtype.is_float and dtype.is_float):
        raise TypeError(
            f"{source.label} is {source.dtype.name}, which is not converted to {dtype.name}; only "
            "floating dtypes are, one to another"
        )
    if source.shape != shape:
        if len(source.shape) != len(shape):
            raise ValueError(
                f"{source.label} has shape {source.shape}, and {shape} has another number of axes"
            )
        if rest is None:
            raise ValueError(
                f"{source.label} has shape {source.shape}, not {shape}; give rest= an initializer "
                "to copy what the two have in common and draw the rest"
            )
    return source


def _within(target: Any, box: Box) -> Array:
    """The part of the target's view that holds a box of the global tensor."""
    place = (
        slice(part.start - own.start, part.stop - own.start)
        for part, own in zip(box, target.region, strict=True)
    )
    return target.view[(..., *place)]  # type: ignore[no-any-return]  # the Ellipsis: a 0-d view, not a scalar


def _remainder(target: Any, common: Box) -> list[Any]:
    """Targets that cover the region outside the box `common` once each: one for every axis that
    reaches beyond it.
    """
    parts = []
    for axis, whole in enumerate(target.region):
        inner = [
            slice(part.start, min(part.stop, same.stop), 1)
            for part, same in zip(target.region[:axis], common[:axis], strict=True)
        ]
        beyond = slice(max(whole.start, common[axis].stop), whole.stop, 1)
        box = (*inner, beyond, *target.region[axis + 1 :])
        if all(part.start < part.stop for part in box):
            parts.append(target._replace(view=_within(target, box), region=box))
    return parts


def pretrained_rule(
    shape: Sizes,
    dtype: DType,
    *,
    path: Any,
    tensor: str | None = None,
    rest: Any = None,
    rest_arguments: Any = None,
) -> Write:
    # The file is looked at when it is read and not here, for what a rule returns may be remembered.
    if rest is None and rest_arguments is not None:
        raise TypeError("rest_arguments are the arguments of rest, which is not given")
    filler = None
    if rest is not None:
        if rest_arguments is not None and not isinstance(rest_arguments, Mapping):
            raise TypeError(
                f"rest_arguments must be a mapping, not {type(rest_arguments).__name__}"
            )
        arguments = dict(rest_arguments or {})
        filler = fill.decide(_rest_rule(rest), shape, dtype, arguments)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        source = find_for(shape, dtype, path, tensor, rest)
        common = tuple(
            slice(0, min(own, size), 1) for own, size in zip(source.shape, shape, strict=True)
        )
        box = tuple(
            slice(part.start, max(part.start, min(part.stop, same.stop)), 1)
            for part, same in zip(target.region, common, strict=True)
        )
        values = source.read(box)
        inner = _within(target, box)
        _copy(values, source, dtype, inner, threads)
        if filler is None:
            return
        for part in _remainder(target, common):
            fill.write(filler, part.view, dtype, shape, part.region, seed, stream, threads)

    return write


def _copy(values: Array, source: Source, dtype: DType, view: Array, threads: int | None) -> None:
    """Convert into the view, by blocks of rows on all threads; where a value may be lost, after
    trying all of them.
    """
    if not view.size:
        return
    rows = max(1, _AT_ONCE // max(1, view.size // max(1, len(view)))) if view.ndim else 1
    starts = range(0, len(view), rows) if view.ndim else [0]

    def block(start: int) -> tuple[Any, ...]:
        return (slice(start, start + rows), ...) if view.ndim else (...,)

    def attempt(start: int) -> None:
        convert(values[block(start)], source.dtype, dtype)

    def store(start: int) -> None:
        view[block(start)] = convert(values[block(start)], source.dtype, dtype)

    try:
        narrower = source.dtype is not dtype and (source.dtype.largest > dtype.largest)
        if narrower:
            engine.map_tasks(attempt, starts, threads if view.size > _AT_ONCE else 1)
    except ValueError as error:
        raise ValueError(f"{source.label}: {error}") from None
    engine.map_tasks(store, starts, threads if view.size > _AT_ONCE else 1)


def pretrained(
    path: PathLike,
    tensor: str | None = None,
    *,
    shape: Shape | None = None,
    rest: Initializer | None = None,
    rest_arguments: Mapping[str, Any] | None = None,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """W = the tensor in the file; with `rest`, also a larger W that the file fills in part.

    Where the shapes overlap W is the tensor, elsewhere what `rest` draws.

    Parameters
    ----------
    path : str or path
        A .safetensors, .npz or .npy file of plain numbers. Pickles (.pt, .bin, …) are refused
        without being read.
    tensor : str, optional
        The tensor's name there; not needed where the file has only one.
    shape : int or sequence of int, optional
        Sizes of the whole tensor; those of the file by default.
    rest : str or function, optional
        Initializer of what the file does not hold (a grown vocabulary). Its fans and indices are
        those of the whole new tensor. Without it, another shape is an error.
    rest_arguments : mapping, optional
        Arguments of `rest`.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        The file's by default; floating dtypes are converted with one rounding.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill. No more is read; a compressed npz is unpacked up to there.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        A pickle; a damaged or hostile header; no such tensor; another shape without `rest`; a value
        that overflows the dtype.

    See Also
    --------
    fill : Many tensors in one call.
    safetensors.safe_open : The library that reads safetensors files.

    Notes
    -----
    With `rest`, what is drawn has the bits that `rest` gives at the same place of the whole new
    tensor.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "w.npy")
    >>> np.save(path, np.ones((2, 2), np.float32))
    >>> fi.pretrained(path, shape=(3, 2), rest="zeros")
    array([[1., 1.],
           [1., 1.],
           [0., 0.]], dtype=float32)
    """
    source = find(path, tensor)
    if shape is None and (out is None or region is not None):
        shape = source.shape
    kind: Any = source.dtype if dtype is None and out is None else dtype
    own = {"path": path, "tensor": tensor, "rest": rest, "rest_arguments": rest_arguments}
    return apply(pretrained_rule, own, shape, kind, out, region, seed, name, threads)  # type: ignore[no-any-return]
