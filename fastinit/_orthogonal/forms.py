"""Chooses the form that computes a problem: NumPy or Numba.  Both give the same bits, so the choice
depends only on time.

Importing numba takes 1/3 s; a matrix of 64 by 64 in NumPy takes 1/100 s.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

from .._core import draws as _draws
from .._core import engine
from .._core.dtypes import FLOAT32, FLOAT64, DType
from .._core.jobs import draw_job
from .._core.signals import undisturbed
from ..typing import Array
from .problem import DrawNormals, Place, Problem

# Minimum multiply-adds per second of NumPy's chains; the key says whether the dtype is float64.
STEPS = {False: 1e8, True: 4e8}
IMPORTING = 0.25  # seconds of NumPy work in one process after which numba is imported
PATIENCE = 60.0  # seconds a call may take in NumPy before it is refused, if nobody chose NumPy

_spent = 0.0
_compiled: Any = None  # the compiled form's module, set once its import is complete
_missing: Exception | None = None  # why numba cannot be imported, once that is known


def draws(wide: bool, seed: int, stream: int) -> DrawNormals:
    """The standard normals of plane 0; see DrawNormals.  All orthogonal initializers draw their
    values here.
    """
    dtype = FLOAT64 if wide else FLOAT32
    standard = _draws.normal(0.0, 1.0, dtype)

    def draw(parts: Any) -> None:
        jobs = [
            draw_job(out.view(dtype.unsigned), standard, seed, stream, first, strides)
            for out, first, strides in parts
        ]
        engine.run(jobs, threads=1)

    return draw


def compiled(steps: float, wide: bool, what: str) -> Any:
    """The module of the compiled form; None where NumPy is as fast, was requested, or is all that
    is available.
    """
    global _compiled, _missing, _spent
    seconds = steps / STEPS[wide]
    if os.environ.get("FASTINIT_ENGINE") == "reference":
        return None
    if _compiled is not None:
        return _compiled
    if _spent + seconds < IMPORTING:
        _spent += seconds
        return None
    if _missing is None:
        try:
            # Not from sys.modules: it may hold the module before another thread has imported it
            # completely.
            _compiled = undisturbed(lambda: importlib.import_module(".compiled", __package__))
            return _compiled
        except (ImportError, OSError, SystemError) as error:
            # numba is not installed, or does not support this NumPy or machine.
            _missing = error
    if seconds < PATIENCE:
        return None
    minutes = f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
    raise ImportError(
        f"{what} would take about {minutes} without numba ({_missing}); install it (pip install "
        "numba), or set FASTINIT_ENGINE=reference to compute it anyway"
    ) from _missing


def form(problem: Problem, place: Place, draw: DrawNormals, threads: int | None, what: str) -> None:
    """Write the problem's part of W to the destination."""
    module = compiled(problem.steps, problem.dtype.wide, what)
    if module is not None:
        module.form(problem, place, draw, threads)
        return
    from . import numpy_form  # on demand, with the reference engine that it uses

    every = slice(0, len(problem.columns))
    for m, matrix in enumerate(problem.matrices):
        q = numpy_form.columns_of_q(
            draw, problem.p, problem.q, int(matrix), problem.columns, problem.working
        )
        to = place.lend(slice(m, m + 1), every)
        to[0] = numpy_form.stored(q[problem.rows].T, problem.gain, problem.dtype)
        place.commit(to, slice(m, m + 1), every)


def columns(
    p: int,
    q: int,
    matrix: int,
    wanted: Array,
    dtype: DType,
    draw: DrawNormals,
    threads: int | None,
    what: str,
) -> Array:
    """Q[:, wanted] transposed, in the working type."""
    out = np.empty((1, len(wanted), q), dtype.unsigned)
    problem = Problem(p, q, np.array([matrix]), wanted, slice(0, q), dtype, 1.0)
    form(problem, Place(out, 1, 1, problem, None), draw, threads, what)
    return out[0].view(problem.working)
