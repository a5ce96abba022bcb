"""fastinit's own speed under pytest-benchmark, to compare before and after a change on one machine.
Compared with other libraries: run.py.

    pip install '.[bench,test]' && pytest benchmarks/test_speed.py --benchmark-save=before
    pytest benchmarks/test_speed.py --benchmark-compare
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastinit as fi
from fastinit._core import dtypes

VALUES = 1 << 24
DTYPES = [dtype.name for dtype in dtypes.FLOATING]


def buffer(dtype: str, shape: tuple[int, ...] = (VALUES,)) -> Any:
    return np.zeros(shape, dtypes.resolve(dtype).numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
def test_fill(benchmark: Any, name: str, dtype: str) -> None:
    out = buffer(dtype)
    function = getattr(fi, name)
    own = {"low": -2.0, "high": 2.0, "std": 0.02} if name == "truncated_normal" else {}
    benchmark.extra_info["values"] = VALUES
    benchmark(lambda: function(out=out, seed=1, threads=1, **own))


def test_memset_with_a_non_zero_byte(benchmark: Any) -> None:
    out = np.zeros(4 * VALUES, np.uint8)
    benchmark(out.fill, 0x3C)


def test_two_threads(benchmark: Any) -> None:
    out = buffer("float32")
    benchmark(lambda: fi.normal(out=out, seed=1, threads=2))


def test_small_call(benchmark: Any) -> None:
    out = buffer("float32", (64, 64))
    benchmark(lambda: fi.he_normal(out=out, seed=0))


@pytest.mark.parametrize("shape", [(1024, 1024), (4096, 1024)])
def test_orthogonal(benchmark: Any, shape: tuple[int, int]) -> None:
    out = buffer("float32", shape)
    fi.orthogonal(out=out, seed=0)  # compile first
    benchmark(lambda: fi.orthogonal(out=out, seed=0))


def test_sparse(benchmark: Any) -> None:
    out = buffer("float32", (4096, 4096))
    fi.sparse(out=out, sparsity=0.9, seed=0)
    benchmark(lambda: fi.sparse(out=out, sparsity=0.9, seed=0))
