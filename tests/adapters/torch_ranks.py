"""What test_torch_distributed.py runs on every rank: each check returns or raises; rank 0 writes
the results as JSON.

    python tests/adapters/torch_ranks.py FOLDER 1 2 3 4
        runs every check on 1 to 4 processes and writes FOLDER/1.json to FOLDER/4.json

The ranks are forks of one process, since importing torch takes longer than the checks do.
"""

import json
import os
import signal
import sys
import traceback
import warnings

import torch
import torch.distributed as dist
import torch_checkpoint_ranks
from child_processes import free_address
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.distributed.tensor.placement_types import Partial, _StridedShard

import fastinit as fi
import fastinit.torch as fit

SHAPES = [(8, 12), (7, 5), (2, 9), (6, 4, 3)]


def meshes():
    """(mesh, placements) of this world: one and two dimensions."""
    size = dist.get_world_size()
    line = init_device_mesh("cpu", (size,))
    for placement in (Shard(0), Shard(1), Replicate(), _StridedShard(0, split_factor=3)):
        yield line, [placement]
    planes = [(1, size), (size, 1)] + ([(2, 2)] if size == 4 else [])
    for shape in planes:
        mesh = init_device_mesh("cpu", shape)
        for first in (Shard(0), Shard(1), Replicate(), _StridedShard(0, split_factor=shape[1])):
            for second in (Shard(0), Shard(1), Replicate()):
                yield mesh, [first, second]


def empty(mesh, placements, shape, dtype=torch.float32):
    """A DTensor of that layout with memory of its own."""
    spread = distribute_tensor(
        torch.zeros(shape, dtype=dtype), mesh, placements, src_data_rank=None
    )
    local = torch.full_like(spread.to_local(), 77)
    return DTensor.from_local(
        local,
        mesh,
        placements,
        run_check=False,
        shape=torch.Size(shape),
        stride=torch.empty(shape).stride(),
    )


def check_drop_in_fills_shards_with_the_values_of_the_whole():
    fills = {
        "uniform_": ({}, fi.uniform),
        "normal_": ({}, fi.normal),
        "trunc_normal_": ({}, lambda *a, **k: fi.truncated_normal(*a, bounds="absolute", **k)),
        "kaiming_uniform_": ({}, fi.he_uniform),
        "xavier_normal_": ({}, fi.xavier_normal),
        "orthogonal_": ({}, fi.orthogonal),
        "sparse_": ({"sparsity": 0.4}, fi.sparse),
        "eye_": ({}, fi.eye),
        "dirac_": ({}, fi.dirac),
    }
    for mesh, placements in meshes():
        for shape in SHAPES:
            for name, (arguments, same) in fills.items():
                if (name == "dirac_") is not (len(shape) == 3) or (
                    len(shape) == 3 and name in ("sparse_", "eye_")
                ):
                    continue
                torch.manual_seed(5)
                seed = torch.empty((), dtype=torch.int64).random_().item()
                whole = torch.from_numpy(same(shape, seed=seed, **arguments))
                tensor = empty(mesh, placements, shape)
                torch.manual_seed(5)
                with CommDebugMode() as communication:
                    assert getattr(fit, name)(tensor, **arguments) is tensor
                assert communication.get_total_counts() == 0
                expected = distribute_tensor(whole, mesh, placements, src_data_rank=None)
                assert torch.equal(tensor.to_local(), expected.to_local()), (
                    name,
                    shape,
                    mesh.shape,
                    placements,
                )


def check_every_rank_takes_one_number_even_for_an_empty_shard():
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    torch.manual_seed(1)
    fit.normal_(empty(mesh, [Shard(0)], (1, 3)))
    after = torch.get_rng_state()
    torch.manual_seed(1)
    torch.empty((), dtype=torch.int64).random_()
    assert torch.equal(after, torch.get_rng_state())


def check_narrow_dtypes_and_strided_locals():
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        tensor = empty(mesh, [Shard(1)], (6, 9), dtype)
        torch.manual_seed(2)
        fit.normal_(tensor)
        torch.manual_seed(2)
        whole = fit.normal_(torch.empty(6, 9, dtype=dtype))
        assert torch.equal(
            tensor.to_local(),
            distribute_tensor(whole, mesh, [Shard(1)], src_data_rank=None).to_local(),
        )


def check_partial_placements_are_refused():
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    tensor = DTensor.from_local(torch.zeros(3), mesh, [Partial()], run_check=False)
    raises(ValueError, "holds no values of its own", lambda: fit.normal_(tensor))


def check_accelerate_fills_shards():
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    with fit.accelerate(seed=3) as block:
        tensor = empty(mesh, [Shard(0)], (5, 4))
        nn.init.normal_(tensor)
        tensor.uniform_()
    whole = torch.from_numpy(fi.uniform((5, 4), seed=3, name=1))
    assert torch.equal(
        tensor.to_local(), distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None).to_local()
    )
    assert block.fills == 2 and not block.left


