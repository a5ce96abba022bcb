"""Files of weights made from arrays, and the numbers of a small transformer."""

import json

import numpy as np

import fastinit as fi
from fastinit import checkpoint
from fastinit._core import dtypes, safetensors

LAYERS = 2
WIDTH = 64
MODEL = {
    "repeat": {"layer": LAYERS},
    "tensors": {
        "embed.weight": {"shape": [96, WIDTH], "initializer": "normal", "std": 1.0},
        "layers.{layer}.q.weight": [WIDTH, WIDTH],
        "layers.{layer}.k.weight": [WIDTH, WIDTH],
        "layers.{layer}.up.weight": [128, WIDTH],
        "layers.{layer}.down.weight": {
            "shape": [WIDTH, 128],
            "initializer": "normal",
            "std": 0.02 / (2 * LAYERS) ** 0.5,
        },
        # a norm that multiplies by (1 + w)
        "layers.{layer}.norm.weight": {"shape": [WIDTH], "initializer": "zeros"},
        "layers.{layer}.experts.gate_up": [4, WIDTH, 2 * WIDTH],
        "layers.{layer}.gate.weight": {
            "shape": [WIDTH, WIDTH],
            "initializer": "truncated_normal",
            "std": 0.02,
        },
        "head.weight": {"shape": [96, WIDTH], "initializer": "normal", "std": 0.05},
    },
    "rules": [{"match": "*", "initializer": "normal", "std": 0.02}],
}


def write(path, tensors, metadata=None):
    """A safetensors file of arrays by their names."""
    kinds = {name: dtypes.resolve(array.dtype) for name, array in tensors.items()}
    layout = safetensors.layout(
        [(name, kinds[name], array.shape) for name, array in tensors.items()], metadata
    )
    body = b"".join(np.ascontiguousarray(tensors[one.name]).tobytes() for one in layout.tensors)
    path.write_bytes(layout.header + body)
    return path


def drawn(seed=0, dtype="float32"):
    """The arrays of MODEL."""
    arrays = {}
    for entry in checkpoint.load(MODEL).entries:
        function = fi._table.INITIALIZERS[entry.initializer]
        arrays[entry.name] = function(
            entry.shape, **entry.arguments, seed=seed, name=entry.name, dtype=dtype
        )
    return arrays


def header(tensors):
    """The leading bytes of a file of (name, dtype code, shape, begin, end)."""
    content = {
        name: {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
        for name, code, shape, begin, end in tensors
    }
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text
