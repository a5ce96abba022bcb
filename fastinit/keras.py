"""Keras 3: initializers with Keras' class names, aliases, arguments and meaning, and the stream's
bits.

>>> import keras, fastinit.keras as init
>>> layer = keras.layers.Dense(4096, kernel_initializer=init.HeNormal(seed=0))
>>> keras.initializers.get("fastinit>HeNormal").get_config()  # registered: saved models load
{'seed': None, 'input_axes': None, 'output_axes': None}

*Normal means what it does in Keras: truncated at two sigma, with the std corrected.  An int seed
gives the same values in every call, which are those of the core functions with layout="io".  A
SeedGenerator advances with every call; its words (s0, s1) are the seed s0 + 2**32 * s1, so that
SeedGenerator(7) starts with the values of seed=7.  There is one deliberate difference: seed=None
draws a new seed in every call, where Keras repeats the first.  That seed comes from Python's
random, so keras.utils.set_random_seed sets it, and keras.distribution.initialize makes processes
agree.  In everything else each class behaves as in Keras.  Complex dtypes have JAX's laws, on every
backend: _complex.py.
Arrays of JAX: jax/_arrays.py.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _adapters, _complex, _laws
from ._adapters import Setting
from ._core import dtypes
from ._core.fill import apply as _apply
from ._core.stream import check_seed
from ._laws import Law
from .typing import Dtype, Shape, Sizes

try:
    import keras
    from keras import initializers as _keras
except ImportError as error:
    backend = (error.name or "").partition(".")[0]
    if backend in ("tensorflow", "jax", "torch", "openvino"):
        raise ImportError(
            f"fastinit.keras: Keras is installed, but its backend {backend} cannot be imported "
            f"({error}); set the environment variable KERAS_BACKEND to one that is installed (jax, "
            "torch, tensorflow or numpy) before Python starts"
        ) from error
    raise _adapters.missing("Keras", "keras", error) from error
if keras.backend.backend() == "torch":
    import torch


# The classes.  The module also has Keras' other spellings of their names, defined at the end.
__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]

_register = keras.saving.register_keras_serializable(package="fastinit")


def _draw(
    name: str, arguments: dict[str, Any], shape: Sizes, dtype: Any, seed: Any, layout: Any
) -> Any:
    """A tensor of Keras' backend.  JAX's is drawn shard by shard if there is a layout; torch's is
    drawn in the tensor's own memory.
    """
    dtype = keras.backend.standardize_dtype(dtype)
    backend = keras.backend.backend()
    if backend == "jax":
        from .jax import _arrays

        words = (
            np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32) if isinstance(seed, int) else seed
        )
        return _arrays.draw(name, arguments, words[::-1], shape, dtype, _sharding(layout))
    if layout is not None:
        raise ValueError(
            f"layout is given, but on the {backend} backend Keras has no sharded variables; leave "
            "layout out, or use the JAX backend"
        )
    if not isinstance(seed, int):
        s0, s1 = (int(word) & 0xFFFFFFFF for word in seed)
        seed = s0 | s1 << 32
    parts, rule = _complex.parts_of(dtype), _adapters.rule(name)

    def values(out: Any = None) -> Any:
        if parts:
            law = _complex.law(name, arguments, shape, parts)
            return _complex.values(law, shape, parts, None, seed, None)
        kind = dtypes.resolve(dtype)
        return _apply(rule, arguments, shape, kind, out, None, seed, None, None)

    if backend != "torch":
        return keras.ops.convert_to_tensor(values(), dtype)
    tensor = keras.ops.empty(shape, dtype)  # on the device that Keras has set
    if tensor.is_meta:
        return tensor
    if parts:
        return keras.ops.convert_to_tensor(values(), dtype)
    if tensor.is_cpu and _has_memory(tensor):
        values(tensor)
        return tensor
    raw = values().view(f"u{tensor.itemsize}")  # torch takes no bfloat16 from NumPy
    return torch.from_numpy(raw).view(tensor.dtype).to(tensor.device)


def _has_memory(tensor: Any) -> bool:
    """Whether torch lends the tensor's memory: not inside torch.func.grad, torch.export and others
    that wrap or fake every tensor.
    """
    if type(tensor) is not torch.Tensor:
        return False
    try:
        return not tensor.numel() or tensor.data_ptr() != 0
    except RuntimeError:
        return False


def _sharding(layout: Any) -> Any:
    """JAX's sharding for a Keras layout.  While Keras creates a variable, the layout's mesh is the
    current one.
    """
    if layout is None:
        return None
    from .jax import _arrays

    return _arrays.concrete_sharding(getattr(layout, "backend_layout", layout))


class _Drawn:
    """The first base of every class below: calling an object draws here instead of in Keras."""

    def _setting(self, shape: Sizes) -> Setting:
        raise NotImplementedError

    def _next_seed(self) -> Any:
        return 0

    # The result is a tensor of Keras' backend, which may have any of four types; so may a layout.
    def __call__(self, shape: Shape, dtype: Dtype | str | None = None, layout: Any = None) -> Any:
        sizes = _adapters.sizes(shape)
        name, arguments = self._setting(sizes)
        return _draw(name, arguments, sizes, dtype, self._next_seed(), layout)

    if keras.backend.backend() == "torch":
        # torch.compile cannot trace a draw: it ends a graph here and begins another after it.
        __call__ = torch.compiler.disable(__call__)


class _Random(_Drawn):
    """A drawn initializer with a seed."""

    _init_seed: Any

    @property
    def seed(self) -> Any:
        """As given: an int, a SeedGenerator or None.  (Keras replaces None by an int.)"""
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
    """All zeros.

    See Also
    --------
    keras.initializers.Zeros : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        return "zeros", {}


