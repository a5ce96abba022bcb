"""Checks on a GPU: it has the CPU's bits in every draw, storage, stride and framework; then speed.

    python -P benchmarks/cuda.py [--out results/cuda.json] [--quick]

It needs an NVIDIA GPU, torch, and transformers for the model; CuPy is checked if it is installed.
It takes at most 8 minutes; --quick leaves out the 10^9 values of each draw.  The checks come first,
and a difference makes the exit code 1.  Times are medians of the device's own events and are
reported beside their bound, a fill of the device's memory in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
VALUES = 1 << 28


def say(*words):
    print(*words, flush=True)


def timed(work):
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def first_use(found):
    """Loading the kernels, compiled anew and from the disk: each in a process of its own."""
    code = (
        "import time, torch; torch.zeros(1, device='cuda'); torch.cuda.synchronize()\n"
        "import fastinit.torch as fit\n"
        "w = torch.empty(64, 64, device='cuda')\n"
        "t = time.perf_counter(); fit.normal_(w); torch.cuda.synchronize()\n"
        "print(time.perf_counter() - t)"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for what in ("compiled", "cached"):
            run = subprocess.run(
                [sys.executable, "-P", "-c", code],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[f"first use, {what}, s"] = float(run.stdout.split()[-1])
            say(f"first use, {what}: {found[f'first use, {what}, s']:.3f} s")


def first_use_in_a_capture():
    """The first fill of a process inside a capture: what it loads and asks is not captured."""
    code = (
        "import torch, fastinit.torch as fit\n"
        "w, g = torch.zeros(64, 64, device='cuda'), torch.cuda.CUDAGraph()\n"
        "torch.cuda.synchronize(); torch.manual_seed(1)\n"
        "with torch.cuda.graph(g): fit.normal_(w)\n"
        "w.zero_(); g.replay(); torch.cuda.synchronize(); torch.manual_seed(1)\n"
        "assert torch.equal(w.cpu(), fit.normal_(torch.empty(64, 64)))\n"
    )
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]


def selftest(found, quick):
    from fastinit._core import engine
    from fastinit._cuda import device, selftest

    gpu = device.device(0, engine.run)
    found["refused"] = sorted(gpu.refused)
    names = [check.__name__ for check in selftest.CHECKS]
    if quick:
        names.remove("a_billion_values")
    bad = bool(gpu.refused)
    for result in selftest.run(gpu, engine.run, tuple(names)):
        say(f"{result.name}: {result.difference or 'equal bits'} ({result.seconds:.1f} s)")
        found.setdefault("checks", {})[result.name] = {
            "difference": result.difference,
            "seconds": round(result.seconds, 2),
        }
        bad |= result.difference is not None
    return bad


def vectors():
    """The contract's vectors, drawn on the card."""
    import numpy as np
    import torch

    sys.path.insert(0, str(HERE.parent / "tests" / "helpers"))
    import vector_cases

    from fastinit._core import engine
    from fastinit._cuda import lend

    def on_card(jobs):
        copies = [torch.from_numpy(job.out.view(f"i{job.out.itemsize}")).cuda() for job in jobs]
        engine.run(
            [job._replace(out=lend.of_torch(copy)) for job, copy in zip(jobs, copies, strict=True)]
        )
        for job, copy in zip(jobs, copies, strict=True):
            job.out[...] = copy.cpu().numpy().view(job.out.dtype)

    count = 0
    for dtype in vector_cases.DTYPES:
        for table in vector_cases.DRAWN:
            vector_cases.compare_draws(table, dtype, on_card)
            count += 1
    for dtype in vector_cases.NARROW:
        jobs, wanted = vector_cases.stored_by_normal(dtype)
        on_card(jobs)
        assert (np.concatenate([job.out for job in jobs]) == wanted).all(), dtype
        count += 1
    return count


def bits(tensor):
    import torch

    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return tensor.detach().contiguous().view(width).cpu()


