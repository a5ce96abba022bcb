"""Every initializer by name: the literal tables of functions, their rules and their aliases.

Plain functions are the API and these tables are written by hand from them; tests/test_catalog.py
holds tables, public names and aliases together.  They serve the many-tensor door, specs, the CLI
and the adapters; nothing registers itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from . import _fill, _orthogonal, _sparse, pretrained, recipes
from . import initializers as f
from ._engine import guarded
from .initializers import elementwise, patterns, scaled, xavier_he_lecun
from .recipes import biases, structured, weights

Initializer = Callable[..., Any]

INITIALIZERS: dict[str, Initializer] = {
    # values drawn alone
    "zeros": f.zeros,
    "ones": f.ones,
    "constant": f.constant,
    "uniform": f.uniform,
    "normal": f.normal,
    "truncated_normal": f.truncated_normal,
    # scaled by fans
    "variance_scaling": f.variance_scaling,
    "xavier_uniform": f.xavier_uniform,
    "xavier_normal": f.xavier_normal,
    "he_uniform": f.he_uniform,
    "he_normal": f.he_normal,
    "lecun_uniform": f.lecun_uniform,
    "lecun_normal": f.lecun_normal,
    "fan_in_uniform": f.fan_in_uniform,
    # patterns
    "eye": f.eye,
    "dirac": f.dirac,
    "sparse": f.sparse,
    # orthogonal matrices
    "orthogonal": f.orthogonal,
    "delta_orthogonal": f.delta_orthogonal,
    "convolutional_orthogonal": f.convolutional_orthogonal,
    # recipes
    "small_init": recipes.small_init,
    "wang_init": recipes.wang_init,
    "siren": recipes.siren,
    "alexnet_weight": recipes.alexnet_weight,
    "alexnet_bias": recipes.alexnet_bias,
    "lstm_bias": recipes.lstm_bias,
    "chrono_bias": recipes.chrono_bias,
    "prior_probability_bias": recipes.prior_probability_bias,
    "idinit": recipes.idinit,
    "zero_hadamard": recipes.zero_hadamard,
    "bilinear": recipes.bilinear,
    # from a file
    "pretrained": pretrained.pretrained,
}

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

# What turns an initializer's own parameters, the global shape and the dtype into a draw (or a
# Write).
RULES: dict[Initializer, Callable[..., Any]] = {
    f.zeros: elementwise.zeros_rule,
    f.ones: elementwise.ones_rule,
    f.constant: elementwise.constant_rule,
    f.uniform: elementwise.uniform_rule,
    f.normal: elementwise.normal_rule,
    f.truncated_normal: elementwise.truncated_normal_rule,
    f.variance_scaling: scaled.variance_scaling_rule,
    f.xavier_uniform: xavier_he_lecun.xavier_uniform_rule,
    f.xavier_normal: xavier_he_lecun.xavier_normal_rule,
    f.he_uniform: xavier_he_lecun.he_uniform_rule,
    f.he_normal: xavier_he_lecun.he_normal_rule,
    f.lecun_uniform: xavier_he_lecun.lecun_uniform_rule,
    f.lecun_normal: xavier_he_lecun.lecun_normal_rule,
    f.fan_in_uniform: scaled.fan_in_uniform_rule,
    f.eye: patterns.eye_rule,
    f.dirac: patterns.dirac_rule,
    f.sparse: _sparse.sparse_rule,
    f.orthogonal: _orthogonal.orthogonal_rule,
    f.delta_orthogonal: _orthogonal.delta_orthogonal_rule,
    f.convolutional_orthogonal: _orthogonal.convolutional_orthogonal_rule,
    recipes.small_init: weights.small_init_rule,
    recipes.wang_init: weights.wang_init_rule,
    recipes.siren: weights.siren_rule,
    recipes.alexnet_weight: weights.alexnet_weight_rule,
    recipes.alexnet_bias: biases.alexnet_bias_rule,
    recipes.lstm_bias: biases.lstm_bias_rule,
    recipes.chrono_bias: biases.chrono_bias_rule,
    recipes.prior_probability_bias: biases.prior_probability_bias_rule,
    recipes.idinit: structured.idinit_rule,
    recipes.zero_hadamard: structured.zero_hadamard_rule,
    recipes.bilinear: structured.bilinear_rule,
    pretrained.pretrained: pretrained.pretrained_rule,
}

# What initializers take beside their own parameters; `format`, sparse's alone, says what comes
# back, not what is drawn.
COMMON = ("shape", "seed", "name", "dtype", "out", "region", "threads", "format")


def lookup(initializer: str | Initializer) -> Initializer:
    """The function of a name or alias; a public function is returned as it is."""
    if not isinstance(initializer, str):
        if callable(initializer) and initializer in RULES:
            return initializer
        raise TypeError(
            f"{initializer!r:.80} is no initializer of fastinit; give its name or its function"
        )
    function = INITIALIZERS.get(ALIASES.get(initializer, initializer))
    if function is None:
        from difflib import get_close_matches  # only on the way to an error

        known = (*INITIALIZERS, *ALIASES)
        near = get_close_matches(initializer.lower(), known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
        raise ValueError(f"unknown initializer {initializer!r:.80}; {hint}")
    return function


REQUIRED = inspect.Parameter.empty


@functools.cache
def own_parameters(function: Initializer) -> Mapping[str, Any]:
    """An initializer's own parameters and their defaults (REQUIRED: none), those of layout and axes
    among them.
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


def _named_rule(initializer: Any) -> tuple[str, Callable[..., Any]]:
    function = lookup(initializer)
    return function.__name__, checked_rule(function)


def check_arguments(function: Initializer, arguments: Mapping[str, Any]) -> None:
    """TypeError for an argument that the initializer does not have, with the nearest one, or for
    one that it misses.
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
            from difflib import get_close_matches

            near = get_close_matches(str(argument), own, 1, 0.5)
            has = f"it takes {', '.join(own)}" if own else "it takes none"
            raise TypeError(
                f"{function.__name__} has no argument {argument!r}; "
                + (f"did you mean {near[0]!r}?" if near else has)
            )


# ------------------------------------------------------------------------------------- many tensors


@guarded
def fill(
    entries: Any,
    *,
    seed: Any = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> _fill.Report:
    """Fill many tensors in one parallel batch, each as its initializer would with seed=seed,
    name=its name.

    Parameters
    ----------
    entries : a mapping name -> (buffer, initializer[, arguments]), or an iterable of (buffer,
        initializer[, arguments[, name[, region[, shape]]]]). An initializer is a name, an alias or
        the function; arguments are a dict of its own; a region needs shape.
    seed : one for all, None draws one; the report has it.
    progress : called now and then with the number of values drawn since.

    Returns
    -------
    Report
        filled, values, bytes, seconds, seed, entries (name, initializer, shape, region, dtype,
        stream, values of each).

    Raises
    ------
    ValueError, TypeError
        Before a byte is written, with the entry: whatever its initializer would raise; buffers that
        overlap.

    Examples
    --------
    >>> w, b = np.empty((2, 2), np.float32), np.ones(2, np.float32)
    >>> fi.fill({"w": (w, "he_normal"), "b": (b, "zeros")}, seed=0).values
    6
    """
    return _fill.fill(entries, _named_rule, seed=seed, threads=threads, progress=progress)
