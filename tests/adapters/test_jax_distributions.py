"""fastinit.jax with JAX's default of 32 bits: distributions, float64, docstring examples."""

import doctest
import importlib
import warnings

import jax
import numpy as np
from jax_cases import KEY

import fastinit as fi
import fastinit.jax as init

PROCESSES = ("jax_32_bits",)

GRID = np.linspace(0.005, 0.995, 45)


def alike(ours, theirs):
    """Moments, quantiles and bounds of two samples of 2^20 values."""
    ours, theirs = np.asarray(ours).ravel(), np.asarray(theirs).ravel()
    spread = theirs.std()
    bounded = np.abs(theirs).max() < 3 * spread  # uniform, or cut at two sigma
    ends = [abs(ours.min() - theirs.min()), abs(ours.max() - theirs.max())] if bounded else [0.0]
    return (
        abs(ours.std() / spread - 1) < 0.004
        and np.abs(np.quantile(ours, GRID) - np.quantile(theirs, GRID)).max() < 0.02 * spread
        and max(ends) < 0.01 * spread
    )


def test_distributions_equal_jaxs():
    theirs, shape = jax.nn.initializers, (4, 256, 1024)
    builds = [
        ("uniform", (0.5,)),
        ("normal", (0.5,)),
        ("truncated_normal", (0.5,)),
        ("truncated_normal", (0.5, None, -0.5, 1.0)),
    ]
    builds += [
        (f"{who}_{law}", ()) for who in ("glorot", "he", "lecun") for law in ("uniform", "normal")
    ]
    builds += [
        ("variance_scaling", (2.5, "fan_in", law))
        for law in ("truncated_normal", "normal", "uniform")
    ]
    builds += [
        ("variance_scaling", (2.5, mode, "uniform", 0, (2, 1)))
        for mode in ("fan_out", "fan_avg", "fan_geo_avg")
    ]
    for name, arguments in builds:
        its = getattr(theirs, name)(*arguments)(KEY, shape, np.float32)
        assert alike(getattr(init, name)(*arguments)(KEY, shape, np.float32), its), (
            name,
            arguments,
        )
    # These must not pass: the untruncated normal, a std that is not corrected, torch's layout, and
    # a std that is 1 % too large.
    he = theirs.he_normal()(KEY, shape, np.float32)
    assert alike(init.he_normal()(KEY, shape, np.float32), he)
    assert not alike(fi.he_normal(shape, layout="io", seed=1), he)
    assert not alike(fi.truncated_normal(shape, std=(2 / 1024) ** 0.5, seed=1), he)
    assert not alike(
        fi.variance_scaling(shape, scale=2.0, distribution="truncated_normal", seed=1), he
    )
    assert not alike(init.he_normal()(KEY, shape, np.float32) * 1.01, he)


def test_float64_without_64_bits_is_float32_with_jaxs_own_warning():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        theirs = jax.nn.initializers.normal()(KEY, (3,), "float64")
        number = len(said)
        ours = init.normal()(KEY, (3,), "float64")
    assert ours.dtype == theirs.dtype == "float32"
    assert len(said) > number and str(said[number].message)[:33] == str(said[0].message)[:33]


def test_the_printed_examples_are_true():
    attempted = 0
    for name in ("", ".initializers", ".keys", ".laws"):
        module = importlib.import_module(f"fastinit.jax{name}")
        found = doctest.testmod(module, extraglobs={"jax": jax, "jnp": jax.numpy})
        assert found.attempted and not found.failed
        attempted += found.attempted
    assert attempted >= 30
