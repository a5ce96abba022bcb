"""The progress bar of commands that run for long."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(size: int) -> Iterator[Callable[[int], None] | None]:
    """A bar over so many bytes on a terminal, nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # 30 ms: not for those who see no bar

    tqdm.monitor_interval = 0  # or tqdm would start a thread
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield bar.update
