"""Calls as users write them, read by mypy and by pyright and never run: see test_public_types.py.

A line that ends in "# error" must be an error for both; every other line for neither.
"""

import array
from typing import Any, assert_type

import ml_dtypes
import numpy as np

import fastinit as fi
from fastinit import checkpoint, diagnostics, inspection
from fastinit.typing import Array, Dtype, Layout, Seed

buffer = bytearray(64)
weights: np.ndarray[tuple[int, int], np.dtype[np.float32]] = np.empty((4, 4), np.float32)

# -------------------------------------------------------- the result is out's own type, or an array
assert_type(fi.he_normal((4, 4), seed=0, name="w"), Array)
assert_type(fi.he_normal((4, 4), out=None), Array)
assert_type(fi.zeros(16, dtype="float32", out=buffer), bytearray)
assert_type(fi.he_normal(out=weights), np.ndarray[tuple[int, int], np.dtype[np.float32]])
assert_type(fi.normal(out=array.array("f", [0.0])), "array.array[float]")
assert_type(fi.orthogonal((8, 4), groups=2, out=memoryview(buffer)), "memoryview[int]")
assert_type(fi.siren((3, 3), out=np.memmap("file", np.float32)).shape, Any)
assert_type(fi.sparse((3, 3), sparsity=0.5), Array)
assert_type(fi.sparse((3, 3), sparsity=0.5, format="csr"), Any)
assert_type(fi.pretrained("model.safetensors", "w", out=buffer), bytearray)
wrong_result: int = fi.he_normal((4, 4))  # error
fi.zeros(16, out=[0.0] * 16)  # error
fi.zeros(16, out="text")  # error
fi.sparse((3, 3), sparsity=0.5, format="csr", out=weights)  # error
fi.sparse((3, 3), sparsity=0.5, format="dense")  # error

# ---------------------------------------------------------------------------------- shapes, regions
fi.uniform(3)
fi.uniform([3, 4])
fi.uniform(np.int64(3))
fi.uniform(weights.shape, region=np.s_[1:2, :])
fi.uniform((3, 4), region=(0, slice(None)))
fi.uniform((3, 4), region=...)
fi.uniform("34")  # error
fi.uniform((3.0, 4))  # error
fi.uniform((3, 4), region="all")  # error
fi.uniform((3, 4), region=0.5)  # error

# ----------------------------------------------------------------------------- seeds, names, dtypes
seed: Seed = np.uint64(3)
dtype: Dtype = "bfloat16"
layout: Layout = "io"
fi.normal(3, seed=seed, name=7, dtype=dtype)
fi.normal(3, dtype=np.float16)
fi.normal(3, dtype=np.dtype("f8"))
fi.normal(3, dtype=weights.dtype)
fi.normal(3, dtype=ml_dtypes.bfloat16)
fi.normal(3, seed=0.5)  # error
fi.normal(3, seed="0")  # error
fi.normal(3, name=1.5)  # error
fi.normal(3, dtype="flot32")  # error
fi.normal(3, dtype=complex)  # error
fi.normal(3, threads="all")  # error

# ----------------------------------------------------------------------------- their own parameters
fi.he_normal((3, 4), negative_slope=np.float32(0.2), gain=fi.gpt2_scale(12), mode="fan_out")
fi.he_normal((3, 4), layout="OI", in_axis=1, out_axis=[0], batch_axis=())
fi.variance_scaling((3, 4), scale=2, distribution="truncated_normal")
fi.truncated_normal(3, std=0.02, low=-2, high=2, bounds="absolute")
fi.dirac((3, 4, 5), layout=layout, groups=np.int32(1))
fi.constant(3, value=True, dtype="bool")
fi.pretrained("model.npz", "w", shape=(3, 4), rest=fi.he_normal, rest_arguments={"mode": "fan_out"})
fi.he_normal((3, 4), mode="fan")  # error
fi.he_normal((3, 4), gain="relu")  # error
fi.he_normal((3, 4), negativ_slope=0.2)  # error
fi.he_normal((3, 4), 0.2)  # error
fi.variance_scaling((3, 4), distribution="gauss")  # error
fi.truncated_normal(3, bounds="relative")  # error
fi.dirac((3, 4, 5), layout="OIW")  # error
fi.dirac((3, 4, 5), groups=1.0)  # error
fi.bilinear((3, 3, 4), channels="some")  # error
fi.sparse((3, 3), sparsity=0.5, per="diagonal")  # error
fi.alexnet_bias(3, layer="conv9")  # error
fi.small_init((3, 4))  # error
fi.pretrained(3, "w")  # error

