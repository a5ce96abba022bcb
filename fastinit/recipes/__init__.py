"""Recipes: what papers and code bases prescribe for particular models, each from its published
formula.

depth_scales.py and mup.py hold factors on the std or gain of a base initializer (GPT-2, torchtitan,
Fixup, T-Fixup, DeepNet, Sub-LN; muP).  Every other file holds a whole initializer of weights or
biases and is named after its function or its model.
"""

from .alexnet import alexnet_bias, alexnet_weight
from .bilinear import bilinear
from .depth_scales import (
    DeepNet,
    deepnet_scale,
    depth_scale,
    fixup_attention_scale,
    fixup_scale,
    gpt2_scale,
    gpt2_std,
    subln_scale,
    tfixup_scale,
)
from .icnr import icnr
from .idinit import idinit
from .lora import lora_orthogonal
from .lstm import chrono_bias, lstm_bias
from .mamba import mamba_dt_bias
from .mimetic import mimetic
from .mup import mup_scale
from .prior_probability import prior_probability_bias
from .rwkv7 import rwkv7
from .siren import siren
from .transformer import small_init, wang_init
from .zero_hadamard import zero_hadamard

__all__ = [
    "DeepNet",
    "alexnet_bias",
    "alexnet_weight",
    "bilinear",
    "chrono_bias",
    "deepnet_scale",
    "depth_scale",
    "fixup_attention_scale",
    "fixup_scale",
    "gpt2_scale",
    "gpt2_std",
    "icnr",
    "idinit",
    "lora_orthogonal",
    "lstm_bias",
    "mamba_dt_bias",
    "mimetic",
    "mup_scale",
    "prior_probability_bias",
    "rwkv7",
    "siren",
    "small_init",
    "subln_scale",
    "tfixup_scale",
    "wang_init",
    "zero_hadamard",
]
