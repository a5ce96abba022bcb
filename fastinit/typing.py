"""The types of public signatures, for editors and type checkers; below them the package's own.

This is the lowest layer: it holds no logic and imports nothing that NumPy has not loaded.  No alias
includes None: signatures write `seed: Seed | None = None`.  __all__ has the names for users.
test_typing.py compares every literal with what the code accepts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, Protocol, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np

__all__ = [
    "Array",
    "Axes",
    "AxisLayout",
    "Bounds",
    "Distribution",
    "Dtype",
    "DtypeName",
    "Initializer",
    "Layout",
    "Memory",
    "Mode",
    "Name",
    "Out",
    "PathLike",
    "Real",
    "Region",
    "Seed",
    "Shape",
]

Array: TypeAlias = np.ndarray[Any, Any]

# ----------------------------------------------------------------- what every initializer accepts

Shape: TypeAlias = SupportsIndex | Sequence[SupportsIndex]  # global sizes; one integer is 1-D
Seed: TypeAlias = SupportsIndex  # in [0, 2**64)
Name: TypeAlias = str | SupportsIndex  # of a tensor; an integer is its stream, in [0, 2**64)
# One entry for each axis: an integer, a slice of step 1, or one Ellipsis for the rest.
Region: TypeAlias = (
    SupportsIndex | slice | EllipsisType | Sequence[SupportsIndex | slice | EllipsisType]
)
DtypeName: TypeAlias = Literal[
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]


class HasDtype(Protocol):
    """A scalar type of JAX, or anything else that carries a NumPy dtype."""

    @property
    def dtype(self) -> np.dtype[Any]: ...


class TorchDtype(Protocol):
    """torch.dtype, which is recognized without importing torch."""

    @property
    def is_floating_point(self) -> bool: ...
    @property
    def itemsize(self) -> int: ...


Dtype: TypeAlias = (
    DtypeName
    | np.dtype[Any]
    | type[np.generic]
    | type[float]
    | type[int]
    | type[bool]
    | HasDtype
    | TorchDtype
)


class HasBuffer(Protocol):
    """bytearray, memoryview, array.array, mmap and whatever else lends a buffer."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class HasArrayInterface(Protocol):
    """NumPy arrays and memmaps, and whatever else offers NumPy's array interface."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class HasDLPack(Protocol):
    """torch.Tensor on the CPU, and other arrays that offer DLPack."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


Memory: TypeAlias = HasBuffer | HasArrayInterface | HasDLPack  # what a fill can write into

# `def f(..., *, out: Out | None = None) -> Out` returns its `out`, or an Array if there is none.
# The TypeVar's default (PEP 696) says the latter; `typing` has such defaults only from 3.13 on.
if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Out = TypeVar("Out", bound=Memory, default=Array)
else:
    from typing import TypeVar

    Out = TypeVar("Out", bound=Memory)

# -------------------------------------------------------------------- what some of them accept

Real: TypeAlias = SupportsFloat  # a real number, also NumPy's; booleans are refused
Layout: TypeAlias = Literal["oi", "io"]  # (out, in, *kernel) or (*kernel, in, out)
AxisLayout: TypeAlias = Layout | str  # or a capital for each axis, as in "HWIO": see fastinit.fans
Axes: TypeAlias = SupportsIndex | Sequence[SupportsIndex]  # one axis or several
Mode: TypeAlias = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
Distribution: TypeAlias = Literal["uniform", "normal", "truncated_normal"]
Bounds: TypeAlias = Literal["sigma", "absolute"]  # stds from the mean, or values
PathLike: TypeAlias = str | os.PathLike[str]
Initializer: TypeAlias = str | Callable[..., Any]  # a name, an alias or the function itself

# ------------------------------------------------------------- what the package makes of these

Sizes: TypeAlias = tuple[int, ...]  # a parsed Shape
Box: TypeAlias = tuple[slice, ...]  # a parsed Region: a slice(start, stop, 1) for each axis
Write: TypeAlias = Callable[..., None]  # fills a target's region: (target, seed, stream, threads)
