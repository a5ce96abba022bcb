"""The answers in vectors/stream-v1-cases.json, on which two independent implementations of the
contract agreed.

Here: words, uniforms, constants, scales, seeds, names and shapes; ELSEWHERE says which tests check
the others.
"""

import ast
import collections
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from fastinit import _table
from fastinit._core import draws, engine, shapes
from fastinit._core import stream as _stream
from fastinit._core.dtypes import WORDS, resolve
from fastinit._core.jobs import Job

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "stream-v1-cases.json").read_text())
# Families whose answers other tests check, with their counts.
ELSEWHERE = {
    "sparse": 18,
    "orthogonal": 72,
    "orth_batch": 12,
    "orth_zero": 12,
    "normal_angle": 15,
    "normal_radius": 12,
    "kat": 1,
}
SEED, NAME = 12345678901234567890, "a.weight"
INIT = _table.INITIALIZERS


def digest(array):
    return hashlib.sha256(
        np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    ).hexdigest()


def words(seed, name):
    out = np.empty((2, 64), np.uint32)
    stream = _stream.stream_id(int(name) if name.isdigit() else None if name == "None" else name)
    jobs = [
        Job(out[row], WORDS, 6, int(seed), stream, 0, (), 64 * tile, (1,))
        for row, tile in enumerate((0, 5))
    ]
    engine.run(jobs)
    return digest(out)


def uniform(low, high, dtype, **place):
    return digest(
        INIT["uniform"](
            200, low=float(low), high=float(high), dtype=dtype, seed=SEED, name=NAME, **place
        )
    )


def scaled(name, **arguments):
    return lambda dtype: digest(INIT[name](dtype=dtype, seed=3, **arguments))


def std(shape, **arguments):
    """The unrounded std of a normal: that of the float64 draw."""
    rule = _table.RULES[INIT[arguments.pop("name")]]
    draw = rule(shape, resolve("float64"), **arguments)
    assert isinstance(draw, draws.Draw)
    return draw.parameters[1].hex()


def constant(value, dtype):
    return digest(INIT["constant"]((), value=value, dtype=dtype))


def accepted(check):
    check()
    return "ok"


def given(text):
    # The file's own spellings: 2**64, np.uint64(5), '\\ud800'.
    return eval(text, {"np": np, "numpy": np})


FAMILIES = {
    "words": words,
    "uniform": uniform,
    "uniform_region": lambda dtype: uniform(-0.3, 0.7, dtype, region=slice(37, 151)),
    "he_uniform": scaled("he_uniform", shape=(48, 20)),
    "xavier_uniform": scaled("xavier_uniform", shape=(48, 20)),
    "kaiming_a": scaled("he_uniform", shape=(48, 20), negative_slope=0.1),
    "vs_geo": scaled(
        "variance_scaling",
        shape=(32, 16, 3, 3),
        scale=1.5,
        mode="fan_geo_avg",
        distribution="uniform",
    ),
    "he_std": lambda fan: std((1, int(fan)), name="he_normal"),
    "xavier_std": lambda fans: std(
        tuple(int(fan) for fan in fans.split("x"))[::-1], name="xavier_normal"
    ),
    "gain_std": lambda above, below, fan: std(
        (1, int(fan)),
        name="variance_scaling",
        scale=(int(above) / int(below)) ** 2,
        mode="fan_in",
        distribution="normal",
    ),
    "constant": lambda value, dtype: constant(float(value), dtype),
    "constant_int": lambda value, dtype: constant(ast.literal_eval(value), dtype),
    "seed": lambda text: accepted(lambda: _stream.check_seed(given(text))),
    "name": lambda text: accepted(lambda: _stream.stream_id(given(text))),
    "shape": lambda text, dtype: accepted(
        lambda: shapes.count(shapes.parse_shape(given(text)), resolve(dtype))
    ),
}


def test_every_family_of_cases_has_a_test():
    counts = collections.Counter(case.split("/")[0] for case in CASES)
    assert set(counts) == set(FAMILIES) | set(ELSEWHERE)
    assert {family: counts[family] for family in ELSEWHERE} == ELSEWHERE
    assert sum(counts.values()) == len(CASES) == 350


@pytest.mark.parametrize("case", [case for case in CASES if case.split("/")[0] in FAMILIES])
def test_the_answer_is_that_of_the_two_implementations(case):
    family, *arguments = case.split("/")
    if family in ("seed", "name"):
        arguments = ["/".join(arguments)]
    try:
        answer = FAMILIES[family](*arguments)
    except (ValueError, TypeError) as error:
        answer = type(error).__name__
    assert answer == CASES[case]
