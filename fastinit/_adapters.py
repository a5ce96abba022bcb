"""What the adapters of torch, JAX and Keras share: rules by name, the ways to name an initializer,
and the error for a missing framework.

No framework is imported here.  The layers below (_table.py, _core/fill.py) know what an initializer
means and how a tensor is filled; each adapter knows what its framework calls a tensor, a seed or a
shard.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from . import _table
from ._core import DISTRIBUTION, shapes
from ._core.arguments import shown
from ._core.fill import Rule
from .typing import Sizes

Setting = tuple[str, dict[str, Any]]  # an initializer's public name and its own arguments


def missing(framework: str, extra: str, error: ImportError) -> ImportError:
    """What an adapter raises when its framework does not import."""
    return ImportError(
        f"fastinit.{extra} needs {framework}, which cannot be imported ({error}); install it with "
        f"pip install '{DISTRIBUTION}[{extra}]'"
    )


def sizes(shape: Any) -> Sizes:
    """The shape that a caller of JAX or Keras gives."""
    if shape is None:
        raise TypeError("shape is None; give the sizes of the axes")
    return shapes.parse_shape(shape)


@functools.cache
def rule(name: str) -> Rule:
    """The rule of an initializer, by its public name: a function of the global shape, the dtype and
    the initializer's arguments that returns a draw or a Write.
    """
    return _table.RULES[_table.lookup(name)]


def setting(value: Any, what: str) -> Setting:
    """The name and arguments of what a user gave as an initializer; errors call it `what`.

    It may be a name, a function, a number (a constant), a pair (initializer, arguments), a
    functools.partial of the function, or a mapping {"initializer": name, argument: value}.  The
    arguments' names are checked.
    """
    arguments: Mapping[str, Any] = {}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value, arguments = "constant", {"value": value}
    elif isinstance(value, (tuple, list)):
        if len(value) != 2 or not isinstance(value[1], Mapping):
            raise TypeError(
                f"{what} is {shown(value)}; a pair must be (initializer, dict of arguments)"
            )
        value, arguments = value
    elif isinstance(value, Mapping):
        if "initializer" not in value:
            raise ValueError(
                f"{what} is {shown(dict(value))}; a mapping must have the key 'initializer'"
            )
        arguments = {key: item for key, item in value.items() if key != "initializer"}
        value = value["initializer"]
    elif isinstance(value, functools.partial):
        if value.args:
            raise TypeError(
                f"{what} is a partial with positional arguments; bind an initializer's arguments "
                "by name"
            )
        value, arguments = value.func, value.keywords
    try:
        function = _table.lookup(value)
        _table.check_arguments(function, arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what}: {error}") from None
    return function.__name__, dict(arguments)
