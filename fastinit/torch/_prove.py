"""Proves that a parameter's values are draws or constants, each over the whole tensor or over a box
of it, possibly scaled.

The proof lets a shard draw only its own part, and lets a report give one façade call for the
parameter.  prove() reads the operations that the parameter depends on (_log.py).  It follows the
few operations that it models exactly.  It gives up at any other operation, and the operations are
then run again (_replay.py).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from .._core.dtypes import encode
from . import _replay
from ._log import Box, Operation, Ref
from ._memory import DTYPES


class Unknown(Exception):
    """The code did something that no initializer describes; the message says what."""


class View(NamedTuple):
    """A view of a tensor of shape `base`: its box on the base's axes, its shape and its axes."""

    base: tuple[int, ...]
    starts: tuple[int, ...]  # on each axis of the base
    sizes: tuple[int, ...]
    shape: tuple[int, ...]  # of the view
    axes: tuple[int | None, ...]  # the base's axis for each view axis; None if its length is 1

    @property
    def whole(self) -> bool:
        return self.sizes == self.base

    @property
    def plain(self) -> bool:
        """Whether the view is the base itself, with the same axes in the same order."""
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


def view_of(part: Ref, base: Ref, elementwise: bool = True) -> View:
    """Locate one view of a memory inside another.

    If each value is drawn independently (`elementwise`), a reshaped view of everything counts as
    the whole.
    """
    over, strides = base.size, base.stride
    if part.dtype != base.dtype or any(part.lazy) or any(base.lazy):
        raise Unknown("its memory was seen as numbers of another kind")
    if part[1:4] == base[1:4]:
        return View(over, (0,) * len(over), over, part.size, tuple(range(len(over))))
    starts, rest = [0] * len(over), part.offset - base.offset
    for axis in sorted(range(len(over)), key=lambda axis: -strides[axis]):
        if over[axis] > 1 and strides[axis]:
            starts[axis], rest = divmod(rest, strides[axis])
    sizes = [1] * len(over)
    axes: list[int | None] = []
    for size, stride in zip(part.size, part.stride, strict=True):
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
            return View(over, tuple(starts), tuple(sizes), part.size, tuple(axes))
    same = part.offset == base.offset and part.elements == base.elements
    if elementwise and same and contiguous(part) and contiguous(base):
        return View(over, (0,) * len(over), over, over, tuple(range(len(over))))
    raise Unknown(f"a view of shape {part.size} and strides {part.stride} was filled")


def contiguous(ref: Ref) -> bool:
    step = 1
    for size, stride in zip(reversed(ref.size), reversed(ref.stride), strict=True):
        if size != 1 and stride != step:
            return False
        step *= size
    return True


class Fill(NamedTuple):
    """One initializer over one view."""

    view: View
    initializer: str
    arguments: dict[str, Any]
    draw: int | None = None  # the log number of the operation that draws it
    changes: int = 0  # how often it was multiplied or shifted since it was drawn

    def changed(self, step: Step, dtype: torch.dtype) -> Fill:
        """Return the same fill after one operation of arithmetic, in the memory's dtype."""
        if self.initializer == "constant":
            value = _constant(step.of(_scalar(self.arguments["value"], dtype)))
            return self._replace(arguments={"value": value})
        factor, shift = step.factor, step.shift
        if factor == 1.0 and shift == 0.0:
            return self
        self._check_digits(factor, shift, dtype)
        name, own = _affine(self.initializer, self.arguments, factor, shift)
        return Fill(self.view, name, own, self.draw, self.changes + 1)

    def _check_digits(self, factor: float, shift: float, dtype: torch.dtype) -> None:
        """Refuse a change after which code's values have lost digits that a scaled draw has.

        Every change rounds.  In float32 that is far below what anyone can see, unless a value
        overflows, underflows, or loses its digits to a large shift that is taken back.  A dtype of
        two bytes or one stands a single change.
        """
        most = 1 if dtype.itemsize < 4 or self.initializer == "eye" else 4
        if self.changes >= most or not 1e-8 <= factor <= 1e8:
            raise Unknown(f"it was multiplied by {factor!r} after {self.changes} other changes")
        own = self.arguments
        if self.initializer == "uniform":
            ends = own.get("low", 0.0), own.get("high", 1.0)
            center, spread = (ends[0] + ends[1]) / 2.0, ends[1] - ends[0]
        else:
            center, spread = own.get("mean", 0.0), own.get("std", 1.0)
        after, digit = center * factor + shift, torch.finfo(dtype).eps
        if shift and (abs(center) > 8.0 * spread or 64.0 * digit * abs(after) > spread * factor):
            raise Unknown(f"it was shifted by {shift!r}, which leaves few digits of the draw")


