"""torch.distributed.checkpoint reads a folder that fastinit wrote into models cut by FSDP2 and
tensor parallelism, on 1, 2 and 4 processes: in the place of a seed checkpoint.
"""

import hashlib
import json
import re
from pathlib import Path

import pytest
import safetensors.numpy
import torch
from child_processes import torchrun

from fastinit import checkpoint

if not torch.distributed.is_available():
    pytest.skip("torch has no distributed package here", allow_module_level=True)

HERE = Path(__file__)
SPEC = {
    "repeat": {"layer": 2},
    "tensors": {
        "embedding.weight": [7, 12],
        "layers.{layer}.up.weight": [20, 12],
        "layers.{layer}.up.bias": [20],
        "layers.{layer}.down.weight": [12, 20],
        "layers.{layer}.down.bias": [12],
        "layers.{layer}.norm.weight": [12],
        "layers.{layer}.norm.bias": [12],
        "head.weight": [7, 12],
    },
    "rules": [
        {"match": "*norm.weight", "initializer": "ones"},
        {"match": "*.bias", "initializer": "zeros"},
        {"match": "*", "initializer": "normal", "std": 0.02},
    ],
}


@pytest.mark.parametrize(
    "processes",
    [pytest.param(n, marks=pytest.mark.xdist_group(f"torch_{n}_ranks")) for n in (1, 2, 4)],
)
def test_cut_models_get_the_bits_of_the_whole(tmp_path, processes):
    folder = tmp_path / "model"
    report = checkpoint.materialize(SPEC, f"{folder}/", seed=3, shard_size=2000)
    assert len(report.written) > 3
    results = tmp_path / "results.json"
    done = torchrun(processes, HERE.with_name("torch_checkpoint_ranks.py"), folder, results)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert json.loads(results.read_text()) == []


def test_the_example_of_a_seed_checkpoint_gives_every_rank_the_weights_of_its_folder(tmp_path):
    script = HERE.parents[2] / "benchmarks" / "seed_checkpoint.py"
    folder = tmp_path / "seed"
    done = torchrun(2, script, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.findall(r"rank \d wrote (\d+) files; all weights: (\w{16})", done.stdout)
    assert len(found) == 2 and all(int(count) for count, _ in found)
    weights = {}
    for path in folder.glob("*.safetensors"):
        weights |= safetensors.numpy.load_file(path)
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + weights[name].tobytes())
    assert {one for _, one in found} == {digest.hexdigest()[:16]}
    assert checkpoint.verify(folder, seed=0)
