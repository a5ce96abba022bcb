"""fastinit.jax under JAX's other transformations, in pickles and in Flax' nnx."""

import copy
import pickle
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax_cases import CASES, KEY, bits, core, never

import fastinit.jax as init
from fastinit.jax import _arrays

PROCESSES = ("jax_32_bits", "jax_64_bits")


def test_tracing_draws_nothing_whatever_the_key_is():
    raw = jax.random.key_data(KEY)
    draws = [
        lambda: init.he_normal()(raw, (3, 4), "float32"),
        lambda: init.he_normal()(KEY, (3, 4), "float32"),
        lambda: init.he_normal()(np.asarray(raw), (3, 4), "float32"),
    ]
    for draw in draws:
        with mock.patch.object(_arrays, "_apply", never):
            shaped = jax.eval_shape(draw)
            jaxpr = jax.make_jaxpr(draw)()
        assert shaped.shape == (3, 4) and shaped.dtype == jnp.float32
        assert not any(np.size(constant) > 4 for constant in jaxpr.consts)
        assert bits(jax.jit(draw)()) == bits(draw())


def test_initializers_work_inside_scan_remat_and_grad():
    def loss(x, key):
        w = jax.checkpoint(lambda key: init.lecun_normal()(key, (3, 4), "float32"))(key)
        return (x @ w).sum()

    x = jnp.ones((2, 3), jnp.float32)
    expected = np.asarray(init.lecun_normal()(KEY, (3, 4), "float32")).sum(1)
    for gradient in (jax.grad(loss), jax.jit(jax.grad(loss))):
        assert np.allclose(gradient(x, KEY)[0], expected, atol=1e-5)
    _, stacked = jax.lax.scan(
        lambda c, key: (c, init.normal()(key, (4,))), 0, jax.random.split(KEY, 3)
    )
    assert bits(stacked[2]) == bits(init.normal()(jax.random.split(KEY, 3)[2], (4,)))


def test_pmap_and_shard_map_draw_on_each_device_what_its_key_draws():
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    spec, whole = jax.sharding.PartitionSpec("x"), jax.sharding.PartitionSpec()
    keys = jax.random.split(KEY, 1)
    for initializer in (init.normal(), init.orthogonal(), init.zeros):
        expected = bits(initializer(keys[0], (3, 3), "float32"))

        def draw(key, initializer=initializer):
            return initializer(key, (3, 3), "float32")

        sharded = jax.shard_map(
            lambda keys, draw=draw: draw(keys[0]), mesh=mesh, in_specs=spec, out_specs=spec
        )
        replicated = jax.shard_map(draw, mesh=mesh, in_specs=whole, out_specs=whole)
        assert bits(jax.pmap(draw)(keys)[0]) == expected
        assert bits(sharded(keys)) == bits(jax.jit(sharded)(keys)) == expected
        assert bits(jax.jit(replicated)(keys[0])) == expected


def test_a_shard_map_over_some_axes_only_is_refused_by_name():
    mesh = jax.make_mesh((1, 1), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    spec = jax.sharding.PartitionSpec("x")
    draw = jax.shard_map(
        lambda key: init.normal()(key[0], (3,)),
        mesh=mesh,
        in_specs=spec,
        out_specs=spec,
        axis_names={"x"},
    )
    with pytest.raises(
        NotImplementedError, match=r"some axes of a mesh \(x of x, y\).*out_sharding="
    ):
        jax.jit(draw)(jax.random.split(KEY, 1))


def test_initializers_can_be_copied_pickled_and_hashed():
    for name, (initializer, shape, _, _) in CASES.items():
        again = pickle.loads(pickle.dumps(copy.deepcopy(initializer)))
        assert bits(again(KEY, shape, "float32")) == bits(core(name))
        hash(initializer)


def test_flax_nnx_draws_the_same_eagerly_in_jit_and_by_vmap():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(5, 7, kernel_init=init.he_normal(), rngs=rngs)
            self.second = nnx.LinearGeneral(7, (2, 3), kernel_init=init.orthogonal(), rngs=rngs)
            self.third = nnx.Embed(
                11, 4, embedding_init=init.normal(0.02), param_dtype=jnp.bfloat16, rngs=rngs
            )

    def weights(model):
        return jax.tree.map(bits, nnx.to_pure_dict(nnx.state(model)))

    eager = Model(nnx.Rngs(3))
    assert weights(nnx.jit(Model)(nnx.Rngs(3))) == weights(eager)
    with mock.patch.object(_arrays, "_apply", never):
        shapes = nnx.eval_shape(lambda: Model(nnx.Rngs(3)))
    assert shapes.first.kernel.shape == (5, 7)
    key = nnx.Rngs(3).params()
    assert bits(eager.first.kernel[...]) == bits(init.he_normal()(key, (5, 7), "float32"))

    @nnx.split_rngs(splits=4)
    @nnx.vmap
    def stack(rngs):
        return nnx.Linear(5, 7, kernel_init=init.he_normal(), rngs=rngs)

    many = stack(nnx.Rngs(3))
    assert many.kernel.shape == (4, 5, 7) and not np.array_equal(many.kernel[0], many.kernel[1])
