"""Print a plan for `fastinit materialize --dry-run`.

Tensors whose names differ only in a number are grouped.  With --json, each tensor is an event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._core.tables import folded
from .progress import event

if TYPE_CHECKING:
    from ..checkpoint import Entry, Plan


def show(plan: Plan, threads: int) -> None:
    """Print the tensors and files of a plan, and the memory and time that it needs."""
    from .. import checkpoint
    from .._core.arguments import shown
    from .._core.draws import Draw
    from ..checkpoint import parts

    entries = {entry.name: entry for entry in plan.spec.entries}
    held = []  # (bytes in memory at once, tensor)
    alike: dict[tuple[str, ...], list[Entry]] = {}  # by the description of the tensors
    for file in plan.files:
        for tensor, rule in zip(file.layout.tensors, file.rules, strict=True):
            entry = entries[tensor.name]
            if not isinstance(rule, (Draw, checkpoint.Patched)):
                held.append((parts.memory(entry), tensor.name))
            shape = "×".join(map(str, tensor.shape)) or "()"
            said = shape, tensor.dtype.name, entry.initializer, _values(rule, entry)
            alike.setdefault(said, []).append(entry)
    print(_listed(alike))
    for line in checkpoint.rules(plan.spec):
        print(folded(line))
    if len(plan.files) > 1:
        for file in plan.files:
            print(folded(f"{file.name}: {len(file.layout.tensors)} tensors, {file.size} bytes"))
    if held:
        size, name = max(held)
        how = "as a whole" if size == entries[name].nbytes else "part by part"
        print(folded(f"memory: {size} bytes at once for {shown(name)}, which is drawn {how}"))
    estimate = _estimate(plan, threads)
    if estimate:
        print(folded(estimate))
    files = "file takes" if len(plan.files) == 1 else f"{len(plan.files)} files take"
    print(
        folded(
            f"{plan.tensors} tensors, {plan.values} values; the {files} {plan.size} bytes; nothing "
            "was written"
        )
    )


def _listed(alike: Mapping[tuple[str, ...], list[Entry]]) -> str:
    """List each pattern of names, followed by a description of its tensors."""
    from .._laws import natural, patterns

    rows = []
    for (shape, dtype, initializer, values), entries in alike.items():
        for pattern, count in patterns(entry.name for entry in entries):
            times = f"{count} × " if count > 1 else ""
            size = count * entries[0].nbytes
            said = f"    {times}{shape} {dtype}, {initializer}, {values}: {size} bytes"
            rows.append((natural(pattern), f"{pattern}\n{folded(said)}"))
    return "\n".join(text for _, text in sorted(rows))


def show_events(plan: Plan) -> None:
    """Print the plan as events for programs; see progress.py."""
    entries = {entry.name: entry for entry in plan.spec.entries}
    for file in plan.files:
        event("file", file=file.name, bytes=file.size, state="planned")
        for tensor in file.layout.tensors:
            event(
                "tensor",
                name=tensor.name,
                file=file.name,
                shape=tensor.shape,
                dtype=tensor.dtype.name,
                initializer=entries[tensor.name].initializer,
                bytes=tensor.end - tensor.begin,
            )
    event("done", seed=plan.seed, tensors=plan.tensors, values=plan.values, size=plan.size)


_TRIED = 1 << 22  # values of the trial


def _estimate(plan: Plan, threads: int) -> str:
    """Estimate the time to draw the values, by timing the draw that has the most bytes."""
    import math

    import numpy as np

    from .. import checkpoint
    from .._core import engine
    from .._core.draws import Draw
    from .._core.jobs import draw_job

    sizes: dict[tuple[Draw, str], int] = {}
    for entry in plan.spec.entries:
        rule = entry.rule.draw if isinstance(entry.rule, checkpoint.Patched) else entry.rule
        if isinstance(rule, Draw):
            key = rule, entry.dtype.name
            sizes[key] = sizes.get(key, 0) + entry.nbytes
    if not sizes:
        return ""
    draw, dtype = max(sizes, key=lambda key: sizes[key])
    kind = next(entry.dtype for entry in plan.spec.entries if entry.dtype.name == dtype)
    out = np.ones(_TRIED, kind.unsigned)
    seconds = math.inf
    for _ in range(3):
        began = time.perf_counter()
        engine.run([draw_job(out, draw, 0, 0, 0, (1,))], threads)
        seconds = min(seconds, time.perf_counter() - began)
    rate = out.nbytes / seconds
    return (
        f"estimate: {sum(sizes.values()) / rate:.3g} s to draw what is drawn value by value, on "
        f"{threads} thread{'s' * (threads > 1)} of this machine ({rate / 1e9:.2g} GB/s); a slower "
        "disk takes longer"
    )


def _values(rule: Any, entry: Entry) -> str:
    """The numbers of a draw, rounded.  `fastinit explain` prints them in full."""
    from .. import checkpoint
    from .._core.draws import Draw
    from .._core.dtypes import CONSTANT, TRUNCATED_NORMAL, UNIFORM, decode
    from ..checkpoint import parts

    if isinstance(rule, checkpoint.Patched):
        return f"{_values(rule.draw, entry)}, with constants over parts"
    if not isinstance(rule, Draw):
        return "drawn whole" if parts.memory(entry) == entry.nbytes else "drawn part by part"
    numbers = rule.numbers()
    if rule.draw == CONSTANT:
        return f"{decode(numbers['bits'], entry.dtype):g}"
    if rule.draw == UNIFORM:
        return f"in [{numbers['low']:.6g}, {numbers['low'] + numbers['span']:.6g})"
    mean, std = numbers["mean"], numbers["std"]
    cut = ", truncated" if rule.draw == TRUNCATED_NORMAL else ""
    return (f"mean {mean:.6g}, " if mean else "") + f"std {std:.6g}{cut}"
