"""One contestant in one process: fills a warm buffer repeatedly and prints the seconds as JSON.

    python -P benchmarks/worker.py '{"library": "torch", "draw": "normal", "dtype": "float32",
        "count": 67108864, "threads": 1}'

run.py starts these processes, so that the threads, the allocator and the instruction sets of one
library do not disturb another.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

Case = dict[str, Any]
Prepared = tuple[Callable[[], object], dict[str, Any]]  # the call to time, and versions


def main() -> None:
    case = json.loads(sys.argv[1])
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "FASTINIT_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ):
        os.environ[name] = str(case["threads"])
    call, facts = globals()["prepare_" + case["library"]](case)
    call()  # warm up: touch the pages, fill the caches, start the threads
    call()
    seconds: list[float] = []
    deadline = time.perf_counter() + case.get("budget", 1.0)
    while len(seconds) < case.get("most", 15) and (
        len(seconds) < 3 or time.perf_counter() < deadline
    ):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps({**case, "seconds": statistics.median(seconds), "all": seconds, "facts": facts})
    )


def _numpy_dtype(name: str) -> Any:
    import numpy as np

    if hasattr(np, name):
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def _buffer(count: int, dtype: Any) -> Any:
    """Zeros that start on a cache line, as torch's memory does, for every contestant alike."""
    import numpy as np

    size = count * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype)


def prepare_memset(case: Case) -> Prepared:
    """The limit: libc's memset with a non-zero byte, on one thread."""
    import ctypes

    import numpy as np

    buffer = _buffer(case["count"] * _numpy_dtype(case["dtype"]).itemsize, np.uint8)
    memset = ctypes.CDLL(None).memset
    memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    return lambda: memset(buffer.ctypes.data, 0x3C, buffer.nbytes), {"numpy": np.__version__}


def prepare_fastinit(case: Case) -> Prepared:
    import fastinit as fi

    out = _buffer(case["count"], _numpy_dtype(case["dtype"]))
    own = {
        "truncated_normal": {"std": 0.02, "low": -2.0, "high": 2.0},
        "normal": {"std": 0.02},
        "sparse": {"sparsity": 0.9},
    }.get(case["draw"], {})
    if case["draw"] == "sparse":
        out = out.reshape(4096, -1)
    function = getattr(fi, case["draw"])
    return lambda: function(out=out, seed=1, threads=case["threads"], **own), fi.info()


def prepare_spin(case: Case) -> Prepared:
    """A loop in registers on each thread, which shows how far the machine's cores scale right now.

    The standard library's PBKDF2 is such a loop: it uses no memory and releases the GIL.
    """
    import hashlib
    import threading

    def one() -> None:
        hashlib.pbkdf2_hmac("sha256", b"fastinit", b"spin", case["count"] // case["threads"])

    def call() -> None:
        workers = [threading.Thread(target=one) for _ in range(case["threads"])]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return call, {}


def prepare_torch(case: Case) -> Prepared:
    import torch

    torch.set_num_threads(case["threads"])
    out = torch.zeros(case["count"], dtype=getattr(torch, case["dtype"]))
    calls = {
        "uniform": lambda: out.uniform_(),
        "normal": lambda: out.normal_(0.0, 0.02),
        "truncated_normal": lambda: torch.nn.init.trunc_normal_(out, std=0.02, a=-0.04, b=0.04),
        "sparse": lambda: torch.nn.init.sparse_(out.view(4096, -1), sparsity=0.9),
    }
    return calls[case["draw"]], {"torch": torch.__version__}


def _generator(case: Case, bits: Any) -> Prepared:
    import numpy as np

    generator = np.random.Generator(bits(1))
    out = _buffer(case["count"], case["dtype"])
    kinds: Case = {"uniform": generator.random, "normal": generator.standard_normal}
    kind = kinds[case["draw"]]
    return lambda: kind(out=out, dtype=out.dtype), {"numpy": np.__version__}


def prepare_numpy_sfc64(case: Case) -> Prepared:
    import numpy as np

    return _generator(case, np.random.SFC64)


def prepare_numpy_pcg64(case: Case) -> Prepared:
    import numpy as np

    return _generator(case, np.random.PCG64)


def prepare_jax(case: Case) -> Prepared:
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={'true' if case['threads'] > 1 else 'false'} "
        f"intra_op_parallelism_threads={case['threads']}"
    )
    os.environ["JAX_PLATFORMS"] = "cpu"
    if case["threads"] == 1 and hasattr(os, "sched_setaffinity"):
        # XLA offers no other way to use one thread.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax

    kind = {"uniform": jax.random.uniform, "normal": jax.random.normal}[case["draw"]]
    function = jax.jit(lambda key: kind(key, (case["count"],), case["dtype"]))
    key = jax.random.key(1)
    return lambda: function(key).block_until_ready(), {"jax": jax.__version__}


