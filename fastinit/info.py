"""info: the version, the engine, the instruction set and the packages, for people and bug reports.

It draws nothing.  The engine is chosen in _core/engine.py.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ._core import DISTRIBUTION, engine
from ._core.stream import STREAM_VERSION

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.2.0"


def info() -> dict[str, Any]:
    """Versions, engine, instruction set and threads in use; plain values, ready for JSON.

    Returns
    -------
    dict
        Version; distribution (the installed one, None in a source tree); clashes_with (other
        distributions with files in this package's folder: uninstall them, then reinstall
        fastinit-weights); stream_version; engine ("native" or "reference"); isa (in use) and isas
        (available); threads (the default number); cuda (each GPU that was filled so far, with the
        kernels whose results differ from the host's); python, numpy, ml_dtypes and numba (None if
        not installed; large orthogonal and sparse fills need it to be fast).

    See Also
    --------
    explain : What an initializer fills.

    Notes
    -----
    The environment variables FASTINIT_ENGINE, FASTINIT_ISA and FASTINIT_NUM_THREADS set them.

    Examples
    --------
    >>> fi.info()["stream_version"]
    1
    """
    from pathlib import Path  # on demand: 2 ms

    distribution, clashes = _owners(Path(__file__).parent)
    return {
        "version": VERSION,
        "distribution": distribution,
        "clashes_with": clashes,
        "stream_version": STREAM_VERSION,
        "engine": engine.name(),
        "isa": engine.isa(),
        "isas": list(engine.isas()),
        "threads": engine.thread_count(),
        "cuda": engine.gpus(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "ml_dtypes": _installed("ml_dtypes"),
        "numba": _installed("numba"),
    }


def _owners(package: Path) -> tuple[str | None, list[str]]:
    """Our distribution, and the others that installed files into the package's folder.

    Two distributions with one import name overwrite each other's files silently, and uninstalling
    one removes files of the other.
    """
    from importlib.metadata import distributions

    own, others = None, []
    for found in distributions(path=[str(package.parent)]):
        files = found.read_text("RECORD") or ""
        if f"\n{package.name}/" in "\n" + files:
            label = f"{found.metadata['Name']} {found.version}"
            if found.metadata["Name"] == DISTRIBUTION:
                own = label
            else:
                others.append(label)
    return own, others


def _installed(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
