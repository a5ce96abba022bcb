"""Records a model's module defaults: a log of what its own initialization code does to each
parameter and buffer.

During the recording, meta tensors of the full shape replace the parameters, and copies replace the
buffers.  The reset_parameters() of every module runs, children first as in constructors.  Then
transformers' _init_weights runs.  Afterwards the model is restored.  For the log, see _log.py.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from . import _memory, _names, _wrapped
from ._log import Log, Ref
from ._names import Named, Site
from ._private import Private
from ._recorder import Recorder
from ._replay import read

RESETS = ("reset_parameters", "_reset_parameters")


class Record(NamedTuple):
    """A log of a model's own code, and the reference to each parameter and buffer in it."""

    log: Log
    refs: dict[str, Ref]
    writes: dict[str, int]  # how often reset_parameters writes each tensor
    # How often _init_weights writes the tensors that it writes.  Its writes by functions that leave
    # no trace on the meta device (trunc_normal_) are not counted.
    later: dict[str, int]


def record(model: nn.Module, dtype: torch.dtype | None = None, prefix: str = "") -> Record:
    """Run the modules' own initialization code, in the order of construction, and record it.

    `dtype` is the dtype of the floating-point parameters; None keeps each parameter's dtype.
    `prefix` is put before every name.
    """
    log = Log()
    parameters, buffers = _names.parameters(model, prefix), _names.buffers(model, prefix)
    with _standins(parameters, buffers, dtype) as standins:
        for item in buffers:
            if not standins[item.name].is_meta and standins[item.name].numel():
                log.literal(standins[item.name], standins[item.name], before=True)
        lost, others = _tied(model, parameters)
        spared = _marked_before(model)
        copied: dict[str, int] = {}
        with torch.no_grad(), Recorder(log, read):
            # The modules run in reverse order.  Of the modules that hold a tied parameter, the
            # first one thus writes it last, so the values come from the module that names it.
            with _apart(lost):
                count = _count_of_one_place(parameters, standins)
                for _, module in reversed(list(_names.modules(model))):
                    for method in RESETS:
                        _reset(log, module, getattr(type(module), method, None))
                    count(module)
                    copied |= _copy_layers(module, parameters, standins)
            before = {name: _memory.version(standin) for name, standin in standins.items()}
            for item in buffers:  # spectral_norm puts new ones in their places
                _, tensor = _now(item)
                before[item.name] = 0 if tensor is None else _memory.version(tensor)
            writes = {name: count - copied.get(name, 0) for name, count in before.items()}
            writes |= count(None)
            since = len(log.operations)
            with _apart(others):
                _init_weights(log, model, spared)
        now = [_now(item) for item in (*parameters, *buffers)]
        later = {
            name: _memory.version(standin) - before[name]
            for name, standin in standins.items()
            if log.writes(standin, since)
        }
        refs = {name: log.ref(tensor) for name, tensor in now if tensor is not None}
    return Record(log, refs, writes, later)


def _copy_layers(
    module: nn.Module, parameters: list[Named], standins: dict[str, torch.Tensor]
) -> dict[str, int]:
    """Copy the first layer of torch's TransformerEncoder or -Decoder to the others, as they do.

    Their constructors copy one layer, so that all layers begin with equal values.  A layer that
    was put in later is left as it is: its tensors have all the writes of their resets, which those
    of a copy lack.  Return the writes by name that the tensors of copies lack.
    """
    layers = getattr(module, "layers", None)
    if not isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)) or not layers:
        return {}
    names = {id(standins[item.name]): item for item in parameters}
    lacking: dict[str, int] = {}
    first = dict(layers[0].named_parameters())
    for layer in layers:
        own = {key: names[id(one)] for key, one in layer.named_parameters() if id(one) in names}
        writes = {item.name: _memory.version(standins[item.name]) for item in own.values()}
        if all(_memory.version(item.tensor) >= writes[item.name] for item in own.values()):
            continue
        lacking |= writes
        for key, item in own.items():
            if layer is not layers[0] and first[key].shape == item.tensor.shape:
                standins[item.name].copy_(first[key])
                lacking[item.name] += 1
    return lacking


def _count_of_one_place(
    parameters: list[Named], standins: dict[str, torch.Tensor]
) -> Callable[[nn.Module | None], dict[str, int]]:
    """Count the writes to each tied parameter as if only one of its modules wrote it.

    In a real construction, the other modules wrote to tensors that tying has since replaced.  Call
    the returned function after each module; the last call returns the counts.
    """
    tied = [item for item in parameters if len(item.sites) > 1]
    owners = {item.name: {id(site.module) for site in item.sites} for item in tied}
    before = {item.name: 0 for item in tied}
    own: dict[str, list[int]] = {item.name: [0] for item in tied}

    def count(module: nn.Module | None) -> dict[str, int]:
        for name, modules in owners.items():
            now = _memory.version(standins[name])
            if id(module) in modules:
                own[name].append(now - before[name])
            before[name] = now
        return {name: before[name] - sum(own[name]) + max(own[name]) for name in owners}

    return count


