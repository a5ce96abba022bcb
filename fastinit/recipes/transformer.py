"""small_init and wang_init: the two normal initializers of GPT-NeoX's transformers.

Each rule turns its formula into one draw.  Factors on other initializers: depth_scales.py, mup.py.
"""

from __future__ import annotations

import math
from typing import SupportsIndex

from .._core import draws
from .._core.arguments import double, whole
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Dtype, Name, Out, Region, Seed, Shape, Sizes


def small_init_rule(shape: Sizes, dtype: DType, *, dim: int) -> Draw:
    return draws.normal(
        0.0, math.sqrt(2.0 / (5.0 * double(whole(dim, "dim"), "dim"))), dtype
    )  # bits:


def wang_init_rule(shape: Sizes, dtype: DType, *, dim: int, layers: int) -> Draw:
    std = 2.0 / (
        double(whole(layers, "layers"), "layers") * math.sqrt(double(whole(dim, "dim"), "dim"))
    )  # bits:
    return draws.normal(0.0, std, dtype)


def small_init(
    shape: Shape | None = None,
    *,
    dim: SupportsIndex,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, 2 / (5·dim)): GPT-NeoX's small_init.

    It is for every matrix of a transformer of width `dim`, except those that write to the residual
    stream, which take `wang_init`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    dim : int
        Width of the transformer.
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
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        `dim` below 1.

    See Also
    --------
    wang_init : For the matrices that write to the residual stream.

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 5.

    References
    ----------
    .. [1] Nguyen and Salazar, Transformers without tears, IWSLT 2019.

    Examples
    --------
    >>> fi.small_init((2, 3), dim=10, seed=0, name="w")
    array([[-0.08773312, -0.24362595,  0.0942609 ],
           [ 0.14233516, -0.39069748,  0.11798451]], dtype=float32)
    """
    return apply(small_init_rule, {"dim": dim}, shape, dtype, out, region, seed, name, threads)


def wang_init(
    shape: Shape | None = None,
    *,
    dim: SupportsIndex,
    layers: SupportsIndex,
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """N(0, (2 / (layers·√dim))²): GPT-NeoX's wang_init.

    It is for the matrices that write to the residual stream of a transformer of width `dim`; all
    others take `small_init`.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    dim : int
        Width of the transformer.
    layers : int
        Its number of layers.
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
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        `dim` or `layers` below 1.

    See Also
    --------
    small_init : For all other matrices.
    gpt2_scale : GPT-2's rule for the same matrices.

    Notes
    -----
    Formula in [1]_. Element i depends on the seed, the name and i only: stream-v1.md, section 5.

    References
    ----------
    .. [1] Wang and Komatsuzaki, GPT-J (mesh-transformer-jax), 2021.

    Examples
    --------
    >>> fi.wang_init((2, 3), dim=16, layers=5, seed=0, name="w")
    array([[-0.04386656, -0.12181298,  0.04713045],
           [ 0.07116758, -0.19534874,  0.05899226]], dtype=float32)
    """
    return apply(
        wang_init_rule,
        {"dim": dim, "layers": layers},
        shape,
        dtype,
        out,
        region,
        seed,
        name,
        threads,
    )
