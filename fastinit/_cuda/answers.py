"""Known answers: small jobs of every kernel, which a GPU must draw as the host does before it is
used.

The same kinds of draws as dispatch.c asks of the CPU's instruction sets: each draw, and each form
of the truncated normal, into each storage, as a run that begins and ends within tiles and as a
destination with gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.dtypes import (
    BF16,
    CONSTANT,
    E4M3,
    E5M2,
    F16,
    F32,
    F64,
    NORMAL,
    TRUNCATED_NORMAL,
    U32,
    U64,
    UNIFORM,
    WORDS,
    WORDS64,
)

if TYPE_CHECKING:
    from .._core.jobs import Job

# (draw, parameters) as _core/draws.py makes them, for float32 arithmetic and for float64.
_UNIFORM = (-0.25, 1.0, -0.25, 0.75)
_NORMAL = (0.125, 0.75)
NARROW: tuple[tuple[int, tuple[float, ...]], ...] = (
    (UNIFORM, _UNIFORM),
    (NORMAL, _NORMAL),
    # between -0.375 and 0.625, mean 0.125, std 0.25
    (
        TRUNCATED_NORMAL,
        (
            0.0,
            0.125,
            0.25,
            -0.3749999701976776,
            0.6249999403953552,
            4.4447356906118785e-10,
            472163488.0,
            439399424.0,
        ),
    ),
    # between -3.0 and 4.5, mean 0.5, std 1.0
    (
        TRUNCATED_NORMAL,
        (
            1.0,
            0.5,
            1.0,
            -2.999999761581421,
            4.499999523162842,
            2147051980.0,
            0.740743100643158,
            0.25925689935684204,
            0.00023262944887392223,
            3.167130489600822e-05,
            2.3276910954272978e-10,
            2.3276910954272978e-10,
            5.834656091607826e-10,
            5.834656091607826e-10,
        ),
    ),
    # between 6.0 and inf, mean 0.0, std 1.0
    (
        TRUNCATED_NORMAL,
        (
            2.0,
            0.0,
            1.0,
            6.000000476837158,
            3.4028234663852886e38,
            0.0,
            2.3283064365386963e-10,
            0.0,
            6.0,
            1.0,
            3.0792412757873535,
            0.4880061745643616,
            8.5,
            -0.013596235774457455,
            0.0031692686025053263,
            -0.0009669261635281146,
            -0.00035613332875072956,
            2.254959508718457e-05,
            -9.462613525101915e-05,
            -9.68803942669183e-05,
        ),
    ),
)
WIDE: tuple[tuple[int, tuple[float, ...]], ...] = (
    (UNIFORM, _UNIFORM),
    (NORMAL, _NORMAL),
    # between -3.0 and 4.5, mean 0.5, std 1.0
    (
        TRUNCATED_NORMAL,
        (
            1.0,
            0.5,
            1.0,
            -2.9999999999999996,
            4.499999999999999,
            0.0,
            2147051980.0,
            1033983779.0,
            0.11978676394598782,
            0.8802132360540121,
            0.00023262907903552572,
            3.167124183312004e-05,
            5.41957808751715e-20,
            5.41957808751715e-20,
            1.3584867670741092e-19,
            1.3584867670741092e-19,
        ),
    ),
    # between 6.0 and inf, mean 0.0, std 1.0
    (
        TRUNCATED_NORMAL,
        (
            2.0,
            0.0,
            1.0,
            6.000000000000001,
            1.7976931348623157e308,
            0.0,
            5.421010862427522e-20,
            0.0,
            6.0,
            1.0,
            3.0792413022722993,
            0.4880061816054166,
            10.0,
            -0.01881831923454924,
            0.011802383841295255,
            -0.006342503735204099,
            0.001881989836341708,
            -0.00017280938832373691,
            -0.0005092543758770366,
            0.00037826564970143244,
            -0.00024385745443549357,
            4.5295691260982373e-05,
            1.016129138611676e-05,
            -7.791871610947777e-05,
            7.175294779566202e-05,
            -5.91951844943571e-05,
        ),
    ),
)
_VALUES = 3 * 64 + 5  # from the middle of one tile to the middle of the fourth
_SEED, _STREAM = 0x0123456789ABCDEF, 0xFEDCBA9876543210
_UNSIGNED = {
    F64: "u8",
    F32: "u4",
    F16: "u2",
    BF16: "u2",
    E4M3: "u1",
    E5M2: "u1",
    U32: "u4",
    U64: "u8",
}


def questions() -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """(draw, storage, parameters) of everything that a GPU draws."""
    for storage in (F32, F16, BF16, E4M3, E5M2):
        for draw, parameters in NARROW:
            yield draw, storage, parameters
    for draw, parameters in WIDE:
        yield draw, F64, parameters
    yield WORDS, U32, ()
    yield WORDS64, U64, ()
    for storage, bits in (
        (E4M3, 0xA5),
        (F16, 0xA55A),
        (F32, 0xA55AC33C),
        (F64, 0xA55AC33C12345678),
    ):
        yield CONSTANT, storage, (bits,)


POISON = 0xA5
_SLOT = 4096  # bytes for one answer: _VALUES values with as many gaps
_ASKED = [(*question, step) for question in questions() for step in (1, 2)]
BYTES = _SLOT * len(_ASKED)


def jobs(memory: np.ndarray[Any, Any] | None = None) -> list[tuple[int, Job]]:
    """Every question as a job on `memory` (a buffer of BYTES; None: only its shape matters), with
    its offset there.
    """
    from .._core.jobs import Job

    if memory is None:
        memory = np.empty(BYTES, np.uint8)
    found = []
    for number, (draw, storage, parameters, step) in enumerate(_ASKED):
        unsigned = np.dtype(_UNSIGNED[storage])
        part = memory[_SLOT * number : _SLOT * (number + 1)].view(unsigned)[: _VALUES * step : step]
        found.append(
            (_SLOT * number, Job(part, draw, storage, _SEED, _STREAM, 0, parameters, 29, (1,)))
        )
    return found


def differing(
    found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], layout: list[tuple[int, Job]]
) -> list[bool]:
    """Whether each answer differs anywhere in its slot, what must stay untouched included."""
    return [bool((found[at : at + _SLOT] != wanted[at : at + _SLOT]).any()) for at, _ in layout]
