"""Which engine draws, on how many threads, under which floating-point state.

A Job is one draw into one array; run() draws many jobs as one batch.  Both engines
(fastinit._native, fastinit.reference) offer the same class Batch.  This module does not know
initializers, names or shape rules: see draws.py and shapes.py.
"""

from __future__ import annotations

import _thread
import functools
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from ..typing import Array
from . import forks, signals
from .arguments import shown, whole
from .jobs import Job

# Values per chunk; one thread draws one chunk at a time (CHUNK of src/_native.pyx).  For less than
# a chunk, waking another thread costs more than it saves.
CHUNK = 1 << 18
MOST_THREADS = 1024

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


# --------------------------------------------------------------------------------------- the engine


def _choose() -> tuple[str, Any]:
    wanted = os.environ.get("FASTINIT_ENGINE", "")
    if wanted not in ("", "native", "reference"):
        raise ImportError(
            f"FASTINIT_ENGINE is {shown(wanted)}; it may be 'native' or 'reference', or unset"
        )
    if wanted != "reference":
        try:
            # Not "from . import", which raises the same ImportError for a missing submodule as for
            # a broken one.
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
forks.install()


def name() -> str:
    """'native' or 'reference'."""
    return _NAME


def isa() -> str:
    """The instruction set that draws: 'scalar', 'sse2', 'avx2', 'avx512', 'neon', or 'numpy' for
    the reference engine.
    """
    return _ENGINE.isa() if _NAME == "native" else "numpy"


def isas() -> tuple[str, ...]:
    """The instruction sets that this machine has; FASTINIT_ISA chooses one."""
    return _ENGINE.isas() if _NAME == "native" else ("numpy",)


# ------------------------------------------------------------------------- the floating-point state


def _probe() -> None:
    """Raise FloatingPointError if this thread's floating-point state would change bits."""
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


# enter() sets round-to-nearest, no flush to zero and masked exceptions for this thread, and returns
# what leave() needs to restore the caller's state.  Without the native engine the state cannot be
# set, so enter() only checks it.
enter: Callable[[], Any]
leave: Callable[[Any], None]
if _NAME == "native":
    enter, leave = _ENGINE.enter, _ENGINE.leave
else:
    enter, leave = _probe, lambda state: None


def guarded(function: F) -> F:
    """Run the whole call between enter() and leave().

    For functions that compute with floats outside fill.apply, which guards itself.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        state = enter()
        try:
            return function(*args, **kwargs)
        finally:
            leave(state)

    return call  # type: ignore[return-value]


# ---------------------------------------------------------------------- a pass over what is there


@functools.cache
def _scanner() -> Any:
    """The native pass, or NumPy's if the native one fails its test."""
    if _NAME == "native" and _ENGINE.scans_agree():
        return _ENGINE
    return importlib.import_module("fastinit.reference.scan")


def scan(
    values: Array, code: int, start: int, width: int, table: Array, rows: Array, columns: Array
) -> tuple[Any, ...]:
    """Count and measure a chunk of a tensor: ../reference/scan.py says how."""
    return _scanner().scan(values, code, start, width, table, rows, columns)  # type: ignore[no-any-return]


def digest(values: Array, page: int, pages: Array) -> int:
    """A digest of the bytes and their positions; stores the digest of each page in `pages`."""
    return _scanner().digest(values, page, pages)  # type: ignore[no-any-return]


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
        for depth in range(len(parts), -1, -1):  # a parent's limit applies too
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


def thread_count(threads: int | None = None) -> int:
    """The number of threads to use: `threads`, else FASTINIT_NUM_THREADS, else min(affinity, cgroup
    quota).
    """
    if threads is not None:
        return min(whole(threads, "threads"), MOST_THREADS)
    text = os.environ.get("FASTINIT_NUM_THREADS", "")
    if not text:
        return _available(os.getpid())
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdigit() and digits):
        raise ValueError(
            f"FASTINIT_NUM_THREADS is {shown(text)}; it must be a whole number of at least 1, or "
            "unset"
        )
    return min(int(digits[:5]), MOST_THREADS)


class _Pool:
    """Threads that run the tasks of one queue.

    They are started with _thread instead of threading.  Thread.start waits in Python code, where a
    Ctrl-C can leave a broken lock.  Also, a live pool must not delay the interpreter's exit.
    """

    def __init__(self) -> None:
        from _queue import SimpleQueue

        self._queue: Any = SimpleQueue()
        self._count = 0
        self._lock = threading.Lock()

    def _serve(self) -> None:
        while True:
            self._queue.get()()

    def grow(self, count: int) -> int:
        """Start threads up to `count`, or as many as the system allows; return their number, which
        is at most `count`.
        """
        with self._lock:
            while self._count < count:
                try:
                    _thread.start_new_thread(self._serve, ())
                except RuntimeError:  # "can't start new thread": fewer threads, same bits
                    break
                self._count += 1
            return min(count, self._count)

    def submit(self, task: Callable[[], None]) -> None:
        self._queue.put(task)


# By process id: a forked child does not inherit its parent's threads and must start new ones.
_pools: dict[int, _Pool] = {}


