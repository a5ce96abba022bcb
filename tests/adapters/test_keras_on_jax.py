"""fastinit.keras on the JAX backend with four devices: layouts, jit, 64 bits."""

import re
import warnings
from unittest import mock

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras_cases import CASES, TRUNCATED, core, differ, same

import fastinit as fi
import fastinit.keras as init
from fastinit.jax import _arrays

PROCESSES = ("keras_on_jax",)
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def model_parallel(count=4):
    mesh = keras.distribution.DeviceMesh((count // 2, 2), ["batch", "model"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*kernel"] = ("model", None)
    layouts[".*bias"] = ("model",)
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")


def test_variables_are_created_shard_by_shard_by_their_layout():
    assert jax.device_count() == 4
    sizes, plain = [], _arrays._apply

    def sized(*arguments):
        drawn = plain(*arguments)
        sizes.append(drawn.size)
        return drawn

    initializers = {
        name: getattr(init, name)(**CASES[name][0]) for name in CASES if name != "Identity"
    }
    initializers["array"] = init.Constant(np.arange(24.0))
    initializers["generator"] = init.HeNormal(seed=keras.random.SeedGenerator(3))
    initializers["none"] = init.HeNormal()
    for name, initializer in initializers.items():
        alone = None if name == "none" else initializer.clone()
        with model_parallel().scope():
            layer = keras.layers.Dense(24, kernel_initializer=initializer)
            sizes.clear()
            with mock.patch.object(_arrays, "_apply", sized):
                layer.build((None, 16))
        kernel = layer.kernel.value
        assert kernel.sharding.spec == jax.P("model", None) and kernel.sharding.mesh.shape == {
            "batch": 2,
            "model": 2,
        }
        # Two shards, each drawn once for its two replicas.
        assert max(sizes, default=0) <= 16 * 24 // 2, name
        if alone is not None:
            assert not differ(kernel, alone((16, 24))), name
        for shard in kernel.addressable_shards:
            np.testing.assert_array_equal(np.asarray(shard.data), np.asarray(kernel)[shard.index])


def test_distributed_models_train():
    with model_parallel().scope():
        model = keras.Sequential(
            [
                keras.layers.Input((16,)),
                keras.layers.Dense(8, kernel_initializer=init.HeNormal(seed=1)),
            ]
        )
        kernel = np.asarray(model.layers[0].kernel.value).copy()
        model.compile("sgd", "mse")
        model.fit(
            np.ones((8, 16), np.float32), np.ones((8, 8), np.float32), batch_size=8, verbose=0
        )
        assert model.layers[0].kernel.value.sharding.spec == jax.P("model", None)
    same(jnp.asarray(kernel), fi.variance_scaling((16, 8), scale=2.0, seed=1, **TRUNCATED))
    with keras.distribution.DataParallel().scope():
        layer = keras.layers.Dense(8, kernel_initializer=init.HeNormal(seed=1))
        layer.build((None, 16))
    assert not differ(layer.kernel.value, jnp.asarray(kernel))
    assert len(layer.kernel.value.addressable_shards) == 4


def test_layouts_may_be_given_by_hand():
    mesh = keras.distribution.DeviceMesh((4,), ["x"])
    layout = keras.distribution.TensorLayout(("x", None), mesh)
    for given in (layout, layout.backend_layout):
        drawn = init.HeNormal(seed=3)((8, 5), layout=given)
        assert drawn.sharding.spec == jax.P("x", None)
        assert not differ(drawn, init.HeNormal(seed=3)((8, 5)))
    assert init.Constant([1.0] * 5)((8, 5), layout=layout).sharding.spec == jax.P("x", None)


def test_under_jit_an_int_seed_and_a_seed_generator_are_drawn_by_callback():
    generator = keras.random.SeedGenerator(3)
    initializer = init.HeNormal(seed=generator)

    def draw(state):
        with keras.StatelessScope([(generator.state, state)]) as scope:
            drawn = initializer((2, 5, 7))
        return drawn, scope.get_current_value(generator.state)

    drawn, state = jax.jit(draw)(generator.state.value)
    same(drawn, core("HeNormal"))
    same(jax.jit(draw)(state)[0], core("HeNormal", 3 + 2**32))
    same(jax.jit(lambda: init.HeNormal(seed=3)((2, 5, 7)))(), core("HeNormal"))


def test_float64_without_64_bits_is_float32_with_jaxs_warning():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        drawn = init.HeNormal(seed=3)((2, 5, 7), dtype="float64")
    same(drawn, core("HeNormal"))
    assert any(re.match("Explicitly requested dtype float64", str(one.message)) for one in said)
