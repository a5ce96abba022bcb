"""sparse: each unit (a column, or a row) has a uniformly chosen set of non-zeros.

The public function and its rule, which checks the arguments and chooses dense or scipy.sparse.
How places are chosen and filled: ../_sparse.py.  The promise: section 9 of stream-v1.md.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, SupportsIndex, overload

from .._core import draws, dtypes, shapes
from .._core.arguments import choice, integer, real, shown
from .._core.dtypes import DType
from .._core.engine import guarded
from .._core.fill import apply
from .._core.stream import check_seed, stream_id
from .._sparse import Pattern, fill_dense, matrix
from ..typing import Dtype, Name, Out, Real, Region, Seed, Shape, Sizes, Write


@functools.lru_cache(maxsize=256)
def _pattern(shape: Sizes, sparsity: Any, n_nonzero: Any, per: str) -> Pattern:
    if len(shape) != 2:
        raise ValueError(
            f"sparse needs a matrix, a shape of two axes, not {shape}; reshape the weight"
        )
    choice(per, "per", ("column", "row"))
    if (sparsity is None) == (n_nonzero is None):
        raise ValueError(
            "give one of sparsity= (the fraction of zeros in a unit) and n_nonzero= (the number of "
            "its non-zeros)"
        )
    rows, columns = shape
    units, places = (columns, rows) if per == "column" else (rows, columns)
    if sparsity is not None:
        fraction = real(sparsity, "sparsity")
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(
                f"sparsity is {fraction!r}; it must lie in [0, 1], the fraction of zeros in each "
                f"{per}"
            )
        kept = places - math.ceil(fraction * places)  # bits: the product in double
    else:
        kept = integer(n_nonzero, "n_nonzero")
        if not 0 <= kept <= places:
            other = "row" if per == "column" else "column"
            raise ValueError(
                f"n_nonzero is {shown(kept)}, but each {per} of shape {shape} has {places} places; "
                f"give at most {places}, or per={other!r}"
            )
    return Pattern(per, units, places, kept)


def sparse_rule(
    shape: Sizes,
    dtype: DType,
    *,
    sparsity: Any = None,
    n_nonzero: Any = None,
    per: str = "column",
    std: float = 0.01,
) -> Write:
    pattern = _pattern(shape, sparsity, n_nonzero, per)
    draw = draws.normal(0.0, std, dtype)

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        fill_dense(pattern, draw, target, seed, stream, threads)

    return write


FORMATS = ("csr", "csc", "coo")


@guarded
def _array(
    parameters: dict[str, Any],
    shape: Any,
    dtype: Any,
    region: Any,
    seed: Any,
    name: Any,
    threads: int | None,
    form: str,
) -> Any:
    kind = dtypes.resolve("float32" if dtype is None else dtype)
    if kind.name not in ("float32", "float64"):
        raise TypeError(
            f"scipy.sparse has no dtype {kind.name}; give float32 or float64, or format=None for a "
            "dense array"
        )
    shape = shapes.parse_shape(shape)
    shapes.count(shape, kind)
    pattern = _pattern(shape, *(parameters[key] for key in ("sparsity", "n_nonzero", "per")))
    draw = draws.normal(0.0, parameters["std"], kind)
    parts = shapes.parse_region(... if region is None else region, shape)
    seed, stream = check_seed(seed), stream_id(name)
    return matrix(pattern, draw, kind, parts, seed, stream, threads, form)


@overload
def sparse(
    shape: Shape | None = None,
    *,
    sparsity: Real | None = None,
    n_nonzero: SupportsIndex | None = None,
    per: Literal["column", "row"] = "column",
    std: Real = 0.01,
    format: None = None,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out: ...


@overload
def sparse(
    shape: Shape | None = None,
    *,
    sparsity: Real | None = None,
    n_nonzero: SupportsIndex | None = None,
    per: Literal["column", "row"] = "column",
    std: Real = 0.01,
    format: Literal["csr", "csc", "coo"],
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Any: ...


def sparse(
    shape: Shape | None = None,
    *,
    sparsity: Real | None = None,
    n_nonzero: SupportsIndex | None = None,
    per: Literal["column", "row"] = "column",
    std: Real = 0.01,
    format: Literal["csr", "csc", "coo"] | None = None,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Any:
    """K values N(0, std²) at random places in each column (or row), 0 elsewhere.

    In a column (or row) of length n, K is n − ⌈sparsity·n⌉, or `n_nonzero`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    sparsity : float, optional
        The fraction of zeros in each unit, in [0, 1]. Give this or `n_nonzero`.
    n_nonzero : int, optional
        The number K of non-zeros in each unit, 15 in the paper.
    per : {"column", "row"}, default "column"
        The units: columns as in torch, or rows, the inputs of each output of an ``(out, in)``
        weight.
    std : float, default 0.01
        Standard deviation of the non-zeros.
    format : {"csr", "csc", "coo"}, optional
        None fills a dense array; a format returns a scipy.sparse array of float32 or float64.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array or scipy.sparse array
        A new array of the region's shape, `out` itself, or the sparse array asked for.

    Raises
    ------
    ValueError
        A shape that does not have two axes; sparsity outside [0, 1]; more non-zeros than places; a
        std that is negative or overflows.

    See Also
    --------
    torch.nn.init.sparse_ : Equal in law.

    Notes
    -----
    Method in [1]_. Only the units that `region` touches are drawn, but each of them is drawn whole:
    stream-v1.md, section 9. In Flux and MLX the units are rows; Lasagne's Sparse takes the number
    of non-zeros.

    References
    ----------
    .. [1] Martens, Deep learning via Hessian-free optimization, ICML 2010.

    Examples
    --------
    >>> (fi.sparse((6, 4), sparsity=0.5, seed=0) != 0).sum(axis=0)
    array([3, 3, 3, 3])
    """
    parameters = {"sparsity": sparsity, "n_nonzero": n_nonzero, "per": per, "std": std}
    if format is None:
        return apply(sparse_rule, parameters, shape, dtype, out, region, seed, name, threads)
    choice(format, "format", FORMATS)
    if out is not None:
        raise ValueError(
            "out= is for dense arrays, and with format= a new scipy.sparse array is returned; give "
            "only one of the two"
        )
    return _array(parameters, shape, dtype, region, seed, name, threads, format)
