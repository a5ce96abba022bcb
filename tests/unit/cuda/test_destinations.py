"""Destinations on a GPU, through the façade: what is accepted and what is refused.

The GPU is emulated; the bits must equal those of the host, and the golden hashes.
"""

import importlib.util
import threading
from pathlib import Path

import emulated
import numpy as np
import pytest
from emulated import ByDlpack, OnGpu

import fastinit as fi
from fastinit._core.dtypes import DTYPES, FLOATING
from fastinit._cuda import device, lend, program

_golden = importlib.util.spec_from_file_location(
    "golden", Path(__file__).parents[2] / "contract" / "test_golden_hashes.py"
)
golden = importlib.util.module_from_spec(_golden)
_golden.loader.exec_module(golden)
pytestmark = pytest.mark.native  # the host that is right


def array_of(shape, dtype, order="C"):
    dtype = DTYPES[dtype]
    return np.full(shape, 0xAA, dtype.unsigned, order=order).view(dtype.numpy())


def bits(array):
    return np.ascontiguousarray(array).view(DTYPES[array.dtype.name].unsigned)


@pytest.mark.parametrize("dtype", [dtype.name for dtype in FLOATING])
@pytest.mark.parametrize("row", golden.CASES, ids=lambda row: row[0])
def test_every_initializer_has_its_golden_hash_on_a_gpu(driver, row, dtype):
    name, shape, arguments = row
    memory = array_of(shape, dtype)
    known = memory.dtype.isbuiltin == 1
    typestr = memory.dtype.str if known else f"|V{memory.itemsize}"  # what NumPy cannot name
    out = OnGpu(memory, typestr=typestr)
    function = golden._table.INITIALIZERS[name]
    assert function(out=out, dtype=dtype, seed=golden.SEED, name=golden.NAME, **arguments) is out
    found = golden.hashlib.sha256(memory.tobytes()).hexdigest()
    assert found == golden.golden()[golden.case(*row, dtype)]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["he_normal", "orthogonal", "eye", "zeros"])
def test_a_region_and_any_strides(driver, name, order):
    function = getattr(fi, name)
    whole = function((30, 40), seed=3)
    memory = array_of((11, 17), "float32", order)
    region = (slice(4, 15), slice(20, 37))
    function((30, 40), seed=3, region=region, out=OnGpu(memory))
    assert (bits(memory) == bits(whole[region])).all()


def test_gaps_between_values_are_not_touched(driver):
    memory = array_of((20, 30), "float32")
    fi.normal(out=OnGpu(memory[::2, 1::3]), seed=1)
    fi.orthogonal(out=OnGpu(memory[1::2, 1::3]), seed=1)
    untouched = np.ones((20, 30), bool)
    untouched[:, 1::3] = False
    assert (memory.view(np.uint32)[untouched] == 0xAA).all()
    assert (bits(memory[::2, 1::3]) == bits(fi.normal((10, 10), seed=1))).all()
    assert (bits(memory[1::2, 1::3]) == bits(fi.orthogonal((10, 10), seed=1))).all()


def test_elementwise_draws_are_launched_and_not_copied(driver):
    fi.normal(out=OnGpu(array_of((8, 8), "float32")), seed=1)
    before = dict(driver.calls)
    fi.he_normal(out=OnGpu(array_of((8, 8), "float32")), seed=1)
    fi.zeros(out=OnGpu(array_of((8, 8), "float16")))
    assert driver.calls["cuLaunchKernel"] == before["cuLaunchKernel"] + 2
    for call in ("cuMemcpyHtoDAsync", "cuStreamSynchronize", "cuMemAlloc", "cuMemAllocAsync"):
        assert driver.calls.get(call) == before.get(call)


def test_dlpack_is_used_where_there_is_no_array_interface(driver):
    memory = array_of((5, 7), "float64")
    fi.xavier_uniform(out=ByDlpack(memory), seed=9)
    assert (bits(memory) == bits(fi.xavier_uniform((5, 7), seed=9, dtype="float64"))).all()


