"""materialize_() makes a model on the meta device real, with weights keyed by name.  verify_()
recomputes the weights and compares them.

_names.py finds the names, _recipe.py decides what is drawn for each, and dtensor.py decides which
part this rank holds.  This module makes all checks and compares the ranks before it allocates
memory.  Then _values.py fills all parameters in one parallel batch.
"""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from .._core import forks
from .._core import progress as progress_bar
from .._core.stream import check_seed
from .._core.tables import Table
from ..fill import Report
from ..typing import Seed
from . import _detours, _memory, _names, _ranks, _recipe, _rules, _values
from ._draw import draws
from ._names import Named
from ._recipe import Plan
from ._rules import Recipe


class Verified(NamedTuple):
    """What verify_ found; true where every parameter was compared and none differs.

    Attributes
    ----------
    equal : tuple of str
        Parameters that have the values of materialize_.
    different : dict
        For each other parameter, how many of its values differ on this rank.
    skipped : tuple of str
        Parameters on the meta device.
    unknown : dict
        Parameters that no rule covers, and why.
    seed : int
        The seed that was used.
    """

    equal: tuple[str, ...]
    different: dict[str, int]
    skipped: tuple[str, ...]
    unknown: dict[str, str]
    seed: int

    def __bool__(self) -> bool:
        return not (self.different or self.skipped or self.unknown)

    def table(self) -> Table:
        """What is not the initial draw, in rows of text."""
        rows = [(name, f"{count} values differ") for name, count in self.different.items()]
        rows += [(name, "on the meta device") for name in self.skipped]
        rows += [(name, f"unknown: {why}") for name, why in self.unknown.items()]
        count = len(self.equal) + len(rows)
        summary = f"{len(self.equal)} of {count} parameters are their initial draw, seed "
        return Table("", ("parameter", "what is there"), rows, [f"{summary}{self.seed}"])

    def __repr__(self) -> str:
        return self.table().text()

    def _repr_html_(self) -> str:
        return self.table().html()


