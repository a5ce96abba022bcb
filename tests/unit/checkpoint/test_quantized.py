"""What a quantization_config makes of a linear layer: the names, shapes and dtypes that the
formats' libraries write; anything unknown is refused by name.
"""

import pytest

from fastinit._core import dtypes
from fastinit.checkpoint import quantized

# 256 outputs of 128 inputs.
LAYER = quantized.Layer("model.layers.0.mlp.up_proj", 256, 128, dtypes.BFLOAT16)
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": True, "desc_act": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True, "version": "gemm"}
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 96]}


def compressed(written, weights, inputs=None, **more):
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {
        "quant_method": "compressed-tensors",
        "format": written,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        **more,
    }


INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 64, "symmetric": True}
INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
FLOAT8 = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}
FLOAT4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
SCALES = ("bfloat16", (256, 2))

# name after the layer's → dtype, shape
CASES = {
    "gptq": (
        GPTQ,
        {
            "qweight": ("int32", (16, 256)),
            "qzeros": ("int32", (2, 32)),
            "scales": ("float16", (2, 256)),
            "g_idx": ("int32", (128,)),
        },
    ),
    "gptq of 8 bits in one group": (
        GPTQ | {"bits": 8, "group_size": -1},
        {
            "qweight": ("int32", (32, 256)),
            "qzeros": ("int32", (1, 64)),
            "scales": ("float16", (1, 256)),
            "g_idx": ("int32", (128,)),
        },
    ),
    "awq": (
        AWQ,
        {
            "qweight": ("int32", (128, 32)),
            "qzeros": ("int32", (2, 32)),
            "scales": ("float16", (2, 256)),
        },
    ),
    "awq without zeros": (
        AWQ | {"zero_point": False},
        {"qweight": ("int32", (128, 32)), "scales": ("float16", (2, 256))},
    ),
    "fp8 in blocks": (
        FP8,
        {"weight": ("float8_e4m3fn", (256, 128)), "weight_scale_inv": ("float32", (2, 2))},
    ),
    "fp8 with exponents": (
        FP8 | {"scale_fmt": "ue8m0"},
        {"weight": ("float8_e4m3fn", (256, 128)), "weight_scale_inv": ("float8_e8m0fnu", (2, 2))},
    ),
    "fp8 of whole tensors, static": (
        FP8 | {"weight_block_size": None, "activation_scheme": "static"},
        {
            "weight": ("float8_e4m3fn", (256, 128)),
            "weight_scale_inv": ("float32", ()),
            "activation_scale": ("float32", ()),
        },
    ),
    "int4 packed": (
        compressed("pack-quantized", INT4),
        {
            "weight_packed": ("int32", (256, 16)),
            "weight_scale": SCALES,
            "weight_shape": ("int64", (2,)),
        },
    ),
    "int4 packed, asymmetric and reordered": (
        compressed("pack-quantized", INT4 | {"symmetric": False, "actorder": "group"}),
        {
            "weight_packed": ("int32", (256, 16)),
            "weight_scale": SCALES,
            "weight_shape": ("int64", (2,)),
            "weight_zero_point": ("int32", (32, 2)),
            "weight_g_idx": ("int32", (128,)),
        },
    ),
    "int8": (
        compressed("int-quantized", INT8, {"num_bits": 8, "dynamic": True}),
        {"weight": ("int8", (256, 128)), "weight_scale": ("bfloat16", (256, 1))},
    ),
    "float8, static": (
        compressed("float-quantized", FLOAT8 | {"strategy": "tensor"}, {"dynamic": False}),
        {
            "weight": ("float8_e4m3fn", (256, 128)),
            "weight_scale": ("bfloat16", (1,)),
            "input_scale": ("bfloat16", (1,)),
        },
    ),
    "float8 in blocks": (
        compressed("float-quantized", FLOAT8 | {"strategy": "block", "block_structure": [128, 96]}),
        {"weight": ("float8_e4m3fn", (256, 128)), "weight_scale": ("bfloat16", (2, 2))},
    ),
    "nvfp4": (
        compressed("nvfp4-pack-quantized", FLOAT4, {"num_bits": 4, "dynamic": "local"}),
        {
            "weight_packed": ("uint8", (256, 64)),
            "weight_scale": ("float8_e4m3fn", (256, 8)),
            "weight_global_scale": ("float32", (1,)),
            "input_global_scale": ("float32", (1,)),
        },
    ),
}


