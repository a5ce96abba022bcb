"""Checkpoints of models that transformers knows: from_pretrained finds every key, and every tensor
is what materialize_ gives the model.
"""

import json

import pytest

from fastinit import checkpoint
from fastinit.checkpoint import SpecError
from fastinit.checkpoint.index import INDEX
from fastinit.cli import main

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("default")]

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 99}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
# One model of each kind: with tied weights, (1 + w) norms, padding rows, experts, biases, encoder
# and decoder, saved buffers, parameters that only the model's own code computes, and parameters
# that only a constructor writes.
CONFIGS = {
    "GPT2LMHeadModel": {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 99},
    "LlamaForCausalLM": {**SMALL, **HEADS},
    "Gemma2ForCausalLM": {**SMALL, **HEADS},
    "Qwen3ForCausalLM": {**SMALL, **HEADS},
    "MixtralForCausalLM": {**SMALL, **HEADS, "num_local_experts": 3},
    "BertForMaskedLM": {**SMALL, "num_attention_heads": 4, "max_position_embeddings": 40},
    "T5ForConditionalGeneration": {
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 99,
    },
    "ViTForImageClassification": {**SMALL, "num_attention_heads": 4, "image_size": 32},
    "MambaForCausalLM": {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 99},
    "Qwen3MoeForCausalLM": {
        **SMALL,
        **HEADS,
        "num_experts": 3,
        "moe_intermediate_size": 16,
        "decoder_sparse_step": 1,
    },
    "Gemma3ForCausalLM": {**SMALL, **HEADS},
    "OPTForCausalLM": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 99,
        "word_embed_proj_dim": 32,
        "max_position_embeddings": 40,
    },
    "CLIPModel": {
        "text_config": {**SMALL, "num_attention_heads": 4, "max_position_embeddings": 40},
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 16,
        },
        "projection_dim": 16,
    },
    "ResNetForImageClassification": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16],
        "depths": [1, 1],
        "layer_type": "basic",
    },
}


def config_of(architecture, folder, **more):
    import transformers

    model_class = getattr(transformers, architecture)
    config = model_class.config_class(**CONFIGS[architecture], architectures=[architecture], **more)
    config.save_pretrained(folder)
    return model_class, config


def materialized(model_class, config, seed, dtype=None):
    """The model as fastinit.torch makes it."""
    import torch

    import fastinit.torch as fit

    if model_class.__name__ == "CLIPModel":  # whose constructor alone writes logit_scale
        with fit.construction() as made:
            model = model_class._from_config(config)
    else:
        made = None
        with torch.device("meta"):
            model = model_class._from_config(config)
    fit.materialize_(model, made, seed=seed, dtype=dtype)
    return model


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_model_of_transformers_is_written_as_its_own_code_initializes_it(tmp_path, architecture):
    import torch

    model_class, config = config_of(architecture, tmp_path / "config")
    folder = tmp_path / "model"
    report = checkpoint.materialize(tmp_path / "config", f"{folder}/", seed=5, shard_size=20_000)
    assert (folder / "config.json").read_bytes() == (
        tmp_path / "config" / "config.json"
    ).read_bytes()
    loaded, told = model_class.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not told[kind], (kind, told[kind])
    expected = materialized(model_class, config, 5).state_dict()
    found = loaded.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert len(report.written) > 3
    again = checkpoint.verify(folder, tmp_path / "config" / "config.json")
    assert again, [str(one) for one in again.tensors if not one]
    other = checkpoint.verify(folder, tmp_path / "config", seed=6)
    assert not other


COMPUTED = {"MambaForCausalLM"}