class Step(NamedTuple):
    """An operation of arithmetic between a tensor and a number."""

    name: str
    number: float

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Do the operation, with torch's rounding."""
        if self.name == "neg":
            return tensor.neg()
        result: torch.Tensor = getattr(tensor, self.name)(self.number)
        return result

    @property
    def factor(self) -> float:
        if self.name == "div":
            return 1.0 / self.number
        return {"mul": self.number, "neg": -1.0}.get(self.name, 1.0)

    @property
    def shift(self) -> float:
        return {"add": self.number, "sub": -self.number}.get(self.name, 0.0)


def _affine(
    name: str, own: dict[str, Any], factor: float, shift: float
) -> tuple[str, dict[str, Any]]:
    if factor <= 0.0:  # the same distribution, but not the code's values
        raise Unknown(f"it was multiplied by {factor!r}")
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
    """The fills of one memory, in order; where two overlap, the later one wins."""

    def __init__(self, base: Ref, fills: list[Fill]):
        self.base = base
        self.fills = fills

    def fill(
        self, part: Ref, initializer: str, arguments: dict[str, Any], draw: int | None = None
    ) -> None:
        elementwise = initializer in ("constant", "uniform", "normal", "truncated_normal")
        fill = Fill(view_of(part, self.base, elementwise), initializer, arguments, draw)
        if fill.view.whole:
            self.fills = [fill]
        else:
            kept = [other for other in self.fills if not _covers(fill.view, other.view)]
            self.fills = [*kept, fill]

    def change(self, part: Ref, step: Step) -> None:
        view = view_of(part, self.base)
        touched = [fill for fill in self.fills if fill.view.overlaps(view)]
        if not touched or not all(_covers(view, fill.view) for fill in touched):
            raise Unknown("a part of it that no fill covers was changed in place")
        self.fills = [
            fill.changed(step, self.base.dtype) if fill in touched else fill for fill in self.fills
        ]

    def clamp(self, low: float, high: float) -> None:
        """Accept a clamp only if it changes nothing: its bounds contain those of every fill."""
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
                raise Unknown(f"it was clamped after a {fill.initializer} fill")

    @property
    def constant(self) -> Any:
        """The constant that fills the whole memory; None if there is none."""
        if len(self.fills) == 1 and self.fills[0].view.whole:
            fill = self.fills[0]
            return fill.arguments["value"] if fill.initializer == "constant" else None
        return None

    @property
    def complete(self) -> bool:
        """Whether every element has been written."""
        if any(fill.view.whole for fill in self.fills):
            return True
        apart: list[View] = []
        for fill in self.fills:
            if not any(fill.view.overlaps(other) for other in apart):
                apart.append(fill.view)
        return sum([view.elements for view in apart]) == self.base.elements


def _covers(view: View, other: View) -> bool:
    return all(
        start <= there and there + theirs <= start + size
        for start, size, there, theirs in zip(
            view.starts, view.sizes, other.starts, other.sizes, strict=True
        )
    )


# -------------------------------------------------------------------------------------- the proof


def prove(run: _replay.Run) -> list[Fill] | None:
    """Return the fills of the tensor that a run makes, or None if they cannot be proved."""
    known: dict[int, Contents] = {run.result.storage: Contents(run.result, [])}
    try:
        for number, one in run.operations:
            _follow(known, number, one)
    except (Unknown, KeyError, OverflowError):
        return None
    contents = known[run.result.storage]
    return contents.fills if contents.complete else None


