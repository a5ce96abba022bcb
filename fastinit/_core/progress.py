"""One bar over bytes with rate and remaining time: on a terminal, and silent anywhere else.

What runs for long takes a callable that is called with the bytes done since the last call; this is
the one for people.  Events for programs: ../cli/progress.py.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def bar(size: int) -> Iterator[Callable[[float], Any] | None]:
    """A bar over so many bytes on stderr; None where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # 30 ms: not for those who see no bar

    tqdm.monitor_interval = 0  # or tqdm would start a thread
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, file=sys.stderr) as shown:
        yield shown.update
