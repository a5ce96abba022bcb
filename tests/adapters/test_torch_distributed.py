"""DTensors and FSDP2 on 1, 2, 3 and 4 real processes; what each rank checks is in torch_ranks.py
and torch_checkpoint_ranks.py.
"""

import itertools
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from child_processes import environment, torchrun

if not torch.distributed.is_available():
    pytest.skip("torch has no distributed package here", allow_module_level=True)

HERE = Path(__file__).parent
CHECKS = [
    check
    for file in ("torch_ranks.py", "torch_checkpoint_ranks.py")
    for check in re.findall(r"^def (check_\w+)", (HERE / file).read_text("utf-8"), re.MULTILINE)
]
COUNTS = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """By the number of processes, and by check: what failed on which rank."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [sys.executable, HERE / "torch_ranks.py", folder, *map(str, COUNTS)],
        env=environment(FASTINIT_NUM_THREADS="1", PYTHONWARNINGS="ignore"),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return {count: json.loads((folder / f"{count}.json").read_text()) for count in COUNTS}


@pytest.mark.xdist_group("torch_ranks")
@pytest.mark.parametrize("processes", COUNTS)
@pytest.mark.parametrize("check", CHECKS)
def test_each_check_passes_on_every_rank(check, processes, results):
    failures = results[processes][check]
    assert not failures, "\n".join(failures)


# ------------------------------------------------------------------- which part a rank holds, alone


def test_intervals_are_those_of_torchs_own_splitting():
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.placement_types import _StridedShard

    from fastinit.torch.dtensor import intervals

    chance = random.Random(1)
    for _ in range(150):
        shape = tuple(chance.randint(1, 13) for _ in range(chance.randint(1, 3)))
        mesh = tuple(chance.randint(1, 4) for _ in range(chance.randint(1, 3)))

        def placement(shape=shape):
            axis = chance.randrange(len(shape))
            return chance.choice(
                [Shard(axis), Replicate(), _StridedShard(axis, split_factor=chance.randint(1, 4))]
            )

        placements = [placement() for _ in mesh]
        whole = torch.arange(torch.tensor(shape).prod()).view(shape)
        for coordinate in itertools.product(*map(range, mesh)):
            part = whole
            for dimension, one in enumerate(placements):
                if not isinstance(one, Replicate):
                    part = one._split_tensor(part, mesh[dimension], with_padding=False)[0][
                        coordinate[dimension]
                    ]
            mine = whole
            for axis, runs in enumerate(intervals(shape, mesh, coordinate, placements)):
                index = [place for start, stop in runs for place in range(start, stop)]
                mine = mine.index_select(axis, torch.tensor(index, dtype=torch.long))
            assert torch.equal(mine, part), (shape, mesh, coordinate, placements)


def test_the_example_gives_the_golden_weights_on_two_processes():
    done = torchrun(2, Path(__file__).parents[2] / "benchmarks" / "sharded_torch.py")
    assert done.returncode == 0, done.stderr[-3000:]
    lines = re.findall(r"rank \d drew (\d+) values; all weights: (\w{16})", done.stdout)
    assert [digest for _, digest in lines] == ["1976d560fe6541b3"] * 2  # of one process too
    assert sum(int(values) for values, _ in lines) == 531_738
