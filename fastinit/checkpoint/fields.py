"""Read single fields of a spec or recipe.  An invalid field is an error with its line.

A number may be an expression (expressions.py).  spec.py, rules.py and blocks.py read tables of
fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._core import dtypes
from .._core.arguments import shown
from .._core.dtypes import DType
from .expressions import RESERVED, Number, evaluate
from .source import Source, nearest


def check_keys(
    source: Source, table: Mapping[str, Any], keys: Iterable[str], what: str, *where: Any
) -> None:
    for key in table:
        if key not in keys:
            hint = nearest(key, keys) or f"; allowed are {', '.join(keys)}"
            raise source.error(f"unknown {what} {shown(key)}{hint}", *where, key)


# Arguments of pretrained, whose text may look like an expression: path = "old/model.safetensors".
TEXT = ("path", "tensor")


def check_name(source: Source, name: str, table: str) -> None:
    if not (name.isidentifier() and name.isascii()) or name in RESERVED:
        reserved = ", ".join(sorted(RESERVED))
        raise source.error(
            f"{shown(name)} must be a plain name of letters, digits and _ (not {reserved})",
            table,
            name,
        )


def read_number(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> Number:
    """Read a number or evaluate an expression."""
    if isinstance(value, str):
        try:
            return evaluate(value, names)
        except LookupError as error:
            unknown = error.args[0]
            raise source.error(
                f"unknown name {shown(unknown)} in {shown(value)}{nearest(unknown, names)}", *where
            ) from None
        except ValueError as error:
            raise source.error(str(error), *where) from None
    if type(value) not in (int, float):
        raise source.error(
            f"{shown(value)} is neither a number nor an expression in quotes", *where
        )
    return value  # type: ignore[no-any-return]


def read_whole(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> int:
    number = read_number(source, value, names, *where)
    if type(number) is not int:
        raise source.error(
            f"{shown(value)} gives {shown(number)}, which is not a whole number (// divides whole "
            "numbers)",
            *where,
        )
    if number < 0:
        raise source.error(f"{shown(value)} gives {shown(number)}; it must be at least 0", *where)
    if number >= 1 << 63:
        raise source.error(
            f"{shown(value)} gives {shown(number)}, more than any tensor can have", *where
        )
    return number


def read_dtype(source: Source, dtype: Any, *where: Any) -> DType:
    try:
        if not isinstance(dtype, str):
            raise ValueError(f"dtype must be a name in quotes, not {shown(dtype)}")
        return dtypes.by_name(dtype)
    except (ValueError, TypeError) as error:
        raise source.error(str(error), *where) from None


def read_argument(source: Source, value: Any, names: Mapping[str, Number], *where: Any) -> Any:
    """Read an argument's value.

    Text is kept as text if it is one plain word and not the name of a constant, such as "fan_out"
    in mode = "fan_out", or if the argument is one of TEXT.  Other text is an expression.
    """
    if isinstance(value, str) and where[-1] in TEXT:
        return value
    if isinstance(value, list):
        return tuple(read_argument(source, item, names, *where) for item in value)
    if isinstance(value, str) and value.isidentifier() and value not in names and value != "inf":
        return value
    return value if isinstance(value, bool) else read_number(source, value, names, *where)
