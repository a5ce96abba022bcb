"""A check of torch_ranks.py: torch.distributed.checkpoint reads a folder that fastinit wrote, in
the place of a seed checkpoint, into a model that FSDP2 and tensor parallelism have cut.
"""

import tempfile

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
from fastinit import checkpoint

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
# The rules of the specification.
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


def check_torchs_reader_gives_cut_models_the_bits_of_the_whole():
    with torch.device("meta"):
        whole = Model()
    fit.materialize_(whole, RECIPE, seed=3)
    expected = whole.state_dict()
    with tempfile.TemporaryDirectory() as own:
        shared = [own]
        dist.broadcast_object_list(shared)
        folder = f"{shared[0]}/model/"  # of rank 0
        if dist.get_rank() == 0:
            assert len(checkpoint.materialize(SPEC, folder, seed=3, shard_size=2000).written) > 3
        dist.barrier()
        read = {cut.__name__: read_into(folder, cut) for cut in (fsdp, tensor_parallel, both)}
        dist.barrier()
    for cut, (found, count) in read.items():
        assert count >= 8, f"{cut}: only {count} tensors are cut"
        assert found.keys() == expected.keys(), cut
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), (cut, name)
