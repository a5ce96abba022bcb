"""The README's matrix of features: each cell is found by running the library, or cites its source.

    python -P benchmarks/features.py
        prints the table; needs torch, jax and keras

tests/project/test_readme.py compares the README with it.  Here a small program finds out whether a
cell is "yes" or "no"; what no program can show has its source in brackets.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

COLUMNS = ("fastinit", "torch", "JAX", "Keras", "NumPy")
SOURCES = (
    "https://docs.pytorch.org/docs/stable/notes/randomness.html",
    "https://github.com/jax-ml/jax/discussions/18480",
    "https://numpy.org/neps/nep-0019-rng-policy.html",
    "https://github.com/pytorch/pytorch/issues/168058",
    "https://github.com/pytorch/pytorch/pull/189546",
)
LESS_COMMON = ("orthogonal", "sparse", "trunc_normal")


def yes(works: Callable[[], bool]) -> str:
    """Whether the small program returns True; an exception of the library is a "no"."""
    try:
        return "yes" if works() else "no"
    except (AttributeError, NotImplementedError, TypeError, ValueError, RuntimeError):
        return "no"


def rows() -> list[tuple[str, ...]]:
    import jax
    import keras
    import ml_dtypes
    import numpy as np
    import torch

    import fastinit as fi

    key = jax.random.key(0)
    shape = (64, 32)
    whole = fi.he_normal(shape, seed=0, name="w")

    def fi_named() -> bool:
        return bool((fi.he_normal(shape, seed=0, name="w") == whole).all())

    def fi_part() -> bool:
        part = fi.he_normal(shape, seed=0, name="w", region=(slice(8, 16), ...))
        return bool((part == whole[8:16]).all())

    def jax_named() -> bool:
        first = jax.nn.initializers.he_normal()(jax.random.fold_in(key, 1), shape)
        again = jax.nn.initializers.he_normal()(jax.random.fold_in(key, 1), shape)
        return bool((first == again).all())

    def keras_named() -> bool:
        draw = keras.initializers.HeNormal(seed=1)
        return bool((np.asarray(draw(shape)) == np.asarray(draw(shape))).all())

    def numpy_named() -> bool:
        first, again = (np.random.default_rng([0, 1]).standard_normal(8) for _ in range(2))
        return bool((first == again).all())

    def torch_named() -> bool:
        def draw() -> torch.Tensor:
            generator = torch.Generator().manual_seed(1)
            return torch.nn.init.kaiming_normal_(torch.empty(shape), generator=generator)

        return bool((draw() == draw()).all())

    def jax_part() -> bool:
        """Whether XLA's partitioned program draws a shard as the whole has it, on eight devices."""
        mesh = jax.sharding.Mesh(jax.devices(), "x")
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
        draw = jax.jit(lambda key: jax.random.normal(key, shape), out_shardings=sharding)
        return len(jax.devices()) == 8 and bool((draw(key) == jax.random.normal(key, shape)).all())

    def keras_part() -> str:
        """The same in Keras, for a variable so large that Keras draws it in shards.  XLA rounds
        otherwise in the compiled draw than in the whole one, which is not compiled.
        """
        mesh = keras.distribution.DeviceMesh((8,), ["x"], keras.distribution.list_devices())
        layout = keras.distribution.TensorLayout(("x", None), mesh)
        draw = keras.initializers.RandomNormal(seed=1)
        sharded = np.asarray(keras.Variable(draw, shape=(4096, 2048), layout=layout).value)
        whole = np.asarray(draw((4096, 2048)))
        if (sharded == whole).all():
            return "yes"
        return "but for the last bit" if np.allclose(sharded, whole, 1e-6, 1e-8) else "no"

    def numpy_part(kind: str) -> bool:
        """Whether a generator that starts in the middle goes on as the whole does."""

        def draw(skipped: int, count: int) -> np.ndarray:
            bits = np.random.PCG64(1).advance(skipped)
            return getattr(np.random.Generator(bits), kind)(count)

        return bool((draw(1024, 1024) == draw(0, 2048)[1024:]).all())

    def torch_part() -> bool:
        """torch's only counter-based draws, private and experimental; in 2.13 on CUDA alone."""
        stateless = importlib.import_module("torch.func._random")
        whole_key, part_key = stateless.key(1), stateless.key(1)
        part_key[1] = 256
        part = stateless.normal(part_key, 1024)
        return bool((part == stateless.normal(whole_key, 2048)[1024:]).all())

    def torch_bf16() -> bool:
        """Whether bfloat16 normals are the float32 ones rounded, tails included."""
        wide, narrow = torch.empty(1000), torch.empty(1000, dtype=torch.bfloat16)
        wide.normal_(generator=torch.Generator().manual_seed(0))
        narrow.normal_(generator=torch.Generator().manual_seed(0))
        return bool((wide.bfloat16() == narrow).all())

    def jax_bf16() -> bool:
        wide = jax.random.normal(key, (1000,), "float32")
        return bool((wide.astype("bfloat16") == jax.random.normal(key, (1000,), "bfloat16")).all())

    def keras_bf16() -> bool:
        draw = keras.initializers.RandomNormal(seed=1)
        wide, narrow = np.asarray(draw((1000,))), np.asarray(draw((1000,), dtype="bfloat16"))
        return bool((wide.astype(ml_dtypes.bfloat16) == narrow).all())

    def fi_bf16() -> bool:
        wide = fi.normal((1000,), seed=0)
        narrow = fi.normal((1000,), seed=0, dtype="bfloat16")
        return bool((wide.astype(ml_dtypes.bfloat16) == narrow).all())

    def torch_float8() -> bool:
        torch.empty(8, dtype=torch.float8_e4m3fn).normal_()
        return True

    def jax_float8() -> bool:
        jax.nn.initializers.normal()(key, (8,), "float8_e4m3fn")
        return True

    def keras_float8() -> bool:
        keras.initializers.RandomNormal()((8,), dtype="float8_e4m3fn")
        return True

    return [
        (
            "the numbers are a function of seed and name, not of the calls before",
            yes(fi_named),
            yes(torch_named) + " (a generator each)",
            yes(jax_named) + " (keys)",
            yes(keras_named) + " (a seed each)",
            yes(numpy_named) + " (a generator each)",
        ),
        (
            "a part of a tensor drawn alone equals the whole",
            yes(fi_part),
            yes(torch_part) + " [4], under way [5]",
            yes(jax_part) + " (in a sharded array)",
            keras_part() + " (on JAX, sharded)",
            f"normals {yes(lambda: numpy_part('standard_normal'))}, uniforms "
            f"{yes(lambda: numpy_part('random'))} (`advance`)",
        ),
        (
            "the numbers are promised for future versions",
            yes(lambda: fi.STREAM_VERSION == 1),
            "no [1]",
            "no [2]",
            "no promise found",
            "`RandomState` alone [3]",
        ),
        (
            "bfloat16 normals are float32 normals rounded, tails included",
            yes(fi_bf16),
            yes(torch_bf16),
            yes(jax_bf16),
            yes(keras_bf16),
            "no bfloat16",
        ),
        (
            "float8 normals",
            yes(lambda: fi.normal((8,), dtype="float8_e4m3fn", seed=0).shape == (8,)),
            yes(torch_float8),
            yes(jax_float8),
            yes(keras_float8),
            "no float8",
        ),
        (
            "fills memory that exists",
            yes(lambda: bool(fi.normal(out=np.empty(8), seed=0).any())),
            yes(lambda: bool(torch.empty(8).normal_().any())),
            "no (arrays are immutable)",
            "no",
            yes(lambda: bool(np.random.default_rng(0).standard_normal(out=np.empty(8)).any())),
        ),
        (
            "orthogonal, sparse and truncated initializers",
            yes(lambda: all(map(callable, (fi.orthogonal, fi.sparse, fi.truncated_normal)))),
            yes(lambda: all(hasattr(torch.nn.init, f"{name}_") for name in LESS_COMMON)),
            "no sparse" if not hasattr(jax.nn.initializers, "sparse") else "yes",
            "no sparse" if not hasattr(keras.initializers, "Sparse") else "yes",
            yes(lambda: hasattr(np.random, "orthogonal")),
        ),
    ]


def table() -> list[str]:
    """Lines of Markdown."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows()]
    for number, source in enumerate(SOURCES, 1):
        lines = [line.replace(f"[{number}]", f"[[{number}]]({source})") for line in lines]
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
