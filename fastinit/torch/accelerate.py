"""accelerate() makes fastinit do all initialization of CPU tensors through torch inside its block.

A TorchFunctionMode, which torch keeps per thread, intercepts every call of Tensor.normal_, uniform_
and erfinv_, and of torch.randn, rand and normal.  It also intercepts the functions that draw in
other ways, in order to count them.  torch.nn.init's functions reach the mode through _detours.py,
wherever their names are bound.  _translate.py says what is drawn, and _draw.py fills a tensor.
"""

from __future__ import annotations

import functools
import inspect
import math
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F

from .._core import engine
from .._core.math import norm_ppf
from .._core.stream import check_seed
from .._core.tables import Table
from . import _detours, _memory
from ._draw import draw, draws, seed_from
from ._translate import TRANSLATIONS, Call

Function = TypeVar("Function", bound=Callable[..., Any])
Arguments = tuple[Any, ...]

ROOT_HALF = 0.7071067811865476  # √½: erfinv of a uniform is a normal of this std


class accelerate:  # noqa: N801  used like a function, as a context manager
    """Run torch's initialization of CPU tensors here, whatever library it is written in.

    That includes torch's own modules, transformers, timm and truncated normals by erfinv.

    Parameters
    ----------
    seed : int, optional
        None takes the seed of each fill from its `generator=`, or from torch's default generator,
        by one `random_` of one int64, so torch.manual_seed governs. With a number, fill k of the
        block (0, 1, ... in the order of the calls, constants not counted) has this seed and the
        stream k, as ``fi.normal(shape, seed=seed, name=k)`` has; a fill that is given a generator
        takes its seed from that. So code that seeds a generator of its own (PEFT's VeRA) gets the
        same values at each run, but not torch's.

    Notes
    -----
    It is also a decorator: each call is a block of its own. Blocks nest, and the innermost counts;
    each belongs to the thread that opened it; inside construction() one draws nothing, since what
    is drawn there is recorded. No fill is skipped, not even one that a later fill
    overwrites. torch.randn, rand, normal and their like are drawn here too. Constants, other laws
    (``exponential_``, randint, ...) and other devices are left to torch; meta tensors stay as they
    are. ``as block`` gives counts: ``.fills`` and ``.values`` drawn here,
    ``.left`` (by name) the draws that torch made.

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

    def __reduce__(self) -> Any:
        return accelerate, (self._seed,)  # the open blocks belong to this process

    def __enter__(self) -> Drawing:
        block = Drawing(self._seed)
        block.__enter__()
        self._open.__dict__.setdefault("blocks", []).append(block)
        return block

    def __exit__(self, *error: Any) -> None:
        self._open.blocks.pop().__exit__(*error)

    def __call__(self, function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with accelerate(self._seed):
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class Drawing(_detours.Block):
    """One open block of accelerate(): the mode itself, and counts of what it has done."""

    def __init__(self, seed: int | None):
        super().__init__()
        # A block inside construction() draws nothing: the record decides what is drawn later.
        self.active = _detours.recorder() is None
        self._handlers = _HANDLERS if self.active else {}
        self.seed, self.fills, self.values = seed, 0, 0
        self.left: Counter[str] = Counter()
        # The last fill, if it was uniform_ within [-1, 1] and nothing came after it: tensor, low,
        # high, (seed, stream).
        self._uniform: tuple[weakref.ref[torch.Tensor], float, float, tuple[int, int]] | None = None

    def table(self) -> Table:
        """Return what was drawn here and what torch drew, in rows of text."""
        rows = [(name, str(count)) for name, count in self.left.most_common()]
        caption = f"{self.fills} fills of {self.values} values by fastinit"
        return Table(caption, ("left to torch", "calls"), rows)

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        handler = self._handlers.get(func)
        if handler is None:
            self._uniform = None
            return func(*args, **(kwargs or {}))
        return handler(self, func, args, kwargs or {})

    def called(self, name: str, args: Arguments, kwargs: dict[str, Any]) -> Any:
        tensor: Any = args[0] if args else kwargs.get("tensor")
        if not ours(tensor):
            return _detours.ORIGINALS[name](*args, **kwargs)
        self._uniform = None
        with torch._C.DisableTorchFunction():
            call = TRANSLATIONS[name](*args, **kwargs)
            if call.initializer is None or draws(call.initializer, tensor.dtype):
                return self._drawn(call)
        return _detours.ORIGINALS[name](*args, **kwargs)

    def _drawn(self, call: Call) -> torch.Tensor:
        before = self.fills
        result = draw(call, self.take)
        if self.fills > before:
            self.values += call.tensor.numel()
        return result

    def take(self, generator: torch.Generator | None) -> tuple[int, int]:
        """Count the next fill, and return its seed and stream."""
        self.fills += 1
        if self.seed is None or generator is not None:
            return seed_from(generator), 0
        return self.seed, self.fills - 1

    def _leave(self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> Any:
        """Let torch run the function, and count the call if it drew something."""
        self._uniform = None
        result = func(*args, **kwargs)
        made = result[0] if isinstance(result, tuple) else result
        if not made.is_meta and _draws(func, args, kwargs):
            self.left[func.__name__] += 1
        return result

    # ----------------------------------------------------------------------------- new tensors

    def _make(self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> Any:
        """Do randn, rand, randn_like or rand_like: fill an empty tensor with these arguments."""
        initializer, empty = _MAKING[func]
        own = {key: value for key, value in kwargs.items() if key != "generator"}
        tensor = empty(*args, **own)
        if not ours(tensor):
            return self._leave(func, args, kwargs)
        return self._fill(tensor, initializer, {}, kwargs.get("generator"))

    def _make_normal(
        self, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]
    ) -> Any:
        """Do torch.normal; if its mean or std is a tensor, scale and shift a standard normal."""
        own = {**dict(zip(("mean", "std", "size"), args, strict=False)), **kwargs}
        mean, std = own.pop("mean", 0.0), own.pop("std", 1.0)
        size, generator = own.pop("size", None), own.pop("generator", None)
        tensors = [one for one in (mean, std) if isinstance(one, torch.Tensor)]
        if size is not None and not tensors:
            tensor = torch.empty(size, **own)
            if ours(tensor):
                return self._fill(tensor, "normal", {"mean": mean, "std": std}, generator)
        elif tensors and not own and all(map(_is_scale, tensors)) and _no_negative(std):
            size = torch.broadcast_shapes(*[one.shape for one in tensors])
            tensor = tensors[0].new_empty(size)
            if ours(tensor):
                return self._fill(tensor, "normal", {}, generator).mul_(std).add_(mean)
        return self._leave(func, args, kwargs)

    def _fill(
        self, tensor: torch.Tensor, initializer: str, own: dict[str, Any], generator: Any
    ) -> torch.Tensor:
        """Fill a new tensor, to which no other code has a reference yet."""
        self._uniform = None
        fallback = torch.Tensor.uniform_ if initializer == "uniform" else torch.Tensor.normal_
        values = tensor.data  # its version stays 0, and it may require grad
        self._drawn(Call(values, initializer, own, generator, lambda t: fallback(t, *own.values())))
        return tensor

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
        """Draw a truncated normal if erfinv_ follows directly after a uniform fill.

        erfinv_ of U(low, high) is a normal of std √½ between erfinv(low) and erfinv(high).  Drawn
        as such, from the same seed, it has tails that a rounded uniform cannot give.
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
        """Draw instead of a method of Tensor.

        Return the method's result, and the seed and stream, or None if it was not drawn here.
        """
        tensor = args[0]
        if not ours(tensor):
            return self._leave(func, args, kwargs), None
        if torch.is_grad_enabled() and tensor.requires_grad and tensor.is_leaf:
            # torch raises its error: a leaf that requires grad may not be changed in place
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
    """Return the two parameters of normal_ or uniform_ as numbers."""
    first = args[1] if len(args) > 1 else kwargs.get(names[0], defaults[0])
    second = args[2] if len(args) > 2 else kwargs.get(names[1], defaults[1])
    return (
        first.item() if isinstance(first, torch.Tensor) else first,
        second.item() if isinstance(second, torch.Tensor) else second,
    )


