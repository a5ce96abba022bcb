"""info: the version, the engine, the instruction set and the packages, for people and bug reports.

It draws nothing.  Which engine runs is decided in _core/engine.py.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ._core import engine
from ._core.stream import STREAM_VERSION

VERSION = "0.1.0"


def info() -> dict[str, Any]:
    """What draws here: versions, engine, instruction set, threads; plain values, ready for JSON.

    Returns
    -------
    dict
        version, stream_version, engine ("native" or "reference"), isa (in use) and isas
        (available), threads (by default), python, numpy, ml_dtypes and numba (None where not
        installed; large orthogonal and sparse want it). FASTINIT_ENGINE, FASTINIT_ISA and
        FASTINIT_NUM_THREADS choose.

    Examples
    --------
    >>> fi.info()["stream_version"]
    1
    """
    return {
        "version": VERSION,
        "stream_version": STREAM_VERSION,
        "engine": engine.name(),
        "isa": engine.isa(),
        "isas": list(engine.isas()),
        "threads": engine.threads(None),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "ml_dtypes": _installed("ml_dtypes"),
        "numba": _installed("numba"),
    }


def _installed(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
