"""Fills neural-network weights many times faster than torch, with the same bits on every machine,
thread count, shard layout and engine.

Every initializer is called as f(shape, *, <its own>, seed, name, dtype, out, region, threads):

shape    the global shape, from which fans are computed; may be omitted if `out` has it.
seed     an integer in [0, 2**64); None draws a new one, so that no two calls agree.
name     the tensor's name, a str or an integer: under one seed, tensors with different names have
         unrelated values, and unnamed tensors have equal values.
dtype    "float32" (or out's) by default; float64, float16, bfloat16, float8_e4m3fn, float8_e5m2;
         constants also bool and the integers.
out      any CPU buffer to fill in place: array, memmap, __array_interface__ or DLPack; it is
         returned.
region   the part of `shape` to compute, a slice or an integer for each axis: a shard has the bits
         that it has in the whole.
threads  the most threads to use; their number does not change a bit.

The promise in full: fastinit/stream-v1.md.  The names: _table.py.
"""

__distribution__ = "fastinit-weights"  # before the imports: _core/__init__.py looks for it

import importlib
from typing import TYPE_CHECKING, Any

from ._core.stream import STREAM_VERSION, new_seed
from .explain import explain
from .fans import Fans, fans
from .fill import fill
from .gain import gain
from .info import VERSION, info
from .initializers import (
    constant,
    convolutional_orthogonal,
    delta_orthogonal,
    dirac,
    eye,
    fan_in_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    sparse,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from .philox import philox4x32
from .pretrained import pretrained

if TYPE_CHECKING:
    from .data_dependent import (
        Layer,
        dense,
        lsuv,
        match_moments,
        normalize_between_layers,
        normalize_within_layers,
        weight_norm_init,
    )
    from .recipes.alexnet import alexnet_bias, alexnet_weight
    from .recipes.bilinear import bilinear
    from .recipes.depth_scales import (
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
    from .recipes.icnr import icnr
    from .recipes.idinit import idinit
    from .recipes.lora import lora_orthogonal
    from .recipes.lstm import chrono_bias, lstm_bias
    from .recipes.mamba import mamba_dt_bias
    from .recipes.mimetic import mimetic
    from .recipes.mup import mup_scale
    from .recipes.prior_probability import prior_probability_bias
    from .recipes.rwkv7 import rwkv7
    from .recipes.siren import siren
    from .recipes.transformer import small_init, wang_init
    from .recipes.zero_hadamard import zero_hadamard
else:

    def __getattr__(name: str) -> Any:
        """Imports the recipes and the methods that look at data when one is first used: they took
        a third of the import's time.
        """
        if name in __all__ or name in ("recipes", "data_dependent"):
            recipes = importlib.import_module(".recipes", __name__)
            methods = importlib.import_module(".data_dependent", __name__)
            for module in (recipes, methods):
                globals().update({one: getattr(module, one) for one in module.__all__})
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = VERSION

# Aliases, as _table.ALIASES has them.
identity = eye
glorot_uniform, glorot_normal = xavier_uniform, xavier_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
msra_uniform, msra_normal = he_uniform, he_normal
torch_linear_default = fan_in_uniform

__all__ = [
    "STREAM_VERSION",
    "DeepNet",
    "Fans",
    "Layer",
    "alexnet_bias",
    "alexnet_weight",
    "bilinear",
    "chrono_bias",
    "constant",
    "convolutional_orthogonal",
    "deepnet_scale",
    "delta_orthogonal",
    "dense",
    "depth_scale",
    "dirac",
    "explain",
    "eye",
    "fan_in_uniform",
    "fans",
    "fill",
    "fixup_attention_scale",
    "fixup_scale",
    "gain",
    "glorot_normal",
    "glorot_uniform",
    "gpt2_scale",
    "gpt2_std",
    "he_normal",
    "he_uniform",
    "identity",
    "icnr",
    "idinit",
    "info",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "lora_orthogonal",
    "lstm_bias",
    "lsuv",
    "mamba_dt_bias",
    "match_moments",
    "mimetic",
    "msra_normal",
    "msra_uniform",
    "mup_scale",
    "new_seed",
    "normal",
    "normalize_between_layers",
    "normalize_within_layers",
    "ones",
    "orthogonal",
    "philox4x32",
    "pretrained",
    "prior_probability_bias",
    "rwkv7",
    "siren",
    "small_init",
    "sparse",
    "subln_scale",
    "tfixup_scale",
    "torch_linear_default",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "wang_init",
    "weight_norm_init",
    "xavier_normal",
    "xavier_uniform",
    "zero_hadamard",
    "zeros",
]
