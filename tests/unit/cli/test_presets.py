"""fastinit presets: the list, and one preset."""

from fastinit import checkpoint
from fastinit.cli import main


def test_presets_are_listed_and_printed(capsys):
    assert main(["presets"]) == 0
    assert capsys.readouterr().out.split() == list(checkpoint.presets())
    assert main(["presets", "gpt2"]) == 0
    assert capsys.readouterr().out == checkpoint.preset("gpt2")
