"""Checks of arguments that several functions share: whole and real numbers, choices, layouts, and
the hint in an error.

It knows no initializer, no dtype and no shape.  Every message names the argument, shows at most 80
characters of what was given, and says what is allowed.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable
from typing import Any

_BOOLEANS = ("bool", "bool_")  # Python's and, by its newer and older name, NumPy's
_SHOWN = 80  # characters of a value in a message
_LONGEST_PATH = 4096  # bytes of a path: Linux's limit, and more than others allow
_MOST = 1 << 63  # larger than any possible count or size
_NEAR = 0.6  # difflib's ratio: 'bf16' is near 'bfloat16' (0.67), 'foo' is not near 'bool' (0.57)


def shown(value: Any) -> str:
    """At most 80 characters of repr(value), for an error message; it never raises.

    A text that is cut keeps its closing quote, and "…" follows it.
    """
    if isinstance(value, int) and not -(1 << 255) < value < 1 << 255:
        # repr() raises ValueError from 4,300 digits on.
        sign = "negative " if value < 0 else ""
        return f"a {sign}whole number of {int(value).bit_length()} bits"
    is_text = isinstance(value, (str, bytes, bytearray))
    try:
        text = repr(value[:_SHOWN] if is_text else value)
        if is_text and len(text) > _SHOWN:
            # An escape such as \n is longer than its character, so only a try shows what fits.
            for size in range(_SHOWN, -1, -1):
                if len(cut := repr(value[:size])) < _SHOWN:
                    return f"{cut}…"
        return text[:_SHOWN]
    except Exception:  # a nested integer with too many digits, or a __repr__ that fails
        return f"<{type(value).__name__}>"


def described(value: Any) -> str:
    """The type and the value, as messages about a wrong type show them."""
    return f"{type(value).__name__} {shown(value)}"


def path_text(value: Any, what: str = "path") -> str:
    """A path as text; raises if no file can have this path; the message shows a shortened path."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{what} must be a str, bytes or os.PathLike, not {described(value)}")
    text = os.fsdecode(value)
    if "\0" in text:
        raise ValueError(f"{what} {shown(text)} holds a NUL character, which no path may")
    try:
        size = len(os.fsencode(text))
    except UnicodeEncodeError:
        raise ValueError(
            f"{what} {shown(text)} holds a character that has no form in a file's name here"
        ) from None
    if size > _LONGEST_PATH:
        raise ValueError(
            f"{what} {shown(text)} has {size} bytes; no path has more than {_LONGEST_PATH}"
        )
    return text


def shown_path(path: str) -> str:
    """A path as messages show it: a long path is cut to its start and its end."""
    text = repr(path)
    return text if len(text) <= 200 else f"{text[:60]}…{text[-120:]}"


def said(error: Exception) -> str:
    """A parser's error message, cut to at most 200 characters."""
    text = str(error)
    if "integer string conversion" in text:
        return "a whole number has more digits than Python reads, 4,300"
    return text[:200]


def is_boolean(value: Any) -> bool:
    """Whether a value is a Python or NumPy bool; one that is passed as a number is a mistake."""
    return type(value).__name__ in _BOOLEANS


def integer(value: Any, what: str, advice: str = "") -> int:
    """A whole number; a boolean or a fraction raises a TypeError that ends with the advice."""
    if type(value) is int:
        return value
    if not is_boolean(value):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{what} must be an integer, not {described(value)}{advice}")


def whole(value: Any, what: str, least: int = 1) -> int:
    """A whole number of at least `least` and below 2**63, so that a double holds it."""
    number = integer(value, what)
    if number >= _MOST:
        raise ValueError(f"{what} is {shown(number)}; it must be below 2**63")
    if number < least:
        raise ValueError(f"{what} is {shown(number)}; it must be at least {least}")
    return number


def double(value: Any, what: str) -> float:
    """A real number as a double, possibly infinite or nan; a boolean, text or complex number
    raises a TypeError.
    """
    if type(value) is float:
        return value
    if not is_boolean(value) and not isinstance(value, (str, bytes, bytearray)):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{what} is beyond the range of a double; it must be finite") from None
        except (TypeError, ValueError):
            pass
    raise TypeError(f"{what} must be a real number, not {described(value)}")


def real(value: Any, what: str) -> float:
    """A finite real number as a double, -0.0 as +0.0."""
    value = double(value, what)
    if not math.isfinite(value):
        raise ValueError(f"{what} is {value}; it must be finite")
    return value + 0.0  # type: ignore[no-any-return]  # bits: -0.0 + 0.0 is +0.0


def positive(value: Any, what: str) -> float:
    """A finite real number above 0."""
    value = real(value, what)
    if not value > 0.0:
        raise ValueError(f"{what} is {value!r}; it must be > 0")
    return value  # type: ignore[no-any-return]


def bound(value: Any, what: str) -> float:
    """A bound as a double, -0.0 as +0.0; an infinite value means no bound on that side."""
    value = double(value, what)
    if math.isnan(value):
        raise ValueError(f"{what} is nan; give a number, or an infinity for no bound")
    return value + 0.0  # type: ignore[no-any-return]


def check_progress(value: Any) -> None:
    """Raise TypeError unless the value is a function or None."""
    if value is not None and not callable(value):
        raise TypeError(f"progress must be a function of a number, not {described(value)}")


def nearest(given: Any, known: Iterable[str]) -> str:
    """ "did you mean 'x'?" if a known name is close to the given one, else an empty string."""
    from difflib import get_close_matches  # on demand: needed only for an error

    if not isinstance(given, str) or len(given) > _SHOWN:
        return ""
    by_case = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), by_case, 1, _NEAR)
    return f"did you mean {by_case[near[0]]!r}?" if near else ""


def choice(value: Any, what: str, allowed: Iterable[str]) -> None:
    """Raise ValueError unless the value is one of the allowed names."""
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        hint = nearest(value, allowed)
        raise ValueError(
            f"{what} is {shown(value)}; {hint + ' ' if hint else ''}give one of "
            f"{', '.join(map(repr, allowed))}"
        )


def channel_layout(layout: Any, what: str) -> None:
    """Raise ValueError unless the layout is 'oi' or 'io'; `what` is the function that needs it."""
    if not isinstance(layout, str) or layout not in ("oi", "io"):
        raise ValueError(
            f"layout is {shown(layout)}; {what} takes 'oi' (out, in, *kernel) or 'io' (*kernel, "
            "in, out)"
        )
