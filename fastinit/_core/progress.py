"""A progress bar over bytes with rate and remaining time; shown only on a terminal.

Long-running functions take a callable and call it with the bytes done since the last call.  This
module provides the callable for people.  ../cli/progress.py has events for programs.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


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
