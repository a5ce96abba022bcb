"""Signals while several threads fill: their handlers run at once, but what a handler raises waits
until the threads are done.

Python may raise KeyboardInterrupt between any two steps of Python code.  That includes the steps
that wait for the workers and the exit from them.  The caller would then get its memory back while a
worker still writes into it.  Only the main thread runs handlers, so other threads need no action.
"""

from __future__ import annotations

import _signal
import _thread
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")

# Signals that a handler may turn into an exception: interrupt, termination, timeout.
NUMBERS = tuple(
    [
        number
        for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2")
        if (number := getattr(_signal, name, None)) is not None
    ]
)


class Gate:
    """Holds back what handlers raise, from close() to open().

    Each error goes into `errors`, and `cancel` is called.
    """

    def __init__(self, errors: list[BaseException], cancel: Callable[[], None]) -> None:
        self.errors, self.cancel = errors, cancel
        self.closed = False
        self._installed: list[tuple[int, _Handler]] = []

    def close(self) -> None:
        """Wrap each handler that is Python code.  The wrappers have no effect before the last line,
        so an error raised here leaves nothing behind that matters.
        """
        if _thread.get_ident() != threading.main_thread().ident:
            return
        for number in NUMBERS:
            before: Any = _signal.getsignal(number)
            while isinstance(before, _Handler) and not before.gate.closed:
                before = before.before  # an interrupt kept open() from its end
            if callable(before):
                handler = _Handler(self, before)
                try:
                    _signal.signal(number, handler)
                except ValueError:  # another interpreter's main thread
                    return
                self._installed.append((number, handler))
        self.closed = True

    def open(self) -> None:
        """Restore the handlers, except one that was replaced meanwhile."""
        self.closed = False
        installed, self._installed = self._installed, []  # no cycle keeps the caller's memory
        for number, handler in installed:
            if _signal.getsignal(number) is handler:
                _signal.signal(number, handler.before)


def undisturbed(action: Callable[[], Result]) -> Result:
    """Return action(); what handlers raise meanwhile is raised after it.

    For steps that an exception must not split, such as opening a file and keeping its number, or
    importing numba: Python forgets a package whose import was interrupted, but not its parts, and
    then some packages cannot be imported again.
    """
    errors: list[BaseException] = []
    gate = Gate(errors, lambda: None)
    gate.close()
    try:
        result = action()
    finally:
        gate.open()
    if errors:
        raise errors[0]
    return result


class _Handler:
    def __init__(self, gate: Gate, before: Callable[..., Any]) -> None:
        self.gate, self.before = gate, before

    def __call__(self, number: int, frame: Any) -> None:
        if not self.gate.closed:
            self.before(number, frame)
            return
        try:
            self.before(number, frame)
        except BaseException as error:
            self.gate.errors.append(error)
            self.gate.cancel()