@_register
class Ones(_Drawn, _keras.Ones):
    """All ones.

    See Also
    --------
    keras.initializers.Ones : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        return "ones", {}


@_register
class Constant(_Drawn, _keras.Constant):
    """`value` everywhere.

    Parameters
    ----------
    value : number or array
        Keras broadcasts an array.

    See Also
    --------
    keras.initializers.Constant : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        return "constant", {"value": self.value}

    def __call__(self, shape: Shape, dtype: Dtype | str | None = None, layout: Any = None) -> Any:
        if type(self.value) in (int, float) and math.isfinite(self.value):
            stored = keras.backend.standardize_dtype(dtype)
            if "float" in stored or "complex" in stored:  # Keras truncates in integers
                return super().__call__(shape, dtype, layout)
        values = _keras.Constant.__call__(self, shape, dtype)
        return (
            values
            if layout is None
            else keras.distribution.distribute_tensor(values, _sharding(layout))
        )


@_register
class Identity(_Drawn, _keras.Identity):
    """`gain` on the diagonal of a matrix, which may be rectangular.

    Parameters
    ----------
    gain : float
        The factor of the matrix.

    See Also
    --------
    keras.initializers.Identity : Keras' own.
    """

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
    """N(mean, stddev**2).

    Parameters
    ----------
    mean : float
        The mean; in complex dtypes, of the real part.
    stddev : float
        The standard deviation; in complex dtypes E|w - mean|**2 = stddev**2.
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.

    See Also
    --------
    keras.initializers.RandomNormal : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        return "normal", {"mean": self.mean, "std": self.stddev}


@_register
class TruncatedNormal(_Random, _keras.TruncatedNormal):
    """N(mean, stddev**2) cut at two stddev from the mean; its std after that is 0.88 stddev.

    Parameters
    ----------
    mean : float
        The mean.
    stddev : float
        The standard deviation before truncation, which is not corrected.
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.

    See Also
    --------
    keras.initializers.TruncatedNormal : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        own = {"mean": self.mean, "std": self.stddev, "low": -2.0, "high": 2.0, "bounds": "sigma"}
        return "truncated_normal", own


@_register
class RandomUniform(_Random, _keras.RandomUniform):
    """U[minval, maxval).

    Parameters
    ----------
    minval, maxval : float
        The bounds.
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.

    See Also
    --------
    keras.initializers.RandomUniform : Keras' own.
    """

    def _setting(self, shape: Sizes) -> Setting:
        return "uniform", {"low": self.minval, "high": self.maxval}


