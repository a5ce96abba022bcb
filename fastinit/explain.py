"""explain: what an initializer would fill, in one line, for people and for the command line.

It computes what a fill would use, with the same rules, and draws nothing.
"""

from __future__ import annotations

from typing import Any

from . import _table
from ._core import engine
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
from ._core.shapes import parse_shape
from ._core.stream import check_seed, stream_id
from .fans import fans
from .pretrained import find_for
from .typing import Dtype, Initializer, Name, Seed, Shape

_AXES = ("layout", "in_axis", "out_axis", "batch_axis", "groups")


@engine.guarded
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

    Numbers are written as doubles, then as hexadecimal floats: of the double, and as rounded to the
    type it is drawn in.

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
        All that the fill would raise before it reads values from a file.
    OSError
        A file that cannot be opened.

    See Also
    --------
    fill : Fills tensors and reports what it did.
    info : What draws here.

    Examples
    --------
    >>> text = fi.explain("he_normal", (64, 32, 3, 3), name="conv1.weight", seed=0)
    >>> print(text.replace("; ", "\\n").replace(", a the", ",\\n  a the"))
    he_normal (64, 32, 3, 3) float32: N(0, 2 / ((1 + a²)·n)),
      a the negative slope, n the fan of the mode: He normal
    negative_slope=0.0, gain=1.0, mode='fan_in'
    fan_in 288, fan_out 576
    mean 0, std 0.08333333333333333 (0x1.5555555555555p-4, in float32 0x1.555556p-4)
    stream 0x6818e6bd312c03df (name 'conv1.weight')
    seed 0
    """
    function = _table.lookup(initializer)
    _table.check_arguments(function, arguments)
    sizes, kind, rule = parse_shape(shape), resolve(dtype), _table.RULES[function]
    used = {**_table.own_parameters(function), **arguments}
    parts = [f"{function.__name__} {sizes} {kind.name}: {_formula(function)}"]
    given = {key: value for key, value in used.items() if key not in _AXES or key in arguments}
    if given:
        parts.append(", ".join(f"{key}={value!r}" for key, value in given.items()))
    if "in_axis" in used and 0 not in sizes and used.get("fan_in") is None:
        parts.append(
            "fan_in {}, fan_out {}".format(*fans(sizes, **{key: used[key] for key in _AXES}))
        )
    draw = rule(sizes, kind, **arguments)
    if function is _table.pretrained:  # its rule does not open the file
        find_for(sizes, kind, used["path"], used["tensor"], used["rest"])
    if isinstance(draw, Draw):
        parts.append(
            _numbers(draw, rule(sizes, FLOAT64, **arguments) if kind.is_float else draw, kind)
        )
    stream = stream_id(name)
    if seed is not None:
        seed = check_seed(seed)
    if not _is_seeded(function, draw, arguments):
        parts.append("no seed is used")
    else:
        parts.append(f"stream {stream:#018x} ({'no name' if name is None else f'name {name!r}'})")
        parts.append("a new seed every call" if seed is None else f"seed {seed}")
    return "; ".join(parts)


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
        return result.draw != CONSTANT
    if function is _table.pretrained:
        return arguments.get("rest") is not None
    return function.__name__ not in _table.SEEDLESS


def _numbers(draw: Draw, exact: Draw, dtype: DType) -> str:
    """Parameters of a draw: `exact` is the same draw for float64, whose parameters are the
    unrounded doubles.
    """
    if draw.draw == CONSTANT:
        value = decode(draw.numbers()["bits"], dtype)
        return f"value {value!r}" + (f" ({float(value).hex()})" if dtype.is_float else "")
    note = ""
    numbers = exact.numbers()
    named: dict[str, float] = {
        what: numbers[what] for what in ("mean", "std", "low") if what in numbers
    }
    if draw.draw == UNIFORM:
        named["high"] = smallest_above(numbers["highest"], FLOAT64)
    elif draw.draw == TRUNCATED_NORMAL:
        low = named["low"] = largest_below(numbers["lowest"], FLOAT64)
        high = named["high"] = smallest_above(numbers["highest"], FLOAT64)
        mean, std = named["mean"], named["std"]
        if min(mean - low, high - mean) > 10.0 * std:
            note = " (bounds beyond 10 std: nothing is truncated)"
        else:
            from ._core.math import truncated_std

            left = std * truncated_std((low - mean) / std, (high - mean) / std)
            note = f" (std after truncation {left:.6g})"
    shown = {
        what: f"{value!r} ({_hex(value, dtype)})" if value else "0" for what, value in named.items()
    }
    return ", ".join(f"{what} {value}" for what, value in shown.items()) + note


def _hex(value: float, dtype: DType) -> str:
    """The double as a hexadecimal float; and what a draw in float32 makes of it, without the zeros
    at its end.
    """
    if dtype.wide:
        return value.hex()
    digits, exponent = rounded(value, dtype.working).hex().split("p")
    return f"{value.hex()}, in float32 {digits.rstrip('0').rstrip('.')}p{exponent}"
