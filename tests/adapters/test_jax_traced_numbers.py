"""fastinit.jax with traced standard deviations, scales, bounds and values, under vmap and jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_cases import DTYPES, KEY, bits

import fastinit.jax as init

PROCESSES = ("jax_32_bits", "jax_64_bits")

KEYS = jax.random.split(KEY, 3)
NUMBERS = np.array([0.125, 0.5, 3.0], np.float32)
# What is built of one number, and the shape that it draws.
BUILDS = {
    "normal": (init.normal, (5, 7)),
    "uniform": (init.uniform, (5, 7)),
    "truncated_normal": (init.truncated_normal, (5, 7)),
    "lower": (lambda x: init.truncated_normal(0.5, None, -x, 2.0), (5, 7)),
    "upper": (lambda x: init.truncated_normal(0.5, None, -2.0, x), (5, 7)),
    "both": (lambda x: init.truncated_normal(x, None, -x, x), (5, 7)),
    "variance_scaling": (lambda x: init.variance_scaling(x, "fan_in", "normal"), (5, 7)),
    "truncated": (lambda x: init.variance_scaling(x, "fan_avg", "truncated_normal"), (5, 7)),
    "cube": (lambda x: init.variance_scaling(x, "fan_out", "uniform"), (5, 7)),
    "orthogonal": (init.orthogonal, (5, 7)),
    "columns": (lambda x: init.orthogonal(x, 0), (5, 7)),
    "delta_orthogonal": (init.delta_orthogonal, (3, 5, 7)),
    "constant": (init.constant, (5, 7)),
    "sparse": (lambda x: init.sparse(0.5, x), (10, 7)),
    "sparsity": (lambda x: init.sparse(x / 4.0), (10, 7)),
}
# Those that have no complex form.
REAL = ("uniform", "truncated_normal", "lower", "upper", "both", "sparse", "sparsity")


@pytest.mark.parametrize("name", BUILDS)
def test_every_number_may_be_traced_and_draws_what_it_draws_eagerly(name):
    """In every dtype: one program draws all of them, since compiling takes longer than drawing."""
    build, shape = BUILDS[name]
    dtypes = [*DTYPES] if name in REAL else [*DTYPES, "complex64"]

    def draw(key, number):
        return {dtype: build(number)(key, shape, dtype) for dtype in dtypes}

    def bits_of(drawn):
        return {dtype: bits(one) for dtype, one in drawn.items()}

    def each(drawn):
        return [bits_of({dtype: one[k] for dtype, one in drawn.items()}) for k in range(len(KEYS))]

    expected = [bits_of(draw(key, float(x))) for key, x in zip(KEYS, NUMBERS, strict=True)]
    assert each(jax.vmap(draw)(KEYS, NUMBERS)) == expected
    assert each(jax.jit(jax.vmap(draw))(KEYS, NUMBERS)) == expected
    jitted = jax.jit(draw)
    assert [bits_of(jitted(key, x)) for key, x in zip(KEYS, NUMBERS, strict=True)] == expected
    scanned = jax.lax.scan(lambda c, xs: (c, draw(*xs)), 0, (KEYS, jnp.asarray(NUMBERS)))[1]
    assert each(scanned) == expected
    # Only the number, or only the key, may be batched.
    assert each(jax.vmap(draw, (None, 0))(KEYS[1], NUMBERS))[1] == expected[1]
    assert each(jax.vmap(draw, (0, None))(KEYS, NUMBERS[1]))[1] == expected[1]


def test_what_works_in_jax_works_here():
    theirs = jax.nn.initializers
    for name, (build, shape) in BUILDS.items():
        if name not in ("sparse", "sparsity"):
            its = {"normal": theirs.normal, "uniform": theirs.uniform}.get(name)
            shape_here = jax.eval_shape(
                jax.vmap(lambda k, x, build=build, shape=shape: build(x)(k, shape)), KEYS, NUMBERS
            )
            assert shape_here.shape == (3, *shape)
            if its is not None:
                there = jax.eval_shape(
                    jax.vmap(lambda k, x, its=its, shape=shape: its(x)(k, shape)), KEYS, NUMBERS
                )
                assert there.shape == shape_here.shape and there.dtype == shape_here.dtype


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
def test_numbers_of_any_real_dtype_are_taken_traced_and_concrete(dtype):
    number = jnp.asarray(2, dtype)
    expected = bits(init.normal(2.0)(KEY, (4, 5), "float32"))
    assert bits(init.normal(number)(KEY, (4, 5), "float32")) == expected
    assert bits(jax.jit(lambda x: init.normal(x)(KEY, (4, 5), "float32"))(number)) == expected
    assert bits(init.constant(number)(KEY, (4,), "float32")) == bits(np.full(4, 2, np.float32))


def test_numbers_computed_inside_a_jit_are_traced():
    drawn = jax.jit(lambda key: init.normal(jnp.sqrt(0.25))(key, (4, 5), "float32"))(KEY)
    assert bits(drawn) == bits(init.normal(0.5)(KEY, (4, 5), "float32"))


def test_an_initializer_may_be_built_outside_and_used_within():
    built = init.normal(jnp.float32(0.5))
    assert bits(jax.jit(lambda key: built(key, (4, 5), "float32"))(KEY)) == bits(
        init.normal(0.5)(KEY, (4, 5), "float32")
    )
    hash(built)


def test_constants_are_arrays_that_broadcast_as_in_jax():
    row = jnp.arange(3.0)
    for value in (row, np.arange(3.0), row[None]):
        for dtype in (*DTYPES, "complex64", "int32"):
            expected = bits(jax.nn.initializers.constant(value)(KEY, (2, 3), dtype))
            assert bits(init.constant(value)(KEY, (2, 3), dtype)) == expected
            traced = jax.jit(lambda x, dtype=dtype: init.constant(x)(KEY, (2, 3), dtype))
            assert bits(traced(value)) == expected


def test_what_can_be_checked_is_refused_while_tracing_and_the_rest_when_it_runs():
    def draw(build, shape=(3, 3), dtype="float32"):
        return jax.eval_shape(lambda x: build(x)(KEY, shape, dtype), jnp.float32(1.0))

    for build, shape, dtype, error, message in (
        (init.normal, (3,), "int32", TypeError, "floating dtype, not int32"),
        (init.normal, (-3,), "float32", ValueError, "negative"),
        (init.orthogonal, (3,), "float32", ValueError, "two axes"),
        (init.uniform, (3,), "complex64", TypeError, "no complex form"),
        (
            lambda x: init.variance_scaling(x, "fan", "normal"),
            (3, 3),
            "float32",
            ValueError,
            "mode is 'fan'",
        ),
        (
            lambda x: init.normal(x[None]),
            (3,),
            "float32",
            TypeError,
            r"std is a traced array of shape \(1,\).*jax.vmap",
        ),
    ):
        with pytest.raises(error, match=message):
            draw(build, shape, dtype)
    with pytest.raises(TypeError, match=r"std is an array of shape \(2,\).*jax.vmap"):
        init.normal(jnp.ones(2))
    for build, message in (
        (init.normal, "std is -1.0; it must be >= 0"),
        (init.uniform, "low 0.0 is above high -1.0"),
        (lambda x: init.variance_scaling(x, "fan_in", "normal"), "scale is -1.0"),
    ):
        with pytest.raises(Exception, match=message):
            jax.block_until_ready(
                jax.jit(lambda x, build=build: build(x)(KEY, (3, 3), "float32"))(-1.0)
            )


def test_tracing_draws_nothing():
    text = str(jax.make_jaxpr(lambda x: init.normal(x)(KEY, (300, 300), "float32"))(1.0))
    assert "pure_callback" in text
    text = str(jax.make_jaxpr(lambda x: init.constant(x)(KEY, (3, 3), "float32"))(1.0))
    assert "callback" not in text
