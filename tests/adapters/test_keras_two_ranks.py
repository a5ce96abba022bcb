"""fastinit.keras on the JAX backend in two real processes: shards, and fresh seeds that agree."""

import hashlib
import os
import random
from unittest import mock

import jax
import keras
import numpy as np
import pytest
from jax.experimental import multihost_utils

import fastinit as fi
import fastinit.keras as init
from fastinit.jax import _arrays

PROCESSES = ("keras_two_ranks",)


@pytest.fixture(scope="module", autouse=True)
def distributed():
    address, ranks, rank = os.environ["ADAPTER_RANK"].split()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    random.seed(rank)  # what the ranks have in common afterwards, Keras gave them
    keras.distribution.initialize(address, int(ranks), int(rank))
    assert jax.process_count() == int(ranks) == 2 and jax.device_count() == 4
    yield random.getstate()
    jax.distributed.shutdown()


def test_each_rank_draws_only_its_shards_of_a_kernel():
    mesh = keras.distribution.DeviceMesh((2, 2), ["host", "device"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*kernel"] = ("host", "device")
    expected = fi.variance_scaling(
        (8, 6), scale=2.0, distribution="truncated_normal", layout="io", seed=4
    )
    drawn_values = []

    def counting(*arguments, apply=_arrays._apply):
        drawn = apply(*arguments)
        drawn_values.append(drawn.size)
        return drawn

    with keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="host").scope():
        layer = keras.layers.Dense(6, kernel_initializer=init.HeNormal(seed=4), use_bias=False)
        with mock.patch.object(_arrays, "_apply", counting):
            layer.build((None, 8))
    kernel = layer.kernel.value
    assert not kernel.is_fully_addressable and sum(drawn_values) == kernel.size // 2
    assert kernel.addressable_shards
    assert all(
        np.array_equal(shard.data, expected[shard.index]) for shard in kernel.addressable_shards
    )


def test_ranks_agree_on_fresh_seeds(distributed):
    random.setstate(distributed)
    fresh = [np.asarray(init.GlorotUniform()((3, 4))) for _ in range(3)]
    assert not np.array_equal(fresh[0], fresh[1])
    digest = np.frombuffer(hashlib.sha256(np.stack(fresh).tobytes()).digest(), np.uint8)
    digests = multihost_utils.process_allgather(digest)
    assert digests.shape == (2, 32) and np.array_equal(digests[0], digests[1])
