"""An example for torchrun: equal weights on any number of processes.

    torchrun --nproc-per-node 4 benchmarks/sharded_torch.py
    torchrun --nproc-per-node 1 benchmarks/sharded_torch.py      # prints the same digest

A transformer is built on the meta device and sharded by FSDP2 over all processes; every process
draws only its own shard, and then the model trains for a step.  On GPUs the same lines work with
the nccl backend.
"""

import hashlib

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import fastinit.torch

RECIPE = {
    "embedding.weight": ("normal", {"std": 0.02}),
    "*.self_attn.in_proj_weight": ("xavier_uniform", {"groups": 3}),
    "*.linear1.weight": "orthogonal",
}


class Model(nn.Module):
    def __init__(self, vocabulary=1000, width=129, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        layer = [
            nn.TransformerEncoderLayer(width, 3, 4 * width, batch_first=True) for _ in range(layers)
        ]
        self.layers = nn.ModuleList(layer)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def main():
    dist.init_process_group("gloo")
    with torch.device("meta"):
        model = Model()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    report = fastinit.torch.materialize_(model, RECIPE, seed=0)

    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(name.encode() + parameter.full_tensor().detach().numpy().tobytes())
    tokens = torch.arange(64).view(4, 16)
    model(tokens).logsumexp(-1).mean().backward()
    print(
        f"rank {dist.get_rank()} drew {report.values} values; all weights: "
        f"{digest.hexdigest()[:16]}"
    )
    dist.barrier()  # under load, a rank that ends while another still talks to it aborts that one
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
