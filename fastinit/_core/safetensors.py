"""The format of safetensors files: header and layout, byte for byte as the library writes them.

layout() places tensors in a new file; read_header() checks an existing file.  This module does not
read or write values.  new_file.py writes files, ../checkpoint/materialize.py fills them with
weights, and array_files.py reads tensors.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import dtypes
from .arguments import path_text, said, shown, shown_path
from .dtypes import DType

# The library sorts by dtype, widest first and in this order, then by name.  We do the same, so
# every tensor begins at a multiple of its item size and a reader may map it in place.
_ORDER = "U64 I64 F64 F32 U32 I32 BF16 F16 U16 I16 F8_E8M0 F8_E4M3 F8_E5M2 I8 U8 F4 BOOL"
_RANK = {code: rank for rank, code in enumerate(_ORDER.split())}
_BY_CODE = {dtype.safetensors: dtype for dtype in (dtypes.DTYPES | dtypes.STORED).values()}

HEADER_LIMIT = 100_000_000  # bytes of JSON; the library refuses to read more
_SIZE_LIMIT = 1 << 63  # the limit of a file offset
_MOST_AXES = 64  # NumPy's limit


class Tensor(NamedTuple):
    """One tensor of a file; `begin` and `end` are byte offsets from the start of the file."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


class Unknown(NamedTuple):
    """A tensor with a dtype that this library does not know, given by its name in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Layout(NamedTuple):
    """A whole file except its values: the leading bytes, the tensors in file order, the size in
    bytes.
    """

    header: bytes
    tensors: tuple[Tensor, ...]
    size: int


def layout(
    tensors: Iterable[tuple[str, DType, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> Layout:
    """Place each (name, dtype, shape) in a file, and write the header that says where.

    The order and spacing are the library's, so the file does not depend on the order of `tensors`.
    Metadata is sorted by key; the library leaves it in the order of a hash table.
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
                "a tensor cannot be named '__metadata__': safetensors reserves that name"
            )
        if name in content:
            raise ValueError(f"two tensors are named {shown(name)}")
        end = position + math.prod(shape) * dtype.itemsize
        content[name] = {
            "dtype": dtype.safetensors,
            "shape": in_file(shape, dtype),
            "data_offsets": (position, end),
        }
        spans.append((position, end))
        position = end
    try:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            "a name or a metadata string holds a lone surrogate, which has no UTF-8 form "
            f"({error.reason})"
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


def in_file(shape: tuple[int, ...], dtype: DType) -> tuple[int, ...]:
    """The shape for the header.  A header counts 4-bit values one by one, but our dtype, like
    torch's, packs two of them into each element.
    """
    if dtype is not dtypes.FLOAT4_E2M1FN_X2:
        return shape
    if not shape:
        raise ValueError(f"a tensor of {dtype.name} has at least one axis")
    return (*shape[:-1], 2 * shape[-1])


def _in_memory(shape: list[int], dtype: DType) -> tuple[int, ...]:
    if dtype is not dtypes.FLOAT4_E2M1FN_X2:
        return tuple(shape)
    if not shape or shape[-1] % 2:
        raise ValueError(f"the last axis of shape {shown(shape)} is not even, as F4 needs")
    return (*shape[:-1], shape[-1] // 2)


def metadata_of(layout: Layout) -> dict[str, str]:
    """The metadata in the header of a layout."""
    return json.loads(layout.header[8:]).get("__metadata__", {})  # type: ignore[no-any-return]


# --------------------------------------------------------------------------------- reading a header


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twice)} appears twice")
    return found


def _check_surrogates(texts: Iterable[str]) -> None:
    """Refuse text that UTF-8 cannot encode: printing it or copying it to a file would fail."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{shown(text)} holds a lone surrogate, which has no UTF-8 form"
            ) from None


def read_header(
    path: str | os.PathLike[str], unknown: list[Unknown] | None = None
) -> tuple[Layout, dict[str, str]]:
    """Read the layout and the metadata of a file.

    Tensors of unknown dtypes are appended to `unknown`; without such a list they raise an error.

    Raises `ValueError` for a header that does not describe the file exactly: a length beyond the
    file, JSON that is not an object of tensors, a key given twice, offsets that do not fit the
    shape, gaps, overlaps, trailing bytes.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        # Before anything of that length is allocated, and in Python's integers: nothing wraps.
        if len(start) < 8 or length > min(HEADER_LIMIT, size - 8):
            raise ValueError(
                f"{shown_path(path_text(path))} is not a safetensors file: its header cannot be "
                f"{length} "
                "bytes long"
            )
        text = file.read(length)
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
        tensors, metadata = _read_tensors(content, 8 + length, size, unknown)
        if b"\\u" in text:  # in UTF-8, a lone surrogate occurs only as an escape
            names = [one.name for one in (*tensors, *(unknown or ()))]
            _check_surrogates([*names, *metadata, *metadata.values()])
    except RecursionError:
        raise ValueError(
            f"{shown_path(path_text(path))} has a bad safetensors header: it is nested too deeply"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"{shown_path(path_text(path))} has a bad safetensors header: {said(error)}"
        ) from None
    return Layout(start + text, tensors, size), metadata


def _read_tensors(
    content: Any, start: int, size: int, unknown: list[Unknown] | None
) -> tuple[tuple[Tensor, ...], dict[str, str]]:
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ValueError("its __metadata__ is not an object of strings")
    tensors = []
    spans = []  # name, begin, end of every tensor
    for name, item in content.items():
        if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(
                f"tensor {shown(name)} must have exactly the keys dtype, shape, data_offsets"
            )
        shape, offsets = item["shape"], item["data_offsets"]
        for numbers in (shape, offsets):
            if not isinstance(numbers, list) or not all(
                type(number) is int and number >= 0 for number in numbers
            ):
                raise ValueError(
                    f"tensor {shown(name)}: shape and data_offsets must be lists of whole numbers"
                )
        if len(shape) > _MOST_AXES:  # the product of a million sizes would take minutes
            raise ValueError(
                f"tensor {shown(name)} has {len(shape)} axes; NumPy's arrays have at most "
                f"{_MOST_AXES}"
            )
        dtype = _BY_CODE.get(item["dtype"]) if isinstance(item["dtype"], str) else None
        if dtype is None and unknown is not None and isinstance(item["dtype"], str):
            if len(offsets) != 2 or offsets[1] < offsets[0]:
                raise ValueError(
                    f"tensor {shown(name)}: data_offsets {shown(offsets)} are not a range"
                )
            unknown.append(Unknown(name, item["dtype"][:80], tuple(shape)))
            spans.append((name, start + offsets[0], start + offsets[1]))
            continue
        if dtype is None:
            raise ValueError(
                f"tensor {shown(name)} has dtype {shown(item['dtype'])}; known are {_ORDER}"
            )
        sizes = _in_memory(shape, dtype)
        if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(sizes) * dtype.itemsize:
            raise ValueError(
                f"tensor {shown(name)}: data_offsets {shown(offsets)} do not fit shape "
                f"{shown(shape)}"
            )
        tensors.append(Tensor(name, dtype, sizes, start + offsets[0], start + offsets[1]))
        spans.append((name, start + offsets[0], start + offsets[1]))
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    position = start
    for name, begin, end in sorted(spans, key=lambda span: span[1:]):
        if begin != position:
            raise ValueError(
                f"tensor {shown(name)} begins at byte {shown(begin)}, not at {shown(position)}: "
                "a gap or an "
                "overlap"
            )
        position = end
    if position != size:
        raise ValueError(f"its tensors end at byte {shown(position)} of {size}")
    return tuple(tensors), metadata
