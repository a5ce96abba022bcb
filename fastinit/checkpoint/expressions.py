"""Evaluate arithmetic in a spec, such as "0.02 / sqrt(2 * layers)".

Numbers are exact integers or doubles.  Only the operations that the contract allows for parameters
are supported; evaluate() lists them.  Other functions and attributes are errors.  So are powers,
which would need libm.  spec.py uses this module.
"""

from __future__ import annotations

import _ast  # not ast, which is a Python module whose import takes 6 ms
import math
from collections.abc import Mapping

from .._core.arguments import shown

Number = int | float

FUNCTIONS = {"sqrt": (math.sqrt, 1, 1), "min": (min, 2, 99), "max": (max, 2, 99)}
RESERVED = {*FUNCTIONS, "inf"}  # names that no constant may take
_LENGTH = 1000  # of the text: longer text could nest too deeply for the parser's stack
_BITS = 1 << 10  # the most bits of an intermediate integer


def evaluate(text: str, names: Mapping[str, Number]) -> Number:
    """Evaluate an expression over numbers and `names`.

    It may hold + - * / // sqrt() min() max() and parentheses.  Integers stay exact through
    + - * //; a / b and sqrt(a) are doubles, each rounded once.

    Raises
    ------
    LookupError
        An unknown name, which is the error's argument.
    ValueError
        Anything else that is not such an expression, or has no value.
    """
    text = text.strip()
    if len(text) > _LENGTH:
        raise ValueError(f"the expression is longer than {_LENGTH} characters")
    try:
        tree = compile(text, "<expression>", "eval", _ast.PyCF_ONLY_AST)
        return _value(tree.body, names)  # type: ignore[attr-defined]
    except SyntaxError:
        raise ValueError(f"{shown(text)} is not an arithmetic expression") from None
    except (RecursionError, MemoryError):
        raise ValueError("the expression is nested too deeply") from None
    except ZeroDivisionError:
        raise ValueError(f"{shown(text)} divides by zero") from None
    except OverflowError:
        raise ValueError(f"{shown(text)} has a value too large for a double") from None


def _value(node: _ast.AST, names: Mapping[str, Number]) -> Number:
    if isinstance(node, _ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    if isinstance(node, _ast.Name):
        if node.id == "inf":
            return math.inf
        if node.id not in names:
            raise LookupError(node.id)
        return names[node.id]
    if isinstance(node, _ast.UnaryOp) and isinstance(node.op, (_ast.USub, _ast.UAdd)):
        value = _value(node.operand, names)
        return -value if isinstance(node.op, _ast.USub) else value
    if isinstance(node, _ast.BinOp):
        return _checked(_operation(node.op, _value(node.left, names), _value(node.right, names)))
    if isinstance(node, _ast.Call) and isinstance(node.func, _ast.Name) and not node.keywords:
        if node.func.id not in FUNCTIONS:
            raise ValueError(
                f"there is no function {shown(node.func.id)}; there are {', '.join(FUNCTIONS)}"
            )
        function, fewest, most = FUNCTIONS[node.func.id]
        arguments = [_value(argument, names) for argument in node.args]
        if not fewest <= len(arguments) <= most:
            raise ValueError(
                f"{node.func.id} takes {'one argument' if most == 1 else 'two arguments or more'}"
            )
        if function is math.sqrt and not arguments[0] >= 0:
            raise ValueError(f"sqrt of {shown(arguments[0])}")
        return function(*arguments)  # type: ignore[operator, no-any-return]
    raise ValueError(
        "an expression holds only numbers, names, + - * / //, sqrt(), min(), max() and parentheses"
    )


def _operation(operator: _ast.AST, left: Number, right: Number) -> Number:
    if isinstance(operator, _ast.Add):
        return left + right
    if isinstance(operator, _ast.Sub):
        return left - right
    if isinstance(operator, _ast.Mult):
        return left * right
    if isinstance(operator, _ast.Div):
        return left / right
    if isinstance(operator, _ast.FloorDiv):
        if type(left) is not int or type(right) is not int:
            raise ValueError("// divides whole numbers only")
        return left // right
    raise ValueError("an expression may hold the operations + - * / // only")


def _checked(value: Number) -> Number:
    if type(value) is int and value.bit_length() > _BITS:
        raise ValueError(f"a whole number of more than {_BITS} bits")
    return value
