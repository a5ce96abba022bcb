"""fastinit.jax in two real processes: each draws only its shards, of the values of the whole."""

import os
from unittest import mock

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import fastinit as fi
import fastinit.jax as init
from fastinit.jax import _arrays

PROCESSES = ("jax_two_ranks",)

SEED, SHAPE = 7, (16, 24)
CORE = {
    "he_normal": fi.variance_scaling(
        SHAPE, scale=2.0, distribution="truncated_normal", layout="io", seed=SEED
    ),
    "glorot_uniform": fi.xavier_uniform(SHAPE, layout="io", seed=SEED),
    "orthogonal": fi.orthogonal(SHAPE, layout="io", seed=SEED),
}
SPECS = [
    ("host", None),
    ("host", "device"),
    (None, "host"),
    ("device", "host"),
    (("host", "device"), None),
    ("device", None),
    (None, None),
]


@pytest.fixture(scope="module", autouse=True)
def distributed():
    address, ranks, rank = os.environ["ADAPTER_RANK"].split()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, int(ranks), int(rank))
    assert jax.process_count() == int(ranks) == 2 and jax.device_count() == 4
    yield
    jax.distributed.shutdown()


def the_mesh():
    return jax.make_mesh((2, 2), ("host", "device"))


def test_each_rank_draws_only_its_shards_of_the_same_values():
    drawn_values = []

    def counting(*arguments, apply=_arrays._apply):
        drawn = apply(*arguments)
        drawn_values.append(drawn.size)
        return drawn

    for spec in SPECS:
        sharding = NamedSharding(the_mesh(), PartitionSpec(*spec))
        for name, expected in CORE.items():
            drawn_values.clear()
            with mock.patch.object(_arrays, "_apply", counting):
                array = getattr(init, name)()(
                    jax.random.key(SEED), SHAPE, "float32", out_sharding=sharding
                )
            # Replicas on this host once.
            mine = {str(shard.index): shard for shard in array.addressable_shards}
            assert len(array.addressable_shards) == 2 and not array.is_fully_addressable
            assert all(
                np.array_equal(shard.data, expected[shard.index])
                for shard in array.addressable_shards
            )
            assert sum(drawn_values) == sum(shard.data.size for shard in mine.values()), (
                "more than its shards was drawn"
            )
            if spec == ("host", None):
                assert sum(drawn_values) == array.size // 2
            # A collective over all processes: it is one array.
            assert np.isclose(
                jax.jit(lambda w: abs(w).sum())(array), np.abs(expected).sum(), rtol=1e-4
            )


def test_a_rank_may_hold_no_shard_at_all():
    first = NamedSharding(
        jax.sharding.Mesh(np.array(jax.devices()[:2]), ("x",)), PartitionSpec("x")
    )
    array = init.he_normal()(jax.random.key(SEED), SHAPE, "bfloat16", out_sharding=first)
    assert len(array.addressable_shards) == (2 if jax.process_index() == 0 else 0)
    assert array.dtype == "bfloat16"


def test_under_jit_every_rank_gets_its_shards():
    sharding = NamedSharding(the_mesh(), PartitionSpec("host", "device"))
    array = jax.jit(lambda key: init.he_normal()(key, SHAPE, "float32"), out_shardings=sharding)(
        jax.random.key(SEED)
    )
    assert len(array.addressable_shards) == 2
    assert all(
        np.array_equal(shard.data, CORE["he_normal"][shard.index])
        for shard in array.addressable_shards
    )
