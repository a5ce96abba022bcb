"""laws() says how a model's own code, or a recipe, would distribute the values of every parameter.

It reads the same plans as materialize_ (_recipe.py) and draws nothing.  ../_laws.py defines a law.
"""

from __future__ import annotations

from torch import nn

from .. import _laws
from .._laws import Law
from ..typing import Sizes
from . import _names, _recipe
from ._describe import is_saved
from ._prove import Fill
from ._recipe import Plan
from ._rules import Recipe
from ._values import CONSTANTS


def laws(model: nn.Module, recipe: Recipe = None, *, prefix: str = "") -> list[Law]:
    """One line for each group of parameters: how their initial values are distributed.

    Parameters
    ----------
    model : torch.nn.Module
        On the meta device or real; it is not changed, and its values are not read.
    recipe : mapping, callable or construction, optional
        As `materialize_` takes it. None is what the modules' own code does; a construction() adds
        what constructors do beyond reset_parameters.
    prefix : str
        Where the model lies in a larger one.

    Returns
    -------
    list of Law
        Of parameters and saved buffers, sorted by name. What the code computes, or nothing is seen
        of, has the law "unknown" and the reason; further names of a parameter have "tied".

    See Also
    --------
    fastinit.inspection.laws : The same of configs, specs and checkpoints.
    materialize_ : Draws what is described here.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 4))
    >>> for group in fit.laws(model, {"*.bias": 0}):
    ...     print(group.name, group.shape, group.numbers())
    0.weight (4, 8) uniform, mean 0, std 0.2041241, low -0.3535534, high 0.3535534
    1.weight (4, 4) uniform, mean 0, std 0.2886751, low -0.5, high 0.5
    {0,1}.bias (4,) constant 0
    """
    prefix = _names.checked(prefix)
    parameters = _names.parameters(model, prefix)
    buffers = [item for item in _names.buffers(model, prefix) if is_saved(item)]
    plans, restored, uncovered = _recipe.plan(model, parameters, buffers, recipe, prefix=prefix)
    given = {plan.name: plan for plan in (*plans, *restored)}
    found = []
    for item in (*parameters, *buffers):
        shape = tuple(item.tensor.shape)
        if item.name in given:
            found.append(_of_plan(given[item.name], shape))
        else:
            why = uncovered.get(item.name, "no code that was seen says what it holds")
            found.append(_laws.unknown(item.name, shape, why))
        found += [
            Law(site.name, 1, shape, _laws.TIED, rule=f"tied to {item.name}")
            for site in item.sites[1:]
        ]
    return _laws.fold(found)


def _of_plan(plan: Plan, shape: Sizes) -> Law:
    if plan.run is not None:
        values = None if plan.run.draws else plan.computed(0)
        if values is not None and not values.is_complex() and len(values.unique()) == 1:
            value = values.flatten()[0].item()
            return _laws.law(plan.name, shape, "constant", {"value": value})
        return _laws.unknown(plan.name, shape, "computed by the model's own code")
    if not plan.fills:  # the tensor has no elements
        return _laws.law(plan.name, shape, "zeros", {})
    first, *others = plan.fills
    if first.view.plain:
        blocks = [_block(fill) for fill in others]
        if None not in blocks:
            over = {"blocks": blocks} if blocks else {}
            return _laws.law(plan.name, shape, first.initializer, {**first.arguments, **over})
    parts = [
        _laws.law("", fill.view.shape, fill.initializer, fill.arguments) for fill in plan.fills
    ]
    alike = {part._replace(shape=(), rule="", fan_in=None, fan_out=None) for part in parts}
    apart = not any(
        one.view.overlaps(other.view)
        for place, one in enumerate(plan.fills)
        for other in plan.fills[:place]
    )
    rule = "; ".join(dict.fromkeys(f"{part.rule} of {part.shape}" for part in parts))
    if apart and len(alike) == 1:
        return parts[0]._replace(name=plan.name, shape=shape, rule=rule)
    return _laws.unknown(plan.name, shape, f"parts of several laws: {rule}")


def _block(fill: Fill) -> dict[str, object] | None:
    """Return the box and value of a constant fill, or None for a draw."""
    value = fill.arguments.get("value", CONSTANTS.get(fill.initializer))
    if value is None or fill.initializer not in CONSTANTS:
        return None
    return {"start": list(fill.view.starts), "size": list(fill.view.sizes), "value": value}