def _follow(known: dict[int, Contents], number: int, one: Operation) -> None:
    kind, args = one.kind, one.args
    if one.unkeyed or one.kwargs.get("out") is not None:
        raise Unknown(kind)
    if kind == "call" and args[0].ref.dtype in DTYPES:
        _into(known, args[0].ref).fill(args[0].ref, one.function, args[1], _drawn(number, one))
    elif kind == "erfinv_":
        contents = _into(known, args[0].ref)
        (fill,) = contents.fills if len(contents.fills) == 1 else (None,)
        # The replay draws a truncated normal only if both operations have the same view.
        if fill is None or fill.initializer != "uniform" or not fill.view.plain:
            raise Unknown(kind)
        if not view_of(args[0].ref, contents.base).plain or fill.changes:
            raise Unknown(kind)
        low, high = fill.arguments["low"], fill.arguments["high"]
        if not -1.0 <= low < high <= 1.0:
            raise Unknown(kind)
        own = _replay.truncated(low, high)
        contents.fills = [fill._replace(initializer="truncated_normal", arguments=own)]
    elif kind in ("normal_", "uniform_"):
        name, own = _replay.fill_of(one)
        ref = args[0].ref
        if ref.dtype not in DTYPES:
            raise Unknown(kind)
        _into(known, ref).fill(ref, name, own, number)
    elif kind == "zero_":
        _into(known, args[0].ref).fill(args[0].ref, "constant", {"value": 0.0})
    elif kind == "fill_":
        value = _known_constant(known, args[1].ref) if isinstance(args[1], Box) else args[1]
        _constant_into(known, args[0].ref, value)
    elif kind == "copy_":
        _copy(known, args[0].ref, args[1])
    elif kind == "clamp_":
        low = args[1] if len(args) > 1 else one.kwargs.get("min")
        high = args[2] if len(args) > 2 else one.kwargs.get("max")
        contents = _into(known, args[0].ref)
        contents.clamp(-math.inf if low is None else low, math.inf if high is None else high)
    elif kind.removesuffix("_") in _ARITHMETIC:
        _arithmetic(known, one)
    else:
        _make(known, number, one)


def _drawn(number: int, one: Operation) -> int | None:
    return number if _replay.is_draw(one) else None


def _into(known: dict[int, Contents], ref: Ref) -> Contents:
    return known.setdefault(ref.storage, Contents(ref, []))


def _known_constant(known: dict[int, Contents], ref: Ref) -> Any:
    """Return the constant that a tensor holds everywhere; None if there is none."""
    contents = known[ref.storage]
    base = contents.base
    if ref.dtype != base.dtype or any(ref.lazy) or any(base.lazy):
        raise Unknown("its memory was seen as numbers of another kind")
    dense = base.elements == _end(base) - base.offset
    if not (dense and base.offset <= ref.offset and _end(ref) <= _end(base)):
        raise Unknown("memory was read that is not known to be filled")
    return contents.constant


def _end(ref: Ref) -> int:
    """Return the place in memory after a view's last element."""
    steps = zip(ref.size, ref.stride, strict=True)
    return ref.offset + 1 + sum([(size - 1) * stride for size, stride in steps])


def _constant_into(known: dict[int, Contents], ref: Ref, value: Any) -> None:
    if not isinstance(value, (bool, int, float)):
        raise Unknown("a tensor's value was filled in")
    _into(known, ref).fill(ref, "constant", {"value": _constant(_scalar(value, ref.dtype), value)})


