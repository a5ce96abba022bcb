"""fastinit.jax: which keys there are, and which seed and stream each of them is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_cases import KEY, SEED, bits, core

import fastinit as fi
import fastinit.jax as init

PROCESSES = ("jax_32_bits", "jax_64_bits")


def test_keys_give_these_seeds_and_streams():
    two, four = np.array([1, 2], np.uint32), np.array([1, 2, 3, 4], np.uint32)
    golden = [
        (jax.random.key(5), (5, 0)),
        (jax.random.PRNGKey(5), (5, 0)),
        (jax.random.key(2**32 - 1, impl="threefry2x32"), (2**32 - 1, 0)),
        (jax.random.wrap_key_data(two, impl="threefry2x32"), (2**32 + 2, 0)),
        (two, (2**32 + 2, 0)),
        (jnp.asarray(two), (2**32 + 2, 0)),
        (KEY, (SEED, 0)),
        (jax.random.key(5, impl="rbg"), (5, 5)),
        (jax.random.PRNGKey(5, impl="unsafe_rbg"), (5, 5)),
        (jax.random.wrap_key_data(four, impl="rbg"), (2**32 + 2, 3 * 2**32 + 4)),
        (jax.random.wrap_key_data(four, impl="unsafe_rbg"), (2**32 + 2, 3 * 2**32 + 4)),
        (four, (2**32 + 2, 3 * 2**32 + 4)),
    ]
    for key, expected in golden:
        assert init.key_to_stream(key) == expected, (key, expected)


def test_these_bits_are_promised_for_a_threefry_and_an_rbg_key():
    rbg = jax.random.wrap_key_data(np.array([1, 2, 3, 4], np.uint32), impl="rbg")
    golden = [
        (KEY, (0x89ABCDEF, 0x01234567), (0, 0), [0x3F385022, 0x3F2DCA14, 0x3F77CE29, 0x3F2C3078]),
        (rbg, (2, 1), (4, 3), [0x3F35CB3B, 0x3EC52AAA, 0x3DCD8000, 0x3F424549]),
    ]
    for key, seed, stream, expected in golden:
        drawn = np.asarray(init.uniform(1.0)(key, (2, 2), jnp.float32)).ravel()
        words = [fi.philox4x32((block, 0, *stream), seed)[0] for block in range(4)]
        assert drawn.view(np.uint32).tolist() == expected
        assert drawn.tolist() == [(word >> 8) * 2**-24 for word in words]


def test_typed_raw_and_rbg_keys_draw_what_the_core_draws_with_their_seed_and_stream():
    rbg = jax.random.key(77, impl="rbg")
    for key in (
        KEY,
        jax.random.key_data(KEY),
        np.asarray(jax.random.key_data(KEY)),
        rbg,
        jax.random.key_data(rbg),
    ):
        seed, stream = init.key_to_stream(key)
        for traced in (False, True):
            draw = (
                jax.jit(lambda key: init.he_normal()(key, (3, 5, 7)))
                if traced
                else init.he_normal().func
            )
            drawn = draw(key) if traced else init.he_normal()(key, (3, 5, 7))
            assert bits(drawn) == bits(core("he_normal", drawn.dtype.name, seed, stream))


def test_what_is_not_a_key_is_refused_with_a_hint():
    wrong = [
        (5, TypeError, r"key is int 5; give a key: jax.random.key\(seed\)"),
        (None, TypeError, "key is NoneType"),
        ([1, 2], TypeError, "key is list"),
        (jnp.zeros(2), TypeError, r"dtype float(32|64) and shape \(2,\)"),
        (np.zeros(2, np.int32), TypeError, "dtype int32"),
        (np.zeros(3, np.uint32), TypeError, r"two words \(threefry\) or four \(rbg\)"),
        (np.uint32(5), TypeError, r"shape \(\)"),
        (
            jax.random.split(KEY, 3),
            ValueError,
            r"an array of keys, of shape \(3,\); give one key, or use jax.vmap",
        ),
        (
            jax.random.key_data(jax.random.split(KEY, 3)),
            ValueError,
            r"an array of keys, of shape \(3,\)",
        ),
    ]
    for key, error, message in wrong:
        with pytest.raises(error, match=message):
            init.normal()(key, (3,))
        with pytest.raises(error, match=message):
            init.key_to_stream(key)


def test_constants_ignore_the_key_as_in_jax():
    for key in (None, KEY, "anything"):
        assert bits(init.zeros(key, (3,), "float32")) == bits(np.zeros(3, np.float32))
        assert bits(init.ones(key, (3,), "bfloat16")) == bits(jnp.ones(3, jnp.bfloat16))
        assert bits(init.constant(7)(key, (3,), "int8")) == bits(np.full(3, 7, np.int8))
    assert bits(jax.jit(lambda: init.constant(0.1)(None, (3,), "float16"))()) == bits(
        np.full(3, 0.1, np.float16)
    )
    assert "callback" not in str(jax.make_jaxpr(lambda key: init.ones(key, (3,)))(KEY))