def frameworks():
    """torch's drop-in, accelerate, materialize_, FSDP2, graphs and streams; CuPy, Numba, DLPack."""
    import numpy as np
    import torch

    import fastinit as fi
    import fastinit.torch as fit

    done = []

    def equal(name, one, other):
        assert torch.equal(bits(one), bits(other)), name
        done.append(name)

    dtypes = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    dtypes += (torch.float8_e4m3fn, torch.float8_e5m2)
    calls = {
        "normal_": (fit.normal_, {"std": 0.02}),
        "uniform_": (fit.uniform_, {"a": -0.1, "b": 0.3}),
        "trunc_normal_": (fit.trunc_normal_, {"std": 0.02, "a": -0.04, "b": 0.04}),
        "kaiming_uniform_": (fit.kaiming_uniform_, {}),
        "xavier_normal_": (fit.xavier_normal_, {}),
        "orthogonal_": (fit.orthogonal_, {}),
        "sparse_": (fit.sparse_, {"sparsity": 0.5}),
        "eye_": (fit.eye_, {}),
        "zeros_": (fit.zeros_, {}),
        "constant_": (fit.constant_, {"val": 0.3}),
    }
    for dtype in dtypes:
        for name, (function, arguments) in calls.items():
            made = []
            for device in ("cpu", "cuda"):
                wide = torch.empty(70, 150, dtype=dtype, device=device)
                torch.manual_seed(5)
                try:
                    function(wide, **arguments)
                    function(wide[3:40, 20:57].t(), **arguments)
                except (NotImplementedError, RuntimeError) as error:
                    made.append(type(error).__name__)
                else:
                    made.append(wide)
            if isinstance(made[0], str) or isinstance(made[1], str):
                if not (isinstance(made[0], str) and isinstance(made[1], str)):
                    say(
                        f"  {name} {dtype}: {made[0] if isinstance(made[0], str) else 'drawn'} on "
                        f"the CPU, {made[1] if isinstance(made[1], str) else 'drawn'} on the card"
                    )
                continue
            equal(f"{name} {dtype}", *made)

    def build(device):
        torch.manual_seed(3)
        with fit.accelerate(seed=4), torch.device(device):
            return torch.nn.TransformerEncoderLayer(64, 4, 128)

    for (name, one), (_, other) in zip(
        build("cuda").named_parameters(), build("cpu").named_parameters(), strict=True
    ):
        equal(f"accelerate {name}", one, other)

    def meta():
        with torch.device("meta"):
            return torch.nn.TransformerEncoderLayer(64, 4, 128)

    models = [meta(), meta()]
    for model, device in zip(models, ("cuda", "cpu"), strict=True):
        fit.materialize_(model, seed=11, device=device)
    for (name, one), (_, other) in zip(*[m.named_parameters() for m in models], strict=True):
        assert one.is_cuda
        equal(f"materialize_ {name}", one, other)

    out, side = torch.empty(1000, 300, device="cuda"), torch.cuda.Stream()
    with torch.cuda.stream(side):
        fi.he_normal(out=out, seed=1, name="w")
    side.synchronize()
    equal(
        "out= on a side stream", out, torch.from_numpy(fi.he_normal((1000, 300), seed=1, name="w"))
    )

    parameter = torch.nn.Parameter(torch.empty(30, 40, device="cuda"))
    version = parameter._version
    fi.he_normal(out=parameter, seed=3)
    assert parameter._version > version
    equal("a parameter as out=", parameter, torch.from_numpy(fi.he_normal((30, 40), seed=3)))

    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        fi.normal(out=out, seed=2)
        fi.uniform(out=out[::2, 1::3], seed=2)
    out.zero_()
    graph.replay()
    torch.cuda.synchronize()
    here = fi.normal((1000, 300), seed=2)
    fi.uniform(out=here[::2, 1::3], seed=2)
    equal("graph captured by torch", out, torch.from_numpy(here))

    class Dlpack:
        def __init__(self, tensor):
            self.tensor = tensor
            self.__dlpack_device__ = tensor.__dlpack_device__

        def __dlpack__(self, **asked):
            return self.tensor.__dlpack__(**asked)

    out = torch.empty(70, 30, device="cuda", dtype=torch.bfloat16)
    fi.fill({"w": (Dlpack(out), "orthogonal"), "b": (np.empty(3), "ones")}, seed=2)
    torch.cuda.synchronize()
    there = torch.empty(70, 30, dtype=torch.bfloat16)
    fi.fill({"w": (there, "orthogonal")}, seed=2)
    equal("DLPack", out, there)

    try:
        import cupy
    except ImportError:
        say("  no CuPy here")
    else:
        for dtype in ("float64", "float32", "float16"):
            array = cupy.empty((50, 70), dtype, order="F")
            fi.he_normal(out=array, seed=8)
            fi.he_normal((50, 70), out=array[10:20], region=(slice(10, 20), slice(0, 70)), seed=8)
            wanted = fi.he_normal((50, 70), seed=8, dtype=dtype)
            assert (cupy.asnumpy(array) == wanted).all()
            done.append(f"CuPy {dtype}")
    return done


