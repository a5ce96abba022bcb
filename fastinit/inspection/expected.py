"""What the tensors of a checkpoint should be: laws, draws, or the tensors of another checkpoint.

It reads specs, configs, files of laws and headers; values are read by audit.py.
"""

from __future__ import annotations

import os
from collections.abc import Set
from typing import Any, NamedTuple

import numpy as np

from .. import _laws, _table
from .._core import fill
from .._core.arguments import path_text
from .._core.draws import Draw
from .._core.dtypes import CONSTANT, DType
from .._core.stream import stream_id
from .._laws import Law
from ..checkpoint import Spec, files, load, words
from ..checkpoint.blocks import block_rule
from ..checkpoint.config import is_config
from ..checkpoint.header import joined, own_spec
from ..checkpoint.spec import COMPUTED, Entry, not_here
from ..typing import Array, PathLike, Sizes
from .goodness import TESTED
from .laws import laws, laws_by_name
from .stored import Stored, tensors


class Expected(NamedTuple):
    """What is known of each tensor, by its name."""

    label: str  # where it comes from; "" for nothing
    laws: dict[str, Law]
    entries: dict[str, Entry]  # of those that can be drawn again
    reference: dict[str, Stored]  # of another checkpoint


def expected(path: PathLike, against: Any, there: Set[str]) -> Expected:
    """What `against` says of the tensors that are there, or without it the files' own metadata."""
    if against is None:
        if is_array_file(path):
            return Expected("", {}, {}, {})
        spec = _own(path)
        return (
            Expected("", {}, {}, {})
            if spec is None
            else _of_spec("their own metadata", spec, there)
        )
    if isinstance(against, (str, os.PathLike)):
        name = path_text(against)
        if _is_checkpoint(name):
            spec = None if is_array_file(name) else _own(name)
            if spec is not None:
                return _of_spec(name, spec, there)
            return Expected(name, {}, {}, {one.name: one for one in tensors(name)})
        found = laws(against) if name.endswith(".toml") else None
        if found is not None and _is_laws(name):
            return Expected(name, _in_file(laws_by_name(found), there), {}, {})
        return _of_spec(name, load(against), there)
    if isinstance(against, Spec):
        return _of_spec(against.label, against, there)
    if isinstance(against, dict):
        return _of_spec("the spec", load(against), there)
    return Expected("the laws", _in_file(laws_by_name(laws(against)), there), {}, {})


def is_array_file(path: PathLike) -> bool:
    """Whether a file is NumPy's, which has no metadata."""
    return path_text(path).lower().endswith((".npz", ".npy"))


def _is_checkpoint(name: str) -> bool:
    """A file of weights; a folder of them that does not say by a config what they should be."""
    if os.path.isdir(name):
        return not is_config(name)
    return is_array_file(name) or name.endswith(".safetensors")


def _is_laws(name: str) -> bool:
    from ..checkpoint.source import read

    return os.path.isfile(name) and "laws" in read(name).content


def _own(path: PathLike) -> Spec | None:
    """The spec in the metadata of the files; None where they have none."""
    found = files(path, lenient=True)
    if not all("fastinit.spec" in one.metadata for one in found):
        return None
    return joined(path_text(path), [own_spec(one) for one in found], {})


def _of_spec(label: str, spec: Spec, there: Set[str]) -> Expected:
    entries = {entry.name: entry for entry in spec.entries}
    return Expected(label, _in_file(laws_by_name(laws(spec)), there), entries, {})


def _in_file(known: dict[str, Law], there: Set[str]) -> dict[str, Law]:
    """The laws by the names that a file has for the tensors: those of a model's code, or those
    under which transformers saves them.
    """
    found: dict[str, Law] = {}
    for name, law in known.items():
        saved = {} if name in there else _laws.saved_as(law)
        if saved.keys() & there:
            found |= {part: _part(law, part, shape) for part, shape in saved.items()}
        else:
            found[name] = law
    return found


def _part(law: Law, name: str, shape: Sizes) -> Law:
    """The law of a part of a tensor: that of its values, where each is drawn alone."""
    if law.law in (*TESTED, "constant") and not law.blocks:
        return law._replace(name=name, shape=shape, fan_in=None, fan_out=None, saved=())
    if shape == law.shape:
        return law._replace(name=name, saved=())
    return _laws.unknown(name, shape, f"a part of {law.name}, whose law is {law.law}")


def in_dtype(entry: Entry, dtype: DType) -> Entry | None:
    """The entry as a file of this dtype holds it; None where its rule is not ours to repeat."""
    if entry.dtype is dtype:
        return entry
    if entry.initializer not in _table.INITIALIZERS or not dtype.is_float:
        return None
    own = {key: value for key, value in entry.arguments.items() if key != "blocks"}
    function = _table.INITIALIZERS[entry.initializer]
    rule = fill.decide(_table.RULES[function], entry.shape, dtype, own)
    if "blocks" not in entry.arguments:
        return entry._replace(dtype=dtype, rule=rule)
    patched = block_rule(rule, entry.shape, dtype, entry.arguments["blocks"])
    return None if patched is None else entry._replace(dtype=dtype, rule=patched)


def is_pattern(entry: Entry) -> bool:
    """Whether shape and arguments decide every value, and no seed, and it is not one constant."""
    if entry.initializer != COMPUTED:
        return entry.initializer in (*_table.SEEDLESS, *words.SEEDLESS)
    return entry.rule is not not_here and np.array_equal(_written(entry, 0), _written(entry, 1))


def _written(entry: Entry, seed: int) -> Array:
    """The bits of what a model's own code computes."""
    target = fill.target(entry.shape, entry.dtype.unsigned, None, None)._replace(dtype=entry.dtype)
    entry.rule(target, seed, stream_id(entry.name), 1)  # type: ignore[operator]
    return target.view


def patches(law: Law, dtype: DType) -> list[tuple[int, int, Any]] | None:
    """The constants over a law: (first, stop, bits) of flat indices; None where they are too many.

    Blocks that overlap are joined: the later one counts.
    """
    zero = Draw(CONSTANT, dtype.code, (0,))
    patched = block_rule(zero, law.shape, dtype, [dict(block) for block in law.blocks])
    return None if patched is None else list(patched.patches)


def tied_to(law: Law) -> str:
    """The tensor that a tied one is another name of, "" where the law is another one."""
    return law.rule.removeprefix("tied to ") if law.law == _laws.TIED else ""
