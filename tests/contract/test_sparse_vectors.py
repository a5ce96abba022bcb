"""sparse, in the compiled and the NumPy form, has every bit of the vectors of an independent scalar
implementation.
"""

import importlib.util
import pathlib

import numpy as np
import pytest

import fastinit as fi
from fastinit._core import dtypes

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "vectors"
LINES = [
    text for text in (FOLDER / "sparse.txt").read_text().splitlines() if not text.startswith("#")
]


@pytest.mark.parametrize("text", LINES, ids=lambda text: text.split(" : ")[0])
def test_sparse_has_the_bits_of_the_vectors(text):
    head, _, values = text.partition(" : ")
    rows, columns, amount, per, std, dtype, seed, stream = head.split()
    kind, _, number = amount.partition("=")
    own = {"n_nonzero": int(number)} if kind == "n" else {"sparsity": float.fromhex(number)}
    kind = dtypes.resolve(dtype)
    out = np.full((int(rows), int(columns)), 0xAA, kind.unsigned).view(kind.numpy())
    fi.sparse(out=out, per=per, std=float.fromhex(std), seed=int(seed), name=int(stream), **own)
    want = np.zeros(out.size, kind.unsigned)
    for pair in values.split():
        flat, bits = pair.split("=")
        want[int(flat)] = int(bits, 16)
    assert out.view(kind.unsigned).ravel().tobytes() == want.tobytes()


def test_the_script_writes_the_committed_lines():
    spec = importlib.util.spec_from_file_location(
        "scalar_sparse_v1", FOLDER / "scalar_sparse_v1.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [module.line(case) for case in module.CASES] == LINES
