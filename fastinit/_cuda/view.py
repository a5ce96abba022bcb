"""Memory of a GPU as a NumPy array that nobody may touch: its shape, strides and address are all
that is used.

NumPy's own slicing, reshaping and overlap tests then serve shards and regions, as they do for
memory of the CPU. Only launch.py and device.py turn such a view into something that is written.
"""

from __future__ import annotations

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

    # What would read or write from the CPU is an error and not a crash.
    __array_ufunc__ = None  # type: ignore[assignment]

    def _untouchable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("this memory lies on a GPU, and the CPU cannot touch it")

    __setitem__ = __iter__ = __contains__ = __bool__ = __buffer__ = _untouchable
    fill = tobytes = tolist = item = copy = astype = sort = _untouchable  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> CudaView:
        keys = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(one, slice) or one is Ellipsis or one is None for one in keys):
            self._untouchable()
        return super().__getitem__(key)  # type: ignore[no-any-return]

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
    if 0 in shape or not address:
        array = np.empty(shape, dtype)
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
