"""Searches code for writes to parameters that leave no trace on the meta device.

Such writes go through `.data`, or through functions of torch that write nothing to meta tensors or
that replace a parameter.  The search reads bytecode and follows calls by name; it runs nothing, so
it can only say what code may have done.  _unseen.py warns of what is found.
"""

from __future__ import annotations

import dis
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from . import _detours
from ._defaults import RESETS
from ._recorder import TRACELESS

# Libraries that are not searched: what their code does beyond reset_parameters() is recorded or
# known.
_KNOWN = frozenset(("torch", "transformers", "numpy", "fastinit")) | sys.stdlib_module_names
# Methods whose names end like those of in-place operations, but which write no values.
_HARMLESS = frozenset(("requires_grad_", "share_memory_", "detach_", "materialize_"))
_CONVERSIONS = frozenset(("to", "type", "float", "double", "half", "bfloat16", "contiguous"))
# Functions of torch and transformers that write to .data or put tensors in the places of
# parameters, with the names that code needs to call them.
_CALLED = {
    "vector_to_parameters": {"vector_to_parameters"},
    "prune.remove": {"prune", "remove"},
    "Embedding.from_pretrained": {"Embedding", "from_pretrained"},
    "EmbeddingBag.from_pretrained": {"EmbeddingBag", "from_pretrained"},
    "fuse_linear_bn_eval": {"fuse_linear_bn_eval"},
    "fuse_conv_bn_eval": {"fuse_conv_bn_eval"},
    "resize_token_embeddings": {"resize_token_embeddings"},
    "set_input_embeddings": {"set_input_embeddings"},
    "set_output_embeddings": {"set_output_embeddings"},
}
# What else writes, if the tensors do not say how often they were written.
_EVERY = frozenset([name for name in dir(nn.init) if name.endswith("_") and name[0] != "_"]) | {
    *("copy_", "fill_", "zero_", "normal_", "uniform_", "exponential_", "random_", "bernoulli_"),
    *("add_", "sub_", "mul_", "div_", "clamp_", "erfinv_", "deepcopy"),
}
_DEPTH = 6  # calls inside calls; deeper ones were not met in any library

Names = frozenset[str]


@functools.lru_cache(maxsize=4096)
def of_constructor(kind: type, every: bool = False) -> Names:
    """Return what the constructor of a class uses to write without a trace.

    Functions that the constructor calls are searched too.  Functions that reset_parameters() calls
    are recorded, and not counted.  With `every`, writes that leave a trace count too; it is for
    models whose tensors have lost it.
    """
    search = _Search(_is_searched, every, frozenset())
    for name in RESETS:
        search.function(getattr(kind, name, None), kind)
    search.found.clear()
    for base in kind.__mro__:
        search.function(base.__dict__.get("__init__"), kind)
    return frozenset().union(*search.found.values())


def resets_itself(module: nn.Module) -> bool:
    """Whether the constructor of a module names its reset, which it then most likely calls."""
    starts = [base.__dict__.get("__init__") for base in type(module).__mro__]
    codes = [one.__code__ for one in starts if isinstance(one, types.FunctionType)]
    return any(name in code.co_names for code in codes for name in RESETS)


def of_callers(
    model: nn.Module, every: bool = False, places: Names = frozenset()
) -> dict[str, Names]:
    """Return the functions around this call that may write without a trace, and what they use.

    They are the user's own functions that call materialize_() or that these use before they call
    it.  Installed libraries are not searched, and neither are functions that the resets of modules
    may call, since those are recorded.  `every` is as in of_constructor().
    An assignment to one of the attributes `places` counts too.
    """
    search = _Search(_is_users, every, places)
    recorded = {"deepcopy"}  # what code around the model copies is most often the whole
    for module in model.modules():
        resets = [getattr(type(module), name, None) for name in RESETS]
        held = [one for one in vars(module).values() if callable(one)] if any(resets) else []
        recorded |= {one.__name__ for one in held if _is_traceless(one)}
        for one in (*resets, *held):
            search.function(one, type(module))
    search.found.clear()
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        if _is_users(frame.f_globals.get("__name__") or "", frame.f_code):
            search.frame(frame)
        frame = frame.f_back
    found = {name: frozenset(what - recorded) for name, what in search.found.items()}
    return {name: what for name, what in found.items() if what}


