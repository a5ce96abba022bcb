"""An example for torchrun: all ranks together make a seed checkpoint, and
torch.distributed.checkpoint reads it.

    torchrun --nproc-per-node 4 benchmarks/seed_checkpoint.py DIR
    torchrun --nproc-per-node 1 benchmarks/seed_checkpoint.py OTHER_DIR   # prints the same digest

torchtitan makes its seed checkpoint in a separate run, on one device that holds the whole model.
Here each rank draws its share of the files, whatever the model's size, and DIR is a Hugging Face
folder that any number of ranks can read and `fastinit verify DIR` can check.  For torchtitan,
write DIR by `torchrun --nproc-per-node 4 -m fastinit materialize config.json -o DIR --seed 0`, and
start the training with --checkpoint.initial_load_in_hf --checkpoint.initial_load_path DIR.  Tried
on the CPU with torchtitan 0.3.0, without its trainer: its Llama3StateDictAdapter and storage reader
read such a folder of eight files into its debug model, and all 57 tensors had the drawn bits.
"""

import hashlib
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint import HuggingFaceStorageReader
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from fastinit import checkpoint

WIDTH, VOCABULARY, LAYERS = 129, 1000, 2
SPEC = {
    "repeat": {"layer": LAYERS},
    "tensors": {
        "embedding.weight": [VOCABULARY, WIDTH],
        "layers.{layer}.up.weight": [4 * WIDTH, WIDTH],
        "layers.{layer}.down.weight": [WIDTH, 4 * WIDTH],
        "layers.{layer}.norm.weight": {"shape": [WIDTH], "initializer": "ones"},
        "head.weight": [VOCABULARY, WIDTH],
    },
    "rules": [
        {"match": "*.down.weight", "initializer": "normal", "std": "0.02 / sqrt(4)"},
        {"match": "*", "initializer": "normal", "std": 0.02},
    ],
}


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.norm = nn.RMSNorm(WIDTH)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def main(folder):
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    # Each rank writes its own files; the rank that finds all of them written writes the index.
    report = checkpoint.materialize(
        SPEC, f"{folder}/", seed=0, shard_size=1_000_000, rank=rank, world_size=world_size
    )
    dist.barrier()

    with torch.device("meta"):
        model = Model()
    mesh = init_device_mesh("cpu", (world_size,))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    state = model.state_dict()
    dcp.load(state, storage_reader=HuggingFaceStorageReader(folder))
    model.load_state_dict(state)

    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode() + parameter.full_tensor().detach().numpy().tobytes())
    tokens = torch.arange(64).view(4, 16)
    model(tokens).logsumexp(-1).mean().backward()
    written = [name for name in report.written if name.endswith(".safetensors")]
    print(f"rank {rank} wrote {len(written)} files; all weights: {digest.hexdigest()[:16]}")
    dist.barrier()  # under load, a rank that ends while another still talks to it aborts that one
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
