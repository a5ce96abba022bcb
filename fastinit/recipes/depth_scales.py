"""Factors of depth and architecture on a base initializer: plain doubles that multiply its std or
gain.

    fi.normal(shape, std=0.02 * fi.gpt2_scale(layers=12))
    fi.xavier_normal(shape, gain=fi.deepnet_scale(encoder_layers=18).beta)

They draw nothing.  They use only + - * / sqrt, and log and pow of _core/math.py where a formula
needs them, so that they are the same on every machine.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, SupportsIndex

from .._core import math as exact
from .._core.arguments import choice, shown, whole
from .._core.engine import guarded


def _fourth_root(value: float) -> float:
    return math.sqrt(math.sqrt(value))  # bits: two correctly rounded roots


@guarded
def gpt2_scale(
    layers: SupportsIndex,
) -> float:
    """1 / √(2·layers): GPT-2's factor on the std of matrices that write to the residual stream.

    Each layer has two such matrices; their base std is 0.02.

    Parameters
    ----------
    layers : int
        Number of layers of the model, at least 1.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        `layers` below 1.

    See Also
    --------
    depth_scale : The same, by the depth of each layer.
    wang_init : GPT-J's rule for the same matrices.

    Notes
    -----
    From [1]_; also used by Megatron-LM, GPT-NeoX (scaled_normal) and OLMo (full_megatron).

    References
    ----------
    .. [1] Radford et al., Language models are unsupervised multitask learners, 2019.

    Examples
    --------
    >>> fi.gpt2_scale(layers=8)
    0.25
    """
    return 1.0 / math.sqrt(2.0 * whole(layers, "layers"))  # bits:


_GPT2 = {"wte": 0.02, "wpe": 0.01, "weight": 0.02, "residual": 0.02}


@guarded
def gpt2_std(
    tensor: Literal["wte", "wpe", "weight", "residual"],
    layers: SupportsIndex | None = None,
) -> float:
    """0.02, but 0.01 for wpe and 0.02 / √(2·layers) for residual matrices: GPT-2's stds.

    Parameters
    ----------
    tensor : {"wte", "wpe", "weight", "residual"}
        The token embedding, the position embedding, a matrix, or one of the two matrices of each
        layer that write to the residual stream.
    layers : int, optional
        Number of layers of the model; only "residual" needs it.

    Returns
    -------
    float
        The std of a `normal` with mean 0.

    Raises
    ------
    ValueError
        An unknown tensor; `layers` missing for "residual", or below 1.

    See Also
    --------
    gpt2_scale : The factor of the residual matrices.
    normal : The initializer.

    Notes
    -----
    The stds are those of OpenAI's code (src/model.py), and the factor is that of [1]_. transformers
    draws wpe with std 0.02.

    References
    ----------
    .. [1] Radford et al., Language models are unsupervised multitask learners, 2019.

    Examples
    --------
    >>> fi.gpt2_std("wpe"), fi.gpt2_std("residual", layers=8)
    (0.01, 0.005)
    """
    choice(tensor, "tensor", _GPT2)
    if tensor != "residual":
        return _GPT2[tensor]
    if layers is None:
        raise ValueError(
            "layers is missing; the std of a residual matrix depends on it, so give it"
        )
    return _GPT2[tensor] * gpt2_scale(layers)  # bits:


@guarded
def depth_scale(
    layer: SupportsIndex,
) -> float:
    """1 / √(2·(layer + 1)): gpt2_scale, by the depth of each layer.

    Adding layers to a model does not change the layers before them.

    Parameters
    ----------
    layer : int
        Depth of the layer, counted from 0.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        `layer` below 0.

    See Also
    --------
    gpt2_scale : The same for all layers.

    Notes
    -----
    From torchtitan (depth_scaled_std), OLMo (mitchell), OLMo-core (llama_depth) and BEiT
    (fix_init_weight).

    Examples
    --------
    >>> [fi.depth_scale(layer) for layer in (1, 7)]
    [0.5, 0.25]
    """
    return 1.0 / math.sqrt(2.0 * (whole(layer, "layer", 0) + 1))  # bits:


@guarded
def fixup_scale(
    branches: SupportsIndex,
    layers_per_branch: SupportsIndex,
) -> float:
    """L^(−1/(2m − 2)): Fixup's factor for L residual branches of m layers.

    It multiplies he_normal with mode "fan_out" in every layer of a branch but the last. The last
    layer of each branch and the classifier are zeros, scalar biases are 0 and scalar multipliers 1.

    Parameters
    ----------
    branches : int
        Number L of residual branches.
    layers_per_branch : int
        Number m of layers in each, at least 2.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        `branches` below 1; `layers_per_branch` below 2.

    See Also
    --------
    fixup_attention_scale : For transformers.
    he_normal : The base initializer, which takes it as gain.

    Notes
    -----
    Formula in [1]_.

    References
    ----------
    .. [1] Zhang, Dauphin and Ma, Fixup initialization: residual learning without normalization,
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
def fixup_attention_scale(
    encoder_layers: SupportsIndex,
    decoder_layers: SupportsIndex,
) -> float:
    """B^(−1/6), B = 2·encoder_layers + 3·decoder_layers: Fixup's factor for attention.

    It multiplies the fused weight of q, k and v; the output projection is zeros.

    Parameters
    ----------
    encoder_layers, decoder_layers : int
        Layers of the two sides, at least one in total.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        No layers.

    See Also
    --------
    fixup_scale : For convolutional networks.

    Notes
    -----
    From the authors' fairseq code of [1]_ (multihead_attention_zero).

    References
    ----------
    .. [1] Zhang, Dauphin and Ma, Fixup initialization: residual learning without normalization,
           ICLR 2019.

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
def tfixup_scale(
    tensor: Literal["embedding", "encoder", "encoder_value", "decoder", "decoder_value"],
    layers: SupportsIndex,
) -> float:
    """0.67·N^(−1/4) in the encoder, (9N)^(−1/4) in the decoder: T-Fixup, without LayerNorm.

    It multiplies xavier for fc1, fc2 and the attention's output and value projections, and
    N(0, 1/dim) for the embedding. Value projections take √2 times the factor of their side, and the
    embedding takes the decoder's factor. T-Fixup needs no warm-up of the learning rate.

    Parameters
    ----------
    tensor : {"embedding", "encoder", "encoder_value", "decoder", "decoder_value"}
        The tensors that the factor is for.
    layers : int
        Number N of layers of the side that the tensor belongs to.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        An unknown tensor; `layers` below 1.

    See Also
    --------
    xavier_uniform : The base initializer, which takes it as gain.

    Notes
    -----
    Formulas from [1]_ and its code.

    References
    ----------
    .. [1] Huang, Perez, Ba and Volkovs, Improving transformer optimization through better
           initialization, ICML 2020.

    Examples
    --------
    >>> fi.tfixup_scale("encoder", layers=16), round(fi.tfixup_scale("decoder_value", layers=9), 12)
    (0.335, 0.471404520791)
    """
    if tensor not in _TFIXUP:
        raise ValueError(f"tensor is {shown(tensor)}; give one of {', '.join(_TFIXUP)}")
    count = whole(layers, "layers")
    factor = (
        0.67 / _fourth_root(count)
        if tensor.startswith("encoder")
        else 1.0 / _fourth_root(9.0 * count)
    )
    return factor * math.sqrt(2.0) if tensor.endswith("value") else factor


class DeepNet(NamedTuple):
    """DeepNet's two factors: alpha for the residual, beta for the gain.

    A layer computes norm(α·x + f(x)), and β is the gain of fc1, fc2, value and output.

    Parameters
    ----------
    alpha : float
        Factor of the residual.
    beta : float
        Gain of the weights.

    See Also
    --------
    deepnet_scale : The function that returns it.

    Notes
    -----
    See [1]_.

    References
    ----------
    .. [1] Wang et al., DeepNet: scaling transformers to 1,000 layers, 2022, figure 2.

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
                f"part is {shown(part)}; the model has both, so give 'encoder' or 'decoder'"
            )
    elif part is not None and part != ("encoder" if encoder else "decoder"):
        raise ValueError(
            f"part is {shown(part)}, but there are {encoder} encoder and {decoder} decoder layers; "
            "leave part out"
        )
    return encoder, decoder


