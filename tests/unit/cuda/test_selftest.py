"""fastinit selftest --cuda: what it prints on an emulated GPU, and where there is none."""

import pytest

from fastinit import cli
from fastinit._cuda import device, program, selftest

pytestmark = pytest.mark.native


@pytest.fixture
def few(monkeypatch):
    """Two quick checks and no timing, which the emulated GPU has no events for."""
    monkeypatch.setattr(selftest, "CHECKS", (selftest.words, selftest.copies))
    monkeypatch.setattr(
        selftest, "speed", lambda gpu: iter([selftest.Speed("normal", "float32", 1000, 0.5)])
    )


def test_it_says_that_all_bits_are_equal(driver, few, capsys):
    assert cli.main(["selftest", "--cuda"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("emulated GPU, sm_90, against native ")
    assert lines[1].startswith("words: equal bits (")
    assert lines[-2:] == ["normal float32: 0.500 ms, 0 G values/s", "all bits are equal"]


def test_it_fails_where_a_bit_differs(driver, few, capsys, monkeypatch):
    gpu = device.device(0, cli_host())
    monkeypatch.setattr(gpu, "copy", lambda *given: None)
    assert cli.main(["selftest", "--cuda"]) == 1
    printed = capsys.readouterr().out
    assert "copies: copied float64, C: " in printed and "1 checks failed" in printed


def cli_host():
    from fastinit._core import engine

    return engine.run


def test_without_a_driver_it_says_what_is_missing(monkeypatch, capsys):
    def missing():
        raise program.Unavailable("there is no NVIDIA driver (test)")

    monkeypatch.setattr(device, "driver", missing)
    monkeypatch.setattr(device, "_devices", {})
    assert cli.main(["selftest", "--cuda"]) == 1
    assert "there is no NVIDIA driver (test)" in capsys.readouterr().err
