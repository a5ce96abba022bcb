"""laws(): how a model's initial values are distributed, from any description of the model; as TOML
that people can read, keep and compare.

../_laws.py defines laws and folds names.  ../torch, ../jax/laws.py and ../keras.py read a model's
code.  This module draws nothing.  audit.py checks whether a file follows its laws.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from .. import _laws, checkpoint
from .._core import engine
from .._core.arguments import described, path_text, real, shown
from .._laws import Law, fold
from ..checkpoint import Spec, SpecError, words
from ..checkpoint.config import is_config
from ..checkpoint.describe import inline
from ..checkpoint.source import AnySpec, Source, read
from ..typing import Sizes

VERSION = 1
_NUMBERS = ("mean", "std", "low", "high", "sigma", "center", "zeros")


class TorchModule(Protocol):
    """A torch.nn.Module, without importing torch."""

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]: ...


class KerasModel(Protocol):
    """A keras.Model, without importing Keras."""

    @property
    def weights(self) -> Any: ...


Described: TypeAlias = AnySpec | Spec | Sequence[Law] | TorchModule | KerasModel  # all have laws


@engine.guarded
def laws(source: Described) -> list[Law]:
    """One line for each group of tensors: how their initial values are distributed.

    Parameters
    ----------
    source : str, path, mapping, Spec, list of Law, or model
        A preset; a spec; a Hugging Face model's folder or config.json; a checkpoint that fastinit
        wrote; a file of laws; a torch module or a Keras model. For JAX call fastinit.jax.laws.

    Returns
    -------
    list of Law
        Sorted by name; a table for pandas.DataFrame.

    Raises
    ------
    ValueError
        Nothing of this kind, or a mistake in it.

    See Also
    --------
    laws_toml : The same as text.
    compare_laws : What differs between two of them.

    Examples
    --------
    >>> from fastinit import inspection
    >>> for law in inspection.laws("gpt2")[2:4]:
    ...     print(law.name, law.tensors, law.shape, law.numbers())
    transformer.h.{0..11}.attn.c_attn.weight 12 (768, 2304) normal, mean 0, std 0.02
    transformer.h.{0..11}.attn.c_proj.bias 12 (768,) constant 0
    """
    if isinstance(source, Spec):
        return _of_spec(source)
    if isinstance(source, (list, tuple)) and all(isinstance(one, Law) for one in source):
        return fold(laws_by_name(source).values())
    if isinstance(source, (str, os.PathLike)):
        return _of_path(source)
    if isinstance(source, Mapping):
        return _of_spec(checkpoint.load(source))
    return _of_model(source)


def _of_path(path: str | os.PathLike[str]) -> list[Law]:
    name = path_text(path)
    if name.endswith(".toml") and os.path.isfile(name):
        source = read(path)
        if "laws" in source.content:
            return _parse(source)
    if name.endswith(".safetensors"):
        return _of_spec(checkpoint.spec_of(path))
    if os.path.isdir(name) and any(one.endswith(".safetensors") for one in os.listdir(name)):
        # A folder by another writer describes the draws only through its config.
        ours = "fastinit.spec" in checkpoint.files(path)[0].metadata
        if ours or not is_config(path):
            return _of_spec(checkpoint.spec_of(path))
    return _of_spec(checkpoint.load(path))


def _of_spec(spec: Spec) -> list[Law]:
    found = []
    saved: dict[str, dict[str, Sizes]] = {}
    for name, (source, shape) in spec.saved.items():
        saved.setdefault(source, {})[name] = shape
    for entry in spec.entries:
        why = "computed by the model's own code" if entry.initializer == "computed" else None
        if entry.initializer in words.RULES:
            seedless = entry.initializer in words.SEEDLESS
            why = "a table of values" if seedless else "packed bits, which have no law"
        if why is not None:
            found.append(_laws.unknown(entry.name, entry.shape, why))
        else:
            found.append(_laws.law(entry.name, entry.shape, entry.initializer, entry.arguments))
        if entry.name in saved:
            found[-1] = _laws.with_saved(found[-1], saved[entry.name])
    shapes = {entry.name: entry.shape for entry in spec.entries}
    found += [
        Law(name, 1, shapes[first], _laws.TIED, rule=f"tied to {first}")
        for name, first in spec.tied.items()
    ]
    return fold(found)


def _of_model(model: Any) -> list[Law]:
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    # Check for Keras first: on the torch backend, a Keras model is also a torch module.
    if keras is not None and isinstance(model, keras.Model):
        from ..keras import laws as of_keras

        return of_keras(model)
    if torch is not None and isinstance(model, torch.nn.Module):
        from ..torch import laws as of_torch

        return of_torch(model)
    raise TypeError(
        f"{shown(model)} is neither a path, a spec, a torch module nor a Keras model; of JAX's "
        "parameters give fastinit.jax.laws(init, *arguments)"
    )


def laws_by_name(laws: Iterable[Law]) -> dict[str, Law]:
    """Take groups apart: the law of each tensor, by its name.

    Parameters
    ----------
    laws : iterable of Law
        Groups or single tensors.

    Returns
    -------
    dict
        From name to Law.

    Raises
    ------
    ValueError
        Two groups that name one tensor.
    """
    found: dict[str, Law] = {}
    for group in _each(laws):
        for name in _laws.names(group.name):
            if name in found:
                raise ValueError(f"two laws name the tensor {shown(name)}")
            found[name] = group._replace(name=name, tensors=1)
    return found


# ------------------------------------------------------------------------------------------ as text


def laws_toml(laws: Iterable[Law]) -> str:
    """Laws as the text of a .toml file: one line a group, sorted, numbers to seven digits.

    The same laws give the same text.

    Parameters
    ----------
    laws : iterable of Law
        As laws() returns them.

    Returns
    -------
    str
        TOML; laws() reads a file of it.

    Examples
    --------
    >>> from fastinit import inspection
    >>> print(inspection.laws_toml(inspection.laws({"tensors": {
    ...     "w": {"shape": [8, 4], "initializer": "normal", "std": 0.02}}})), end="")
    # How initial values are distributed; compare: fastinit laws --check THIS_FILE MODEL
    version = 1
    <BLANKLINE>
    [laws]
    "w" = { shape = [8, 4], law = "normal", mean = 0.0, std = 0.02, rule = "normal(std=0.02)" }
    """
    lines = [
        "# How initial values are distributed; compare: fastinit laws --check THIS_FILE MODEL",
        f"version = {VERSION}",
        "",
        "[laws]",
    ]
    lines += [f"{inline(law.name)} = {inline(_content(law))}" for law in _each(laws)]
    return "\n".join(lines) + "\n"


def _each(laws: Any) -> list[Law]:
    """The laws in a list from the caller."""
    found: list[Law] = []
    several = isinstance(laws, Iterable) and not isinstance(laws, (str, bytes))
    for one in laws if several else [None]:
        if not isinstance(one, Law):  # seen at once: an iterator may have no end
            raise TypeError(f"laws must be a list of Law, as laws() gives, not {described(laws)}")
        found.append(one)
    return found


def _content(law: Law) -> dict[str, Any]:
    content: dict[str, Any] = {"shape": list(law.shape), "law": law.law}
    if law.law == "constant":
        content["value"] = _digits(law.mean)
    else:
        for what in _NUMBERS:
            if getattr(law, what) is not None:
                content[what] = _digits(getattr(law, what))
    if law.fan_in is not None:
        content["fan"] = [law.fan_in, law.fan_out]
    if law.blocks:
        content["blocks"] = list(law.blocks)
    if law.rule:
        content["rule"] = law.rule
    if law.note:
        content["note"] = law.note
    if law.saved:
        content["saved"] = [{"name": name, "shape": list(shape)} for name, shape in law.saved]
    return content


def _digits(value: float | None) -> float:
    return float(f"{value or 0.0:.7g}")


def _parse(source: Source) -> list[Law]:
    """The laws of a parsed file."""
    version = source.content.get("version")
    if version != VERSION:
        raise source.error(f"is of version {shown(version)}; this fastinit reads {VERSION}")
    table = source.content["laws"]
    if not isinstance(table, dict) or not table:
        raise source.error("laws must be a table of names, and not empty", "laws")
    found = []
    for name, content in table.items():
        try:
            group = _read(name, content)
            count = sum(1 for _ in _laws.names(name))
        except (ValueError, TypeError, KeyError) as error:
            text = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise source.error(f"{shown(name)}: {text}", "laws", name) from None
        found.append(group._replace(tensors=count))
    try:
        return fold(laws_by_name(found).values())
    except ValueError as error:
        raise SpecError(str(error), source.label) from None


_KEYS = {"shape", "law", "value", *_NUMBERS, "fan", "blocks", "rule", "note", "saved"}


def _read(name: str, content: Any) -> Law:
    if not isinstance(content, dict):
        raise TypeError("a law must be a table { shape = […], law = … }")
    for key in content:
        if key not in _KEYS:
            raise ValueError(f"unknown key {shown(key)}; allowed are {', '.join(sorted(_KEYS))}")
    shape, kind = content["shape"], content["law"]
    if not _is_shape(shape):
        raise ValueError(f"shape is {shown(shape)}; it must be a list of whole numbers")
    if not isinstance(kind, str):
        raise ValueError(f"law is {shown(kind)}; it must be text")
    for key in ("value", *_NUMBERS):
        if key in content:
            real(content[key], key)
    if kind == "constant":
        law = _laws.constant(name, tuple(shape), content["value"])
    else:
        numbers: dict[str, Any] = {key: float(content[key]) for key in _NUMBERS if key in content}
        law = Law(name, 1, tuple(shape), kind)._replace(**numbers)
        needed = {
            "normal": ("mean", "std"),
            "uniform": ("low", "high"),
            "truncated_normal": ("mean", "std", "sigma"),
        }.get(kind, ())
        for key in needed:
            if getattr(law, key) is None:
                raise KeyError(key)
    fan = content.get("fan", [None, None])
    blocks = content.get("blocks", [])
    if not isinstance(fan, list) or len(fan) != 2 or not _is_shape(content.get("fan", [])):
        raise ValueError(f"fan is {shown(fan)}; it must be [fan_in, fan_out]")
    if not isinstance(blocks, list) or not all(_is_block(one, len(shape)) for one in blocks):
        raise ValueError("blocks must be a list of tables {start = […], size = […], value = …}")
    saved = content.get("saved", [])
    if not isinstance(saved, list) or not all(map(_is_saved, saved)):
        raise ValueError("saved must be a list of tables {name = …, shape = […]}")
    return law._replace(
        fan_in=fan[0],
        fan_out=fan[1],
        blocks=tuple(blocks),
        rule=str(content.get("rule", "")),
        note=str(content.get("note", "")),
        saved=tuple((one["name"], tuple(one["shape"])) for one in saved),
    )


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(one) is int and 0 <= one < 1 << 63 for one in shape)


def _is_saved(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and one.keys() == {"name", "shape"}
        and isinstance(one["name"], str)
        and _is_shape(one["shape"])
    )


def _is_block(block: Any, axes: int) -> bool:
    return (
        isinstance(block, dict)
        and block.keys() == {"start", "size", "value"}
        and all(
            isinstance(block[key], list)
            and len(block[key]) == axes
            and all(type(one) is int and one >= 0 for one in block[key])
            for key in ("start", "size")
        )
        and type(block["value"]) in (int, float)
        and abs(block["value"]) < math.inf
    )


def laws_json(laws: Iterable[Law]) -> str:
    """Laws as JSON: a list of objects with the fields of Law.

    Parameters
    ----------
    laws : iterable of Law
        As laws() returns them.

    Returns
    -------
    str
        JSON.
    """
    return json.dumps([one._asdict() for one in _each(laws)], indent=1, ensure_ascii=False)


# ---------------------------------------------------------------------------------------- comparing


def compare_laws(one: Described, two: Described) -> list[tuple[Law | None, Law | None]]:
    """What differs between the laws of two models: for each tensor that does, both laws.

    Parameters
    ----------
    one, two : str, path, mapping, Spec, list of Law, or model
        Anything that laws() accepts. The rules' names and the fans may differ where the
        distributions are the same, and numbers by one in a million, as in float32 arithmetic.

    Returns
    -------
    list of pairs of Law
        None where a model has no tensor of that name. Empty if there is no difference.

    See Also
    --------
    difference : The same as text.

    Examples
    --------
    >>> from fastinit import inspection
    >>> rules = [{"match": "*", "initializer": "normal", "std": 0.02}]
    >>> one = {"tensors": {"h.0.w": [8, 4], "h.1.w": [8, 4]}, "rules": rules}
    >>> two = {**one, "rules": [{"match": "*", "initializer": "he_normal"}]}
    >>> print(inspection.difference(inspection.compare_laws(one, two)))
    - h.{0,1}.w (8, 4): normal, mean 0, std 0.02
    + h.{0,1}.w (8, 4): normal, mean 0, std 0.7071068
    """
    ours, theirs = laws_by_name(laws(one)), laws_by_name(laws(two))
    pairs = []
    for name in sorted({*ours, *theirs}, key=_laws.natural):
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or not _alike(a, b):
            pairs.append((a, b))
    return pairs


def _alike(one: Law, two: Law) -> bool:
    if (one.shape, one.law) != (two.shape, two.law):
        return False
    if one.law == _laws.TIED:
        return one.rule == two.rule
    if sorted(map(repr, one.blocks)) != sorted(map(repr, two.blocks)):
        return False
    return all(_near(getattr(one, what), getattr(two, what)) for what in _NUMBERS)


def _near(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return one is two
    return math.isclose(one, two, rel_tol=1e-6)


def difference(pairs: Iterable[tuple[Law | None, Law | None]]) -> str:
    """The pairs of compare_laws() as lines that begin with - and +, one for each group of tensors.

    Parameters
    ----------
    pairs : iterable of pairs of Law
        As compare_laws() returns them.

    Returns
    -------
    str
        "" if there is no difference.
    """
    lines = []
    # Tensors share a line only if they agree in the laws of both sides.
    groups: dict[Any, list[tuple[Law | None, Law | None]]] = {}
    for pair in pairs if isinstance(pairs, Iterable) else [None]:
        if not _is_pair(pair):
            raise TypeError(
                f"pairs must be those that compare_laws() gives, not {described(pairs)}"
            )
        key = tuple(None if one is None else _shown(one) for one in pair)
        groups.setdefault(key, []).append(pair)
    for group in groups.values():
        for side, sign in ((0, "-"), (1, "+")):
            there = [one for pair in group if (one := pair[side]) is not None]
            lines += [
                (_laws.natural(law.name), side, f"{sign} {law.name} {_shown(law)}")
                for law in fold([law._replace(rule=_tie(law), note="") for law in there])
            ]
    return "\n".join(text for _, _, text in sorted(lines))


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, tuple)
        and len(pair) == 2
        and all(one is None or isinstance(one, Law) for one in pair)
    )


def _tie(law: Law) -> str:
    return law.rule if law.law == _laws.TIED else ""


def _shown(law: Law) -> str:
    known = _tie(law) or law.numbers() or law.law
    return f"{law.shape}: {known}"
