"""benchmarks/seed_checkpoint.py, an example under torchrun: torch.distributed.checkpoint reads what
fastinit wrote.  Into models cut in other ways and by 1 to 4 processes: torch_checkpoint_ranks.py.
"""

import hashlib
import re
from pathlib import Path

import pytest
import safetensors.numpy
import torch
from child_processes import torchrun

from fastinit import checkpoint

if not torch.distributed.is_available():
    pytest.skip("torch has no distributed package here", allow_module_level=True)

EXAMPLE = Path(__file__).parents[2] / "benchmarks" / "seed_checkpoint.py"


def test_the_example_of_a_seed_checkpoint_gives_every_rank_the_weights_of_its_folder(tmp_path):
    folder = tmp_path / "seed"
    done = torchrun(2, EXAMPLE, folder)
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
