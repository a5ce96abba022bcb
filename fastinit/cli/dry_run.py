"""What `fastinit materialize --dry-run` prints: a plan, one line a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .output import table

if TYPE_CHECKING:
    from .._core.dtypes import DType
    from ..checkpoint import Plan


def show(plan: Plan) -> None:
    """Print the tensors, the files and the memory that a plan needs."""
    from .. import checkpoint
    from .._core.draws import Draw

    rows = [("tensor", "shape", "dtype", "initializer", "values", "bytes")]
    entries = {entry.name: entry for entry in plan.spec.entries}
    largest = 0
    for file in plan.files:
        for tensor, rule in zip(file.layout.tensors, file.rules, strict=True):
            size = tensor.end - tensor.begin
            if not isinstance(rule, (Draw, checkpoint.Patched)):
                largest = max(largest, size)
            rows.append(
                (
                    tensor.name,
                    "×".join(map(str, tensor.shape)) or "()",
                    tensor.dtype.name,
                    entries[tensor.name].initializer,
                    _values(rule, tensor.dtype),
                    str(size),
                )
            )
    print(table(rows, right=[5]))
    print(*checkpoint.rules(plan.spec), sep="\n")
    if len(plan.files) > 1:
        for file in plan.files:
            print(f"{file.name}: {len(file.layout.tensors)} tensors, {file.size} bytes")
    if largest:
        print(f"tensors that are drawn whole need memory: {largest} bytes for the largest")
    files = "file takes" if len(plan.files) == 1 else f"{len(plan.files)} files take"
    print(
        f"{plan.tensors} tensors, {plan.values} values; the {files} {plan.size} bytes; "
        "nothing was written"
    )


def _values(rule: Any, dtype: DType) -> str:
    """The numbers of a draw, short; `fastinit explain` has them in full."""
    from .. import checkpoint
    from .._core.draws import Draw
    from .._core.dtypes import CONSTANT, TRUNCATED_NORMAL, UNIFORM, decode

    if isinstance(rule, checkpoint.Patched):
        return f"{_values(rule.draw, dtype)}, with constants over parts"
    if not isinstance(rule, Draw):
        return "drawn whole"
    numbers = rule.numbers()
    if rule.draw == CONSTANT:
        return f"{decode(numbers['bits'], dtype):g}"
    if rule.draw == UNIFORM:
        return f"in [{numbers['low']:.6g}, {numbers['low'] + numbers['span']:.6g})"
    mean, std = numbers["mean"], numbers["std"]
    cut = ", truncated" if rule.draw == TRUNCATED_NORMAL else ""
    return (f"mean {mean:.6g}, " if mean else "") + f"std {std:.6g}{cut}"
