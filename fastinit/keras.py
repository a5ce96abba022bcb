"""Keras 3: initializers with Keras' class names, aliases, arguments and meaning, and the stream's
bits.

>>> import keras, fastinit.keras as init
>>> layer = keras.layers.Dense(4096, kernel_initializer=init.HeNormal(seed=0))
>>> keras.initializers.get("fastinit>HeNormal").get_config()  # registered: saved models load
{'seed': None, 'input_axes': None, 'output_axes': None}

*Normal means what it does in Keras: truncated at two sigma, the std corrected.  An int seed gives
the same values in every call, those of the core functions with layout="io".  A SeedGenerator
advances; its words (s0, s1) are the seed s0 + 2**32 * s1: SeedGenerator(7) starts as seed=7 does.
The one deliberate difference: seed=None draws a new seed in every call, where Keras repeats.  That
seed comes from Python's random, so keras.utils.set_random_seed governs it and
keras.distribution.initialize makes processes agree.  In all else each class is that of Keras.
Next: jax.py, _core/fill.py.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from . import _adapters
from ._core import dtypes, shapes
from ._core.fill import apply as _apply
from ._core.stream import check_seed
from .typing import Sizes

try:
    import keras
    from keras import initializers as _keras
except ImportError as error:
    raise _adapters.missing("Keras", "keras", error) from error

Setting = tuple[str, dict[str, Any]]  # an initializer of the core and its arguments

_register = keras.saving.register_keras_serializable(package="fastinit")


def _draw(
    name: str, arguments: dict[str, Any], shape: Sizes, dtype: Any, seed: Any, layout: Any
) -> Any:
    """A tensor of the backend: on JAX drawn shard by shard where there is a layout, on torch drawn
    in the tensor's own memory.
    """
    dtype = keras.backend.standardize_dtype(dtype)
    kind, backend = dtypes.resolve(dtype), keras.backend.backend()
    if backend == "jax":
        from . import jax as adapter

        words = (
            np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32) if isinstance(seed, int) else seed
        )
        return adapter._initialize(
            name, arguments, None, None, words[::-1], shape, kind.numpy(), _sharding(layout)
        )
    if layout is not None:
        raise ValueError(
            f"layout is given, but on the {backend} backend Keras has no sharded variables"
        )
    if not isinstance(seed, int):
        s0, s1 = (int(word) & 0xFFFFFFFF for word in seed)
        seed = s0 | s1 << 32
    rule = _adapters.rule(name)
    if backend != "torch":
        return keras.ops.convert_to_tensor(
            _apply(rule, arguments, shape, kind, None, None, seed, None, None), dtype
        )
    tensor = keras.ops.empty(shape, dtype)  # on the device of Keras' scope
    if not tensor.is_meta:
        values = tensor if tensor.is_cpu else tensor.new_empty(shape, device="cpu")
        _apply(rule, arguments, shape, kind, values, None, seed, None, None)
        if values is not tensor:
            tensor.copy_(values)
    return tensor


def _sharding(layout: Any) -> Any:
    """JAX's sharding for a Keras layout; while Keras creates a variable, the layout's mesh is
    current.
    """
    if layout is None:
        return None
    from . import jax as adapter

    return adapter._concrete(getattr(layout, "backend_layout", layout))


class _Drawn:
    """The first base of every class below: its call draws here instead of in Keras."""

    def _setting(self, shape: Sizes) -> Setting:
        raise NotImplementedError

    def _next_seed(self) -> Any:
        return 0

    def __call__(self, shape: Any, dtype: Any = None, layout: Any = None) -> Any:
        shape = shapes.parse_shape(shape)
        name, arguments = self._setting(shape)
        return _draw(name, arguments, shape, dtype, self._next_seed(), layout)


class _Random(_Drawn):
    """A drawn initializer with a seed."""

    _init_seed: Any

    @property
    def seed(self) -> Any:
        """As given: an int, a SeedGenerator or None.  (Keras makes an int of None and repeats.)"""
        return None if self._init_seed is None else self._seed

    @seed.setter
    def seed(self, value: Any) -> None:
        self._seed = check_seed(value) if isinstance(value, int) else value

    def _next_seed(self) -> Any:
        if self.seed is None:
            return random.getrandbits(64)
        return self.seed if isinstance(self.seed, int) else self.seed.next()


# ------------------------------------------------------------------------------- without randomness


@_register
class Zeros(_Drawn, _keras.Zeros):
    """All zeros."""

    def _setting(self, shape: Sizes) -> Setting:
        return "zeros", {}


@_register
class Ones(_Drawn, _keras.Ones):
    """All ones."""

    def _setting(self, shape: Sizes) -> Setting:
        return "ones", {}


@_register
class Constant(_Drawn, _keras.Constant):
    """`value` everywhere; an array is broadcast, by Keras."""

    def _setting(self, shape: Sizes) -> Setting:
        return "constant", {"value": self.value}

    def __call__(self, shape: Any, dtype: Any = None, layout: Any = None) -> Any:
        if type(self.value) in (int, float):
            return super().__call__(shape, dtype, layout)
        values = _keras.Constant.__call__(self, shape, dtype)
        return (
            values
            if layout is None
            else keras.distribution.distribute_tensor(values, _sharding(layout))
        )


@_register
class Identity(_Drawn, _keras.Identity):
    """`gain` on the diagonal of a matrix, square or not."""

    def _setting(self, shape: Sizes) -> Setting:
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return "eye", {"gain": self.gain}

    def get_config(self) -> dict[str, Any]:  # Keras omits it
        return {"gain": self.gain}


STFT = _keras.STFT  # Keras' own

# ------------------------------------------------------------------------------------------- random


@_register
class RandomNormal(_Random, _keras.RandomNormal):
    """N(mean, stddev**2)."""

    def _setting(self, shape: Sizes) -> Setting:
        return "normal", {"mean": self.mean, "std": self.stddev}


@_register
class TruncatedNormal(_Random, _keras.TruncatedNormal):
    """N(mean, stddev**2) cut at two stddev from the mean; its own std is 0.88 stddev."""

    def _setting(self, shape: Sizes) -> Setting:
        own = {"mean": self.mean, "std": self.stddev, "low": -2.0, "high": 2.0, "bounds": "sigma"}
        return "truncated_normal", own


@_register
class RandomUniform(_Random, _keras.RandomUniform):
    """U[minval, maxval)."""

    def _setting(self, shape: Sizes) -> Setting:
        return "uniform", {"low": self.minval, "high": self.maxval}


@_register
class VarianceScaling(_Random, _keras.VarianceScaling):
    """Variance scale / n, n = fan_in, fan_out or fan_avg by `mode`; "normal" is truncated,
    "untruncated_normal" is not.

    Kernels are (*kernel, in, out); with `input_axes` and `output_axes` only those axes count in the
    fans.
    """

    def _setting(self, shape: Sizes) -> Setting:
        name = "normal" if self.distribution == "untruncated_normal" else self.distribution
        own: dict[str, Any] = {"scale": self.scale, "mode": self.mode, "distribution": name}
        inputs, outputs = getattr(self, "input_axes", None), getattr(self, "output_axes", None)
        axes = range(len(shape))
        if inputs is not None and outputs is not None:
            named = {axis % len(shape) for axis in (*inputs, *outputs)}
            own |= {
                "in_axis": tuple(inputs),
                "out_axis": tuple(outputs),
                "batch_axis": tuple(set(axes) - named),
            }
        elif len(shape) >= 2:
            own["layout"] = "io"
        else:  # Keras: a vector of n has the fans (n, n), a number (1, 1)
            own |= {"mode": "fan_in", "in_axis": tuple(axes), "out_axis": ()}
        return "variance_scaling", own


@_register
class GlorotUniform(VarianceScaling, _keras.GlorotUniform):
    """U(-b, b), b = sqrt(6 / (fan_in + fan_out))."""


@_register
class GlorotNormal(VarianceScaling, _keras.GlorotNormal):
    """Truncated normal of variance 2 / (fan_in + fan_out)."""


@_register
class LecunUniform(VarianceScaling, _keras.LecunUniform):
    """U(-b, b), b = sqrt(3 / fan_in)."""


@_register
class LecunNormal(VarianceScaling, _keras.LecunNormal):
    """Truncated normal of variance 1 / fan_in."""


@_register
class HeUniform(VarianceScaling, _keras.HeUniform):
    """U(-b, b), b = sqrt(6 / fan_in)."""


@_register
class HeNormal(VarianceScaling, _keras.HeNormal):
    """Truncated normal of variance 2 / fan_in."""


@_register
class Orthogonal(_Random, _keras.Orthogonal):
    """`gain` times a uniformly distributed (semi-)orthogonal matrix of shape (prod(shape[:-1]),
    shape[-1]).
    """

    def _setting(self, shape: Sizes) -> Setting:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return "orthogonal", {"gain": self.gain, "layout": "io"}


# Keras' aliases: the snake-case names, and those kept for compatibility.
zeros = zero = Zeros
ones = one = Ones
constant = Constant
identity = IdentityInitializer = Identity
random_normal = normal = RandomNormal
random_uniform = uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
he_uniform, he_normal = HeUniform, HeNormal
orthogonal = OrthogonalInitializer = Orthogonal
stft = STFTInitializer = STFT
