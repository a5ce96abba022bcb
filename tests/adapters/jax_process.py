"""One process of the multi-process JAX run that test_jax_sharding.py starts: draws only its shards,
of the values of the whole.

python tests/adapters/jax_process.py ADDRESS:PORT PROCESSES NUMBER
"""

import sys
from unittest import mock

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import fastinit as fi
import fastinit.jax as init

address, processes, number = sys.argv[1:]
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, int(processes), int(number))
assert jax.process_count() == int(processes) and jax.device_count() == 2 * int(processes)

KEY, SHAPE = jax.random.key(7), (16, 24)
CORE = {
    "he_normal": fi.variance_scaling(
        SHAPE, scale=2.0, distribution="truncated_normal", layout="io", seed=7
    ),
    "glorot_uniform": fi.xavier_uniform(SHAPE, layout="io", seed=7),
    "orthogonal": fi.orthogonal(SHAPE, layout="io", seed=7),
}
drawn_values = []


def counting(*arguments, apply=init._apply):
    drawn = apply(*arguments)
    drawn_values.append(drawn.size)
    return drawn


mesh = jax.make_mesh((int(processes), 2), ("host", "device"))
for spec in [
    ("host", None),
    ("host", "device"),
    (None, "host"),
    ("device", "host"),
    (("host", "device"), None),
    ("device", None),
    (None, None),
]:
    sharding = NamedSharding(mesh, PartitionSpec(*spec))
    for name, expected in CORE.items():
        drawn_values.clear()
        with mock.patch.object(init, "_apply", counting):
            array = getattr(init, name)()(KEY, SHAPE, "float32", out_sharding=sharding)
        mine = {
            str(shard.index): shard for shard in array.addressable_shards
        }  # replicas on this host once
        assert len(array.addressable_shards) == 2 and not array.is_fully_addressable
        assert all(
            np.array_equal(shard.data, expected[shard.index]) for shard in array.addressable_shards
        )
        assert sum(drawn_values) == sum(shard.data.size for shard in mine.values()), (
            "more than its shards was drawn"
        )
        if spec == ("host", None):
            assert sum(drawn_values) == array.size // int(processes)
        # A collective over all processes: it is one array.
        assert np.isclose(jax.jit(lambda w: abs(w).sum())(array), np.abs(expected).sum(), rtol=1e-4)

# One process holds no shard at all of an array on the first process' devices.
first = NamedSharding(jax.sharding.Mesh(np.array(jax.devices()[:2]), ("x",)), PartitionSpec("x"))
array = init.he_normal()(KEY, SHAPE, "bfloat16", out_sharding=first)
assert (
    len(array.addressable_shards) == (2 if jax.process_index() == 0 else 0)
    and array.dtype == "bfloat16"
)

# Under jit one host draws, and everyone gets its shards.
sharding = NamedSharding(mesh, PartitionSpec("host", "device"))
array = jax.jit(lambda key: init.he_normal()(key, SHAPE, "float32"), out_shardings=sharding)(KEY)
assert all(
    np.array_equal(shard.data, CORE["he_normal"][shard.index]) for shard in array.addressable_shards
)
print("every shard is right")
jax.distributed.shutdown()
