"""fastinit.jax on 1, 2 and 8 host devices: sharded arrays equal unsharded ones, and each shard is
drawn separately.
"""

import contextlib
import functools
import itertools
from unittest import mock

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec, SingleDeviceSharding

import fastinit.jax as init
from fastinit.jax import _arrays

PROCESSES = ("jax_1_device", "jax_2_devices", "jax_8_devices")

COUNT = jax.device_count()
KEY = jax.random.key(2026)
INITIALIZERS = {
    "uniform": init.uniform(0.5),
    "normal": init.normal(0.5),
    "truncated_normal": init.truncated_normal(0.5),
    "glorot_normal": init.glorot_normal(),
    "he_uniform": init.he_uniform(),
    "orthogonal": init.orthogonal(2.0),
    "orthogonal in columns": init.orthogonal(2.0, 0),
    "sparse": init.sparse(0.3),
    "delta_orthogonal": init.delta_orthogonal(2.0),
    "ones": init.ones,
    "constant": init.constant(0.25),
}


def meshes(kind=AxisType.Auto):
    """All meshes of one and two axes over all devices, and over one device alone."""
    shapes = {(COUNT,), (1,), *[(n, COUNT // n) for n in range(1, COUNT + 1) if COUNT % n == 0]}
    for shape in sorted(shapes):
        devices = jax.devices()[: int(np.prod(shape))]
        yield jax.make_mesh(
            shape, ("x", "y")[: len(shape)], axis_types=(kind,) * len(shape), devices=devices
        )


def specs(mesh, rank):
    """Each axis of an array over nothing, one axis of the mesh or both."""
    choices = [None, *mesh.axis_names] + [mesh.axis_names] * (len(mesh.axis_names) > 1)
    for spec in itertools.product(choices, repeat=rank):
        used = [
            name
            for entry in spec
            if entry
            for name in ((entry,) if isinstance(entry, str) else entry)
        ]
        if len(used) == len(set(used)):
            yield PartitionSpec(*spec)


def bits(array):
    array = np.asarray(array)
    return array.dtype.name, array.shape, np.ascontiguousarray(array).tobytes()


def same(sharded, whole, sharding):
    assert sharded.sharding == sharding
    for shard in sharded.addressable_shards:
        assert bits(shard.data) == bits(np.asarray(whole)[shard.index])
    assert bits(sharded) == bits(whole)


@functools.cache
def whole(name, shape, dtype="float32"):
    return INITIALIZERS[name](KEY, shape, dtype)


class Sizes:
    """Records how many values each draw has."""

    def __init__(self):
        self.sizes = []

    def __call__(self, *arguments):
        drawn = init_apply(*arguments)
        self.sizes.append(drawn.size)
        return drawn


init_apply = _arrays._apply


def test_sharded_arrays_are_the_unsharded_ones_on_every_mesh():
    for mesh in meshes():
        for name in INITIALIZERS:
            shapes = [(8, 8, 8), (1, 8, 16)] if name == "delta_orthogonal" else [(16, 24), (24, 8)]
            for shape in shapes:
                for spec in specs(mesh, len(shape)):
                    sharding = NamedSharding(mesh, spec)
                    try:
                        sharding.shard_shape(shape)
                    except ValueError:  # JAX has no uneven shards
                        continue
                    drawn = INITIALIZERS[name](KEY, shape, "float32", out_sharding=sharding)
                    same(drawn, whole(name, shape), sharding)


def test_every_dtype_is_sharded():
    for dtype in ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        for name in ("normal", "he_uniform", "orthogonal"):
            mesh = list(meshes())[-1]
            for spec in specs(mesh, 2):
                sharding = NamedSharding(mesh, spec)
                same(
                    INITIALIZERS[name](KEY, (16, 24), dtype, sharding),
                    whole(name, (16, 24), dtype),
                    sharding,
                )


def test_every_shard_is_drawn_alone_and_replicas_once():
    for mesh in meshes():
        for spec in specs(mesh, 2):
            sharding, sizes = NamedSharding(mesh, spec), Sizes()
            with mock.patch.object(_arrays, "_apply", sizes):
                init.he_normal()(KEY, (16, 24), "float32", sharding)
            per_shard = np.prod(sharding.shard_shape((16, 24)))
            assert sizes.sizes == [per_shard] * (16 * 24 // per_shard)


def test_fans_come_from_the_global_shape():
    mesh = next(meshes())
    drawn = init.lecun_uniform()(KEY, (64, 8), "float32", NamedSharding(mesh, PartitionSpec("x")))
    assert 0.9 < float(jnp.abs(drawn).max()) * (64 / 3) ** 0.5 <= 1.0


def test_a_partition_spec_goes_to_the_mesh_that_is_set():
    spec = PartitionSpec("x")
    with pytest.raises(ValueError, match="no mesh is set; use jax.set_mesh or NamedSharding"):
        init.normal()(KEY, (16, 3), "float32", spec)
    for kind in (AxisType.Auto, AxisType.Explicit):
        for mesh in meshes(kind):
            with jax.set_mesh(mesh):
                drawn = init.normal(0.5)(KEY, (16, 3), "float32", spec)
                abstract = init.normal(0.5)(
                    KEY, (16, 3), "float32", NamedSharding(jax.sharding.get_abstract_mesh(), spec)
                )
            same(drawn, whole("normal", (16, 3)), NamedSharding(mesh, spec))
            same(abstract, whole("normal", (16, 3)), NamedSharding(mesh, spec))


def test_other_kinds_of_shardings_are_accepted_or_refused():
    device = SingleDeviceSharding(jax.devices()[-1])
    same(init.normal(0.5)(KEY, (4, 3), "float32", device), whole("normal", (4, 3)), device)
    for wrong in ("x", ("x", None), jax.devices()[0]):
        with pytest.raises(
            TypeError, match="out_sharding is .*; give a jax.sharding.Sharding or PartitionSpec"
        ):
            init.normal()(KEY, (4, 3), "float32", wrong)


def test_values_go_where_the_key_is_and_mix_with_arrays_of_a_mesh():
    for device in jax.devices():
        drawn = init.normal(0.5)(jax.device_put(KEY, device), (4, 3), "float32")
        assert (
            drawn.devices()
            == {device}
            == jax.random.normal(jax.device_put(KEY, device), (4, 3)).devices()
        )
        with jax.default_device(device):
            assert init.normal()(jax.random.key(1), (4, 3)).devices() == {device}
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = list(meshes(kind))[-1]
        x = jax.device_put(np.ones((8, 4), np.float32), NamedSharding(mesh, PartitionSpec("x")))
        with jax.set_mesh(mesh):
            key = jax.device_put(KEY, NamedSharding(mesh, PartitionSpec()))
            for drawn in (
                init.normal(0.5)(KEY, (4, 3), "float32"),
                init.normal(0.5)(key, (4, 3), "float32"),
            ):
                assert bits(drawn) == bits(whole("normal", (4, 3)))
                assert np.allclose(np.asarray(x @ drawn)[0], np.asarray(drawn).sum(0), atol=1e-5)
            assert init.normal()(KEY, (), "float32", PartitionSpec()).shape == ()


def test_without_out_sharding_the_values_are_where_jaxs_own_would_be():
    mesh = list(meshes())[-1]
    for enter in (contextlib.nullcontext, functools.partial(jax.set_mesh, mesh)):
        with enter():
            inside = jax.random.key(1)
            spread = jax.device_put(KEY, NamedSharding(mesh, PartitionSpec()))
            for key in (KEY, inside, spread, jax.random.split(inside)[1]):
                ours, theirs = (
                    module.normal()(key, (4, 3), "float32")
                    for module in (init, jax.nn.initializers)
                )
                assert ours.committed == theirs.committed
                assert ours.sharding.is_equivalent_to(theirs.sharding, 2)


def test_uneven_shards_are_refused_by_jax_before_anything_is_drawn():
    if COUNT == 1:
        return
    sizes, sharding = (
        Sizes(),
        NamedSharding(jax.sharding.Mesh(jax.devices(), "x"), PartitionSpec("x")),
    )
    with (
        mock.patch.object(_arrays, "_apply", sizes),
        pytest.raises(ValueError, match="evenly divide the shape"),
    ):
        init.normal()(KEY, (13, 3), "float32", sharding)
    assert not sizes.sizes


def test_in_jit_sharded_or_not_the_values_are_the_same():
    shape, expected = (16, 24), whole("he_uniform", (16, 24))
    he = INITIALIZERS["he_uniform"]
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = list(meshes(kind))[-1]
        for spec in (PartitionSpec("x"), PartitionSpec()):
            sharding = NamedSharding(mesh, spec)
            inside = jax.jit(lambda key, sharding=sharding: he(key, shape, "float32", sharding))
            outside = jax.jit(lambda key: he(key, shape, "float32"), out_shardings=sharding)
            for drawn in (inside(KEY), outside(KEY)):
                assert bits(drawn) == bits(expected) and drawn.sharding.is_equivalent_to(
                    sharding, 2
                )
            with jax.set_mesh(mesh):
                by_spec = jax.jit(lambda key, spec=spec: he(key, shape, "float32", spec))
                ones = jax.jit(lambda key, spec=spec: init.ones(key, shape, "float32", spec))
                for drawn in (inside(KEY), by_spec(KEY)):
                    assert bits(drawn) == bits(expected) and drawn.sharding.is_equivalent_to(
                        sharding, 2
                    )
                assert ones(KEY).sharding.is_equivalent_to(sharding, 2)
        with jax.set_mesh(mesh):
            assert bits(jax.jit(lambda key: he(key, shape, "float32"))(KEY)) == bits(expected)


def test_flax_modules_are_sharded():
    mesh = jax.make_mesh((COUNT,), ("x",), axis_types=(AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("x"))
    alone = functools.partial(init.he_normal(), out_sharding=sharding)
    layer = nnx.Linear(16, 8, kernel_init=alone, rngs=nnx.Rngs(0))
    same(
        layer.kernel[...],
        nnx.Linear(16, 8, kernel_init=init.he_normal(), rngs=nnx.Rngs(0)).kernel[...],
        sharding,
    )

    x = jnp.ones((2, 16), jnp.float32)
    plain = flax.linen.Dense(8, kernel_init=init.he_normal())
    kernel = plain.init(KEY, x)["params"]["kernel"]
    same(flax.linen.Dense(8, kernel_init=alone).init(KEY, x)["params"]["kernel"], kernel, sharding)
    boxed = flax.linen.Dense(
        8, kernel_init=flax.linen.with_partitioning(init.he_normal(), ("x", None))
    )
    with jax.set_mesh(mesh):
        shapes = flax.linen.get_sharding(jax.eval_shape(boxed.init, KEY, x), mesh)
        parameters = flax.linen.meta.unbox(jax.jit(boxed.init, out_shardings=shapes)(KEY, x))
    same(parameters["params"]["kernel"], kernel, NamedSharding(mesh, PartitionSpec("x", None)))