def materialize_(
    model: nn.Module,
    recipe: Recipe = None,
    seed: Seed | None = 0,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | None = None,
    *,
    check: bool = True,
    overwrite: bool | None = None,
    buffers: _rules.Buffers = "restore",
    prefix: str = "",
    threads: int | None = None,
    progress: bool = False,
) -> Report:
    """Give every parameter on the meta device memory and initial values, keyed by its name.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place.
    recipe : mapping, callable, construction or pair, optional
        None is what the modules' own code does: reset_parameters, transformers' _init_weights, and
        with a warning the constructor of a model of transformers or diffusers, run once more on the
        config. A construction() adds what constructors do beyond that. A mapping has name patterns
        (fnmatch) or module types as keys, the first match counts, "default" is the module's own. A
        callable takes (name, parameter). In a pair (mapping or callable, construction) the
        construction says what the first leaves open. An initializer is a name, a function, a
        number, (name, arguments) or {"initializer": name, ...}; for a type also {"weight": ...}.
        The argument ``blocks=4`` fills four equal blocks of rows, each alone: an LSTM's gates.
    seed : int, optional
        One for all, and 0 by default, as in all that fills whole models. None draws one, on a
        single rank only.
    device : torch.device, optional
        Of the new parameters; None is the CPU, a DTensor's mesh's, or a real parameter's own. A
        CUDA device draws its own; for others the host draws, and it is copied.
    dtype : torch.dtype, optional
        Of the new floating-point parameters; None keeps each one's.
    check : bool
        On several ranks, exchange a digest of all that decides the values; name a rank that
        differs.
    overwrite : bool, optional
        True fills real parameters and buffers too, such as to_empty() leaves them; False keeps
        them; None keeps them, but refuses those that nothing wrote or that torch itself drew.
    buffers : str or mapping, default "restore"
        Meta buffers get what the model's own code gives them; one whose code was not seen is
        refused, unless a mapping gives it an initializer or "leave". "leave" alone leaves all.
    prefix : str
        Where the model lies in a larger one: ``materialize_(block, prefix="blocks.1")`` draws what
        the larger model's call would draw. None and "" are no prefix.
    threads : int, optional
        At most so many; None is fastinit's own choice.
    progress : bool
        Show a bar with rate and remaining time on stderr, where that is a terminal; rank 0 only.

    Returns
    -------
    Report
        What was filled, and how to draw it again.

    Notes
    -----
    A parameter's stream is its qualified name without wrappers' segments; a tied one has its first;
    a part that is filled apart has the fill's number, "weight[1]". A DTensor's rank draws its own
    shard. What no initializer gives (a log of a uniform) torch computes, whole on every rank, from
    draws of streams "A_log[0]", ... (Report.computed).

    Examples
    --------
    >>> with torch.device("meta"):
    ...     model = torch.nn.Linear(4, 2)
    >>> report = fit.materialize_(model, {"bias": 0}, seed=7)
    >>> print(report.filled[0].call(7).replace(" seed", "\\n seed"))
    fi.he_uniform((2, 4), negative_slope=2.23606797749979, mode='fan_in',
     seed=7, name='weight', dtype='float32')
    """
    began = time.perf_counter()
    _refuse_while_recording("materialize_")
    prefix = _names.checked(prefix)
    parameters = _names.parameters(model, prefix)
    all_buffers = _names.buffers(model, prefix)
    buffer_rules, left_alone = _rules.buffer_rules(all_buffers, buffers)
    open_buffers = [one for one in all_buffers if overwrite or _values.is_meta(one.tensor)]
    lost_if_open = {one.name for one in open_buffers}
    asked_buffers = [one for one in open_buffers if one.name not in left_alone]
    todo = [item for item in parameters if overwrite or _values.is_meta(item.tensor)]
    seed = _seed(seed)
    if device is not None and torch.device(device).type == "meta":
        raise ValueError(
            "device is 'meta', which holds no values; give a real one, or None for the CPU"
        )
    _check_tensors(todo, dtype)
    made = _rules.split(recipe)[1]
    if made is not None and not overwrite:
        todo = [
            one for one in parameters if _values.is_meta(one.tensor) or made.left_real(one.tensor)
        ]
        _check_tensors(todo, dtype)
        # Buffers that construction() left real are planned too.  Unlike meta buffers, they keep
        # their values if no recorded code writes them.
        asked_buffers += [
            one
            for one in all_buffers
            if one.name not in left_alone
            and not _values.is_meta(one.tensor)
            and made.left_real(one.tensor)
        ]
    kept = frozenset(one.name for one in parameters) - {one.name for one in todo}
    plans, restored, uncovered = _recipe.plan(
        model,
        parameters,
        asked_buffers,
        recipe,
        dtype,
        prefix,
        kept,
        overwrite is None and bool(todo),
        buffer_rules,
    )
    by_name = {plan.name: plan for plan in plans}
    todo = [
        one for one in parameters if _values.is_meta(one.tensor) or overwrite or one.name in by_name
    ]
    # Tensors that cannot be drawn and have no rule, such as packed integers, are left and reported.
    left = [item for item in todo if item.name in uncovered and not _can_be_drawn(item.tensor)]
    untouched = {item.name for item in left}
    todo = [item for item in todo if item.name not in untouched]
    for item in todo:
        _check_dtype(item, by_name.get(item.name))
    asked = {item.name for item in todo} | kept
    if made is not None and overwrite is None:
        asked |= {item.name for item in parameters if made.wrote(item.tensor)}
    _refuse_uncovered({name: why for name, why in uncovered.items() if name in asked})
    _refuse_lost([one for one in asked_buffers if one.name in lost_if_open], uncovered)
    if check:
        _agree(seed, todo, by_name, restored, dtype)
    if parameters and not (todo or left):
        warnings.warn(
            f"nothing was filled: none of the {len(parameters)} parameters is on the meta device; "
            "overwrite=True fills real ones too",
            stacklevel=2,
        )

    new = {item.name: _values.allocate(item.tensor, dtype, device) for item in todo}
    entries = [
        entry
        for item in todo
        for entry in _values.entries_of(item, by_name[item.name], new[item.name])
    ]
    with _bar(progress, new.values()) as advance:
        filled = _values.run(entries, seed, threads, advance)
    for item in todo:
        filled += _values.write_constants(item, by_name[item.name], new[item.name])
        filled += _values.write_parts(item, by_name[item.name], new[item.name], seed)
        _values.write_computed(item, by_name[item.name].computed(seed), new[item.name])
        _values.put(item, new[item.name], device)
    given = {one.name: one for one in restored}
    for item in asked_buffers:
        if item.name in given:
            _values.restore(item, given[item.name], seed, device)
    return Report(
        filled=tuple(
            [
                line
                for item in todo
                for line in _values.lines(item, by_name[item.name], new[item.name])
            ]
        ),
        values=filled,
        bytes=sum([tensor.nbytes for tensor in new.values()]),
        seconds=time.perf_counter() - began,
        seed=seed,
        tied={site.name: item.name for item in todo for site in item.sites[1:]},
        skipped=tuple(
            [one.name for one in parameters if one.name not in new and one.name not in untouched]
        ),
        unknown=tuple([item.name for item in (*left, *open_buffers) if item.name not in given]),
        computed=tuple(
            [
                item.name
                for item in todo
                if item.tensor.numel()
                and (
                    not by_name[item.name].fills
                    or (item.tensor.is_complex() and _values.draws(by_name[item.name]))
                )
            ]
        ),
        restored=tuple(given),
        repeated=_repeated(model, seed, by_name, new),
    )


