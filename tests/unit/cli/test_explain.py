"""fastinit explain: the words on the command line are the arguments of fi.explain; the table and
the JSON say what the one line says.
"""

import json
import re

import pytest

import fastinit as fi
from fastinit.cli import main
from fastinit.explain import facts

CASES = [
    (
        ["he_normal", "768", "3072", "mode=fan_out", "negative_slope=1/4", "layout=io"]
        + ["--name", "up", "--seed", "1", "--dtype", "bfloat16"],
        ("he_normal", (768, 3072)),
        {"mode": "fan_out", "negative_slope": 0.25, "layout": "io"}
        | {"name": "up", "seed": 1, "dtype": "bfloat16"},
    ),
    (
        ["xavier_uniform", "4", "5", "6", "in_axis=0,2", "out_axis=1"],
        ("xavier_uniform", (4, 5, 6)),
        {"in_axis": (0, 2), "out_axis": 1},
    ),
    (["truncated_normal", "3", "std=0.02"], ("truncated_normal", 3), {"std": 0.02}),
    (
        ["uniform", "3", "low=-0.1", "--dtype", "float64"],
        ("uniform", 3),
        {"low": -0.1, "dtype": "float64"},
    ),
    (["constant", "value=3", "--dtype", "int8"], ("constant", ()), {"value": 3, "dtype": "int8"}),
    (["orthogonal", "8", "8", "--name", "w" * 300], ("orthogonal", (8, 8)), {"name": "w" * 300}),
]
every_case = pytest.mark.parametrize(("words", "positional", "keywords"), CASES)


@every_case
def test_the_table_says_every_part_of_the_line(words, positional, keywords, capsys):
    assert main(["explain", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    table = "".join(lines).replace(" ", "")
    line = fi.explain(*positional, **keywords)
    first, *parts = line.split("; ")
    for part in [first.split(": ", 1)[1], *parts]:
        for word in re.split(", | [(](?=std after)", part.removeprefix("seed ")):
            assert word.strip("()").replace(" ", "") in table, word
    assert lines[0].split() == ["initializer", positional[0]]


def test_an_infinite_bound_has_no_hexadecimal_form(capsys):
    assert main(["explain", "truncated_normal", "3", "low=-inf", "high=inf"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["low", "-inf"] in lines and ["high", "inf"] in lines


def test_the_json_of_an_infinite_bound_is_json(capsys):
    assert main(["explain", "truncated_normal", "3", "low=0", "high=inf", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: 1 / 0)
    assert found["high"] == found["arguments"]["high"] == "inf" and found["low"] == 0.0


@every_case
def test_the_json_is_one_line_that_reads_back_as_the_facts(words, positional, keywords, capsys):
    assert main(["explain", *words, "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = facts(*positional, **keywords)
    assert json.loads(out) == json.loads(json.dumps(found))
    assert found["shape"] == tuple(json.loads(out)["shape"])
    assert ("seed" in found) == (positional[0] != "constant")


def test_the_path_of_a_file_is_text_and_no_expression(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "pretrained", "8", "path=a/b-1.npz"]) == 1
    assert capsys.readouterr().err.endswith("a/b-1.npz: No such file or directory\n")
