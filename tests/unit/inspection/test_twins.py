"""Copies are found whatever lies between them, and independent tensors never are copies."""

import numpy as np
import pytest
from inspection_models import write

import fastinit as fi
from fastinit.inspection import tensors
from fastinit.inspection.twins import Twin, decoded, twins


def found(path, arrays):
    return twins(tensors(write(path / "w.safetensors", arrays)))


def narrow(array, dtype):
    import ml_dtypes

    return array.astype({"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype))


def test_independent_draws_constants_and_tiny_tensors_are_not_twins(tmp_path):
    arrays = {f"w{i}": fi.normal((40, 50), seed=0, name=i) for i in range(60)}
    arrays |= {f"short{i}": fi.normal(17, seed=0, name=i) for i in range(60)}
    arrays |= {f"zeros{i}": np.zeros(2000, np.float32) for i in range(3)}
    arrays |= {f"pair{i}": np.array([1.0, 2.0], np.float32) for i in range(3)}
    assert found(tmp_path, arrays) == []


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("size", [(40, 50), (20,), (300, 3000)])
def test_exact_and_scaled_copies_are_found_in_every_dtype(tmp_path, dtype, size):
    first = fi.normal(size, seed=0)
    arrays = {
        "a": narrow(first, dtype),
        "b": narrow(fi.normal(size, seed=1), dtype),
        "c": narrow(first, dtype),
        "d": narrow(first * -0.7, dtype),
    }
    exact, scaled = found(tmp_path, arrays)
    assert exact == Twin("a", "c", None)
    assert scaled[:2] == ("a", "d") and scaled.factor == pytest.approx(-0.7, rel=1e-2)


def test_tensors_that_differ_in_one_value_are_not_exact_twins(tmp_path):
    first = fi.normal((300, 3000), seed=0)
    second = first.copy()
    second[150, 7] += 1.0  # which no fingerprint holds
    (twin,) = found(tmp_path, {"a": first, "b": second})
    assert twin.factor == pytest.approx(1.0)
    second[:] = fi.normal((300, 3000), seed=1)
    second[0, :128] = first[0, :128]
    assert found(tmp_path, {"a": first, "b": second}) == []


def test_copies_among_many_experts_are_found(tmp_path):
    arrays = {f"expert{i}": fi.normal((16, 16), seed=0, name=i) for i in range(500)}
    arrays["expert77"] = arrays["expert400"] * np.float32(3)
    assert [twin[:2] for twin in found(tmp_path, arrays)] == [("expert400", "expert77")]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float16", "float64"])
def test_decoded_values_are_those_of_the_dtype(name):
    from fastinit._core import dtypes

    dtype = dtypes.resolve(name)
    bits = np.arange(0, 1 << min(8 * dtype.itemsize, 16), 7).astype(dtype.unsigned)
    values = decoded(bits, dtype)
    assert all(
        dtypes.decode(int(one), dtype) == value or value != value
        for one, value in zip(bits, values, strict=True)
    )