def verify_(
    model: nn.Module,
    recipe: Recipe = None,
    seed: Seed = 0,
    *,
    prefix: str = "",
    threads: int | None = None,
) -> Verified:
    """Recompute what `materialize_` gives every real parameter, and compare bit for bit.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    recipe : mapping, callable or construction, optional
        As `materialize_` had it.
    seed : int
        As `materialize_` had it.
    prefix : str
        As `materialize_` had it.
    threads : int, optional
        At most so many; None is fastinit's own choice.

    Returns
    -------
    Verified
        True where every parameter was compared and none differs.

    Notes
    -----
    Memory for one parameter at a time is needed beside the model.  Of DTensors each rank compares
    its own shards, without communication.
    """
    _refuse_while_recording("verify_")
    prefix = _names.checked(prefix)
    parameters = _names.parameters(model, prefix)
    seed = check_seed(seed)
    # Buffers are included, because if one is uncovered, _recipe.py runs the constructor again,
    # and that can change the plans of the parameters.
    buffers = _names.buffers(model, prefix)
    plans, _, uncovered = _recipe.plan(model, parameters, buffers, recipe, prefix=prefix)
    by_name = {plan.name: plan for plan in plans}
    equal, different, skipped = [], {}, []
    for item in parameters:
        if _values.is_meta(item.tensor):
            skipped.append(item.name)
        elif item.name not in uncovered:
            plan = by_name[item.name]
            again = torch.empty_like(
                _values.memory_of(item.tensor), device="cpu", requires_grad=False
            )
            _values.write(item, plan, again, seed, threads)
            count = _values.count_different(again, _values.memory_of(item.tensor).detach().cpu())
            if count:
                different[item.name] = count
            else:
                equal.append(item.name)
    real = {item.name for item in parameters} - set(skipped)
    unknown = {name: why for name, why in uncovered.items() if name in real}
    return Verified(tuple(equal), different, tuple(skipped), unknown, seed)


# For each live module, the streams that were drawn, by seed.
_streams: weakref.WeakKeyDictionary[nn.Module, dict[int, set[str]]] = weakref.WeakKeyDictionary()
_streams_lock = threading.RLock()
forks.keep_free(_streams_lock)


def _repeated(
    model: nn.Module, seed: int, plans: dict[str, Plan], new: Iterable[str]
) -> tuple[str, ...]:
    """Return the streams of this call that another live module drew with the same seed."""
    mine = {
        stream: None
        for name in new
        for fill, stream in zip(plans[name].fills, plans[name].streams, strict=True)
        if fill.initializer not in _values.CONSTANTS
    }
    own = {id(module) for module in model.modules()}
    with _streams_lock:
        others = [used.get(seed, set()) for one, used in _streams.items() if id(one) not in own]
        _streams.setdefault(model, {}).setdefault(seed, set()).update(mine)
    return tuple([stream for stream in mine if any(stream in used for used in others)])


@contextlib.contextmanager
def _bar(wanted: bool, new: Iterable[torch.Tensor]) -> Iterator[Callable[[int], None] | None]:
    """Yield a function that advances a progress bar over bytes.

    Its argument is the number of values drawn since its last call.
    """
    sizes = [(tensor.nbytes, tensor.numel()) for tensor in new]
    size, values = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    if not (wanted and values and _ranks.rank() == 0):
        yield None
        return
    with progress_bar.bar(size) as advance:
        done = 0.0

        def tell(count: int) -> None:
            # Assume the mean size of a value, and do not count a part twice that is filled twice.
            nonlocal done
            step = min(count * size / values, size - done)
            done += step
            if advance:
                advance(step)

        yield tell


