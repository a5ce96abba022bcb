"""What default configurations of transformers and diffusers leave open, and sizes where
catalogues.py's shrunk ones do not fit one another.
"""

# Parts that several have.
TIMM = {"model_type": "timm_wrapper", "architecture": "test_vit", "model_args": {"embed_dim": 64}}
CSM = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
CSM |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "num_codebooks": 4}
TEXT = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 4, "head_dim": 16}
TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128}
QSA = {"indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 16}
QSA |= {"indexer_budget": 64, "indexer_compress_ratio": 4}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
MOE = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}
VISION = {"hidden_size": 64, "intermediate_size": 64, "out_hidden_size": 64, "num_heads": 4}
VISION |= {"depth": 2, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
AUDIO = {"d_model": 64, "encoder_ffn_dim": 64, "encoder_layers": 2, "encoder_attention_heads": 4}
AUDIO |= {"output_dim": 64, "downsample_hidden_size": 32}
VOICE = {"num_filters": 4, "depths": [1] * 7}
SIGLIP = {"model_type": "siglip_vision_model", "hidden_size": 64, "intermediate_size": 64}
SIGLIP |= {"num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 56, "patch_size": 14}
MIMI = {"model_type": "mimi", "num_filters": 8, "hidden_size": 64, "codebook_dim": 16}
MIMI |= {"vector_quantization_hidden_dimension": 16, "upsample_groups": 64, "codebook_size": 128}
RATIOS = (("long", 7), ("mid", 5), ("short", 3))
INTRACLASS = {
    name: [kernel, [1, 1], [size // 2 for size in kernel]]
    for name, kernel in (
        [("reduce_channel", [1, 1]), ("return_channel", [1, 1])]
        + [(f"vertical_long_to_small_conv_{r}ratio", [k, 1]) for r, k in RATIOS]
        + [(f"horizontal_small_to_long_conv_{r}ratio", [1, k]) for r, k in RATIOS]
        + [(f"symmetric_conv_long_{r}ratio", [k, k]) for r, k in RATIOS]
    )
}

# Model type → arguments of its configuration.
GIVEN = {
    "autoformer": {"prediction_length": 4},
    "informer": {"prediction_length": 4},
    "time_series_transformer": {"prediction_length": 4},
    "reformer": {"is_decoder": True},
    "wav2vec2-bert": {"vocab_size": 32},
    "timm_backbone": {"backbone": "test_resnet"},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "diffusion_gemma": {
        "text_config": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 64}
    },
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "dinov3_vit": {"num_register_tokens": 4},
    "lw_detr": {"projector_scale_factors": [0.5, 2.0]},
    "chameleon": {"vocabulary_map": {"<image>": 8}},
    "emu3": {"vocabulary_map": {"<image>": 8}},
    "hunyuan_v1_dense": {"head_dim": 32},
    "hunyuan_v1_moe": {"head_dim": 32},
    "hunyuan_vl": {"text_config": {"head_dim": 32}},
    "ministral": {"head_dim": 32},
    "nemotron": {"num_key_value_heads": 8},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_hidden_layers": 2},
    "dbrx": {"attn_config": {"rope_theta": 10000.0}},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "vitmatte": {"fusion_hidden_sizes": [256, 128, 64, 32]},
    "gemma3n": {
        "text_config": {**TEXT, "num_kv_shared_layers": 0, "vocab_size_per_layer_input": 64},
        "vision_config": {"architecture": "test_vit"},
    },
    "gemma4_assistant": {
        "backbone_hidden_size": 64,
        "text_config": {**TEXT, "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0},
    },
    "gemma4_unified_assistant": {"backbone_hidden_size": 64, "text_config": TEXT},
    "ernie4_5_vl_moe": {
        "vision_config": {"hidden_size": 64, "intermediate_size": 64, "num_heads": 4, "depth": 2},
        "text_config": {  # the sections of its rotary embedding are for heads of 128
            **TEXT,
            "hidden_size": 512,
            "head_dim": 128,
            "moe_intermediate_size": [32, 32],
            "moe_num_experts": 4,
        },
    },
    "deepseek_ocr2": {
        "text_config": {
            **TEXT,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
        },
        "vision_config": {"sam_config": {"downsample_channels": [64, 64]}, "encoder_config": TEXT},
    },
    "cohere_compass": {
        "text_config": {**TEXT, "rope_parameters": {"full_attention": ROPE}},
        "vision_config": VISION,
    },
    "qwen3_omni_moe": {
        "thinker_config": {
            "text_config": {**TEXT, **MOE},
            "vision_config": VISION,
            "audio_config": AUDIO,
        },
        "talker_config": {
            "text_config": {**TEXT, **MOE, "shared_expert_intermediate_size": 32},
            "code_predictor_config": TEXT,
            "thinker_hidden_size": 64,
            "spatial_merge_size": 2,
        },
        "code2wav_config": {**TEXT, "num_key_value_heads": 4, "decoder_dim": 64},
    },
    "granite4_vision": {"downsample_rate": "4/8", "deepstack_layer_map": [[-2, 0]]},
    "qwen4_exp": {"text_config": {**TEXT, **QSA, "num_experts": 4, "num_experts_per_tok": 2}},
    "vibevoice": {
        "audio_config": {"model_type": "vibevoice_acoustic_tokenizer", **VOICE},
        "semantic_model_config": {"model_type": "vibevoice_acoustic_tokenizer_encoder", **VOICE},
    },
    "vibevoice_asr": {
        f"{name}_tokenizer_encoder_config": {
            "model_type": "vibevoice_acoustic_tokenizer_encoder",
            **VOICE,
        }
        for name in ("acoustic", "semantic")
    },
    "pe_audio_video": {
        "audio_video_config": {"video_config": {"vision_config": {"architecture": "test_vit"}}}
    },
    "cohere_compass_text": {**TEXT, "rope_parameters": {"full_attention": ROPE}},
    "gemma3n_text": {**TEXT, "num_kv_shared_layers": 0, "vocab_size_per_layer_input": 64},
    "gemma3n_vision": {"architecture": "test_vit"},
    "hunyuan_vl_text": {"head_dim": 32},
    "pe_audio_video_encoder": {"video_config": {"vision_config": {"architecture": "test_vit"}}},
    "pe_video_encoder": {"vision_config": {"architecture": "test_vit"}},
    "qwen4_exp_text": {**TEXT, **QSA, "num_experts": 4, "num_experts_per_tok": 2},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "zamba": {
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 5,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid", "hybrid"],
    },
    "csm": {
        "codec_config": MIMI,
        **CSM,
        "depth_decoder_config": {**CSM, "backbone_hidden_size": 64},
    },
    "kyutai_speech_to_text": {"codec_config": MIMI},
    "perceiver": {"num_latents": 16, "d_latents": 64, "num_self_attends_per_block": 2},
    "perception_lm": {"vision_config": TIMM},
    "pe_video": {"video_config": {"vision_config": {"architecture": "test_vit"}}},
    "vibevoice_acoustic_tokenizer": VOICE,
    "vibevoice_acoustic_tokenizer_decoder": VOICE,
    "vibevoice_acoustic_tokenizer_encoder": VOICE,
    "aya_vision": {"vision_config": SIGLIP},
    "pp_ocrv5_server_det": {
        "intraclass_block_config": INTRACLASS,
        "kernel_list": [3, 2, 2],
        "scale_factor_list": [1, 2, 4, 8],
    },
    "pp_ocrv6_medium_det": {"intraclass_block_config": INTRACLASS},
}

# Class of diffusers → arguments that its constructor needs beyond the defaults.
PATCHES = {"in_channels": 4, "patch_size": 2}
DIFFUSERS = {
    "AutoencoderKLHunyuanImage": {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 64,
        "block_out_channels": (128, 256, 512, 512, 1024, 1024),
        "layers_per_block": 2,
        "spatial_compression_ratio": 32,
        "sample_size": 384,
    },
    "ControlNetUnionModel": {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 64,
    },
    "DreamLiteTransformer2DModel": {"in_channels": 32},
    "DualTransformer2DModel": {"in_channels": 32},
    "EasyAnimateTransformer3DModel": {**PATCHES, "out_channels": 4},
    "HiDreamImageTransformer2DModel": {"patch_size": 2, "caption_channels": [64, 64]},
    "HunyuanDiT2DControlNetModel": PATCHES,
    "HunyuanDiT2DModel": PATCHES,
    "LatteTransformer3DModel": {**PATCHES, "caption_channels": 64},
    "LuminaNextDiT2DModel": {"num_kv_heads": 8},
    "OmniGenTransformer2DModel": {
        "rope_scaling": {"short_factor": [1.0] * 48, "long_factor": [1.0] * 48}
    },
    "PRXTransformer2DModel": {"hidden_size": 448, "num_heads": 7, "axes_dim": [32, 32]},
    "RFD4ProteinaAutoencoder": {
        "atom37_mask": [[True] * 37] * 147,
        "allowed_residue_types": [[True] * 147] * 7,
    },
    "Transformer2DModel": {"in_channels": 32},
    "TransformerTemporalModel": {"in_channels": 32},
    "UNetSpatioTemporalConditionModel": {  # its GroupNorms have 32 groups always
        "block_out_channels": (32, 64, 64, 64),
        "num_attention_heads": (2, 4, 4, 4),
        "cross_attention_dim": 64,
    },
    "WanAnimateTransformer3DModel": {"in_channels": 36, "latent_channels": None},
    "WanVACETransformer3DModel": {"vace_layers": [0, 1]},
    "ZImageControlNetModel": {"control_layers_places": [0, 1], "control_in_dim": 16},
}

# Class of diffusers that takes a list of models → the argument, and the class of the models.
CONTAINERS = {
    "FluxMultiControlNetModel": ("controlnets", "FluxControlNetModel"),
    "HunyuanDiT2DMultiControlNetModel": ("controlnets", "HunyuanDiT2DControlNetModel"),
    "MultiAdapter": ("adapters", "T2IAdapter"),
    "MultiControlNetModel": ("controlnets", "ControlNetModel"),
    "MultiControlNetUnionModel": ("controlnets", "ControlNetUnionModel"),
    "QwenImageMultiControlNetModel": ("controlnets", "QwenImageControlNetModel"),
    "SD3MultiControlNetModel": ("controlnets", "SD3ControlNetModel"),
}
