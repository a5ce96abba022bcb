"""laws: the laws of the parameters that a JAX model initializes.

The model's code is traced here; _jaxpr.py reads what was traced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from .. import _laws
from .._laws import Law
from . import _jaxpr


def laws(init: Callable[..., Any], *arguments: Any, **options: Any) -> list[Law]:
    """One line for each group of parameters: how their initial values are distributed.

    Parameters
    ----------
    init : callable
        The function that makes the parameters: a linen model's init, a function that builds an nnx
        module, or any other whose result is a tree of arrays.
    *arguments, **options : any
        Its arguments: keys, inputs or their shapes (jax.ShapeDtypeStruct).

    Returns
    -------
    list of Law
        Sorted by name; a name is the keys of the tree, joined by dots. A parameter that is not one
        draw of jax.random or fastinit has the law "unknown" and names the operation that is in the
        way.

    See Also
    --------
    fastinit.inspection.laws_toml : Writes them as a file.
    fastinit.torch.laws : For torch's modules.

    Notes
    -----
    The function is traced, not run: nothing is drawn.

    Examples
    --------
    >>> import fastinit.jax as init
    >>> def make(key):
    ...     return {"w": init.normal(0.02)(key, (4, 4)), "b": jax.numpy.zeros(4)}
    >>> [(law.name, law.numbers()) for law in laws(make, jax.random.key(0))]
    [('b', 'constant 0'), ('w', 'normal, mean 0, std 0.02')]
    """

    def make(*given: Any) -> Any:
        made = init(*given, **options)
        nnx = sys.modules.get("flax.nnx")
        if nnx is not None and isinstance(made, nnx.Module):
            return nnx.to_pure_dict(nnx.state(made, nnx.Not(nnx.RngState)))
        return made

    closed, shapes_ = jax.make_jaxpr(make, return_shape=True)(*arguments)
    leaves, _ = jax.tree_util.tree_flatten_with_path(shapes_)
    names = [_joined(path) for path, _ in leaves]
    return _laws.fold(_jaxpr.laws(closed, names))


def _joined(path: Sequence[Any]) -> str:
    """The keys of a path in a tree, with dots between them."""
    parts = [getattr(one, "key", getattr(one, "name", getattr(one, "idx", ""))) for one in path]
    return ".".join(map(str, parts))
