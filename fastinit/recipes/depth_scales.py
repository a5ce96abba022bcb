"""Factors that depth and architecture put on a base initializer: plain doubles, to multiply its std
or gain by.

    fi.normal(shape, std=0.02 * fi.gpt2_scale(layers=12))
    fi.xavier_normal(shape, gain=fi.deepnet_scale(encoder_layers=18).beta)

They draw nothing.  Only + - * / sqrt, and _core/math.py's log and pow where a formula needs them,
so that they are the same everywhere.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .._core import math as exact
from .._core.arguments import whole
from .._core.engine import guarded


def _fourth_root(value: float) -> float:
    return math.sqrt(math.sqrt(value))  # bits: two correctly rounded roots


@guarded
def gpt2_scale(layers: int) -> float:
    """1 / √(2·layers): for the two matrices of each layer that write to the residual stream, on the
    base std (0.02).

    Source: Radford et al., Language models are unsupervised multitask learners, 2019; Megatron-LM,
    GPT-NeoX scaled_normal, OLMo full_megatron.

    Examples
    --------
    >>> fi.gpt2_scale(layers=8)
    0.25
    """
    return 1.0 / math.sqrt(2.0 * whole(layers, "layers"))  # bits:


@guarded
def depth_scale(layer: int) -> float:
    """1 / √(2·(layer + 1)): the same by a layer's own depth, counted from 0, so that adding layers
    changes no other.

    Source: torchtitan depth_scaled_std; OLMo mitchell; OLMo-core llama_depth; BEiT fix_init_weight.

    Examples
    --------
    >>> [fi.depth_scale(layer) for layer in (1, 7)]
    [0.5, 0.25]
    """
    return 1.0 / math.sqrt(2.0 * (whole(layer, "layer", 0) + 1))  # bits:


@guarded
def fixup_scale(branches: int, layers_per_branch: int) -> float:
    """L^(−1/(2m − 2)): on he_normal (mode "fan_out") of all but the last layer of L residual
    branches of m layers.

    The last layer of every branch and the classifier are zeros, scalar biases 0, scalar multipliers
    1.

    Source: Zhang, Dauphin and Ma, Fixup initialization: residual learning without normalization,
    ICLR 2019.

    Examples
    --------
    >>> fi.fixup_scale(branches=16, layers_per_branch=2)
    0.25
    >>> fi.fixup_scale(branches=16, layers_per_branch=3)
    0.5
    """
    branches, m = whole(branches, "branches"), whole(layers_per_branch, "layers_per_branch", 2)
    if m == 2:
        return 1.0 / math.sqrt(branches)  # bits:
    if m == 3:
        return 1.0 / _fourth_root(branches)  # bits:
    return exact.pow(float(branches), -1.0 / (2 * m - 2))


@guarded
def fixup_attention_scale(encoder_layers: int, decoder_layers: int) -> float:
    """B^(−1/6), B = 2·encoder_layers + 3·decoder_layers: on the fused q, k, v weight; the output
    projection is zeros.

    Source: the authors' fairseq code of Fixup (multihead_attention_zero).

    Examples
    --------
    >>> round(fi.fixup_attention_scale(encoder_layers=14, decoder_layers=12), 12)
    0.5
    """
    encoder, decoder = (
        whole(encoder_layers, "encoder_layers", 0),
        whole(decoder_layers, "decoder_layers", 0),
    )
    blocks = 2 * encoder + 3 * decoder
    if not blocks:
        raise ValueError("encoder_layers and decoder_layers are both 0; give at least one layer")
    return exact.pow(float(blocks), -1.0 / 6.0)


_TFIXUP = ("embedding", "encoder", "encoder_value", "decoder", "decoder_value")


@guarded
def tfixup_scale(tensor: str, layers: int) -> float:
    """0.67·N^(−1/4) in the encoder, (9N)^(−1/4) in the decoder and for embeddings; × √2 for value
    projections.

    On xavier of fc1, fc2, the attention's output ("encoder", "decoder") and its values
    ("encoder_value", "decoder_value"), on N(0, 1/dim) of "embedding". Without LayerNorm and without
    warm-up.

    Parameters
    ----------
    tensor : one of those five.
    layers : N, of the tensor's own side.

    Source: Huang et al., Improving transformer optimization through better initialization, ICML
    2020, and its code.

    Examples
    --------
    >>> fi.tfixup_scale("encoder", layers=16), round(fi.tfixup_scale("decoder_value", layers=9), 12)
    (0.335, 0.471404520791)
    """
    if tensor not in _TFIXUP:
        raise ValueError(f"tensor is {tensor!r:.80}; give one of {', '.join(_TFIXUP)}")
    count = whole(layers, "layers")
    factor = (
        0.67 / _fourth_root(count)
        if tensor.startswith("encoder")
        else 1.0 / _fourth_root(9.0 * count)
    )
    return factor * math.sqrt(2.0) if tensor.endswith("value") else factor


class DeepNet(NamedTuple):
    """alpha multiplies the residual (α·x + f(x), then the norm); beta the gain of fc1, fc2, value
    and output.

    Examples
    --------
    >>> fi.deepnet_scale(encoder_layers=8).alpha
    2.0
    """

    alpha: float
    beta: float


def _sides(encoder_layers: Any, decoder_layers: Any, part: Any) -> tuple[int, int]:
    encoder, decoder = (
        whole(encoder_layers, "encoder_layers", 0),
        whole(decoder_layers, "decoder_layers", 0),
    )
    if not encoder and not decoder:
        raise ValueError("encoder_layers and decoder_layers are both 0; give at least one layer")
    if encoder and decoder:
        if part not in ("encoder", "decoder"):
            raise ValueError(
                f"part is {part!r:.80}; of an encoder-decoder say which: 'encoder' or 'decoder'"
            )
    elif part is not None and part != ("encoder" if encoder else "decoder"):
        raise ValueError(
            f"part is {part!r:.80}, but there are {encoder} encoder and {decoder} decoder layers"
        )
    return encoder, decoder


@guarded
def deepnet_scale(
    *, encoder_layers: int = 0, decoder_layers: int = 0, part: str | None = None
) -> DeepNet:
    """α = (2N)^¼, β = (8N)^−¼; of both sides 0.81·(N⁴M)^1/16, 0.87·(N⁴M)^−1/16 (encoder), (3M)^¼,
    (12M)^−¼ (decoder).

    N encoder, M decoder layers. β goes on the gain of xavier for fc1, fc2, value and output; q and
    k keep gain 1.

    Parameters
    ----------
    part : "encoder" or "decoder", needed only where both have layers.

    Source: Wang et al., DeepNet: scaling transformers to 1,000 layers, 2022, figure 2. torchscale
    divides an encoder-decoder's encoder by (N⁴M)^1/16 / 1.15, that is β = 1.15·(N⁴M)^−1/16, against
    the paper's 0.87.

    Examples
    --------
    >>> fi.deepnet_scale(encoder_layers=8), fi.deepnet_scale(decoder_layers=2).beta
    (DeepNet(alpha=2.0, beta=0.35355339059327373), 0.5)
    """
    encoder, decoder = _sides(encoder_layers, decoder_layers, part)
    if not (encoder and decoder):
        layers = encoder or decoder
        return DeepNet(_fourth_root(2.0 * layers), 1.0 / _fourth_root(8.0 * layers))
    if part == "decoder":
        return DeepNet(_fourth_root(3.0 * decoder), 1.0 / _fourth_root(12.0 * decoder))
    depth = _fourth_root(_fourth_root(float(encoder**4 * decoder)))
    return DeepNet(0.81 * depth, 0.87 / depth)


@guarded
def subln_scale(
    *, encoder_layers: int = 0, decoder_layers: int = 0, part: str | None = None
) -> float:
    """Alone: √ln(2N). Encoder-decoder: encoder √(ln(3M)·ln(2N) / 3), decoder √ln(3M). N encoder, M
    decoder layers.

    A gain for xavier of fc1, fc2, value and output projections; q and k keep gain 1.

    Source: Wang et al., Foundation transformers (Magneto), 2022; torchscale subln.

    Examples
    --------
    >>> round(fi.subln_scale(decoder_layers=12), 12)
    1.782709687624
    """
    encoder, decoder = _sides(encoder_layers, decoder_layers, part)
    if not (encoder and decoder):
        return math.sqrt(exact.log(2.0 * (encoder or decoder)))  # bits:
    if part == "decoder":
        return math.sqrt(exact.log(3.0 * decoder))  # bits:
    return math.sqrt(exact.log(3.0 * decoder) * exact.log(2.0 * encoder) / 3.0)  # bits:
