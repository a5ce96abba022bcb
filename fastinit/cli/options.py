"""Options that several commands share, and functions for argparse's parameter `type`.

Each of these functions converts the text of an option to a value, or raises an error that says what
is allowed.
"""

from __future__ import annotations

import argparse
import math
import re

from .._core.arguments import shown


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the option --threads."""
    parser.add_argument(
        "--threads", type=whole, help="the default is all CPUs that this process may use"
    )


def add_number(parser: argparse.ArgumentParser, option: str, default: int, what: str) -> None:
    """Add an option that takes a whole number and has a default."""
    parser.add_argument(
        option, type=whole, default=default, metavar="N", help=f"{what} (default: {default})"
    )


def seed(text: str) -> int:
    """Parse a seed, decimal or hexadecimal (0x...)."""
    try:
        value = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not an integer in [0, 2**64)")
    return value


def whole(text: str) -> int:
    """Parse a whole number, at least 0."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number below 10**18")
    return int(text)


def rate(text: str) -> float:
    """Parse a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a finite number above 0")
    return value


def share(text: str) -> float:
    """Parse a share in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a share in (0, 1]")
    return value


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}I": 1 << 10 * power for power, unit in enumerate("KMGT", 1)}


def size(text: str) -> int:
    """Parse a number of bytes, with or without a unit."""
    found = re.fullmatch(r"([0-9]{1,18})([KMGT]?I?)B?", text.upper())
    value = int(found.group(1)) * _UNITS.get(found.group(2), 0) if found else 0
    if not value:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a size of at least 1 byte, such as 500MB, 5GB or 2GiB"
        )
    return value
