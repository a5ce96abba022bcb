"""The vectors of tests/vectors as jobs for an engine, with the bits that it must give.

A line is "head : bits …" (see tests/vectors/cases_v1.py); the engine gets the head and fills a
poisoned buffer.
"""

import functools
import pathlib

import numpy as np

from fastinit._core import draws
from fastinit._core.dtypes import FLOATING, NORMAL, DType
from fastinit._core.jobs import Job

VECTORS = pathlib.Path(__file__).parents[1] / "vectors"
DTYPES = {dtype.name: dtype for dtype in FLOATING}
NARROW = [name for name in DTYPES if name not in ("float32", "float64")]
DRAWN = ("uniform", "normal", "truncated_normal")


@functools.cache
def lines(table: str) -> list[str]:
    return [
        line
        for line in (VECTORS / f"{table}.txt").read_text("ascii").splitlines()
        if line and line[0] != "#"
    ]


def heads_and_answers(table: str, kind: str, dtype: str = "") -> list[tuple[list[str], list[str]]]:
    start = f"{kind} {dtype} " if dtype else f"{kind} "
    split = (line.split(" : ") for line in lines(table))
    return [(head.split(), answers.split()) for head, answers in split if head.startswith(start)]


def bits(answers: list[str], dtype: DType) -> np.ndarray:
    return np.array([int(answer, 16) for answer in answers], dtype.unsigned)


@functools.cache
def draw_of(kind: str, dtype: str, parameters: tuple[str, ...]) -> draws.Draw:
    given = [float.fromhex(p) for p in parameters]
    if kind == "truncated_normal":
        return draws.truncated_normal(*given, DTYPES[dtype])
    if kind == "normal":
        return draws.normal(*given, DTYPES[dtype])
    return draws.uniform(*given, DTYPES[dtype], symmetric=kind == "uniform_symmetric")


def poisoned(count: int, dtype: DType) -> np.ndarray:
    return np.full(count, 0xA5A5A5A5A5A5A5A5 & (256**dtype.itemsize - 1), dtype.unsigned)


def job_of(head: list[str]) -> Job:
    kind, dtype, seed, stream, first, count, *parameters = head
    draw = draw_of(kind, dtype, tuple(parameters))
    out = poisoned(int(count), DTYPES[dtype])
    return Job(
        out, draw.draw, draw.storage, int(seed), int(stream), 0, draw.parameters, int(first), (1,)
    )


def compare_draws(table: str, dtype: str, run) -> None:
    cases = [
        case
        for kind in (table, "uniform_symmetric")
        for case in heads_and_answers(table, kind, dtype)
    ]
    jobs = [job_of(head) for head, _ in cases]
    run(jobs)
    assert len(jobs) > 50
    for one, (head, answers) in zip(jobs, cases, strict=True):
        assert (one.out == bits(answers, DTYPES[dtype])).all(), " ".join(head)


def stored_by_normal(dtype: str) -> tuple[list[Job], np.ndarray]:
    """Jobs that store chosen float32 values: normals of std 0.

    (-0.0 cannot be stored this way, as its sum with +0.0 is +0.0.)
    """
    words, answers = [], []
    for head, line in heads_and_answers("stores", "store", dtype):
        words += [int(w, 16) for w in head[2:]]
        answers += line
    pairs = [(w, a) for w, a in zip(words, answers, strict=True) if w != 1 << 31]
    means = np.array([w for w, _ in pairs], np.uint32).view(np.float32)
    jobs = [
        Job(
            poisoned(1, DTYPES[dtype]),
            NORMAL,
            DTYPES[dtype].code,
            1,
            2,
            0,
            (float(mean), 0.0),
            n,
            (1,),
        )
        for n, mean in enumerate(means)
    ]
    return jobs, bits([a for _, a in pairs], DTYPES[dtype])
