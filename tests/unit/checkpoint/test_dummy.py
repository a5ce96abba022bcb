"""Dummy checkpoints: the tensors of real ones, quantized ones too; finite, small, and the same for
any number of ranks.
"""

import json
import math

import pytest
from specs import contents

from fastinit import checkpoint, inspection
from fastinit._core import dtypes, safetensors
from fastinit.checkpoint import SpecError

frameworks = pytest.mark.frameworks
warnings_allowed = pytest.mark.filterwarnings("default")

SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "vocab_size": 99,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "torch_dtype": "bfloat16",
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 64}
CONFIGS = {
    "LlamaForCausalLM": {"model_type": "llama"},
    "Qwen3MoeForCausalLM": {"model_type": "qwen3_moe", "num_experts": 4, **EXPERTS},
    "GptOssForCausalLM": {"model_type": "gpt_oss", "num_local_experts": 4, **EXPERTS},
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": True, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"}
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
MXFP4 = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
NVFP4 = {
    "quant_method": "compressed-tensors",
    "format": "nvfp4-pack-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 4,
                "type": "float",
                "strategy": "tensor_group",
                "group_size": 16,
            },
        }
    },
    "ignore": ["lm_head"],
}


def config_of(folder, architecture, quantization=None):
    content = {"architectures": [architecture], **CONFIGS[architecture], **SIZES}
    if quantization:
        content["quantization_config"] = quantization
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def listed(spec):
    return {entry.name: (entry.shape, entry.dtype.name) for entry in spec.entries}


def drawn(folder, source, **more):
    """The tensors of a dummy, by the safetensors library's own reader."""
    from safetensors.torch import load_file

    checkpoint.materialize(checkpoint.dummy(source), f"{folder}/", seed=0, **more)
    assert checkpoint.verify(folder)
    found = {}
    for path in folder.glob("*.safetensors"):
        found |= load_file(path)
    return found


def largest(tensor):
    assert bool(tensor.isfinite().all())
    return float(tensor.detach().abs().max())


# ------------------------------------------------------------------------------------------- specs

EVERY = {
    name: {"shape": [64, 6], "dtype": name, "initializer": "zeros"} for name in dtypes.DTYPES
} | {
    "packed": {"shape": [64, 6], "dtype": "float4_e2m1fn_x2", "initializer": "words"},
    "exponents": {
        "shape": [64, 6],
        "dtype": "float8_e8m0fnu",
        "initializer": "words",
        "low": 118,
        "count": 4,
    },
}


def test_floats_of_a_spec_are_small_and_its_integers_keep_their_rule():
    entries = checkpoint.dummy({"tensors": EVERY}).entries
    assert [entry.name for entry in entries] == list(EVERY)
    for entry in entries:
        if entry.dtype.is_float:
            bound = 2.0**-4 if "float8" in entry.dtype.name else 1e-3
            assert entry.initializer == "uniform"
            assert entry.arguments == {"low": -bound, "high": bound}
        else:
            assert entry.initializer == EVERY[entry.name]["initializer"]


@frameworks
def test_every_dtype_that_files_hold_is_read_by_safetensors(tmp_path):
    import torch

    spec = checkpoint.dummy({"tensors": EVERY})
    checkpoint.materialize(spec, tmp_path / "x.safetensors", seed=0)
    from safetensors.torch import load_file

    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == EVERY.keys()
    for name, tensor in found.items():
        assert str(tensor.dtype) == f"torch.{EVERY[name]['dtype']}"
        assert tuple(tensor.shape) == (64, 6)
    for name in ("float64", "float32", "float16", "bfloat16"):
        assert 0 < largest(found[name]) <= 1e-3
    assert largest(found["float8_e4m3fn"].float()) <= 2.0**-4
    exponents = found["exponents"].float()
    assert exponents.min() == 2.0**-9 and exponents.max() == 2.0**-6
    # Reordered as the library would write it, the file is the same, byte for byte.
    from safetensors.torch import save_file

    save_file(found, tmp_path / "theirs.safetensors")
    theirs = (tmp_path / "theirs.safetensors").read_bytes()
    ours = (tmp_path / "x.safetensors").read_bytes()
    start = int.from_bytes(theirs[:8], "little") + 8
    assert ours.endswith(theirs[start:])
    header = json.loads(theirs[8:start])
    mine = json.loads(ours[8 : 8 + int.from_bytes(ours[:8], "little")])
    del mine["__metadata__"]
    assert mine == header
    assert torch.equal(
        found["packed"].view(torch.uint8),
        load_file(tmp_path / "theirs.safetensors")["packed"].view(torch.uint8),
    )


# ----------------------------------------------------------------------------------------- configs


@frameworks
@warnings_allowed
def test_a_model_has_the_names_of_its_published_checkpoints(tmp_path):
    config = config_of(tmp_path / "config", "Qwen3MoeForCausalLM")
    found = listed(checkpoint.dummy(config))
    assert found["model.layers.1.mlp.experts.3.gate_proj.weight"] == ((64, 128), "bfloat16")
    assert found["model.layers.1.mlp.experts.3.down_proj.weight"] == ((128, 64), "bfloat16")
    assert not any(name.endswith("gate_up_proj") for name in found)
    wide = listed(checkpoint.dummy(config, "float32"))
    assert {kind for _, kind in wide.values()} == {"float32"}


