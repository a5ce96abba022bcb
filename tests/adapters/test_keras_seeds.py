"""fastinit.keras: int seeds, SeedGenerators and fresh seeds."""

import keras
import numpy as np
import pytest
from keras_cases import BACKEND, CASES, RANDOM, core, differ, numbers, same

import fastinit as fi
import fastinit.keras as init

PROCESSES = ("keras_on_jax", "keras_on_torch", "keras_on_numpy")
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_an_int_seed_repeats():
    for name in RANDOM:
        arguments, shape, _, _ = CASES[name]
        initializer = getattr(init, name)(**arguments)
        same(initializer(shape), core(name))
        same(initializer(shape), core(name))
        same(initializer.clone()(shape), core(name))
    large = init.RandomNormal(stddev=1.0, seed=2**64 - 2)
    same(large((4,)), fi.normal((4,), seed=2**64 - 2))


def test_a_seed_generator_begins_with_its_seed_and_advances():
    for name in RANDOM:
        arguments, shape, _, _ = CASES[name]
        initializer = getattr(init, name)(**{**arguments, "seed": keras.random.SeedGenerator(3)})
        for call in range(3):
            same(initializer(shape), core(name, 3 + 2**32 * call))
    word = 2**32 - 5
    # Torch's words are signed.
    shared = keras.random.SeedGenerator(-5 if BACKEND == "torch" else word)
    first, second = init.RandomNormal(seed=shared), init.RandomNormal(seed=shared)
    same(first((5, 7)), fi.normal((5, 7), std=0.05, seed=word))
    same(second((5, 7)), fi.normal((5, 7), std=0.05, seed=word + 2**32))


def test_without_a_seed_every_call_has_a_fresh_one():
    """Our one deliberate difference: Keras repeats."""
    for name in RANDOM:
        shape = CASES[name][1]
        ours, theirs = getattr(init, name)(), getattr(keras.initializers, name)()
        assert ours.seed is None and ours.get_config()["seed"] is None
        assert differ(ours(shape), ours(shape)) and differ(ours(shape), ours.clone()(shape))
        assert not differ(theirs(shape), theirs(shape))


def test_set_random_seed_governs_fresh_seeds():
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        initializer = init.HeNormal()
        drawn.append([numbers(initializer((3, 4))) for _ in range(3)])
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0][0], drawn[0][1])


def test_what_is_not_a_seed_is_refused():
    for seed, error, message in (
        (1.5, ValueError, "`seed` argument should be"),
        (np.float32(1), ValueError, "`seed` argument should be"),
        (True, TypeError, "must be an integer, not bool True"),
        (-1, ValueError, r"outside \[0, 2\*\*64\)"),
        (2**64, ValueError, r"outside \[0, 2\*\*64\)"),
    ):
        with pytest.raises(error, match=message):
            init.HeNormal(seed=seed)