def test_fill_takes_memory_of_the_cpu_and_of_gpus_together(driver):
    memory = {key: array_of((40, 9), "float32") for key in "ab"}
    memory |= {"c": array_of(9, "float32"), "d": array_of((9, 9), "float32")}
    driver.ordinals[memory["c"].ctypes.data] = 1
    chosen = {"a": "he_normal", "b": "he_normal", "c": "ones", "d": "orthogonal"}
    entries = {
        key: (memory[key] if key == "a" else OnGpu(memory[key]), name)
        for key, name in chosen.items()
    }
    done = []
    report = fi.fill(entries, seed=2, progress=done.append)
    assert report.values == sum(done) == 2 * 360 + 9 + 81
    assert sorted(device._devices) == [0, 1]
    for key, name in chosen.items():
        wanted = getattr(fi, name)(memory[key].shape, seed=2, name=key)
        assert (bits(memory[key]) == bits(wanted)).all()


def test_overlapping_buffers_on_a_gpu_are_refused(driver):
    memory = array_of((10, 10), "float32")
    with pytest.raises(ValueError, match="overlap in memory"):
        fi.fill({"a": (OnGpu(memory), "zeros"), "b": (OnGpu(memory[5:]), "zeros")}, seed=0)


def test_the_stream_is_the_one_that_the_array_names(driver):
    seen = []
    launch = driver.cuLaunchKernel
    driver.cuLaunchKernel = lambda *given: seen.append(given[8]) or launch(*given)
    fi.normal(out=OnGpu(array_of(8, "float32"), stream=1234), seed=1)
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    assert seen[-2:] == [1234, 0]


def test_a_device_other_than_the_current_one_is_made_current_and_put_back(driver):
    memory = array_of(8, "float32")
    driver.ordinals[memory.ctypes.data] = 3
    driver.contexts.append(1000)  # of GPU 0
    fi.normal(out=OnGpu(memory), seed=1)
    assert driver.contexts[-1] == 1000 and list(device._devices) == [3]
    assert (bits(memory) == bits(fi.normal(8, seed=1))).all()


def test_no_elements_need_no_driver(monkeypatch):
    def no_driver():
        raise AssertionError("the driver was asked")

    monkeypatch.setattr(device, "driver", no_driver)
    out = OnGpu(array_of((0, 3), "float32"))
    assert fi.normal(out=out, seed=1) is out


# ---------------------------------------------------------------------------------- what is refused


def test_a_read_only_interface_is_refused(driver):
    with pytest.raises(ValueError, match="out is read-only"):
        fi.normal(out=OnGpu(array_of(8, "float32"), readonly=True), seed=1)


def test_a_masked_array_is_refused(driver):
    with pytest.raises(TypeError, match="masked array on a GPU"):
        fi.normal(out=OnGpu(array_of(8, "float32"), mask=object()), seed=1)


def test_memory_that_cuda_does_not_know_is_refused(driver):
    memory = array_of(8, "float32")
    driver.foreign.add(memory.ctypes.data)
    with pytest.raises(ValueError, match="is not memory that CUDA knows"):
        fi.normal(out=OnGpu(memory), seed=1)
    assert (bits(memory) == 0xAA).all()


@pytest.mark.parametrize("change", [{"shape": None}, {"typestr": "zz"}, {"data": 5}])
def test_a_broken_interface_is_refused_with_a_clear_message(driver, change):
    with pytest.raises(TypeError, match="__cuda_array_interface__ that"):
        fi.normal(out=OnGpu(array_of(8, "float32"), **change), seed=1)


def test_a_window_view_is_refused(driver):
    memory = array_of(8, "float32")
    with pytest.raises(ValueError, match="out overlaps itself"):
        fi.normal(out=OnGpu(memory, shape=(3, 4), strides=(4, 4)), seed=1)


def test_another_shape_or_dtype_is_refused(driver):
    with pytest.raises(ValueError, match=r"out has shape \(8,\)"):
        fi.normal((4,), out=OnGpu(array_of(8, "float32")), seed=1)
    with pytest.raises(TypeError, match="dtype float32"):
        fi.normal(out=OnGpu(array_of(8, "float32")), dtype="float64", seed=1)


def test_values_of_the_host_inside_a_capture_are_refused_and_draws_are_not(driver):
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    driver.captured = True
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    with pytest.raises(RuntimeError, match="a CUDA graph cannot capture"):
        fi.orthogonal(out=OnGpu(array_of((4, 4), "float32")), seed=1)


def test_the_first_use_may_lie_inside_a_capture(driver):
    seen = []
    load = driver.cuModuleLoadData
    driver.cuModuleLoadData = lambda part: seen.append(driver.mode) or load(part)
    driver.captured = True
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    assert set(seen) == {2} and driver.mode == 0


