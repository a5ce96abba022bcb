"""What the tensors of a checkpoint should be: laws, draws, or the tensors of another checkpoint.

This module reads specs, configs, law files and headers.  audit.py reads the values.
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
    """What is known about each tensor, by its name."""

    label: str  # the source of the information; "" if there is none
    laws: dict[str, Law]
    entries: dict[str, Entry]  # only tensors that can be drawn again
    reference: dict[str, Stored]  # the tensors of another checkpoint


def expected(path: PathLike, against: Any, there: Set[str]) -> Expected:
    """What `against`, or else the files' metadata, says about the tensors in `there`."""
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
    """Whether a file is in a NumPy format; those hold no metadata."""
    return path_text(path).lower().endswith((".npz", ".npy"))


def _is_checkpoint(name: str) -> bool:
    """Whether this is a weights file, or a folder of them without a config that describes them."""
    if os.path.isdir(name):
        return not is_config(name)
    return is_array_file(name) or name.endswith(".safetensors")


def _is_laws(name: str) -> bool:
    from ..checkpoint.source import read

    return os.path.isfile(name) and "laws" in read(name).content


def _own(path: PathLike) -> Spec | None:
    """The spec in the files' metadata; None if there is none."""
    found = files(path, lenient=True)
    if not all("fastinit.spec" in one.metadata for one in found):
        return None
    return joined(path_text(path), [own_spec(one) for one in found], {})


def _of_spec(label: str, spec: Spec, there: Set[str]) -> Expected:
    entries = {entry.name: entry for entry in spec.entries}
    return Expected(label, _in_file(laws_by_name(laws(spec)), there), entries, {})


def _in_file(known: dict[str, Law], there: Set[str]) -> dict[str, Law]:
    """The laws by the tensor names used in the file: the names in the model's code, or the names
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
    """The law of a part of a tensor: the same law, if each value is drawn independently."""
    if law.law in (*TESTED, "constant") and not law.blocks:
        return law._replace(name=name, shape=shape, fan_in=None, fan_out=None, saved=())
    if shape == law.shape:
        return law._replace(name=name, saved=())
    return _laws.unknown(name, shape, f"a part of {law.name}, whose law is {law.law}")


def in_dtype(entry: Entry, dtype: DType) -> Entry | None:
    """The entry for a file of this dtype; None if fastinit cannot repeat its rule."""
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
    """Whether shape and arguments determine all values without a seed, and these are not equal."""
    if entry.initializer != COMPUTED:
        return entry.initializer in (*_table.SEEDLESS, *words.SEEDLESS)
    return entry.rule is not not_here and np.array_equal(_written(entry, 0), _written(entry, 1))


def _written(entry: Entry, seed: int) -> Array:
    """The bits of a value that the model's code computes."""
    target = fill.target(entry.shape, entry.dtype.unsigned, None, None)._replace(dtype=entry.dtype)
    entry.rule(target, seed, stream_id(entry.name), 1)  # type: ignore[operator]
    return target.view


def patches(law: Law, dtype: DType) -> list[tuple[int, int, Any]] | None:
    """The blocks of constants in a law as (first, stop, bits) of flat indices; None if too many.

    Overlapping blocks are merged; the later block wins.
    """
    zero = Draw(CONSTANT, dtype.code, (0,))
    patched = block_rule(zero, law.shape, dtype, [dict(block) for block in law.blocks])
    return None if patched is None else list(patched.patches)


def tied_to(law: Law) -> str:
    """The tensor that this tied tensor is another name for; "" if the law is not "tied"."""
    return law.rule.removeprefix("tied to ") if law.law == _laws.TIED else ""
