"""Complex tensors for the adapters, computed from the core's real draws.

A complex tensor of shape s takes its parts from the real normal tensor of shape (*s, 2) in the same
stream: element i has the real values 2i and 2i + 1.  The uniform disk takes the values 4i … 4i + 3
of a normal tensor of shape (*s, 4).  No second name is made up that could collide with another
tensor's, and any region can be drawn without the rest (in the orthogonal family it is cut out of
the whole).  Everything after the draw is +, -, ×, ÷, square root and remainder, each rounded once,
so the bits are the same on every machine.  The laws are those of jax.nn.initializers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import _adapters
from ._core import draws, dtypes, fill
from ._core.draws import Draw
from ._core.dtypes import DType
from ._core.engine import guarded
from ._core.fill import Rule
from ._core.fill import apply as _apply
from .typing import Array, Sizes

PARTS = {"complex64": dtypes.FLOAT32, "complex128": dtypes.FLOAT64}
SQRT_HALF, SQRT_TWO = 0.7071067811865476, 1.4142135623730951
# The std of a complex normal of variance 1 whose modulus is cut at 2, sqrt(1 - 4 / (e**4 - 1)).
# JAX uses 0.9531116, sqrt(1 - 5 / e**4), which lacks the division by the probability of a modulus
# below 2: its draws have 1.9 % more variance than documented.
MODULUS_STD_AT_2 = 0.9619618280082135

_decide = guarded(fill.decide)


def parts_of(dtype: Any) -> DType | None:
    """The real dtype of a complex dtype's parts; None for every other dtype."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        return None
    return PARTS.get(found.name) if found.isnative else None


class Law(NamedTuple):
    """How the elements of a complex tensor are distributed."""

    form: str  # "constant", "eye", "normal", "truncated", "disk", "unitary" or "delta"
    size: complex  # the value, the gain, the std of a part, or the radius
    mean: float = 0.0  # added to the real part


def law(name: str, arguments: Mapping[str, Any], shape: Sizes, parts: DType) -> Law:
    """The complex law of an initializer; raises for anything wrong with its arguments.

    Only initializers that JAX has in complex dtypes have such a law: an interval or bounds on the
    real axis have no meaning in the plane.
    """
    own = dict(arguments)
    if name in ("zeros", "ones", "constant"):
        value = {"zeros": 0.0, "ones": 1.0}.get(name, own.get("value"))
        if not isinstance(value, (complex, np.complexfloating)):
            draws.constant(value, parts)
            return Law("constant", complex(value))  # type: ignore[arg-type]
        for part in (value.real, value.imag):
            draws.constant(float(part), parts)
        return Law("constant", complex(value))
    if name == "eye":
        _decide(_adapters.rule(name), shape, parts, own)
        return Law("eye", own["gain"])
    if name == "normal":
        mean, std = _normal(name, shape, parts, own)
        return Law("normal", draws.positive_std(std * SQRT_HALF, parts), mean)
    if name == "variance_scaling":
        distribution = own.get("distribution", "normal")
        if distribution in ("truncated_normal", "uniform"):
            own["distribution"] = "normal"
        _, std = _normal(name, shape, parts, own)
        form, size = {
            "truncated_normal": ("truncated", std / MODULUS_STD_AT_2 * SQRT_HALF),
            "uniform": ("disk", std * SQRT_TWO),
        }.get(distribution, ("normal", std * SQRT_HALF))
        return Law(form, draws.positive_std(size, parts))
    if name in ("orthogonal", "delta_orthogonal"):
        _decide(_adapters.rule(name), shape, parts, own)
        return Law("unitary" if name == "orthogonal" else "delta", float(own.get("gain", 1.0)))
    raise TypeError(
        f"{name} has no complex form; zeros, ones, constant, eye, normal, variance_scaling (with "
        "glorot, he, lecun), orthogonal and delta_orthogonal have one; for another law draw the "
        "real and the imaginary part as two real tensors with different names"
    )


def _normal(name: str, shape: Sizes, parts: DType, own: dict[str, Any]) -> tuple[float, float]:
    """Mean and std of an initializer that draws normals."""
    decided = _decide(_adapters.rule(name), shape, parts, own)
    assert isinstance(decided, Draw)
    mean, std = decided.parameters
    return mean, std


