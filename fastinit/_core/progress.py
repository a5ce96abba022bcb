"""A progress bar over bytes with rate and remaining time; shown only on a terminal.

Long-running functions take a callable and call it with the bytes done since the last call, by
one_at_a_time().  bar() is the callable for people.  ../cli/progress.py has events for programs.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .arguments import check_progress


@contextlib.contextmanager
def bar(size: int) -> Iterator[Callable[[float], Any] | None]:
    """A bar over `size` bytes on stderr; None if stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # takes 30 ms, so only when a bar is shown

    tqdm.monitor_interval = 0  # otherwise tqdm starts a thread
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, file=sys.stderr) as shown:
        yield shown.update


def one_at_a_time(progress: Callable[[int], None] | None) -> Callable[[int], None]:
    """A function that any thread may call; it calls `progress`, if given, one call at a time."""
    check_progress(progress)
    lock = threading.Lock()

    def advance(count: int) -> None:
        if progress is not None:
            with lock:
                progress(count)

    return advance
