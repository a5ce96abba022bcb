"""Changes a transformers config to other widths, for a coordinate check.

This module knows which fields grow with the width, and makes the check's models and batch.
transformers is imported on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from .. import _table
from .._core.arguments import shown

# Fields that may hold the width of a model; the first one that is present counts.
WIDTH = ("hidden_size", "n_embd", "d_model")
# Other widths, which grow with it.
INNER = (
    "intermediate_size",
    "n_inner",
    "d_ff",
    "ffn_dim",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
    "word_embed_proj_dim",
    "q_lora_rank",
    "kv_lora_rank",
)
# Numbers of heads, which also grow with it.  The size of a head is the same at every width.
HEADS = (
    "num_attention_heads",
    "n_head",
    "num_heads",
    "encoder_attention_heads",
    "decoder_attention_heads",
)
KEY_VALUE_HEADS = "num_key_value_heads"
HEAD_SIZE = ("head_dim", "d_kv")
LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "num_decoder_layers",
    "encoder_layers",
    "decoder_layers",
)
VOCABULARY = "vocab_size"

SEQUENCES, TOKENS = 4, 32  # the size of the default batch


class Scaled(NamedTuple):
    """The models and the batch that a config gives for the widths of a check."""

    make_model: Callable[[int], nn.Module]
    said: str
    batch: dict[str, torch.Tensor]


def factory(config: Any, widths: Sequence[int]) -> Scaled:
    """Make float32 models of a transformers config at these widths, and random tokens for them."""
    fields = config.to_dict()
    width_field = next((name for name in WIDTH if isinstance(fields.get(name), int)), None)
    if width_field is None:
        raise ValueError(
            f"{type(config).__name__} has none of the fields {', '.join(WIDTH)}, one of which must "
            "say how wide the model is; give the config of its language model, or a function of "
            "the width"
        )
    base = fields[width_field]
    inner = [name for name in INNER if isinstance(fields.get(name), int)]
    heads = [name for name in HEADS if isinstance(fields.get(name), int)]
    head_size = next((name for name in HEAD_SIZE if isinstance(fields.get(name), int)), None)
    shrink = _shrink(fields, heads, head_size, base, widths)
    grown_heads = [*heads, *([KEY_VALUE_HEADS] if fields.get(KEY_VALUE_HEADS) else [])]

    def make_model(width: int) -> nn.Module:
        changed = {width_field: width, "dtype": "float32"}
        changed |= {name: max(1, round(fields[name] * width / base)) for name in inner}
        changed |= {name: fields[name] * width * shrink // base for name in grown_heads}
        if head_size is not None:
            changed[head_size] = fields[head_size] // shrink
        own = type(config).from_dict({**fields, **changed})
        model: nn.Module = _model_class(config)._from_config(own)
        return model.eval()  # dropout would add noise to every size

    said = f"grown with {width_field}: {', '.join([*inner, *grown_heads]) or 'nothing else'}"
    if heads:
        size = _head_size(fields, heads, head_size, base)
        said += f" (heads of {size // shrink}{f', not {size}' if shrink > 1 else ''})"
    return Scaled(make_model, said, _tokens(fields.get(VOCABULARY)))


def limited(
    config: Any, layers: int | None = None, vocabulary: int | None = None
) -> tuple[Any, str]:
    """Return a config with at most the given numbers of layers and tokens, and what was changed.

    Parameters
    ----------
    config : transformers.PretrainedConfig, or path
        A config, or a folder or file that AutoConfig reads.
    layers, vocabulary : int, optional
        None leaves them.
    """
    config = loaded(config)
    fields = config.to_dict()
    changed: dict[str, Any] = {}
    for limit, names in ((layers, LAYERS), (vocabulary, (VOCABULARY,))):
        for name in names:
            if limit is not None and isinstance(fields.get(name), int) and fields[name] > limit:
                changed[name] = limit
    said = ", ".join([f"{name} {value} of {fields[name]}" for name, value in changed.items()])
    kinds = fields.get("layer_types")
    if layers is not None and isinstance(kinds, list):
        changed["layer_types"] = kinds[:layers]
    if VOCABULARY in changed:
        # The smaller vocabulary may lack these tokens.  Also, padding would mask the first token.
        changed |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    return type(config).from_dict({**fields, **changed}), said


def loaded(config: Any) -> Any:
    """Return a transformers config, read from a file if it is given as a path."""
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"the coordinate check of a config needs transformers ({error}); install it, or give a "
            "function of the width"
        ) from None
    if isinstance(config, transformers.PretrainedConfig):
        return config
    try:
        return transformers.AutoConfig.from_pretrained(config, local_files_only=True)
    except Exception as error:
        # transformers may raise any error here, because each model checks its config differently.
        raise ValueError(
            f"{shown(config)}: transformers reads no config from it "
            f"({type(error).__name__}: {str(error):.200})"
        ) from error


def _model_class(config: Any) -> Any:
    import transformers

    for architecture in config.architectures or []:
        found = getattr(transformers, str(architecture), None)
        if found is not None:
            return found
    for auto in (transformers.AutoModelForCausalLM, transformers.AutoModelForMaskedLM):
        if type(config) in auto._model_mapping:
            return auto._model_mapping[type(config)]
    raise ValueError(
        f"{type(config).__name__} has neither an architecture that this transformers knows nor a "
        "language model of its kind; set its field architectures, or give a function of the width"
    )


def _head_size(fields: dict[str, Any], heads: list[str], head_size: str | None, base: int) -> int:
    return int(fields[head_size] if head_size is not None else base // fields[heads[0]])


def _shrink(
    fields: dict[str, Any],
    heads: list[str],
    head_size: str | None,
    base: int,
    widths: Sequence[int],
) -> int:
    """Return the factor by which heads must be smaller than in the config.

    The factor is the same at every width.  It makes the number of heads, and of groups of queries,
    a whole number at every width.
    """
    if not heads:
        return 1
    size = _head_size(fields, heads, head_size, base)
    least = [fields[name] for name in (*heads, KEY_VALUE_HEADS) if fields.get(name)]
    for factor in (1, 2, 4, 8, 16, 32, 64):
        if size % factor or size // factor < 4:
            break
        if all(count * width * factor % base == 0 for width in widths for count in least):
            return factor
    step = next(step for step in range(1, base + 1) if all(c * step % base == 0 for c in least))
    raise ValueError(
        f"widths {', '.join(map(str, widths))} do not hold whole heads of {size} units"
        f"{', or of 1/2, 1/4, ... of it' if size >= 8 else ''}; give multiples of {step}"
    )


def _tokens(vocabulary: Any) -> dict[str, torch.Tensor]:
    """Draw random token ids, which also serve as the labels."""
    if not isinstance(vocabulary, int):
        return {}
    uniform = _table.INITIALIZERS["uniform"]
    drawn = uniform((SEQUENCES, TOKENS), low=0.0, high=1.0, seed=0, name="tokens", dtype="float64")
    tokens = torch.from_numpy((drawn * vocabulary).astype("int64"))
    return {"input_ids": tokens, "labels": tokens}
