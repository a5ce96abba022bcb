"""The cases of JAX's own tests of its initializers (tests/nn_test.py of jax-ml/jax), on ours."""

import functools
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_cases import bits

from fastinit import jax as init

PROCESSES = ("jax_32_bits", "jax_64_bits")

SHAPES = [(2,), (2, 2), (2, 3), (3, 2), (2, 3, 4), (4, 3, 2), (2, 3, 4, 5)]
FLOATING = ["float32", "float64", "bfloat16", "float16"]
INEXACT = [*FLOATING, "complex64", "complex128"]
RECORDS = [
    ("uniform", init.uniform, FLOATING, 1, 4),
    ("normal", init.normal, INEXACT, 1, 4),
    ("he_normal", init.he_normal, INEXACT, 2, 4),
    ("he_uniform", init.he_uniform, INEXACT, 2, 4),
    ("glorot_normal", init.glorot_normal, INEXACT, 2, 4),
    ("glorot_uniform", init.glorot_uniform, INEXACT, 2, 4),
    ("lecun_normal", init.lecun_normal, INEXACT, 2, 4),
    ("lecun_uniform", init.lecun_uniform, INEXACT, 2, 4),
    ("orthogonal", init.orthogonal, INEXACT, 2, 2),
    ("truncated_normal", init.truncated_normal, FLOATING, 1, 4),
    ("delta_orthogonal", init.delta_orthogonal, INEXACT, 4, 4),
    (
        "variance_scaling_fan_geo_avg",
        functools.partial(init.variance_scaling, 1, "fan_geo_avg", "normal"),
        INEXACT,
        2,
        4,
    ),
]
CASES = [
    pytest.param(provider, shape, dtype, id=f"{name}-{'x'.join(map(str, shape))}-{dtype}")
    for name, provider, dtypes, least, most in RECORDS
    for shape in SHAPES
    if least <= len(shape) <= most
    for dtype in dtypes
]
# JAX warns where 64 bits are off, and so do we.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype:UserWarning")


@pytest.mark.parametrize(("provider", "shape", "dtype"), CASES)
def test_initializer(provider, shape, dtype):
    drawn = provider()(jax.random.PRNGKey(0), shape, dtype)
    assert drawn.shape == shape and drawn.dtype == jax.dtypes.canonicalize_dtype(dtype)


@pytest.mark.parametrize(("provider", "shape", "dtype"), CASES)
def test_initializer_provider(provider, shape, dtype):
    drawn = provider(dtype=dtype)(jax.random.PRNGKey(0), shape)
    assert drawn.shape == shape and drawn.dtype == jax.dtypes.canonicalize_dtype(dtype)


def test_variance_scaling_multi_axis():
    drawn = init.variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis=(0, 1), out_axis=(-2, -1)
    )
    assert drawn(jax.random.PRNGKey(0), (2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_variance_scaling_batch_axis():
    initializer = init.variance_scaling(
        1.0, "fan_avg", "truncated_normal", in_axis=0, out_axis=(2, 3), batch_axis=1
    )
    assert initializer(jax.random.PRNGKey(0), (2, 3, 4, 5)).shape == (2, 3, 4, 5)


FAN_BUILDERS = ["glorot_normal", "glorot_uniform", "he_normal", "he_uniform"]
FAN_BUILDERS += ["kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform"]
FAN_BUILDERS += ["xavier_normal", "xavier_uniform"]


@pytest.mark.parametrize("name", FAN_BUILDERS)
@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_vector_without_in_axis_is_refused_in_jaxs_own_words(name, shape):
    said = []
    for module in (jax.nn.initializers, init):
        for dtype in ("float32", "complex64"):
            with pytest.raises(ValueError) as caught:
                getattr(module, name)()(jax.random.PRNGKey(0), shape, dtype)
            said.append(str(caught.value))
    assert len(set(said)) == 1
    assert "at least 2D or specify in_axis explicitly" in said[0]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("orthogonal", (3,)),
        ("orthogonal", ()),
        ("delta_orthogonal", (3, 4)),
        ("delta_orthogonal", (1, 1, 1, 1, 3, 4)),
        ("delta_orthogonal", (3, 4, 3)),
    ],
)
def test_shapes_without_an_orthogonal_matrix_are_refused_in_jaxs_own_words(name, shape):
    said = []
    for module in (jax.nn.initializers, init):
        with pytest.raises(ValueError) as caught:
            getattr(module, name)()(jax.random.PRNGKey(0), shape)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("axes", [(-1, -2), (0, 1), ((0,), (1,)), (-2, (-1,))])
def test_named_axes_of_a_matrix_and_of_a_vector(axes):
    build = functools.partial(init.variance_scaling, 1.0, "fan_in", "uniform", *axes)
    assert build()(jax.random.PRNGKey(0), (3, 5)).shape == (3, 5)
    vector = init.variance_scaling(1.0, "fan_in", "uniform", in_axis=0, out_axis=())
    drawn = vector(jax.random.PRNGKey(0), (1000,))
    assert 0.99 < float(jnp.abs(drawn).max()) * math.sqrt(1000 / 3) <= 1.0


@pytest.mark.parametrize(
    ("shape", "mode", "axes"),
    [
        ((4000,), "fan_in", {"in_axis": 0}),
        ((64, 64), "fan_avg", {"batch_axis": 0}),
        ((16, 16, 16), "fan_geo_avg", {"in_axis": 0, "out_axis": -3}),
        ((16, 16, 16), "fan_out", {"in_axis": (0, 0), "out_axis": (1, 2)}),
    ],
)
def test_an_axis_with_two_roles_counts_in_both_as_in_jax(shape, mode, axes):
    def std(module, scale=2.0):
        build = functools.partial(module.variance_scaling, scale, mode, "normal", **axes)
        return build()(jax.random.PRNGKey(0), shape, "float32").std()

    ours = std(init)
    assert 0.93 < ours / std(jax.nn.initializers) < 1.07
    if mode == "fan_in":
        assert jax.jit(lambda scale: std(init, scale))(2.0) == pytest.approx(ours, rel=1e-5)


VALUES = [0.5, -1.7, 300, True, math.inf, math.nan, np.float64(2.5)]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("dtype", ["int32", "uint8", bool, "float4_e2m1fn", "float32", "bfloat16"])
def test_a_constant_that_the_core_does_not_hold_is_jaxs(dtype):
    shape = (2, 3)
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    for value in VALUES:
        theirs, ours = (module.constant(value) for module in (jax.nn.initializers, init))
        drawn = ours(None, shape, dtype)
        assert bits(drawn) == bits(theirs(None, shape, dtype)) and not drawn.weak_type
        spread = ours(None, shape, dtype, sharding)
        assert bits(spread) == bits(jnp.full(shape, value, dtype, device=sharding))
        assert spread.sharding == sharding
    jitted = jax.jit(lambda f: f(None, shape, dtype), static_argnums=0)
    assert bits(jitted(ours)) == bits(jitted(theirs))
    for name in ("zeros", "ones"):
        theirs = getattr(jax.nn.initializers, name)(None, shape, dtype)
        assert bits(getattr(init, name)(None, shape, dtype)) == bits(theirs)


def test_pythons_own_types_are_dtypes_of_jaxs_width_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("normal", "zeros"):
            for dtype in (float, complex):
                ours, theirs = (
                    (getattr(module, name) if name == "zeros" else getattr(module, name)())(
                        jax.random.PRNGKey(0), (2, 2), dtype
                    )
                    for module in (init, jax.nn.initializers)
                )
                assert ours.dtype == theirs.dtype
