"""Complex draws against vectors/complex.txt, which an independent scalar implementation of section
12 of the stream page wrote: equal bits, never a tolerance.

fastinit.jax and fastinit.keras fill with fastinit._complex, which needs no framework.
"""

import sys

import numpy as np
import pytest
from vector_cases import VECTORS, lines

import fastinit as fi
from fastinit import _complex

ARGUMENTS = {
    "constant": ("real", "imaginary"),
    "eye": ("gain",),
    "normal": ("mean", "std"),
    "variance_scaling": ("distribution", "scale", "mode", "layout"),
    "orthogonal": ("gain",),
    "delta_orthogonal": ("gain",),
}
WORDS = ("distribution", "mode", "layout")


def asked(line):
    """What a line asks: its initializer, the arguments of _complex.values, and the answer."""
    head, answer = line.split(" : ")
    name, dtype, seed, stream, *rest = head.split()
    keys = ARGUMENTS[name]
    given = {
        key: text if key in WORDS else float.fromhex(text)
        for key, text in zip(keys, rest[: len(keys)], strict=True)
    }
    if name == "constant":
        given = {"value": complex(given["real"], given["imaginary"])}
    shape, parts = tuple(map(int, rest[len(keys) :])), _complex.parts_of(dtype)
    law = _complex.law(name, given, shape, parts)
    wanted = np.array([int(bits, 16) for bits in answer.split()], parts.unsigned)
    return (law, shape, parts, int(seed), int(stream)), dtype, wanted


@pytest.mark.parametrize("name", ARGUMENTS)
def test_complex_draws_have_the_bits_of_the_vectors(name):
    own = [line for line in lines("complex") if line.startswith(f"{name} ")]
    assert {line.split()[1] for line in own} == {"complex64", "complex128"}
    for line in own:
        (law, shape, parts, seed, stream), dtype, wanted = asked(line)
        drawn = _complex.values(law, shape, parts, None, seed, stream)
        assert drawn.dtype == dtype and drawn.shape == shape
        head = line.split(" : ")[0]
        assert drawn.reshape(-1).view(parts.unsigned).tobytes() == wanted.tobytes(), head


def test_a_region_of_a_complex_tensor_has_the_bits_of_the_vectors():
    compared = 0
    for line in lines("complex"):
        (law, shape, parts, seed, stream), dtype, wanted = asked(line)
        if shape:
            cut = tuple(slice(size // 3, size) for size in shape)
            drawn = _complex.values(law, shape, parts, cut, seed, stream)
            expected = wanted.view(dtype).reshape(shape)[cut]
            assert drawn.tobytes() == expected.tobytes(), line.split(" : ")[0]
            compared += 1
    assert compared > 80


def test_the_vectors_of_each_dtype_hold_moduli_that_were_folded_back():
    for dtype, real in (("complex64", "float32"), ("complex128", "float64")):
        beyond = 0
        for line in lines("complex"):
            if line.startswith(f"variance_scaling {dtype} ") and " truncated_normal " in line:
                (_, shape, _, seed, stream), _, _ = asked(line)
                drawn = fi.normal((*shape, 2), dtype=real, seed=seed, name=stream)
                beyond += int((np.square(drawn).sum(-1) >= 8.0).sum())
        assert beyond > 3


def test_the_scalar_writing_gives_the_committed_lines_again(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    import scalar_complex_v1

    assert list(map(scalar_complex_v1.complete, scalar_complex_v1.heads())) == lines("complex")
