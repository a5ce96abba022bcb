"""One process of the multi-process Keras run that test_keras.py starts; its last word is a digest
of what it drew freshly.

KERAS_BACKEND=jax python tests/adapters/keras_process.py ADDRESS:PORT PROCESSES NUMBER
"""

import hashlib
import sys
from unittest import mock

import jax

jax.config.update("jax_cpu_collectives_implementation", "gloo")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import fastinit as fi  # noqa: E402
import fastinit.jax as adapter  # noqa: E402
import fastinit.keras as init  # noqa: E402

address, processes, number = sys.argv[1:]
keras.distribution.initialize(address, int(processes), int(number))
mesh = keras.distribution.DeviceMesh((int(processes), 2), ["host", "device"])
layouts = keras.distribution.LayoutMap(mesh)
layouts[".*kernel"] = ("host", "device")
expected = fi.variance_scaling(
    (8, 6), scale=2.0, distribution="truncated_normal", layout="io", seed=4
)
drawn_values = []


def counting(*arguments, apply=adapter._apply):
    drawn = apply(*arguments)
    drawn_values.append(drawn.size)
    return drawn


with keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="host").scope():
    layer = keras.layers.Dense(6, kernel_initializer=init.HeNormal(seed=4), use_bias=False)
    with mock.patch.object(adapter, "_apply", counting):
        layer.build((None, 8))
kernel = layer.kernel.value
assert not kernel.is_fully_addressable and sum(drawn_values) == kernel.size // int(processes)
assert all(np.array_equal(shard.data, expected[shard.index]) for shard in kernel.addressable_shards)
print("every shard is right")

fresh = [np.asarray(init.GlorotUniform()((3, 4))) for _ in range(3)]
assert not np.array_equal(fresh[0], fresh[1])
print(hashlib.sha256(np.stack(fresh).tobytes()).hexdigest())
jax.distributed.shutdown()
