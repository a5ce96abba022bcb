"""The models of transformers, timm, torchvision, diffusers and PEFT, and how each is built small.

A case is "library/model".  `builder` returns a function without arguments that constructs it, in
sizes so small that it can be called many times within seconds.
"""

import copy
import importlib
import inspect
import math
import re

import torch
from configurations import CONTAINERS, DIFFUSERS, GIVEN

LARGEST = 130_000_000  # parameters; what cannot be made smaller than this is left out

WIDTH = re.compile(
    r"hidden|width|embed|emb_|_emb$|d_model|n_embd|intermediate|ffn|d_ff|d_kv|mlp_dim|inner|"
    r"channels|_dim|^dim|dim$|dims|lora_rank|d_inner|filters|num_features|codebook_size|^ch$|"
    r"norm_num_groups$|^groups$"
)
NOT_WIDTH = re.compile(
    r"mlp_ratio|num_hidden|num_channels|in_channels$|image|audio_channels|num_embed|embeddings|"
    r"^out_channels$|_layers|mamba_d|input_dim|hidden_act|_embeds_|base_channels_mult|multipl|"
    r"num_mel|d_conv|expan|embedding_base|dimensions?_|crop|depth"
)
DEPTH = re.compile(
    r"layers$|^n_layer|^depths?$|_depth$|num_blocks|_blocks$|layers_per_block$|blocks_per|"
    r"layer_num|numb_of_layers|num_res_blocks|num_stages_"
)
NOT_DEPTH = re.compile(
    r"_blocks_idx|shared|nextn|feat_extract|adapter|lstm|residual_layers|indexes"
)
EXPERTS = re.compile(r"experts?$|^num_local_experts$|moe_num_experts")
TOP = re.compile(r"experts_per_tok|top_?k$|moe_topk|moe_k$")


class NotBuilt(Exception):
    """A model that its own library does not build from a default configuration."""


def shrunk(name, value, width):
    """A smaller value of one field of a configuration; the same for what is not known."""
    if isinstance(value, bool) or name.startswith("_"):
        return value
    if isinstance(value, (list, tuple)):
        if value and name in ("layer_types", "layers_block_type"):
            kinds = list(dict.fromkeys(value))
            return type(value)((kinds * 2)[: max(2, len(kinds))])
        return type(value)([shrunk(name, one, width) for one in value])
    if not isinstance(value, int):
        return value
    if EXPERTS.search(name):
        return min(value, 4)
    if TOP.search(name):
        return min(value, 2)
    if name in ("n_group", "topk_group"):
        return min(value, 1)
    if DEPTH.search(name) and not NOT_DEPTH.search(name):
        return min(value, 2)
    if re.search(r"vocab_size$|^n_words$|^n_vocab$", name):
        return min(value, 1024)
    if re.search(r"token_(id|index)$", name) and value >= 1024:
        return 1023
    if width > 1 and value >= 16 and WIDTH.search(name) and not NOT_WIDTH.search(name):
        return value // width if value % width == 0 else value
    return value


def widths(sizes):
    """Divisors of the widths to try, from the one that leaves about 64 columns down to 1."""
    largest = max([size for size in sizes if size], default=64)
    power = max(0, int(math.log2(max(largest, 64) / 64)))
    return [2**one for one in range(power, -1, -1)]


def small(build_at, sizes):
    """The first build that works, tried with larger and larger widths and finally with the
    library's own sizes; and the divisor of the widths.
    """
    reason = None
    for width in [*widths(sizes), None]:
        try:
            make = build_at(width)
            size = count(make, really=width is not None)
            if size <= LARGEST:
                make()
                return make, width
            reason = f"{size:,} values"
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    raise NotBuilt(reason)


def count(make, really):
    """How many values the model has, by building it on the meta device; where that fails, `really`
    builds it, which only a small model should be.
    """
    try:
        with torch.device("meta"):
            model = make()
    except Exception:
        if not really:
            raise
        model = make()
    tensors = [*model.parameters(), *model.buffers()]
    if any(0 in tensor.shape for tensor in tensors):
        raise ValueError("a size is 0")
    return sum(tensor.numel() for tensor in tensors)


# ------------------------------------------------------------------------------------- transformers

