"""coordinate_check() is muP's test of whether activations keep their size as a model gets wider.

It looks at the start and at the first steps of training.  This module builds the models, trains
them for a few steps and measures them.  ../diagnostics/coordinates.py computes the slopes and makes
the report.  _widths.py knows which fields of a transformers config grow.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from .._core.arguments import real, shown, whole
from .._core.stream import check_seed
from ..diagnostics.coordinates import Coordinate, CoordinateCheck, Expected, judge
from ..typing import Seed
from . import _memory, _names, _ranks, _widths
from ._private import Private
from ._rules import Recipe
from .construct import construction
from .materialize import materialize_

Factory = Callable[[int], nn.Module]


def coordinate_check(
    make_model: Factory | Any,
    widths: Sequence[int] = (128, 256, 512, 1024, 2048),
    steps: int = 5,
    batch: Any = None,
    *,
    loss: Callable[[nn.Module, Any], torch.Tensor] | None = None,
    optimizer: Callable[[nn.Module, int], torch.optim.Optimizer] | float = 0.003,
    recipe: Recipe = None,
    expected: Mapping[str, Expected] | None = None,
    tolerance: float = 0.2,
    seed: Seed = 0,
    device: torch.device | str | int | None = None,
) -> CoordinateCheck:
    """The slope of log mean abs(output) against log width, of every module, at init and later.

    Parameters
    ----------
    make_model : callable or transformers config
        Takes a width, gives the model; its parameters have the same names at every width. It is
        called under `construction()`, so that nothing is drawn but by `materialize_`. Of a config,
        the fields of width and heads are scaled (`CoordinateCheck.scaled` says which).
    widths : sequence of int
        At least three.
    steps : int
        Steps of training; each module is measured before the first and after each.
    batch : mapping or tuple, optional
        The same at every width and step: keyword arguments of the model, whose output has a
        ``loss``; or (inputs, targets), for cross entropy if the targets are whole numbers and for
        mean squares otherwise; or whatever `loss` takes. Of a config the default is 4 sequences of
        32 random tokens.
    loss : callable, optional
        ``loss(model, batch)``, in place of the default.
    optimizer : callable or float
        ``optimizer(model, width)``; a number is the rate of Adam, the same for all parameters.
    recipe : mapping or callable, optional
        As of `materialize_`; None is what the model's own code draws.
    expected : mapping, optional
        Patterns of module names (fnmatch; "" is the model), each with the slope or the (lowest,
        highest) slope that is right. Without one, outputs that grow with the model have 0, others
        -0.5 to 0.
    tolerance : float
        How far from what is expected a slope may be.
    seed : int
        One for all widths. A parameter's name keys its values, in every width alike.
    device : torch.device, optional
        Of the parameters; None is the CPU, or a DTensor's mesh's.

    Returns
    -------
    CoordinateCheck
        True if every module passed.

    Raises
    ------
    ValueError
        Fewer than three widths; models whose parameters differ in name or number of axes, or that
        do not grow; a config without a field for its width.

    See Also
    --------
    fastinit.mup_scale : The factor of muP on a std.
    materialize_ : How the models get their weights.

    Notes
    -----
    The test of [1]_, appendix D.1. A model in standard parametrization fails: its slopes are 0 at
    the start, where its stds follow 1/√fan_in, and grow as soon as it is trained. Dropout draws
    from generators of the call; torch's global ones are not touched. Under FSDP2 every rank gives
    its own batch, and all ranks get the means over all of them.

    References
    ----------
    .. [1] Yang et al., Tensor programs V: tuning large neural networks via zero-shot hyperparameter
           transfer, 2022.

    Examples
    --------
    >>> def make(width):
    ...     return torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Linear(width, width))
    >>> x = torch.from_numpy(fi.normal((16, 8), seed=0, name="x"))
    >>> def loss(model, batch):
    ...     return (model(batch).mean(1) - 1).square().mean()
    >>> found = fit.coordinate_check(make, (32, 64, 128, 256), 3, x, loss=loss, optimizer=0.1)
    >>> found.passed
    False
    """
    widths = _check_widths(widths)
    steps = whole(steps, "steps", least=0)
    tolerance, seed = real(tolerance, "tolerance"), check_seed(seed)
    scaled = ""
    if not callable(make_model):
        make_model, scaled, usual = _widths.factory(_widths.loaded(make_model), widths)
        batch = usual if batch is None and loss is None else batch
    elif batch is None and loss is None:
        raise ValueError(
            "batch is missing; give (inputs, targets), the model's keyword arguments, or a loss "
            "that needs none"
        )
    loss = loss or _loss
    make_optimizer = optimizer if callable(optimizer) else _adam(real(optimizer, "optimizer"))
    found: dict[tuple[int, str], list[Size]] = {}
    # Build all models first, so that a wrong make_model is reported before any training.
    models = [_build(make_model, width) for width in widths]
    shapes = [
        {one.name: tuple(one.tensor.shape) for one in _names.parameters(model)}
        for model, _ in models
    ]
    for width, others in zip(widths[1:], shapes[1:], strict=True):
        _check_growth(widths[0], shapes[0], width, others)
    for width in widths:
        model, made = models.pop(0)
        with warnings.catch_warnings():
            # If make_model has filled a model, the model keeps its values.
            warnings.filterwarnings("ignore", "nothing was filled", UserWarning)
            materialize_(model, made if recipe is None else recipe, seed, device)
        training = make_optimizer(model, width)
        private = Private()
        for step in range(steps + 1):
            with _measured(model) as sizes, private:
                value = loss(model, batch)
            for name, size in _over_ranks(model, sizes).items():
                found.setdefault((step, name), []).append(size)
            if step < steps:
                training.zero_grad()
                with private:  # activations that are recomputed draw again
                    value.backward()
                training.step()
        del model, made, training, value
    coordinates = [
        Coordinate(
            name,
            step,
            tuple([size.mean for size in sizes]),
            len({size.shape for size in sizes}) == 1,
        )
        for (step, name), sizes in found.items()
        if len(sizes) == len(widths)  # a module without outputs at some width has no slope
    ]
    slopes = judge(widths, coordinates, expected or {}, tolerance)
    return CoordinateCheck(widths, steps, seed, tolerance, tuple(coordinates), slopes, scaled)


def _check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    found = tuple(sorted({whole(width, "a width") for width in widths}))
    if len(found) < 3:
        raise ValueError(
            f"widths are {', '.join(map(str, found)) or 'none'}; a slope and its interval need at "
            "least 3 different ones"
        )
    return found


# --------------------------------------------------------------------------------------- the model


def _build(make_model: Factory, width: int) -> tuple[nn.Module, construction]:
    with construction() as made:
        model = make_model(width)
    if not isinstance(model, nn.Module):
        raise TypeError(f"make_model({width}) gave {shown(model)}; it must give a torch.nn.Module")
    return model, made


def _check_growth(
    least: int, first: Mapping[str, tuple[int, ...]], width: int, shapes: Mapping[str, Any]
) -> None:
    """Raise a ValueError unless two widths have the same parameter names and different shapes."""
    lacking = [name for name in first if name not in shapes]
    added = [name for name in shapes if name not in first]
    differences = [
        f"{what} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
        for what, names in (("lacks", lacking), ("adds", added))
        if names
    ]
    if differences:
        raise ValueError(
            f"make_model({width}) {' and '.join(differences)}, compared with make_model({least}); "
            "names must be the same at every width, since they key the draws"
        )
    for name, shape in shapes.items():
        if len(shape) != len(first[name]):
            raise ValueError(
                f"make_model({width}) gives {name} the shape {shape}, and make_model({least}) "
                f"{first[name]}; the number of axes must be the same at every width"
            )
    if dict(shapes) == dict(first):
        raise ValueError(
            f"make_model({width}) and make_model({least}) have parameters of the same shapes; "
            "make_model must use the width that it is given"
        )


def _loss(model: nn.Module, batch: Any) -> torch.Tensor:
    if isinstance(batch, Mapping):
        output = model(**batch)
        value = getattr(output, "loss", None)
        if value is None:
            raise ValueError(
                f"the output of {type(model).__name__} has no loss for a batch of "
                f"{', '.join(batch)}; give it labels, or give loss=, which takes (model, batch)"
            )
        return value  # type: ignore[no-any-return]
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise TypeError(
            f"batch is {shown(type(batch).__name__)}; without loss= it must be (inputs, targets) "
            "or the model's keyword arguments"
        )
    inputs, targets = batch
    output = model(inputs)
    if targets.is_floating_point():
        return nn.functional.mse_loss(output, targets)
    return nn.functional.cross_entropy(output.flatten(0, -2), targets.flatten())


def _adam(rate: float) -> Callable[[nn.Module, int], torch.optim.Optimizer]:
    return lambda model, _: torch.optim.Adam(model.parameters(), lr=rate)


# ------------------------------------------------------------------------------------ measurements


class Size(NamedTuple):
    """The mean absolute value and the shape of a module's output."""

    mean: float
    shape: tuple[int, ...]


