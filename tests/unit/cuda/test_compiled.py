"""NVRTC compiles the kernels for every GPU and fuses nothing.

The text that NVRTC writes (PTX) names each operation.  With plain arithmetic (FI_PLAIN) it must not
hold a fused multiply-add, a flush to zero or an approximation; the faster quotient and root add
those of their own steps and no others.  A program compiled with --fmad=true must fail this test.
"""

import re

import pytest

from fastinit._cuda import program

nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
pytestmark = pytest.mark.cuda

FUSED = re.compile(rb"\b(?:fma|mad)\.(?:rn|rz|rm|rp)[.\w]*|\bmad\.[\w.]*f(?:32|64)")
LOOSE = re.compile(rb"\b[a-z]+[\w.]*\.(?:ftz|approx|full)\b[\w.]*")
# Of the faster quotient: a reciprocal and four fused steps; of the root: a reciprocal root and two.
STEPS = {b"rcp.approx.ftz.f32": 4, b"rsqrt.approx.ftz.f32": 2}


def with_flag(flag, *more):
    rest = [option for option in program.OPTIONS if not option.startswith(flag.split("=")[0])]
    return (*rest, flag, *more)


def supported():
    try:
        return [f"compute_{a}" for a in nvrtc.nvrtcGetSupportedArchs()[1]]
    except Exception:  # the library is not there: a test below says so
        return []


@pytest.fixture(scope="module")
def plain():
    return [
        program.build("compute_90", part, (*program.OPTIONS, "-DFI_PLAIN"), ptx=True)
        for part in range(program.PARTS)
    ]


def test_nvrtc_is_there():
    assert program.version()[0] >= 12


@pytest.mark.slow
@pytest.mark.parametrize("architecture", supported())
def test_the_kernels_compile_for_every_architecture(architecture):
    for part in range(program.PARTS):
        text = program.build(architecture, part, ptx=True)
        for name in program.kernels(part):
            assert f".entry {name}(".encode() in text


def test_plain_arithmetic_is_neither_fused_nor_flushed_nor_approximate(plain):
    for text in plain:
        assert not FUSED.findall(text) and not LOOSE.findall(text)
    everything = b"".join(plain)
    for needed in (
        b"mul.rn.f32",
        b"add.rn.f32",
        b"div.rn.f32",
        b"sqrt.rn.f32",
        b"div.rn.f64",
        b"sqrt.rn.f64",
        b"mul.wide.u32",
    ):
        assert needed in everything


def test_the_kernels_hold_only_the_steps_of_quotient_and_root():
    for part in range(program.PARTS):
        text = program.build("compute_90", part, ptx=True)
        loose = LOOSE.findall(text)
        assert set(loose) <= set(STEPS)
        wanted = sum(loose.count(name) * (4 if name.startswith(b"rcp") else 2) for name in STEPS)
        assert len(FUSED.findall(text)) == wanted
        assert bool(loose) == (part in (1, 2))  # normal and the central truncated normal


def test_contraction_is_seen():
    text = program.build("compute_90", 1, with_flag("--fmad=true", "-DFI_PLAIN"), ptx=True)
    assert FUSED.findall(text)


def test_flushing_to_zero_is_seen():
    text = program.build("compute_90", 1, with_flag("--ftz=true", "-DFI_PLAIN"), ptx=True)
    assert LOOSE.findall(text)


@pytest.mark.parametrize("flag", ["--prec-div=false", "--prec-sqrt=false"])
def test_approximate_quotients_and_roots_are_seen(flag):
    text = program.build("compute_90", 1, with_flag(flag, "-DFI_PLAIN"), ptx=True)
    assert LOOSE.findall(text)


def test_words_are_multiplied_as_short_ones(plain):
    """mul.wide.u32 of two words, and not a product of 64 bits, which takes three instructions."""
    rounds = plain[1].split(b".entry runs_normal_FI_F32(")[1].split(b".entry")[0]
    assert rounds.count(b"mul.wide.u32") >= 38


def test_the_machine_code_is_kept_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = program.machine_code("sm_90")
    assert len(list((tmp_path / "fastinit").iterdir())) == 1
    monkeypatch.setattr(program, "build", None)
    assert program.machine_code("sm_90") == built


def test_an_architecture_that_nvrtc_does_not_know_is_a_clear_message():
    with pytest.raises(
        program.Unavailable, match=r"NVRTC \(\d+, \d+\) does not compile the kernels for sm_12"
    ):
        program.build("sm_12", 0)
