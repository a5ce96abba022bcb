"""os.fork() waits while another thread imports or compiles what this package needs on demand.

A child process has only the thread that forked.  What another thread was importing stays half
imported there, with its lock held for ever, so the child's own import would never return.  Most of
this package is imported when it is first used, and numba takes half a second.  The same holds for
the lock of Numba's compiler (../_jit/__init__.py).  engine.py calls install().
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from importlib import _bootstrap  # type: ignore[attr-defined]
from typing import Any

# The packages of which a part is imported on demand, here or by numba; tests/project/test_layers.py
# compares them with our imports.  A fork waits for no others: a program may run to its end inside
# an import.
PACKAGES = {
    "cuda",
    "fastinit",
    "jax",
    "keras",
    "llvmlite",
    "matplotlib",
    "ml_dtypes",
    "numba",
    "numpy",
    "scipy",
    "shtab",
    "torch",
    "tqdm",
    "transformers",
}
_AWAITED = PACKAGES | sys.stdlib_module_names
# Seconds; numba may take one minute to compile.  Then the fork goes on, and the child may hang, as
# it would without a wait.
_LIMIT = 120.0

_locks: list[Any] = []  # reentrant locks that a child must get free
_held: list[Any] = []  # those that the fork in progress holds


def install() -> None:
    """Make every fork of this process wait for the imports of other threads."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)


def keep_free(lock: Any) -> None:
    """Make every fork of this process wait for a reentrant lock, so that the child gets it free."""
    # Not by register_at_fork: while a fork waits, it would add the release without the acquire.
    _locks.append(lock)


def _before() -> None:
    end = time.monotonic() + _LIMIT
    logged = _logging_lock() is not None
    while not _hold() and time.monotonic() < end:
        # Where logging was imported after this module, the fork holds its lock by now, and the
        # import may need it.
        lock = _logging_lock()
        owned = _released(lock)
        time.sleep(0.001)
        if owned:
            lock.acquire()
    if not logged and (lock := _logging_lock()) is not None:
        lock.acquire()  # logging was imported meanwhile, and will release it after the fork


def _after() -> None:
    while _held:
        _held.pop().release()


def _hold() -> bool:
    """Take all locks, or none if one is in use or another thread imports."""
    if not _imported_elsewhere():
        for lock in _locks:
            if not lock.acquire(blocking=False):
                break
            _held.append(lock)
        else:
            return True
    _after()
    return False


def _logging_lock() -> Any:
    return getattr(sys.modules.get("logging"), "_lock", None)


def _released(lock: Any) -> bool:
    """Release a reentrant lock if this thread has it."""
    try:
        lock.release()
    except (AttributeError, RuntimeError):  # there is no lock, or it is not this thread's
        return False
    return True


def _imported_elsewhere() -> bool:
    """Whether another thread is importing one of the packages.

    CPython's locks of modules have no public name.  Where they are not found, a fork does not wait.
    """
    own, found = _thread.get_ident(), False
    for name, reference in list(getattr(_bootstrap, "_module_locks", {}).items()):
        owner = getattr(reference(), "owner", None)
        if owner == own:
            return False  # an import forks, and the other thread may be waiting for this import
        found = found or (owner is not None and name.partition(".")[0] in _AWAITED)
    return found