def tensors(config, layer=LAYER, output="lm_head"):
    found = quantized.scheme(config, output)(layer)
    return None if found is None else {one.name: (one.dtype.name, one.shape) for one in found}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_has_the_tensors_of_its_format(case):
    config, expected = CASES[case]
    assert tensors(config) == {f"{LAYER.name}.{name}": kind for name, kind in expected.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_layer_of_the_logits_stays(case):
    assert tensors(CASES[case][0], LAYER._replace(name="lm_head")) is None


@pytest.mark.parametrize(
    ("config", "kept", "changed"),
    [
        (AWQ | {"modules_to_not_convert": ["mlp"]}, "layers.0.mlp", "layers.0.self_attn.q_proj"),
        (FP8 | {"modules_to_not_convert": ["layers.1"]}, "layers.1.mlp.up", "layers.11.mlp.up"),
        (FP8 | {"ignored_layers": ["layers.*.mlp"]}, "layers.3.mlp.up", "layers.3.attn.q"),
        (GPTQ | {"modules_in_block_to_quantize": [["q"], ["mlp.up"]]}, "h.0.k", "h.0.mlp.up"),
        (GPTQ, "classifier", "h.0.classifier"),
        (GPTQ | {"lm_head": True}, None, "lm_head"),
        (compressed("int-quantized", INT8, ignore=["re:.*gate", "a"]), "b.gate", "a.up"),
    ],
)
def test_modules_that_a_config_exempts_stay_as_they_are(config, kept, changed):
    if kept is not None:
        assert tensors(config, LAYER._replace(name=kept)) is None
    assert tensors(config, LAYER._replace(name=changed))


def test_zero_points_of_symmetric_gptq_are_the_middle_minus_one():
    for bits, word in ((2, 0x55555555), (4, 0x77777777), (8, 0x7F7F7F7F)):
        found = quantized.scheme(GPTQ | {"bits": bits}, None)(LAYER)
        [zeros] = [one for one in found if one.name.endswith("qzeros")]
        assert zeros.arguments == {"value": word}


def test_experts_in_one_tensor_are_blocks_and_exponents_in_mxfp4():
    config = {"quant_method": "mxfp4", "modules_to_not_convert": ["layers.1"]}
    found = quantized.experts(config, "layers.0.mlp.experts.down_proj", (4, 64, 128))
    assert {one.name: (one.dtype.name, one.shape) for one in found} == {
        "layers.0.mlp.experts.down_proj_blocks": ("uint8", (4, 128, 2, 16)),
        "layers.0.mlp.experts.down_proj_scales": ("uint8", (4, 128, 2)),
    }
    assert quantized.experts(config, "layers.1.mlp.experts.down_proj", (4, 64, 128)) is None
    assert quantized.experts(config, "layers.0.mlp.router.weight", (4, 64)) is None
    assert quantized.scheme(config, None)(LAYER) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"quant_method": "bitsandbytes"},
            "quant_method 'bitsandbytes'; dummies are for gptq, awq",
        ),
        ({"bits": 4}, "quant_method None"),
        (GPTQ | {"bits": 3}, "bits is 3; it must be a whole number, one of 2, 4, 8"),
        (
            GPTQ | {"group_size": "all"},
            "group_size is 'all'; it must be a whole number, at least 1",
        ),
        (GPTQ | {"dynamic": {"-:.*": {}}}, "gptq: what 'dynamic' = "),
        (AWQ | {"version": "gemv"}, "version is 'gemv'; dummies are for gemm"),
        (AWQ | {"group_size": 48}, "its 128 inputs are not divisible by 48"),
        (FP8 | {"fmt": "e5m2"}, "fmt is 'e5m2'"),
        (FP8 | {"expert_dtype": "fp4"}, "expert_dtype is 'fp4'"),
        (FP8 | {"weight_block_size": [128]}, "must be two whole numbers"),
        (FP8 | {"scale_fmt": "ue4m3"}, "dummies are for float or ue8m0"),
        (FP8 | {"modules_to_not_convert": ["("]}, "is not a pattern"),
        (compressed("pack-quantized", INT4, kv_cache_scheme={"num_bits": 8}), "'kv_cache_scheme'"),
        (
            compressed("pack-quantized", INT4, sparsity_config={"format": "sparse-24-bitmask"}),
            "sparse-24-bitmask",
        ),
        (compressed("marlin-24", INT4), "the format 'marlin-24' of 4-bit 'int' weights"),
        (compressed("int-quantized", INT8 | {"strategy": "row"}), "the strategy 'row'"),
        (compressed("int-quantized", INT8, config_groups={}), "config_groups is empty"),
        ({"quant_method": "mxfp4", "block": 32}, "mxfp4: what 'block' = 32 does is not known"),
    ],
)
def test_a_config_that_does_not_determine_the_tensors_is_refused_by_name(config, message):
    with pytest.raises(quantized.Unsaid, match=message):
        tensors(config)


def test_experts_in_one_tensor_are_refused_where_no_format_is_known():
    with pytest.raises(quantized.Unsaid, match="what gptq makes of it is not known"):
        quantized.experts(GPTQ, "layers.0.mlp.experts.down_proj", (4, 64, 128))


def replaced(config, value, path=()):
    """The config with a value in the place of each of its parts, and where."""
    yield path, value
    for key, part in config.items() if isinstance(config, dict) else ():
        for where, changed in replaced(part, value, (*path, key)):
            yield where, {**config, key: changed}


@pytest.mark.parametrize(
    "value", [None, 0, -5, 1 << 80, "x", "(", [], [0], {}, {"a": 1}, 1.5, True]
)
def test_every_config_gets_an_answer_or_a_refusal(value):
    refused = 0
    configs = [config for config, _ in CASES.values()] + [{"quant_method": "mxfp4", "a": []}]
    for config in configs:
        for where, changed in replaced(config, value):
            try:
                tensors(changed)
                quantized.experts(changed, "layers.0.mlp.experts.down_proj", (4, 64, 128))
            except quantized.Unsaid as error:
                assert len(str(error)) < 400, where
                refused += 1
    assert refused
