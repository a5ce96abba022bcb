"""The forms of reports: text, HTML, JSON."""

import copy
import json
import math
import pickle

from fastinit._core.tables import Rows, Table, as_json

HEAD = ("module", "slope", "verdict")
LONG = "model.layers.0.self_attention.query_projection.weight.of.a.model.with.long.names"


def counted(rows):
    return Table("", ("n",), [(str(row),) for row in rows], [f"{len(rows)} rows"])


def test_names_keep_their_numbers_and_their_last_word_in_a_table_of_80_columns():
    rows = [(LONG, "1.5", "pass"), ("x", "-20", "fail"), ("word" * 30, "0", "fail")]
    assert Table("", HEAD, rows).text().splitlines() == [
        f"module{'':60}slope  verdict",
        f"m.l.0.s.query_projection.weight.of.a.model.with.long.names{'':10}1.5  pass",
        f"x{'':67}-20  fail",
        f"{('word' * 30)[:21]}…{('word' * 30)[-42:]}      0  fail",
    ]
    rows = [(f"model.layers.{layer}.mlp.experts.down_proj.weight", "w" * 60) for layer in (8, 10)]
    names = [line.split()[0] for line in Table("", ("tensor", "why"), rows).text().splitlines()]
    assert "8" in names[1].split(".") and "10" in names[3].split(".")


def test_beside_long_evidence_a_name_keeps_its_layer():
    name, why = (
        "model.layers.2.self_attn.o_proj.weight",
        "all 4096 values are 0, a draw is due",
    )
    head = ("tensor", "tensors", "shape", "verdict", "evidence")
    text = Table("", head, [(name, "4", "64×64", "never filled", why)]).text()
    assert ".2.self_attn.o_proj.weight  " in text
    assert max(map(len, text.splitlines())) <= 80


def test_words_of_the_last_column_go_on_below():
    words = " ".join(f"word{number}" for number in range(20))
    lines = Table("", ("tensor", "why"), [("w", words), (LONG, "short")]).text().splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) > 4
    start = lines[0].index("why")
    assert " ".join(line[start:].strip() for line in lines[1:-1]) == words
    assert {line[:start].strip() for line in lines[2:-1]} == {""}


def test_a_repr_has_the_first_rows_and_says_how_many_are_left():
    table = Table("caption", ("n", "x"), [(str(n), "y") for n in range(30)], ["note"])
    lines = table.text(most=3).splitlines()
    assert lines == ["caption", "n  x", "0  y", "1  y", "2  y", "… and 27 more", "note"]
    assert len(table.text(None).splitlines()) == 33
    assert table.html().count("<tr>") == len(table.text().splitlines()) - 3


def test_lines_around_a_table_are_folded_but_no_word_is_cut():
    path = "/a" * 60
    table = Table(
        f"! {LONG[:76]}: a matrix, and all its values are 0", HEAD, [], [f"{path}: 3 tensors"]
    )
    assert table.text().splitlines() == [
        f"! {LONG[:76]}:",
        "    a matrix, and all its values are 0",
        f"{path}:",
        "    3 tensors",
    ]


def test_html_escapes_what_it_shows():
    text = Table("a < b", ("x",), [("<script>",)], ["<b>"]).html()
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "a &lt; b" in text and "<p>&lt;b&gt;</p>" in text


def test_rows_print_as_a_table_and_are_a_list_in_all_else():
    rows = Rows([1, 20], counted)
    assert repr(rows) == str(rows) == " n\n 1\n20\n2 rows" and "<td>20</td>" in rows._repr_html_()
    assert rows == [1, 20] and type(rows[:1]) is list and sorted(rows, reverse=True) == [20, 1]
    for again in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert again == rows and repr(again) == repr(rows)
    assert repr(Rows([], counted)) == "0 rows"


def test_json_has_null_for_what_is_not_finite():
    report = {"a": [1.5, math.inf, (math.nan, "x")], "b": None, "c": True}
    expected = {"a": [1.5, None, [None, "x"]], "b": None, "c": True}
    assert json.loads(as_json(report)) == expected
