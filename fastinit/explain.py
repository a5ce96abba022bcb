"""explain: one line on what an initializer would fill, for people and for the command line.

It applies the rules that a fill applies, and draws nothing.
"""

from __future__ import annotations

import math
from typing import Any

from ._core import engine
from ._core.arguments import shown_path
from ._core.draws import Draw
from ._core.dtypes import (
    CONSTANT,
    FLOAT64,
    TRUNCATED_NORMAL,
    UNIFORM,
    DType,
    decode,
    largest_below,
    resolve,
    rounded,
    smallest_above,
)
from ._core.shapes import count, parse_shape
from ._core.stream import check_seed, stream_id
from .fans import fans
from .pretrained import find_for
from .typing import Dtype, Initializer, Name, Seed, Shape

_AXES = ("layout", "in_axis", "out_axis", "batch_axis", "groups")

# The numbers of a draw, in the order in which they are shown.
NUMBERS = ("value", "mean", "std", "low", "high")


def explain(
    initializer: Initializer,
    shape: Shape,
    *,
    name: Name | None = None,
    seed: Seed | None = None,
    dtype: Dtype = "float32",
    **arguments: Any,
) -> str:
    """One line on what an initializer fills: formula, fans, std or bounds, stream.

    Each number is written as a double, then as two hexadecimal floats: the double, and the number
    rounded to the type that the values are drawn in.

    Parameters
    ----------
    initializer : str or function
        Name, alias or function of an initializer.
    shape : int or sequence of int
        Sizes of the whole tensor.
    name : str or int, optional
        Name of the tensor.
    seed : int, optional
        Seed of the fill.
    dtype : str or dtype, default "float32"
        Dtype of the tensor.
    **arguments : any
        The initializer's own arguments.

    Returns
    -------
    str
        The line, its parts separated by semicolons.

    Raises
    ------
    TypeError, ValueError
        Anything that the fill would raise before it reads values from a file.
    OSError
        The file cannot be opened.

    See Also
    --------
    fill : Fills tensors and reports what it did.
    info : Which engine draws on this machine.

    Examples
    --------
    >>> text = fi.explain("he_normal", (64, 32, 3, 3), name="conv1.weight", seed=0)
    >>> print(text.replace("; ", "\\n").replace(", a the", ",\\n  a the"))
    he_normal (64, 32, 3, 3) float32: N(0, gain²·2 / ((1 + a²)·n)),
      a the negative slope, n the fan of the mode: He normal
    negative_slope=0.0, gain=1.0, mode='fan_in'
    fan_in 288, fan_out 576
    mean 0, std 0.08333333333333333 (0x1.5555555555555p-4, in float32 0x1.555556p-4)
    stream 0x6818e6bd312c03df (name 'conv1.weight')
    seed 0
    """
    return _line(facts(initializer, shape, name=name, seed=seed, dtype=dtype, **arguments))


@engine.guarded
def facts(
    initializer: Initializer,
    shape: Shape,
    *,
    name: Name | None = None,
    seed: Seed | None = None,
    dtype: Dtype = "float32",
    **arguments: Any,
) -> dict[str, Any]:
    """What explain says, as data that JSON can hold, for the command line.

    Keys that do not apply are absent: the fans, the numbers of a draw ("mean", "std", "low",
    "high", "value"), the effect of truncation, the stream, and the seed.  The seed is None if every
    call draws a new one.
    """
    from . import _table  # not at the top: it imports every recipe (see __init__.__getattr__)

    function = _table.lookup(initializer)
    _table.check_arguments(function, arguments)
    sizes, kind, rule = parse_shape(shape), resolve(dtype), _table.RULES[function]
    count(sizes, kind)  # raises for a shape that no memory holds
    used = {**_table.own_parameters(function), **arguments}
    found: dict[str, Any] = {
        "initializer": function.__name__,
        "shape": sizes,
        "dtype": kind.name,
        "formula": _formula(function),
        "arguments": {
            key: value for key, value in used.items() if key not in _AXES or key in arguments
        },
    }
    if "in_axis" in used and 0 not in sizes and used.get("fan_in") is None:
        found["fan_in"], found["fan_out"] = fans(sizes, **{key: used[key] for key in _AXES})
    draw = rule(sizes, kind, **arguments)
    if function is _table.pretrained:  # its rule does not open the file
        find_for(sizes, kind, used["path"], used["tensor"], used["rest"])
    if isinstance(draw, Draw):
        exact = rule(sizes, FLOAT64, **arguments) if kind.is_float else draw
        found |= _numbers(draw, exact, kind)
    stream = stream_id(name)
    if seed is not None:
        seed = check_seed(seed)
    if _is_seeded(function, draw, arguments):
        found |= {"stream": f"{stream:#018x}", "name": name, "seed": seed}
    return found


