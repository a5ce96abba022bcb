"""The torch part of run.py: fastinit.torch compared with torch itself, every contestant in its own
process.

llama: LlamaForCausalLM of 1.2 billion parameters in bfloat16, built plainly, under accelerate(),
and from the meta device by materialize_ (allocation and first touch included).  gpt2:
GPT2LMHeadModel in float32.  small: kaiming_uniform_ of 64x64.  shard: one rank of four fills its
part of an 8192x8192 DTensor, the ranks one after another.  A ratio is taken only within one round;
its median over the rounds is reported.

Every process builds its model several times and frees each model before the next.  The first time
is reported separately; of the others, the median.  The first time says more about the host than
about either contestant if a virtual machine gives idle memory back to its host, as the machine of
the results does: memory that is touched again then takes 5 ms per 2 MiB instead of 0.1 ms.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

CASES = {
    "llama": ("llama plain", "llama accelerate", "llama materialize"),
    "gpt2": ("gpt2 plain", "gpt2 accelerate"),
    "small": ("small torch", "small fastinit"),
    "shard": ("shard",),
}
BUILDS = {"llama": 3, "gpt2": 9}


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def model(name):
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    if name == "gpt2":
        # Imports the model's code now.
        make, config = (
            transformers.GPT2LMHeadModel,
            transformers.GPT2Config(),
        )
        return lambda: make(config)
    make = transformers.LlamaForCausalLM
    config = transformers.LlamaConfig(
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=True,
        dtype="bfloat16",
    )

    def build():
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            return make(config)
        finally:
            torch.set_default_dtype(default)

    return build


def contestant(case):
    import torch

    if case == "shard":
        return shard()
    what, how = case.split()
    if what == "small":
        import fastinit.torch

        function = (
            torch.nn.init.kaiming_uniform_ if how == "torch" else fastinit.torch.kaiming_uniform_
        )
        weight = torch.nn.Parameter(torch.empty(64, 64))
        for _ in range(200):
            function(weight)
        return {
            "seconds": statistics.median(
                timed(lambda: [function(weight) for _ in range(200)])[0] / 200 for _ in range(25)
            )
        }
    import fastinit.torch

    build = model(what)
    if how == "accelerate":
        with fastinit.torch.accelerate():
            torch.nn.Linear(8, 8)

    def from_meta():
        with torch.device("meta"):
            made = build()
        fastinit.torch.materialize_(made)
        return made

    making = {
        "plain": build,
        "accelerate": fastinit.torch.accelerate()(build),
        "materialize": from_meta,
    }[how]
    times = []
    for _ in range(BUILDS[what]):
        seconds, made = timed(making)
        times.append(seconds)
        parameters = sum(parameter.numel() for parameter in made.parameters())
        del made
    return {"seconds": statistics.median(times[1:]), "first": times[0], "parameters": parameters}


def shard():
    """Under torchrun with four processes: the whole tensor on rank 0, then each rank's quarter, one
    rank at a time, with one thread each.
    """
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, zeros

    import fastinit.torch

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    mesh = init_device_mesh("cpu", (4,))
    tensor = zeros(8192, 8192, device_mesh=mesh, placements=[Shard(0)])
    whole = torch.zeros(8192, 8192) if rank == 0 else None

    def best(filled):
        return min(timed(lambda: fastinit.torch.normal_(filled))[0] for _ in range(7))

    seconds = [0.0] * 5
    for turn in range(5):
        dist.barrier()
        if turn == 0 and rank == 0:
            seconds[0] = best(whole)
        if turn > 0 and rank == turn - 1:
            seconds[turn] = best(tensor)
    every = [None] * 4
    dist.all_gather_object(every, seconds)
    dist.destroy_process_group()
    taken = [max(row[turn] for row in every) for turn in range(5)]
    return {"seconds": taken[0], "ranks": taken[1:]} if rank == 0 else None


def run(case):
    command = [sys.executable, str(pathlib.Path(__file__).resolve()), case]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if case == "shard":
        environment |= {"FASTINIT_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command[1:1] = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    # Of rank 0.
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def measure(rounds):
    """The rows of results/torch.json."""
    found = {}
    for _ in range(rounds):
        for cases in CASES.values():
            for case in cases:
                found.setdefault(case, []).append(run(case))
    rows = []
    for base, *others in CASES.values():
        for case in (base, *others):
            seconds = [result["seconds"] for result in found[case]]
            ratios = [
                first["seconds"] / own for first, own in zip(found[base], seconds, strict=True)
            ]
            row = {"name": case, "seconds": statistics.median(seconds), "rounds": seconds}
            row |= {"against": base, "ratio": statistics.median(ratios)}
            if "first" in found[case][0]:
                row["first"] = statistics.median(result["first"] for result in found[case])
            if "ranks" in found[case][0]:
                row["quarters"] = [
                    max(result["ranks"]) / result["seconds"] for result in found[case]
                ]
            rows.append(row)
    return rows


if __name__ == "__main__":
    print(json.dumps(contestant(sys.argv[1])))
