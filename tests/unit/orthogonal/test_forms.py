"""The Numba form against the NumPy form: equal bits for all shapes, threads, uses of memory and
LLVM targets.
"""

import os
import subprocess
import sys
import sysconfig
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from orthogonal_cases import DTYPES, force, same

import fastinit as fi
from fastinit import _jit  # noqa: E402
from fastinit._core.dtypes import FLOAT32, FLOAT64, rounded
from fastinit._orthogonal import compiled, forms, numpy_form
from fastinit._orthogonal.problem import Place, Problem

pytestmark = pytest.mark.numba

SIZES = [
    (1, 1),
    (1, 9),
    (2, 3),
    (7, 5),
    (16, 17),
    (63, 63),
    (64, 64),
    (65, 65),
    (64, 200),
    (130, 129),
    (200, 70),
    (5, 700),
]


def both(monkeypatch, call):
    force(monkeypatch, "numpy")
    expected = call()
    force(monkeypatch, "numba")
    return expected, call()


# --------------------------------------------------------------------------------------- equal bits


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("path", ["small", "large"])
def test_both_forms_give_the_same_bits(monkeypatch, dtype, path):
    monkeypatch.setattr(compiled, "SMALL", 1 << 40 if path == "small" else 0)
    for shape in SIZES:
        forms_of_it = both(
            monkeypatch,
            lambda s=shape: fi.orthogonal(s, seed=11, gain=1.41, dtype=dtype, threads=1),
        )
        assert same(*forms_of_it), shape


MEMORY = {
    "kept": {},
    "one panel": {"PANELS": 1 << 30},
    "drawn again": {"KEPT": 0},
    "drawn again in pieces": {"KEPT": 0, "DRAWN": 0, "CHUNK": 64},
    "in narrow strips": {"PANELS": 1 << 15, "PANELS_DRAWN": 1 << 15},
    "drawn again in pieces and narrow strips": {
        "KEPT": 0,
        "DRAWN": 0,
        "CHUNK": 128,
        "PANELS_DRAWN": 1 << 15,
    },
}


