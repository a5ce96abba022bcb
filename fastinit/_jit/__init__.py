"""Every Numba function of the library: serial, compiled on first use, cached, and run without the
GIL by our own pool.

No prange and no fastmath: the first loads an OpenMP runtime, the second changes bits.  Only this
package imports numba, and it is itself imported only for a matrix that is large enough.  Dot
products in LLVM: tiles.py; they are used by orthogonal.py and stores.py.  Sparse: sparse.py.  The
NumPy forms, with the same bits: ../_orthogonal/, ../_sparse.py.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.compiler_lock import global_compiler_lock

from .._core import forks

if getattr(config, "DISABLE_JIT", False):  # numba sets its options at run time
    raise ImportError(
        "NUMBA_DISABLE_JIT is set, but these functions only exist in compiled form; unset it"
    )

if hasattr(global_compiler_lock, "_lock"):  # its own acquire() always waits
    forks.keep_free(global_compiler_lock._lock)

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
inner: Any = njit(**OPTIONS)  # compiled into its callers, and cached with them

# Numba's cache notices a change of the file that holds a function, not of the files that hold what
# it calls.  So the names of the cached functions contain a digest of all files here.
_SOURCES = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
_DIGEST = f"{zlib.crc32(_SOURCES):08x}"


class Entry:
    """A function that Python calls: compiled on its first call, and cached if that is possible."""

    def __init__(self, function: Callable[..., Any]) -> None:
        function.__qualname__ += "_" + _DIGEST
        self._function = function
        self._proven = False
        try:
            self._compiled = njit(cache=True, **OPTIONS)(function)
        except RuntimeError:  # "no locator available": no folder to write in, as in many containers
            self._compiled = inner(function)
            self._proven = True

    def __call__(self, *args: Any) -> Any:
        if self._proven:
            return self._compiled(*args)
        try:
            result = self._compiled(*args)
        except MemoryError:
            raise
        # The cache failed: the disk is full, the folder became read-only, or a file is cut short.
        except Exception:
            self._compiled = inner(self._function)
            result = self._compiled(*args)
        self._proven = True
        return result
