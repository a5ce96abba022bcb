"""Which engine draws, on how many threads, under which floating-point state.

A Job is one draw into one array; run() draws many as one batch.  Both engines (fastinit._native,
fastinit.reference) offer the same class Batch.  Knows no initializer, no name and no shape rule:
see draws.py and shapes.py.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from .jobs import Job

SMALL = 1 << 18  # values: below, waking another thread costs more than it draws


F = TypeVar("F", bound=Callable[..., Any])


# --------------------------------------------------------------------------------------- the engine


def _choose() -> tuple[str, Any]:
    wanted = os.environ.get("FASTINIT_ENGINE", "")
    if wanted not in ("", "native", "reference"):
        raise ImportError(
            f"FASTINIT_ENGINE is {wanted!r}; it may be 'native' or 'reference', or unset"
        )
    if wanted != "reference":
        try:
            # Not "from . import": of a missing submodule that makes a plain ImportError, like that
            # of a broken one.
            return "native", importlib.import_module("fastinit._native")
        except ModuleNotFoundError as error:
            if error.name != "fastinit._native":
                raise
            if wanted == "native":
                raise ImportError(
                    "FASTINIT_ENGINE=native, but fastinit._native is not there: the package was "
                    "installed without a C compiler, or Python runs in the source tree; "
                    "reinstall with FASTINIT_REQUIRE_NATIVE=1, or unset FASTINIT_ENGINE"
                ) from error
            _warn_in_source_tree(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    from .. import reference

    return "reference", reference


def _warn_in_source_tree(root: str) -> None:
    """Warn if the package has no compiled engine but lies beside the engine's sources: Python was
    started in a clone, whose fastinit/ hides the installed package.
    """
    if os.path.exists(os.path.join(root, "src", "_native.pyx")):
        warnings.warn(
            f"fastinit was imported from the source tree {root}, which has no compiled engine; the "
            "reference engine draws the same bits, but about 100 times slower. To import the "
            "installed package, start Python in another folder or with -P; to compile the engine "
            "in the tree, run pip install -e . (FASTINIT_ENGINE=reference silences this warning.)",
            RuntimeWarning,
            stacklevel=2,
        )


_NAME, _ENGINE = _choose()


def name() -> str:
    """'native' or 'reference'."""
    return _NAME


def isa() -> str:
    """The instruction set that draws: 'scalar', 'sse2', 'avx2', 'avx512', 'neon', or 'numpy' for
    the reference engine.
    """
    return _ENGINE.isa() if _NAME == "native" else "numpy"


def isas() -> tuple[str, ...]:
    """All that this machine could use; FASTINIT_ISA chooses one."""
    return _ENGINE.isas() if _NAME == "native" else ("numpy",)


# ------------------------------------------------------------------------- the floating-point state


def _probe() -> None:
    one, tiny = np.float32(1), np.float32(2.0**-24)
    with np.errstate(all="ignore"):
        exact = (
            one + tiny == one
            and one + 3 * tiny == np.float32(1 + 2.0**-22)
            and np.array([2.0**-149], np.float32)[0] * one != 0
            and 1.0 + 2.0**-53 == 1.0
            and 1.0 + 3 * 2.0**-53 == 1.0 + 2.0**-51
            and 5e-324 * float(one) != 0.0
        )
    if not exact:
        raise FloatingPointError(
            "this thread rounds other than to nearest, or flushes subnormals to zero, so the "
            "promised bits cannot be computed; restore the default floating-point state, or "
            "install fastinit with its native module, which guards itself"
        )


def guarded(function: F) -> F:
    """Run the whole call under round-to-nearest, no flush to zero, exceptions masked; the caller's
    state comes back after it.
    """
    if _NAME == "native":
        enter, leave = _ENGINE.enter, _ENGINE.leave

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            state = enter()
            try:
                return function(*args, **kwargs)
            finally:
                leave(state)
    else:

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            _probe()
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------ threads


def _quota() -> float:
    """CPUs that the container may use: cgroup v2 or v1; infinity without a limit."""
    best = float("inf")
    try:
        with open("/proc/self/cgroup") as file:
            own = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return best
    for _, controllers, path in own:
        if controllers == "":
            root, names = "/sys/fs/cgroup", ["cpu.max"]
        elif "cpu" in controllers.split(","):
            root, names = "/sys/fs/cgroup/" + controllers, ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):  # a parent's limit binds too
            folder = "/".join([root, *parts[:depth]])
            try:
                fields = []
                for name in names:
                    with open(f"{folder}/{name}") as file:
                        fields += file.read().split()
                if fields[0] not in ("max", "-1"):
                    best = min(best, int(fields[0]) / int(fields[1]))
            except (OSError, ValueError, IndexError, ZeroDivisionError):
                continue
    return best


@functools.lru_cache(maxsize=8)
def _available(_pid: int) -> int:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cpus, _quota())))


def threads(wanted: int | None = None) -> int:
    """The number of threads to use: `wanted`, else FASTINIT_NUM_THREADS, else min(affinity, cgroup
    quota).
    """
    source = "threads"
    if wanted is None:
        text = os.environ.get("FASTINIT_NUM_THREADS", "")
        if not text:
            return _available(os.getpid())
        source = "FASTINIT_NUM_THREADS"
        if not text.isascii() or not text.isdigit():
            raise ValueError(
                f"FASTINIT_NUM_THREADS is {text!r}; it must be a whole number of at least 1, or "
                "unset"
            )
        wanted = int(text)
    elif isinstance(wanted, (bool, np.bool_)) or not hasattr(wanted, "__index__"):
        raise TypeError(f"threads is {wanted!r}; it must be a whole number of at least 1, or None")
    wanted = wanted.__index__()
    if wanted < 1:
        raise ValueError(f"{source} is {wanted}; it must be at least 1")
    return min(wanted, 1024)


class _Pool:
    """Daemon threads (a live pool must not hold up exit) that run what is put on one queue."""

    def __init__(self) -> None:
        from _queue import SimpleQueue

        self._queue: Any = SimpleQueue()
        self._count = 0
        self._lock = threading.Lock()

    def _serve(self) -> None:
        while True:
            self._queue.get()()

    def grow(self, count: int) -> int:
        """Have at least `count` threads, or as many as the system gives; returns how many there
        are.
        """
        with self._lock:
            while self._count < count:
                try:
                    threading.Thread(target=self._serve, name="fastinit", daemon=True).start()
                except RuntimeError:  # "can't start new thread": fewer threads, same bits
                    break
                self._count += 1
            return min(count, self._count)

    def submit(self, task: Callable[[], None]) -> None:
        self._queue.put(task)


_pools: dict[
    int, _Pool
] = {}  # by process id: a forked child finds none of its parent's threads, and makes its own


def _run_everywhere(work: Callable[[bool], None], cancel: Callable[[], None], count: int) -> None:
    """Run work(False) on `count - 1` pool threads and work(True) on this one; if any raises, cancel
    the rest, wait, raise the first.
    """
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools.setdefault(os.getpid(), _Pool())
    helpers = pool.grow(count - 1)
    finished = threading.Semaphore(0)
    errors: list[BaseException] = []

    def task() -> None:
        try:
            work(False)
        except BaseException as error:
            errors.append(error)
            cancel()
        finally:
            finished.release()

    started = 0
    try:
        for _ in range(helpers):
            pool.submit(task)
            started += 1
        work(True)
    except BaseException:
        cancel()
        raise
    finally:
        # Workers are joined whatever happens: they write into the caller's memory.  A second Ctrl-C
        # must not cut this short.
        interrupted: BaseException | None = None
        while started:
            try:
                finished.acquire()
                started -= 1
            except KeyboardInterrupt as error:
                interrupted = error
                cancel()
        if interrupted is not None:
            raise interrupted
    if errors:
        raise errors[0]


def run(
    jobs: Sequence[Job], threads: int | None = None, progress: Callable[[int], None] | None = None
) -> None:
    """Draw all jobs.

    Ctrl-C is seen between chunks (some milliseconds); workers are joined before it is raised.
    """
    batch = _ENGINE.Batch(jobs)
    total = batch.values
    count = globals()["threads"](threads) if total > SMALL or threads is not None else 1
    if total <= SMALL:
        batch.work(-1)
        if progress:
            progress(total)
        return

    def work(main: bool) -> None:
        if not main:
            batch.work(-1)
            return
        told = 0
        while not batch.work(16):  # returns to Python every few chunks, where signals are seen
            if progress and batch.done > told:
                progress(batch.done - told)
                told = batch.done
        main_told[0] = told

    main_told = [0]
    if count == 1:
        work(True)
    else:
        _run_everywhere(work, batch.cancel, count)
    if progress:
        progress(total - main_told[0])


def map_tasks(
    function: Callable[[Any], None], items: Iterable[Any], threads: int | None = None
) -> None:
    """Call function(item) for every item on this thread and the pool; the first error cancels what
    has not begun.
    """
    todo = iter(list(items))
    count = globals()["threads"](threads)
    lock = threading.Lock()
    cancelled = threading.Event()
    nothing = object()

    def work(main: bool) -> None:
        state = _ENGINE.enter() if _NAME == "native" and not main else None
        try:
            while not cancelled.is_set():
                with lock:
                    item = next(todo, nothing)
                if item is nothing:
                    return
                function(item)
        finally:
            if state is not None:
                _ENGINE.leave(state)

    if count == 1:
        work(True)
    else:
        _run_everywhere(work, cancelled.set, count)
