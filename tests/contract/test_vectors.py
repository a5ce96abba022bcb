"""Both engines against the vectors of tests/vectors, which an independent scalar implementation of
stream-v1.md computed.

Equal bits, never a tolerance.  A line is "head : bits …" (see tests/vectors/cases_v1.py); the
engine gets the head and fills a poisoned buffer.
"""

import sys

import numpy as np
import pytest
from vector_cases import (
    DRAWN,
    DTYPES,
    NARROW,
    VECTORS,
    bits,
    compare_draws,
    draw_of,
    heads_and_answers,
    lines,
    poisoned,
    stored_by_normal,
)

import fastinit as fi
from fastinit import reference
from fastinit._core import draws, engine
from fastinit._core import stream as _stream
from fastinit._core.jobs import Job
from fastinit.initializers.variance_scaling import (
    fan_in_uniform_rule,
    he_normal_rule,
    he_uniform_rule,
    lecun_normal_rule,
    lecun_uniform_rule,
    scaled,
    xavier_normal_rule,
    xavier_uniform_rule,
)

# --------------------------------------------------------------------------------- reference engine


def by_reference(jobs: list[Job]) -> None:
    reference.Batch(jobs).work(-1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", DRAWN)
def test_the_reference_engine_draws_the_vectors(table, dtype):
    compare_draws(table, dtype, by_reference)


@pytest.mark.parametrize("dtype", NARROW)
def test_the_reference_engine_stores_the_vectors(dtype):
    jobs, wanted = stored_by_normal(dtype)
    by_reference(jobs)
    assert (np.concatenate([one.out for one in jobs]) == wanted).all()
    for head, answers in heads_and_answers("stores", "store", dtype):
        values = np.array([int(w, 16) for w in head[2:]], np.uint32).view(np.float32)
        assert (
            reference.store(values, DTYPES[dtype].code) == bits(answers, DTYPES[dtype])
        ).all(), " ".join(head)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_engine_has_the_radius_of_each_chosen_word(dtype):
    function = reference.normal.radius_f32 if dtype == "float32" else reference.normal.radius_f64
    for head, answers in heads_and_answers("normal_words", "radius", dtype):
        got = function(bits(head[2:], DTYPES[dtype])).view(DTYPES[dtype].unsigned)
        assert (got == bits(answers, DTYPES[dtype])).all(), " ".join(head)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_engine_has_the_cosine_and_sine_of_each_chosen_word(dtype):
    function = reference.normal.sincos_f32 if dtype == "float32" else reference.normal.sincos_f64
    for head, answers in heads_and_answers("normal_words", "angle", dtype):
        wanted = zip(*(answer.split(",") for answer in answers), strict=True)
        for got, want in zip(function(bits(head[2:], DTYPES[dtype])), wanted, strict=True):
            assert (got.view(DTYPES[dtype].unsigned) == bits(want, DTYPES[dtype])).all(), " ".join(
                head
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_engine_truncates_each_chosen_word_as_the_vectors_say(dtype):
    truncated = getattr(
        reference.truncated,
        "truncated_normal_f32" if dtype == "float32" else "truncated_normal_f64",
    )
    for head, answers in heads_and_answers("truncated_normal_words", "truncated_word", dtype):
        draw = draw_of("truncated_normal", dtype, tuple(head[2:6]))
        got = truncated(bits(head[6:], DTYPES[dtype]), *draw.parameters).view(
            DTYPES[dtype].unsigned
        )
        assert (got == bits(answers, DTYPES[dtype])).all(), " ".join(head)


# ------------------------------------------------------------------------------------ native engine


@pytest.fixture
def by_native():
    """by_native(isa) selects the ISA and returns a function that runs jobs; afterwards the best ISA
    is selected again.
    """
    from fastinit import _native

    before = _native.isa()

    def chosen(isa):
        _native.use(isa)
        return lambda jobs: _native.Batch(jobs).work(-1)

    yield chosen
    _native.use(before)


@pytest.mark.native
@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", DRAWN)
def test_every_isa_draws_the_vectors(by_native, table, dtype, isa):
    compare_draws(table, dtype, by_native(isa))


@pytest.mark.native
@pytest.mark.parametrize("isa", engine.isas())
@pytest.mark.parametrize("dtype", NARROW)
def test_every_isa_stores_the_vectors(by_native, dtype, isa):
    jobs, wanted = stored_by_normal(dtype)
    by_native(isa)(jobs)
    assert (np.concatenate([one.out for one in jobs]) == wanted).all()


# ----------------------------------------------------------------- words, names, constants, scaling


def test_philox_gives_the_known_answers():
    answers = 0
    for line in lines("philox4x32_kat"):
        rounds, *words = line.split()
        words = [int(w, 16) for w in words]
        counter, key, wanted = words[:4], tuple(words[4:6]), words[6:]
        got = reference.philox4x32([np.array([c], np.uint32) for c in counter], key, int(rounds))
        assert [int(w[0]) for w in got] == wanted, line
        assert rounds != "10" or fi.philox4x32(tuple(counter), key) == tuple(wanted), line
        answers += 1
    assert answers > 15


def test_names_give_the_stream_ids_of_the_vectors():
    for (_, name), (answer,) in heads_and_answers("streams", "stream"):
        assert _stream.stream_id(bytes.fromhex(name.replace("-", "")).decode()) == int(
            answer, 16
        ), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_have_the_bits_of_the_vectors(dtype):
    for head, answers in heads_and_answers("stores", "constant", dtype):
        for value, answer in zip(head[2:], answers, strict=True):
            out = poisoned(3, DTYPES[dtype])
            draw = draws.constant(float.fromhex(value), DTYPES[dtype])
            engine.run([Job(out, draw.draw, draw.storage, 0, 0, 0, draw.parameters, 0, (1,))])
            assert (out == int(answer, 16)).all(), value


RULES = {
    "he": (he_normal_rule, he_uniform_rule, "negative_slope"),
    "xavier": (xavier_normal_rule, xavier_uniform_rule, "gain"),
    "lecun": (lecun_normal_rule, lecun_uniform_rule, ""),
    "fan_in": (None, fan_in_uniform_rule, ""),
}


def test_fans_give_the_stds_and_bounds_of_the_vectors():
    for (_, rule, layout, shape, argument), answers in heads_and_answers("scaling", "scaling"):
        normal, uniform, own = RULES[rule]
        given = {"layout": layout} | ({own: float.fromhex(argument)} if own else {})
        shape, dtype = tuple(int(size) for size in shape.split("x")), DTYPES["float64"]
        got = [normal(shape, dtype, **given).parameters[1]] if normal else []
        got += [-uniform(shape, dtype, **given).parameters[0]]
        if normal:
            slope, gain = given.get("negative_slope", 0.0), given.get("gain", 1.0)
            scale, mode = {
                "he": (2.0 / (1.0 + slope * slope), "fan_in"),
                "xavier": (gain * gain, "fan_avg"),
                "lecun": (1.0, "fan_in"),
            }[rule]
            got += [
                scaled(shape, dtype, scale, mode, "truncated_normal", layout=layout).parameters[2]
            ]
        assert (np.array(got).view(np.uint64) == bits(answers, dtype)).all(), (
            rule,
            layout,
            shape,
            argument,
        )


# ----------------------------------------------------------------------------- the files themselves

TABLES = (*DRAWN, "normal_words", "truncated_normal_words", "stores", "streams", "scaling", "words")


@pytest.mark.parametrize("table", TABLES)
def test_the_scalar_writing_gives_the_committed_lines_again(table, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    import cases_v1

    sample = lines(table)[::50]
    assert sample == [cases_v1.complete(line.split(" : ")[0]) for line in sample]


def test_the_heads_of_the_committed_lines_are_those_that_the_script_chooses(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    import cases_v1

    assert sorted(cases_v1.TABLES) == sorted(f"{table}.txt" for table in TABLES)
    for file, (heads, _) in cases_v1.TABLES.items():
        if "truncated" not in file:  # whose seams cost a minute of high precision
            assert [line.split(" : ")[0] for line in lines(file.removesuffix(".txt"))] == list(
                heads()
            ), file


def test_the_tables_are_small_enough_to_be_read():
    sizes = [file.stat().st_size for file in VECTORS.glob("*.txt")]
    assert max(sizes) < 1 << 20 and sum(sizes) < 2 << 20
