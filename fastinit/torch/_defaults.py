"""The module defaults of a model: what its own initialization code does to each parameter and
buffer, without running it for real.

For the time of the recording parameters are meta tensors of the whole shape, and buffers copies;
reset_parameters() of every module runs, children first as in constructors, and then what
transformers calls _init_weights.  Afterwards the model is as it was.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from . import _names
from ._fills import Contents
from ._names import Named
from ._record import Recorder
from ._replay import Log, resolve


def record(
    model: nn.Module, resets: bool = True, dtype: torch.dtype | None = None, prefix: str = ""
) -> dict[str, Contents]:
    """What the model's own code writes, by the first name of each parameter and buffer that it
    writes to.

    Without `resets` only what transformers does after construction.  `dtype` is that of the
    floating-point parameters, None each one's.  `prefix` comes before every name.
    """
    first = _run(model, resets, dtype, prefix, 0)
    computed = [name for name, contents in first.items() if contents.literal is not None]
    if computed:
        # Values that the code computed by itself are kept if they do not depend on torch's random
        # numbers.
        second = _run(model, resets, dtype, prefix, 1)
        for name in computed:
            if name not in second or not _equal(first[name].literal, second[name].literal):
                first[name].unknown = "its own code computes it from random numbers of torch"
                first[name].literal = None
    unknown = [name for name, contents in first.items() if contents.unknown is not None]
    if unknown:
        third, fourth = (
            _run(model, resets, dtype, prefix, torch_seed, Log()) for torch_seed in range(2)
        )
        for name in unknown:
            one, two = third.get(name), fourth.get(name)
            if one is not None and two is not None and one.unknown is None and _same(one, two):
                first[name] = one
    return first


def _same(one: Contents, two: Contents) -> bool:
    """Whether torch's random numbers, of which the two runs have had others, have left no trace."""
    if one.replay is None or two.replay is None:
        return one.fills == two.fills and _equal(one.literal, two.literal)
    return _equal(one.replay.run(0, "")[0], two.replay.run(0, "")[0])