@_register
class VarianceScaling(_Random, _keras.VarianceScaling):
    """Variance scale / n, n a fan of the shape.

    Parameters
    ----------
    scale : float
        The numerator of the variance, above 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What n is.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        "normal" is truncated too, as in Keras.
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.VarianceScaling : Keras' own.
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
        else:  # in Keras a vector of n values has the fans (n, n), and a scalar (1, 1)
            own |= {"mode": "fan_in", "in_axis": tuple(axes), "out_axis": ()}
        return "variance_scaling", own


@_register
class GlorotUniform(VarianceScaling, _keras.GlorotUniform):
    """U(-b, b), b = sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.GlorotUniform : Keras' own.
    """


@_register
class GlorotNormal(VarianceScaling, _keras.GlorotNormal):
    """Truncated normal of variance 2 / (fan_in + fan_out).

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.GlorotNormal : Keras' own.
    """


@_register
class LecunUniform(VarianceScaling, _keras.LecunUniform):
    """U(-b, b), b = sqrt(3 / fan_in).

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.LecunUniform : Keras' own.
    """


@_register
class LecunNormal(VarianceScaling, _keras.LecunNormal):
    """Truncated normal of variance 1 / fan_in.

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.LecunNormal : Keras' own.
    """


@_register
class HeUniform(VarianceScaling, _keras.HeUniform):
    """U(-b, b), b = sqrt(6 / fan_in).

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.HeUniform : Keras' own.
    """


@_register
class HeNormal(VarianceScaling, _keras.HeNormal):
    """Truncated normal of variance 2 / fan_in.

    Parameters
    ----------
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and outputs; unless both are given, kernels are ``(*kernel, in, out)``.

    See Also
    --------
    keras.initializers.HeNormal : Keras' own.
    """


@_register
class Orthogonal(_Random, _keras.Orthogonal):
    """`gain` times a uniformly distributed (semi-)orthogonal prod(shape[:-1]) × shape[-1] matrix.

    Parameters
    ----------
    gain : float
        The factor of the matrix.
    seed : int, keras.random.SeedGenerator or None
        An int gives the same values in every call, a generator advances with every call, and None
        draws a new seed in every call.

    See Also
    --------
    keras.initializers.Orthogonal : Keras' own.
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


# --------------------------------------------------------------------------------------------- laws

# Classes whose _setting() reads the attributes that Keras' own objects have too.
_OURS = (
    *(Zeros, Ones, Constant, Identity, RandomNormal, TruncatedNormal, RandomUniform),
    *(VarianceScaling, GlorotUniform, GlorotNormal, LecunUniform, LecunNormal, HeUniform),
    *(HeNormal, Orthogonal),
)
_SETTINGS: dict[type, type[_Drawn]] = {
    kind: one for one in _OURS for kind in (one, getattr(_keras, one.__name__))
}


def laws(model: keras.Model | Callable[[], keras.Model]) -> list[Law]:
    """One line for each group of weights: how their initial values are distributed.

    Parameters
    ----------
    model : keras.Model or callable
        A model that keras.models.clone_model can build again, or a function that builds and returns
        one. The model is built once more, because a finished layer does not say how each of its
        weights was initialized.

    Returns
    -------
    list of Law
        Sorted by the weights' paths. A weight whose initializer is neither Keras' nor fastinit's
        has the law "unknown", with the initializer's name.

    See Also
    --------
    fastinit.inspection.laws_toml : Writes them as a file.
    fastinit.torch.laws : For torch's modules.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, name="one")], name="m")
    >>> for law in laws(model):
    ...     print(law.name, law.shape, law.numbers())
    m/one/bias (4,) constant 0
    m/one/kernel (8, 4) uniform, mean 0, std 0.4082483, low -0.7071068, high 0.7071068
    """
    with _watched() as seen:
        made = keras.models.clone_model(model) if isinstance(model, keras.Model) else model()
    found = []
    for weight in made.weights:
        shape = tuple(weight.shape)
        found.append(_law(weight.path, shape, seen.get(id(weight), (None, None))[1]))
    return _laws.fold(found)


@contextlib.contextmanager
def _watched() -> Iterator[dict[int, Any]]:
    """Record, inside the block, the initializer of every weight that a layer adds, by its id."""
    seen: dict[int, Any] = {}
    own = keras.layers.Layer.add_weight

    def add_weight(self: Any, *args: Any, **options: Any) -> Any:
        initializer = options.get("initializer", args[1] if len(args) > 1 else None)
        weight = own(self, *args, **options)
        if initializer is None:
            floating = "float" in weight.dtype
            initializer = "glorot_uniform" if floating else "zeros"  # Keras' documented defaults
        # The weight is kept so that no other object gets its id.
        seen[id(weight)] = weight, _keras.get(initializer)
        return weight

    keras.layers.Layer.add_weight = add_weight
    try:
        yield seen
    finally:
        keras.layers.Layer.add_weight = own


def _law(name: str, shape: Sizes, initializer: Any) -> Law:
    kind = _SETTINGS.get(type(initializer))
    if kind is None:
        named = getattr(initializer, "__name__", type(initializer).__name__)
        why = "made without add_weight" if initializer is None else f"initialized by {named}"
        return _laws.unknown(name, shape, why)
    try:
        initializer_name, arguments = kind._setting(initializer, shape)
        return _laws.law(name, shape, initializer_name, arguments)
    except (ValueError, TypeError) as error:
        return _laws.unknown(name, shape, f"{type(initializer).__name__}: {error}")
