"""An example: equal weights on any number of JAX processes.

    python benchmarks/sharded_jax.py
        one process
    python benchmarks/sharded_jax.py ADDRESS:PORT PROCESSES NUMBER
        on every host, with its number: prints the same digest

Every process draws only the shards that its own devices hold.  Then all processes compute a
gradient together.
"""

from __future__ import annotations

import functools
import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

import fastinit.jax as init

WIDTH, LAYERS = 128, 3


def loss(weights: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    for name in sorted(weights):
        x = jnp.tanh(x @ weights[name])
    return (x**2).mean()


def main() -> None:
    if len(sys.argv) > 1:
        address, processes, number = sys.argv[1:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, int(processes), int(number))
    mesh = jax.sharding.Mesh(np.array(jax.devices()), "x")
    he = functools.partial(init.he_normal(), out_sharding=NamedSharding(mesh, PartitionSpec("x")))
    keys = jax.random.split(jax.random.key(0), LAYERS)
    weights = {f"layer{n}": he(key, (WIDTH, WIDTH), "float32") for n, key in enumerate(keys)}

    mine = sum(
        shard.data.size for weight in weights.values() for shard in weight.addressable_shards
    )
    whole = [
        multihost_utils.process_allgather(weights[name], tiled=True) for name in sorted(weights)
    ]
    x = jax.device_put(np.ones((4, WIDTH), np.float32), NamedSharding(mesh, PartitionSpec()))
    jax.block_until_ready(jax.jit(jax.grad(loss))(weights, x))
    digest = hashlib.sha256(np.stack(whole).tobytes()).hexdigest()[:16]
    print(f"process {jax.process_index()} drew {mine} values; all weights: {digest}")


if __name__ == "__main__":
    main()
