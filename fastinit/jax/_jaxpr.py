"""Laws of parameters that JAX code initializes, read off the program that JAX traces (a jaxpr).

Each output is traced back to the draws of jax.random and _arrays.py that it came from, through the
few operations that are known exactly.  Any other operation makes the law "unknown", and names
itself.  Nothing is drawn or compiled.  jaxprs are internal to JAX and not documented: if a later
JAX writes one in another way, its law becomes unknown, never wrong.  Used by laws.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _laws
from .._laws import Law
from ..typing import Sizes


class _Drawn(NamedTuple):
    """The values of one initializer, in any order."""

    initializer: str
    arguments: dict[str, Any]
    shape: Sizes  # the shape that the initializer was called with


class _Unknown(NamedTuple):
    why: str


_Value = float | _Drawn | _Unknown

# Operations that only move values, or do not change them.
_MOVES = frozenset(
    ("reshape", "transpose", "squeeze", "expand_dims", "rev", "copy", "copy_p", "stop_gradient")
    + ("convert_element_type", "optimization_barrier", "device_put", "sharding_constraint", "pvary")
    + ("reduce_precision",)
)
_DRAWS = {
    "_uniform": "uniform",
    "_normal": "normal",
    "_normal_real": "normal",
    "_truncated_normal": "truncated_normal",
    "_orthogonal": "orthogonal",
}


def laws(closed: Any, names: Sequence[str]) -> list[Law]:
    """The laws of a program's outputs, by their names, one for each tensor."""
    outputs = _run(closed.jaxpr, [_number(one) for one in closed.consts], [])
    shapes = [tuple(one.aval.shape) for one in closed.jaxpr.outvars]
    return [_law(*one) for one in zip(names, shapes, outputs, strict=True)]


def _law(name: str, shape: Sizes, value: _Value) -> Law:
    if isinstance(value, _Unknown):
        return _laws.unknown(name, shape, value.why)
    if isinstance(value, _Drawn):
        try:
            elementwise = value.initializer in _ELEMENTWISE
            called = shape if elementwise else value.shape
            found = _laws.law(name, called, value.initializer, value.arguments)
        except (ValueError, TypeError) as error:
            return _laws.unknown(name, shape, f"{value.initializer}: {error}")
        return found._replace(shape=shape)
    return _laws.constant(name, shape, value)._replace(rule=f"constant(value={value!r})")


_ELEMENTWISE = ("uniform", "normal", "truncated_normal", "constant")