@pytest.mark.parametrize("architecture", CONFIGS)
def test_the_spec_of_a_config_gives_the_same_files(tmp_path, capsys, architecture):
    config_of(architecture, tmp_path / "config")
    status = main(["spec", str(tmp_path / "config")])
    text, error = capsys.readouterr()
    if architecture in COMPUTED:
        assert status == 2 and "computed by the model's own code, which no spec can say" in error
        assert "dt_proj.bias" in error  # and not A_log, which is a table
        return
    (tmp_path / "spec.toml").write_text(text)
    folders = []
    for source in ("config", "spec.toml"):
        folder = tmp_path / f"from {source}"
        checkpoint.materialize(tmp_path / source, f"{folder}/", seed=5, shard_size=20_000)
        folders.append({path.name: path.read_bytes() for path in folder.iterdir()})
    configs = [json.loads(folder.pop("config.json")) for folder in folders]
    assert configs[1].pop("torch_dtype") == "float32"  # which a spec always says
    known = {key: value for key, value in configs[0].items() if value is not None}
    assert configs[1] == known  # TOML has no null
    assert folders[0] == folders[1]
    again = checkpoint.load(tmp_path / "from config" / INDEX)  # by the files' own metadata
    lines = text[text.index("[tensors]") :].splitlines()
    assert "[repeat]" in text and len(lines) < 0.9 * len(again.entries)
    assert again.canonical() == checkpoint.load(tmp_path / "spec.toml").canonical()
    # Tied names are said by all three.
    for model in ("spec.toml", "from config/"):
        assert main(["laws", str(tmp_path / "config" / "config.json"), f"{tmp_path}/{model}"]) == 0


@pytest.mark.parametrize("shard_size", [None, 20_000])
def test_what_torch_computes_is_verified_by_the_digest_of_what_was_written(
    tmp_path, capsys, shard_size
):
    config_of("MambaForCausalLM", tmp_path / "config")
    folder = tmp_path / "x"
    checkpoint.materialize(tmp_path / "config", f"{folder}/", seed=5, shard_size=shard_size)
    found = checkpoint.verify(folder)
    assert found and not found.missing
    computed = {one.name: one for one in found.tensors if one.computed}
    name = "backbone.layers.1.mixer.dt_proj.bias"
    assert set(computed) == {name, name.replace("1", "0")}
    assert computed[name].values == 64
    assert main(["verify", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    pattern = "backbone.layers.{0,1}.mixer.dt_proj.bias: "
    assert f"{pattern}computed by the model's own code, as it was written" in " ".join(
        line.strip() for line in lines
    )
    [(file, tensor)] = [
        (one.path, tensor)
        for one in checkpoint.files(folder)
        for tensor in one.layout.tensors
        if tensor.name == name
    ]
    with open(file, "r+b") as stream:
        stream.seek(tensor.end - 1)
        byte = stream.read(1)[0]
        stream.seek(tensor.end - 1)
        stream.write(bytes([byte ^ 1]))
    [wrong] = [one for one in checkpoint.verify(folder).tensors if not one]
    assert (wrong.name, wrong.reason) == (
        name,
        "computed by the model's own code, and changed since",
    )
    # Of another seed nothing is known, and the config says all.
    found = checkpoint.verify(folder, seed=6)
    assert "give its config" in next(one.reason for one in found.tensors if one.name == name)
    [wrong] = [one for one in checkpoint.verify(folder, tmp_path / "config").tensors if not one]
    assert (wrong.name, wrong.different, wrong.place) == (name, 1, (63,))


TABLES = {
    "one": ([2.6592, 2.6592], "constant"),
    "count": ([[3, 5, 7]], "arange"),
    "twice": ([[3, 5, 7], [3, 5, 7]], "arange"),
    "down": ([2, 1, 0, -1], "arange"),
    "integers": ([3, 5, 8], "table"),
    "rows": ([[0.5, -1.5], [0.5, -1.5]], "table"),
    "matrix": ([[0.5, -1.5], [0.25, 0.0]], "table"),
    "flags": ([True, False, True], "table"),
    "infinite": ([1.0, float("-inf")], "computed"),
    "long": ([float(n * n) for n in range(1025)], "computed"),
    "long rows": ([[float(n * n) for n in range(1025)]] * 2, "computed"),
    "long count": ([*range(5000)], "arange"),
}


def test_what_a_constructor_computes_without_a_draw_is_a_constant_a_count_or_a_table(tmp_path):
    import torch

    import fastinit.torch as fit
    from fastinit.checkpoint import config
    from fastinit.torch._describe import describe

    with fit.construction() as made:
        model = torch.nn.Module()
        for name, (values, _) in TABLES.items():
            tensor = torch.tensor(values)
            model.register_buffer(name.replace(" ", "_"), tensor + torch.zeros_like(tensor))
    described, uncovered = describe(model, made)
    assert not uncovered
    entries = tuple(config.entry_of(one) for one in described)
    kinds = {entry.name.replace("_", " "): entry.initializer for entry in entries}
    assert kinds == {name: kind for name, (_, kind) in TABLES.items()}
    spec = checkpoint.Spec("tables", entries, {"format": "pt"})
    checkpoint.materialize(spec, tmp_path / "x.safetensors", seed=0)
    from safetensors.torch import load_file

    for name, tensor in load_file(tmp_path / "x.safetensors").items():
        expected = torch.tensor(TABLES[name.replace("_", " ")][0])
        assert torch.equal(tensor, expected) and tensor.dtype == expected.dtype, name
    said = tuple(entry for entry in entries if entry.initializer != "computed")
    (tmp_path / "spec.toml").write_text(checkpoint.describe(spec._replace(entries=said)))
    again = checkpoint.load(tmp_path / "spec.toml")
    assert again.canonical() == spec._replace(entries=said).canonical()
    assert checkpoint.verify(tmp_path / "x.safetensors")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn"])
def test_the_dtype_is_the_callers(tmp_path, dtype):
    import torch

    model_class, config = config_of("BertForMaskedLM", tmp_path / "config")
    folder = tmp_path / "model"
    checkpoint.materialize(tmp_path / "config", f"{folder}/", seed=5, dtype=dtype)
    content = json.loads((folder / "config.json").read_text())
    assert dtype in (content.get("dtype"), content.get("torch_dtype"))
    expected = materialized(model_class, config, 5, getattr(torch, dtype)).state_dict()
    from safetensors.torch import load_file

    for name, tensor in load_file(folder / "model.safetensors").items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor.view(torch.uint8), expected[name].view(torch.uint8)), name


def test_a_padding_row_is_zero_and_is_said_in_the_metadata(tmp_path):
    CONFIGS["BertModel"] = CONFIGS["BertForMaskedLM"]
    config_of("BertModel", tmp_path / "config")
    spec = checkpoint.load(tmp_path / "config" / "config.json")
    entries = {entry.name: entry for entry in spec.entries}
    entry = entries["embeddings.word_embeddings.weight"]
    assert entry.arguments["blocks"] == [{"start": [0, 0], "size": [1, 32], "value": 0.0}]
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=0)
    assert checkpoint.verify(path)


