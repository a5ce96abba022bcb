"""Report the progress of long commands: a bar for people, events for programs.

With --json, a command prints one JSON object per line on stdout, and nothing else there.  Each
object has the key "event".  A program must ignore events and keys that it does not know.

    start     command, path, seed, tensors, files (a number), bytes: printed before the first byte
    progress  bytes, total, seconds, rate (bytes/s), remaining (seconds, or null): twice a second,
              and once at the end
    file      file, bytes, state: "written", "kept", "missing" or, with --dry-run, "planned"
    tensor    of verify: name, file, equal, values, different, place, expected, found, reason,
              computed;
              of --dry-run: name, file, shape, dtype, initializer, bytes
    done      the command's report: printed last, and only if the command ran to its end

An error is one line on stderr, with or without --json.  The exit status says what kind it is.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from .._core import progress as _progress

INTERVAL = 0.5  # seconds between two events


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option --json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print events for programs, one JSON object a line: start, progress, file, tensor, "
        "done",
    )


def event(kind: str, /, **content: Any) -> None:
    """Print one event."""
    import json  # takes 2 ms, which a command with a bar does not need

    content = {key: _finite(value) for key, value in content.items()}
    print(json.dumps({"event": kind, **content}), flush=True)


def _finite(value: Any) -> Any:
    """Replace infinity and NaN with their names, because JSON cannot represent them."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    return value


@contextlib.contextmanager
def progress(size: int, events: bool = False) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that a job of `size` bytes calls with the bytes done since the last call.

    The function moves a bar on a terminal, or prints events.
    """
    if not events:
        with _progress.bar(size) as advance:
            yield advance
        return
    began = last = time.perf_counter()
    done = 0

    def tell() -> None:
        seconds = time.perf_counter() - began
        rate = done / seconds if seconds else 0.0
        remaining = round((size - done) / rate, 3) if rate else None
        event(
            "progress",
            bytes=done,
            total=size,
            seconds=round(seconds, 3),
            rate=round(rate),
            remaining=remaining,
        )

    def advance_events(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.perf_counter()
        if now - last >= INTERVAL:
            last = now
            tell()

    yield advance_events
    tell()
