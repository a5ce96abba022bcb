"""Memory of a GPU as a NumPy array that nobody may touch: its shape, strides and address are all
that is used.

NumPy's own slicing, reshaping and overlap tests then serve shards and regions, as they do for
memory of the CPU. Only launch.py and device.py turn such a view into something that is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class CudaView(np.ndarray[Any, Any]):
    """A view of device memory.  `ordinal` is the GPU, `stream` the handle of the stream that fills
    it.
    """

    ordinal: int
    stream: int
    owner: Any  # keeps the memory alive

    def __array_finalize__(self, base: Any) -> None:
        if isinstance(base, CudaView):
            self.ordinal, self.stream, self.owner = base.ordinal, base.stream, base.owner

    # Reading or writing from the CPU raises an error instead of crashing.
    __array_ufunc__ = None  # type: ignore[assignment]

    def _untouchable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("this memory lies on a GPU, and the CPU cannot touch it")

    __setitem__ = __iter__ = __contains__ = __bool__ = __buffer__ = _untouchable
    fill = tobytes = tolist = item = copy = astype = sort = _untouchable  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> CudaView:
        keys = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(one, (int, slice)) or one is Ellipsis or one is None for one in keys):
            self._untouchable()
        if Ellipsis not in keys:  # without it, an integer for each axis would read the element
            keys = (*keys, Ellipsis)
        return super().__getitem__(keys)  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"<{self.dtype} memory of shape {self.shape} on cuda:{self.ordinal}>"

    __str__ = __repr__


class _Lender:
    def __init__(self, interface: dict[str, Any]):
        self.__array_interface__ = interface


def view(
    address: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    dtype: np.dtype[Any],
    *,
    ordinal: int,
    stream: int,
    owner: Any,
    readonly: bool = False,
) -> CudaView:
    """Device memory at `address`; strides in bytes, None for C order.  Nothing is touched."""
    if 0 in shape:
        array = np.empty(shape, dtype)
    elif not address:
        raise ValueError(
            f"a tensor of shape {shape} on a GPU has no memory; its storage was freed, or it is a "
            "placeholder for another tensor"
        )
    else:
        interface = {
            "data": (address, readonly),
            "shape": shape,
            "strides": strides,
            "typestr": dtype.str,
            "version": 3,
        }
        array = np.asarray(_Lender(interface))
    result = array.view(CudaView)
    result.ordinal, result.stream, result.owner = ordinal, stream, owner
    return result


def rows(out: CudaView) -> Iterator[tuple[int, int, int]]:
    """(address, first item in C order, items) of each stretch of contiguous memory."""
    shape, strides, size = out.shape, out.strides, out.itemsize
    inner, axes = 1, out.ndim
    while axes and (shape[axes - 1] == 1 or strides[axes - 1] == inner * size):
        axes -= 1
        inner *= shape[axes]
    address = out.__array_interface__["data"][0]
    for number, index in enumerate(np.ndindex(*shape[:axes])):
        offset = sum([place * step for place, step in zip(index, strides, strict=False)])
        yield address + offset, number * inner, inner
