"""lstm_bias and chrono_bias: the forget and input gates' biases of recurrent networks.

The rules return a Write for any region of the bias; chrono's logarithms are _core/math.py's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import draws, dtypes, engine
from .._core import math as exact
from .._core.arguments import real
from .._core.dtypes import DType
from .._core.fill import apply
from .._core.jobs import draw_job
from ..typing import Array, Sizes, Write


def _gates(shape: Sizes, gates: Any) -> int:
    """The width of one gate of a bias that holds all gates in the order of `gates`."""
    if not isinstance(gates, str) or not gates:
        raise TypeError(
            f"gates must be a text with one letter a gate, such as 'ifgo', not {gates!r:.80}"
        )
    if gates.count("f") != 1:
        raise ValueError(f"gates is {gates!r:.80}; the forget gate must stand there once, as 'f'")
    if gates.count("i") > 1:
        raise ValueError(f"gates is {gates!r:.80}; the input gate 'i' may stand there once")
    if len(shape) != 1 or shape[0] % len(gates):
        raise ValueError(
            f"a bias of {len(gates)} gates ({gates!r}) has shape ({len(gates)}·hidden,), not "
            f"{shape}"
        )
    return shape[0] // len(gates)


def _overlap(target: Any, first: int, count: int) -> tuple[slice, int, int]:
    """Where first … first + count lies in the region's view, and which of the count that is."""
    (part,) = target.region
    start, stop = max(first, part.start), min(first + count, part.stop)
    stop = max(start, stop)
    return slice(start - part.start, stop - part.start), start - first, stop - first


def lstm_bias_rule(
    shape: Sizes, dtype: DType, *, forget: float = 1.0, gates: str = "ifgo"
) -> Write:
    hidden = _gates(shape, gates)
    bits = draws.constant(real(forget, "forget"), dtype).parameters[0]

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        target.view[...] = 0
        place, _, _ = _overlap(target, gates.index("f") * hidden, hidden)
        target.view[place] = bits

    return write


def lstm_bias(
    shape: Any = None,
    *,
    forget: float = 1.0,
    gates: str = "ifgo",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """`forget` in the forget gate's part of the bias, 0 elsewhere.

    Parameters
    ----------
    gates : their order, one letter each, the forget gate 'f': "ifgo" in torch, Keras and MXNet.
        torch adds two such biases: give one of them, and the other zeros.

    Source: Gers, Schmidhuber and Cummins, Learning to forget, 2000; Jozefowicz, Zaremba and
    Sutskever, 2015. Same as: MXNet LSTMBias(forget_bias), Keras unit_forget_bias=True.

    Examples
    --------
    >>> fi.lstm_bias(8)
    array([0., 0., 1., 1., 0., 0., 0., 0.], dtype=float32)
    """
    own = {"forget": forget, "gates": gates}
    return apply(lstm_bias_rule, own, shape, dtype, out, region, seed, name, threads)


def chrono_bias_rule(shape: Sizes, dtype: DType, *, t_max: float, gates: str = "ifgo") -> Write:
    hidden = _gates(shape, gates)
    longest = real(t_max, "t_max")
    if longest < 2.0:
        raise ValueError(
            f"t_max is {longest!r}; it must be at least 2, the longest dependency in steps"
        )
    working = dtype.working
    draw = draws.uniform(1.0, longest - 1.0, working)
    if not dtype.is_float:
        raise TypeError(f"chrono_bias needs a floating dtype, not {dtype.name}")
    draws.constant(exact.log(max(longest - 1.0, 1.0)), dtype)  # the largest value must be finite

    forget = gates.index("f") * hidden

    def write(target: Any, seed: int, stream: int, threads: int | None) -> None:
        target.view[...] = 0
        parts = [
            (sign, *_overlap(target, gates.index(gate) * hidden, hidden))
            for gate, sign in (("f", 1.0), ("i", -1.0))
            if gate in gates
        ]
        parts = [part for part in parts if part[2] < part[3]]
        if not parts:
            return
        # An input gate takes the draws of its forget gate, at that one's indices.
        first, last = min(part[2] for part in parts), max(part[3] for part in parts)
        drawn = np.empty(last - first, working.unsigned)
        job = draw_job(drawn, draw, seed, stream, forget + first, (1,))
        engine.run([job], threads)
        logs = [exact.log(steps) for steps in drawn.view(working.numpy()).tolist()]
        for sign, place, start, stop in parts:
            bits = [
                dtypes.encode(sign * log + 0.0, dtype) for log in logs[start - first : stop - first]
            ]
            target.view[place] = bits

    return write


def chrono_bias(
    shape: Any = None,
    *,
    t_max: float,
    gates: str = "ifgo",
    seed: Any = None,
    name: Any = None,
    dtype: Any = None,
    out: Any = None,
    region: Any = None,
    threads: int | None = None,
) -> Array:
    """Forget gate ln(u), u ~ U(1, t_max − 1), one u a unit; input gate −ln(u) of the same unit; 0
    elsewhere.

    Parameters
    ----------
    t_max : the longest dependency expected, in steps, at least 2.
    gates : their order, one letter each: 'f' the gate that keeps the state, 'i' the one that admits
        input (may be absent). "ifgo" in torch, Keras and MXNet; torch's GRU, whose update gate
        keeps: "rfn".

    Source: Tallec and Ollivier, Can recurrent neural networks warp time?, ICLR 2018. The logarithm
    is taken in double and rounded once to the dtype. (The PyTorch package chrono-initialization
    draws from 1/t_max by mistake.)

    Examples
    --------
    >>> fi.chrono_bias(8, t_max=100, seed=0, name="b")
    array([-3.9392953, -3.0960333,  3.9392953,  3.0960333,  0.       ,
            0.       ,  0.       ,  0.       ], dtype=float32)
    """
    own = {"t_max": t_max, "gates": gates}
    return apply(chrono_bias_rule, own, shape, dtype, out, region, seed, name, threads)
