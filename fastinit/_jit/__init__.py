"""Every Numba function of the library: compiled on first use, cached, serial, without the GIL; our
own pool runs them.

No prange and no fastmath: the first loads an OpenMP runtime, the second changes bits.  Only this
package imports numba, and it is imported only where a matrix is large enough.  tiles.py: products
in LLVM; orthogonal.py and stores.py: their users; sparse.py.  The NumPy forms of the same bits:
../_orthogonal/, ../_sparse.py.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

if getattr(config, "DISABLE_JIT", False):  # numba sets its options at run time
    raise ImportError("NUMBA_DISABLE_JIT is set, but these functions exist in compiled form only")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
inner: Any = njit(**OPTIONS)  # compiled into its callers, and cached with them

# Numba's cache watches the file of the function it was asked for, not those of what it calls; so
# the names of its files carry a digest of all of ours.
_SOURCES = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
_DIGEST = f"{zlib.crc32(_SOURCES):08x}"


class Entry:
    """A function called from Python: compiled on its first call, cached, and compiled all the same
    without a cache.
    """

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
        except Exception:  # the cache: disk full, a folder that became read-only, a file cut short
            self._compiled = inner(self._function)
            result = self._compiled(*args)
        self._proven = True
        return result
