"""accelerate(): inside the block, fastinit does all initialization of CPU tensors through torch.

A TorchFunctionMode, which torch keeps per thread, sees every call of Tensor.normal_, uniform_ and
erfinv_; torch.nn.init's functions, wherever their names are bound, ask it through _detours.py.
What is drawn: _translate.py; how a tensor is filled: _draw.py.
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .._core import engine
from .._core.math import norm_ppf
from .._core.stream import check_seed
from . import _detours, _memory
from ._draw import draw, seed_from
from ._translate import TRANSLATIONS, Call

F = TypeVar("F", bound=Callable[..., Any])
Arguments = tuple[Any, ...]

ROOT_HALF = 0.7071067811865476  # √½: erfinv of a uniform is a normal of this std


class accelerate:  # noqa: N801  a context manager is written as a function is
    """Run the initialization of CPU tensors here: torch's modules, transformers, timm, erfinv-based
    truncated normals.

    Parameters
    ----------
    seed : int, optional
        None takes the seed of each fill from its `generator=`, or from torch's default generator,
        by one `random_` of one int64, so torch.manual_seed governs. With a number, fill k of the
        block (0, 1, ... in the order of the calls, constants not counted) has this seed and the
        stream k, as ``fi.normal(shape, seed=seed, name=k)`` has; a fill that is given a generator
        takes its seed from that.

    Notes
    -----
    It is also a decorator: each call is a block of its own. Blocks nest, and the innermost counts;
    each belongs to the thread that opened it. No fill is skipped, not even one that a later fill
    overwrites. Constants, torch.randn and its like, other devices and complex tensors stay with
    torch; meta tensors stay as they are. ``as block`` gives counts: ``.fills`` and ``.values``
    drawn here, ``.left`` (by name) the draws left to torch.

    Examples
    --------
    >>> with fit.accelerate(seed=0) as block:
    ...     layer = torch.nn.Linear(8, 4)
    >>> block.fills, block.values
    (2, 36)
    >>> bias = fi.uniform(4, low=-(8**-0.5), high=8**-0.5, seed=0, name=1)
    >>> bool((layer.bias.detach().numpy() == bias).all())
    True
    """

    def __init__(self, seed: int | None = None):
        self._seed = None if seed is None else check_seed(seed)
        self._open = threading.local()

    def __enter__(self) -> Drawing:
        block = Drawing(self._seed)
        block.__enter__()
        self._open.__dict__.setdefault("blocks", []).append(block)
        return block

    def __exit__(self, *error: Any) -> None:
        self._open.blocks.pop().__exit__(*error)

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with accelerate(self._seed):
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class Drawing(_detours.Block):
    """One open block of accelerate(): the mode itself and what it has done."""

    def __init__(self, seed: int | None):
        super().__init__()
        self.seed, self.fills, self.values = seed, 0, 0
        self.left: Counter[str] = Counter()
        # The last fill, if it was uniform_ within [-1, 1] and nothing came after it: tensor, low,
        # high, (seed, stream).
        self._uniform: tuple[weakref.ref[torch.Tensor], float, float, tuple[int, int]] | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        handler = _HANDLERS.get(func)
        if handler is None:
            self._uniform = None
            return func(*args, **(kwargs or {}))
        return handler(self, func, args, kwargs or {})

    def called(self, name: str, args: Arguments, kwargs: dict[str, Any]) -> Any:
        tensor = args[0] if args else kwargs.get("tensor")
        if not ours(tensor):
            return _detours.ORIGINALS[name](*args, **kwargs)
        self._uniform = None
        with torch._C.DisableTorchFunction():
            return self._drawn(TRANSLATIONS[name](*args, **kwargs))

    def _drawn(self, call: Call) -> torch.Tensor:
        before = self.fills
        result = draw(call, self.take)
        if self.fills > before:
            self.values += call.tensor.numel()
        return result

    def take(self, generator: torch.Generator | None) -> tuple[int, int]:
        """Seed and stream of the next fill, which this counts."""
        self.fills += 1
        if self.seed is None or generator is not None:
            return seed_from(generator), 0
        return self.seed, self.fills - 1

    # ----------------------------------------------------------------------------- Tensor's methods

    def _normal(self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> Any:
        self._uniform = None
        mean, std = both(args, kwargs, ("mean", "std"), (0.0, 1.0))
        return self._draw(func, args, kwargs, "normal", {"mean": mean, "std": std})[0]

    def _uniform_(self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> Any:
        self._uniform = None
        low, high = both(args, kwargs, ("from", "to"), (0.0, 1.0))
        result, taken = self._draw(func, args, kwargs, "uniform", {"low": low, "high": high})
        if taken is not None and -1.0 <= low < high <= 1.0:
            self._uniform = weakref.ref(result), float(low), float(high), taken
        return result

    def _erfinv(self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> Any:
        """erfinv_ of a tensor that has just been filled with U(low, high) is a normal of std √½
        between erfinv(low) and erfinv(high).  Drawn as one, from the same seed, it has tails that a
        rounded uniform cannot give.
        """
        last, self._uniform = self._uniform, None
        tensor: torch.Tensor = args[0]
        if last is None or last[0]() is not tensor:
            return func(*args, **kwargs)
        low, high, taken = last[1:]
        own = {"std": ROOT_HALF, "low": erfinv(low), "high": erfinv(high), "bounds": "absolute"}
        call = Call(tensor, "truncated_normal", own, None, lambda t: t.erfinv_())
        return draw(call, lambda _: taken)

    def _draw(
        self,
        func: Callable[..., Any],
        args: Arguments,
        kwargs: dict[str, Any],
        name: str,
        own: dict[str, Any],
    ) -> tuple[Any, tuple[int, int] | None]:
        """Draw in place of a method of Tensor; its result, and the seed and stream if it was drawn
        here.
        """
        tensor = args[0]
        if not ours(tensor):
            if not tensor.is_meta:
                self.left[func.__name__] += 1
            return func(*args, **kwargs), None
        if torch.is_grad_enabled() and tensor.requires_grad and tensor.is_leaf:
            # torch's error: a leaf that requires grad may not be changed in place
            return func(*args, **kwargs), None
        taken: list[tuple[int, int]] = []

        def take(generator: torch.Generator | None) -> tuple[int, int]:
            taken.append(self.take(generator))
            return taken[0]

        def fallback(other: torch.Tensor) -> Any:
            return func(other, *args[1:], **kwargs)

        call = Call(tensor, name, own, kwargs.get("generator"), fallback)
        if torch.is_grad_enabled() and tensor.requires_grad:
            values = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
            tensor.copy_(draw(call._replace(tensor=values), take))
        else:
            draw(call, take)
        if taken:
            self.values += tensor.numel()
        return tensor, taken[0] if taken else None


def both(
    args: Arguments, kwargs: dict[str, Any], names: tuple[str, str], defaults: tuple[float, float]
) -> tuple[Any, Any]:
    """The two parameters of normal_ or uniform_, as numbers."""
    first = args[1] if len(args) > 1 else kwargs.get(names[0], defaults[0])
    second = args[2] if len(args) > 2 else kwargs.get(names[1], defaults[1])
    return (
        first.item() if isinstance(first, torch.Tensor) else first,
        second.item() if isinstance(second, torch.Tensor) else second,
    )


def ours(tensor: Any) -> bool:
    """Whether a tensor is filled here: floating, on the CPU or a GPU that draws, plain or a
    DTensor.
    """
    if not isinstance(tensor, torch.Tensor) or tensor.dtype not in _memory.DTYPES:
        return False
    if not _memory.is_dtensor(tensor) and not (
        _memory.is_plain(type(tensor)) and _memory.has_elements(tensor)
    ):
        return False
    if tensor.is_cuda:
        return engine.gpu(tensor.device.index) is not None
    return tensor.device.type == "cpu"


@functools.lru_cache(maxsize=256)
def erfinv(x: float) -> float:
    """erf⁻¹ in doubles, ±1 included."""
    return math.copysign(math.inf, x) if abs(x) == 1.0 else ROOT_HALF * norm_ppf(0.5 + 0.5 * x)


_HANDLERS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.Tensor.normal_: Drawing._normal,
    torch.Tensor.uniform_: Drawing._uniform_,
    torch.Tensor.erfinv_: Drawing._erfinv,
}