HEADS = (
    "PRETRAINING",
    "MULTIMODAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "CAUSAL_LM",
    "MASKED_LM",
    "UNIVERSAL_SEGMENTATION",
    "OBJECT_DETECTION",
    "ZERO_SHOT_OBJECT_DETECTION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
    "MASKED_IMAGE_MODELING",
    "IMAGE_CLASSIFICATION",
    "CTC",
    "TEXT_TO_WAVEFORM",
    "TEXT_TO_SPECTROGRAM",
)


def transformers_classes():
    """The classes of each model type: its richest head first, then what the auto classes list."""
    from transformers.models.auto import modeling_auto as auto

    tables = [f"MODEL_FOR_{head}_MAPPING_NAMES" for head in HEADS] + ["MODEL_MAPPING_NAMES"]
    tables += sorted(n for n in vars(auto) if n.startswith("MODEL_FOR") and n.endswith("_NAMES"))
    found = {}
    for table in tables:
        for kind, name in getattr(auto, table, {}).items():
            names = found.setdefault(kind, {})
            names.setdefault(name if isinstance(name, str) else name[0])
    return found


def families():
    """One model type for each folder of transformers.models."""
    from transformers.models.auto.configuration_auto import model_type_to_module_name

    groups = {}
    for kind in transformers_classes():
        groups.setdefault(model_type_to_module_name(kind), []).append(kind)
    return [min(kinds, key=lambda kind: (kind.replace("-", "_") != folder, len(kind)))
            for folder, kinds in groups.items()]  # fmt: skip


def config_sizes(config):
    from transformers import PretrainedConfig

    for name, value in vars(config).items():
        if isinstance(value, PretrainedConfig):
            yield from config_sizes(value)
        elif name in ("hidden_size", "d_model", "n_embd", "embed_dim") and isinstance(value, int):
            yield value


def shrink_config(config, width):
    from transformers import PretrainedConfig

    for name, value in list(vars(config).items()):
        if isinstance(value, PretrainedConfig):
            shrink_config(value, width)
        elif isinstance(value, (int, list, tuple)):
            new = shrunk(name, value, width)
            if new != value:
                setattr(config, name, new)
    kinds = getattr(config, "layer_types", None)
    if isinstance(kinds, (list, tuple)) and hasattr(config, "num_hidden_layers"):
        config.num_hidden_layers = len(kinds)


def transformers_builder(kind):
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    for name in transformers_classes()[kind]:  # some heads need what the configuration leaves open
        try:
            cls = getattr(transformers, name)
            original = CONFIG_MAPPING[kind](**copy.deepcopy(GIVEN.get(kind, {})))

            def build_at(width, cls=cls, original=original):
                config = copy.deepcopy(original)
                if width is not None:
                    shrink_config(config, width)
                return lambda: cls(copy.deepcopy(config))

            make, width = small(build_at, list(config_sizes(original)))
            return make, f"{name}, widths / {width}" if width else f"{name}, default sizes"
        except Exception as error:
            why = error
    if isinstance(why, NotBuilt):
        raise why
    raise NotBuilt(f"{type(why).__name__}: {' '.join(str(why).split())[:200]}")


# -------------------------------------------------------------------------------- timm, torchvision

SMALL = ("test", "atto", "femto", "pico", "nano", "tiny", "mini", "small", "18", "0", "s")


def smallest(names):
    """The name that reads as the smallest."""
    rank = {name: next((k for k, s in enumerate(SMALL) if s in name), 99) for name in names}
    return min(names, key=lambda name: (rank[name], len(name), name))


def timm_names():
    import timm

    return {one: smallest(timm.list_models(module=one)) for one in timm.list_modules()
            if timm.list_models(module=one)}  # fmt: skip


def timm_builder(kind):
    import timm

    name = timm_names()[kind]
    return (lambda: timm.create_model(name, pretrained=False)), name


def torchvision_names():
    from torchvision import models

    groups = {}
    for name in models.list_models():
        module = models.get_model_builder(name).__module__.removeprefix("torchvision.models.")
        groups.setdefault(module, []).append(name)
    return {module: smallest(names) for module, names in groups.items()}


def torchvision_builder(kind):
    from torchvision import models

    name = torchvision_names()[kind]
    signature = inspect.signature(models.get_model_builder(name)).parameters
    given = {one: None for one in ("weights", "weights_backbone") if one in signature}
    return (lambda: models.get_model(name, **given)), name


