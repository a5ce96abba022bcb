"""fastinit.jax.laws: what is traced has the laws of what is drawn, or none."""

import math

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fastinit.jax as init
from fastinit import inspection

PROCESSES = ("jax_32_bits", "jax_reference_engine")
KEY = jax.random.key(0)
THEIRS = jax.nn.initializers
# Initializers, and whether their law has numbers.
CASES = {
    "normal": THEIRS.normal(0.02),
    "uniform": THEIRS.uniform(0.3),
    "truncated": THEIRS.truncated_normal(0.1),
    "he": THEIRS.he_normal(),
    "glorot": THEIRS.glorot_uniform(),
    "orthogonal": THEIRS.orthogonal(2.0),
    "ones": THEIRS.ones,
    "constant": THEIRS.constant(0.3),
    "shifted": lambda key, shape: 1.0 - 2.0 * THEIRS.uniform(0.3)(key, shape),
    "negated": lambda key, shape: -THEIRS.truncated_normal(0.1, lower=-1.0, upper=3.0)(key, shape),
    "our normal": init.normal(0.02),
    "our uniform": init.uniform(0.3),
    "our he": init.he_normal(),
    "our sparse": init.sparse(0.5),
    "our zeros": init.zeros,
}


def test_every_parameter_has_the_mean_std_and_bounds_of_its_law():
    for name, case in CASES.items():
        make = lambda key, case=case: {"w": case(key, (60, 80))}  # noqa: E731
        (law,) = init.laws(make, KEY)
        values = np.asarray(make(KEY)["w"], np.float64)
        slack = 5 * law.std / math.sqrt(values.size)
        assert abs(values.mean() - law.mean) <= slack + 1e-7, name
        assert abs(values.std() - law.std) <= slack * (3 if law.zeros else 1) + 1e-7, name
        if law.low is not None:
            # to float32's rounding of the bounds
            assert values.min() >= law.low - 1e-6 and values.max() <= law.high + 1e-6, name


def test_what_is_not_one_draw_is_unknown_by_its_operation():
    makes = {
        "log": lambda key: jnp.log(THEIRS.uniform(0.3)(key, (9,))),
        "iota": lambda key: jnp.arange(9.0),
        "add": lambda key: jax.random.normal(key, (9,)) + jax.random.normal(key, (9,)),
        "slice": lambda key: jax.random.normal(key, (9,))[:3],
        "broadcasting": lambda key: jnp.broadcast_to(jax.random.normal(key, (1, 3)), (3, 3)),
        "max": lambda key: jnp.maximum(jax.random.normal(key, (9,)), 0.0),
        "an argument": lambda key: key,
    }
    for word, make in makes.items():
        argument = jnp.zeros(3) if word == "an argument" else KEY
        (law,) = init.laws(make, argument)
        assert law.law == "unknown" and word in law.rule, (word, law.rule)


class Block(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x, _=None):
        return flax.linen.Dense(6)(x), None


class Model(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x):
        x = flax.linen.Embed(10, 6)(x)
        scan = flax.linen.scan(
            Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        x, _ = scan()(x, None)
        x = flax.linen.LayerNorm()(x)
        return flax.linen.Dense(4, kernel_init=init.he_normal(), bias_init=init.uniform(0.1))(x)


def test_a_linen_model_has_a_law_for_every_parameter():
    laws = {law.name: law for law in init.laws(Model().init, KEY, jnp.ones((1, 3), int))}
    assert all(law.law != "unknown" for law in laws.values())
    assert laws["params.Embed_0.embedding"].std == pytest.approx(6**-0.5)
    assert laws["params.ScanBlock_0.Dense_0.kernel"].shape == (3, 6, 6)
    assert laws["params.ScanBlock_0.Dense_0.kernel"].std == pytest.approx(6**-0.5, rel=1e-6)
    assert laws["params.LayerNorm_0.scale"].numbers() == "constant 1"
    assert laws["params.Dense_0.kernel"].rule.startswith("variance_scaling(scale=2.0")
    assert laws["params.Dense_0.bias"].high == pytest.approx(0.1)


def test_an_nnx_module_has_a_law_for_every_parameter_and_none_for_its_keys():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.one = nnx.Linear(30, 4, rngs=rngs)
            self.two = nnx.Linear(30, 4, kernel_init=init.orthogonal(), rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

    laws = {law.name: law for law in init.laws(lambda: Net(nnx.Rngs(0)))}
    assert {name.partition(".")[0] for name in laws} == {"one", "two", "norm"}
    assert all(law.law != "unknown" for law in laws.values())
    assert laws["one.kernel"].std == pytest.approx(30**-0.5, rel=1e-6)
    assert laws["two.kernel"].law == "orthogonal"


def test_numbers_of_float32_are_the_same_law_as_those_of_doubles():
    make = lambda key: {"w": THEIRS.he_uniform()(key, (8, 4))}  # noqa: E731
    ours = lambda key: {"w": init.he_uniform()(key, (8, 4))}  # noqa: E731
    assert inspection.compare_laws(init.laws(make, KEY), init.laws(ours, KEY)) == []
    other = lambda key: {"w": THEIRS.he_normal()(key, (8, 4))}  # noqa: E731
    assert inspection.compare_laws(init.laws(make, KEY), init.laws(other, KEY)) != []
