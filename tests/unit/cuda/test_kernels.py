"""The kernels of a GPU thread on an emulated GPU: the contract's vectors, and every length, offset,
stride and region.

Equal bits, never a tolerance.  That the compiler for real GPUs keeps these bits is tested in
test_compiled.py, and on a real card by benchmarks/cuda.py.
"""

import emulated
import numpy as np
import pytest
from vector_cases import DRAWN, DTYPES, NARROW, compare_draws, stored_by_normal

from fastinit._core import engine
from fastinit._core.dtypes import UNIFORM
from fastinit._core.jobs import Job
from fastinit._cuda import answers, device, launch, program, selftest

ON_A_CARD_ONLY = {"graph_replay", "every_word", "beyond_32_bits", "a_billion_values"}
EMULATED = [check for check in selftest.CHECKS if check.__name__ not in ON_A_CARD_ONLY]
pytestmark = pytest.mark.native  # the host that is right


def host(jobs):
    engine.run(jobs)


@pytest.fixture
def gpu(driver):
    return device.device(0, host)


def drawn_on(gpu):
    """A function that runs jobs of host arrays as the GPU runs those of its own memory."""

    def run(jobs):
        gpu.run(jobs, 0)

    return run


def test_the_known_answers_equal_the_hosts(gpu):
    assert gpu.refused == frozenset()


def test_contraction_is_found_by_the_known_answers(monkeypatch, contracted):
    emulated.install(monkeypatch, contracted)
    with pytest.warns(RuntimeWarning, match="does not give the promised bits in"):
        gpu = device.device(0, host)
    assert {"runs_normal_FI_F32", "region_normal", "runs_normal_FI_F64"} <= gpu.refused
    assert not {name for name in gpu.refused if "words" in name or "constant" in name}


def test_a_refused_kernel_is_not_used_and_others_are(monkeypatch, contracted):
    emulated.install(monkeypatch, contracted)
    with pytest.warns(RuntimeWarning):
        gpu = device.device(0, host)
    normal = Job(np.empty(3, np.uint32), 2, 1, 0, 0, 0, (0.0, 1.0), 0, (1,))
    assert not gpu.draws(normal)
    assert gpu.draws(normal._replace(draw=5 - 1, storage=6, parameters=()))  # words


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("table", DRAWN)
def test_the_kernels_draw_the_vectors(gpu, table, dtype):
    compare_draws(table, dtype, drawn_on(gpu))


@pytest.mark.parametrize("dtype", NARROW)
def test_the_kernels_store_the_vectors(gpu, dtype):
    jobs, wanted = stored_by_normal(dtype)
    drawn_on(gpu)(jobs)
    assert (np.concatenate([one.out for one in jobs]) == wanted).all()


@pytest.mark.parametrize("check", EMULATED, ids=lambda check: check.__name__)
def test_each_check_of_the_selftest_passes(gpu, check):
    (result,) = selftest.run(gpu, host, (check.__name__,))
    assert result.difference is None


@pytest.mark.parametrize(
    "check",
    [c for c in EMULATED if c.__name__ not in ("words", "copies")],
    ids=lambda c: c.__name__,
)
def test_each_check_of_the_selftest_finds_contraction(monkeypatch, contracted, check):
    emulated.install(monkeypatch, contracted)
    with pytest.warns(RuntimeWarning):
        gpu = device.device(0, host)
    (result,) = selftest.run(gpu, host, (check.__name__,))
    assert result.difference is not None


@pytest.mark.parametrize("processors", [1, 2, 132])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 4096, 300_001])
def test_how_work_is_cut_into_blocks_does_not_change_bits(monkeypatch, library, processors, count):
    emulated.install(monkeypatch, library, processors=processors)
    gpu = device.device(0, host)
    out, wanted = np.full(count, 0xAA, np.uint16), np.full(count, 0x55, np.uint16)
    job = Job(out, UNIFORM, 2, 7, 8, 0, (-0.25, 1.0, -0.25, 0.75), 13, (1,))
    gpu.run([job], 0)
    host([job._replace(out=wanted)])
    assert (out == wanted).all()


def test_a_thousand_tensors_need_few_launches(gpu, driver):
    memory = np.zeros((1000, 5000), np.float32).view(np.uint32)
    jobs = [Job(row, 2, 1, 3, k, 0, (0.0, 0.02), 0, (1,)) for k, row in enumerate(memory)]
    before = driver.calls["cuLaunchKernel"]
    gpu.run(jobs, 0)
    assert driver.calls["cuLaunchKernel"] - before == -(-1000 // launch.RUNS) <= 11


def test_a_fill_neither_waits_nor_allocates(gpu, driver):
    before = dict(driver.calls)
    out = np.zeros((30, 40), np.float32).view(np.uint32)
    gpu.run([Job(out[:, :17], 2, 1, 3, 4, 0, (0.0, 0.02), 0, (40, 1))], 0)
    gpu.fill(out.ctypes.data, out.size, 4, (2, 1, (0.0, 0.02)), 3, 4, 0)
    changed = {name for name, count in driver.calls.items() if count != before.get(name)}
    assert changed == {"cuCtxGetCurrent", "cuCtxPushCurrent", "cuCtxPopCurrent", "cuLaunchKernel"}


def test_the_callers_context_comes_back(gpu, driver):
    driver.contexts.append(5)
    gpu.fill(np.zeros(8, np.uint32).ctypes.data, 8, 4, (2, 1, (0.0, 0.02)), 3, 4, 0)
    assert driver.contexts[-1] == 5


def test_a_copy_inside_a_capture_is_refused(gpu, driver):
    driver.captured = True
    out = np.zeros(8, np.uint32)
    view = selftest.Bench(gpu, host).on_gpu(out.ctypes.data, out)
    with pytest.raises(RuntimeError, match="a CUDA graph cannot capture"):
        gpu.copy(np.ones(8, np.uint32), view)
    assert not out.any()


def test_every_draw_and_storage_has_a_known_answer():
    asked = {
        launch.kernel_of(*question, run)
        for question in answers.questions()
        for run in (True, False)
    }
    assert asked == {name for part in range(program.PARTS) for name in program.kernels(part)}