class _Team:
    """One piece of work shared by this thread and helpers of the pool.

    Each helper records that it began and that it ended, and this thread waits until the two counts
    are equal.  An exception at any moment can lose a wake-up but never a count.  So the wait cannot
    hang, and it cannot end while a helper still writes into the caller's memory.  signals.py holds
    back exceptions from signal handlers.  A helper that begins after this thread has left finds
    nothing to do: the work is finished or cancelled by then.
    """

    def __init__(self, work: Callable[[], object], cancel: Callable[[], None]) -> None:
        from _queue import SimpleQueue

        self._work, self._cancel = [work], cancel
        self._began: list[None] = []
        self._ended: list[None] = []
        self._wake: Any = SimpleQueue()
        self.errors: list[BaseException] = []

    def help(self) -> None:
        """The function that a thread of the pool runs."""
        self._began.append(None)
        try:
            self._do()
        except BaseException as error:
            self.errors.append(error)
            self._cancel()
        finally:
            self._ended.append(None)
            self._wake.put(None)

    def _do(self) -> None:
        """Do the work in a separate frame, so that its references to the caller's memory are
        released before the end is recorded.
        """
        for work in self._work.copy():
            work()

    def join(self) -> None:
        """Wait for the helpers that began; an interrupt cancels the other work, not the wait."""
        while True:
            try:
                if self.errors:
                    self._cancel()
                # This order counts a helper that begins between the two reads.
                while len(self._ended) < len(self._began):
                    self._wake.get()
                self._work.clear()  # a late helper must not hold the caller's memory
                return
            except BaseException as error:
                self.errors.append(error)


def _run_everywhere(
    here: Callable[[], object],
    elsewhere: Callable[[], object],
    cancel: Callable[[], None],
    count: int,
) -> None:
    """Run here() on this thread and elsewhere() on `count - 1` threads of the pool.

    If any of them raises, cancel the rest, wait, and raise the first error.
    """
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools.setdefault(os.getpid(), _Pool())
    team = _Team(elsewhere, cancel)
    gate = signals.Gate(team.errors, cancel)
    gate.close()
    try:
        try:
            for _ in range(pool.grow(count - 1)):
                pool.submit(team.help)
            here()
        except BaseException as error:
            team.errors.append(error)
            cancel()
        team.join()
    except BaseException as error:  # raised from outside between the lines above
        team.errors.append(error)
        team.join()
    finally:
        gate.open()
    if team.errors:
        try:
            raise team.errors[0]
        finally:
            # Otherwise the error and its traceback keep each other and the caller's memory alive.
            del team, gate


def run(
    jobs: Sequence[Job], threads: int | None = None, progress: Callable[[int], None] | None = None
) -> None:
    """Draw all jobs.

    Ctrl-C is seen between chunks (some milliseconds); workers are joined before it is raised.  Jobs
    into a GPU's memory (CudaViews) are launched there and not waited for.
    """
    for job in jobs:
        if job.out.__class__ is not np.ndarray:
            jobs = _run_on_gpus(jobs, progress)
            if not jobs:
                return
            break
    batch = _ENGINE.Batch(jobs)
    total = batch.values
    if threads is not None:
        threads = thread_count(threads)
    if total <= CHUNK:
        batch.work(-1)
        if progress:
            progress(total)
        return
    reported = 0

    def here() -> None:
        nonlocal reported
        while not batch.work(16):  # returns to Python every few chunks, where signals are seen
            if progress and batch.done > reported:
                done = batch.done
                progress(done - reported)
                reported = done

    count = thread_count() if threads is None else threads
    if count > 1:
        count = min(count, sum([-(-job.out.size // CHUNK) for job in jobs]))
    if count == 1:
        here()
    else:
        _run_everywhere(here, functools.partial(batch.work, -1), batch.cancel, count)
    if progress:
        progress(total - reported)


def _run_on_gpus(jobs: Sequence[Job], progress: Callable[[int], None] | None) -> list[Job]:
    """Launch the jobs whose memory is on a GPU, and return the others."""
    from .._cuda import device

    here = [job for job in jobs if job.out.__class__ is np.ndarray]
    there = [job for job in jobs if job.out.__class__ is not np.ndarray]
    device.draw(there, run)
    if progress:
        progress(sum([job.out.size for job in there]))
    return here


def check_through_host(view: Array) -> None:
    """Raise what through_host() would raise for this memory of a GPU; nothing is written."""
    from .._cuda import device

    device.device(view.ordinal, run).check_copies(view.stream)  # type: ignore[attr-defined]


def through_host(view: Array, write: Callable[[Array], None]) -> None:
    """Let `write` fill bits in memory of the CPU, in C order, and copy them to a GPU."""
    from .._cuda import device

    values = np.empty(view.shape, view.dtype)
    write(values)
    device.copy(values, view, run)


_drawing: dict[int, Any] = {}  # the GPUs that gpu() found; it is called for every small tensor


def gpu(ordinal: int) -> Any:
    """The GPU object of _cuda/device.py, or None if it cannot draw; a warning said why, once."""
    found = _drawing.get(ordinal)
    if found is None:
        from .._cuda import device

        found = device.ready(ordinal, run)
        if found is not None:
            _drawing[ordinal] = found
    return found


def gpus() -> dict[str, str]:
    """Each GPU that was filled so far: its name, and the kernels that are refused on it."""
    module = sys.modules.get("fastinit._cuda.device")
    return module.describe() if module is not None else {}


def map_tasks(
    function: Callable[[T], object], items: Iterable[T], threads: int | None = None
) -> None:
    """Call function(item) for every item on this thread and the pool; the first error cancels the
    items that have not begun.

    The items may be a generator.  Each thread takes an item under a lock whenever it is free.
    """
    source = iter(items)
    first = list(islice(source, thread_count(threads)))
    todo = chain(first, source)
    lock = threading.Lock()
    cancelled: list[bool] = []
    nothing: Any = object()

    @np.errstate(all="ignore")  # pool threads start with NumPy's default, which warns
    def work() -> None:
        state = enter()
        try:
            while not cancelled:
                with lock:
                    item = next(todo, nothing)
                if item is nothing:
                    return
                function(item)
        finally:
            leave(state)

    if len(first) < 2:
        work()
    else:
        _run_everywhere(work, work, functools.partial(cancelled.append, True), len(first))
