"""fastinit picture: it writes the image, or says that matplotlib is missing."""

import sys

from fastinit import diagnostics
from fastinit.cli import main


def test_it_draws_the_picture_of_the_diagnostics(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(diagnostics, "picture", drawn.append)
    assert main(["picture", str(tmp_path / "depth.png")]) == 0
    assert drawn == [str(tmp_path / "depth.png")]


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["picture", str(tmp_path / "depth.png")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fastinit: error: ") and "matplotlib" in err and err.count("\n") == 1