# ---------------------------------------------------------------------------------------- diffusers


def diffusers_names():
    import diffusers
    from diffusers.models.modeling_utils import ModelMixin

    names = diffusers.models._import_structure.values()
    found = {}
    for name in sorted({one for names in names for one in names}):
        try:
            cls = getattr(diffusers.models, name)
        except Exception:
            continue
        if isinstance(cls, type) and issubclass(cls, ModelMixin) and cls is not ModelMixin:
            found[name] = name
    return found


def diffusers_builder(kind):
    import diffusers

    cls = getattr(diffusers.models, kind)
    if kind in CONTAINERS:
        argument, part = CONTAINERS[kind]
        one, what = diffusers_builder(part)
        return (lambda: cls(**{argument: [one(), one()]})), f"two of {part}, {what}"
    defaults = {
        name: one.default
        for name, one in inspect.signature(cls.__init__).parameters.items()
        if one.default is not inspect.Parameter.empty
    }
    given = DIFFUSERS.get(kind, {})

    def build_at(width):
        own = {} if width is None else {
            name: shrunk(name, value, width) for name, value in {**defaults, **given}.items()
            if isinstance(value, (int, list, tuple)) and shrunk(name, value, width) != value
        }  # fmt: skip
        return lambda: cls(**{**given, **own})

    make, width = small(build_at, [1024])
    return make, f"widths / {width}" if width else "default sizes"


# --------------------------------------------------------------------------------------------- PEFT


def peft_names():
    import peft

    return {str(one.value).lower(): one for one in peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING}


OWN_SEEDS = ("projection_prng_key", "projection_seed")


def peft_builder(kind):
    import peft
    import transformers

    cls = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[peft_names()[kind]]
    fields = inspect.signature(cls.__init__).parameters
    base = transformers.LlamaConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, vocab_size=256, use_cache=False,
    )  # fmt: skip
    offers = {
        "target_modules": ["q_proj", "v_proj"],
        "feedforward_modules": [],
        "num_virtual_tokens": 8,
        "token_dim": 128,
        "num_layers": 2,
        "num_attention_heads": 4,
        "encoder_hidden_size": 32,
        "adapter_len": 4,
        "adapter_layers": 2,
        "total_step": 10,
        "num_vectors": 64,
        "vector_length": 32,
        "block_size": 32,
        "n_frequency": 100,
        "token_indices": [1, 2, 3],
    }
    if kind == "adaption_prompt":
        del offers["target_modules"]  # it adapts whole attentions, by its own default
    own = {key: value for key, value in offers.items() if key in fields}

    def make():
        # An adapter that seeds a generator of its own draws one value always; with another seed
        # each time, as torch has here, its law can be compared.
        seeds = {key: torch.initial_seed() for key in OWN_SEEDS if key in fields}
        config = cls(task_type="CAUSAL_LM", **own, **seeds)
        return peft.get_peft_model(transformers.LlamaForCausalLM(copy.deepcopy(base)), config)

    try:
        make()
    except Exception as error:
        raise NotBuilt(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    return make, cls.__name__


# ---------------------------------------------------------------------------------------------- all

BUILDERS = {
    "transformers": (transformers_classes, transformers_builder),
    "timm": (timm_names, timm_builder),
    "torchvision": (torchvision_names, torchvision_builder),
    "diffusers": (diffusers_names, diffusers_builder),
    "peft": (peft_names, peft_builder),
}


def cases():
    """Every case of the libraries that are installed; parts of a family of transformers, such as
    its text model, come last.
    """
    found = [
        f"{library}/{kind}"
        for library, (names, _) in BUILDERS.items()
        if importlib.util.find_spec(library)
        for kind in names()
    ]
    heads = {f"transformers/{kind}" for kind in families()} if found else set()
    late = [one for one in found if one.startswith("transformers/") and one not in heads]
    return [one for one in found if one not in late] + late


def builder(case):
    library, kind = case.split("/", 1)
    return BUILDERS[library][1](kind)


def define_torchvision_operators():
    """Where torchvision's compiled library does not load beside a CPU build of torch, its Python
    needs two operators to exist at import.  No constructor calls them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    except ImportError:
        pass
    return None