def own_writes(
    model: nn.Module, parameters: list[Named], buffers: list[Named], names: set[str]
) -> dict[str, int]:
    """Return how often the reset of its own module writes each of these parameters on the plain
    meta device, where some code writes less than on a real one.
    """
    written = {}
    with _standins(parameters, buffers, None) as standins, torch.no_grad(), Private():
        for item in parameters:
            module, standin = item.sites[0].module, standins[item.name]
            if item.name in names:
                for method in RESETS:
                    with torch.device("meta"), contextlib.suppress(Exception):
                        _reset(Log(), module, getattr(type(module), method, None))
                written[item.name] = _memory.version(standin)
    return written


def _now(item: Named) -> tuple[str, torch.Tensor | None]:
    """Return the tensor now in the place of a parameter or buffer; code may have replaced it."""
    site = item.sites[0]
    places = {**site.module._buffers, **site.module._parameters}
    tensor = places.get(site.attribute)
    usable = tensor is not None and tensor.layout is torch.strided
    return item.name, tensor if usable else None


@contextlib.contextmanager
def _standins(
    parameters: list[Named], buffers: list[Named], dtype: torch.dtype | None
) -> Iterator[dict[str, torch.Tensor]]:
    """Replace the parameters and buffers by other tensors for the duration of the block.

    At the end, the original tensors and attributes are restored, and anything that code has put in
    their places is removed.
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
            # Copy marks such as transformers' _is_hf_initialized, which make code skip a parameter.
            parameter.__dict__.update(item.tensor.__dict__)
            for site in item.sites:
                site.module._parameters[site.attribute] = parameter
        for item in buffers:
            standins[item.name] = (
                item.tensor.detach().clone()
            )  # also for a meta tensor; code may read a real one's values
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


def _reset(log: Log, module: nn.Module, method: Callable[..., Any] | None) -> None:
    """Run a module's reset method, unless it needs arguments."""
    if method is not None:
        try:
            inspect.signature(method).bind(module)
        except TypeError:
            return
        what = f"{type(module).__name__}.{method.__name__}"
        _attempt(log, module, what, lambda: _wrapped.reset(module, method))


def pretrained_model() -> Any:
    """Return transformers' PreTrainedModel, or None if transformers is not imported."""
    return getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)


def _adapter_layer() -> Any:
    """Return PEFT's base class of adapter layers, which replace a model's own layers.

    If PEFT is not imported, return (), which matches nothing in isinstance.
    """
    return getattr(sys.modules.get("peft.tuners.tuners_utils"), "BaseTunerLayer", ())


def with_init_weights(model: nn.Module, owners: set[int]) -> list[str]:
    """Return the names of the module types that have an init_weights() method, if one of the
    modules in `owners`, which are given by id(), is below them.

    Many libraries (timm, torch's tutorials) use this name for a method that their constructors
    call.  It is never called here, because only the constructor knows the method's arguments and
    when to call it.  The init_weights() of transformers is not listed: it loads and ties weights
    and calls _init_weights, which the recording runs anyway.
    """
    base = pretrained_model()
    found = [
        module
        for module in model.modules()
        if callable(getattr(type(module), "init_weights", None))
        and (base is None or not isinstance(module, base))
    ]
    return sorted(
        {
            type(module).__name__
            for module in found
            if any(id(one) in owners for one in module.modules())
        }
    )


def _init_weights(log: Log, model: nn.Module, spared: set[int]) -> None:
    """Do what transformers' initialize_weights does: initialize each module by the _init_weights of
    the nearest enclosing PreTrainedModel.

    Children come first.  Each module is marked when it is done, because some code (ViT-MAE's)
    checks the mark of its children.  In a PEFT adapter, only the base layer is initialized.  PEFT
    made the rest after transformers had initialized the model, so _init_weights never saw it.
    `spared` are the modules that are passed over, by id.
    """
    base, adapter = pretrained_model(), _adapter_layer()
    if base is None:
        return

    def walk(module: nn.Module, owner: Any) -> None:
        if isinstance(module, base):
            owner = module
        inner = owner
        if isinstance(module, adapter):
            inner, owner = owner, None
        for name, child in module.named_children():
            walk(child, inner if owner is not None or name == "base_layer" else None)
        if owner is not None and id(module) not in spared and not _marked_whole(owner, module):
            what = f"{type(owner).__name__}._init_weights({type(module).__name__})"
            _attempt(log, module, what, lambda: owner._init_weights(module))
            module.__dict__["_is_hf_initialized"] = True

    before = [module.__dict__.pop("_is_hf_initialized", None) for module in model.modules()]
    for module in model.modules():
        if id(module) in spared:
            module.__dict__["_is_hf_initialized"] = True
    try:
        walk(model, None)
    finally:
        for module, mark in zip(model.modules(), before, strict=True):
            module.__dict__.pop("_is_hf_initialized", None)
            if mark is not None:
                module.__dict__["_is_hf_initialized"] = mark