def _number(value: Any) -> _Value:
    """The one number of a constant array."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiubV" or not array.size:
        return _Unknown(f"a constant of dtype {array.dtype}")
    first = array.reshape(-1)[0]
    if array.size > 1 and not (array == first).all():
        return _Unknown("an array of given values")
    return float(first)


def _run(jaxpr: Any, consts: list[_Value], inputs: list[_Value]) -> list[_Value]:
    known: dict[Any, _Value] = dict(zip(jaxpr.constvars, consts, strict=True))
    given = [*inputs, *[_Unknown("an argument of the call")] * len(jaxpr.invars)]
    known |= dict(zip(jaxpr.invars, given, strict=False))

    def value(atom: Any) -> _Value:
        if hasattr(atom, "val"):
            return _number(atom.val)
        return known[atom]

    for equation in jaxpr.eqns:
        outputs = _equation(equation, [value(one) for one in equation.invars])
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [value(one) for one in jaxpr.outvars]


def _equation(equation: Any, values: list[_Value]) -> list[_Value]:
    """What one operation makes of its inputs."""
    kind, params = equation.primitive.name, equation.params
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if inner is not None and kind == "scan":
        return _scan(params, values)
    if inner is not None and len(getattr(inner, "jaxpr", inner).invars) == len(values):
        drawn = _called(str(params.get("name")), values, equation.outvars)
        if drawn is not None:
            return [drawn]
        body = getattr(inner, "jaxpr", inner)
        return _run(body, [_number(one) for one in getattr(inner, "consts", ())], values)
    if kind == "pure_callback":
        return [_callback(params, values)]
    if len(equation.outvars) != 1:
        return [_Unknown(kind)] * len(equation.outvars)
    if kind in _MOVES:
        return values[:1]
    if kind == "broadcast_in_dim":
        source, target = equation.invars[0].aval, equation.outvars[0].aval
        # A draw that is repeated is not one draw of the whole array.
        same = math.prod(source.shape) == math.prod(target.shape)
        return values[:1] if same or isinstance(values[0], float) else [_Unknown("broadcasting")]
    if all(isinstance(one, float) for one in values):
        return [_computed(equation, values)]
    return [_arithmetic(kind, values)]


def _called(name: str, values: list[_Value], outputs: Sequence[Any]) -> _Drawn | None:
    """A function of jax.random, by its name and the numbers beside the key."""
    numbers = [one for one in values[1:] if isinstance(one, float)]
    if name not in _DRAWS or len(outputs) != 1 or len(numbers) != len(values) - 1:
        return None
    initializer, shape = _DRAWS[name], tuple(outputs[0].aval.shape)
    if initializer == "uniform" and len(numbers) == 2:
        return _Drawn(initializer, {"low": numbers[0], "high": numbers[1]}, shape)
    if initializer == "truncated_normal" and len(numbers) == 2:
        own = {"mean": 0.0, "std": 1.0, "low": numbers[0], "high": numbers[1], "bounds": "absolute"}
        return _Drawn(initializer, own, shape)
    if initializer == "normal" and not numbers:
        return _Drawn(initializer, {"mean": 0.0, "std": 1.0}, shape)
    if initializer == "orthogonal" and not numbers:
        return _Drawn(initializer, {"gain": 1.0}, shape)
    return None


def _callback(params: Any, values: list[_Value]) -> _Value:
    """A draw of _arrays.py: its callback carries what it draws."""
    drawn = getattr(getattr(params.get("callback"), "callback_func", None), "drawn", None)
    if drawn is None:
        return _Unknown("a callback to the host")
    name, arguments, traced, shape = drawn
    own = dict(arguments)
    for key, number in zip(traced, values[1:], strict=True):
        if not isinstance(number, float):
            return _Unknown(f"{name} with a traced {key}")
        own[key] = number
    return _Drawn(name, own, shape)


def _scan(params: Any, values: list[_Value]) -> list[_Value]:
    """Parameters of repeated layers: each step draws its own, by the same law."""
    body = params["jaxpr"]
    consts, carried = params["num_consts"], params["num_carry"]
    inside = [
        value if place < consts else _Unknown("carried through a scan")
        for place, value in enumerate(values)
    ]
    outputs = _run(body.jaxpr, [_number(one) for one in body.consts], inside)
    return [
        _Unknown("carried through a scan")
        if place < carried or (isinstance(value, _Drawn) and value.initializer not in _ELEMENTWISE)
        else value
        for place, value in enumerate(outputs)
    ]


def _computed(equation: Any, values: list[_Value]) -> _Value:
    """Numbers that the program computes, such as a standard deviation from a fan."""
    inputs = [
        np.asarray(value, atom.aval.dtype)
        for value, atom in zip(values, equation.invars, strict=True)
    ]
    try:
        # If every input holds one number everywhere, an elementwise operation is applied to these
        # numbers.
        several = any(math.prod(atom.aval.shape) > 1 for atom in equation.outvars)
        if several and equation.primitive.name not in _ELEMENTWISE_OPERATIONS:
            return _Unknown(equation.primitive.name)
        return _number(equation.primitive.bind(*inputs, **equation.params))
    except Exception as error:  # anything that a primitive raises for inputs without their shapes
        return _Unknown(f"{equation.primitive.name}: {type(error).__name__}")


_ELEMENTWISE_OPERATIONS = frozenset(
    ("add", "sub", "mul", "div", "neg", "sqrt", "rsqrt", "exp", "log", "log1p", "expm1", "tanh")
    + ("abs", "max", "min", "integer_pow", "pow", "square", "logistic", "sign", "floor", "ceil")
)


def _arithmetic(kind: str, values: list[_Value]) -> _Value:
    """A draw that is multiplied by a number or shifted by one."""
    unknown = [one for one in values if isinstance(one, _Unknown)]
    if unknown:
        return unknown[0]
    drawn = [one for one in values if isinstance(one, _Drawn)]
    if kind == "neg":
        return _affine(drawn[0], -1.0, 0.0)
    if len(values) != 2 or len(drawn) != 1:
        return _Unknown(f"{kind} of a draw" if len(drawn) == 1 else f"{kind} of draws")
    number = float(values[1 if values[0] is drawn[0] else 0])  # type: ignore[arg-type]
    first = values[0] is drawn[0]
    if kind == "mul":
        return _affine(drawn[0], number, 0.0)
    if kind == "div" and first and number:
        return _affine(drawn[0], 1.0 / number, 0.0)
    if kind == "add":
        return _affine(drawn[0], 1.0, number)
    if kind == "sub":
        return _affine(drawn[0], 1.0, -number) if first else _affine(drawn[0], -1.0, number)
    if kind in ("max", "min"):
        return _clamped(drawn[0], kind, number)
    return _Unknown(f"{kind} of a draw")


def _clamped(drawn: _Drawn, kind: str, bound: float) -> _Value:
    """Only a bound that cuts nothing can be followed."""
    none = -math.inf if kind == "max" else math.inf
    end = drawn.arguments.get("low" if kind == "max" else "high", none)
    if drawn.initializer in ("uniform", "truncated_normal") and (
        bound <= end if kind == "max" else bound >= end
    ):
        return drawn
    return _Unknown(f"{kind} of a draw")


def _affine(drawn: _Drawn, factor: float, shift: float) -> _Value:
    """A draw times a factor, plus a shift: as a law, so a factor may be negative."""
    own, name = drawn.arguments, drawn.initializer
    if not factor:
        return shift
    if factor == 1.0 and not shift:
        return drawn
    if name in ("uniform", "truncated_normal") and own.get("bounds") != "sigma":
        ends = sorted(own[end] * factor + shift for end in ("low", "high"))
        own = {**own, "low": ends[0], "high": ends[1]}
    elif name not in ("normal", "orthogonal"):
        own = {}
    if name in ("normal", "truncated_normal") and own:
        return drawn._replace(
            arguments={
                **own,
                "mean": own.get("mean", 0.0) * factor + shift,
                "std": own.get("std", 1.0) * abs(factor),
            }
        )
    if name == "uniform" and own:
        return drawn._replace(arguments=own)
    if name == "orthogonal" and not shift:
        return drawn._replace(arguments={**own, "gain": own.get("gain", 1.0) * abs(factor)})
    return _Unknown(f"{name} times {factor!r} plus {shift!r}")
