"""The values of options: what is allowed, in a short message however long the text was."""

import argparse

import pytest

from fastinit import checkpoint, inspection
from fastinit.cli import main, options, program


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


# A command line of each command that needs a value; FILE and SPEC are there.
GOOD = {
    "audit": ["FILE.safetensors"],
    "compare": ["--init=he_normal", "--activation=relu", "--depth=2", "--width=4", "--batch=2"],
    "coordcheck": ["absent.json"],
    "drift": ["FILE.safetensors"],
    "dummy": ["SPEC.toml", "--output=NEW.safetensors", "--dry-run"],
    "explain": ["normal", "3"],
    "info": [],
    "inspect": ["FILE.safetensors"],
    "laws": ["SPEC.toml", "LAWS.toml"],
    "materialize": ["SPEC.toml", "--output=NEW.safetensors", "--dry-run"],
    "presets": ["gpt2"],
    "selftest": ["--cuda"],
    "spec": ["SPEC.toml"],
    "verify": ["FILE.safetensors"],
}
MODULES = {
    module.__name__.rpartition(".")[2]: module
    for group in program.GROUPS.values()
    for module in group
}
WRONG = ["9" * 5000, "x" * 500_000, "\ud800", "a\0b", "", "nan", "-1", "[0]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    spec = {"tensors": {"w": {"shape": [4, 4], "initializer": "normal"}}}
    checkpoint.materialize(spec, folder / "FILE.safetensors", seed=0)
    (folder / "SPEC.toml").write_text(checkpoint.describe(spec))
    (folder / "LAWS.toml").write_text(inspection.laws_toml(inspection.laws(spec)))
    return folder


def lines(name):
    """The good line with a wrong value of each option and each argument in turn."""
    parser = argparse.ArgumentParser()
    MODULES[name].add_options(parser)
    place = 0
    for action in parser._actions:
        flag = action.option_strings[-1] if action.option_strings else None
        for text in WRONG if action.nargs != 0 else ():
            if flag:
                yield [
                    *(word for word in GOOD[name] if not word.startswith(flag)),
                    f"{flag}={text}",
                ]
            elif not text.startswith("-"):
                yield [*GOOD[name][:place], text, *GOOD[name][place + 1 :]]
        place += not flag


def test_every_command_is_here():
    assert GOOD.keys() == MODULES.keys()


@pytest.mark.parametrize("name", GOOD)
def test_wrong_values_of_every_option_have_a_short_message(name, folder, monkeypatch, capsys):
    """Or the command takes them, as a tensor's name for example; nothing else happens, and nothing
    is written.
    """
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in folder.iterdir())
    for line in lines(name):
        try:
            status = main([name, *line])
        except SystemExit as error:
            status = error.code
        out, err = capsys.readouterr()
        where = [word[:40] for word in line]
        assert status in (0, 1, 2), where
        if status == 2:
            message = err.split("error: ", 1)[1].split("; known are")[0].split("; there are")[0]
            assert out == "" and len(message) < 400, (where, message[:500])
        assert sorted(path.name for path in folder.iterdir()) == before, where


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-0.1", "x" * 100_000, ""])
def test_a_rate_is_a_finite_number_above_zero(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a finite number above 0"):
        options.rate(text)
    assert options.rate("0.003") == 0.003


def test_a_long_name_is_explained_at_once_and_shown_by_its_ends(capsys):
    """To fold a name of megabytes into lines of 80 columns took minutes."""
    assert main(["explain", "zeros", "3", "--name", "x" * 3_000_000]) == 0
    assert main(["explain", "normal", "3", "--name", "a" * 3_000_000 + "b"]) == 0
    out = capsys.readouterr().out
    assert len(out) < 2000 and "aaa…aaa" in out and "b'" in out