@frameworks
@warnings_allowed
@pytest.mark.parametrize("architecture", CONFIGS)
def test_from_pretrained_finds_every_key_of_a_dummy(tmp_path, architecture):
    import transformers

    config = config_of(tmp_path / "config", architecture)
    drawn(tmp_path / "model", config, shard_size=100_000)
    model, info = getattr(transformers, architecture).from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    assert all(0 < largest(tensor) <= 1e-3 for tensor in model.parameters())


@frameworks
@warnings_allowed
@pytest.mark.parametrize("scale", ["float", "ue8m0"])
def test_fp8_has_the_tensors_that_transformers_makes(tmp_path, scale):
    import torch
    import transformers
    from transformers.integrations.finegrained_fp8 import replace_with_fp8_linear

    config = config_of(tmp_path / "config", "LlamaForCausalLM", FP8 | {"scale_fmt": scale})
    read = transformers.AutoConfig.from_pretrained(config)
    settings = transformers.FineGrainedFP8Config(**read.quantization_config)
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM._from_config(read)
    state = replace_with_fp8_linear(model, ["lm_head"], settings).state_dict()
    expected = {name: (tuple(one.shape), str(one.dtype)[6:]) for name, one in state.items()}
    found = listed(checkpoint.dummy(config))
    if scale == "ue8m0":  # which transformers holds as bytes where torch has no such dtype
        assert found["model.layers.0.mlp.up_proj.weight_scale_inv"][1] == "float8_e8m0fnu"
    assert found == expected


@frameworks
@warnings_allowed
@pytest.mark.parametrize("quantization", [GPTQ, AWQ, FP8, NVFP4], ids=["gptq", "awq", "fp8", "nv"])
def test_an_embedding_that_the_head_is_tied_to_stays(tmp_path, quantization):
    config = config_of(tmp_path / "config", "LlamaForCausalLM", quantization)
    content = json.loads((config / "config.json").read_text())
    (config / "config.json").write_text(json.dumps(content | {"tie_word_embeddings": True}))
    found = listed(checkpoint.dummy(config))
    assert found["model.embed_tokens.weight"] == ((99, 128), "bfloat16")
    assert not any(name.startswith(("lm_head", "model.embed_tokens.q")) for name in found)