def test_the_cpu_cannot_touch_a_view():
    from fastinit._cuda.view import view

    one = view(4096, (3, 4), None, np.dtype("u4"), ordinal=2, stream=5, owner=None)
    assert repr(one[1:, 0]) == str(one[1:, 0]) == "<uint32 memory of shape (2,) on cuda:2>"
    assert (one[0, 0].shape, one[0, 0].ordinal, one.T[1:].stream) == ((), 2, 5)
    for touch in (
        lambda: one + 1,
        lambda: one.tolist(),
        lambda: one.fill(0),
        lambda: one.__setitem__(0, 1),
        lambda: one[[0, 1]],
        lambda: bool(one),
        lambda: list(one),
    ):
        with pytest.raises(TypeError):
            touch()


def test_misaligned_memory_is_refused_whatever_its_dtype_is_called(driver):
    memory = np.zeros(18, np.uint8)
    for typestr in ("<u2", "|V2"):
        out = OnGpu(memory, data=(memory.ctypes.data + 1, False), shape=(8,), typestr=typestr)
        with pytest.raises(ValueError, match="out is misaligned"):
            fi.zeros(out=out, dtype="uint16" if typestr == "<u2" else "bfloat16")


@pytest.mark.parametrize("change", [{"data": (None, False)}, {"strides": 3}, {"stream": "now"}])
def test_an_interface_with_wrong_entries_is_refused_with_a_clear_message(driver, change):
    with pytest.raises(TypeError, match="__cuda_array_interface__ that cannot be read"):
        fi.normal(out=OnGpu(array_of(8, "float32"), **change), seed=1)


def test_a_tensor_without_memory_is_refused():
    from fastinit._cuda.view import view

    with pytest.raises(ValueError, match="has no memory"):
        view(0, (3,), None, np.dtype("u4"), ordinal=0, stream=0, owner=None)


class torch_tensor:
    """What a torch tensor on a GPU answers."""

    __module__ = "torch"
    is_cuda, requires_grad, layout = True, False, "torch.strided"
    is_neg = is_conj = staticmethod(lambda: False)

    def __init__(self, dtype):
        self.dtype = dtype


def test_a_complex_torch_tensor_is_refused_with_a_clear_message(driver):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="unknown dtype 'complex128'"):
        fi.zeros(out=torch_tensor(torch.complex128))


def test_a_fill_whose_gpu_fails_writes_nothing(driver):
    one, two = array_of(8, "float32"), array_of(8, "float32")
    driver.ordinals[two.ctypes.data] = 1
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    driver.fails["cuDevicePrimaryCtxRetain"] = emulated.Status.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(RuntimeError, match="OUT_OF_MEMORY"):
        fi.fill({"a": (OnGpu(one), "ones"), "b": (OnGpu(two), "ones")}, seed=0)
    assert (bits(one) == 0xAA).all()


@pytest.mark.parametrize("name", ["orthogonal", "refused"])
def test_a_fill_that_needs_the_host_inside_a_capture_writes_nothing(driver, name):
    one, two = array_of((4, 4), "float32"), array_of((4, 4), "float64")
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    driver.captured = True
    device._devices[0].refused = frozenset(["runs_normal_FI_F64"])
    entries = {"a": (OnGpu(one), "ones")}
    entries["b"] = (OnGpu(two), "normal" if name == "refused" else name)
    with pytest.raises(RuntimeError, match="a CUDA graph cannot capture"):
        fi.fill(entries, seed=0)
    assert (bits(one) == 0xAA).all()


@pytest.mark.parametrize("call", ["cuLaunchKernel", "cuMemcpyHtoDAsync", "cuStreamIsCapturing"])
def test_a_call_that_fails_leaves_the_context_as_it_was(driver, call):
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    driver.contexts.append(5)
    driver.fails[call] = emulated.Status.CUDA_ERROR_INVALID_VALUE
    function = fi.normal if call == "cuLaunchKernel" else fi.orthogonal
    with pytest.raises(RuntimeError, match="CUDA failed with CUDA_ERROR_INVALID_VALUE"):
        function(out=OnGpu(array_of((4, 4), "float32")), seed=1)
    assert driver.contexts == [0, 5]


def test_a_full_gpu_is_filled_from_the_host_without_memory_beside(driver):
    memory = array_of((6, 10), "float32", "F")
    driver.fails["cuMemAllocAsync"] = emulated.Status.CUDA_ERROR_OUT_OF_MEMORY
    fi.orthogonal(out=OnGpu(memory), seed=4)
    assert (bits(memory) == bits(fi.orthogonal((6, 10), seed=4))).all()


