"""Specs that several tests materialize, and what a folder holds afterwards."""

SPEC = """
[tensors]
"layer.weight" = [6, 4]
"layer.bias" = [6]
"identity" = { shape = [4, 4], initializer = "eye", dtype = "bfloat16" }
"bounded" = { shape = [4], initializer = "uniform", low = -0.5 }
"cut" = { shape = [4], initializer = "truncated_normal", std = 0.5, mean = 1 }
[[rules]]
match = "*.bias"
initializer = "zeros"
[[rules]]
match = "*"
initializer = "he_normal"
"""

# One file of 3 MB, for faults that need time or room.
LARGE = {
    "tensors": {"a": [1 << 10, 700], "b": [77]},
    "rules": [{"match": "*", "initializer": "uniform"}],
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