@guarded
@np.errstate(all="ignore")
def values(
    law: Law, shape: Sizes, parts: DType, region: Sequence[slice] | None, seed: int, stream: Any
) -> Array:
    """The region of a complex tensor, as a new array; without region all of it."""
    dtype = np.dtype(f"c{2 * parts.itemsize}")
    cut = tuple(region or [slice(0, size) for size in shape])
    local = tuple([part.stop - part.start for part in cut])
    if law.form == "constant":
        return np.full(local, law.size, dtype)
    if law.form == "eye":
        own = {"gain": law.size}
        rule = _adapters.rule("eye")
        return _apply(rule, own, shape, parts, None, region, seed, stream, None).astype(dtype)  # type: ignore[no-any-return]
    if law.form in ("unitary", "delta"):
        return np.ascontiguousarray(_unitary(law, shape, parts, seed, stream).astype(dtype)[cut])

    def normal(std: float, count: int) -> Array:
        rule, own = _adapters.rule("normal"), {"mean": 0.0, "std": std}
        where = None if region is None else (*cut, slice(0, count))
        return _apply(rule, own, (*shape, count), parts, None, where, seed, stream, None)  # type: ignore[no-any-return]

    size = parts.numpy().type(law.size)
    if law.form == "normal":
        drawn = normal(float(size), 2)
        if law.mean:
            drawn[..., 0] += parts.numpy().type(law.mean)
    elif law.form == "truncated":
        drawn = normal(1.0, 2)
        square = _square(drawn)
        # bits: half the squared modulus is exponentially distributed, and the remainder of an
        # exponential modulo c has the law of an exponential cut at c.  So moduli beyond the bound
        # are folded back and nothing is drawn again.  The direction, which is independent, stays.
        over = square >= 8.0
        beyond = square[over]
        drawn[over] *= np.sqrt(np.fmod(beyond, square.dtype.type(8.0)) / beyond)[:, None]
        drawn *= size
    else:
        # bits: two of the four coordinates of a uniform point on the sphere in four dimensions give
        # a uniform point of the disk (Archimedes).
        four = normal(1.0, 4)
        square = _square(four[..., :2]) + _square(four[..., 2:])
        square[square == 0.0] = 1.0
        drawn = four[..., :2] * (size / np.sqrt(square))[..., None]
    return drawn.view(dtype).reshape(local)


def _square(pairs: Array) -> Array:
    return np.asarray(np.square(pairs[..., 0]) + np.square(pairs[..., 1]))


@functools.cache
def parts_rule(rule: Rule) -> Rule:
    """What a rule means to torch for a complex tensor, as a rule for its real view, of shape
    (*s, 2).

    Fans come from s.  The two parts of a normal share its variance, and each has its mean; each
    part of a uniform has its bounds.
    """

    def parts(shape: Sizes, dtype: DType, /, **arguments: Any) -> Draw:
        draw = rule(shape[:-1], dtype, **arguments)
        if isinstance(draw, Draw) and draw.draw == dtypes.UNIFORM:
            return draw
        if not isinstance(draw, Draw) or draw.draw != dtypes.NORMAL:
            raise TypeError("only normal and uniform draws have a complex form")
        mean, std = draw.parameters
        return draws.normal(mean, std * SQRT_HALF, dtype)

    return parts


# ------------------------------------------------------------------------------- unitary matrices


def _unitary(law: Law, shape: Sizes, parts: DType, seed: int, stream: Any) -> Array:
    """Haar (semi-)unitary matrices, as _orthogonal has orthogonal ones, with layout "io"."""
    if law.form == "delta":
        matrix = _unitary(law._replace(form="unitary"), shape[-2:], parts, seed, stream)
        kernel = np.zeros(shape, matrix.dtype)
        if kernel.size:
            kernel[tuple([(size - 1) // 2 for size in shape[:-2]])] = matrix
        return kernel
    rows, columns = math.prod(shape[:-1]), shape[-1]
    long, short = max(rows, columns), min(rows, columns)
    rule = _adapters.rule("normal")
    drawn = _apply(rule, {}, (long, short, 2), parts, None, None, seed, stream, None)
    real, imaginary = (np.ascontiguousarray(drawn[..., part], np.float64) for part in range(2))
    for _ in range(2 if parts.wide else 1):  # the second pass removes what rounding left
        _orthonormalize(real, imaginary)
    q = (real + 1j * imaginary) * law.size
    return (q if rows >= columns else q.T).reshape(shape)


def _orthonormalize(real: Array, imaginary: Array) -> None:
    """Modified Gram-Schmidt on the columns, in place.  It gives the Q of the QR decomposition whose
    R has a positive diagonal, which is Haar distributed (Mezzadri 2007).

    bits: only real float64 operations, and sums in a fixed order, because NumPy's complex products
    and sums differ between CPUs.
    """
    rows, columns = real.shape
    scratch = np.empty((2, rows * columns))
    for j in range(columns):
        a, b = real[:, j : j + 1], imaginary[:, j : j + 1]
        norm = np.sqrt(_sum(a * a + b * b))
        a /= norm
        b /= norm
        left = columns - j - 1
        if not left:
            return
        c, d = real[:, j + 1 :], imaginary[:, j + 1 :]
        # Reused memory: new arrays here would take four times as long.
        p, q = (memory[: rows * left].reshape(rows, left) for memory in scratch)
        along = _sum(_combined(np.add, a, c, b, d, p, q)).copy()
        across = _sum(_combined(np.subtract, a, d, b, c, p, q)).copy()
        c -= _combined(np.subtract, a, along, b, across, p, q)
        d -= _combined(np.add, a, across, b, along, p, q)


def _combined(sign: Any, a: Array, x: Array, b: Array, y: Array, p: Array, q: Array) -> Array:
    """sign(a * x, b * y), in the memory of p."""
    np.multiply(a, x, out=p)
    np.multiply(b, y, out=q)
    return sign(p, q, out=p)  # type: ignore[no-any-return]


def _sum(terms: Array) -> Array:
    """The sum over the first axis, in place, by adding the second half to the first."""
    while len(terms) > 1:
        half = len(terms) // 2
        rest = terms[2 * half :]
        terms[:half] += terms[half : 2 * half]
        if len(rest):
            terms[:1] += rest
        terms = terms[:half]
    return terms