def sharded():
    """FSDP2 and tensor parallel shards on the rank's own card, in a group of one rank."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor, Shard, distribute_tensor

    import fastinit.torch as fit

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29431", RANK="0", WORLD_SIZE="1")
    torch.distributed.init_process_group("nccl")
    mesh = init_device_mesh("cuda", (1,))
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(33, 70), torch.nn.Linear(70, 5))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    fit.materialize_(model, seed=6)
    with torch.device("meta"):
        plain = torch.nn.Sequential(torch.nn.Linear(33, 70), torch.nn.Linear(70, 5))
    fit.materialize_(plain, seed=6)
    for (name, one), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert isinstance(one, DTensor) and one.to_local().is_cuda
        assert torch.equal(bits(one.to_local()), bits(other)), name
    shard = distribute_tensor(torch.empty(64, 48, device="cuda"), mesh, [Shard(1)])
    torch.manual_seed(1)
    fit.kaiming_normal_(shard)
    torch.manual_seed(1)
    whole = fit.kaiming_normal_(torch.empty(64, 48))
    assert torch.equal(bits(shard.to_local()), bits(whole))
    torch.distributed.destroy_process_group()


SANITIZED = """
import numpy as np, fastinit as fi
from fastinit._core import engine
from fastinit._cuda import device, selftest
gpu = device.device(0, engine.run)
assert not gpu.refused, gpu.refused
names = ("lengths_and_offsets", "far_indices", "copies")
assert not [r for r in selftest.run(gpu, engine.run, names) if r.difference]
print("checked")
"""


def sanitizer():
    """compute-sanitizer over the known answers and some small checks: no access out of bounds."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return "compute-sanitizer is not installed"
    run = subprocess.run(
        [tool, "--error-exitcode", "9", sys.executable, "-P", "-c", SANITIZED],
        capture_output=True, text=True,
    )  # fmt: skip
    last = [line for line in run.stdout.splitlines() if "ERROR SUMMARY" in line]
    assert run.returncode == 0 and "checked" in run.stdout, run.stdout[-1500:] + run.stderr[-1500:]
    return last[-1].strip("= ") if last else "no summary"


# ------------------------------------------------------------------------------------------- speed


def events(work, each=4, repeat=9):
    import torch

    work()
    times = []
    for _ in range(repeat):
        begin, end = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        begin.record()
        for _ in range(each):
            work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / each)
    return statistics.median(times)


def speed(found):
    import torch

    from fastinit._core import engine
    from fastinit._cuda import device, selftest

    gpu = device.device(0, engine.run)
    rows = [row._asdict() for row in selftest.speed(gpu, VALUES, repeat=9)]
    memset = rows[0]["milliseconds"] / 4  # of one byte a value
    rivals = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        memory = torch.empty(VALUES, dtype=dtype, device="cuda")
        name = str(dtype).removeprefix("torch.")
        rivals["normal", name] = events(lambda m=memory: m.normal_())
        rivals["uniform", name] = events(lambda m=memory: m.uniform_())
        rivals["constant", name] = events(lambda m=memory: m.fill_(1.5))
        if dtype in (torch.float32, torch.bfloat16):
            rivals["truncated ±2σ", name] = events(
                lambda m=memory: torch.nn.init.trunc_normal_(m, 0, 1, -2, 2), 2, 5
            )
        del memory
    for row in rows:
        width = {"float64": 8, "float32": 4, "uint32": 4, "float16": 2, "bfloat16": 2}
        row["of_memset"] = memset * width.get(row["dtype"], 1) / row["milliseconds"]
        row["torch_milliseconds"] = rivals.get((row["draw"], row["dtype"]))
        text = f"{row['draw']} {row['dtype']}: {row['milliseconds']:.3f} ms"
        text += f", {row['of_memset']:.2f} of memset"
        if row["torch_milliseconds"]:
            row["of_torch"] = row["torch_milliseconds"] / row["milliseconds"]
            text += f", torch {row['torch_milliseconds']:.3f} ms ({row['of_torch']:.2f}x)"
        say(text)
    found["fills"] = rows


