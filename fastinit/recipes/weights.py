"""Whole initializers of weights: small_init, wang_init, siren, alexnet_weight, and the pair that
mimetic factorises.

Each but mimetic is a rule that turns its formula into one elementwise draw, and so keeps the stream
contract; mimetic needs an SVD and does not.  Factors on other initializers: scales.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _draws, _dtypes, _fill
from .._draws import Draw, real
from .._dtypes import DType
from .._engine import guarded
from .._fans import fans
from ..initializers import normal
from .scales import whole

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def small_init_rule(shape: Shape, dtype: DType, *, dim: int) -> Draw:
    return _draws.normal(0.0, math.sqrt(2.0 / (5.0 * whole(dim, "dim"))), dtype)  # bits:


def wang_init_rule(shape: Shape, dtype: DType, *, dim: int, layers: int) -> Draw:
    return _draws.normal(
        0.0, 2.0 / (whole(layers, "layers") * math.sqrt(whole(dim, "dim"))), dtype
    )  # bits:


def siren_rule(
    shape: Shape,
    dtype: DType,
    *,
    first: bool = False,
    omega: float = 30.0,
    layout: str = "oi",
    groups: int = 1,
) -> Draw:
    omega = real(omega, "omega")
    if not omega > 0.0:
        raise ValueError(f"omega is {omega!r}; it must be > 0")
    if 0 in shape:
        return _draws.normal(0.0, 0.0, dtype)
    n = fans(shape, layout=layout, groups=groups).fan_in
    bound = 1.0 / n if first else math.sqrt(6.0 / n) / omega  # bits:
    return _draws.uniform(-bound, bound, dtype, symmetric=True)


def alexnet_weight_rule(shape: Shape, dtype: DType) -> Draw:
    return _draws.normal(0.0, 0.01, dtype)


@guarded
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
    return _fill.apply(
        small_init_rule, {"dim": dim}, shape, dtype, out, region, seed, name, threads
    )


@guarded
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
    return _fill.apply(
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


@guarded
def siren(
    shape: Any = None,
    *,
    first: bool = False,
    omega: float = 30.0,
    layout: str = "oi",
    groups: int = 1,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Hidden layers U(±√(6/n)/omega), the first layer U(±1/n), n = fan_in, for networks of
    sin(omega·(W·x + b)).

    Parameters
    ----------
    first : whether this is the first layer.
    omega : the frequency inside the sine, > 0.
    layout, groups : which axes make fan_in; see fans.

    Source: Sitzmann et al., Implicit neural representations with periodic activation functions,
    NeurIPS 2020.

    Examples
    --------
    >>> fi.siren((2, 3), first=True, seed=0, name="w")
    array([[ 0.06339931, -0.14844935, -0.01268479],
           [ 0.14693633, -0.23992574,  0.178924  ]], dtype=float32)
    """
    own = {"first": first, "omega": omega, "layout": layout, "groups": groups}
    return _fill.apply(siren_rule, own, shape, dtype, out, region, seed, name, threads)


@guarded
def alexnet_weight(
    shape: Any = None,
    *,
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """N(0, 0.01²): every weight of AlexNet; its biases: alexnet_bias.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
    networks, 2012, section 5.

    Examples
    --------
    >>> fi.alexnet_weight((2, 3), seed=0, name="conv1.weight")
    array([[ 1.2332936e-03,  4.7961305e-04, -1.2000316e-02],
           [ 1.2065281e-02,  9.6674674e-05,  5.6731594e-03]], dtype=float32)
    """
    return _fill.apply(alexnet_weight_rule, {}, shape, dtype, out, region, seed, name, threads)


@guarded
def mimetic(
    dim: int,
    *,
    rank: int | None = None,
    alpha: float = 0.7,
    beta: float = 0.7,
    seed: Any = None,
    name: Any = None,
    dtype: Any = "float32",
    threads: int | None = None,
) -> tuple[Array, Array]:
    """(U·√S, √S·Vᵀ) of alpha·Z + beta·I = U·S·Vᵀ, Z ~ N(0, 1/dim): shapes (dim, rank) and (rank,
    dim).

    For weights used as x @ W: query = first, key = second.T with the defaults; value = first,
    projection = second with alpha=0.4, beta=-0.4. Transpose them for (out, in) weights. rank < dim
    (a head's width) keeps the largest S.

    Outside the stream contract: Z is the same everywhere, but the SVD is LAPACK's and its last bits
    are not.

    Parameters
    ----------
    alpha, beta : of the noise and of the identity; the paper's values, to be tuned.

    Source: Trockman and Kolter, Mimetic initialization of self-attention layers, ICML 2023.

    Examples
    --------
    >>> query, key = fi.mimetic(4, alpha=0.0, beta=0.25, seed=0)
    >>> abs(query @ key).round(6).diagonal()
    array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """
    dim = whole(dim, "dim")
    rank = dim if rank is None else whole(rank, "rank")
    if rank > dim:
        raise ValueError(f"rank is {rank}, above dim {dim}; give at most {dim}")
    kind = _dtypes.resolve(dtype)
    if not kind.is_float:
        raise TypeError(f"mimetic needs a floating dtype, not {kind.name}")
    alpha, beta = real(alpha, "alpha"), real(beta, "beta")
    noise = normal(
        (dim, dim), std=1.0 / math.sqrt(dim), seed=seed, name=name, dtype="float64", threads=threads
    )
    left, singular, right = np.linalg.svd(alpha * noise + beta * np.eye(dim))
    root = np.sqrt(singular[:rank])
    return (left[:, :rank] * root).astype(kind.numpy()), (root[:, None] * right[:rank]).astype(
        kind.numpy()
    )