# --------------------------------------------------------------------------------------- the others
assert_type(fi.gpt2_scale(12), float)
assert_type(fi.deepnet_scale(encoder_layers=6).beta, float)
assert_type(fi.mimetic(8, rank=2), tuple[Array, Array])
assert_type(fi.fans((3, 4)), fi.Fans)
assert_type(fi.new_seed(), int)
fi.deepnet_scale(encoder_layers=6, decoder_layers=6, part="middle")  # error
fi.tfixup_scale("head", 6)  # error
fi.mup_scale((8, 8), (4, 4), base="orthogonal")  # error
network = [fi.Layer(weights, activation=np.tanh, name="fc")]
report = fi.lsuv(network, [[0.0, 1.0, 2.0, 3.0]], seed=0)
assert_type(report.layers[0].std, float)
fi.lsuv(weights, [[0.0]])  # error
fi.match_moments(network, [[0.0]], mean="zero")  # error

# ------------------------------------------------------------- checkpoints, inspection, diagnostics
SPEC = {"tensors": {"w": {"shape": [4, 4], "initializer": "he_normal"}}}
spec = checkpoint.load(SPEC, dtype="bfloat16")
assert_type(spec, checkpoint.Spec)
assert_type(checkpoint.plan("gpt2", seed=0, shard_size=1 << 30), checkpoint.Plan)
assert_type(checkpoint.materialize(spec, "w.safetensors", seed=0), checkpoint.Report)
assert_type(checkpoint.dummy("gpt2", dtype=np.float16), checkpoint.Spec)
assert_type(bool(checkpoint.verify("w.safetensors", SPEC, seed=0, sample=0.1)), bool)
assert_type(checkpoint.describe(spec), str)
checkpoint.load(3)  # error
checkpoint.materialize("gpt2")  # error
checkpoint.materialize("gpt2", "out/", resume="yes")  # error
checkpoint.dummy("gpt2", dtype="flot32")  # error
checkpoint.verify("w.safetensors", sample="all")  # error
rows = inspection.inspect_file("w.safetensors", threads=2)
assert_type(rows, list[inspection.Inspected])
assert_type(inspection.laws("gpt2"), list[inspection.Law])
assert_type(inspection.laws_toml(inspection.laws(SPEC)), str)
assert_type(inspection.audit("w.safetensors", spec).rows[0].verdict, str)
assert_type(inspection.audit("w.safetensors", inspection.laws(SPEC), seed=0), inspection.Audit)
assert_type(inspection.drift("w.safetensors", "gpt2")[0].name, str)
inspection.difference(inspection.compare_laws("gpt2", spec))
inspection.laws(3)  # error
inspection.laws_toml("gpt2")  # error
inspection.audit(3)  # error
inspection.audit("w.safetensors", against=0.5)  # error
inspection.drift("w.safetensors", seed="0")  # error
inspection.compare_laws("gpt2")  # error
inspection.inspect_file("w.safetensors", progress=True)  # error
comparison = diagnostics.compare(["he_normal", fi.xavier_normal], "relu", depth=np.int64(3))
assert_type(comparison, diagnostics.Comparison)
assert_type(diagnostics.train("he_normal", weights, [0, 1], steps=3), list[dict[str, Any]])
diagnostics.compare("he_normal", stack=3)  # error
diagnostics.compare("he_normal", depth=2.5)  # error
diagnostics.train("he_normal")  # error
