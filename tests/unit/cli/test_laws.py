"""fastinit laws: a file of laws, the check against it, and two models compared."""

import json

import pytest

from fastinit.cli import main


def test_laws_kept_in_a_file_check_the_model_they_came_from(tmp_path, capsys):
    assert main(["laws", "gpt2"]) == 0
    path = tmp_path / "laws.toml"
    path.write_text(capsys.readouterr().out)
    assert main(["laws", "--check", str(path), "gpt2"]) == 0
    assert "equal laws" in capsys.readouterr().out
    line = '"transformer.wpe.weight" = '
    path.write_text(path.read_text().replace("std = 0.004082483", "std = 0.02"))
    assert main(["laws", "--check", str(path), "gpt2"]) == 1
    shown = capsys.readouterr().out.replace("\n    ", " ").splitlines()
    name = "transformer.h.{0..11}.attn.c_proj.weight (768, 768)"
    assert f"- {name}: normal, mean 0, std 0.02" in shown
    assert f"+ {name}: normal, mean 0, std 0.004082483" in shown
    assert len(shown) == 2 + 2 * 2 and line not in shown


def test_the_page_has_a_row_for_each_tensor(tmp_path, capsys):
    page = tmp_path / "laws.html"
    assert main(["laws", "gpt2", "--html", str(page)]) == 0
    assert '"transformer.wte.weight" = ' in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert '"transformer.h.11.attn.c_proj.weight"' in text
    assert "149 tensors, 0 with findings" in text
    assert '"label":"std"' in text and '"label":"blocks"' not in text  # no law has any
    assert main(["laws", "gpt2", "gpt2", "--html", str(page)]) == 2


def test_two_models_are_compared_as_text_and_as_json(capsys):
    assert main(["laws", "gpt2", "gpt2"]) == 0
    capsys.readouterr()
    assert main(["laws", "gpt2", "gpt2-xl", "--json"]) == 1
    pairs = json.loads(capsys.readouterr().out)
    assert [None, "constant"] in [[one and one["law"], two["law"]] for one, two in pairs]


def test_a_function_of_a_module_gives_the_model(tmp_path, capsys, monkeypatch):
    source = "def make():\n    return {'tensors': {'w': {'shape': [2], 'initializer': 'ones'}}}\n"
    (tmp_path / "my_models.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["laws", "my_models:make"]) == 0
    assert '"w" = { shape = [2], law = "constant", value = 1.0' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_module:make"], "give a function that Python can import"),
        (["math:pi"], "is float"),
        (["--check", "a.toml", "gpt2", "gpt2-xl"], "leave OTHER out"),
        (["gpt22"], "unknown preset"),
    ],
)
def test_what_has_no_laws_gives_one_line(capsys, arguments, message):
    assert main(["laws", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
