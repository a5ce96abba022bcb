"""Checks of arguments that several initializers share.

It knows no initializer; an argument that is a real number is draws.real's.
"""

from __future__ import annotations

import operator
from typing import Any


def whole(value: Any, what: str, least: int = 1) -> int:
    """A whole number of at least `least`; booleans and fractions are refused."""
    if type(value).__name__ in ("bool", "bool_") or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be a whole number, not {type(value).__name__} {value!r:.80}")
    value = operator.index(value)
    if value < least:
        raise ValueError(f"{what} is {value}; it must be at least {least}")
    return value
