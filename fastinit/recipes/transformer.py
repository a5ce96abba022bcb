"""small_init and wang_init: the two normals of GPT-NeoX's transformers.

Each rule turns its formula into one draw.  Factors on other initializers: depth_scales.py, mup.py.
"""

from __future__ import annotations

import math
from typing import Any

from .._core import draws
from .._core.arguments import whole
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import apply
from ..typing import Array, Sizes


def small_init_rule(shape: Sizes, dtype: DType, *, dim: int) -> Draw:
    return draws.normal(0.0, math.sqrt(2.0 / (5.0 * whole(dim, "dim"))), dtype)  # bits:


def wang_init_rule(shape: Sizes, dtype: DType, *, dim: int, layers: int) -> Draw:
    return draws.normal(
        0.0, 2.0 / (whole(layers, "layers") * math.sqrt(whole(dim, "dim"))), dtype
    )  # bits:


def small_init(
    shape: Any = None,
    *,
    dim: int,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, 2/(5·dim)): every matrix of a transformer of width dim but those that write to the
    residual stream.

    Source: Nguyen and Salazar, Transformers without tears, 2019; GPT-NeoX small_init. Those others:
    wang_init.

    Examples
    --------
    >>> fi.small_init((2, 3), dim=10, seed=0, name="w")
    array([[-0.08773312, -0.24362595,  0.0942609 ],
           [ 0.14233516, -0.39069748,  0.11798451]], dtype=float32)
    """
    return apply(small_init_rule, {"dim": dim}, shape, dtype, out, region, seed, name, threads)


def wang_init(
    shape: Any = None,
    *,
    dim: int,
    layers: int,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, (2/(layers·√dim))²): the matrices that write to the residual stream of a transformer of
    width dim.

    Source: Wang and Komatsuzaki, GPT-J (mesh-transformer-jax), 2021; GPT-NeoX wang_init. All
    others: small_init.

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
