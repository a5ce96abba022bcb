"""Every initializer by name: the one literal table of functions and their rules, and the aliases.

The API is plain functions, and this table of them is written by hand; nothing registers itself.
tests/unit/test_table.py compares table, public names and aliases.  The table serves fill() of many
tensors, specs, the command line and the adapters.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ._core.arguments import nearest, shown
from .initializers.basic import (
    constant,
    constant_rule,
    normal,
    normal_rule,
    ones,
    ones_rule,
    truncated_normal,
    truncated_normal_rule,
    uniform,
    uniform_rule,
    zeros,
    zeros_rule,
)
from .initializers.identity import dirac, dirac_rule, eye, eye_rule
from .initializers.orthogonal import (
    convolutional_orthogonal,
    convolutional_orthogonal_rule,
    delta_orthogonal,
    delta_orthogonal_rule,
    orthogonal,
    orthogonal_rule,
)
from .initializers.sparse import sparse, sparse_rule
from .initializers.variance_scaling import (
    fan_in_uniform,
    fan_in_uniform_rule,
    he_normal,
    he_normal_rule,
    he_uniform,
    he_uniform_rule,
    lecun_normal,
    lecun_normal_rule,
    lecun_uniform,
    lecun_uniform_rule,
    variance_scaling,
    variance_scaling_rule,
    xavier_normal,
    xavier_normal_rule,
    xavier_uniform,
    xavier_uniform_rule,
)
from .pretrained import pretrained, pretrained_rule
from .recipes.alexnet import alexnet_bias, alexnet_bias_rule, alexnet_weight, alexnet_weight_rule
from .recipes.bilinear import bilinear, bilinear_rule
from .recipes.icnr import icnr, icnr_rule
from .recipes.idinit import idinit, idinit_rule
from .recipes.lstm import chrono_bias, chrono_bias_rule, lstm_bias, lstm_bias_rule
from .recipes.mamba import mamba_dt_bias, mamba_dt_bias_rule
from .recipes.prior_probability import prior_probability_bias, prior_probability_bias_rule
from .recipes.rwkv7 import rwkv7, rwkv7_rule
from .recipes.siren import siren, siren_rule
from .recipes.transformer import small_init, small_init_rule, wang_init, wang_init_rule
from .recipes.zero_hadamard import zero_hadamard, zero_hadamard_rule

Initializer = Callable[..., Any]

# A rule turns an initializer's own parameters, the global shape and the dtype into a draw (or a
# Write).
TABLE: dict[str, tuple[Initializer, Callable[..., Any]]] = {
    # elementwise
    "zeros": (zeros, zeros_rule),
    "ones": (ones, ones_rule),
    "constant": (constant, constant_rule),
    "uniform": (uniform, uniform_rule),
    "normal": (normal, normal_rule),
    "truncated_normal": (truncated_normal, truncated_normal_rule),
    # scaled by fans
    "variance_scaling": (variance_scaling, variance_scaling_rule),
    "xavier_uniform": (xavier_uniform, xavier_uniform_rule),
    "xavier_normal": (xavier_normal, xavier_normal_rule),
    "he_uniform": (he_uniform, he_uniform_rule),
    "he_normal": (he_normal, he_normal_rule),
    "lecun_uniform": (lecun_uniform, lecun_uniform_rule),
    "lecun_normal": (lecun_normal, lecun_normal_rule),
    "fan_in_uniform": (fan_in_uniform, fan_in_uniform_rule),
    # patterns
    "eye": (eye, eye_rule),
    "dirac": (dirac, dirac_rule),
    "sparse": (sparse, sparse_rule),
    # orthogonal matrices
    "orthogonal": (orthogonal, orthogonal_rule),
    "delta_orthogonal": (delta_orthogonal, delta_orthogonal_rule),
    "convolutional_orthogonal": (convolutional_orthogonal, convolutional_orthogonal_rule),
    # recipes
    "small_init": (small_init, small_init_rule),
    "wang_init": (wang_init, wang_init_rule),
    "siren": (siren, siren_rule),
    "alexnet_weight": (alexnet_weight, alexnet_weight_rule),
    "alexnet_bias": (alexnet_bias, alexnet_bias_rule),
    "lstm_bias": (lstm_bias, lstm_bias_rule),
    "chrono_bias": (chrono_bias, chrono_bias_rule),
    "mamba_dt_bias": (mamba_dt_bias, mamba_dt_bias_rule),
    "rwkv7": (rwkv7, rwkv7_rule),
    "prior_probability_bias": (prior_probability_bias, prior_probability_bias_rule),
    "idinit": (idinit, idinit_rule),
    "zero_hadamard": (zero_hadamard, zero_hadamard_rule),
    "bilinear": (bilinear, bilinear_rule),
    "icnr": (icnr, icnr_rule),
    # from a file
    "pretrained": (pretrained, pretrained_rule),
}
INITIALIZERS: dict[str, Initializer] = {name: function for name, (function, _) in TABLE.items()}
RULES: dict[Initializer, Callable[..., Any]] = dict(TABLE.values())

# Initializers that neither seed nor name changes, besides those that draw a constant.
SEEDLESS = ("eye", "dirac", "idinit", "zero_hadamard", "bilinear", "lstm_bias", "rwkv7")

# Pure aliases: the same function object under another name.
ALIASES: dict[str, str] = {
    "identity": "eye",
    "glorot_uniform": "xavier_uniform",
    "glorot_normal": "xavier_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "msra_uniform": "he_uniform",
    "msra_normal": "he_normal",
    "torch_linear_default": "fan_in_uniform",
}

# Parameters that initializers share.  `format`, which only sparse has, says what is returned, not
# what is drawn.
COMMON = ("shape", "seed", "name", "dtype", "out", "region", "threads", "format")


def lookup(initializer: str | Initializer) -> Initializer:
    """The function of a name or alias; a public function is returned as it is."""
    if not isinstance(initializer, str):
        if callable(initializer) and initializer in RULES:
            return initializer
        raise TypeError(
            f"{shown(initializer)} is not an initializer of fastinit; give the name of one, or its "
            "function"
        )
    function = INITIALIZERS.get(ALIASES.get(initializer, initializer))
    if function is None:
        known = (*INITIALIZERS, *ALIASES)
        hint = nearest(initializer, known) or f"known are {', '.join(sorted(known))}"
        raise ValueError(f"unknown initializer {shown(initializer)}; {hint}")
    return function


REQUIRED = inspect.Parameter.empty


@functools.cache
def own_parameters(function: Initializer) -> Mapping[str, Any]:
    """An initializer's own parameters, layout and axes included, with their defaults; REQUIRED
    stands for a parameter without one.
    """
    signature = inspect.signature(function)
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in COMMON
    }


@functools.cache
def checked_rule(function: Initializer) -> Callable[..., Any]:
    """The rule of an initializer, preceded by check_arguments."""
    rule = RULES[function]

    def checked(shape: Any, dtype: Any, /, **arguments: Any) -> Any:
        check_arguments(function, arguments)
        return rule(shape, dtype, **arguments)

    return checked


def check_arguments(function: Initializer, arguments: Mapping[str, Any]) -> None:
    """Raise TypeError for an argument that the initializer does not have, with a hint, or for a
    required argument that is missing.
    """
    own = own_parameters(function)
    missing = [
        name for name, default in own.items() if default is REQUIRED and name not in arguments
    ]
    if missing:
        raise TypeError(
            f"{function.__name__} needs the argument{'s'[: len(missing) > 1]} {', '.join(missing)}"
        )
    for argument in arguments:
        if argument not in own:
            has = f"it takes {', '.join(own)}" if own else "it takes none"
            raise TypeError(
                f"{function.__name__} has no argument {shown(argument)}; "
                f"{nearest(argument, own) or has}"
            )