def loop(work, count=2000, repeat=7):
    import torch

    times = []
    work()
    for _ in range(repeat):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            work()
        times.append((time.perf_counter() - began) / count * 1e6)
    torch.cuda.synchronize()
    return statistics.median(times)


def small(found):
    """Microseconds of the host for a 64x64 fill, launched one after another."""
    import torch

    import fastinit as fi
    import fastinit.torch as fit

    w = torch.empty(64, 64, device="cuda")
    rows = {
        "torch normal_": loop(lambda: w.normal_()),
        "torch.nn.init.normal_": loop(lambda: torch.nn.init.normal_(w)),
        "fastinit.torch.normal_": loop(lambda: fit.normal_(w)),
        "torch.nn.init.kaiming_uniform_": loop(lambda: torch.nn.init.kaiming_uniform_(w)),
        "fastinit.torch.kaiming_uniform_": loop(lambda: fit.kaiming_uniform_(w)),
        "fi.he_normal(out=tensor)": loop(lambda: fi.he_normal(out=w, seed=1)),
    }
    for name, value in rows.items():
        say(f"64x64 {name}: {value:.1f} us")
    found["64x64, us"] = rows


def model(found):
    """Llama of 1.2 billion parameters in bfloat16, from meta to the card: drawn on the card, or on
    the host and then copied.
    """
    import torch
    import transformers

    import fastinit.torch as fit
    from fastinit._core import engine

    transformers.utils.logging.set_verbosity_error()
    config = transformers.LlamaConfig(
        vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
        num_attention_heads=32, num_key_value_heads=8, tie_word_embeddings=True, dtype="bfloat16",
    )  # fmt: skip

    def build():
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("meta"):
                return transformers.LlamaForCausalLM(config)
        finally:
            torch.set_default_dtype(default)

    rows, sums = {}, {}
    original = engine.gpu
    for how in ("card", "host", "card", "host", "card", "host"):
        engine.gpu = original if how == "card" else lambda ordinal: None
        made = build()
        torch.cuda.synchronize()
        began = time.perf_counter()
        fit.materialize_(made, seed=1, device="cuda")
        torch.cuda.synchronize()
        rows.setdefault(how, []).append(time.perf_counter() - began)
        head = made.model.embed_tokens.weight
        sums[how] = hash(bits(head[-1000:]).numpy().tobytes())
        del made, head
        torch.cuda.empty_cache()
    engine.gpu = original
    assert sums["card"] == sums["host"]
    found["llama 1.2 B bfloat16, meta to card, s"] = rows
    ratio = statistics.median(rows["host"][1:]) / statistics.median(rows["card"][1:])
    found["llama, times faster than the host path"] = ratio
    say(f"llama: card {rows['card']}, host {rows['host']}: {ratio:.1f}x")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=pathlib.Path)
    arguments.add_argument("--quick", action="store_true")
    given = arguments.parse_args()
    import numpy
    import torch

    import fastinit as fi

    found = {
        "card": torch.cuda.get_device_name(0),
        "memory, GB": round(torch.cuda.get_device_properties(0).total_memory / 1e9),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "driver": subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True,
        ).stdout.strip(),
        "numpy": numpy.__version__,
        "host": {key: fi.info()[key] for key in ("engine", "isa", "threads", "version")},
        "machine": platform.machine(),
        "commit": os.environ.get("FASTINIT_COMMIT", "unknown"),
    }  # fmt: skip
    began = time.perf_counter()
    say(found)
    first_use(found)
    steps = {
        "vectors": vectors,
        "frameworks": lambda: len(frameworks()),
        "sharded": sharded,
        "first use in a capture": first_use_in_a_capture,
        "sanitizer": sanitizer,
    }
    bad = False
    for name, step in steps.items():
        try:
            result, seconds = timed(step)
        except Exception as error:
            import traceback

            traceback.print_exc()
            result, seconds, bad = f"failed: {error}", 0.0, True
        say(f"{name}: {result} ({seconds:.1f} s)")
        found[name] = {"result": result, "seconds": round(seconds, 2)}
    for measure in (speed, small, model):
        measure(found)
    bad |= selftest(found, given.quick)
    found["seconds"] = round(time.perf_counter() - began, 1)
    say(f"{found['seconds']} s; {'differences or failures' if bad else 'all bits equal'}")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