def _line(found: dict[str, Any]) -> str:
    """The facts as one line."""
    parts = ["{initializer} {shape} {dtype}: {formula}".format(**found)]
    if found["arguments"]:
        parts.append(", ".join(f"{key}={value!r}" for key, value in found["arguments"].items()))
    if "fan_in" in found:
        parts.append("fan_in {fan_in}, fan_out {fan_out}".format(**found))
    numbers = [f"{what} {number(found, what)}" for what in NUMBERS if what in found]
    if numbers:
        note = f" ({found['truncation']})" if "truncation" in found else ""
        parts.append(", ".join(numbers) + note)
    parts += [] if "stream" not in found else [f"stream {stream(found)}"]
    return "; ".join([*parts, seed_used(found)])


def _formula(function: Any) -> str:
    """The first paragraph of the docstring, which is the formula."""
    text = function.__doc__
    if text is None:  # python -OO removes docstrings; the source has them
        import ast
        import inspect
        import textwrap

        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        text = ast.get_docstring(tree.body[0]) or function.__name__  # type: ignore[arg-type]
    return " ".join(text.split("\n\n", 1)[0].split()).rstrip(".")


def _is_seeded(function: Any, result: Any, arguments: dict[str, Any]) -> bool:
    """Whether the seed and the name affect the values."""
    if isinstance(result, Draw):
        return result.draw != CONSTANT and result.numbers().get("std") != 0
    from . import _table

    if function is _table.pretrained:
        return arguments.get("rest") is not None
    return function.__name__ not in _table.SEEDLESS


def _numbers(draw: Draw, exact: Draw, dtype: DType) -> dict[str, Any]:
    """The numbers of a draw; `exact` is the same draw in float64, with unrounded parameters."""
    if draw.draw == CONSTANT:
        return {"value": decode(draw.numbers()["bits"], dtype)}
    numbers = exact.numbers()
    found: dict[str, Any] = {
        what: numbers[what] for what in ("mean", "std", "low") if what in numbers
    }
    if draw.draw == UNIFORM:
        found["high"] = smallest_above(numbers["highest"], FLOAT64)
    elif draw.draw == TRUNCATED_NORMAL:
        low = found["low"] = largest_below(numbers["lowest"], FLOAT64)
        high = found["high"] = smallest_above(numbers["highest"], FLOAT64)
        mean, std = found["mean"], found["std"]
        if min(mean - low, high - mean) > 10.0 * std:
            found["truncation"] = "bounds beyond 10 std: nothing is truncated"
        else:
            from ._core.math import truncated_std

            left = std * truncated_std((low - mean) / std, (high - mean) / std)
            found["truncation"] = f"std after truncation {left:.6g}"
    return found


def number(found: dict[str, Any], what: str) -> str:
    """A number as a double, then as two hexadecimal floats: the double, and the number rounded to
    the type that the values are drawn in.
    """
    value, dtype = found[what], resolve(found["dtype"])
    if what == "value":
        return f"{value!r}" + (f" ({float(value).hex()})" if dtype.is_float else "")
    if not value or value in (math.inf, -math.inf):
        return f"{value:g}"
    if dtype.wide:
        return f"{value!r} ({value.hex()})"
    digits, exponent = rounded(value, dtype.working).hex().split("p")
    return f"{value!r} ({value.hex()}, in float32 {digits.rstrip('0').rstrip('.')}p{exponent})"


def stream(found: dict[str, Any]) -> str:
    """The stream of the facts, and the name that it comes from."""
    name = found["name"]
    # A long name is cut: to fold a name of megabytes takes minutes.
    text = shown_path(name) if isinstance(name, str) else repr(name)
    return f"{found['stream']} ({'no name' if name is None else f'name {text}'})"


def seed_used(found: dict[str, Any]) -> str:
    """What the facts say of the seed."""
    if "stream" not in found:
        return "no seed is used"
    return "a new seed every call" if found["seed"] is None else f"seed {found['seed']}"