def check_coordinate_check_of_fsdp_is_that_of_one_process():
    rank, size = dist.get_rank(), dist.get_world_size()
    x = torch.from_numpy(fi.normal((12, 8), seed=0, name="x"))
    y = torch.arange(12) % 3

    def whole(width):
        return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))

    def sharded(width):
        model = whole(width)
        for layer in (model[0], model[2]):
            fully_shard(layer)
        return fully_shard(model)

    settings = {"widths": (8, 16, 32), "steps": 2}
    # Every rank gives its part of the batch; of the whole batch, all ranks compute the same.
    cut = fit.coordinate_check(sharded, batch=(x[rank::size], y[rank::size]), **settings)
    one = fit.coordinate_check(whole, batch=(x, y), **settings)
    for found, expected in zip(cut.coordinates, one.coordinates, strict=True):
        assert found[:2] == expected[:2]
        numbers = [torch.tensor(each.sizes) for each in (found, expected)]
        torch.testing.assert_close(*numbers, rtol=1e-4, atol=0)
    assert cut.coordinates[-1].sizes != cut.coordinates[3].sizes  # they were trained


class Network(nn.Module):
    """Uneven sizes, a tied weight, a padded embedding, a norm, a buffer."""

    def __init__(self, width=10, hidden=14):
        super().__init__()
        self.embedding = nn.Embedding(13, width, padding_idx=5)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 13, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.norm(self.down(self.up(self.embedding(x)).relu())))


RECIPE = {"up.weight": "orthogonal", "down.weight": ("sparse", {"sparsity": 0.5, "std": 0.1})}


def alone():
    """The model as one process makes it."""
    with torch.device("meta"):
        model = Network()
    fit.materialize_(model, RECIPE, seed=4, check=False)
    return model


def whole(parameter):
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter.detach()


def check_fsdp2_gives_the_weights_of_one_process():
    with torch.device("meta"):
        model = Network()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    fully_shard(model.up, mesh=mesh)
    fully_shard(model, mesh=mesh)
    report = fit.materialize_(model, RECIPE, seed=4)
    expected = dict(alone().named_parameters())
    assert (
        report.tied == {"head.weight": "embedding.weight"}
        and model.head.weight is model.embedding.weight
    )
    assert set(report.names) == set(expected) | {"embedding.weight[1]"}
    for line in report.filled:  # each line draws what this rank holds
        again, own = eval(line.call(4), {"fi": fi}), model.get_parameter(line.name).to_local()
        assert again.size == line.values
        if line.stream == line.name != "embedding.weight":  # of which a row is zeros
            assert torch.equal(torch.from_numpy(again), own.detach()), line
    for name, parameter in model.named_parameters():
        assert isinstance(parameter, DTensor)
        assert torch.equal(whole(parameter), expected[name].detach()), name
    assert fit.verify_(model, RECIPE, seed=4) and not fit.verify_(model, RECIPE, seed=5)
    model(torch.arange(12)).sum().backward()
    assert model.up.weight.grad is not None
    assert fit.verify_(model, RECIPE, seed=4).equal


def check_a_construction_survives_sharding():
    with fit.construction() as made:
        model = nn.Sequential(nn.Linear(5, 7))
        nn.init.normal_(model[0].weight, std=3.0)
    fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    fit.materialize_(model, made, seed=4)
    assert torch.equal(
        whole(model[0].weight),
        torch.from_numpy(fi.normal((7, 5), std=3.0, seed=4, name="0.weight")),
    )


