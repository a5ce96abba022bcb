"""What test_torch_checkpoint.py runs on every rank: a folder that fastinit wrote is read by
torch.distributed.checkpoint into a model that FSDP2 and tensor parallelism have cut.

torchrun --nproc-per-node 4 tests/adapters/torch_checkpoint_ranks.py FOLDER results.json
"""

import json
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint import HuggingFaceStorageReader
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import fastinit.torch as fit

# By name the same as test_torch_checkpoint.py's rules.
RECIPE = {"*norm.weight": "ones", "*.bias": "zeros", "*": ("normal", {"std": 0.02})}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down, self.norm = nn.Linear(12, 20), nn.Linear(20, 12), nn.LayerNorm(12)


class Model(nn.Module):
    """Sizes that 4 ranks do not divide, so that shards are uneven and some are empty."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 12)
        self.layers = nn.ModuleList(Block() for _ in range(2))
        self.head = nn.Linear(12, 7, bias=False)


def fsdp(model):
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def tensor_parallel(model, mesh=None):
    mesh = mesh or init_device_mesh("cpu", (dist.get_world_size(),))
    for layer in model.layers:
        parallelize_module(layer, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})


def both(model):
    size = dist.get_world_size()
    shape = (2, 2) if size == 4 else (size, 1)
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=("data", "tensor"))
    tensor_parallel(model, mesh["tensor"])
    for layer in model.layers:
        fully_shard(layer, mesh=mesh["data"])
    fully_shard(model, mesh=mesh["data"])


def read_into(folder, cut):
    """The state of a cut model after the read, each tensor gathered; and how many were cut."""
    with torch.device("meta"):
        model = Model()
    cut(model)
    model.to_empty(device="cpu")
    state = model.state_dict()
    for tensor in state.values():
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        local.fill_(77)
    dcp.load(state, storage_reader=HuggingFaceStorageReader(folder))
    model.load_state_dict(state)
    state = model.state_dict()
    count = sum(isinstance(tensor, DTensor) for tensor in state.values())
    return {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in state.items()
    }, count


def main(folder, results):
    dist.init_process_group("gloo")
    with torch.device("meta"):
        whole = Model()
    fit.materialize_(whole, RECIPE, seed=3)
    expected = whole.state_dict()
    wrong = []
    for cut in (fsdp, tensor_parallel, both):
        found, count = read_into(folder, cut)
        if count < 8:
            wrong.append(f"{cut.__name__}: only {count} tensors are cut")
        if found.keys() != expected.keys():
            wrong.append(f"{cut.__name__}: other names")
        for name, tensor in expected.items():
            if not torch.equal(found[name], tensor):
                wrong.append(f"{cut.__name__}, rank {dist.get_rank()}: {name}")
    gathered = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, wrong)
    if dist.get_rank() == 0:
        with open(results, "w", encoding="utf-8") as file:
            json.dump(sum(gathered, []), file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