def _equal(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    return one is two if one is None or two is None else torch.equal(one, two)


def _run(
    model: nn.Module,
    resets: bool,
    dtype: torch.dtype | None,
    prefix: str,
    torch_seed: int,
    log: Log | None = None,
) -> dict[str, Contents]:
    """One recording.

    With a log every tensor is on the meta device, and what no initializer stands for is resolved.
    """
    recorder = Recorder(log=log)
    device = contextlib.nullcontext() if log is None else torch.device("meta")
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(torch_seed)
    try:
        named = _names.parameters(model, prefix), _names.buffers(model, prefix)
        with _standins(*named, dtype) as standins:
            with torch.no_grad(), recorder, device:
                for standin in standins.values():
                    if standin.numel():
                        recorder.contents(standin)
                # The first module that holds a tied parameter comes last, and so has the last word,
                # as its name counts.
                for _, module in reversed(list(_names.modules(model)) if resets else []):
                    for method in ("reset_parameters", "_reset_parameters"):
                        _reset(recorder, module, getattr(type(module), method, None))
                writes = {name: standin._version for name, standin in standins.items()}
                _init_weights(recorder, model)
            found = {name: recorder.known(standin) for name, standin in standins.items()}
            now = {item.name: item.tensor for item in _names.parameters(model, prefix)}
            for name in now.keys() & standins.keys():
                if now[name] is not standins[name]:
                    found[name] = _replaced(recorder, now[name], standins[name])
            for name, contents in found.items() if log is not None else ():
                if contents is not None and log is not None:
                    resolve(
                        contents, now.get(name, standins[name]), log, now.values(), foreign=True
                    )
    finally:
        torch.default_generator.set_state(state)
    for name, contents in found.items():
        if contents is not None:
            # What transformers writes comes last, so that earlier writes do not matter.
            last = standins[name]._version > writes[name]
            contents.writes = sys.maxsize if last else writes[name]
    return {
        name: contents
        for name, contents in found.items()
        if contents is not None and not contents.untouched
    }


def _replaced(recorder: Recorder, tensor: torch.Tensor, standin: torch.Tensor) -> Contents:
    """What is known of a tensor that the code has put in a parameter's place."""
    contents = recorder.known(tensor)
    if contents is None or tensor.shape != standin.shape:
        contents = Contents(standin)
        contents.unknown = "its own code puts another tensor in its place"
    return contents


@contextlib.contextmanager
def _standins(
    parameters: list[Named], buffers: list[Named], dtype: torch.dtype | None
) -> Iterator[dict[str, torch.Tensor]]:
    """Other tensors in the places of parameters and buffers; what code puts there meanwhile goes
    again.
    """
    modules = {
        id(site.module): site.module for item in (*parameters, *buffers) for site in item.sites
    }.values()
    before = [
        (
            one,
            dict(one._parameters),
            dict(one._buffers),
            dict(one.__dict__),
            set(one._non_persistent_buffers_set),
        )
        for one in modules
    ]
    standins: dict[str, torch.Tensor] = {}
    try:
        for item in parameters:
            kind = dtype if dtype and item.tensor.is_floating_point() else item.tensor.dtype
            tensor = torch.empty(tuple(item.tensor.shape), dtype=kind, device="meta")
            standins[item.name] = parameter = nn.Parameter(
                tensor, requires_grad=item.tensor.requires_grad
            )
            for site in item.sites:
                site.module._parameters[site.attribute] = parameter
        for item in buffers:
            standins[item.name] = (
                item.tensor.detach().clone()
            )  # of meta tensors too; other code may read its values
            for site in item.sites:
                site.module._buffers[site.attribute] = standins[item.name]
        yield standins
    finally:
        for module, own_parameters, own_buffers, attributes, unsaved in before:
            module._parameters.clear()
            module._parameters.update(own_parameters)
            module._buffers.clear()
            module._buffers.update(own_buffers)
            module._non_persistent_buffers_set.clear()
            module._non_persistent_buffers_set.update(unsaved)
            for name in set(module.__dict__) - set(attributes):
                del module.__dict__[name]
            module.__dict__.update(attributes)


def _reset(recorder: Recorder, module: nn.Module, method: Callable[..., Any] | None) -> None:
    """Run a module's method if it needs no arguments."""
    if method is not None:
        try:
            inspect.signature(method).bind(module)
        except TypeError:
            return
        _attempt(
            recorder, module, f"{type(module).__name__}.{method.__name__}", lambda: method(module)
        )


def _pretrained_model() -> Any:
    """transformers' class, where transformers is imported."""
    return getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)


def with_init_weights(model: nn.Module) -> list[str]:
    """The types of modules with an init_weights(), a widespread name for what constructors do
    (timm, torch's tutorials).

    It is never called here: its arguments and its place in the order are its constructor's alone.
    That of transformers loads and ties, and calls the _init_weights that is run.
    """
    base = _pretrained_model()
    kinds = {
        type(module) for module in model.modules() if base is None or not isinstance(module, base)
    }
    return sorted(
        [kind.__name__ for kind in kinds if callable(getattr(kind, "init_weights", None))]
    )


def _init_weights(recorder: Recorder, model: nn.Module) -> None:
    """transformers' initialize_weights: each module by the _init_weights of the nearest
    PreTrainedModel around it.

    Children come first, and each module is marked when it is done: some code (ViT-MAE's) asks its
    children for the mark.
    """
    base = _pretrained_model()
    if base is None:
        return
    marked: list[nn.Module] = []

    def walk(module: nn.Module, owner: Any) -> None:
        if isinstance(module, base):
            owner = module
        for child in module.children():
            walk(child, owner)
        if owner is not None and not getattr(module, "_is_hf_initialized", False):
            what = f"{type(owner).__name__}._init_weights({type(module).__name__})"
            _attempt(recorder, module, what, lambda: owner._init_weights(module))
            if "_is_hf_initialized" not in module.__dict__:
                marked.append(module)
                module.__dict__["_is_hf_initialized"] = True

    try:
        walk(model, None)
    finally:
        for module in marked:
            del module.__dict__["_is_hf_initialized"]


def _attempt(recorder: Recorder, module: nn.Module, what: str, call: Callable[[], Any]) -> None:
    """Run it; where it fails nothing is known of the module's parameters, unless something later
    writes them.
    """
    try:
        call()
    except Exception as error:
        for parameter in module.parameters():
            recorder.spoil(
                parameter,
                f"{what} failed on meta tensors ({type(error).__name__}: {error})",
                failed=True,
            )