def part_of(form, problem, threads):
    view = np.zeros(
        (len(problem.matrices), len(problem.columns), problem.rows.stop - problem.rows.start),
        np.uint32,
    )
    form(problem, Place(view, 1, 1, problem, None), forms.draws(problem.dtype.wide, 3, 4), threads)
    return view


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize(("p", "q"), [(150, 170), (300, 300), (64, 1500), (200, 900)])
def test_neither_the_use_of_memory_nor_the_thread_count_changes_a_bit(monkeypatch, memory, p, q):
    for name, value in {"SMALL": 0, **MEMORY[memory]}.items():
        monkeypatch.setattr(compiled, name, value)
    draw = forms.draws(False, 3, 4)
    q_of_matrix = {
        t: numpy_form.columns_of_q(draw, p, q, t, np.arange(p), np.float32) for t in (0, 2)
    }
    scattered = np.sort(np.random.default_rng(p).choice(p, p // 2, replace=False))
    for columns in (np.arange(p), np.arange(p // 3, p // 2), scattered, np.array([p - 1])):
        for rows in (slice(0, q), slice(5, q - 2), slice(q // 2, q // 2 + 1)):
            problem = Problem(p, q, np.array([0, 2]), columns, rows, FLOAT32, 1.0)
            expected = np.stack(
                [q_of_matrix[t][rows, columns].T + np.float32(0) for t in (0, 2)]
            ).view(np.uint32)
            for threads in (1, 2, 3):
                assert np.array_equal(part_of(compiled.form, problem, threads), expected), (
                    len(columns),
                    rows,
                    threads,
                )


def test_thread_counts_and_batches_of_small_matrices(monkeypatch):
    expected = None
    for threads in (1, 2, 3, 7):
        heads = fi.orthogonal((37, 20, 33), batch_axis=0, seed=5, threads=threads)
        expected = heads if expected is None else expected
        assert same(heads, expected)
    force(monkeypatch, "numpy")
    assert same(fi.orthogonal((37, 20, 33), batch_axis=0, seed=5), expected)


@pytest.mark.parametrize(
    "shape", [(1 << 14, 1 << 14), (1 << 13, 1 << 13), (1 << 20, 300), (50, 1 << 22)]
)
@pytest.mark.parametrize("threads", [1, 2, 64, 1000])
@pytest.mark.parametrize("wide", [False, True])
def test_the_workspace_stays_below_256_mib_beside_the_t_factors(monkeypatch, shape, threads, wide):
    """What form_large would allocate, with every thread at work; nothing is computed."""
    monkeypatch.setattr(compiled.engine, "map_tasks", lambda *arguments: None)
    monkeypatch.setattr(compiled._pool, "acquire", lambda size: np.empty(size, np.uint8))
    p, q = sorted(shape)
    problem = Problem(
        p, q, np.zeros(1, np.int64), np.arange(p), slice(0, q), FLOAT64 if wide else FLOAT32, 1.0
    )
    filling = compiled._OrthogonalFill(problem, None, None, threads)
    filling.form_large()
    for _ in range(filling.at_work):
        filling.memory._make(), filling.panels._make()
    assert sum(piece.nbytes for piece in filling.acquired) - filling.t.nbytes <= 256 << 20


def test_a_bounded_amount_of_scratch_memory_is_kept_between_calls(monkeypatch):
    monkeypatch.setattr(compiled, "_pool", compiled.ScratchPool())
    for n in (700, 900, 700, 1100):
        fi.orthogonal((n, n), seed=0, threads=2)
    assert 0 < compiled._pool.nbytes <= compiled.POOLED
    monkeypatch.setattr(compiled, "POOLED", 1 << 20)
    fi.orthogonal((700, 700), seed=0)
    assert compiled._pool.nbytes <= 1 << 20


# --------------------------------------------------------------------- one step of a chain, exactly


def exact_fma(a, b, c):
    """a * b + c rounded once to float32, by rational arithmetic."""
    value = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if value == 0:
        return np.float32(0)
    power = max(abs(value.numerator).bit_length() - value.denominator.bit_length(), -126 + 1) - 1
    while abs(value) >= Fraction(2) ** (power + 1):
        power += 1
    unit = Fraction(2) ** (power - 23)
    return np.float32(float(round(value / unit) * unit))  # round() is to even


def hard_terms():
    """Triples whose sums fall exactly on, or very close to, the middle between two float32 values;
    and tiny and huge ones.
    """
    rng = np.random.default_rng(2)
    triples = []
    for _ in range(300):
        a, b = (
            np.float32(rng.integers(1 << 23, 1 << 24) * 2.0 ** int(rng.integers(-30, 2)))
            for _ in range(2)
        )
        product = Fraction(float(a)) * Fraction(float(b))
        c = np.float32(float(product)) * np.float32(2.0 ** int(rng.integers(-2, 26)))
        triples += [(a, b, c), (a, -b, c), (a, b, -np.float32(float(product)))]
    for k in range(-20, 20):
        # The product is 2^-24 - 2^-54: with an odd c a hair below a tie, on which the sum in
        # float64 falls.
        odd, scale = 1 + int(rng.integers(0, 1 << 22)) * 2.0**-22 + 2.0**-23, 2.0**k
        a, b = np.float32(2.0**-12 * (1 + 2.0**-15) * scale), np.float32(2.0**-12 * (1 - 2.0**-15))
        c = np.float32(odd * scale)
        # A true tie.
        triples += [
            (a, b, c),
            (-a, b, -c),
            (a, -b, c),
            (np.float32(2.0**-24 * scale), np.float32(1), c),
        ]
    for power in range(-149, -120):  # subnormal results
        tiny = np.float32(2.0**power)
        triples += [(tiny, np.float32(factor), tiny) for factor in (0.5, 1.5)]
        triples += [
            (tiny, np.float32(0.75), np.float32(0)),
            (np.float32(3 * 2.0**-75), np.float32(5 * 2.0**-72), tiny),
        ]
    return [np.array(column, np.float32) for column in zip(*triples, strict=True)]


def by_numpy(a, b, c):
    result = c.copy()
    for k in range(len(a)):
        numpy_form.chain(a[k : k + 1, None], b[k : k + 1, None], result[k : k + 1, None])
    return result


def by_numba(a, b, c):
    """Each triple as the one term of an element: rows of strips 64 wide."""
    from fastinit._jit.orthogonal import multiply

    result = np.empty_like(c)
    for k in range(len(a)):
        left, right, total = (
            np.zeros(4 * 64, np.float32),
            np.zeros(64, np.float32),
            np.zeros(4 * 64, np.float32),
        )
        left[::64], right[k % 64], total[k % 64 :: 64] = a[k], b[k], c[k]
        multiply(left, 0, 0, 4, right, 0, 1, np.empty(0, np.float32), total, 0, 0, 1)
        assert len(set(total[k % 64 :: 64].view(np.uint32))) == 1
        result[k] = total[k % 64]
    return result


@pytest.mark.parametrize("form", [by_numpy, by_numba])
def test_a_step_is_rounded_exactly_once(form):
    a, b, c = hard_terms()
    expected = np.array([exact_fma(*triple) for triple in zip(a, b, c, strict=True)])
    twice = (a.astype(np.float64) * b + c).astype(np.float32)
    found = form(a, b, c)
    assert np.array_equal(found, expected)
    assert (twice != expected).sum() > 5, "these terms would not notice a sum rounded twice"
    assert ((a * b + c) != expected).sum() > 100, "nor a product rounded by itself"


def test_rounded_agrees_with_the_test_of_this_file():
    assert exact_fma(np.float32(1 / 3), np.float32(3), 0) == rounded(
        float(np.float32(1 / 3)) * 3, FLOAT32
    )


# ------------------------------------------------------------------------ in processes of their own

WORK = """
import hashlib
import numpy as np
import fastinit as fi
from fastinit._orthogonal import compiled, forms
forms.compiled = lambda steps, wide, what: compiled
digest = hashlib.sha256()
for shape in ((1, 1), (65, 70), (200, 130), (4, 33, 20)):
    for dtype in ("float32", "float64", "float16"):
        batch = (0,) if len(shape) == 3 else ()
        w = fi.orthogonal(shape, seed=12, gain=1.41, dtype=dtype, batch_axis=batch)
        digest.update(w.view(np.uint8).tobytes())
compiled.SMALL = 0
digest.update(fi.orthogonal((300, 333), seed=13).tobytes())
digest.update(fi.convolutional_orthogonal((70, 66, 3), seed=14).tobytes())
print(digest.hexdigest())
"""


def new_process(code, **environment):
    every = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **environment,
    }
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=every, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def expected_digest():
    code = WORK.replace("forms.compiled = lambda steps, wide, what: compiled", "")
    return new_process(code, FASTINIT_ENGINE="reference")


def features_of_host():
    import llvmlite.binding

    llvmlite.binding.initialize_native_target()
    return llvmlite.binding.get_host_cpu_features()


# Not one with AVX-512: it would run only where the host has it, which compiles for it.
TARGETS = {
    "host": {},
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "haswell": {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+sse4.2",
    },
}


compiling = pytest.mark.xdist_group("llvm_targets")  # long: groups begin before single tests


@compiling
@pytest.mark.parametrize("target", TARGETS)
def test_the_bits_are_the_same_for_every_llvm_target(target, expected_digest):
    machine = sysconfig.get_platform()
    if target != "host" and not machine.endswith(("x86_64", "amd64")):
        pytest.skip(f"{target} is no target of {machine}")
    if target == "haswell" and not features_of_host().get("fma"):
        pytest.skip("this machine has no fused multiply-add")
    assert new_process(WORK, **TARGETS[target]) == expected_digest


@compiling
def test_a_step_is_rounded_exactly_once_where_no_instruction_fuses():
    """The test of this name once more, compiled for a target without fused multiply-add."""
    if not sysconfig.get_platform().endswith(("x86_64", "amd64")):
        pytest.skip("every machine of this kind fuses")
    chosen = f"{__file__}::test_a_step_is_rounded_exactly_once"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(Path(__file__).parents[3]),
    ]
    every = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **TARGETS["generic"],
    }
    done = subprocess.run(
        [*command, chosen], capture_output=True, text=True, env=every, timeout=600
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_no_openmp_runtime_is_loaded():
    maps = (
        new_process(
            "import pathlib, fastinit as fi\n"
            "fi.orthogonal((600, 600), seed=0, threads=2)\n"
            "fi.orthogonal((8, 40, 40), batch_axis=0, seed=0, threads=2)\n"
            "names = ('gomp', 'libomp', 'iomp', 'tbb', 'mkl')\n"
            "maps = pathlib.Path('/proc/self/maps').read_text().splitlines()\n"
            "files = {line.split()[-1].rsplit('/', 1)[-1] for line in maps}\n"
            "print(*[file for file in files if any(name in file for name in names)])\n"
        )
        if os.path.exists("/proc/self/maps")
        else ""
    )
    assert not maps


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_forms_the_same_matrix():
    """The parent's pool and compiled code were used before; the alarm turns a hang into a
    failure.
    """
    said = new_process(
        "import os, signal, warnings\nwarnings.filterwarnings('ignore', "
        "category=DeprecationWarning)  # 3.12 warns of forks beside threads\nimport fastinit as "
        "fi\ndef w(): return fi.orthogonal((600, 500), seed=1, threads=2).tobytes()\nwhole = "
        "w()\nchild = os.fork()\nif not child:\n    signal.alarm(60)\n    os._exit(0 if w() == "
        "whole else 3)\nprint(os.waitpid(child, 0)[1])\n"
    )
    assert said == "0"


def test_without_a_folder_for_the_cache_it_is_compiled_silently():
    said = new_process(
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from fastinit import _jit\n"
        "double = _jit.Entry(lambda x: x + x)\n"
        "print(double(3), 'CacheImpl' in str(type(double._compiled._cache)))\n"
    )
    assert said == "6 False"


def test_a_function_is_compiled_without_a_cache_that_fails(monkeypatch):
    entry = _jit.Entry(lambda x: x + x)
    entry._proven = False

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entry, "_compiled", full_disk)
    assert entry(4) == 8 and entry(5) == 10 and entry._proven


def test_a_small_matrix_imports_no_numba():
    said = new_process(
        "import sys, fastinit as fi\n"
        "fi.orthogonal((64, 64), seed=0)\n"
        "print('numba' in sys.modules)\n"
    )
    assert said == "False"
