"""Fills one torch tensor, and takes a seed from a torch generator.

draw() carries out a call that _translate.py has translated.  Its callers (init.py, accelerate.py)
say where the seed and the stream come from.  For memory, see _memory.py.  For shards of DTensors,
see dtensor.py.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import _adapters, _complex
from .._core import dtypes, fill
from .._core.draws import Draw
from .._core.dtypes import DType
from .._core.fill import Rule
from . import _detours, _memory
from ._translate import Call, Fallback

Take = Callable[[torch.Generator | None], tuple[int, int]]  # generator → (seed, stream)

# These draw nothing, so they take no number from a generator.
CONSTANT = frozenset(("constant", "eye", "dirac"))
# These have no complex form.  torch refuses them too, except sparse_, whose rule is not a plain
# draw.
_REAL_ONLY = frozenset(("truncated_normal", "orthogonal", "sparse"))
_scratch = threading.local()


def draws(initializer: str | None, dtype: torch.dtype) -> bool:
    """Whether draw() itself fills plain tensors of a dtype by an initializer."""
    if dtype in _memory.COMPLEX:
        return initializer not in (None, *CONSTANT, *_REAL_ONLY)
    return initializer is not None and dtype in _memory.DTYPES


def seed_from(generator: torch.Generator | None) -> int:
    """Return a seed: exactly one int64 of `random_`, from the generator.

    None is torch's default CPU generator.  This is a contract.  The number is
    torch.empty((), dtype=torch.int64).random_(generator=generator).item(), in [0, 2^63).
    """
    if generator is None or generator.device.type == "cpu":
        try:
            number = _scratch.number
        except AttributeError:
            number = _scratch.number = torch.empty((), dtype=torch.int64, device="cpu")
    else:
        number = torch.empty((), dtype=torch.int64, device=generator.device)
    return int(number.random_(generator=generator).item()) & 0xFFFFFFFFFFFFFFFF


def from_generator(generator: torch.Generator | None) -> tuple[int, int]:
    """Return the seed and the stream of a drop-in call: a number of the generator, and 0."""
    return seed_from(generator), 0


def drop_in(call: Call) -> Tensor:
    """Draw a call by torch's generator, or record it if this thread's code is being recorded."""
    if torch._C._len_torch_function_stack():
        recorder = _detours.recorder()
        if recorder is not None:
            return recorder.recorded(call)
    return draw(call, from_generator)


def decide(rule: Rule, call: Call, shape: tuple[int, ...], dtype: DType) -> Any:
    """Return the Draw or Write of a call.

    If torch rejects the arguments too, torch's error is raised.
    """
    try:
        return fill.decide(rule, shape, dtype, call.arguments)
    except (TypeError, ValueError):
        if dtype in (dtypes.FLOAT8_E4M3FN, dtypes.FLOAT8_E5M2):
            raise  # torch cannot draw these and would reject the dtype
        given = call.tensor
        nothing = torch.empty((0, *given.shape[1:]), dtype=given.dtype, device="cpu")
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            call.fallback(nothing)  # checks everything but draws nothing
        raise


def draw(call: Call, take: Take) -> Tensor:
    """Fill the tensor of a call, as under no_grad, and return it.

    `take` returns (seed, stream) for the call's generator.  It is called at most once, after every
    check.  torch itself fills tensors whose memory cannot be written directly: subclasses that keep
    their values elsewhere, sparse layouts, and tensors inside torch.func transforms.
    """
    tensor, initializer, _, generator, fallback = call
    if initializer is None:
        return fallback(tensor)  # type: ignore[no-any-return]
    plain = _memory.is_plain(type(tensor))
    if not plain and not _memory.is_dtensor(tensor):
        return _by_torch(tensor, fallback)
    if tensor.is_meta if plain else tensor._local_tensor.is_meta:  # type: ignore[attr-defined]
        return tensor
    dtype = _memory.DTYPES.get(tensor.dtype)
    if initializer in CONSTANT and (dtype is None or (plain and not tensor.is_cpu)):
        return _by_torch(tensor, fallback)
    if dtype is None:
        return _draw_parts(call, take)
    try:
        shape = tuple(tensor.shape)
    except RuntimeError:  # a nested tensor has none
        return _by_torch(tensor, fallback)
    if 0 in shape:
        return _by_torch(tensor, fallback) if plain else tensor
    result = decide(_adapters.rule(initializer), call, shape, dtype)

    def numbers() -> tuple[int, int]:
        return (0, 0) if initializer in CONSTANT else take(generator)

    if not plain:
        from . import dtensor  # cheap: a DTensor exists, so torch has imported its module

        dtensor.write(tensor, dtype, result, *numbers())  # type: ignore[arg-type]
    elif tensor.is_cuda and result.__class__ is Draw and _memory.launched(tensor, result, numbers):
        pass
    elif not _memory.into(
        tensor, dtype, lambda view: _memory.write(view, dtype, result, *numbers())
    ):
        return _by_torch(tensor, fallback)
    return tensor


def _draw_parts(call: Call, take: Take) -> Tensor:
    """Draw a complex tensor through its real view, whose last axis is 2, as torch does."""
    tensor, initializer, _, generator, fallback = call
    dtype = _complex.parts_of(str(tensor.dtype).removeprefix("torch."))
    if dtype is None or initializer in _REAL_ONLY or not _memory.is_plain(type(tensor)):
        raise _memory.unsupported(tensor)
    if 0 in tensor.shape or not _memory.has_elements(tensor):
        return _by_torch(tensor, fallback)
    if tensor.is_conj() or tensor.is_neg():  # its memory does not hold its values
        values = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        with torch.no_grad():
            return tensor.copy_(_draw_parts(call._replace(tensor=values), take))
    rule = _complex.parts_rule(_adapters.rule(initializer))  # type: ignore[arg-type]
    # Not .data: a detached tensor shares autograd's version counter.
    parts = torch.view_as_real(tensor.detach())
    result = decide(rule, call, tuple(parts.shape), dtype)
    _memory.into(parts, dtype, lambda view: _memory.write(view, dtype, result, *take(generator)))
    return tensor


def _by_torch(tensor: Tensor, fallback: Fallback) -> Tensor:
    with torch.no_grad():
        return fallback(tensor)  # type: ignore[no-any-return]
