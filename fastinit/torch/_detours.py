"""Redirects torch.nn.init's functions to the innermost block of the calling thread.

Some of these functions do not report to a TorchFunctionMode.  A name bound elsewhere (from
torch.nn.init import trunc_normal_) holds the function object, so replacing the module's attribute
would not reach it.  This module therefore replaces the code of the function objects while a block
is open in any thread.  It restores the code when the last block closes.  The copies in ORIGINALS
keep torch's code.  There are two kinds of block: accelerate.py draws, and _recorder.py records what
would be drawn.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .._core import forks
from .._core.arguments import shown

# The functions that draw or that loop over elements.  Constants are not redirected: torch's own
# fills do them.
NAMES = (
    "uniform_",
    "normal_",
    "trunc_normal_",
    "eye_",
    "dirac_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
)


def _own(name: str) -> types.FunctionType:
    function = getattr(torch.nn.init, name)
    if getattr(function, "__module__", None) != "torch.nn.init" or not isinstance(
        function, types.FunctionType
    ):
        raise ImportError(
            f"torch.nn.init.{name} is currently replaced by {shown(function)}; import "
            "fastinit.torch outside of the block that does this (transformers' no_init_weights is "
            "one)"
        )
    return function


OBJECTS = {name: _own(name) for name in NAMES}
CODES = {name: function.__code__ for name, function in OBJECTS.items()}
ORIGINALS: dict[str, Callable[..., Any]] = {
    name: types.FunctionType(own.__code__, own.__globals__, name, own.__defaults__, own.__closure__)
    for name, own in OBJECTS.items()
}


class Block(TorchFunctionMode):
    """A mode that handles calls of torch.nn.init's functions.

    torch keeps a separate stack of modes for each thread.
    """

    records = False  # whether the block records what code does instead of drawing
    active = True  # if False, the enclosing blocks handle every call

    def __enter__(self) -> Any:
        _exchange()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _restore()

    def called(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what torch.nn.init's function of that name does in this block."""
        raise NotImplementedError


def recorder() -> Any:
    """Return the block that records this thread's code, or None.

    Tensors that were made in such a block hold no values.
    """
    for mode in torch.overrides._get_current_function_mode_stack():
        if isinstance(mode, Block) and mode.records:
            return mode
    return None


def detoured(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Handle a call of a torch.nn.init function by this thread's innermost active block.

    Without such a block, torch's own function handles it.
    """
    for place in range(torch._C._len_torch_function_stack() - 1, -1, -1):
        mode = torch._C._get_function_stack_at(place)
        if isinstance(mode, Block) and mode.active:
            return mode.called(name, args, kwargs)
    return ORIGINALS[name](*args, **kwargs)


# ------------------------------------------------------------------------------------- the exchange

_SOURCE = """
def {name}(*args, **kwargs):
    from fastinit.torch._detours import detoured
    return detoured({name!r}, args, kwargs)
"""
_lock = threading.RLock()
forks.keep_free(_lock)
_open_blocks = 0


def _detour(name: str) -> types.CodeType:
    """Compile the replacement code for a function.

    The code has no free variables, because torch's function has none.  Its globals are those of
    torch.nn.init.
    """
    names: dict[str, Any] = {}
    exec(compile(_SOURCE.format(name=name), "<fastinit.torch detour>", "exec"), names)
    return names[name].__code__  # type: ignore[no-any-return]


_DETOURS = {name: _detour(name) for name in NAMES}


def _exchange() -> None:
    global _open_blocks
    with _lock:
        if not _open_blocks:
            for name, function in OBJECTS.items():
                function.__code__ = _DETOURS[name]
        _open_blocks += 1


def _restore() -> None:
    global _open_blocks
    with _lock:
        _open_blocks -= 1
        if not _open_blocks:
            for name, function in OBJECTS.items():
                function.__code__ = CODES[name]
