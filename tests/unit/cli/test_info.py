"""fastinit info and --version."""

import json

import pytest

import fastinit as fi
from fastinit._core import engine
from fastinit.cli import main


def test_info_and_version(capsys):
    assert main(["info"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(fi.info())
    assert lines["engine"] == fi.info()["engine"]
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == fi.info()
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastinit {fi.info()['version']}\n"


def test_gpus_are_named_in_words(capsys, monkeypatch):
    for found, shown in (({}, "none"), ({"cuda:0": "NVIDIA H100"}, "cuda:0: NVIDIA H100")):
        monkeypatch.setattr(engine, "gpus", lambda found=found: found)
        assert main(["info"]) == 0
        assert f"\ncuda: {shown}\n" in capsys.readouterr().out
