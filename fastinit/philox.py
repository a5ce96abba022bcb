"""philox4x32: one block of the counter-based generator, for comparison with other libraries.

It computes in NumPy what every engine computes; fills do not use it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np

from ._core.arguments import shown


def philox4x32(
    counter: Sequence[SupportsIndex],
    key: Sequence[SupportsIndex],
) -> tuple[int, int, int, int]:
    """The four output words of Philox4x32-10, the generator under every draw.

    Block b of stream s under a seed: counter (b low, b high, s low, s high) and key (seed low, seed
    high), halves of 32 bits.

    Parameters
    ----------
    counter : sequence of int
        Four integers in [0, 2**32), least significant word first.
    key : sequence of int
        Two integers in [0, 2**32).

    Returns
    -------
    tuple of int
        Four words in [0, 2**32).

    Raises
    ------
    ValueError
        The wrong number of words, or a word outside the range.

    See Also
    --------
    new_seed : A fresh seed.

    Notes
    -----
    Algorithm of [1]_; equal to philox4x32 of Random123, std::philox4x32 of C++26, and the Philox of
    cuRAND and PyTorch.

    References
    ----------
    .. [1] Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.

    Examples
    --------
    >>> [f"{word:08x}" for word in fi.philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    from . import reference  # the native engine does without it

    low, high = _words(key, 2, "key")
    words = reference.philox4x32(
        [np.array(word, np.uint64) for word in _words(counter, 4, "counter")], (low, high)
    )
    return tuple(int(word) for word in words)  # type: ignore[return-value]


def _words(given: Sequence[SupportsIndex], count: int, what: str) -> list[int]:
    try:
        words = [operator.index(word) for word in given]
    except TypeError:
        words = []
    if len(words) != count or not all(0 <= word < 1 << 32 for word in words):
        raise ValueError(
            f"{what} must be {count} integers in [0, 2**32), least significant first, not "
            f"{shown(given)}"
        )
    return words
