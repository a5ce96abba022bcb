"""What a fill would draw, as the rules decide it: the parameters of the formulas, to the bit."""

from fastinit import _table
from fastinit._core.dtypes import FLOAT64, FLOATING, NORMAL, UNIFORM

FLOATS = [dtype.name for dtype in FLOATING]


def decided(name, shape, dtype=FLOAT64, **arguments):
    """The draw of an initializer; for float64 its parameters are the doubles of the formulas."""
    return _table.RULES[_table.INITIALIZERS[name]](shape, dtype, **arguments)


def std_of(name, shape, **arguments):
    found = decided(name, shape, **arguments)
    assert found.draw == NORMAL and found.parameters[0] == 0.0
    return found.parameters[1]


def bound_of(name, shape, **arguments):
    """The bound b of U(-b, b), having seen that the draw is symmetric."""
    found = decided(name, shape, **arguments)
    low, span, lowest, highest = found.parameters
    assert found.draw == UNIFORM and span == 2 * -low and lowest == -highest
    return -low


def equal(a, b):
    """Equal dtype, shape and bits."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