def test_a_recipe_overrides_the_models_own_code(tmp_path):
    config_of("LlamaForCausalLM", tmp_path / "config")
    recipe = {"rules": [{"match": "*.mlp.*", "initializer": "orthogonal"}]}
    own = checkpoint.load(tmp_path / "config").entries
    changed = checkpoint.load(tmp_path / "config", recipe=recipe).entries
    assert [entry.name for entry in own] == [entry.name for entry in changed]
    for before, after in zip(own, changed, strict=True):
        assert (after.initializer == "orthogonal") == (".mlp." in after.name)
        assert after == before or ".mlp." in after.name


def test_the_generation_config_is_copied(tmp_path):
    config_of("GPT2LMHeadModel", tmp_path / "config")
    (tmp_path / "config" / "generation_config.json").write_text('{"do_sample": true}')
    checkpoint.materialize(tmp_path / "config", f"{tmp_path}/model/", seed=0)
    assert (tmp_path / "model" / "generation_config.json").read_text() == '{"do_sample": true}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"model_type": "no such model", "architectures": ["X"]},
            ("no such model", "transformers"),
        ),
        ({"model_type": "gpt2"}, ("names the architecture None",)),
        ({"model_type": "gpt2", "architectures": ["NoModel"]}, ("'NoModel'",)),
        ({"architectures": ["GPT2LMHeadModel"]}, ("transformers",)),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": "x"}, ("transf",)),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_head": 7}, ("transf",)),
    ],
)
def test_a_config_that_transformers_does_not_build_is_refused_in_its_words(
    tmp_path, content, words
):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SpecError) as caught:
        checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert all(word in str(caught.value) for word in words)


def test_a_quantized_model_is_refused_with_what_to_do(tmp_path):
    quantization = {"quant_method": "fp8", "weight_block_size": [16, 16]}
    config_of("LlamaForCausalLM", tmp_path / "config", quantization_config=quantization)
    with pytest.raises(SpecError, match=r"quantization_config \(fp8\).*fastinit dummy"):
        checkpoint.load(tmp_path / "config")
    assert checkpoint.dummy(tmp_path / "config").entries


def test_a_spec_in_json_is_no_config(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text('{"config": {"model_type": "x"}, "tensors": {"a": [1]}}')
    with pytest.raises(SpecError, match="no rule matches 'a'"):
        checkpoint.load(path)
    with pytest.raises(SpecError, match="must end in"):
        checkpoint.load(tmp_path)
