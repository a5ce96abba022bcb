"""Names and shapes that transformers saves: its own files are on the laws of their config."""

import pytest
import safetensors.numpy

from fastinit import checkpoint, inspection

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("default")]

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}
MODELS = {
    "MixtralForCausalLM": {
        **SMALL,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_local_experts": 3,
        "vocab_size": 99,
    },
    "ViTForImageClassification": {
        **SMALL,
        "num_attention_heads": 4,
        "image_size": 32,
        "patch_size": 8,
    },
    "GPT2LMHeadModel": {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 99},
}


@pytest.mark.parametrize("architecture", MODELS)
def test_what_torch_initialized_and_transformers_saved_is_on_the_laws_of_its_config(
    tmp_path, architecture
):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, architecture)
    config = kind.config_class(**MODELS[architecture], architectures=[architecture])
    torch.manual_seed(0)
    kind(config).save_pretrained(tmp_path)
    found = inspection.audit(tmp_path, tmp_path)
    assert found, found.findings
    assert {row.verdict for row in found.rows} == {"on its law"}
    # A file of laws knows both names: the code's, and those of transformers' files.
    laws = tmp_path / "laws.toml"
    laws.write_text(inspection.laws_toml(inspection.laws(tmp_path)))
    assert inspection.compare_laws(laws, tmp_path) == []
    by_file = inspection.audit(tmp_path, laws)
    assert by_file and [row[:2] for row in by_file.rows] == [row[:2] for row in found.rows]
    checkpoint.materialize(tmp_path / "config.json", tmp_path / "ours.safetensors", seed=0)
    assert inspection.audit(tmp_path / "ours.safetensors", laws)
    # One line for all layers, whatever the number of names.
    lines = [line for line in laws.read_text().splitlines() if "saved = [" in line]
    assert not [line for line in lines if ".{0,1}." not in line.partition(" = ")[0]]


def test_a_cut_expert_of_another_std_is_found_by_the_law_of_the_stack(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(
        **MODELS["MixtralForCausalLM"], architectures=["MixtralForCausalLM"]
    )
    torch.manual_seed(0)
    model = transformers.MixtralForCausalLM(config)
    with torch.no_grad():
        model.model.layers[1].mlp.experts.down_proj[2] *= 3
    model.save_pretrained(tmp_path)
    (row,) = [
        one for one in inspection.audit(tmp_path, tmp_path).rows if one.verdict != "on its law"
    ]
    assert row.verdict == "off its law" and ".layers.1." in row.name and ".experts.2." in row.name
    weights = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    del weights[row.name]
    safetensors.numpy.save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    rows = inspection.audit(tmp_path, tmp_path).rows
    assert [one.name for one in rows if one.verdict == "missing"] == [row.name]