class _Search:
    """Follows functions by the names in their code, and keeps what each of them uses."""

    def __init__(
        self, searched: Callable[[str, types.CodeType], bool], every: bool, places: Names
    ) -> None:
        self.found: dict[str, set[str]] = {}
        self._searched = searched
        self._every = every
        self._places = places
        self._seen: set[types.CodeType] = set()
        self._depth = 0

    def function(self, function: Any, kind: type | None = None) -> None:
        """Search a function and what it calls; `kind` is the class of its self."""
        function = getattr(function, "__func__", function)
        if isinstance(function, functools.partial):
            function = function.func
        if not isinstance(function, types.FunctionType) or function.__code__ in self._seen:
            return
        if not self._searched(function.__module__ or "", function.__code__):
            return
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        held = {name: cell.cell_contents for name, cell in cells if _is_full(cell)}
        self.code(function.__code__, {**function.__globals__, **held}, kind)

    def frame(self, frame: types.FrameType) -> None:
        """Search what code that is running has used so far."""
        names, inner = _used(frame.f_code, frame.f_lasti)
        values = {**frame.f_globals, **frame.f_locals}
        self._names(frame.f_code, names, values, None, frame.f_lasti)
        for one in inner:  # functions with names are found by these
            if one.co_name.startswith("<"):
                self.code(one, values, None)

    def code(self, code: types.CodeType, values: Mapping[str, Any], kind: type | None) -> None:
        """Search code and the functions in it; `values` are those that its variables may have."""
        if code in self._seen or self._depth > _DEPTH:
            return
        self._seen.add(code)
        self._depth += 1
        names, inner = _used(code)
        self._names(code, names, values, kind)
        for one in inner:
            self.code(one, values, kind)
        self._depth -= 1

    def _names(
        self,
        code: types.CodeType,
        names: Used,
        values: Mapping[str, Any],
        kind: type | None,
        last: int | None = None,
    ) -> None:
        what = _writes(code, names, self._every, last)
        places = self._places | {"weight", "bias"} if self._every else self._places
        what |= {f".{name} = ..." for name in names.stored & places}
        if what:
            self.found.setdefault(code.co_name, set()).update(what)
        for name in names.attributes - set(RESETS) if kind is not None else ():
            self.function(getattr(kind, name, None), kind)
        for name in names.variables & values.keys():
            self._value(values[name], names.attributes)

    def _value(self, value: Any, names: Names) -> None:
        """Search what code may call through one of its names."""
        if _is_traceless(value):
            self.found.setdefault(value.__name__, set()).add(value.__name__)
        elif isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
            self.function(value, _self_of(value))
        elif isinstance(value, types.ModuleType):
            if value.__name__.partition(".")[0] not in _KNOWN:
                for name in names & value.__dict__.keys():
                    self.function(value.__dict__[name])
        else:
            kind = value if isinstance(value, type) else type(value)
            if issubclass(kind, nn.Module):
                called = names - {"__init__"}  # a module inside the model is searched by its type
            else:
                called = names | {"__init__", "__call__"}
            for name in called - set(RESETS):
                self.function(_attribute(kind, name), kind)


def _attribute(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _self_of(value: Any) -> type | None:
    return type(value.__self__) if isinstance(value, types.MethodType) else None


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # the variable has no value yet
        return False
    return True


def _is_traceless(value: Any) -> bool:
    return any(value is _detours.OBJECTS[name] for name in TRACELESS)


def _is_searched(module: str, _: types.CodeType) -> bool:
    return module.partition(".")[0] not in _KNOWN


_PATHS = sysconfig.get_paths()
_INSTALLED = tuple({_PATHS[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _is_users(module: str, code: types.CodeType) -> bool:
    """Whether code is the user's own, rather than an installed library's."""
    path = code.co_filename
    installed = path.startswith(_INSTALLED) or "site-packages" in path or path.startswith("<frozen")
    return not installed and _is_searched(module, code)


class Used(NamedTuple):
    """The names that code loads."""

    variables: Names
    attributes: Names
    stored: Names  # attributes that it stores, but not those of self


@functools.lru_cache(maxsize=4096)
def _used(code: types.CodeType, last: int | None = None) -> tuple[Used, tuple[types.CodeType, ...]]:
    """Return the names that code loads, and the code of the functions in it, up to an offset."""
    variables: set[str] = set()
    attributes: set[str] = set()
    stored: set[str] = set()
    inner = []
    before = None
    for one in dis.get_instructions(code):
        if last is not None and one.offset > last:
            break
        if isinstance(one.argval, types.CodeType):
            inner.append(one.argval)
        elif one.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM", "LOAD_SUPER_ATTR"):
            attributes.add(one.argval)
        elif one.opname == "STORE_ATTR" and not (before and "self" in _strings(before.argval)):
            stored.add(one.argval)
        elif one.opname.startswith("LOAD_") and one.opname != "LOAD_CONST":
            variables |= _strings(one.argval)
        before = one
    return Used(frozenset(variables), frozenset(attributes), frozenset(stored)), tuple(inner)


def _strings(value: Any) -> set[str]:
    """Return the names in an instruction's argument; some instructions have two."""
    return {one for one in (value if isinstance(value, tuple) else (value,)) if type(one) is str}


def _writes(code: types.CodeType, used: Used, every: bool, last: int | None) -> set[str]:
    names = used.variables | used.attributes
    found = set(names & TRACELESS)
    in_place = {name for name in names if name.endswith("_") and not name.endswith("__")}
    if "data" in code.co_names and _writes_data(code, bool(in_place - _HARMLESS), last):
        found.add(".data")
    found |= {function for function, needed in _CALLED.items() if needed <= names}
    return found | (names & _EVERY) if every else found


@functools.lru_cache(maxsize=4096)
def _writes_data(code: types.CodeType, in_place: bool, last: int | None) -> bool:
    """Whether code writes to the .data of something but self, as far as its instructions show."""
    loaded, stores, before, of_data = False, False, None, None
    for one in dis.get_instructions(code):
        if last is not None and one.offset > last:
            break
        of_self = before is not None and "self" in _strings(before.argval)
        if before is not None and before.opname == "LOAD_ATTR" and before.argval == "data":
            of_data = one.argval  # x.data = x.data.to(dtype) converts, and writes no other values
        if one.argval == "data" and not of_self:
            if one.opname == "STORE_ATTR" and of_data not in _CONVERSIONS:
                return True
            loaded |= one.opname in ("LOAD_ATTR", "LOAD_METHOD")
        # `data[0] = 1` and a call of a function that the code was given: init(module.weight.data)
        stores |= one.opname == "STORE_SUBSCR"
        called = before is not None and before.opname == "PUSH_NULL" and one.opname == "LOAD_FAST"
        stores |= called
        before = one
    return loaded and (in_place or stores)