def prepare_parallel_numpy_rng(case: Case) -> Prepared:
    import importlib.metadata

    import parallel_numpy_rng

    generator = (
        parallel_numpy_rng.MTGenerator.from_seed(1, nthread=case["threads"])
        if hasattr(parallel_numpy_rng.MTGenerator, "from_seed")
        else parallel_numpy_rng.default_rng(1)
    )
    out = _buffer(case["count"], case["dtype"])
    kind = {"uniform": generator.random, "normal": generator.standard_normal}[case["draw"]]
    return (
        lambda: kind(size=case["count"], nthread=case["threads"], out=out, dtype=out.dtype.type),
        {"parallel-numpy-rng": importlib.metadata.version("parallel-numpy-rng")},
    )


# oneMKL's vector statistics through the `mkl` wheel: (generator, method) of each name.
_MKL = {
    "mkl_ars5_icdf": (15 << 20, 2),
    "mkl_philox_boxmuller": (16 << 20, 0),
    "mkl_philox_icdf": (16 << 20, 2),
    "mkl_sfmt_icdf": (13 << 20, 2),
}


def _mkl(case: Case, brng: int, method: int) -> Prepared:
    import ctypes
    import glob
    import importlib.metadata

    import numpy as np

    os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
    os.environ.setdefault("MKL_INTERFACE_LAYER", "LP64")
    mkl = ctypes.CDLL(sorted(glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*")))[0])
    stream = ctypes.c_void_p()
    if mkl.vslNewStream(ctypes.byref(stream), ctypes.c_int(brng), ctypes.c_uint(1)):
        raise RuntimeError("vslNewStream")
    block = case.get("block", 1 << 16)  # values per call: the fastest of several sizes tried
    out = _buffer(case["count"], np.float32)
    pointers = [out[k : k + block].ctypes.data for k in range(0, len(out), block)]
    if case["draw"] == "normal":
        run = mkl.vsRngGaussian
    else:
        run, method = mkl.vsRngUniform, 0
    run.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_float,
        ctypes.c_float,
    ]

    def call(keep: Any = out) -> None:  # the pointers do not keep the array alive
        for pointer in pointers:
            if run(method, stream, block, pointer, 0.0, 0.02):
                raise RuntimeError("vsRng")

    class Version(ctypes.Structure):
        _fields_ = [(name, ctypes.c_int) for name in ("major", "minor", "update")] + [
            (name, ctypes.c_char_p) for name in ("status", "build", "processor", "platform")
        ]

    version = Version()
    mkl.MKL_Get_Version(ctypes.byref(version))
    return call, {
        "mkl": importlib.metadata.version("mkl"),
        "branch": (version.processor or b"").decode(),
        "instructions": os.environ.get("MKL_ENABLE_INSTRUCTIONS", "default"),
        "block": block,
    }


for _name, (_brng, _method) in _MKL.items():
    globals()["prepare_" + _name] = lambda case, b=_brng, m=_method: _mkl(case, b, m)


if __name__ == "__main__":
    main()
