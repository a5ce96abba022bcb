"""Determine the tensors that replace a linear layer's weight in a checkpoint, from the
quantization_config of a config.json: their names, shapes, dtypes and conventional scales.

The supported formats are gptq, awq (gemm), fp8 with blocks, mxfp4 and compressed-tensors.  A config
with an unknown setting is refused, with the setting's name.  dummy_values.py determines the values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .._core import dtypes
from .._core.arguments import shown
from .._core.dtypes import DType
from . import dummy_values as values
from .spec import Entry

INT32, INT8, UINT8 = (dtypes.by_name(name) for name in ("int32", "int8", "uint8"))
FLOAT32, FLOAT16, FLOAT8 = dtypes.FLOAT32, dtypes.FLOAT16, dtypes.FLOAT8_E4M3FN

Config = Mapping[str, Any]


class Layer(NamedTuple):
    """A linear layer: its module's name, its sizes, and the dtype of the model's weights."""

    name: str
    outputs: int
    inputs: int
    dtype: DType


# Returns the tensors that replace a layer's weight, or None if the weight is kept.
Scheme = Callable[[Layer], list[Entry] | None]


class Unsaid(ValueError):
    """A quantization_config that does not determine the tensors."""


def scheme(config: Config, output: str | None) -> Scheme:
    """The scheme of linear layers.  `output` is the module that computes the model's logits, which
    most formats do not quantize.
    """
    if not isinstance(config, Mapping):
        raise Unsaid(f"quantization_config is {shown(config)}; it must be a table")
    method = config.get("quant_method")
    if not isinstance(method, str) or method not in SCHEMES:
        raise Unsaid(
            f"quantization_config has quant_method {shown(method)}; dummies are for "
            f"{', '.join(SCHEMES)}"
        )
    return SCHEMES[method](config, output)


def _known(config: Config, method: str, keys: Iterable[str], ignored: Iterable[str] = ()) -> None:
    """Refuse an unknown key, because it may change the tensors."""
    allowed = {"quant_method", *keys, *ignored}
    for key, value in config.items():
        if key not in allowed and value not in (None, False, [], {}, ""):
            raise Unsaid(f"{method}: what {shown(key)} = {shown(value)} does is not known here")


def _number(config: Config, method: str, key: str, allowed: Iterable[int] | None = None) -> int:
    """Read a whole number: one of those allowed if they are given, else at least 1."""
    value = config.get(key)
    if type(value) is int and (0 < value < 1 << 31 if allowed is None else value in allowed):
        return value
    rest = "at least 1" if allowed is None else f"one of {', '.join(map(str, allowed))}"
    raise Unsaid(f"{method}: {key} is {shown(value)}; it must be a whole number, {rest}")


def _group(config: Config, method: str, inputs: int) -> int:
    """The number of inputs of a group.  -1 means all inputs."""
    return inputs if config.get("group_size") == -1 else _number(config, method, "group_size")


def _word(config: Config, method: str, key: str, allowed: Iterable[str], default: str) -> str:
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, str) or value not in allowed:
        raise Unsaid(f"{method}: {key} is {shown(value)}; dummies are for {' or '.join(allowed)}")
    return value


def _table(config: Config, key: str) -> Config:
    value = config.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise Unsaid(f"{key} is {shown(value)}; it must be a table")
    return value or {}


def _names(config: Config, *keys: str) -> list[str] | None:
    """Read the list of names or patterns under the first of the keys that exists."""
    key = next((one for one in keys if config.get(one) is not None), None)
    value = None if key is None else config[key]
    if value is not None and not (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    ):
        raise Unsaid(f"{key} is {shown(value)}; it must be a list of names")
    return value


def _block(value: Any, key: str) -> list[int]:
    if not (
        isinstance(value, list)
        and len(value) == 2
        and all(type(size) is int and 0 < size < 1 << 31 for size in value)
    ):
        raise Unsaid(f"{key} is {shown(value)}; it must be two whole numbers, at least 1")
    return value


def _divided(layer: Layer, what: str, size: int, by: int) -> int:
    if size % by:
        raise Unsaid(f"{layer.name}: its {size} {what} are not divisible by {by}")
    return size // by


def _skips(patterns: Iterable[str] | None) -> Callable[[str], bool]:
    """Whether a module keeps its weight.  Patterns are interpreted as in transformers'
    should_convert_module.
    """
    if patterns is None:
        return lambda name: False
    boundary = r"(?:(?<=\.)|(?=\.|$))"
    try:
        found = [(re.compile(f"(?:{one}){boundary}"), one) for one in patterns]
    except re.error as error:
        raise Unsaid(f"a name of a module that stays is not a pattern: {error}") from None
    return lambda name: any(one.match(name) or name.endswith(text) for one, text in found)


def _or_output(patterns: list[str] | None, output: str | None) -> list[str]:
    return [*(patterns or ()), *([re.escape(output)] if output else ())]


# -------------------------------------------------------------------------------- integers in int32


# These keys say how the values were computed, or select a kernel.  They do not change the tensors.
_NO_TENSORS = [
    "act_group_aware",
    "backend",
    "batch_size",
    "block_name_to_quantize",
    "cache_block_outputs",
    "checkpoint_format",
    "damp_auto_increment",
    "damp_percent",
    "dataset",
    "desc_act",
    "exllama_config",
    "format",
    "is_marlin_format",
    "max_input_length",
    "meta",
    "model_file_base_name",
    "model_name_or_path",
    "model_seqlen",
    "module_name_preceding_first_block",
    "pack_dtype",
    "pad_token_id",
    "quantizer",
    "static_groups",
    "tokenizer",
    "true_sequential",
    "use_cuda_fp16",
    "use_exllama",
    "version",
]


_BLOCK = re.compile(r"\.[0-9]+\.")  # in the name of a layer in one of a model's repeated blocks


def _gptq(config: Config, output: str | None) -> Scheme:
    _known(
        config,
        "gptq",
        ("bits", "group_size", "sym", "lm_head", "modules_in_block_to_quantize"),
        _NO_TENSORS,
    )
    bits = _number(config, "gptq", "bits", (2, 4, 8))
    _group(config, "gptq", 1)  # check group_size before the first layer
    inside = config.get("modules_in_block_to_quantize")
    wanted = None if inside is None else _flat(inside)
    heads = {output} if config.get("lm_head") else set()
    # Each field of a word is a zero point of 2^(bits - 1).  This format stores it minus 1.
    zero = sum((2 ** (bits - 1) - 1) << bits * field for field in range(32 // bits))

    def layer(one: Layer) -> list[Entry] | None:
        if one.name not in heads and not _BLOCK.search(one.name):
            return None
        if wanted is not None and not one.name.endswith(tuple(wanted)):
            return None
        group = _group(config, "gptq", one.inputs)
        count = math.ceil(one.inputs / group)
        fields = 32 // bits
        zeros = (count, _divided(one, "outputs", one.outputs, fields))
        return [
            values.packed(
                f"{one.name}.qweight",
                (_divided(one, "inputs", one.inputs, fields), one.outputs),
                INT32,
            ),
            values.same(f"{one.name}.qzeros", zeros, INT32, zero)
            if config.get("sym", True)
            else values.packed(f"{one.name}.qzeros", zeros, INT32),
            values.scale(f"{one.name}.scales", (count, one.outputs), FLOAT16),
            values.groups(f"{one.name}.g_idx", one.inputs, group),
        ]

    return layer


def _flat(lists: Any) -> list[str]:
    """Flatten a list of names, or a list of such lists."""
    parts = lists if isinstance(lists, list) else [lists]
    names = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    if not all(isinstance(one, str) for one in names):
        raise Unsaid(
            f"gptq: modules_in_block_to_quantize is {shown(lists)}; it must hold lists of names"
        )
    return names


def _awq(config: Config, output: str | None) -> Scheme:
    _known(
        config,
        "awq",
        ("bits", "group_size", "zero_point", "version", "format", "modules_to_not_convert"),
        ("backend", "do_fuse", "fuse_max_seq_len", "desc_act", "sym", "exllama_config"),
    )
    for key in ("version", "format"):
        _word(config, "awq", key, ("gemm", "GEMM"), "gemm")
    bits = _number(config, "awq", "bits", (4, 8))
    _group(config, "awq", 1)
    skip = _skips(_or_output(_names(config, "modules_to_not_convert"), output))

    def layer(one: Layer) -> list[Entry] | None:
        if skip(one.name):
            return None
        count = _divided(one, "inputs", one.inputs, _group(config, "awq", one.inputs))
        columns = _divided(one, "outputs", one.outputs, 32 // bits)
        found = [
            values.packed(f"{one.name}.qweight", (one.inputs, columns), INT32),
            values.scale(f"{one.name}.scales", (count, one.outputs), FLOAT16),
        ]
        if config.get("zero_point", True):
            found.insert(1, values.packed(f"{one.name}.qzeros", (count, columns), INT32))
        return found

    return layer


# ------------------------------------------------------------------------------------- 8-bit floats


def _fp8(config: Config, output: str | None) -> Scheme:
    _known(
        config,
        "fp8",
        ("weight_block_size", "scale_fmt", "activation_scheme", "fmt", "ignored_layers")
        + ("modules_to_not_convert",),
        ("expert_dtype",),
    )
    _word(config, "fp8", "fmt", ("e4m3", "float8_e4m3fn"), "e4m3")
    _word(config, "fp8", "expert_dtype", ("fp8",), "fp8")
    static = _word(config, "fp8", "activation_scheme", ("dynamic", "static"), "dynamic")
    exponents = _word(config, "fp8", "scale_fmt", ("float", "ue8m0"), "float") == "ue8m0"
    block = config.get("weight_block_size", [128, 128])
    if block is not None:
        block = _block(block, "fp8: weight_block_size")
    patterns = _names(config, "modules_to_not_convert", "ignored_layers")
    skip = _skips(_or_output(None, output) if patterns is None else patterns)

    def layer(one: Layer) -> list[Entry] | None:
        if skip(one.name):
            return None
        shape = (one.outputs, one.inputs)
        scales = () if block is None else _blocks(shape, block)
        kind = dtypes.FLOAT8_E8M0FNU if exponents and block is not None else FLOAT32
        found = [
            values.weight(f"{one.name}.weight", shape, FLOAT8),
            values.scale(f"{one.name}.weight_scale_inv", scales, kind),
        ]
        if static == "static":
            found.append(values.scale(f"{one.name}.activation_scale", (), FLOAT32))
        return found

    return layer


def _blocks(shape: Iterable[int], block: Iterable[int]) -> tuple[int, ...]:
    return tuple(math.ceil(size / part) for size, part in zip(shape, block, strict=True))


# ------------------------------------------------------------------------------------- 4-bit floats


def _mxfp4(config: Config, output: str | None) -> Scheme:
    """Linear layers are kept.  This format only changes the tensors in experts()."""
    _known(config, "mxfp4", ("modules_to_not_convert",), ("dequantize",))
    return lambda layer: None


_EXPERTS = re.compile(r"\.experts\.(gate_up_proj|down_proj)$")


def experts(config: Config, name: str, shape: tuple[int, ...]) -> list[Entry] | None:
    """The tensors that replace one that does not belong to a linear layer.

    In mxfp4, as in GPT-OSS, a tensor of all experts, (experts, inputs, outputs), becomes blocks of
    32 inputs in 16 bytes, with one exponent per block.  Other formats are refused, because it is
    not known how they split such a tensor.
    """
    if len(shape) != 3 or not _EXPERTS.search(name):
        return None
    if _skips(_names(config, "modules_to_not_convert", "ignore"))(name.rpartition(".")[0]):
        return None
    if config["quant_method"] != "mxfp4":
        raise Unsaid(
            f"{name} has all experts of a layer in one tensor; what {config['quant_method']} makes "
            "of it is not known here"
        )
    count, inputs, outputs = shape
    blocks = _divided(Layer(name, outputs, inputs, UINT8), "inputs", inputs, 32)
    return [
        values.packed(f"{name}_blocks", (count, outputs, blocks, 16), UINT8),
        values.scale(f"{name}_scales", (count, outputs, blocks), UINT8),
    ]


# ------------------------------------------------------------------------------- compressed-tensors


def _compressed(config: Config, output: str | None) -> Scheme:
    _known(
        config,
        "compressed-tensors",
        ("config_groups", "format", "ignore", "kv_cache_scheme", "sparsity_config")
        + ("transform_config",),
        ("quantization_status", "global_compression_ratio", "version", "run_compressed"),
    )
    for key in ("kv_cache_scheme", "transform_config"):
        if config.get(key):
            raise Unsaid(f"compressed-tensors: what {key!r} adds is not known here")
    sparse = _table(config, "sparsity_config").get("format", "dense")
    if sparse != "dense":
        raise Unsaid(f"compressed-tensors: the sparsity format {shown(sparse)} is not known here")
    tables = _table(config, "config_groups")
    groups = [_table(tables, name) for name in tables]
    if not groups:
        raise Unsaid("compressed-tensors: config_groups is empty")
    ignored = _names(config, "ignore") or []

    def layer(one: Layer) -> list[Entry] | None:
        if _targeted(one.name, ignored):
            return None
        for group in groups:
            if _targeted(one.name, _names(group, "targets") or ()):
                written = group.get("format") or config.get("format")
                return _compressed_layer(one, group, str(written))
        return None

    return layer


def _targeted(name: str, targets: Iterable[str]) -> bool:
    """Whether a target matches a module: a class, a module's name, or "re:" and a pattern."""
    for target in targets:
        if target == "Linear" or target == name:
            return True
        try:
            if target.startswith("re:") and re.match(target[3:], name):
                return True
        except re.error as error:
            raise Unsaid(f"{shown(target)} is not a pattern: {error}") from None
    return False