def test_a_forked_process_gets_an_error_that_says_to_spawn(driver):
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    for call in ("cuCtxGetCurrent", "cuCtxPushCurrent"):
        driver.fails[call] = emulated.Status.CUDA_ERROR_NOT_INITIALIZED
    with pytest.raises(RuntimeError, match="forked after CUDA was used"):
        fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)


# -------------------------------------------------------------------------------- what is not there


def test_without_a_driver_the_message_says_what_is_missing(monkeypatch):
    def missing():
        raise program.Unavailable("there is no NVIDIA driver (test); install one")

    monkeypatch.setattr(device, "driver", missing)
    monkeypatch.setattr(lend, "driver", missing)
    memory = array_of((8, 8), "float32")
    outs = [OnGpu(memory), ByDlpack(memory)]
    if importlib.util.find_spec("torch") is not None:
        import torch

        outs.append(torch_tensor(torch.float32))
    for out in outs:
        for function in (fi.normal, fi.orthogonal):
            with pytest.raises(ValueError, match="out lies on a GPU, which fastinit cannot reach"):
                function(out=out, seed=1)


def test_a_driver_too_old_for_the_compiler_means_the_host_draws(driver):
    driver.fails["cuModuleLoadData"] = emulated.Status.CUDA_ERROR_INVALID_IMAGE
    memory = array_of((6, 10), "float32")
    with pytest.warns(RuntimeWarning, match=r"driver, for CUDA 12\.4, does not load the kernels"):
        fi.he_normal(out=OnGpu(memory), seed=4)
    assert (bits(memory) == bits(fi.he_normal((6, 10), seed=4))).all()
    assert "does not load the kernels" in fi.info()["cuda"]["cuda:0"]


def test_a_gpu_that_is_full_at_first_use_is_tried_again(driver):
    driver.fails["cuModuleLoadData"] = emulated.Status.CUDA_ERROR_OUT_OF_MEMORY
    memory = array_of(8, "float32")
    with pytest.raises(RuntimeError, match="OUT_OF_MEMORY"):
        fi.normal(out=OnGpu(memory), seed=1)
    assert driver.contexts == [0] and not device._devices
    driver.fails.clear()
    fi.normal(out=OnGpu(memory), seed=1)
    assert (bits(memory) == bits(fi.normal(8, seed=1))).all()


def test_many_threads_may_race_to_be_the_first(driver):
    memory = array_of((200, 40), "float32")
    barrier = threading.Barrier(200)

    def first(row):
        barrier.wait()
        fi.normal(out=OnGpu(row), seed=1)

    threads = [threading.Thread(target=first, args=(row,)) for row in memory]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.calls["cuDevicePrimaryCtxRetain"] == 1
    assert (bits(memory) == bits(fi.normal(40, seed=1))).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_without_a_compiler_the_host_draws_and_a_warning_says_so(driver, monkeypatch, order):
    def missing(architecture):
        raise program.Unavailable("NVRTC does not load (test)")

    monkeypatch.setattr(program, "machine_code", missing)
    memory = array_of((6, 10), "float32", order)
    with pytest.warns(RuntimeWarning, match="NVRTC does not load"):
        fi.he_normal(out=OnGpu(memory), seed=4)
    assert (bits(memory) == bits(fi.he_normal((6, 10), seed=4))).all()
    assert "cuLaunchKernel" not in driver.calls
    assert "NVRTC does not load" in fi.info()["cuda"]["cuda:0"]


def test_a_refused_kernel_is_drawn_on_the_host(monkeypatch, contracted):
    emulated.install(monkeypatch, contracted)
    memory = array_of((60, 100), "float32")
    with pytest.warns(RuntimeWarning, match="does not give the promised bits"):
        fi.he_normal(out=OnGpu(memory), seed=4)
    assert (bits(memory) == bits(fi.he_normal((60, 100), seed=4))).all()
    assert "refused" in fi.info()["cuda"]["cuda:0"]


def test_info_names_the_gpus_that_were_filled(driver):
    assert fi.info()["cuda"] == {}
    fi.normal(out=OnGpu(array_of(8, "float32")), seed=1)
    assert fi.info()["cuda"] == {"cuda:0": "emulated GPU, sm_90"}