@frameworks
@warnings_allowed
def test_gptq_weights_are_finite_and_small(tmp_path):
    import torch

    config = config_of(tmp_path / "config", "LlamaForCausalLM", GPTQ)
    found = drawn(tmp_path / "model", config)
    layer = "model.layers.1.mlp.down_proj"
    fields = torch.arange(0, 32, 4)
    weights = (found[f"{layer}.qweight"][:, None] >> fields[None, :, None] & 15).reshape(256, 128)
    zeros = (found[f"{layer}.qzeros"][:, :, None] >> fields & 15).reshape(4, 128) + 1
    groups = found[f"{layer}.g_idx"].long()
    assert groups.tolist() == [i // 64 for i in range(256)]
    values = (weights - zeros[groups]) * found[f"{layer}.scales"].float()[groups]
    assert 0.01 < largest(values) <= 8 * 2.0**-9
    assert set(weights.unique().tolist()) == set(range(16))
    assert json.loads((tmp_path / "model" / "config.json").read_text())["quantization_config"]


@frameworks
@warnings_allowed
def test_mxfp4_weights_are_finite_and_small_as_transformers_reads_them(tmp_path):
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    config = config_of(tmp_path / "config", "GptOssForCausalLM", MXFP4)
    found = drawn(tmp_path / "model", config)
    for name, shape in (("gate_up_proj", (4, 128, 512)), ("down_proj", (4, 256, 128))):
        stem = f"model.layers.1.mlp.experts.{name}"
        weights = convert_moe_packed_tensors(found[f"{stem}_blocks"], found[f"{stem}_scales"])
        assert tuple(weights.shape) == shape
        assert 6 * 2.0**-9 <= largest(weights) <= 6 * 2.0**-6
        assert found[f"{stem}_bias"].dtype == weights.dtype


@frameworks
@warnings_allowed
@pytest.mark.parametrize("quantization", [None, GPTQ, NVFP4], ids=["none", "gptq", "nvfp4"])
def test_values_do_not_depend_on_the_number_of_ranks(tmp_path, quantization):
    config = config_of(tmp_path / "config", "LlamaForCausalLM", quantization)
    spec = checkpoint.dummy(config)
    checkpoint.materialize(spec, f"{tmp_path}/one/", seed=0, shard_size=60_000)
    for rank in (2, 0, 1):
        checkpoint.materialize(
            spec, f"{tmp_path}/many/", seed=0, shard_size=60_000, rank=rank, world_size=3
        )
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert checkpoint.verify(tmp_path / "many")


@frameworks
@warnings_allowed
@pytest.mark.parametrize(
    ("architecture", "quantization", "message"),
    [
        ("LlamaForCausalLM", {"quant_method": "hqq"}, "quant_method 'hqq'"),
        ("LlamaForCausalLM", MXFP4, r"\(mxfp4\) changes no tensor of LlamaForCausalLM"),
        ("GptOssForCausalLM", AWQ, "experts.gate_up_proj has all experts of a layer in one tensor"),
        ("LlamaForCausalLM", GPTQ | {"group_size": 0.5}, "group_size is 0.5"),
    ],
)
def test_a_config_that_does_not_determine_the_tensors_is_refused_by_name(
    tmp_path, architecture, quantization, message
):
    config = config_of(tmp_path / "config", architecture, quantization)
    with pytest.raises(SpecError, match=message) as caught:
        checkpoint.dummy(config)
    assert caught.value.file == str(config / "config.json")


# ------------------------------------------------------------------------------------- checkpoints


@frameworks
@warnings_allowed
def test_a_checkpoint_of_any_writer_gives_the_tensors_of_its_header(tmp_path):
    import torch
    from safetensors.torch import save_file

    real = {
        "h.weight": torch.zeros(8, 16),
        "h.weight_scale_inv": torch.ones(1, 1),
        "h.weight_shape": torch.tensor([8, 16]),
        "h.qweight": torch.zeros(16, 8, dtype=torch.int32),
        "h.scales": torch.ones(2, 8, dtype=torch.float16),
        "h.g_idx": torch.arange(128, dtype=torch.int32) // 64,
        "h.weight_global_scale": torch.ones(1),
        "h.blocks": torch.zeros(3, 4, dtype=torch.uint8),
        "h.block_scales": torch.full((3, 4), 120, dtype=torch.uint8),
        "h.fp4": torch.zeros(4, 8, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
        "h.e8m0": torch.full((4, 8), 127, dtype=torch.uint8).view(torch.float8_e8m0fnu),
        "h.int8": torch.zeros(4, 8, dtype=torch.int8),
        "norm.num_batches_tracked": torch.tensor(7),
        "mask": torch.ones(3, dtype=torch.bool),
    }
    source = tmp_path / "real"
    source.mkdir()
    save_file(real, source / "model.safetensors")
    (source / "config.json").write_text('{"model_type": "llama"}')
    found = drawn(tmp_path / "dummy", source)
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        name: (one.dtype, one.shape) for name, one in real.items()
    }
    assert (tmp_path / "dummy" / "config.json").read_text() == '{"model_type": "llama"}'
    for name in ("h.weight_shape", "h.g_idx"):
        assert torch.equal(found[name], real[name])
    for name in ("h.weight_scale_inv", "h.scales"):
        assert float(found[name].min()) >= 2.0**-10 and largest(found[name]) < 2.0**-9
    assert 2.0**10 <= float(found["h.weight_global_scale"]) < 2.0**11
    assert set(found["h.block_scales"].flatten().tolist()) <= {118, 119, 120, 121}
    assert math.log2(largest(found["h.e8m0"].float())) <= -6
    for name in ("norm.num_batches_tracked", "mask"):
        assert not found[name].any()
    for name in ("h.qweight", "h.int8", "h.blocks"):
        assert len(found[name].unique()) > 10
    with pytest.raises(ValueError, match="a checkpoint has its dtypes"):
        checkpoint.dummy(source, "float32")


NAMES = [
    "w",
    "scale",
    "a.scales",
    "a.scale",
    "a.weight_scale_inv",
    "a.weight_scale_2",
    "a.weight_global_scale",
]
NAMES += ["g_idx", "a.g_idx", "a.weight_shape", "a.qweight", "a.weight_packed", "a.blocks"]


@pytest.mark.parametrize("shape", [(), (0, 3), (2,), (3, 4)], ids=str)
def test_every_dtype_under_every_conventional_name_has_a_dummy(tmp_path, shape):
    tensors = [
        (f"{kind.name}.{name}", kind, shape)
        for kind in (dtypes.DTYPES | dtypes.STORED).values()
        for name in NAMES
        if shape or kind.name != "float4_e2m1fn_x2"
    ]
    layout = safetensors.layout(tensors)
    path, target = tmp_path / "real.safetensors", tmp_path / "dummy.safetensors"
    path.write_bytes(layout.header + bytes(layout.size - len(layout.header)))
    spec = checkpoint.dummy(path)
    checkpoint.materialize(spec, target, seed=0)
    [found] = checkpoint.files(target)
    assert [one[:3] for one in found.layout.tensors] == [one[:3] for one in layout.tensors]
    assert checkpoint.verify(target)
    text = tmp_path / "spec.toml"
    text.write_text(checkpoint.describe(spec), encoding="utf-8")
    assert checkpoint.load(text).canonical() == spec.canonical()


def test_laws_and_audit_read_a_dummy(tmp_path):
    path = tmp_path / "dummy.safetensors"
    checkpoint.materialize(checkpoint.dummy({"tensors": EVERY}), path, seed=0)
    found = {law.name: law.rule for law in inspection.laws(path)}
    assert "packed bits" in found["packed"] and "float32" in found
    assert inspection.audit(path)