def ours(tensor: Any) -> bool:
    """Whether fastinit fills a tensor.

    The tensor must be floating, plain or a DTensor, or complex and plain, and on the CPU or on a
    GPU that can draw.
    """
    if not isinstance(tensor, torch.Tensor) or not draws("normal", tensor.dtype):
        return False
    if _memory.is_dtensor(tensor):
        if tensor.is_complex():
            return False
    elif not (_memory.is_plain(type(tensor)) and _memory.has_elements(tensor)):
        return False
    if tensor.is_cuda:
        return engine.gpu(tensor.device.index) is not None
    return tensor.device.type == "cpu"


def _is_scale(tensor: torch.Tensor) -> bool:
    """Whether autograd treats a mean or std as a constant."""
    return not (torch.is_grad_enabled() and tensor.requires_grad)


def _no_negative(std: Any) -> bool:
    """Whether torch would accept a std, that is, none of its values is negative.

    torch itself raises the error for a negative one.  The values of a meta tensor are unknown, so
    it passes.
    """
    if not isinstance(std, torch.Tensor):
        return bool(std >= 0.0)
    return std.is_meta or bool((std >= 0.0).all())


@functools.lru_cache(maxsize=256)
def erfinv(x: float) -> float:
    """Compute erf⁻¹ in doubles; ±1 gives ±∞."""
    return math.copysign(math.inf, x) if abs(x) == 1.0 else ROOT_HALF * norm_ppf(0.5 + 0.5 * x)


