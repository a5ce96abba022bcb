"""What has been written into a meta tensor: initializers of parts of it, then multiplied and
shifted.

Pure bookkeeping for _record.py: it draws nothing and calls no torch operation that has an effect.
A fill that these rules cannot follow is named as such (Unknown), never guessed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from ..typing import Sizes


class Unknown(Exception):
    """Something was done to a tensor that no initializer stands for; the text says what."""


class View(NamedTuple):
    """A view of a tensor of shape `base`: where it lies on each axis of the base, and what it looks
    like itself.
    """

    base: Sizes
    starts: Sizes  # on each axis of the base
    sizes: Sizes
    shape: Sizes  # of the view
    axes: tuple[int | None, ...]  # for each axis of the view, the base's; None for one of length 1

    @property
    def whole(self) -> bool:
        return self.sizes == self.base

    @property
    def plain(self) -> bool:
        """The base itself, axis for axis."""
        return (
            self.whole
            and self.shape == self.base
            and all(a in (i, None) for i, a in enumerate(self.axes))
        )

    @property
    def elements(self) -> int:
        return math.prod(self.sizes)

    def overlaps(self, other: View) -> bool:
        return all(
            start < there + theirs and there < start + size
            for start, size, there, theirs in zip(
                self.starts, self.sizes, other.starts, other.sizes, strict=True
            )
        )


def view_of(tensor: torch.Tensor, base: torch.Tensor, elementwise: bool = True) -> View:
    """How `tensor` lies in `base`, whose memory it shares.

    A reshaped whole counts as the whole where values are drawn each alone (`elementwise`).
    """
    shape, over = tuple(tensor.shape), tuple(base.shape)
    if (
        shape == over
        and tensor.stride() == base.stride()
        and tensor.storage_offset() == base.storage_offset()
    ):
        return View(over, (0,) * len(over), over, shape, tuple(range(len(over))))
    offset = tensor.storage_offset() - base.storage_offset()
    starts, rest, strides = [0] * len(over), int(offset), base.stride()
    for axis in sorted(range(len(over)), key=lambda axis: -strides[axis]):
        if over[axis] > 1:
            starts[axis], rest = divmod(rest, strides[axis])
    sizes = [1] * len(over)
    axes: list[int | None] = []
    for size, stride in zip(shape, tensor.stride(), strict=True):
        if size == 1:
            axes.append(None)
            continue
        match = [
            a for a in range(len(over)) if strides[a] == stride and over[a] > 1 and a not in axes
        ]
        if not match or starts[match[0]] + size > over[match[0]]:
            break
        axes.append(match[0])
        sizes[match[0]] = size
    else:
        if rest == 0 and all(
            0 <= start < max(size, 1) for start, size in zip(starts, over, strict=True)
        ):
            return View(over, tuple(starts), tuple(sizes), shape, tuple(axes))
    same = offset == 0 and tensor.numel() == base.numel()
    if elementwise and same and tensor.is_contiguous() and base.is_contiguous():
        return View(over, (0,) * len(over), over, over, tuple(range(len(over))))
    raise Unknown(
        f"a view of shape {shape} and strides {tensor.stride()}, which is no box of the tensor, "
        "was filled"
    )


class Fill(NamedTuple):
    """One initializer over one view."""

    view: View
    initializer: str
    arguments: dict[str, Any]

    def affine(self, factor: float, shift: float) -> Fill:
        """The same fill, multiplied and then shifted."""
        name, own = _affine(self.initializer, self.arguments, factor, shift)
        return Fill(self.view, name, own)


_FANNED = ("xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "variance_scaling")


def _affine(
    name: str, own: dict[str, Any], factor: float, shift: float
) -> tuple[str, dict[str, Any]]:
    if factor == 1.0 and shift == 0.0:
        return name, own
    if name == "constant":
        return name, {"value": own["value"] * factor + shift}
    if name == "uniform":
        ends = own.get("low", 0.0) * factor + shift, own.get("high", 1.0) * factor + shift
        return name, {"low": min(ends), "high": max(ends)}
    if name == "normal":
        return name, {
            "mean": own.get("mean", 0.0) * factor + shift,
            "std": own.get("std", 1.0) * abs(factor),
        }
    if name == "truncated_normal" and own.get("bounds") == "absolute":
        ends = own["low"] * factor + shift, own["high"] * factor + shift
        mean, std = own.get("mean", 0.0) * factor + shift, own.get("std", 1.0) * abs(factor)
        return name, {
            "mean": mean,
            "std": std,
            "low": min(ends),
            "high": max(ends),
            "bounds": "absolute",
        }
    if shift == 0.0:
        if name.startswith("xavier"):
            return name, {**own, "gain": own.get("gain", 1.0) * abs(factor)}
        if name.startswith("he_"):
            slope = own.get("negative_slope", 0.0)
            scale = 2.0 / (1.0 + slope * slope) * factor * factor
            own = {
                "scale": scale,
                "mode": own.get("mode", "fan_in"),
                "distribution": name.removeprefix("he_"),
            }
            return "variance_scaling", own
        if name == "variance_scaling":
            return name, {**own, "scale": own["scale"] * factor * factor}
        if name == "orthogonal":
            return name, {**own, "gain": own.get("gain", 1.0) * abs(factor)}
        if name == "eye":
            return name, {**own, "gain": own.get("gain", 1.0) * factor}
        if name == "sparse":
            return name, {**own, "std": own.get("std", 0.01) * abs(factor)}
    raise Unknown(f"it was multiplied by {factor!r} and shifted by {shift!r} after a {name} fill")


class Contents:
    """The fills of one meta tensor, in order; a later one counts where they overlap."""

    def __init__(self, base: torch.Tensor):
        self.base = base
        self.fills: list[Fill] = []
        self.literal: torch.Tensor | None = None  # values that the module's code computed by itself
        self.replay: Any = (
            None  # a _replay.Replay: operations of the module's code, with draws, to be run again
        )
        self.unknown: str | None = None
        self.writes = 0  # by reset_parameters of all modules
        self.failed = False  # whether code that should have written it has failed
        self.foreign = False  # whether `base` is only a part of its memory

    @property
    def untouched(self) -> bool:
        return (
            not self.fills and self.literal is None and self.replay is None and self.unknown is None
        )

    def fill(self, tensor: torch.Tensor, initializer: str, arguments: dict[str, Any]) -> None:
        if self.foreign:
            raise Unknown("a part of a tensor that was made elsewhere was filled")
        elementwise = initializer in ("constant", "uniform", "normal", "truncated_normal")
        fill = Fill(view_of(tensor, self.base, elementwise), initializer, arguments)
        if fill.view.whole:
            self.fills, self.literal, self.unknown, self.failed = [fill], None, None, False
        else:
            if self.literal is not None:
                raise Unknown("a part of it was filled after its values had been computed")
            self.fills = [other for other in self.fills if not _covers(fill.view, other.view)] + [
                fill
            ]

    def change(self, tensor: torch.Tensor, factor: float, shift: float) -> None:
        view = view_of(tensor, self.base)
        if self.literal is not None:
            raise Unknown("its computed values were changed in place")
        touched = [fill for fill in self.fills if fill.view.overlaps(view)]
        if not touched or not all(_covers(view, fill.view) for fill in touched):
            raise Unknown("a part of it that no fill stands for was changed in place")
        self.fills = [
            fill.affine(factor, shift) if fill in touched else fill for fill in self.fills
        ]

    def clamp(self, tensor: torch.Tensor, low: float, high: float) -> None:
        """Only a clamp that changes nothing can be followed: the bounds of a truncated normal, or
        wider.
        """
        for fill in self.fills:
            own = fill.arguments
            bounded = (
                fill.initializer in ("truncated_normal", "uniform") and own.get("bounds") != "sigma"
            )
            slack = 1e-5 * (abs(own.get("low", 0.0)) + abs(own.get("high", 1.0)))
            if (
                not bounded
                or own.get("low", 0.0) < low - slack
                or own.get("high", 1.0) > high + slack
            ):
                raise Unknown(
                    f"it was clamped to [{low!r}, {high!r}] after a {fill.initializer} fill"
                )

    def copy(self, tensor: torch.Tensor, source: Contents, taken: torch.Tensor) -> None:
        """The whole of `source` copied into the whole of this tensor."""
        if (
            not (view_of(tensor, self.base).plain and view_of(taken, source.base).plain)
            or tensor.shape != taken.shape
        ):
            raise Unknown("it was copied from a part of another tensor, or into a part")
        self.fills, self.literal, self.unknown = list(source.fills), source.literal, source.unknown

    def followed_by(self, later: Contents | None) -> Contents:
        """What is there when the later writes come on top."""
        if later is None:
            return self
        if later.complete or later.unknown is not None:
            return later
        both = Contents(self.base)
        both.fills = [*self.fills, *later.fills]
        both.unknown, both.foreign = self.unknown, self.foreign
        if self.literal is not None or self.replay is not None:
            both.unknown = "a part of it was filled after its values had been computed"
        return both

    @property
    def complete(self) -> bool:
        """Whether every element has been written."""
        if self.unknown is not None or self.foreign or self.untouched:
            return False
        if (
            self.literal is not None
            or self.replay is not None
            or any(fill.view.whole for fill in self.fills)
        ):
            return True
        apart: list[View] = []
        for fill in self.fills:
            if not any(fill.view.overlaps(other) for other in apart):
                apart.append(fill.view)
        return sum([view.elements for view in apart]) == self.base.numel()


def _covers(view: View, other: View) -> bool:
    return all(
        start <= there and there + theirs <= start + size
        for start, size, there, theirs in zip(
            view.starts, view.sizes, other.starts, other.sizes, strict=True
        )
    )
