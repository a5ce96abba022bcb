"""Laws from every source, as text that reads back, and compared."""

import doctest
import importlib
import json

import pytest

from fastinit import checkpoint, inspection

SPEC = {
    "repeat": {"layer": 3},
    "tensors": {
        "h.{layer}.w": [8, 4],
        "h.{layer}.b": [8],
        "pad": {
            "shape": [9, 8],
            "initializer": "normal",
            "std": 0.5,
            "blocks": [{"start": [0, 0], "size": [1, 8], "value": 0}],
        },
        "q": {"shape": [8, 8], "initializer": "orthogonal"},
        "cut": {"shape": [8], "initializer": "truncated_normal", "std": 0.1},
        "one side": {
            "shape": [8],
            "initializer": "truncated_normal",
            "low": 0.5,
            "high": "inf",
            "bounds": "absolute",
        },
        "few": {"shape": [8, 8], "initializer": "sparse", "sparsity": 0.5},
    },
    "rules": [
        {"match": "*.b", "initializer": "uniform", "low": -0.25, "high": 0.25},
        {"match": "*", "initializer": "he_normal"},
    ],
}


def changed(**rule):
    return {**SPEC, "rules": [SPEC["rules"][0], {"match": "*", **rule}]}


def test_the_text_reads_back_and_is_the_same_every_time(tmp_path):
    text = inspection.laws_toml(inspection.laws(SPEC))
    path = tmp_path / "laws.toml"
    path.write_text(text)
    assert inspection.laws_toml(inspection.laws(path)) == text
    assert inspection.compare_laws(path, SPEC) == []
    reordered = {**SPEC, "tensors": dict(reversed(SPEC["tensors"].items()))}
    assert inspection.laws_toml(inspection.laws(reordered)) == text


def test_one_line_stands_for_all_layers():
    lines = inspection.laws_toml(inspection.laws(SPEC)).splitlines()
    (line,) = [line for line in lines if '"h.{0..2}.w"' in line]
    assert 'law = "normal", mean = 0.0, std = 0.7071068, fan = [4, 8]' in line
    assert 'rule = "he_normal()"' in line


def test_a_checkpoint_of_ours_says_its_laws(tmp_path):
    path = tmp_path / "model.safetensors"
    checkpoint.materialize(SPEC, path, seed=0)
    assert inspection.compare_laws(path, SPEC) == []
    folder = tmp_path / "folder"
    checkpoint.materialize(SPEC, f"{folder}/", seed=0, shard_size=300)
    assert inspection.compare_laws(folder, SPEC) == []


def test_rows_have_plain_columns():
    rows = json.loads(inspection.laws_json(inspection.laws(SPEC)))
    assert set(rows[0]) == set(inspection.Law._fields)
    assert sum(row["tensors"] for row in rows) == 11


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"initializer": "he_normal", "mode": "fan_out"}, "std 0.5"),
        ({"initializer": "he_uniform"}, "uniform"),
        ({"initializer": "normal", "std": "0.70711 / 1", "mean": 0.0}, "std 0.70711"),
    ],
)
def test_any_difference_of_a_law_is_found(rule, text):
    pairs = inspection.compare_laws(SPEC, changed(**rule))
    assert len(pairs) == 3
    shown = inspection.difference(pairs)
    first, second = shown.splitlines()
    assert first == "- h.{0..2}.w (8, 4): normal, mean 0, std 0.7071068"
    assert second.startswith("+ h.{0..2}.w (8, 4): ") and text in second


def test_two_ways_to_write_one_law_are_not_a_difference():
    same = {"initializer": "variance_scaling", "scale": 2.0, "mode": "fan_in"}
    assert inspection.compare_laws(SPEC, changed(**same)) == []


def test_a_difference_of_tied_tensors_says_what_they_are_tied_to():
    pairs = inspection.compare_laws("gpt2", "gpt2-xl")
    first, second = inspection.difference(pairs).splitlines()[:2]
    assert first == "- lm_head.weight (50257, 768): tied to transformer.wte.weight"
    assert second == "+ lm_head.weight (50257, 1600): tied to transformer.wte.weight"


def test_tensors_of_one_side_other_shapes_and_blocks_are_differences():
    tensors = dict(SPEC["tensors"])
    del tensors["q"]
    tensors["new"] = [8, 4]
    tensors["few"] = {**tensors["few"], "shape": [8, 16]}
    tensors["pad"] = {key: value for key, value in tensors["pad"].items() if key != "blocks"}
    shown = inspection.difference(inspection.compare_laws(SPEC, {**SPEC, "tensors": tensors}))
    signs = [(line[0], line.split()[1]) for line in shown.splitlines()]
    assert signs == [
        *(("-", "few"), ("+", "few"), ("+", "new"), ("-", "pad"), ("+", "pad"), ("-", "q"))
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('version = 2\n[laws]\n"w" = { shape = [2], law = "normal" }', "version 2"),
        ("version = 1\n[laws]\n", "not empty"),
        ('version = 1\n[laws]\n"w" = 3', "must be a table"),
        ('version = 1\n[laws]\n"w" = { shape = [2], law = "normal", std = 1 }', "mean"),
        ('version = 1\n[laws]\n"w" = { shape = [2], lav = "normal" }', "unknown key"),
        ('version = 1\n[laws]\n"w" = { shape = [-2], law = "unknown" }', "whole numbers"),
        ('version = 1\n[laws]\n"w{" = { shape = [2], law = "unknown" }', "single"),
        (
            'version = 1\n[laws]\n"w.{0,1}" = { shape = [2], law = "unknown" }\n'
            '"w.1" = { shape = [2], law = "unknown" }',
            "two laws name",
        ),
        ('version = 1\n[laws]\n"w" = { shape = [2], law = "unknown", blocks = [1] }', "blocks"),
        ('version = 1\n[laws]\n"w" = { shape = [2], law = "unknown", saved = ["v"] }', "saved"),
    ],
)
def test_a_bad_file_of_laws_is_refused_with_its_name(tmp_path, text, message):
    path = tmp_path / "laws.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        inspection.laws(path)
    assert "laws.toml" in str(caught.value)


def test_what_is_not_a_model_is_refused():
    with pytest.raises(TypeError, match="neither a path"):
        inspection.laws(3)


def test_the_examples_print_what_they_say():
    module = importlib.import_module("fastinit.inspection.laws")
    assert doctest.testmod(module).failed == 0
