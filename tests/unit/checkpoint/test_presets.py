"""The specs that come with the package: each has the names, shapes, dtypes and rules of the model
in the framework that its first lines name.
"""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import fastinit as fi
from fastinit import checkpoint

FOLDER = Path(checkpoint.__file__).parent / "presets"
SCRIPT = Path(__file__).parents[3] / "docs" / "presets.py"
# Parameters, as the models' reports and model cards count them.
COUNTS = {
    "bert-base": 109_514_298,
    "deepseek-v3": 671_026_404_352 + 58 * 256,  # and the bias of each gate, a buffer
    "gemma-3-4b": 4_300_079_472,
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "llama-3-70b": 70_553_706_496,
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.2-1b": 1_235_814_400,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-8b": 8_190_735_360,
    "resnet-50": 25_557_032 + 53_120 + 53,  # and the running statistics, and their counters
    "vit-b-16": 86_567_656,
}
OF_TRANSFORMERS = sorted(COUNTS.keys() - {"resnet-50"})


def comment(name):
    return " ".join(
        re.findall(r"# ?(.*)\n", re.match(r"(#.*\n)+", checkpoint.preset(name)).group())
    )


def values(spec):
    return sum(entry.nbytes // entry.dtype.itemsize for entry in spec.entries)


def tensors(state):
    """Names, shapes and dtypes of a state_dict, each tied tensor once, by its first name."""
    found, seen = {}, set()
    for name, tensor in state.items():
        if id(tensor) not in seen:
            found[name] = (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            seen.add(id(tensor))
    return found


def listed(spec):
    return {entry.name: (entry.shape, entry.dtype.name) for entry in spec.entries}


def test_every_preset_is_counted_here():
    assert set(checkpoint.presets()) == set(COUNTS)
    assert {path.stem for path in FOLDER.iterdir()} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_preset_has_as_many_parameters_as_the_model_is_known_to_have(name):
    assert values(checkpoint.load(name)) == COUNTS[name]
    count, unit = re.search(r"\(([\d.]+) ([MG])[,)]", comment(name)).groups()
    assert float(count) == float(f"{COUNTS[name] / {'M': 1e6, 'G': 1e9}[unit]:.3g}")


@pytest.mark.parametrize("name", COUNTS)
def test_the_first_lines_of_a_preset_name_its_framework_and_version(name):
    framework = "torchvision" if name == "resnet-50" else "transformers"
    text = comment(name)
    found = re.search(
        rf"the names and shapes of {framework}' ?s? ?(\w+), initialized as {framework} [\d.]+ does",
        text,
    )
    assert found, text
    if framework == "transformers":
        assert checkpoint.load(name).config["architectures"] == [found.group(1)]
    assert max(map(len, checkpoint.preset(name).split("[", 1)[0].splitlines())) <= 100


@pytest.mark.parametrize("name", COUNTS)
def test_a_preset_written_as_a_spec_gives_the_same_tensors(name, tmp_path):
    path = tmp_path / "again.toml"
    path.write_text(checkpoint.describe(name), encoding="utf-8")
    loaded, again = checkpoint.load(name), checkpoint.load(path)
    assert again.canonical() == loaded.canonical()
    assert again.config == loaded.config


def test_norms_that_multiply_by_one_plus_w_begin_as_norms_alone():
    """RMSNorm of google/gemma_pytorch: x / rms(x) · (1 + w)."""
    entries = {entry.name: entry for entry in checkpoint.load("gemma-3-4b").entries}
    norms = [name for name in entries if re.search(r"language_model.*norm\.weight$", name)]
    assert len(norms) == 34 * 6 + 1
    x = fi.normal(2560, seed=1, dtype="float64")
    for name in norms:
        entry = entries[name]
        (size,) = entry.shape
        weight = getattr(fi, entry.initializer)(size, **entry.arguments, dtype="float64")
        y = x[:size] / np.sqrt(np.square(x[:size]).mean()) * (1 + weight)
        assert np.square(y).mean() == pytest.approx(1.0, rel=1e-12), name


# ------------------------------------------------------------------------------------ transformers


def built(folder, content):
    """The model of a config on the meta device."""
    import torch
    import transformers

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        return getattr(transformers, config.architectures[0])._from_config(config)


@pytest.mark.parametrize("name", OF_TRANSFORMERS, ids=str)
@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_a_preset_is_the_state_dict_of_transformers(name, tmp_path):
    spec = checkpoint.load(name)
    model = built(tmp_path, spec.config)
    state = model.state_dict(keep_vars=True)
    assert listed(spec) == tensors(state)


@pytest.mark.parametrize("name", OF_TRANSFORMERS, ids=str)
@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_the_rules_of_a_preset_are_those_of_the_models_own_code(name, tmp_path):
    spec = checkpoint.load(name)
    (tmp_path / "config.json").write_text(json.dumps(spec.config))
    planned = checkpoint.load(tmp_path)
    rules = {entry.name: entry.rule for entry in planned.entries}
    assert {entry.name: entry.rule for entry in spec.entries} == rules
    assert spec.tied == planned.tied


@pytest.mark.parametrize("name", sorted(COUNTS.keys() - {"resnet-50", "gpt2", "gpt2-xl"}), ids=str)
@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_the_script_reproduces_every_preset(name):
    remade = runpy.run_path(str(SCRIPT))["remade"]
    assert remade(checkpoint.preset(name)) == checkpoint.preset(name)


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "moe_intermediate_size": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_experts": 4,
    "n_routed_experts": 16,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "vocab_size": 99,
    "image_size": 32,
    "patch_size": 16,
    "mm_tokens_per_image": 4,
    "max_position_embeddings": 64,
    "num_labels": 7,
    "image_token_index": 98,
    "boi_token_index": 97,
    "eoi_token_index": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def shrunken(content):
    """A config of the same kind with small numbers."""
    if not isinstance(content, dict):
        return content
    return {key: SMALL.get(key, shrunken(value)) for key, value in content.items()}


@pytest.mark.parametrize(
    "name",
    [
        "bert-base",
        "deepseek-v3",
        "gemma-3-4b",
        "llama-3.2-1b",
        "qwen3-30b-a3b",
        "qwen3-8b",
        "vit-b-16",
    ],
)
@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_a_small_twin_of_a_preset_loads_with_the_values_of_materialize_(name, tmp_path):
    import torch

    import fastinit.torch as fit

    model = built(tmp_path / "twin", shrunken(checkpoint.load(name).config))
    spec = tmp_path / "twin.toml"
    spec.write_text(checkpoint.describe(tmp_path / "twin"), encoding="utf-8")
    checkpoint.materialize(spec, f"{tmp_path}/model/", seed=3)
    loaded, info = type(model).from_pretrained(
        tmp_path / "model", output_loading_info=True, dtype="auto"
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    fit.materialize_(model, seed=3)
    found = loaded.state_dict()
    for key, tensor in model.state_dict().items():
        assert found[key].dtype == tensor.dtype and torch.equal(found[key], tensor), key


# ------------------------------------------------------------------------------------ torchvision


def resnet50():
    """ResNet-50 of torchvision (v1.5: the 3×3 convolution has the stride), written again from its
    documentation, because torchvision is not a dependency of the tests.
    """
    from torch import nn

    def convolution(inside, outside, side, stride=1):
        padding = side // 2
        return nn.Conv2d(inside, outside, side, stride, padding, bias=False)

    class Bottleneck(nn.Module):
        def __init__(self, inside, width, stride, downsample):
            super().__init__()
            self.conv1, self.bn1 = convolution(inside, width, 1), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = convolution(width, width, 3, stride), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = convolution(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
            if downsample:
                self.downsample = nn.Sequential(
                    convolution(inside, 4 * width, 1, stride), nn.BatchNorm2d(4 * width)
                )

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = convolution(3, 64, 7, 2), nn.BatchNorm2d(64)
            inside = 64
            for number, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
                layer = []
                for block in range(blocks):
                    stride = 2 if number > 1 and block == 0 else 1
                    layer.append(Bottleneck(inside, width, stride, block == 0))
                    inside = 4 * width
                setattr(self, f"layer{number}", nn.Sequential(*layer))
            self.fc = nn.Linear(inside, 1000)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.ones_(module.weight)
                    nn.init.zeros_(module.bias)

    return ResNet()


@pytest.mark.frameworks
@pytest.mark.filterwarnings("default")
def test_resnet_50_has_the_names_rules_and_values_of_torchvisions_code(tmp_path):
    import torch
    from safetensors.torch import load_file

    import fastinit.torch as fit

    with fit.construction() as recipe, torch.device("meta"):
        model = resnet50()
    assert listed(checkpoint.load("resnet-50")) == tensors(model.state_dict(keep_vars=True))
    path = tmp_path / "model.safetensors"
    checkpoint.materialize("resnet-50", path, seed=3)
    fit.materialize_(model, recipe, seed=3)
    found = load_file(path)
    for key, tensor in model.state_dict().items():
        assert torch.equal(found[key], tensor), key
