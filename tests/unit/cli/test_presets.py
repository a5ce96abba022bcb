"""fastinit presets: the list, and one preset."""

from fastinit import checkpoint
from fastinit.cli import main


def test_presets_are_listed_and_printed(capsys):
    assert main(["presets"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["preset", "model", "parameters", "dtype", "size"]
    assert [line.split()[0] for line in lines] == list(checkpoint.presets())
    assert "gpt2            GPT-2                124 M  float32     0.5 GB" in lines
    assert "llama-3-8b      Llama 3 8B          8.03 B  bfloat16     16 GB" in lines
    assert max(map(len, lines)) <= 80
    assert main(["presets", "gpt2"]) == 0
    assert capsys.readouterr().out == checkpoint.preset("gpt2")
