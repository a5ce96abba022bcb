"""key_to_stream: the seed and the stream that a key of JAX stands for.

A threefry key has two words and an rbg key four; other keys are refused.  Who draws by them:
_arrays.py.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from .._core.arguments import described

Key: TypeAlias = jax.Array | np.ndarray[Any, Any]  # one key, typed or raw


def words_of(key: Any) -> Any:
    """The 32-bit words of one key, typed or raw.  Inside a trace they are a tracer, so that tracing
    draws nothing.
    """
    if not hasattr(key, "dtype"):
        raise TypeError(
            f"key is {described(key)}; give a key: jax.random.key(seed) or jax.random.PRNGKey(seed)"
        )
    words = None
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        words = jax.random.key_data(key)
    elif key.dtype == np.uint32 and key.ndim and key.shape[-1] in (2, 4):
        key = jax.random.wrap_key_data(key, impl="threefry2x32" if key.shape[-1] == 2 else "rbg")
        words = jax.random.key_data(key)
    if words is None or words.shape[-1] not in (2, 4):
        raise TypeError(
            f"key has dtype {key.dtype} and shape {key.shape}; give one key of two words "
            "(threefry) or four (rbg): jax.random.key(seed) or jax.random.PRNGKey(seed)"
        )
    if key.shape:
        raise ValueError(
            f"key is an array of keys, of shape {key.shape}; give one key, or use jax.vmap"
        )
    return words


def key_to_stream(key: Key) -> tuple[int, int]:
    """(seed, stream id) of a concrete key.

    With these as seed= and name=, the core functions draw the same values.

    Parameters
    ----------
    key : jax.Array
        One key. A threefry key (k0, k1) has seed k0 * 2**32 + k1 and stream id 0; an rbg key
        (k0, k1, k2, k3) has stream id k2 * 2**32 + k3.

    Returns
    -------
    tuple of (int, int)
        The seed and the stream id.

    Examples
    --------
    >>> key_to_stream(jax.random.key(5)), key_to_stream(jax.random.key(5, impl="rbg"))
    ((5, 0), (5, 5))
    """
    return stream_of(words_of(key))


def stream_of(words: Any) -> tuple[int, int]:
    k0, k1, *rest = map(int, np.asarray(words))
    return k0 << 32 | k1, rest[0] << 32 | rest[1] if rest else 0
