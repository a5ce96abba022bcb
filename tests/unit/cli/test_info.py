"""fastinit info and --version."""

import pytest

import fastinit as fi
from fastinit.cli import main


def test_info_and_version(capsys):
    assert main(["info"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(fi.info())
    assert lines["engine"] == fi.info()["engine"]
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastinit {fi.info()['version']}\n"
