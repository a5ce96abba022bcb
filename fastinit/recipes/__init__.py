"""Recipes: what papers and code bases prescribe for particular models, each from its published
formula.

scales.py holds factors on the std or gain of a base initializer (GPT-2, torchtitan, Fixup, T-Fixup,
DeepNet, Sub-LN, muP); weights.py whole initializers of weights; structured.py weights without
randomness; biases.py biases.
"""

from .biases import alexnet_bias, chrono_bias, lstm_bias, prior_probability_bias
from .scales import (
    DeepNet,
    deepnet_scale,
    depth_scale,
    fixup_attention_scale,
    fixup_scale,
    gpt2_scale,
    mup_scale,
    subln_scale,
    tfixup_scale,
)
from .structured import bilinear, idinit, zero_hadamard
from .weights import alexnet_weight, mimetic, siren, small_init, wang_init

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
    "idinit",
    "lstm_bias",
    "mimetic",
    "mup_scale",
    "prior_probability_bias",
    "siren",
    "small_init",
    "subln_scale",
    "tfixup_scale",
    "wang_init",
    "zero_hadamard",
]