def check_a_new_dtype_and_computed_values_are_cut_like_the_rest():
    class Decay(nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = nn.Parameter(torch.empty(9, 2))
            self.gate = nn.Parameter(torch.empty(7, 3))

        def reset_parameters(self):
            with torch.no_grad():
                self.rate.copy_(torch.arange(18).view(9, 2))
                self.gate.uniform_(1, 2).log_()

    with torch.device("meta"):
        model = nn.Sequential(Decay(), nn.Linear(2, 9))
    fully_shard(model, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    report = fit.materialize_(model, seed=4, dtype=torch.bfloat16)
    assert report.computed == ("0.rate", "0.gate")
    assert torch.equal(whole(model[0].rate), torch.arange(18, dtype=torch.bfloat16).view(9, 2))
    drawn = fi.uniform((7, 3), low=1.0, high=2.0, seed=4, name="0.gate[0]", dtype="bfloat16").view(
        "int16"
    )
    assert torch.equal(whole(model[0].gate), torch.from_numpy(drawn).view(torch.bfloat16).log())
    assert whole(model[1].weight).dtype == torch.bfloat16 and fit.verify_(model, seed=4)


def check_fsdp2_with_tensor_parallelism():
    if dist.get_world_size() != 4:
        return
    for hidden in (16, 14, 9, 27):  # 9 and 27: cut unevenly by both
        for width in (12, 10):
            with torch.device("meta"):
                model = nn.Sequential(nn.Linear(width, hidden), nn.Linear(hidden, width))
            mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
            parallelize_module(model, mesh["tp"], {"0": ColwiseParallel(), "1": RowwiseParallel()})
            fully_shard(model, mesh=mesh["dp"])
            fit.materialize_(model, seed=4)
            with torch.device("meta"):
                single = nn.Sequential(nn.Linear(width, hidden), nn.Linear(hidden, width))
            fit.materialize_(single, seed=4, check=False)
            for (name, ours), theirs in zip(
                model.named_parameters(), single.parameters(), strict=True
            ):
                # Compared with FSDP's own gathering: unsharded, a parameter is the rank's part by
                # tensor parallelism only.
                tp = mesh["tp"]
                model.unshard()
                gathered = dict(model.named_parameters())[name]
                placements = gathered.placements
                expected = distribute_tensor(theirs.detach(), tp, placements, src_data_rank=None)
                assert torch.equal(gathered.to_local(), expected.to_local()), (
                    name,
                    hidden,
                    width,
                    placements,
                )
                model.reshard()
                del ours
            assert fit.verify_(model, seed=4)


def check_ranks_must_agree():
    if dist.get_world_size() == 1:
        return
    rank = dist.get_rank()

    def model(width=4):
        with torch.device("meta"):
            return nn.Sequential(nn.Linear(3, width))

    fit.materialize_(model(), seed=1)
    odd = dist.get_world_size() - 1
    if dist.get_world_size() > 2:
        raises(
            ValueError,
            rf"rank {odd} \(seed\) differs from rank 0",
            lambda: fit.materialize_(model(), seed=1 + (rank == odd)),
        )
        wide = 4 + (rank == odd)
        raises(
            ValueError,
            rf"rank {odd} \(names, shapes and dtypes.*\) differs",
            lambda: fit.materialize_(model(wide), seed=1),
        )
        recipe = {"0.bias": float(rank == odd)}
        raises(
            ValueError,
            rf"rank {odd} \(recipe\) differs",
            lambda: fit.materialize_(model(), recipe, seed=1),
        )
    else:
        raises(ValueError, "do not agree.*seed", lambda: fit.materialize_(model(), seed=rank))
    fit.materialize_(model(), seed=rank, check=False)
    raises(ValueError, "seed=None on .* ranks", lambda: fit.materialize_(model(), seed=None))
    raises(
        ValueError,
        "seed=None on .* ranks",
        lambda: fit.materialize_(model(), seed=None, check=False),
    )


def check_ddp_adds_nothing_to_names():
    model = alone()
    wrapped = nn.parallel.DistributedDataParallel(model)
    assert fit.verify_(wrapped, RECIPE, seed=4).equal == fit.verify_(model, RECIPE, seed=4).equal


def check_fsdp1_adds_nothing_to_names():
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.Linear(4, 4))
        with torch.device("meta"):
            inner = nn.Sequential(nn.Linear(4, 4))
        fit.materialize_(inner, seed=4)
        model.load_state_dict(inner.state_dict())
        wrapped = FullyShardedDataParallel(
            model,
            use_orig_params=True,
            device_id=torch.device("cpu"),
            sharding_strategy=ShardingStrategy.NO_SHARD,
        )
    assert fit.verify_(wrapped, seed=4).equal == ("0.weight", "0.bias")


def raises(error, text, function):
    import re

    try:
        function()
    except error as caught:
        assert re.search(text, str(caught), re.DOTALL), f"{caught} does not match {text}"
    else:
        raise AssertionError(f"{error.__name__} was not raised")


def every_check(file):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    results = {}
    for name, check in sorted({**globals(), **vars(torch_checkpoint_ranks)}.items()):
        if name.startswith("check_"):
            try:
                check()
                mine = ""
            except Exception:
                mine = traceback.format_exc(limit=4)
            every = [None] * dist.get_world_size()
            dist.all_gather_object(every, mine)
            results[name] = [f"rank {rank}: {text}" for rank, text in enumerate(every) if text]
    if dist.get_rank() == 0:
        with open(file, "w") as out:
            json.dump(results, out)
    dist.barrier()
    dist.destroy_process_group()


def forked(rank, file):
    """A rank; the id of its process."""
    child = os.fork()
    if child:
        return child
    signal.alarm(300)  # a rank whose others have ended would wait for half an hour
    os.environ["RANK"] = str(rank)
    status = 1
    try:
        every_check(file)
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)  # no shutdown of Python, in which threads of gloo may abort


def main(folder, *counts):
    status = 0
    for count in map(int, counts):
        address, port = free_address().split(":")
        os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": port, "WORLD_SIZE": str(count)}
        ranks = [forked(rank, f"{folder}/{count}.json") for rank in range(count)]
        for rank in ranks:
            status |= os.waitpid(rank, 0)[1] != 0
    return status


if __name__ == "__main__":
    os.environ.setdefault("FASTINIT_NUM_THREADS", "1")
    sys.exit(main(*sys.argv[1:]))
