"""pretrained: weights from a file, whole, by region, or as the corner of a larger tensor.

Finding and reading tensors in files: _core/array_files.py.  Here they are converted to the dtype of
the destination, and what the file does not hold is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ._core import dtypes, engine, fill
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

if TYPE_CHECKING:
    from ._core.array_files import Source

_AT_ONCE = 1 << 20  # values that one task converts at a time


_rest_rule: Callable[[Any], Rule]


def find_rest_by(find: Callable[[Any], Rule]) -> None:
    """Set the function that finds the rule of rest=; fill.py calls this once.

    `rest` may be any initializer of the table, and the table lists this module's function.  So the
    table imports this module, and not the other way round.
    """
    global _rest_rule
    _rest_rule = find


def _odd_float32(values: Array) -> Array:
    """float64 to float32, rounded to odd: a second rounding to a narrower dtype then gives the same
    as one rounding.
    """
    near = values.astype(np.float32)
    back = near.astype(np.float64)
    bits = near.view(np.uint32)
    # If the result is inexact and even, the odd one is its neighbour on the value's side.
    off = (back != values) & (bits & np.uint32(1) == 0) & np.isfinite(values)
    step = np.where((np.abs(values) > np.abs(back)), np.uint32(1), np.uint32(0xFFFFFFFF))
    return np.where(off, bits + step, bits).view(np.float32)


def convert(values: Array, kind: DType, dtype: DType) -> Array:
    """Bits of the values in `dtype`: unchanged if `kind` is `dtype`, else rounded once to nearest
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
            f"it holds values up to {worst:.6g}, not finite in {dtype.name}, whose largest number "
            f"is {dtype.largest!r}; give a wider dtype"
        )
    return result.view(dtype.unsigned)


def find_for(shape: Sizes, dtype: DType, path: Any, tensor: str | None, rest: Any) -> Source:
    """The tensor in the file, if it can fill one of `shape` and `dtype`."""
    from ._core.array_files import find  # on demand: importing fastinit does without

    source = find(path, tensor)
    if source.dtype is not dtype and not (source.dtype.is_float and dtype.is_float):
        raise TypeError(
            f"{source.label} is {source.dtype.name}, which is not converted to {dtype.name}; only "
            "floating dtypes are converted, to each other"
        )
    if source.shape != shape:
        if len(source.shape) != len(shape):
            raise ValueError(
                f"{source.label} has shape {source.shape}, and {shape} has another number of axes; "
                "give a shape with as many"
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
    """Targets that together cover the region outside the box `common`, without overlap: one for
    every axis along which the region reaches beyond it.
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
    # The file is opened only when it is read, because what a rule returns may be remembered.
    if rest is None and rest_arguments is not None:
        raise TypeError("rest_arguments are the arguments of rest, which is not given; give rest=")
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
    """Convert into the view, in blocks of rows, on all threads.  If a value may overflow, all
    blocks are tried first, so that an error leaves the view as it was.
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
    """W = the tensor in the file; with `rest`, W may be larger than that tensor.

    Where the shapes overlap, W is the tensor; elsewhere it is what `rest` draws.

    Parameters
    ----------
    path : str or path
        A .safetensors, .npz or .npy file of plain numbers. Pickles (.pt, .bin, …) are refused
        and never opened.
    tensor : str, optional
        The tensor's name in the file; not needed if the file has only one.
    shape : int or sequence of int, optional
        Sizes of the whole tensor; those of the file by default.
    rest : str or function, optional
        Initializer of the part that the file does not hold, such as the new rows of a grown
        vocabulary. Its fans and indices are those of the whole new tensor. Without `rest`, a shape
        other than the file's is an error.
    rest_arguments : mapping, optional
        Arguments of `rest`.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        The file's dtype by default; floating dtypes are converted with one rounding.
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
        A pickle; a damaged or hostile header; no tensor of that name; another shape without `rest`;
        a value that overflows the dtype.

    See Also
    --------
    fill : Many tensors in one call.
    safetensors.safe_open : The library that reads safetensors files.

    Notes
    -----
    What `rest` draws has the bits that it has at the same place of a whole new tensor.

    Only the region is read. An npz file also has a checksum of each whole tensor, so the first part
    that a process reads costs one pass over that tensor; npy and safetensors have none.

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
    from ._core.array_files import find  # on demand: importing fastinit does without

    source = find(path, tensor)
    if shape is None and (out is None or region is not None):
        shape = source.shape
    kind: Any = source.dtype if dtype is None and out is None else dtype
    own = {"path": path, "tensor": tensor, "rest": rest, "rest_arguments": rest_arguments}
    return apply(pretrained_rule, own, shape, kind, out, region, seed, name, threads)  # type: ignore[no-any-return]
