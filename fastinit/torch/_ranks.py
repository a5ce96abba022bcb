"""Counts the ranks of torch.distributed, and checks that they are about to draw the same values.

This module does not import torch.distributed.tensor, which takes more than a second, because a
model without DTensors does not need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .._core.stream import STREAM_VERSION


def world() -> int:
    """Return the number of ranks; 1 if torch.distributed is not in use."""
    distributed = torch.distributed
    return (
        distributed.get_world_size()
        if distributed.is_available() and distributed.is_initialized()
        else 1
    )


def rank() -> int:
    """Return the number of this rank; 0 if torch.distributed is not in use."""
    return torch.distributed.get_rank() if world() > 1 else 0


def agree(seed: int, parts: Mapping[str, str]) -> None:
    """Exchange a 16-byte digest of the seed, the stream version and `parts`.

    If a rank differs, raise an error that names the rank and what differs.
    """
    from _blake2 import blake2b

    everything = {"seed": str(seed), "stream version": str(STREAM_VERSION), **parts}

    def digest(text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    mine = digest("\0".join([f"{key}={value}" for key, value in everything.items()]))
    digests: list[Any] = [None] * world()
    torch.distributed.all_gather_object(digests, mine)
    # Take the majority digest as correct; the first one on a tie.
    right = max(digests, key=digests.count)
    differing = [rank for rank, other in enumerate(digests) if other != right]
    if not differing:
        return
    details: list[Any] = [None] * world()  # every rank sees the difference, so all take part here
    torch.distributed.all_gather_object(
        details, {key: digest(value) for key, value in everything.items()}
    )
    model = details[digests.index(right)]
    what = {
        rank: [key for key in everything if details[rank][key] != model[key]] for rank in differing
    }
    named = ", ".join([f"rank {rank} ({', '.join(keys)})" for rank, keys in what.items()])
    raise ValueError(
        f"the ranks do not agree on what to draw: {named} "
        f"{'differs' if len(differing) == 1 else 'differ'} from rank {digests.index(right)}; give "
        "every rank the same model, recipe and seed, or check=False where ranks hold different "
        "models"
    )