def _compressed_layer(layer: Layer, group: Config, written: str) -> list[Entry]:
    weights = _table(group, "weights")
    inputs = _table(group, "input_activations")
    if group.get("output_activations"):
        raise Unsaid("compressed-tensors: what 'output_activations' adds is not known here")
    name, kind, shape = layer.name, weights.get("type", "int"), (layer.outputs, layer.inputs)
    bits = _number(weights, "compressed-tensors", "num_bits", (4, 8))
    symmetric = weights.get("symmetric", True)
    scales = _scale_shape(layer, weights)
    static = bool(inputs) and inputs.get("dynamic") is False
    if written == "pack-quantized" and kind == "int":
        found = [
            values.packed(
                f"{name}.weight_packed", (shape[0], math.ceil(shape[1] * bits / 32)), INT32
            ),
            values.scale(f"{name}.weight_scale", scales, layer.dtype),
            values.pair(f"{name}.weight_shape", *shape),
        ]
        if not symmetric:
            rows = math.ceil(scales[0] * bits / 32)
            found.append(values.packed(f"{name}.weight_zero_point", (rows, *scales[1:]), INT32))
        if weights.get("actorder") in ("group", True):
            size = _number(weights, "compressed-tensors", "group_size")
            found.append(values.groups(f"{name}.weight_g_idx", layer.inputs, size))
    elif (written, kind, bits) in [
        ("int-quantized", "int", 8),
        ("float-quantized", "float", 8),
        ("naive-quantized", "float", 8),
    ]:
        weight = values.packed if kind == "int" else values.weight
        found = [
            weight(f"{name}.weight", shape, INT8 if kind == "int" else FLOAT8),
            values.scale(f"{name}.weight_scale", scales, layer.dtype),
        ]
        if not symmetric:
            found.append(values.same(f"{name}.weight_zero_point", scales, INT8, 0))
    elif (written, kind, bits) == ("nvfp4-pack-quantized", "float", 4):
        found = [
            values.packed(
                f"{name}.weight_packed", (shape[0], _divided(layer, "inputs", shape[1], 2)), UINT8
            ),
            values.scale(f"{name}.weight_scale", scales, FLOAT8),
            values.global_scale(f"{name}.weight_global_scale", (1,), FLOAT32),
        ]
        if inputs:
            found.append(values.global_scale(f"{name}.input_global_scale", (1,), FLOAT32))
        return found
    else:
        raise Unsaid(
            f"compressed-tensors: the format {shown(written)} of {bits}-bit {shown(kind)} weights "
            "is not known here; dummies are for pack-quantized, int-quantized, float-quantized and "
            "nvfp4-pack-quantized"
        )
    if static:
        found.append(values.scale(f"{name}.input_scale", (1,), layer.dtype))
    return found


def _scale_shape(layer: Layer, weights: Config) -> tuple[int, ...]:
    strategy = weights.get("strategy")
    if strategy is None:
        strategy = "group" if weights.get("group_size") else "tensor"
    if strategy == "tensor":
        return (1,)
    if strategy == "channel":
        return (layer.outputs, 1)
    if strategy in ("group", "tensor_group"):
        size = _number(weights, "compressed-tensors", "group_size")
        return (layer.outputs, _divided(layer, "inputs", layer.inputs, size))
    if strategy == "block":
        block = _block(weights.get("block_structure"), "block_structure")
        return _blocks((layer.outputs, layer.inputs), block)
    raise Unsaid(f"compressed-tensors: the strategy {shown(strategy)} of weights is not known here")


SCHEMES: dict[str, Callable[[Config, str | None], Scheme]] = {
    "gptq": _gptq,
    "awq": _awq,
    "fp8": _fp8,
    "mxfp4": _mxfp4,
    "compressed-tensors": _compressed,
}
