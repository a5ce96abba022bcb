"""Threads, memory, engines and the floating-point state change no bits and are left as they were.
Forks and signals: processes/test_forks_and_signals.py.
"""

import _thread
import mmap
import os
import textwrap
import threading
import time

import numpy as np
import pytest
from children import growth, python
from engine_jobs import job

import fastinit as fi
from fastinit._core import draws, dtypes, engine

FLOAT32, FLOAT64 = dtypes.FLOAT32, dtypes.FLOAT64


# ------------------------------------------------------------------------------------------ threads


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 64])
def test_thread_count_does_not_change_bits(threads):
    few, many = job(3_000_000), job(3_000_000)
    engine.run([few], threads=1)
    engine.run([many], threads=threads)
    assert few.out.tobytes() == many.out.tobytes()


def test_a_fill_goes_on_without_threads_that_cannot_start(monkeypatch):
    want = job(2_000_000)
    engine.run([want], threads=1)
    monkeypatch.setattr(engine, "_pools", {})

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    got = job(2_000_000)
    engine.run([got], threads=4)
    assert got.out.tobytes() == want.out.tobytes()


def test_several_threads_run_at_once():
    seen = set()
    barrier = threading.Barrier(3, timeout=20)

    def work(item):
        barrier.wait()  # passes only if three threads are in here at once
        seen.add(threading.get_ident())

    engine.map_tasks(work, range(3), threads=3)
    assert len(seen) == 3


def test_the_first_error_of_a_task_is_raised_and_no_further_task_begins():
    begun = []

    def work(item):
        begun.append(item)
        if item == 1:
            raise ValueError("one")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="one"):
        engine.map_tasks(work, range(1000), threads=2)
    assert len(begun) < 100


@pytest.mark.parametrize("threads", [1, 3])
def test_tasks_are_taken_from_a_generator_as_threads_become_free(threads):
    taken, done, ahead = [0], [0], []

    def items():
        for item in range(200):
            taken[0] += 1
            ahead.append(taken[0] - done[0])
            yield item

    seen = []

    def work(item):
        seen.append(item)
        done[0] += 1

    engine.map_tasks(work, items(), threads)
    assert sorted(seen) == list(range(200))
    assert max(ahead) <= 2 * threads  # for each thread one in progress, and one at the start


def test_an_error_of_the_generator_is_raised_and_ends_the_tasks():
    def items():
        yield from range(5)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        engine.map_tasks(lambda item: None, items(), 3)


@pytest.mark.parametrize("threads", [2, 512])
def test_no_more_threads_start_than_there_are_chunks(threads):
    run = python(f"""
        import os, fastinit as fi
        before = len(os.listdir("/proc/self/task"))
        fi.normal((300_000,), seed=0, threads={threads})  # two chunks
        print(len(os.listdir("/proc/self/task")) - before)
        from fastinit._core import engine
        engine.map_tasks(lambda item: None, range(3), {threads})
        print(len(os.listdir("/proc/self/task")) - before)
    """)
    assert run.stdout.split() == ["1", str(min(threads, 3) - 1)]