@guarded
def deepnet_scale(
    *,
    encoder_layers: SupportsIndex = 0,
    decoder_layers: SupportsIndex = 0,
    part: Literal["encoder", "decoder"] | None = None,
) -> DeepNet:
    """α = (2N)^(1/4), β = (8N)^(−1/4): DeepNet's factors on the residual and on the gain.

    With N encoder and M decoder layers, the encoder has 0.81·(N⁴M)^(1/16) and 0.87·(N⁴M)^(−1/16),
    the decoder (3M)^(1/4) and (12M)^(−1/4). β is the gain of xavier for fc1, fc2, value and output;
    q and k keep gain 1.

    Parameters
    ----------
    encoder_layers, decoder_layers : int, default 0
        Layers of the two sides; at least one of them must have layers.
    part : {"encoder", "decoder"}, optional
        The side that is initialized; needed only if both have layers.

    Returns
    -------
    DeepNet
        The two factors, `alpha` and `beta`.

    Raises
    ------
    ValueError
        No layers; a `part` that is missing, unknown, or without layers.

    See Also
    --------
    subln_scale : Sub-LN's gain.
    xavier_normal : The base initializer, which takes β as gain.

    Notes
    -----
    Formulas in [1]_. For the encoder of an encoder-decoder, torchscale divides by
    (N⁴M)^(1/16) / 1.15, so its β is 1.15·(N⁴M)^(−1/16) where the paper has 0.87.

    References
    ----------
    .. [1] Wang et al., DeepNet: scaling transformers to 1,000 layers, 2022, figure 2.

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
    *,
    encoder_layers: SupportsIndex = 0,
    decoder_layers: SupportsIndex = 0,
    part: Literal["encoder", "decoder"] | None = None,
) -> float:
    """√ln(2N), N the layers of the one side: Sub-LN's gain.

    With N encoder and M decoder layers it is √(ln(3M)·ln(2N) / 3) in the encoder and √ln(3M) in the
    decoder. It is the gain of xavier for fc1, fc2, value and output; q and k keep gain 1.

    Parameters
    ----------
    encoder_layers, decoder_layers : int, default 0
        Layers of the two sides; at least one of them must have layers.
    part : {"encoder", "decoder"}, optional
        The side that is initialized; needed only if both have layers.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    ValueError
        No layers; a `part` that is missing, unknown, or without layers.

    See Also
    --------
    deepnet_scale : DeepNet's factors.
    xavier_normal : The base initializer, which takes it as gain.

    Notes
    -----
    Formulas in [1]_ and torchscale.

    References
    ----------
    .. [1] Wang et al., Foundation transformers (Magneto), ICML 2023.

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
