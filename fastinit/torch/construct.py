"""construction() builds a model on the meta device and records what its constructors would draw.

It serves models that draw in their constructors, or after them, in ways that reset_parameters()
does not repeat.  The block is then the recipe of materialize_().  For the record, see _recorder.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from . import _detours, _memory
from ._defaults import Record
from ._log import Log
from ._names import Named
from ._recorder import Recorder
from ._replay import read


class construction:  # noqa: N801  used like a function, as a context manager
    """Build a model on the meta device and record what its code does: a recipe of materialize_().

    See Also
    --------
    fastinit.torch.materialize_ : Takes the block as its recipe.

    Notes
    -----
    Everything inside the block counts, in constructors and after them, in its order: the last
    write of a value decides it. Nothing is drawn, and parameters take no memory. The model may be
    sharded, compiled or wrapped before materialize_(). transformers runs its _init_weights in the
    block as it does on the CPU. A generator that code gives is not asked: names decide. Tensors
    that NumPy or Python may have drawn are refused by name; a single number that they drew is not
    seen. Code that reads a drawn value is refused.

    Examples
    --------
    >>> with fit.construction() as made:
    ...     model = torch.nn.Linear(4, 2)
    ...     _ = torch.nn.init.orthogonal_(model.weight, gain=2.0)
    >>> fit.materialize_(model, made, seed=7).filled[0].call(7)
    "fi.orthogonal((2, 4), gain=2.0, seed=7, name='weight', dtype='float32')"
    """

    def __init__(self) -> None:
        self._log = Log()
        self._recorder = Recorder(self._log, read)
        # id of a tensor that is not on the meta device → its version after the block
        self._real: dict[int, int] = {}
        # module → its tensors by attribute, as they are when the block ends
        self._sites: weakref.WeakKeyDictionary[nn.Module, dict[str, torch.Tensor]] = (
            weakref.WeakKeyDictionary()
        )

    def __enter__(self) -> construction:
        if _detours.recorder() is not None:
            raise RuntimeError(
                "a construction() is already open in this thread, and it records all that is "
                "built here; leave this one out, and give the outer one as the recipe"
            )
        self._hooks = (
            register_module_parameter_registration_hook(self._note),
            register_module_buffer_registration_hook(self._note),
            register_module_module_registration_hook(self._note),
        )
        self._recorder.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._recorder.__exit__(*error)
        for hook in self._hooks:
            hook.remove()
        for module in _with_children(list(self._sites)):
            places = {**module._buffers, **module._parameters}
            held = {name: one for name, one in places.items() if one is not None}
            new = {name: one for name, one in held.items() if self._is_new(module, name, one)}
            self._sites.setdefault(module, {}).update(new)
        tensors = [one for own in self._sites.values() for one in own.values() if not one.is_meta]
        self._real = {id(one): _memory.version(one) for one in tensors}
        for one in tensors:
            self._recorder.doubt(one)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a construction() cannot be pickled or copied: its record belongs to the tensors of "
            "this process; build the model in a construction() of the other process, or pickle "
            "the model after materialize_()"
        )

    def left_real(self, tensor: torch.Tensor) -> bool:
        """Whether a parameter or buffer was made on the CPU and not written since the block.

        Constructors make such tensors in spite of the block by torch.Tensor(3), for example.  They
        have yet to be drawn.
        """
        return self._real.get(id(tensor)) == _memory.version(tensor)

    def wrote(self, tensor: torch.Tensor) -> bool:
        """Whether recorded code wrote a tensor that is not on the meta device."""
        return self.left_real(tensor) and _is_kept(tensor) and self._log.writes(tensor, 0)

    def _is_new(self, module: nn.Module, name: str, tensor: torch.Tensor) -> bool:
        """Whether a tensor that a module holds was made in the block, and is not a shard.

        A model from before the block may be wrapped in it, and fully_shard() may follow in it.
        """
        if not _is_kept(tensor):
            return False
        registered = self._sites.get(module, {}).get(name)
        return tensor.is_meta or tensor is registered or self._log.knows(tensor)

    def _note(self, module: nn.Module, name: str, value: Any) -> None:
        """Note what is registered in this thread's block.

        What a module holds is looked up again at the end of the block, because deepcopy, to_empty()
        and writes to module._parameters register nothing.
        """
        if self._recorder not in torch.overrides._get_current_function_mode_stack():
            return
        if isinstance(value, nn.Module):
            self._sites.setdefault(value, {})
        elif isinstance(value, torch.Tensor):
            self._sites.setdefault(module, {})[name] = value

    def record(self, items: Iterable[Named]) -> Record:
        """Return the log, with the references to these parameters and buffers in it."""
        refs = {}
        for item in items:
            site = item.sites[0]
            # The tensors of the block count; they may have been sharded, moved or filled since.
            tensor = self._sites.setdefault(site.module, {}).setdefault(site.attribute, item.tensor)
            if _is_kept(tensor):
                refs[item.name] = self._log.ref(tensor)
        return Record(self._log, refs, {}, {})


def _is_kept(tensor: torch.Tensor) -> bool:
    """Whether the record can have a tensor's values."""
    return _memory.is_plain(type(tensor)) and tensor.layout is torch.strided


def _with_children(modules: list[nn.Module]) -> list[nn.Module]:
    """Return modules and all modules in them, each once."""
    found: dict[int, nn.Module] = {}
    while modules:
        module = modules.pop()
        if id(module) not in found:
            found[id(module)] = module
            modules += [one for one in module._modules.values() if one is not None]
    return list(found.values())
