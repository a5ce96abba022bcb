"""The cases of JAX's own tests of its initializers (tests/nn_test.py of jax-ml/jax), on ours."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

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


@pytest.mark.parametrize("shape", [(3,), ()])
def test_orthogonal_needs_two_axes(shape):
    with pytest.raises(ValueError, match="at least two axes|outside"):
        init.orthogonal()(jax.random.PRNGKey(0), shape)


@pytest.mark.parametrize("axes", [(-1, -2), (0, 1), ((0,), (1,)), (-2, (-1,))])
def test_named_axes_of_a_matrix_and_of_a_vector(axes):
    build = functools.partial(init.variance_scaling, 1.0, "fan_in", "uniform", *axes)
    assert build()(jax.random.PRNGKey(0), (3, 5)).shape == (3, 5)
    vector = init.variance_scaling(1.0, "fan_in", "uniform", in_axis=0, out_axis=())
    drawn = vector(jax.random.PRNGKey(0), (1000,))
    assert 0.99 < float(jnp.abs(drawn).max()) * math.sqrt(1000 / 3) <= 1.0
