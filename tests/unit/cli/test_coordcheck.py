"""fastinit coordcheck: the table, the figure with its JSON, the exit status, and mistakes."""

import json

import pytest

from fastinit.cli import main

SMALL = ["--widths", "32,64,128", "--steps", "1", "--layers", "1", "--vocabulary", "32"]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 64, "n_head": 2}
        )
    )
    return str(path)


@pytest.mark.frameworks
def test_a_standard_model_fails_with_its_table_and_its_figure(config, tmp_path, capsys):
    assert main(["coordcheck", config, *SMALL, "-o", str(tmp_path / "c.svg")]) == 1
    out = capsys.readouterr().out
    assert out.startswith(
        "grown with n_embd: n_head (heads of 32)\nn_layer 1 of 12, vocab_size 32 of 50257\n"
    )
    assert "coordinate check failed: " in out and max(map(len, out.splitlines()[:-1])) <= 80
    numbers = json.loads((tmp_path / "c.json").read_text())
    assert numbers["widths"] == [32, 64, 128] and numbers["passed"] is False
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["absent"], 1, "absent: No such file"),
        (["config.json", "-o", "c.gif"], 2, ".png or .svg"),
    ],
)
def test_a_mistake_is_one_line(arguments, status, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["coordcheck", *arguments, *SMALL]) == status
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_widths_are_whole_numbers_with_commas(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["coordcheck", "x", "--widths", "64,wide"])
    assert caught.value.code == 2
    assert "'wide' is not a whole number" in capsys.readouterr().err
