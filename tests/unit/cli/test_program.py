"""The program: its help, and the message and exit status of a mistake.  In a process of its own:
processes/test_command_line.py.
"""

import re

import pytest

from fastinit.cli import main, program


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["materialize", "gtp2", "-o", "x"], 2, "did you mean 'gpt2'"),
        (["materialize", "absent.toml", "-o", "x"], 1, "absent.toml: No such file or directory"),
        (["materialize", "bad.toml", "-o", "x"], 2, "bad.toml:2: "),
        (["materialize", "gpt2", "-o", "absent/x"], 1, "no such folder"),
        (["materialize", "gpt2", "-o", "there"], 1, "there: exists; give --force"),
        (["materialize", "gpt2", "-o", "there/x"], 1, "there/x: Not a directory"),
        (["materialize", "gpt2", "-o", "there/x.safetensors"], 1, "is a file, not a folder"),
        (["materialize", "gpt2", "-o", "absent/x.safetensors"], 1, "no such folder"),
        (["materialize", "gpt2", "-o", "/dev/null", "--force"], 1, "is not a regular file"),
        (["materialize", "gpt2", "-o", "x", "--dtype", "flaot16"], 2, "did you mean 'float16'"),
        (["materialize", "gpt2", "-o", "x", "--threads", "0"], 2, "threads is 0"),
        (["presets", "gtp2"], 2, "did you mean 'gpt2'"),
        (["explain", "he_normla", "3", "4"], 2, "did you mean 'he_normal'"),
        (["explain", "he_normal", "3"], 2, "axes"),
        (["explain", "he_normal", "3", "x4"], 2, "'x4' is neither a size nor"),
        (["explain", "he_normal", "3", "4", "seed=3"], 2, "give --seed 3 in place of seed=3"),
        (["explain", "he_normal", "3", "4", "moed=fan_out"], 2, "did you mean 'mode'"),
        (["explain", "normal", "3", "std=1 +"], 2, "not an arithmetic expression"),
        (["explain", "normal", "3", "std=1/x"], 2, "unknown name 'x' in '1/x'"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(
    tmp_path, monkeypatch, capsys, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('[tensors]\n"a" = [-1]\n')
    (tmp_path / "there").write_text("old")
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastinit: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bad.toml", "there"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["materialise"],
        ["materialize"],
        ["materialize", "gpt2", "-o", "x", "--seed", "-1"],
        ["materialize", "gpt2", "-o", "x", "--seed", str(1 << 64)],
        ["materialize", "gpt2", "-o", "x", "--seed", "1.5"],
        ["materialize", "gpt2", "-o", "x", "--threads", "two"],
        ["info", "more"],
    ],
)
def test_a_wrong_command_line_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: fastinit" in capsys.readouterr().err


def test_help_shows_every_command_in_its_group_on_one_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 24 and max(map(len, lines)) <= 80
    for group, modules in program.GROUPS.items():
        names = [module.__name__.rpartition(".")[2] for module in modules]
        start = next(i for i, line in enumerate(lines) if line.startswith(group))
        assert [line[6:].split()[0] for line in lines[start : start + len(names)]] == names


@pytest.mark.parametrize("module", [one for group in program.GROUPS.values() for one in group])
def test_the_help_of_a_command_has_an_example_that_the_program_takes(module, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    help = capsys.readouterr().out
    assert module.EXAMPLE in help and max(map(len, help.splitlines())) <= 80
    ran = []
    monkeypatch.setattr(module, "run", lambda options: ran.append(options) or 0)
    for line in module.EXAMPLE.splitlines():
        program_name, *words = re.split(" > |  +[(]", line.strip())[0].split()
        assert program_name == "fastinit" and words[0] == name and main(words) == 0
    assert len(ran) == len(module.EXAMPLE.splitlines())


@pytest.mark.parametrize(
    ("given", "hint"),
    [("materialise", "did you mean 'materialize'?"), ("frobnicate", "give one of materialize, ")],
)
def test_an_unknown_command_gets_a_hint(given, hint, capsys):
    with pytest.raises(SystemExit) as caught:
        main([given])
    assert caught.value.code == 2
    assert f"there is no command '{given}'; {hint}" in capsys.readouterr().err


def test_the_command_without_arguments_prints_its_help(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: fastinit") and "materialize" in out and err == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["materialize", "gpt2", "--sed", "0"], "did you mean '--seed'?"),
        (["compare", "--inits", "he_normal"], "did you mean '--init'?"),
        (["info", "more"], "see fastinit info --help"),
    ],
)
def test_an_unknown_option_gets_a_hint_and_the_usage_of_its_command(arguments, hint, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"usage: fastinit {arguments[0]}")
    assert message.rstrip().endswith(hint)


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("laws", "a preset, a .toml or .json file"),
        ("spec", "a preset, a .toml or .json file"),
        ("dummy -o x", "a preset, a .toml or .json file"),
        ("materialize -o x", "a preset, a .toml or .json file"),
        ("audit", "a .safetensors, .npz or .npy file"),
        ("inspect", "a .safetensors, .npz or .npy file"),
        ("drift", "a .safetensors, .npz or .npy file"),
        ("verify", "a .safetensors file, an index"),
        ("coordcheck", "a model's folder or config.json"),
    ],
)
def test_a_path_that_is_not_there_gives_the_nearest_name_and_what_is_allowed(
    tmp_path, monkeypatch, capsys, command, allowed
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "llama.toml").touch()
    name, *options = command.split()
    assert main([name, "weights/lama.toml", *options]) == 1
    error = capsys.readouterr().err
    assert "weights/lama.toml: No such file or directory; did you mean 'llama.toml'? " in error
    assert allowed in error and error.count("\n") == 1
    assert main([name, "wieghts", *options]) in (1, 2)  # as a preset's name, it is a mistake
    error = capsys.readouterr().err.lower()
    assert "no such file" in error and "did you mean 'weights'" in error and allowed in error
