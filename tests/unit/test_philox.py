"""philox4x32 is the published function."""

import numpy as np
import pytest

import fastinit as fi

# Known answers of Random123's kat_vectors: counter, key, words.
PHILOX = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("counter, key, words", PHILOX)
def test_philox_gives_the_published_words(counter, key, words):
    assert fi.philox4x32(counter, key) == words
    assert fi.philox4x32(np.array(counter, np.uint32), list(key)) == words
    assert all(type(word) is int for word in fi.philox4x32(counter, key))


@pytest.mark.parametrize(
    "counter, key",
    [
        ((0, 0, 0), (0, 0)),
        ((0, 0, 0, 2**32), (0, 0)),
        ((0, 0, 0, -1), (0, 0)),
        ((0, 0, 0, 0), (0,)),
        ((0, 0, 0, 0), (0, 2**32)),
        ((0, 0, 0, 0.0), (0, 0)),
        (0, (0, 0)),
        ("0000", (0, 0)),
    ],
)
def test_philox_refuses_other_counters_and_keys(counter, key):
    with pytest.raises(ValueError, match="must be . integers in"):
        fi.philox4x32(counter, key)
