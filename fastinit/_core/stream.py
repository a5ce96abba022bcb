"""The promise: which seed, which stream and which plane a value is drawn from (sections 1 and 7 of
stream-v1.md).

Every random number is a function of (seed, stream id, plane, index).  Only this file turns the
user's input into the first three.  It may not draw, allocate or know a shape.  reference.py and
src/kernel/ generate the random words.
"""

import os

# Not hashlib: importing that costs 20 ms (OpenSSL), and _blake2 is the same function without it.
from _blake2 import blake2b

from .arguments import integer, shown

STREAM_VERSION = 1

# The top byte of the 64-bit block counter.  A new use first needs a row in the contract, section 7.
PLANE_VALUES = 0
PLANE_SPARSE = 1
PLANE_PROJECTION = 2

# Reflectors applied together (section 8).  Here because _jit, which must not depend on _orthogonal,
# needs it as well.
ORTHOGONAL_BLOCK = 64

_WORD64 = (1 << 64) - 1


def _unsigned64(number: object, what: str, instead: str) -> int:
    """`number` as an int in [0, 2^64)."""
    if type(number) is not int:
        number = integer(number, what, "; " + instead)
    if not 0 <= number <= _WORD64:
        raise ValueError(f"{what} {shown(number)} is outside [0, 2**64); {instead}")
    return number


def check_seed(seed: object) -> int:
    """The seed as an int in [0, 2^64); `None` draws a new one from the operating system."""
    if seed is None:
        return new_seed()
    return _unsigned64(seed, "seed", "give an integer in [0, 2**64), or None to draw a new seed")


def new_seed() -> int:
    """A fresh seed, a uniform integer in [0, 2^64), from the operating system's entropy.

    Returns
    -------
    int
        Pass it on as ``seed=`` and keep it: with it every value can be drawn again.

    Examples
    --------
    >>> 0 <= fi.new_seed() < 2**64
    True
    """
    return int.from_bytes(os.urandom(8), "little")


def stream_id(name: object) -> int:
    """The 64-bit stream of a tensor's name: None is 0, an integer is itself, a str is hashed as its
    UTF-8 bytes.
    """
    if name is None:
        return 0
    if isinstance(name, str):
        try:
            raw = name.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(
                f"name {shown(name)} holds a lone surrogate, which has no UTF-8 form; "
                "give a name of valid Unicode text, or an integer stream id"
            ) from None
        return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")
    return _unsigned64(name, "name", "give a str, an integer stream id in [0, 2**64), or None")