def _marked_before(model: nn.Module) -> set[int]:
    """Return the modules that transformers' initialization passes over, by id.

    Those are the modules that constructors have marked.  If the initialization has run already, as
    on real memory and inside accelerate's init_empty_weights(), it has marked a model and all the
    modules in it.  Then a second construction, on the meta device, shows the constructors' own
    marks, and a module without a mark was put in later.
    """
    base, spared = pretrained_model(), set()
    inside: set[int] = set()
    for module in model.modules():
        if base is None or id(module) in inside or not _mark(module):
            continue
        spared.add(id(module))
        if isinstance(module, base):
            again = bare(module)
            names = [] if again is None else [n for n, one in again.named_modules() if _mark(one)]
            own = dict(module.named_modules())
            inside |= {id(one) for one in own.values()}
            spared -= inside
            spared |= {id(one) for name, one in own.items() if name in names or not _mark(one)}
    return spared


def _marked_whole(owner: Any, module: nn.Module) -> bool:
    """Whether transformers passes over a module since each of its tensors is marked.

    It does so in classes that are not its own, whose _init_weights may not look at the marks.
    """
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    custom = getattr(owner, "is_custom_code", None)
    return bool(own) and all(map(_mark, own)) and custom is not None and bool(custom())


def _mark(module: nn.Module | torch.Tensor) -> bool:
    return bool(getattr(module, "_is_hf_initialized", False))


def bare(model: Any, kind: type | None = None) -> nn.Module | None:
    """Build a model of transformers again on the meta device, where nothing initializes it.

    `kind` is the class to build, and None the model's own.  Return None if the constructor fails.
    """
    try:
        with Private(), torch.device("meta"):
            return (kind or type(model))(copy.deepcopy(model.config))  # type: ignore[no-any-return]
    except Exception:  # a constructor may raise anything
        return None


def _inside_pretrained(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the models of transformers in a model."""
    base = pretrained_model()
    for module in model.modules() if base is not None else ():
        if isinstance(module, base):
            yield module


def children(model: nn.Module) -> frozenset[str]:
    """Return the attributes at which the models of transformers in a model hold modules.

    Of a model whose modules are marked (_marked_before), it is known which ones were put in later.
    """
    owners = [one for one in _inside_pretrained(model) if not _mark(one)]
    return frozenset([name for one in owners for name, _ in one.named_children()])


def untied(model: nn.Module, prefix: str) -> list[str]:
    """Return the names of parameters that transformers ties to others, but that are not tied."""
    names = {id(one): name for name, one in _names.modules(model, prefix)}
    found = []
    for owner in _inside_pretrained(model):
        for name, other in (getattr(owner, "all_tied_weights_keys", None) or {}).items():
            with contextlib.suppress(AttributeError):
                one, two = owner.get_parameter(name), owner.get_parameter(other)
                if one is not two and one.shape == two.shape:
                    outer = names.get(id(owner))
                    found.append(f"{outer}.{name}" if outer else name)
    return found


def _tied(model: nn.Module, parameters: list[Named]) -> tuple[list[Site], list[Site]]:
    """Return two lists of places of tied parameters.

    The first list has the places to which transformers assigns the parameter of another place.  An
    example is CamemBERT's decoder, which comes before its embedding.  The second list has all
    places except the one whose parameter is kept.
    """
    given = set()
    for owner in _inside_pretrained(model):
        for name in getattr(owner, "all_tied_weights_keys", None) or ():
            path, _, attribute = name.rpartition(".")
            with contextlib.suppress(AttributeError):
                given.add((id(owner.get_submodule(path)), attribute))
    lost, others = [], []
    for item in parameters:
        places = [(id(site.module), site.attribute) for site in item.sites]
        kept = next((place for place in places if place not in given), places[0])
        for site, place in zip(item.sites, places, strict=True):
            if place != kept:
                others.append(site)
                if place in given:
                    lost.append(site)
    return lost, others


@contextlib.contextmanager
def _apart(sites: list[Site]) -> Iterator[None]:
    """Put separate tensors in some places of tied parameters for the duration of the block.

    transformers initializes a model before it ties it, so the values drawn for those places are
    lost.
    """
    before = [(site, site.module._parameters[site.attribute]) for site in sites]
    for site, tensor in before:
        if tensor is not None:
            own = nn.Parameter(torch.empty_like(tensor), requires_grad=tensor.requires_grad)
            own.__dict__.update(tensor.__dict__)
            site.module._parameters[site.attribute] = own
    try:
        yield
    finally:
        for site, tensor in before:
            site.module._parameters[site.attribute] = tensor


def _attempt(log: Log, module: nn.Module, what: str, call: Callable[[], Any]) -> None:
    """Run a call.  If it fails, log that the values of the module's parameters are unknown.

    A later write makes them known again.
    """
    try:
        call()
    except Exception as error:
        for parameter in module.parameters():
            if parameter.layout is torch.strided:
                log.failure(
                    parameter, f"{what} failed on meta tensors ({type(error).__name__}: {error})"
                )