@pytest.mark.parametrize(
    "quota,expected",
    [("150000 100000", 1), ("250000 100000", 2), ("max 100000", 3), ("50000 100000", 1)],
)
def test_cgroup_quota_is_rounded_down(monkeypatch, quota, expected, tmp_path):
    import builtins

    real = builtins.open

    def fake(path, *args, **kwargs):
        if path == "/proc/self/cgroup":
            (tmp_path / "cgroup").write_text("0::/job/step\n")
            return real(tmp_path / "cgroup")
        if path == "/sys/fs/cgroup/job/cpu.max":
            (tmp_path / "cpu.max").write_text(quota + "\n")
            return real(tmp_path / "cpu.max")
        if str(path).startswith("/sys/fs/cgroup"):
            raise FileNotFoundError(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", fake)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.delenv("FASTINIT_NUM_THREADS", raising=False)
    engine._available.cache_clear()
    try:
        assert engine.thread_count() == expected
    finally:
        engine._available.cache_clear()


def test_threads_argument_and_environment(monkeypatch):
    monkeypatch.setenv("FASTINIT_NUM_THREADS", "5")
    assert engine.thread_count() == 5
    assert engine.thread_count(2) == 2
    for wrong in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("FASTINIT_NUM_THREADS", wrong)
        with pytest.raises(ValueError, match="FASTINIT_NUM_THREADS"):
            engine.thread_count()
    for wrong in (0, -3):
        with pytest.raises(ValueError, match="at least 1"):
            engine.thread_count(wrong)
    for wrong in (True, 1.5, "2"):
        with pytest.raises(TypeError, match="threads must be an integer"):
            engine.thread_count(wrong)


def test_concurrent_callers_do_not_disturb_each_other():
    want = job(1_500_000)
    engine.run([want], threads=1)
    jobs = [job(1_500_000) for _ in range(6)]
    callers = [threading.Thread(target=engine.run, args=([one], 3)) for one in jobs]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(one.out.tobytes() == want.out.tobytes() for one in jobs)


# ------------------------------------------------------------------------------------------- memory


def mapping_flags(address):
    """The kernel's flags of the mapping that holds an address."""
    inside = False
    with open("/proc/self/smaps") as file:
        for line in file:
            first = line.split()[0]
            if not first.endswith(":"):
                start, end = (int(number, 16) for number in first.split("-"))
                inside = start <= address < end
            elif inside and first == "VmFlags:":
                return line.split()[1:]
    raise LookupError(f"no mapping holds {address:#x}")


@pytest.mark.native
@pytest.mark.skipif(
    not os.path.isdir("/sys/kernel/mm/transparent_hugepage"), reason="this kernel has no huge pages"
)
@pytest.mark.parametrize("size, asked", [(4 << 20, True), ((4 << 20) - 4, False)])
def test_huge_pages_are_requested_for_large_memory_of_the_caller(size, asked):
    with mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        out = np.frombuffer(memory, np.float32, size // 4, offset=64)
        fi.normal(out=out, seed=1)
        assert ("hg" in mapping_flags(out.ctypes.data)) is asked
        del out


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_memory_beyond_the_caches_holds_the_same_bits_wherever_it_begins(dtype):
    """From 32 MiB on AVX-512 writes float32 around the caches, if memory begins on a cache line."""
    found = dtypes.resolve(dtype)
    count = (33 << 20) // found.itemsize + 5
    memory = np.zeros(count * found.itemsize + 128, np.uint8)
    whole = fi.normal(count, seed=3, dtype=dtype)
    assert whole.ctypes.data % 64 == 0
    for shift in (0, 16):
        start = -memory.ctypes.data % 64 + shift
        out = memory[start : start + count * found.itemsize].view(found.numpy())
        fi.normal(out=out, seed=3)
        assert np.array_equal(out.view(found.unsigned), whole.view(found.unsigned))
        assert not memory[:start].any() and not memory[start + count * found.itemsize :].any()
        memory[:] = 0
    for start in range(0, count, 1 << 19):  # pieces that the caches hold
        part = fi.normal(
            count, seed=3, dtype=dtype, region=slice(start, min(start + (1 << 19), count))
        )
        assert np.array_equal(
            part.view(found.unsigned), whole[start : start + (1 << 19)].view(found.unsigned)
        )


@pytest.mark.native
def test_memory_beyond_the_destination_stays_small():
    setup = """
        import ml_dtypes, numpy as np, fastinit as fi
        out = np.empty(1 << 29, ml_dtypes.float8_e5m2)
        out.view(np.uint8)[:] = 1
        fi.normal((2_000_000,), seed=0, threads=2)
    """
    mebibytes, _ = growth("fi.normal(out=out, seed=0, threads=2)", setup)
    assert mebibytes < 64


def test_no_openmp_runtime_is_loaded():
    run = python("""
        import fastinit as fi
        fi.normal((1_000_000,), seed=0, threads=2)
        known = ("libgomp", "libomp", "libiomp", "libtbb")
        print([line for line in open("/proc/self/maps") if any(n in line for n in known)])
    """)
    assert run.stdout.strip() == "[]"


# ----------------------------------------------------------------------------------- engine and ISA


def test_an_engine_or_isa_that_does_not_exist_is_an_error():
    run = python("import fastinit", check=False, FASTINIT_ENGINE="gpu")
    assert run.returncode and "FASTINIT_ENGINE is 'gpu'" in run.stderr
    if engine.name() == "native":
        run = python("import fastinit", check=False, FASTINIT_ISA="avx1024")
        assert run.returncode and "avx1024" in run.stderr and "scalar" in run.stderr


@pytest.mark.native
def test_every_isa_can_be_forced_and_gives_the_same_bits():
    code = """
        import hashlib, fastinit as fi
        digest = hashlib.sha256(fi.he_normal((300, 70), seed=3).tobytes()).hexdigest()
        print(fi.info()["isa"], digest)
    """
    seen = dict(python(code, FASTINIT_ISA=isa).stdout.split() for isa in engine.isas())
    assert list(seen) == list(engine.isas())
    seen["reference"] = python(code, FASTINIT_ENGINE="reference").stdout.split()[1]
    assert len(set(seen.values())) == 1


# ------------------------------------------------------------------------- the floating-point state

ROUNDING = {"nearest": 0x0000, "down": 0x2000, "up": 0x4000, "to zero": 0x6000}
FLUSH = {"gradual": 0, "flush to zero and denormals are zero": 0x8040}
X86 = os.uname().machine == "x86_64"


@pytest.fixture
def mxcsr():
    """Set this thread's control register as another library might; put back at the end."""
    from fastinit import _native

    before = _native.enter()
    yield _native.leave
    _native.leave(before)


if X86:

    @pytest.mark.native
    @pytest.mark.parametrize("flush", FLUSH)
    @pytest.mark.parametrize("rounding", ROUNDING)
    def test_the_callers_rounding_and_flushing_do_not_change_bits_and_come_back(
        mxcsr, rounding, flush
    ):
        from fastinit import _native, initializers

        calls = {
            "he_normal": lambda: initializers.he_normal((100, 70), seed=1),
            "tiny": lambda: initializers.normal((5000,), std=3e-38, seed=1),
            "truncated": lambda: initializers.truncated_normal((3000,), std=0.1, seed=1),
            "uniform": lambda: initializers.uniform(
                (3000,), low=-0.1, high=0.3, seed=1, dtype="float64"
            ),
            "threads": lambda: initializers.normal((600_000,), std=0.3, seed=1, threads=2),
        }
        want = {name: call().tobytes() for name, call in calls.items()}
        state = 0x1F80 | ROUNDING[rounding] | FLUSH[flush] | 0x0001  # a sticky flag, too
        for name, call in calls.items():
            mxcsr(state)
            got = call()
            after = _native.enter()
            assert after == state, hex(after)
            assert got.tobytes() == want[name], name

    @pytest.mark.native
    @pytest.mark.parametrize(
        "state", [0x1F80 | 0x2000, 0x1F80 | 0x4000, 0x1F80 | 0x6000, 0x1F80 | 0x8000, 0x1F80 | 0x40]
    )
    def test_the_reference_engine_refuses_what_it_cannot_guard(mxcsr, state):
        mxcsr(state)
        try:
            with pytest.raises(FloatingPointError, match="floating-point state"):
                engine._probe()
        finally:
            mxcsr(0x1F80)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2"])
def test_what_numpy_raises_at_an_underflow_for_the_caller_does_not_reach_a_fill(dtype):
    """np.seterr(all="raise") stopped orthogonal, and every fill of the reference engine."""
    fills = (
        lambda: fi.orthogonal((40, 40), seed=0, dtype=dtype),
        lambda: fi.normal((1000,), std=1e-6, seed=0, dtype=dtype),
        lambda: fi.truncated_normal((1000,), std=1e-6, seed=0, dtype=dtype),
        lambda: fi.sparse((100, 10), sparsity=0.5, std=1e-6, seed=0, dtype=dtype),
        lambda: fi.fill({"w": (np.empty((9, 9), np.float16), "orthogonal")}, seed=0),
    )
    for fill in fills:
        fill()
        with np.errstate(all="raise"):
            fill()


def test_the_probe_accepts_the_default_state():
    engine._probe()


def test_without_the_extension_the_same_bits_come_from_the_reference_engine(tmp_path):
    import shutil

    source = os.path.dirname(fi.__file__)
    shutil.copytree(
        source, tmp_path / "fastinit", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    code = (
        "import fastinit as fi; print(fi.info()['engine'], fi.normal((5,), seed=1).tobytes().hex())"
    )
    want = python(code).stdout.split()[1]
    assert python(code, PYTHONPATH=str(tmp_path)).stdout.split() == ["reference", want]
    run = python(code, check=False, PYTHONPATH=str(tmp_path), FASTINIT_ENGINE="native")
    assert run.returncode and "FASTINIT_REQUIRE_NATIVE=1" in run.stderr


@pytest.mark.native
def test_a_constant_without_its_parameter_is_refused():
    from fastinit import _native

    for parameters in ((), (0, 0)):
        one = job(4, draws.constant(1.0, FLOAT32))._replace(parameters=parameters)
        with pytest.raises(ValueError, match="parameters of a constant, which has one"):
            _native.Batch([one])


NUMBERS = np.zeros(8, np.uint32)
GOOD = (NUMBERS, dtypes.UNIFORM, FLOAT32.code, 0, 0, 0, (0.0, 1.0, 0.0, 1.0), 0, (1,))
ODD_JOBS = {
    "no tuple": ([*GOOD],),
    "an empty tuple": ((),),
    "a short tuple": (GOOD[:3],),
    "None": (None,),
    "a seed beyond 64 bits": ((*GOOD[:3], 1 << 64, *GOOD[4:]),),
    "a negative plane": ((*GOOD[:5], -1, *GOOD[6:]),),
    "a parameter beyond doubles": ((*GOOD[:6], (10**400,), *GOOD[7:]),),
    "memory that is fixed": ((b"01234567", *GOOD[1:]),),
    "a stride beyond 64 bits": ((*GOOD[:8], (1 << 64,)),),
    "a constant in items of 3 bytes": (
        (np.zeros(9, "V3"), dtypes.CONSTANT, FLOAT32.code, 0, 0, 0, (7,), 0, (1,)),
    ),
    "no sequence": 3,
}


@pytest.mark.native
@pytest.mark.parametrize("jobs", ODD_JOBS.values(), ids=ODD_JOBS)
def test_odd_jobs_are_refused_and_crash_nothing(jobs):
    """Before, a short job was read beyond its end, and items of 3 bytes were written as 8."""
    from fastinit import _native

    with pytest.raises((ValueError, TypeError)):
        _native.Batch(jobs)


@pytest.mark.native
def test_the_other_doors_of_the_native_module_refuse_odd_numbers_too():
    from fastinit import _native

    table, many = np.zeros(1 << 16, np.uint64), np.zeros(100_000, np.float32)
    for start, width, rows, columns in (
        (0, 1 << 61, 1, 0),  # 8 * width is 0 in 64 bits
        ((1 << 63) - 50, 2, 1, 2),  # start + count is negative there
        (-1, 2, 1, 2),
        (1 << 64, 2, 1, 2),
        (0, 2, 1, 2),
    ):
        with pytest.raises(ValueError):
            _native.scan(many, 1, start, width, table, np.zeros(rows), np.zeros(columns))
    for call in (
        lambda: _native.scan(many, 1 << 40, 0, 0, table, b"", b""),
        lambda: _native.digest(b"", -1, bytearray()),
        lambda: _native.Batch([GOOD]).work(1 << 70),
        lambda: _native.leave(1 << 64),
        lambda: _native.use("x" * 1000),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert len(str(caught.value)) < 400
    state = _native.enter()
    _native.leave(state | 0xFFFF0000)  # the CPU faults on such bits
    assert not many.any() and not table.any()


# -------------------------------------------------------------------------------------- from cold

COLD = """
    import os, sys, tempfile, threading
    import numpy as np, fastinit as fi
    sys.setswitchinterval(1e-6)
    path = os.path.join(tempfile.mkdtemp(), "w.npz")
    np.savez(path, w=np.ones((4, 4), np.float32))
    calls = [
        lambda: fi.orthogonal((300, 300), seed=3),
        lambda: fi.convolutional_orthogonal((8, 8, 3, 3), seed=3),
        lambda: fi.sparse((900, 900), n_nonzero=300, seed=3),
        lambda: fi.truncated_normal((50,), correct_std=True, seed=3),
        lambda: fi.normal((600_000,), seed=3, threads=4),
        lambda: fi.he_normal((64, 64), seed=3, dtype="bfloat16"),
        lambda: fi.pretrained(path),
        lambda: fi.gain(lambda z: max(z, 0.0)),
        lambda: fi.explain("he_normal", (3, 3)),
        lambda: fi.fill({"w": (np.ma.array(np.zeros(3)).data, "ones")}, seed=0),
        lambda: fi.info()["version"],
        lambda: fi.philox4x32((0, 0, 0, 0), (0, 0)),
    ]
    count = int(sys.argv[1])
    start, results, errors = threading.Barrier(count), {}, []
    def race(first):
        start.wait()
        for k in range(len(calls)):
            k = (first + k) % len(calls)
            try:
                value = calls[k]()
                text = value.tobytes() if isinstance(value, np.ndarray) else repr(value)
                if k != 9:  # a report holds its seconds
                    results.setdefault(k, set()).add(text)
            except BaseException as error:
                errors.append((k, repr(error)[:200]))
    threads = [threading.Thread(target=race, args=(0 if count == 2 else k,)) for k in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(errors[:3], {k: len(found) for k, found in results.items() if len(found) != 1})
"""


# The reference engine draws in Python, and 200 threads of it that switch every µs take minutes.
@pytest.mark.parametrize("count", [2, pytest.param(200, marks=pytest.mark.native)])
def test_threads_may_race_to_be_the_first_use(count):
    """Imports on demand, caches and the pool, all cold, by threads that start together."""
    code = textwrap.dedent(COLD).replace("sys.argv[1]", str(count))
    assert python(code).stdout.strip() == "[] {}"
