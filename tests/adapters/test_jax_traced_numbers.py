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
# Initializers that are built from one number, and the shape that each draws.
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


def every_way(draw, keys, numbers):
    """Drawn for keys and numbers side by side, in a scan, and where only one of them is batched."""
    return (
        jax.vmap(draw)(keys, numbers),
        jax.lax.scan(lambda c, xs: (c, draw(*xs)), 0, (keys, jnp.asarray(numbers)))[1],
        jax.vmap(draw, (None, 0))(keys[1], numbers),
        jax.vmap(draw, (0, None))(keys, numbers[1]),
    )


@pytest.mark.parametrize("name", BUILDS)
def test_every_number_may_be_traced_and_draws_what_it_draws_eagerly(name):
    """In every dtype by one program, since compiling takes longer than drawing.  Without jit, where
    JAX compiles each step by itself, in the last dtype and in complex64.
    """
    build, shape = BUILDS[name]
    dtypes = [*DTYPES] if name in REAL else [*DTYPES, "complex64"]

    def drawing(dtypes):
        return lambda key, number: {d: build(number)(key, shape, d) for d in dtypes}

    def bits_of(drawn):
        return {dtype: bits(one) for dtype, one in drawn.items()}

    def each(drawn):
        return [bits_of({dtype: one[k] for dtype, one in drawn.items()}) for k in range(len(KEYS))]

    draw, some = drawing(dtypes), [DTYPES[-1], *dtypes[len(DTYPES) :]]
    expected = [bits_of(draw(key, float(x))) for key, x in zip(KEYS, NUMBERS, strict=True)]
    jitted = jax.jit(draw)
    assert [bits_of(jitted(key, x)) for key, x in zip(KEYS, NUMBERS, strict=True)] == expected
    in_jit = jax.jit(lambda keys, numbers: every_way(draw, keys, numbers))(KEYS, NUMBERS)
    expected_of_some = [{dtype: one[dtype] for dtype in some} for one in expected]
    outside = every_way(drawing(some), KEYS, NUMBERS)
    for found, wanted in ((in_jit, expected), (outside, expected_of_some)):
        both, scanned, of_one_key, of_one_number = map(each, found)
        assert both == scanned == wanted
        assert of_one_key[1] == of_one_number[1] == wanted[1]


@pytest.mark.parametrize("name", ["normal", "truncated", "lower", "both", "cube", "sparsity"])
def test_a_draw_has_a_derivative_by_its_number(name):
    """Against differences, of the same key and a number a little larger and smaller."""
    build, shape = BUILDS[name]
    dtype, step = ("float64", 1e-6) if jax.config.jax_enable_x64 else ("float32", 2.0**-8)

    def draw(x):
        return build(x)(KEY, shape, dtype)

    at = jnp.asarray(0.75, dtype)
    drawn, slope = jax.jvp(draw, (at,), (jnp.ones_like(at),))
    assert bits(drawn) == bits(draw(0.75))
    if name == "sparsity":
        assert not np.asarray(slope).any()
        return
    difference = (np.asarray(draw(0.75 + step)) - np.asarray(draw(0.75 - step))) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-3, atol=1e-3)


def test_numbers_and_tangents_of_python_have_a_derivative():
    drawn, slope = jax.jvp(lambda x: init.normal(x)(KEY, (5, 7), "float32"), (0.5,), (2.0,))
    assert bits(slope) == bits(drawn * 4.0)


def test_no_tracer_outlives_its_trace():
    with jax.checking_leaks():
        jax.eval_shape(lambda x: init.normal(x)(KEY, (5, 7)), 0.75)
        jax.eval_shape(lambda x: init.truncated_normal(x, lower=-x)(KEY, (5, 7)), 0.75)


def test_gradients_pass_through_jit_and_a_linear_draw_has_no_curvature():
    def total(x):
        return init.orthogonal(x)(KEY, (3, 3), "float32").sum()

    ones = np.asarray(init.orthogonal(1.0)(KEY, (3, 3), "float32"))
    np.testing.assert_allclose(jax.jit(jax.grad(total))(0.5), ones.sum(), rtol=1e-5)
    assert float(jax.hessian(total)(0.5)) == 0.0


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
    row, dtypes = jnp.arange(3.0), (*DTYPES, "complex64", "int32")
    for value in (row, np.arange(3.0), row[None]):
        traced = jax.jit(lambda x: [init.constant(x)(KEY, (2, 3), dtype) for dtype in dtypes])
        for dtype, inside in zip(dtypes, traced(value), strict=True):
            expected = bits(jax.nn.initializers.constant(value)(KEY, (2, 3), dtype))
            assert bits(init.constant(value)(KEY, (2, 3), dtype)) == expected
            assert bits(inside) == expected


def test_what_can_be_checked_is_refused_while_tracing_and_the_rest_when_it_runs():
    def draw(build, shape=(3, 3), dtype="float32"):
        return jax.eval_shape(lambda x: build(x)(KEY, shape, dtype), jnp.float32(1.0))

    for build, shape, dtype, error, message in (
        (init.normal, (3,), "int32", TypeError, "floating dtype, not int32"),
        (init.normal, (-3,), "float32", ValueError, "negative"),
        (init.orthogonal, (3,), "float32", ValueError, "at least a 2D shape"),
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
    for number in (True, 0.5j):
        with pytest.raises(TypeError, match="std is a traced number of dtype"):
            jax.eval_shape(lambda x: init.normal(x)(KEY, (3,), "float32"), jnp.asarray(number))
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