# Function that makes a tensor of draws → the initializer, and the function for the empty tensor.
_MAKING: dict[Callable[..., Any], tuple[str, Callable[..., torch.Tensor]]] = {
    torch.randn: ("normal", torch.empty),
    torch.randn_like: ("normal", torch.empty_like),
    torch.rand: ("uniform", torch.empty),
    torch.rand_like: ("uniform", torch.empty_like),
}
# Functions whose draws no initializer here can do.  Some draw only in training.  The value is then
# the name of the argument that says so, or its position if torch does not give its name.
_LEFT: dict[Callable[..., Any], str | int | None] = {
    **dict.fromkeys(
        (
            torch.bernoulli,
            torch.binomial,
            torch.multinomial,
            torch.poisson,
            torch.randint,
            torch.randint_like,
            torch.randperm,
            torch._standard_gamma,
            torch._sample_dirichlet,
            torch.Tensor.bernoulli,
            torch.Tensor.bernoulli_,
            torch.Tensor.cauchy_,
            torch.Tensor.exponential_,
            torch.Tensor.geometric_,
            torch.Tensor.log_normal_,
            torch.Tensor.multinomial,
            torch.Tensor.random_,
            F.gumbel_softmax,
        )
    ),
    **dict.fromkeys(
        (
            F.dropout,
            F.dropout1d,
            F.dropout2d,
            F.dropout3d,
            F.alpha_dropout,
            F.feature_alpha_dropout,
            F.rrelu,
        ),
        "training",
    ),
    **dict.fromkeys(
        (
            torch.dropout,
            torch.dropout_,
            torch.alpha_dropout,
            torch.alpha_dropout_,
            torch.feature_dropout,
            torch.feature_dropout_,
            torch.feature_alpha_dropout,
            torch.feature_alpha_dropout_,
            torch.native_dropout,
        ),
        2,
    ),
    torch.rrelu: 3,
    torch.rrelu_: 3,
}


def _draws(func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any]) -> bool:
    training = _LEFT.get(func)
    if training is None:
        return True
    if isinstance(training, int):
        named = kwargs.get("train", kwargs.get("training"))
        return bool(args[training] if len(args) > training else named)
    given = inspect.signature(func).bind(*args, **kwargs)
    given.apply_defaults()
    return bool(given.arguments[training])


_HANDLERS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.Tensor.normal_: Drawing._normal,
    torch.Tensor.uniform_: Drawing._uniform_,
    torch.Tensor.erfinv_: Drawing._erfinv,
    torch.normal: Drawing._make_normal,
    **dict.fromkeys(_MAKING, Drawing._make),
    **dict.fromkeys(_LEFT, Drawing._leave),
}
