"""fastinit.jax inside jit and vmap with both engines.  There XLA's threads draw; they flush
subnormals, and only the native engine can undo that.
"""

import math
from unittest import mock

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
from jax_cases import CASES, DTYPES, KEY, SEED, bits, core, never

import fastinit as fi
import fastinit.jax as init
from fastinit.jax import _arrays

PROCESSES = ("jax_32_bits", "jax_64_bits", "jax_reference_engine")


def test_jit_draws_what_an_eager_call_draws():
    for dtype in DTYPES:
        draw = jax.jit(
            lambda key, dtype=dtype: {
                name: case[0](key, case[1], dtype) for name, case in CASES.items()
            }
        )
        for name, drawn in draw(KEY).items():
            assert bits(drawn) == bits(core(name, dtype)), (name, dtype)


def test_subnormals_survive_xlas_threads():
    drawn = jax.jit(lambda key: init.normal(1.2e-38)(key, (1000,), "float32"))(KEY)
    expected = fi.normal((1000,), std=1.2e-38, seed=SEED)
    assert (np.abs(expected[expected != 0]) < np.finfo(np.float32).tiny).sum() > 300
    assert bits(drawn) == bits(expected)


def test_vmap_draws_what_each_key_draws():
    keys = jax.random.split(KEY, 6).reshape(2, 3)
    for name in ("he_normal", "orthogonal", "zeros"):
        initializer, shape, _, _ = CASES[name]

        def draw(key, initializer=initializer, shape=shape):
            return initializer(key, shape, "bfloat16")

        expected = [[draw(key) for key in row] for row in keys]
        for many in (
            jax.vmap(jax.vmap(draw)),
            jax.jit(jax.vmap(jax.vmap(draw))),
            jax.vmap(lambda row: jax.lax.map(draw, row)),
        ):
            drawn = many(keys)
            assert all(
                bits(drawn[i, j]) == bits(expected[i][j]) for i in range(2) for j in range(3)
            )
    raw = jax.random.key_data(keys)[0]
    assert bits(jax.vmap(lambda key: init.normal()(key, (4,)))(raw)[1]) == bits(
        init.normal()(keys[0, 1], (4,))
    )


def test_a_traced_number_draws_what_it_draws_eagerly():
    drawn = jax.jit(lambda key, std: init.normal(std)(key, (5, 7), "float32"))(KEY, 0.5)
    assert bits(drawn) == bits(init.normal(0.5)(KEY, (5, 7), "float32"))


def test_many_callbacks_in_one_program_do_not_hang():
    keys = jax.random.split(KEY, 40)
    draw = jax.jit(lambda keys: [init.normal()(key, (300, 1000), "float32") for key in keys])
    assert bits(draw(keys)[39]) == bits(init.normal()(keys[39], (300, 1000), "float32"))


def test_flax_linen_draws_the_same_eagerly_in_jit_and_in_a_scan():
    class Model(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x):
            x = flax.linen.Conv(6, (3,), kernel_init=init.he_normal(), bias_init=init.zeros)(x)
            x = flax.linen.Dense(4, kernel_init=init.orthogonal(), param_dtype="bfloat16")(x)
            return flax.linen.DenseGeneral((2, 3), kernel_init=init.glorot_uniform())(x)

    model, x = Model(), jnp.ones((2, 8, 5), jnp.float32)
    eager = model.init(KEY, x)
    jitted = jax.jit(model.init)(KEY, x)
    with mock.patch.object(_arrays, "_apply", never):
        shapes = jax.eval_shape(model.init, KEY, x)
    assert jax.tree.map(bits, eager) == jax.tree.map(bits, jitted)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), eager) == jax.tree.map(
        lambda a: (a.shape, a.dtype), shapes
    )
    kernel = np.asarray(eager["params"]["Conv_0"]["kernel"])
    assert kernel.shape == (3, 5, 6) and 0.5 < kernel.std() / math.sqrt(2 / 15) < 1.5
    assert eager["params"]["Dense_0"]["kernel"].dtype == jnp.bfloat16

    class Block(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, x, _):
            return flax.linen.Dense(5, kernel_init=init.lecun_normal())(x), None

    stack = flax.linen.scan(
        Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3
    )()
    weights = np.asarray(stack.init(KEY, x, None)["params"]["Dense_0"]["kernel"])
    assert weights.shape == (3, 5, 5) and not np.array_equal(weights[0], weights[1])
