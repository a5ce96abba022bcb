"""dummy() makes a spec of the tensors in a real checkpoint of a model, with small values instead of
weights.

It supports quantized checkpoints.  Dummy checkpoints are for tests of loaders and servers.

The names are those of published checkpoints, with one tensor per expert, for example.  quantized.py
determines the tensors of a quantized layer.  dummy_values.py determines the tensors' values.
materialize.py writes the files, as for any spec.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from .._core import dtypes, engine
from .._core.arguments import path_text, shown, shown_path
from .._core.dtypes import DType
from ..typing import Dtype, PathLike
from . import config, header, index, quantized
from . import dummy_values as values
from .errors import SpecError
from .load import load
from .source import AnySpec
from .spec import Entry, Spec


@engine.guarded
def dummy(source: AnySpec, dtype: Dtype | None = None) -> Spec:
    """Say what a dummy checkpoint holds: the tensors of a real one, with small values.

    Parameters
    ----------
    source : str, path or mapping
        A Hugging Face model's folder or config.json, whose quantization_config counts (gptq, awq,
        fp8, mxfp4, compressed-tensors); a safetensors file or a folder of them, of any writer, of
        which only the headers are read; or what load() takes.
    dtype : Dtype, optional
        Of the floats of a config or a spec that are not quantized, in place of the source's.

    Returns
    -------
    Spec
        For materialize() or plan().  A spec's own integers keep their rules.

    Raises
    ------
    SpecError
        A quantization_config that does not say which tensors there are; a tensor whose dtype has
        no dummy values.
    ValueError
        dtype with a checkpoint, or what load() raises.

    See Also
    --------
    load : The model's own initialization.

    Notes
    -----
    Values depend on the seed and a tensor's name alone: U(-0.001, 0.001) for floats, wider for
    8-bit ones, uniform bits for packed values, small powers of two for their scales
    (stream-v1.md, section 11).

    Examples
    --------
    >>> from fastinit import checkpoint
    >>> entry = checkpoint.dummy("gpt2", "float16").entries[0]
    >>> entry.name, entry.dtype.name, entry.initializer, entry.arguments
    ('transformer.wte.weight', 'float16', 'uniform', {'low': -0.001, 'high': 0.001})
    """
    if header.is_checkpoint(source):
        if dtype is not None:
            raise ValueError("dtype is for a config or a spec; a checkpoint has its dtypes")
        return _of_checkpoint(path_text(source))  # type: ignore[arg-type]
    if config.is_config(source):
        return _of_config(source, dtype)  # type: ignore[arg-type]
    spec = load(source, dtype)
    return spec._replace(entries=tuple(_of_entry(entry) for entry in spec.entries))


def _of_entry(entry: Entry) -> Entry:
    """Convert a spec's tensor: floats become small.  Integers and packed bits keep their rule."""
    if entry.dtype.is_float:
        return values.weight(entry.name, entry.shape, entry.dtype)
    return entry


# ------------------------------------------------------------------------------------------ configs


def _of_config(path: PathLike, dtype: Dtype | None) -> Spec:
    name, kind, model = config.build(path, dtype)
    with open(name, encoding="utf-8") as file:
        quantization = json.load(file).get("quantization_config")
    try:
        entries = tuple(_of_model(model, kind, quantization))
    except quantized.Unsaid as error:
        raise SpecError(str(error), name) from None
    return Spec(name, entries, {"format": "pt"}, None, config.companions(name, kind))


def _of_model(
    model: Any, kind: DType | None, quantization: dict[str, Any] | None
) -> Iterator[Entry]:
    from torch import nn

    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    others = [module for module in model.modules() if not isinstance(module, nn.Linear)]
    # A tied head shares its tensor with the embedding, which is not quantized.
    linear = {id(layer.weight) for layer in layers} - {
        id(tensor) for module in others for tensor in module.parameters(recurse=False)
    }
    buffers = {id(tensor) for tensor in model.buffers()}
    output = model.get_output_embeddings()
    own = {id(tensor): name for name, tensor in model.state_dict(keep_vars=True).items()}
    output_name = next((name for name, one in model.named_modules() if one is output), None)
    scheme = quantized.scheme(quantization, output_name) if quantization else None
    rules, changed = None, 0
    for name, tensor in _published(model).items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            rules = _rules(model) if rules is None else rules
            yield rules.get(name) or _zeros(name, shape, dtypes.resolve(tensor.dtype))
            continue
        drawn = dtypes.resolve(tensor.dtype)
        if kind is not None and id(tensor) not in buffers:
            drawn = kind
        # A matrix that is not in the model's state dict is one expert's slice of a tensor.
        expert = id(tensor) not in own and len(shape) == 2 and name.endswith(".weight")
        found = None
        if scheme and quantization:
            if expert or id(tensor) in linear:
                outputs, inputs = shape
                found = scheme(
                    quantized.Layer(name.removesuffix(".weight"), outputs, inputs, drawn)
                )
            else:
                found = quantized.experts(quantization, name, shape)
        changed += found is not None
        yield from found or [values.weight(name, shape, drawn)]
    if quantization and not changed:
        raise quantized.Unsaid(
            f"quantization_config ({quantization['quant_method']}) changes no tensor of "
            f"{type(model).__name__}"
        )


