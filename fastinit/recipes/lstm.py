"""lstm_bias and chrono_bias: biases of the forget and input gates of recurrent networks.

The rules return a Write that fills any region of the bias.  Logarithms come from _core/math.py, so
that they are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core import draws, dtypes, engine
from .._core import math as exact
from .._core.arguments import real, shown
from .._core.dtypes import DType
from .._core.fill import apply
from .._core.jobs import draw_job
from ..typing import Dtype, Name, Out, Real, Region, Seed, Shape, Sizes, Write


def _gates(shape: Sizes, gates: Any) -> int:
    """The width of one gate, in a bias that holds all gates in the order of `gates`."""
    if not isinstance(gates, str) or not gates:
        raise TypeError(
            f"gates must be a string with one letter per gate, such as 'ifgo', not {shown(gates)}"
        )
    if gates.count("f") != 1:
        raise ValueError(f"gates is {shown(gates)}; it must hold the forget gate once, as 'f'")
    if gates.count("i") > 1:
        raise ValueError(f"gates is {shown(gates)}; it may hold the input gate 'i' once")
    if len(shape) != 1 or shape[0] % len(gates):
        raise ValueError(
            f"shape is {shape}; a bias of {len(gates)} gates ({gates!r}) has shape "
            f"({len(gates)}·hidden,)"
        )
    return shape[0] // len(gates)


def _overlap(target: Any, first: int, count: int) -> tuple[slice, int, int]:
    """The slice of the region's view that holds elements first … first + count of the bias, and the
    ends of that part, counted from `first`.
    """
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
    shape: Shape | None = None,
    *,
    forget: Real = 1.0,
    gates: str = "ifgo",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """`forget` in the forget gate's part of the bias, 0 elsewhere.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    forget : float, default 1.0
        The forget gate's bias.
    gates : str, default "ifgo"
        Order of the gates, one letter each; "f" is the forget gate. It is "ifgo" in torch, Keras
        and MXNet. torch adds two such biases: fill one with this and the other with zeros.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        A shape that is not ``(gates·hidden,)``; gates without one "f".

    See Also
    --------
    chrono_bias : Biases for long dependencies.
    keras.layers.LSTM : Equal with its unit_forget_bias=True.

    Notes
    -----
    Proposed in [1]_, with value 1 in [2]_. Nothing is drawn: `seed` and `name` are checked and have
    no effect.

    References
    ----------
    .. [1] Gers, Schmidhuber and Cummins, Learning to forget, Neural Computation 12, 2000.
    .. [2] Jozefowicz, Zaremba and Sutskever, An empirical exploration of recurrent network
           architectures, ICML 2015.

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
        # The input gate reuses the draws of the forget gate, at the forget gate's indices.
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
    shape: Shape | None = None,
    *,
    t_max: Real,
    gates: str = "ifgo",
    seed: Seed | None = None,
    name: Name | None = None,
    dtype: Dtype | None = None,
    out: Out | None = None,
    region: Region | None = None,
    threads: int | None = None,
) -> Out:
    """Forget gate ln(u), u ~ U(1, t_max − 1), input gate −ln(u) of the same unit, 0 elsewhere.

    Parameters
    ----------
    shape : int or sequence of int, optional
        Sizes of the whole tensor; may be omitted where `out` has them.
    t_max : float
        The longest dependency expected, in steps, at least 2.
    gates : str, default "ifgo"
        Order of the gates, one letter each: "f" keeps the state; "i" admits input and may be
        absent. It is "ifgo" in torch, Keras and MXNet; give "rfn" for torch's GRU, whose update
        gate keeps the state.
    seed : int, optional
        In [0, 2**64). None draws a new seed, and no two such calls agree.
    name : str or int, optional
        The tensor's name: under one seed, different names give unrelated values.
    dtype : str or dtype, optional
        "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
    out : buffer, optional
        CPU memory to fill in place and return: array, memmap, buffer or DLPack.
    region : slice, int or tuple of these, optional
        The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
    threads : int, optional
        The most threads to use; their number does not change the bits.

    Returns
    -------
    array
        A new array of the region's shape, or `out` itself.

    Raises
    ------
    ValueError
        A shape that is not ``(gates·hidden,)``; `t_max` below 2.

    See Also
    --------
    lstm_bias : A constant bias of the forget gate.

    Notes
    -----
    Formula in [1]_. (The PyTorch package chrono-initialization draws with 1/t_max, a mistake.) The
    logarithm is computed in double and rounded once to the dtype. Element i depends on the seed,
    the name and i only: stream-v1.md, section 4.

    References
    ----------
    .. [1] Tallec and Ollivier, Can recurrent neural networks warp time?, ICLR 2018.

    Examples
    --------
    >>> fi.chrono_bias(8, t_max=100, seed=0, name="b")
    array([-3.9392953, -3.0960333,  3.9392953,  3.0960333,  0.       ,
            0.       ,  0.       ,  0.       ], dtype=float32)
    """
    own = {"t_max": t_max, "gates": gates}
    return apply(chrono_bias_rule, own, shape, dtype, out, region, seed, name, threads)