# ------------------------------------------------------------------------------------------- checks


def _refuse_while_recording(function: str) -> None:
    if _detours.recorder() is not None:
        raise RuntimeError(
            f"{function}() is called inside a construction() block, which records what code does "
            "and holds no values; call it after the block, with the block as the recipe: "
            f"{function}(model, block)"
        )


def _seed(seed: Seed | None) -> int:
    if seed is None and _ranks.world() > 1:
        raise ValueError(
            f"seed=None on {_ranks.world()} ranks: each would draw another seed; give every rank "
            "the same number"
        )
    return check_seed(seed)


def _check_tensors(todo: list[Named], dtype: torch.dtype | None) -> None:
    if dtype is not None and dtype not in _memory.DTYPES:
        raise _memory.unsupported(torch.empty(0, dtype=dtype, device="meta"))
    for item in todo:
        if isinstance(item.tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
            raise ValueError(
                f"parameter {item.name!r} has no shape yet; run a lazy model once on meta tensors "
                "before"
            )


def _can_be_drawn(tensor: torch.Tensor) -> bool:
    """Whether a tensor's dtype has values to draw; of all complex ones, a rule is asked for."""
    return tensor.dtype in _memory.DTYPES or tensor.is_complex()


def _check_dtype(item: Named, plan: Plan | None) -> None:
    """Refuse a draw in a dtype that the initializer cannot fill."""
    for fill in [] if plan is None else plan.fills:
        constant = fill.initializer in _values.CONSTANTS
        if not (constant or draws(fill.initializer, item.tensor.dtype)):
            raise NotImplementedError(
                f"parameter {item.name!r}: {_memory.unsupported(item.tensor)}"
            )


def _refuse_uncovered(uncovered: dict[str, str]) -> None:
    if uncovered:
        listed = "\n".join([f"  {name}: {why}" for name, why in list(uncovered.items())[:20]])
        more = f"\n  and {len(uncovered) - 20} more" if len(uncovered) > 20 else ""
        raise ValueError(
            f"no rule covers {len(uncovered)} of the parameters; nothing was changed.  Build the "
            "model inside fastinit.torch.construction() and give that as the recipe, or give a "
            "recipe for them, such as "
            f'{{{next(iter(uncovered))!r}: ("normal", {{"std": 0.02}})}}:\n{listed}{more}'
        )


def _refuse_lost(asked: list[Named], uncovered: dict[str, str]) -> None:
    """Raise an error for meta buffers whose values are unknown.

    Issue a warning if the buffers are real and the caller asked to write them again.
    """
    lost = {item.name: uncovered[item.name] for item in asked if item.name in uncovered}
    meta = [item.name for item in asked if item.name in lost and _values.is_meta(item.tensor)]
    if meta:
        listed = "\n".join([f"  {name}: {lost[name]}" for name in meta[:20]])
        more = f"\n  and {len(meta) - 20} more" if len(meta) > 20 else ""
        raise ValueError(
            f"nothing says what {len(meta)} of the buffers hold; nothing was changed.  Build the "
            "model inside fastinit.torch.construction() and give that as the recipe, alone or as "
            f"(rules, construction); or give buffers={{{meta[0]!r}: initializer}}, or "
            f'buffers="leave" to leave them on the meta device:\n{listed}{more}'
        )
    if lost:
        more = ", ..." if len(lost) > 5 else ""
        warnings.warn(
            f"{len(lost)} buffers keep what they hold, since nothing says what their values are: "
            f"{', '.join(list(lost)[:5])}{more}; where to_empty() made them that is not defined. "
            'buffers="leave" accepts it, and buffers={name: initializer} fills them',
            stacklevel=3,
        )


def _agree(
    seed: int,
    todo: list[Named],
    plans: dict[str, Plan],
    restored: list[Plan],
    dtype: torch.dtype | None,
) -> None:
    if _ranks.world() > 1:
        tensors = [
            f"{item.name} {tuple(item.tensor.shape)} {dtype or item.tensor.dtype}" for item in todo
        ]
        given = [plans[item.name] for item in todo] + [one for one in restored if one.fills]
        recipe = [one.fingerprint(seed) for one in given]
        _ranks.agree(
            seed, {"names, shapes and dtypes": "\n".join(tensors), "recipe": "\n".join(recipe)}
        )
