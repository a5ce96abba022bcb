"""Specs as TOML: what is written resolves to the same tensors, folded by number."""

import pytest

from fastinit import checkpoint
from fastinit.cli import main

SPEC = {
    "repeat": {"layer": 4, "expert": [1, 3]},
    "metadata": {"license": 'no"ne\\ é\t'},
    "tensors": {
        "embedding": [9, 5],
        "h.{layer}.w": [5, 5],
        "h.{layer}.e.{expert}.w": [5, 2],
        "h.{layer}.scaled": {"shape": [3], "initializer": "constant", "value": "layer / 3"},
        "h.{layer}.inner.7.b": {"shape": [3], "dtype": "bfloat16", "initializer": "zeros"},
        "a.{layer}.{layer}": [2],
        "{layer}": [2],
        "x{layer}.w": [2],
        "h.007.w": [1],
        "h.{{layer}}.b": [1],
        "sqrt.{layer}": [1],
        'quoted " \\ \u007f é.{expert}': [1],
        "cut": {"shape": [3], "initializer": "truncated_normal", "low": 0, "high": "inf"},
        "fan": {"shape": [3, 4], "initializer": "he_normal", "mode": "fan_out"},
        "pad": {
            "shape": [3, 4],
            "initializer": "normal",
            "blocks": [{"start": [1, 0], "size": [1, 4], "value": 0}],
        },
    },
    "rules": [{"match": "*", "initializer": "normal", "std": 0.02}],
}


def rewritten(tmp_path, spec):
    path = tmp_path / "again.toml"
    path.write_text(checkpoint.describe(spec), encoding="utf-8")
    return checkpoint.load(path)


@pytest.mark.parametrize("spec", [SPEC, "gpt2", "gpt2-xl"], ids=["all", "gpt2", "gpt2-xl"])
def test_what_is_written_resolves_to_the_same_tensors(tmp_path, spec):
    loaded = checkpoint.load(spec)
    again = rewritten(tmp_path, loaded)
    assert again.canonical() == loaded.canonical()
    assert again.config == loaded.config
    assert checkpoint.describe(again) == checkpoint.describe(loaded)


def test_tensors_that_differ_by_a_number_are_one_line():
    text = checkpoint.describe(SPEC)
    tensors = text[text.index("[tensors]") :]
    for line in (
        '"h.{h}.w" = { shape = [5, 5], initializer = "normal", std = 0.02 }',
        '"h.{h}.e.{e}.w" = ',
        '"h.{h}.inner.7.b" = { shape = [3], dtype = "bfloat16", initializer = "zeros" }',
        '"h.3.scaled" = { shape = [3], initializer = "constant", value = 1.0 }',
        '"h.007.w" = ',
    ):
        assert tensors.count(line) == 1, line
    assert "h = 4\n" in text and "e = [1, 3]\n" in text
    assert len(checkpoint.describe("gpt2").splitlines()) < 40


def test_each_rule_has_a_line_that_says_what_it_fills():
    lines = checkpoint.rules(checkpoint.load(SPEC))
    assert lines[0] == (
        "normal std=0.02: 33 tensors, 257 values: embedding, h.{0..3}.w, h.{0..3}.e.{1,2}.w, "
        "a.0.0, a.1.1, a.2.2, a.3.3, {0..3}, … (8 more)"
    )
    assert "zeros: 4 tensors, 12 values: h.{0..3}.inner.7.b" in lines
    assert "normal blocks=1 of constants: 1 tensor, 12 values: pad" in lines
    counts = [int(line.split(": ")[1].split()[0]) for line in lines]
    assert sum(counts) == len(checkpoint.load(SPEC).entries)


def test_a_checkpoint_says_its_spec(tmp_path, capsys):
    for name, size in (("one.safetensors", None), ("many/", 300)):
        target = f"{tmp_path}/{name}"
        checkpoint.materialize(SPEC, target, seed=0, shard_size=size)
        assert main(["spec", target]) == 0
        path = tmp_path / "again.toml"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        assert checkpoint.load(path).canonical() == checkpoint.load(SPEC).canonical()
    assert main(["spec", str(tmp_path / "one.safetensors"), "--dtype", "float16"]) == 2


def test_a_preset_and_a_spec_are_written_too(capsys):
    assert main(["spec", "gpt2", "--dtype", "bfloat16"]) == 0
    assert capsys.readouterr().out.startswith('dtype = "bfloat16"\n')
    assert main(["spec", "gtp2"]) == 2


@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_a_config_becomes_a_spec_that_gives_the_same_file(tmp_path, capsys):
    import transformers

    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        vocab_size=99,
        architectures=["LlamaForCausalLM"],
    )
    config.save_pretrained(tmp_path / "config")
    assert main(["spec", str(tmp_path / "config")]) == 0
    text = capsys.readouterr().out
    (tmp_path / "model.toml").write_text(text)
    assert '"model.layers.{layers}.mlp.up_proj.weight"' in text and "layers = 3\n" in text
    checkpoint.materialize(tmp_path / "config", tmp_path / "x.safetensors", seed=0)
    checkpoint.materialize(tmp_path / "model.toml", tmp_path / "y.safetensors", seed=0)
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


def test_what_only_torch_computes_has_no_spec():
    spec = checkpoint.load({"tensors": {"a": {"shape": [1], "initializer": "computed"}}})
    with pytest.raises(ValueError, match="no spec can say"):
        checkpoint.describe(spec)
    with pytest.raises(ValueError, match="give the model's config.json"):
        checkpoint.plan(spec, 0)