def _zeros(name: str, shape: tuple[int, ...], dtype: DType) -> Entry:
    return values.same(name, shape, dtype, 0)


def _published(model: Any) -> dict[str, Any]:
    """The tensors of a model's state on the meta device, under their names in its checkpoints.  A
    tied tensor appears once.
    """
    state, seen = {}, set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            state[name] = tensor
            seen.add(id(tensor))
    try:
        from transformers.core_model_loading import revert_weight_conversion
    except ImportError:  # before transformers 5, a model's names are those of its checkpoints
        return state
    return revert_weight_conversion(model, state)  # type: ignore[no-any-return]


def _rules(model: Any) -> dict[str, Entry]:
    """The entries of a model's integer tensors, from its own code, such as positions 0, 1, 2 …"""
    from ..torch._describe import describe

    described, _ = describe(model, None)
    return {one.name: config.entry_of(one) for one in described if not one.dtype.is_float}


# -------------------------------------------------------------------------------------- checkpoints

_SCALE = re.compile(r"(^|[._])scales?(_inv|_2)?$")
_PACKED = re.compile(r"[._](qweight|qzeros|weight_packed|weight_zero_point|blocks|packed)$")


def _of_checkpoint(path: str) -> Spec:
    entries = []
    for one in index.files(path):
        shapes = {tensor.name: tensor.shape for tensor in one.layout.tensors}
        for tensor in one.layout.tensors:
            entries.append(_of_tensor(one, tensor, shapes))
    others = header.beside(path, None)
    return Spec(path, tuple(entries), {"format": "pt"}, None, others)


def _of_tensor(file: index.Found, tensor: Any, shapes: dict[str, tuple[int, ...]]) -> Entry:
    """Choose dummy values for a checkpoint's tensor from its dtype and its conventional name."""
    name, shape, dtype = tensor.name, tensor.shape, tensor.dtype
    if name.endswith("g_idx") and dtype.name == "int32" and len(shape) == 1:
        scales = shapes.get(re.sub(r"g_idx$", "scales", name)) or (1,)
        return values.groups(name, shape[0], math.ceil(shape[0] / max(scales[0], 1)) or 1)
    if name.endswith("weight_shape") and dtype.name == "int64" and shape == (2,):
        return values.pair(name, *_integers(file.path, tensor))
    if name.endswith("global_scale") and dtype.is_float and dtype.itemsize > 1:
        return values.global_scale(name, shape, dtype)
    narrow = dtype.name in ("uint8", "float8_e8m0fnu")
    if dtype.name == "float8_e8m0fnu" or (_SCALE.search(name) and (dtype.is_float or narrow)):
        return values.scale(name, shape, dtype)
    if dtype.is_float:
        return values.weight(name, shape, dtype)
    if dtype.name in ("int8", "uint8", "float4_e2m1fn_x2") or (
        dtype.name == "int32" and _PACKED.search(name)
    ):
        return values.packed(name, shape, dtype)
    return _zeros(name, shape, dtype)


def _integers(path: str, tensor: Any) -> list[int]:
    """Read the values of a small int64 tensor."""
    with open(path, "rb") as stream:
        stream.seek(tensor.begin)
        raw = stream.read(tensor.end - tensor.begin)
    found = [
        int.from_bytes(raw[at : at + 8], "little", signed=True) for at in range(0, len(raw), 8)
    ]
    if not all(0 <= size < 1 << 40 for size in found):
        raise ValueError(
            f"{shown_path(path)}: {shown(tensor.name)} holds {found}, which is not a shape"
        )
    return found
