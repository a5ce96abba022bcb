"""A job for the engine, below the façade: one draw into a new array."""

import numpy as np

from fastinit._core import draws, dtypes
from fastinit._core.jobs import Job


def job(count: int, draw: draws.Draw | None = None, dtype: dtypes.DType = dtypes.FLOAT32) -> Job:
    draw = draw or draws.normal(0.25, 0.7, dtype)
    return Job(
        np.zeros(count, dtype.unsigned), draw.draw, draw.storage, 5, 6, 0, draw.parameters, 0, (1,)
    )
