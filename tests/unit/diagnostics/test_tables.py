"""The forms of reports: text, HTML, JSON."""

import json
import math

from fastinit.diagnostics import tables


def test_text_is_cut_in_its_first_column_to_fit():
    rows = [("model.layers.0.self_attn.q_proj", "1.5", "pass"), ("x", "-20", "fail")]
    text = tables.text(("module", "slope", "verdict"), rows, width=30)
    assert text.splitlines() == [
        "module          slope  verdict",
        "mo…attn.q_proj    1.5     pass",
        "x                 -20     fail",
    ]


def test_html_escapes_what_it_shows():
    text = tables.as_html("a < b", ("x",), [("<script>",)])
    assert "<script>" not in text and "&lt;script&gt;" in text and "a &lt; b" in text


def test_json_has_null_for_what_is_not_finite():
    report = {"a": [1.5, math.inf, (math.nan, "x")], "b": None, "c": True}
    expected = {"a": [1.5, None, [None, "x"]], "b": None, "c": True}
    assert json.loads(tables.as_json(report)) == expected
