"""Make a spec from the config.json of a model that transformers knows.

The model is built on the meta device, and its code determines how each tensor is initialized.  This
module draws nothing and allocates no memory for weights.  ../torch/_describe.py reads the model's
code.  torch and transformers are imported on demand.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _table
from .._core import dtypes, fill
from .._core.arguments import path_text, said, shown, shown_path
from .._core.draws import Draw
from .._core.dtypes import DType
from ..typing import Dtype, PathLike, Write
from . import words
from .blocks import Patched, block_rule
from .errors import SpecError
from .saved import saved_names
from .spec import COMPUTED, Entry, Spec

if TYPE_CHECKING:
    from ..torch._describe import Described

CONFIG = "config.json"
_COPIED = ("generation_config.json",)
_CONSTANTS = {"zeros": 0, "ones": 1}


def is_config(path: object) -> bool:
    """Whether a path is a model's folder or its config.  A config is a JSON file with the key
    model_type or architectures.
    """
    if not isinstance(path, (str, os.PathLike)):
        return False
    name = path_text(path, "spec")
    if os.path.isdir(name):
        return os.path.isfile(os.path.join(name, CONFIG))
    return name.lower().endswith(".json") and bool(_content(name).keys() & _MARKS)


_MARKS = {"model_type", "architectures"}


def _content(name: str) -> dict[str, Any]:
    try:
        with open(name, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}  # the reader of specs then reports what is wrong
    return content if isinstance(content, dict) and "tensors" not in content else {}


def build(path: PathLike, dtype: Dtype | None = None) -> tuple[str, DType | None, Any]:
    """Return the path of a config, the dtype of its weights if one is given, and its model on the
    meta device.
    """
    name = path_text(path)
    name = os.path.join(name, CONFIG) if os.path.isdir(name) else name
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ImportError(
            f"{shown_path(name)} is a model's config, which needs torch and transformers "
            f"({error}); install "
            "'fastinit-weights[torch]' and transformers"
        ) from None
    kind = None if dtype is None else dtypes.resolve(dtype)
    if kind is not None and not kind.is_float:
        raise ValueError(f"dtype is {kind.name}; give a floating dtype")
    try:
        config = transformers.AutoConfig.from_pretrained(name, local_files_only=True)
        architecture = (config.architectures or [None])[0]
        model_class = getattr(transformers, str(architecture), None)
        if model_class is None:
            raise SpecError(
                f"names the architecture {shown(architecture)}, which transformers "
                f"{transformers.__version__} does not have",
                name,
            )
        with torch.device("meta"):
            model = model_class._from_config(config)
    except SpecError:
        raise
    except Exception as error:
        # transformers may raise any exception here: each model checks its config differently.
        raise SpecError(
            f"transformers {transformers.__version__} cannot build a model from it: "
            f"{type(error).__name__}: {said(error)}",
            name,
        ) from error
    return name, kind, model


def load_config(path: PathLike, dtype: Dtype | None = None) -> Spec:
    """Resolve a Hugging Face model's config to a spec of the weights that its code initializes.

    Raises
    ------
    SpecError
        transformers does not know the model, or a tensor that nothing covers.
    ImportError
        torch or transformers is missing.
    """
    name, kind, model = build(path, dtype)
    import torch

    from ..torch._describe import describe
    from ..torch.construct import construction

    quantization = getattr(model.config, "quantization_config", None)
    if quantization:
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise SpecError(
            f"has a quantization_config ({method or 'of no quant_method'}): such checkpoints hold "
            "packed weights, which no initializer draws; fastinit dummy fills them with small "
            "values, and without that key the model's own weights are drawn",
            name,
        )
    wanted = None if kind is None else getattr(torch, kind.name)
    described, uncovered = describe(model, None, wanted)
    if uncovered:  # only a constructor writes these, so record it as it runs
        with construction() as made:
            model = type(model)._from_config(model.config)
        described, uncovered = describe(model, made, wanted)
    if uncovered:
        first, why = next(iter(uncovered.items()))
        raise SpecError(
            f"nothing says how {len(uncovered)} tensors of {type(model).__name__} are initialized, "
            f"such as {shown(first)}: {why}",
            name,
        )
    entries = tuple(entry_of(one) for one in described)
    tied = {other: one.name for one in described for other in one.tied}
    return Spec(
        name, entries, {"format": "pt"}, None, companions(name, kind), tied, saved_names(model)
    )


def companions(name: str, kind: DType | None) -> dict[str, bytes]:
    """Read the config and the files that belong to it.  Only the config's dtype is changed."""
    with open(name, "rb") as file:
        content = file.read()
    if kind is not None:
        try:
            config = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SpecError(f"is not JSON: {error}", name) from error
        if not isinstance(config, dict):
            raise SpecError("is not a JSON object", name)
        key = "dtype" if "dtype" in config else "torch_dtype"
        if config.get(key) != kind.name:
            config[key] = kind.name
            content = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    others = {}
    for other in _COPIED:
        path = os.path.join(os.path.dirname(os.path.abspath(name)), other)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                others[other] = file.read()
    return {**others, CONFIG: content}


# ------------------------------------------------------------------------------------- the entries


def entry_of(one: Described) -> Entry:
    """Make the entry of a described tensor.

    It is one initializer, possibly with constant blocks, or a short table of values.  Otherwise
    the entry runs torch's code.
    """
    found = None if one.fills is None else _as_initializer(one)
    if found is None and one.seedless:
        found = _as_table(one)
    if found is not None:
        return found

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        one.write(target.view, seed, threads)

    return Entry(one.name, one.shape, one.dtype, COMPUTED, {}, write)


def _as_table(one: Described) -> Entry | None:
    bits = np.empty(one.shape, one.dtype.unsigned)
    one.write(bits, 0, None)
    found = words.recognized(bits, one.dtype)
    if found is None:
        return None
    initializer, own = found
    if initializer not in words.RULES:
        return _simple(one, initializer, own, [])
    rule = words.RULES[initializer](one.shape, one.dtype, **own)
    return Entry(one.name, one.shape, one.dtype, initializer, own, rule)


def _as_initializer(one: Described) -> Entry | None:
    fills = one.fills or ()
    if not math.prod(one.shape):
        return _simple(one, "zeros", {}, [])
    if not fills or not fills[0].view.plain:
        return None
    blocks = []
    for part in fills[1:]:
        value = part.arguments.get("value", _CONSTANTS.get(part.initializer))
        if value is None or part.initializer not in ("constant", *_CONSTANTS):
            return None
        blocks.append(
            {"start": list(part.view.starts), "size": list(part.view.sizes), "value": value}
        )
    return _simple(one, fills[0].initializer, dict(fills[0].arguments), blocks)


def _simple(
    one: Described, initializer: str, arguments: dict[str, Any], blocks: list[dict[str, Any]]
) -> Entry | None:
    initializer = _table.ALIASES.get(initializer, initializer)
    function = _table.INITIALIZERS[initializer]
    decided = fill.decide(_table.RULES[function], one.shape, one.dtype, arguments)
    rule: Draw | Patched | Write = decided
    if blocks:
        patched = block_rule(decided, one.shape, one.dtype, blocks)
        if patched is None:
            return None
        rule, arguments = patched, {**arguments, "blocks": blocks}
    return Entry(one.name, one.shape, one.dtype, initializer, arguments, rule)
