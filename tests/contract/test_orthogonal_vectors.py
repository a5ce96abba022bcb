"""The orthogonal family against vectors/orthogonal.txt, which an independent scalar implementation
in plain Python wrote.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from orthogonal_cases import force

import fastinit as fi

TABLE = Path(__file__).parents[1] / "vectors" / "orthogonal.txt"
LINES = [
    line for line in TABLE.read_text("utf-8").splitlines() if line and not line.startswith("#")
]


def given(head):
    name, dtype, seed, stream, layout, gain, batch, *shape = head.split()
    arguments = {
        "dtype": dtype,
        "seed": int(seed),
        "name": int(stream),
        "layout": layout,
        "gain": float.fromhex(gain),
    }
    if name == "orthogonal":
        arguments["batch_axis"] = tuple(range(int(batch)))
    return getattr(fi, name)(tuple(map(int, shape)), **arguments)


@pytest.mark.parametrize("form", ["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def test_every_line_of_the_table(monkeypatch, form):
    force(monkeypatch, form)
    wrong = []
    for line in LINES:
        head, answer = line.split(" : ")
        w = given(head)
        bits = w.view(f"u{w.itemsize}")
        if answer.startswith("sha256 "):
            found = "sha256 " + hashlib.sha256(bits.astype(f"<u{w.itemsize}").tobytes()).hexdigest()
        else:
            found = " ".join(f"{b:0{2 * w.itemsize}x}" for b in bits.ravel().tolist())
        if found != answer:
            wrong.append(head)
    assert len(LINES) > 60 and not wrong


def test_the_table_covers_every_dtype_of_every_initializer():
    named = {tuple(line.split()[:2]) for line in LINES}
    assert len(named) == 3 * 6 and np.all([len(line.split(" : ")[1]) > 0 for line in LINES])