class _Sum(NamedTuple):
    total: torch.Tensor
    elements: int
    shape: tuple[int, ...]


@contextmanager
def _measured(model: nn.Module) -> Iterator[dict[str, _Sum]]:
    """Yield a dict that collects the sum of |output| of every module called in the block."""
    sums: dict[str, _Sum] = {}
    hooks = []

    def hook(name: str) -> Callable[..., None]:
        def measure(module: nn.Module, arguments: Any, output: Any) -> None:
            tensor = _first_tensor(output)
            if tensor is None or not tensor.numel():
                return
            total = tensor.detach().abs().sum(dtype=torch.float64)
            before = sums.get(name)
            elements = tensor.numel() + (before.elements if before else 0)
            sums[name] = _Sum(
                total if before is None else total + before.total, elements, tuple(tensor.shape)
            )

        return measure

    try:
        for name, module in _names.modules(model):
            hooks.append(module.register_forward_hook(hook(name)))
        yield sums
    finally:
        for each in hooks:
            each.remove()


def _first_tensor(output: Any) -> torch.Tensor | None:
    """Return the first floating tensor with axes in a module's output, with all its shards.

    Tensors without axes are skipped because transformers' models put a loss first.
    """
    if isinstance(output, torch.Tensor):
        if not output.is_floating_point() or not output.dim():
            return None
        return output.full_tensor() if _memory.is_dtensor(output) else output  # type: ignore[attr-defined, no-any-return]
    if isinstance(output, Mapping):
        output = output.values()
    elif not isinstance(output, (tuple, list)):
        return None
    found = (_first_tensor(each) for each in output)
    return next((tensor for tensor in found if tensor is not None), None)


def _over_ranks(model: nn.Module, sums: Mapping[str, _Sum]) -> dict[str, Size]:
    """Return the means over the outputs on all ranks, in the order of the model's modules."""
    names = [name for name, _ in _names.modules(model)]
    if not sums:
        raise ValueError("the loss calls no module of the model, so that nothing is measured")
    zero = next(iter(sums.values())).total.new_zeros(())
    totals = torch.stack([sums[name].total if name in sums else zero for name in names])
    counts = torch.stack([zero + (sums[name].elements if name in sums else 0) for name in names])
    if _ranks.world() > 1:
        both = torch.stack([totals, counts])
        torch.distributed.all_reduce(both)
        totals, counts = both
    means = (totals / counts).tolist()
    return {
        name: Size(mean, sums[name].shape)
        for name, mean in zip(names, means, strict=True)
        if name in sums
    }
