"""The values of options: what is allowed, in a short message however long the text was."""

import pytest

from fastinit.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["materialize", "gpt2", "-o", "x", "--seed", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--threads", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--threads", "-1"],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "9" * 5000],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "0"],
        ["materialize", "gpt2", "-o", "x", "--shard-size", "5XB"],
        ["materialize", "gpt2", "-o", "x", "--rank", "9" * 5000, "--world-size", "2"],
        ["materialize", "gpt2", "-o", "x", "--rank", "2", "--world-size", "2", "--seed", "0"],
        ["materialize", "gpt2", "-o", "x", "--rank", "2", "--seed", "0"],
        ["materialize", "gpt2", "-o", "x", "--rank", "0", "--world-size", "2"],
        ["materialize", "gpt2", "-o", "x.safetensors", "--shard-size", "5"],
        ["materialize", "g" * 100_000, "-o", "x"],
        ["verify", "x", "--sample", "2"],
        ["verify", "x", "--sample", "nan"],
        ["explain", "he_normal", "9" * 5000],
        ["explain", "normal", "3", "std=" + "9" * 5000],
        ["explain", "normal", "3", "std=" + "x" * 100_000],
        ["explain", "normal", "3", "mean=(" + "9" * 900 + ")"],
        ["explain", "normal", "3", "x" * 100_000 + "=1"],
        ["explain", "normal", "3", "name=" + "x" * 100_000],
        ["explain", "normal", "x" * 100_000],
        ["explain", "normal", "3", "--seed", "9" * 5000],
    ],
)
def test_a_bad_argument_however_long_has_a_short_message(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: " in err
    assert len(err.split("error: ", 1)[1]) < 500
    assert list(tmp_path.iterdir()) == []
