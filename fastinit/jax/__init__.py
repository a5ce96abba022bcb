"""JAX: initializers with JAX's names, signatures and meaning, and the stream's bits.

>>> import jax, fastinit.jax as init
>>> draw = init.he_normal()                       # in Flax: kernel_init=init.he_normal()
>>> w = draw(jax.random.key(0), (4096, 4096), "bfloat16")
>>> mesh = jax.sharding.Mesh(jax.devices(), "x")
>>> sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
>>> sharded = draw(jax.random.key(0), (4096, 4096), "bfloat16", out_sharding=sharding)
>>> bool((sharded == w).all())    # yet each shard was drawn by itself, by the process that holds it
True

The *_normal functions mean what they do in JAX: truncated at two sigma, with the std corrected.  A
key gives seed and stream: the words (k0, k1) of a threefry key are the seed k0 * 2**32 + k1 and
stream 0; the first two of the four words of an rbg key are the seed, the last two the stream id.
Under jit and vmap (and in Flax' init) the host draws the whole array in a callback; under
eval_shape nothing is drawn.  Standard deviations, scales, bounds and values may be traced.  Complex
dtypes:
../_complex.py.  Values: ../stream-v1.md.  The functions: initializers.py; how arrays are drawn:
_arrays.py.
"""

from __future__ import annotations

from .. import _adapters

try:
    import jax as _jax  # noqa: F401
except ImportError as _error:
    raise _adapters.missing("JAX", "jax", _error) from _error

from .initializers import (
    Initializer,
    constant,
    delta_orthogonal,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    sparse,
    truncated_normal,
    uniform,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from .keys import key_to_stream
from .laws import laws

__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "key_to_stream",
    "laws",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