def _scalar(value: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a number as torch's own fill writes it."""
    try:
        return torch.full((), value, dtype=dtype, device="cpu")
    except RuntimeError as error:  # it does not fit, and the code itself fails
        raise Unknown(str(error)) from error


def _constant(tensor: torch.Tensor, written: Any = None) -> Any:
    """Return the number that a tensor holds, if an initializer can write exactly that.

    If the number that code wrote gives it too, return that number, which is the shorter one.
    """
    value = tensor.item()
    dtype = DTYPES.get(tensor.dtype)
    if isinstance(value, complex) or not math.isfinite(value):
        raise Unknown(f"it was filled with {value!r}")
    if dtype is None:
        return value
    if isinstance(written, (int, float)) and encode(written, dtype) == encode(value, dtype):
        return int(written) if isinstance(written, bool) else written
    return value


def _copy(known: dict[int, Contents], into: Ref, source: Any) -> None:
    """Copy a constant into any view, or a whole tensor into a whole tensor of the same shape."""
    if not isinstance(source, Box):
        raise Unknown("it was copied from a tensor with values of its own")
    theirs, value = known[source.ref.storage], _known_constant(known, source.ref)
    if value is not None:
        converted = _scalar(value, source.ref.dtype).to(into.dtype)
        _into(known, into).fill(into, "constant", {"value": _constant(converted, value)})
        return
    contents = _into(known, into)
    if not (
        theirs is not contents
        and theirs.complete
        and into.size == source.ref.size == contents.base.size == theirs.base.size
        and view_of(into, contents.base).plain
        and view_of(source.ref, theirs.base).plain
        and _drawn_alike(source.ref.dtype, into.dtype)
    ):
        raise Unknown("it was copied from a part of another tensor, or into a part")
    contents.fills = list(theirs.fills)


def _drawn_alike(one: torch.dtype, other: torch.dtype) -> bool:
    """Whether a draw in one dtype, converted to the other, equals a draw in the other.

    A draw in a dtype narrower than float32 is a float32 draw, rounded.
    """
    narrow = other.is_floating_point and other.itemsize < 4
    return one.is_floating_point and (one == other or (one == torch.float32 and narrow))


_ARITHMETIC = frozenset(("mul", "div", "add", "sub", "neg"))


def _arithmetic(known: dict[int, Contents], one: Operation) -> None:
    """Follow a multiplication by a number or an addition of a number."""
    args, name = one.args, one.kind.removesuffix("_")
    other = args[1] if len(args) > 1 else None
    if not isinstance(args[0], Box) or one.kwargs.get("alpha", 1) != 1 or len(args) > 2:
        raise Unknown(one.kind)
    if isinstance(other, Box):
        other = _known_constant(known, other.ref)
    if name == "neg":
        other = -1.0
    if isinstance(other, bool) or not isinstance(other, (int, float)):
        raise Unknown("a tensor was multiplied into it or added to it")
    if one.kwargs.get("rounding_mode") is not None or not args[0].ref.dtype.is_floating_point:
        raise Unknown(one.kind)
    if name == "div" and not other:
        raise Unknown(one.kind)
    step = Step(name, other)
    if one.kind.endswith("_"):
        _into(known, args[0].ref).change(args[0].ref, step)
        return
    _copy_of(known, one, args[0].ref)
    known[one.results[0].storage].change(one.results[0], step)


def _copy_of(known: dict[int, Contents], one: Operation, source: Ref) -> None:
    """Follow an operation that makes a copy of another tensor."""
    (result,) = one.results
    if result.storage == source.storage:
        raise Unknown(one.kind)
    # The base of the tensor that is proved is the tensor itself, which may be a view of the result.
    _into(known, result)
    _copy(known, result, Box(source))


_MADE = {"zeros": 0.0, "zeros_like": 0.0, "new_zeros": 0.0, "ones": 1.0, "ones_like": 1.0}


def _make(known: dict[int, Contents], number: int, one: Operation) -> None:
    """Follow an operation that makes a new tensor."""
    if not one.results or len(one.results) > 1:
        raise Unknown(one.kind)
    (result,) = one.results
    if one.kind.startswith(("empty", "new_empty")):
        known.setdefault(result.storage, Contents(result, []))
    elif one.kind in _MADE or one.kind == "new_ones":
        _constant_into(known, result, _MADE.get(one.kind, 1.0))
    elif one.kind in ("full", "full_like", "new_full"):
        place = 2 if one.kind == "new_full" else 1
        _constant_into(known, result, one.args[place])
    elif one.kind == "scalar_tensor":
        _constant_into(known, result, one.args[0])
    elif _replay.makes_a_draw(one) and result.dtype in DTYPES:
        name, own = _replay.fill_of(one)
        _into(known, result).fill(result, name, own, number)
    elif one.kind in ("clone", "_to_copy") and isinstance(one.args[0], Box):
        _copy_of(known, one, one.args[0].ref)
    else:
        raise Unknown(one.kind)
