"""Hugging Face models under accelerate(), and from the meta device by materialize_, against plain
construction.
"""

import math
import sys
import types
import warnings

import numpy as np
import pytest
import torch
import transformers

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

from transformers import initialization  # noqa: E402

import fastinit as fi  # noqa: E402
import fastinit.torch as fit  # noqa: E402

SMALL = {"vocab_size": 128, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
CONFIGS = {
    "LlamaForCausalLM": lambda: transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        **SMALL,
    ),
    "GPT2LMHeadModel": lambda: transformers.GPT2Config(
        n_embd=64, n_layer=2, n_head=4, n_positions=32, **SMALL
    ),
    "BertModel": lambda: transformers.BertConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, **SMALL
    ),
    "T5ForConditionalGeneration": lambda: transformers.T5Config(
        d_model=64,
        d_ff=96,
        d_kv=16,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        vocab_size=128,
    ),
    "ViTModel": lambda: transformers.ViTConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    ),
    "Qwen2MoeForCausalLM": lambda: transformers.Qwen2MoeConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
        num_experts=4,
        **SMALL,
    ),
}
every_model = pytest.mark.parametrize("name", CONFIGS)


def build(name, dtype=None):
    config = CONFIGS[name]()
    if dtype is not None:
        config.dtype = dtype
    return (
        getattr(transformers, name)._from_config(config, dtype=dtype)
        if dtype
        else getattr(transformers, name)(config)
    )


def on_meta(name):
    with torch.device("meta"):
        return build(name)


def laws_agree(plain, model):
    """Equal constants, and standard deviations within seven of their own deviations."""
    theirs = dict(plain.named_parameters())
    assert set(theirs) == {key for key, _ in model.named_parameters()}
    for key, ours in model.named_parameters():
        their = theirs[key].detach().double()
        ours = ours.detach().double()
        assert ours.shape == their.shape
        if their.min() == their.max():
            assert torch.equal(ours, their), key
        else:
            assert abs(ours.std() / their.std() - 1) < 7 / math.sqrt(ours.numel()), key
            assert abs(ours.mean() - their.mean()) < 7 * their.std() * math.sqrt(
                2 / ours.numel()
            ), key


@every_model
def test_accelerate_draws_every_weight_with_the_law_of_plain_construction(name):
    torch.manual_seed(0)
    plain = build(name)
    torch.manual_seed(0)
    with fit.accelerate() as block:
        model = build(name)
    laws_agree(plain, model)
    assert (
        block.values >= sum(p.numel() for p in model.parameters() if p.min() != p.max())
        and not block.left
    )
    assert not any(
        torch.equal(a, b)
        for a, b in zip(plain.parameters(), model.parameters(), strict=True)
        if a.std() > 0
    )
    torch.manual_seed(0)
    with fit.accelerate():
        again = build(name)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


@every_model
def test_from_meta_every_weight_has_the_law_of_plain_construction_and_is_keyed_by_name(name):
    torch.manual_seed(1)
    plain, model = build(name), on_meta(name)
    report = fit.materialize_(model, seed=1)
    laws_agree(plain, model)
    assert (
        not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
        and report.unknown == ()
    )
    for (key, theirs), ours in zip(plain.named_buffers(), model.buffers(), strict=True):
        assert torch.equal(theirs, ours), key
    assert fit.verify_(model, seed=1)
    parameters = dict(model.named_parameters())
    for line in report.filled:
        if line.stream == line.name and f"{line.name}[1]" not in report.names:
            assert np.array_equal(
                eval(line.call(1), {"fi": fi}), parameters[line.name].detach().numpy()
            ), line


COMPUTING = {
    "MambaForCausalLM": lambda: transformers.MambaConfig(
        hidden_size=64, state_size=8, num_hidden_layers=2, time_step_rank=4, **SMALL
    ),
    "Mamba2ForCausalLM": lambda: transformers.Mamba2Config(
        hidden_size=64,
        state_size=8,
        num_hidden_layers=2,
        num_heads=16,
        head_dim=8,
        n_groups=2,
        **SMALL,
    ),
    "Qwen3NextForCausalLM": lambda: transformers.Qwen3NextConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        linear_num_key_heads=4,
        linear_num_value_heads=32,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=32,
        shared_expert_intermediate_size=32,
        **SMALL,
    ),
}


@pytest.mark.parametrize("name", COMPUTING)
def test_state_space_models_compute_what_no_initializer_stands_for(name):
    """Logarithms of ranges and of uniforms, step sizes through exp, log and expm1."""
    torch.manual_seed(1)
    config = COMPUTING[name]()
    plain = getattr(transformers, name)(config)
    with torch.device("meta"):
        model = getattr(transformers, name)(config)
    report = fit.materialize_(model, seed=1)
    assert report.computed and all(
        key.endswith(("A_log", "dt_bias", "dt_proj.bias")) for key in report.computed
    )
    laws_agree(plain, model)
    assert report.unknown == () and fit.verify_(model, seed=1)
    assert model(torch.arange(10)[None], labels=torch.arange(10)[None]).loss.isfinite()


BLOCKS = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
IMAGE = {**BLOCKS, "image_size": 32, "patch_size": 8}
CONSTRUCTING = {
    "ViTMAEModel": lambda: transformers.ViTMAEConfig(**IMAGE),
    "XLNetModel": lambda: transformers.XLNetConfig(
        vocab_size=99, d_model=64, n_layer=2, n_head=4, d_inner=96
    ),
    "CLIPModel": lambda: transformers.CLIPConfig(
        text_config={**BLOCKS, **SMALL}, vision_config=IMAGE
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTING)
def test_a_construction_records_what_constructors_do_besides_init_weights(name):
    """ViT-MAE fills a view and asks its children whether they are done; XLNet makes parameters with
    torch.Tensor(n), which ignores the device; CLIP's scale is a constant of its constructor.
    """
    config = CONSTRUCTING[name]()
    torch.manual_seed(1)
    plain = getattr(transformers, name)(config)
    with fit.construction() as made:
        model = getattr(transformers, name)(config)
    report = fit.materialize_(model, made, seed=1)
    laws_agree(plain, model)
    assert report.skipped == () and fit.verify_(model, made, seed=1)
    for one, two in zip(plain.modules(), model.modules(), strict=True):
        assert one.__dict__.get("_is_hf_initialized") == two.__dict__.get("_is_hf_initialized")


def _on_meta_and_recorded(name):
    """The model on the meta device, and the one that construction() makes whole."""
    make = getattr(transformers, name)
    with torch.device("meta"):
        model = make(CONSTRUCTING[name]())
    with fit.construction() as made:
        whole = make(CONSTRUCTING[name]())
    fit.materialize_(whole, made, seed=1)
    return model, whole


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("ViTMAEModel", "embeddings.cls_token"),  # drawn by a constructor
        ("ViTMAEModel", "embeddings.position_embeddings"),  # a table from NumPy
        ("XLNetModel", "mask_emb"),  # torch.Tensor(n), real on every device
        ("CLIPModel", "logit_scale"),  # a constant
    ],
)
def test_what_plain_meta_loses_a_second_constructor_gives_with_a_warning(name, left):
    model, whole = _on_meta_and_recorded(name)
    config, state = model.config.to_dict(), torch.random.get_rng_state()
    with pytest.warns(UserWarning, match=rf"{left}.* get what {name}\(config\), run once more"):
        report = fit.materialize_(model, seed=1)
    assert left in {line.name for line in report.filled} | set(report.computed)
    assert report.unknown == report.skipped == ()
    ours, theirs = model.state_dict(), whole.state_dict()
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    for one, two in zip(model.buffers(), whole.buffers(), strict=True):
        assert torch.equal(one, two)
    assert fit.verify_(model, seed=1)  # and says nothing
    assert model.config.to_dict() == config
    assert torch.equal(torch.random.get_rng_state(), state)


class _Backbone(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
        self.init_weights()

    def init_weights(self):
        torch.nn.init.constant_(self.weight, 7.0)


class _Wrapped(transformers.PreTrainedModel):
    """As transformers wraps a model of timm."""

    config_class = transformers.PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.backbone = _Backbone()
        self.post_init()
        if config.table:
            self.register_buffer("table", torch.ones(2))

    def _init_weights(self, module):
        if self.config.draws and isinstance(module, torch.nn.Linear):
            torch.nn.init.constant_(module.weight, 0.25)
            torch.nn.init.zeros_(module.bias)


@pytest.mark.parametrize("draws,table", [(True, False), (False, False), (False, True)])
def test_an_init_weights_whose_values_come_from_elsewhere_gives_no_warning(draws, table):
    """Either transformers replaces them, or the constructor is run again, here for a table."""
    config = transformers.PretrainedConfig(draws=draws, table=table)
    with torch.device("meta"):
        model = _Wrapped(config)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit.materialize_(model, seed=1)
    equal = torch.equal(model.backbone.weight, _Wrapped(config).backbone.weight)
    warned = any("init_weights() of _Backbone" in str(one.message) for one in told)
    assert (equal, warned) == ((True, False) if draws or table else (False, True))


class _Tabled(transformers.PreTrainedModel):
    """Buffers of every kind that a constructor leaves: computed, unsaved, of NumPy."""

    config_class = transformers.PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        angles = np.arange(12.0, dtype="f4").reshape(3, 4) / 7
        self.register_buffer("table", torch.tensor(np.sin(angles)))
        self.register_buffer("ids", torch.arange(5).expand(1, -1), persistent=False)
        mask = torch.zeros(3, device=torch.nn.Linear(1, 1).weight.device)
        mask[1:] = 1.0
        self.register_buffer("mask", mask.unsqueeze(0) - mask.unsqueeze(1))
        self.scale = torch.nn.Parameter(torch.tensor(2.5))
        self.gain = torch.nn.Parameter(torch.full((3,), 0.5))
        self.gain.data.mul_(3.0)
        self.head = torch.nn.Linear(4, 3)
        self.head.weight.data.copy_(torch.from_numpy(np.cos(angles)))
        self.post_init()

    def _init_weights(self, module):
        pass


def _tabled():
    with torch.device("meta"):
        return _Tabled(transformers.PretrainedConfig())


def test_a_second_constructor_call_restores_buffers_and_writes_through_data():
    model = _tabled()
    with pytest.warns(UserWarning, match=r"scale, gain, table, ids, mask get what _Tabled"):
        fit.materialize_(model, seed=1)
    plain = _Tabled(transformers.PretrainedConfig())
    for name in ("table", "ids", "mask", "scale", "gain"):
        assert torch.equal(getattr(model, name), getattr(plain, name)), name
    assert torch.equal(model.head.weight, plain.head.weight)  # its own code would draw it
    assert model.head.bias.any()


class _Holder(torch.nn.Module):
    """A user's module that holds two models of a library."""

    def __init__(self):
        super().__init__()
        self.first = _Tabled(transformers.PretrainedConfig())
        self.second = torch.nn.ModuleList([_Tabled(transformers.PretrainedConfig())])
        self.out = torch.nn.Linear(3, 2)


def test_the_constructors_of_models_inside_a_module_are_called_again():
    with torch.device("meta"):
        model = _Holder()
    with pytest.warns(UserWarning, match=r"first\.scale, .* get what _Tabled\(config\)"):
        fit.materialize_(model, seed=1)
    plain = _Tabled(transformers.PretrainedConfig())
    for inner in (model.first, model.second[0]):
        for name in ("table", "ids", "mask", "scale", "gain"):
            assert torch.equal(getattr(inner, name), getattr(plain, name)), name
        assert torch.equal(inner.head.weight, plain.head.weight)
    assert not torch.equal(model.first.head.bias, model.second[0].head.bias)
    assert model.out.weight.any()


def _written_later(model):
    with torch.no_grad():
        model.scale.fill_(1.0)


def _another_shape(model):
    model.gain = torch.nn.Parameter(torch.empty(4, device="meta"))


def _another_dtype(model):
    model.bfloat16()


def _another_module(model):
    model.more = torch.nn.Identity()


def _another_config(model):
    model.config = None


@pytest.mark.parametrize(
    "change",
    [_written_later, _another_shape, _another_dtype, _another_module, _another_config],
)
def test_a_model_that_is_not_as_its_constructor_leaves_it_is_refused_by_name(change):
    model = _tabled()
    change(model)
    # Where a single parameter differs, what is said of the others is a warning before the error.
    with (
        pytest.raises(ValueError, match=r"scale: no reset_parameters"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*run once more")
        fit.materialize_(model, seed=1)
    assert model.scale.is_meta and model.table.is_meta


@pytest.mark.parametrize("real", [("mask_emb", "layer.0.rel_attn.q"), ("word_embedding.weight",)])
def test_parameters_that_were_loaded_are_never_drawn_over(real):
    """Loaded memory has the version of memory that nothing has written."""
    model, whole = _on_meta_and_recorded("XLNetModel")
    for name, one in model.named_parameters():
        if not one.is_meta and name not in real:
            path, _, attribute = name.rpartition(".")
            empty = torch.nn.Parameter(torch.empty_like(one, device="meta"))
            setattr(model.get_submodule(path), attribute, empty)
    held = {name: whole.get_parameter(name).detach().clone() for name in real}
    loaded = {name: values.clone() for name, values in held.items()}
    model.load_state_dict(loaded, strict=False, assign=True)
    with pytest.raises(ValueError, match="real memory that nothing has written"):
        fit.materialize_(model, seed=2)
    for name, values in held.items():
        assert torch.equal(model.get_parameter(name), values)


def test_a_write_after_a_transformers_constructor_wins():
    config = CONFIGS["LlamaForCausalLM"]()
    with fit.construction() as made:
        model = transformers.LlamaForCausalLM(config)
        torch.nn.init.zeros_(model.lm_head.weight)
        torch.nn.init.orthogonal_(model.model.layers[0].self_attn.o_proj.weight)
        model.adapter = torch.nn.Linear(64, 8)
        torch.nn.init.constant_(model.adapter.weight, 0.5)
        whole = torch.nn.Sequential(model)
    report = fit.materialize_(whole, made, seed=2)
    name = "0.model.layers.0.self_attn.o_proj.weight"
    expected = torch.from_numpy(fi.orthogonal((64, 64), seed=2, name=name))
    assert torch.equal(model.model.layers[0].self_attn.o_proj.weight, expected)
    assert not model.lm_head.weight.any() and model.adapter.weight.eq(0.5).all()
    assert model.model.layers[1].self_attn.o_proj.weight.std().item() == pytest.approx(
        0.02, rel=0.1
    )
    assert report.unknown == () and fit.verify_(whole, made, seed=2)


@pytest.mark.parametrize("way", ["plain meta", "construction"])
def test_a_tied_embedding_keeps_its_padding_row(way):
    """transformers initializes before it ties: what it draws for the tied decoder is lost."""
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    if way == "construction":
        with fit.construction() as recipe:
            model = transformers.BertForMaskedLM(config)
    else:
        recipe = None
        with torch.device("meta"):
            model = transformers.BertForMaskedLM(config)
    fit.materialize_(model, recipe, seed=0)
    weight = model.bert.embeddings.word_embeddings.weight
    assert model.cls.predictions.decoder.weight is weight
    assert not weight[0].any() and weight[1:].any(1).all()
    drawn = fi.normal((50, 16), std=0.02, seed=0, name="bert.embeddings.word_embeddings.weight")
    assert np.array_equal(weight.detach().numpy()[1:], drawn[1:])


def small_bert_like(kind):
    return getattr(transformers, f"{kind}Config")(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip


def test_among_tied_places_the_one_that_transformers_keeps_decides():
    """CamemBERT's decoder comes before the embedding whose parameter it is given."""
    with torch.device("meta"):
        model = transformers.CamembertForMaskedLM(small_bert_like("Camembert"))
    fit.materialize_(model, seed=0)
    assert model.lm_head.decoder.weight is model.roberta.embeddings.word_embeddings.weight
    assert not model.lm_head.decoder.weight[1].any()
    assert model.lm_head.decoder.weight[[0, 2]].any(1).all()


def test_a_bias_tied_to_a_constant_of_the_constructor_is_not_the_layers_own_draw():
    """Longformer's decoder.bias is given the zeros of lm_head.bias, which only a constructor
    writes.
    """
    config = small_bert_like("Longformer")
    config.attention_window = [4]
    with torch.device("meta"):
        model = transformers.LongformerForMaskedLM(config)
    with pytest.warns(UserWarning, match=r"lm_head\.bias get what LongformerForMaskedLM"):
        fit.materialize_(model)
    assert model.lm_head.decoder.bias is model.lm_head.bias and not model.lm_head.bias.any()
    with torch.device("meta"):
        model = transformers.LongformerForMaskedLM(config)
    model.config.vocab_size += 1  # its constructor would make another model
    with pytest.raises(ValueError, match=r"lm_head\.bias: no reset_parameters or _init_weights"):
        fit.materialize_(model)
    model.config.vocab_size -= 1
    with fit.construction() as made:
        model = transformers.LongformerForMaskedLM(config)
    fit.materialize_(model, made)
    assert model.lm_head.decoder.bias is model.lm_head.bias and not model.lm_head.bias.any()


def test_init_weights_does_not_reach_into_adapters_that_were_added_later(monkeypatch):
    """As PEFT's layers: B is zero by their own code, and 0.02 is the model's law, not theirs."""

    class BaseTunerLayer:
        pass

    class Adapted(torch.nn.Module, BaseTunerLayer):
        def __init__(self, base_layer):
            super().__init__()
            self.base_layer = base_layer
            self.lora_B = torch.nn.Linear(4, base_layer.out_features, bias=False)
            torch.nn.init.zeros_(self.lora_B.weight)

    module = types.ModuleType("peft.tuners.tuners_utils")
    module.BaseTunerLayer = BaseTunerLayer
    monkeypatch.setitem(sys.modules, "peft.tuners.tuners_utils", module)

    def adapt():
        model = build("LlamaForCausalLM")
        mlp = model.model.layers[0].mlp
        mlp.up_proj = Adapted(mlp.up_proj)
        return model, mlp.up_proj

    with torch.device("meta"):
        model, adapted = adapt()
    with pytest.warns(UserWarning, match=r"write model\.layers\.0\.mlp\.up_proj\.lora_B"):
        fit.materialize_(model)
    assert adapted.base_layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert adapted.lora_B.weight.std().item() == pytest.approx(0.5 / 3**0.5, rel=0.1)
    with fit.construction() as made:
        model, adapted = adapt()
    fit.materialize_(model, made)
    assert adapted.base_layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not adapted.lora_B.weight.any()


@pytest.mark.parametrize("marked", ["module", "tensors"])
def test_what_a_constructor_marks_as_initialized_keeps_its_values(marked):
    class Gated(transformers.LlamaModel):
        def __init__(self, config):
            super().__init__(config)
            self.gate = torch.nn.Linear(64, 64)
            torch.nn.init.zeros_(self.gate.weight)
            torch.nn.init.constant_(self.gate.bias, 3.0)
            for one in [self.gate] if marked == "module" else self.gate.parameters():
                one._is_hf_initialized = True
            self.post_init()

    config = CONFIGS["LlamaForCausalLM"]()
    with fit.construction() as made:
        model = Gated(config)
    fit.materialize_(model, made, seed=2)
    assert not model.gate.weight.any() and model.gate.bias.eq(3.0).all()
    assert model.layers[0].mlp.up_proj.weight.std().item() == pytest.approx(0.02, rel=0.1)
    with torch.device("meta"):
        model = Gated(config)
    with pytest.warns(UserWarning, match=r"write gate\.weight, gate\.bias more often"):
        fit.materialize_(model, seed=2)


class _Plain(transformers.PreTrainedModel):
    """Its _init_weights does not look at the marks of tensors."""

    config_class = transformers.PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        self.a, self.b = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
        for one in self.a.parameters() if config.when == "marked" else ():
            one._is_hf_initialized = True
        if config.when == "replaced after":
            self.post_init()
            self.a = torch.nn.Linear(8, 8)
        else:
            if config.when == "before":
                torch.nn.init.constant_(self.a.weight, 0.5)
            self.post_init()
        if config.when == "after":
            torch.nn.init.constant_(self.a.weight, 0.5)

    def _init_weights(self, module):
        if isinstance(module, torch.nn.Linear):
            module.weight.data.normal_(0, 0.02)
            module.bias.data.zero_()


class _Headed(transformers.LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Linear(64, 3)
        self.post_init()
        torch.nn.init.zeros_(self.head.weight)


def _plain(when):
    return _Plain(transformers.PretrainedConfig(when=when))


@pytest.mark.parametrize(
    "make,names",
    [
        (lambda: _plain("after"), "a.weight"),
        (lambda: _plain("replaced after"), "a.weight, a.bias"),
        (lambda: torch.nn.Sequential(_plain("after")), "0.a.weight"),
        (lambda: _Headed(CONFIGS["LlamaForCausalLM"]()), "head.weight"),
    ],
)
def test_what_a_constructor_writes_after_post_init_gives_a_warning_by_name(make, names):
    with torch.device("meta"):
        model = make()
    match = f"^{names} get what _init_weights gives .* after post_init"
    with pytest.warns(UserWarning, match=match):
        fit.materialize_(model)


def test_what_a_constructor_writes_before_post_init_gives_no_warning_after_it():
    with torch.device("meta"):
        model = _plain("before")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.materialize_(model)
    assert model.a.weight.std().item() == pytest.approx(0.02, rel=0.4)


def test_an_init_weights_that_ignores_marks_does_not_reach_a_module_of_marked_tensors():
    with torch.device("meta"):
        model = _plain("marked")
    fit.materialize_(model)
    bound = 8**-0.5  # of torch's own Linear, whose std is 0.2
    assert 0.5 * bound < model.a.weight.abs().max().item() <= bound and model.a.bias.any()
    assert model.b.weight.std().item() == pytest.approx(0.02, rel=0.4) and not model.b.bias.any()


@pytest.fixture
def deterministic(request):
    """With deterministic algorithms, torch fills the memory that it gives out with NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(before)


@pytest.mark.parametrize("deterministic", [False, True], indirect=True)
def test_parameters_that_xlnet_makes_as_real_memory_are_refused_or_filled(deterministic):
    def make():
        with torch.device("meta"):
            return transformers.XLNetModel(
                transformers.XLNetConfig(d_model=64, n_layer=1, n_head=4, d_inner=96, vocab_size=50)
            )

    name = "layer.0.rel_attn.q"
    drawn = torch.from_numpy(fi.normal((64, 4, 16), std=0.02, seed=0, name=name))
    model = make()
    model.config.n_layer = 2  # its constructor would make another model
    with pytest.raises(ValueError, match=r"rel_attn\.q: it is real memory.*overwrite=True"):
        fit.materialize_(model)
    fit.materialize_(model, overwrite=True)
    assert torch.equal(model.get_parameter(name), drawn)
    model = make()
    with pytest.warns(UserWarning, match=r"layer\.0\.rel_attn\.q, .* get what XLNetModel"):
        fit.materialize_(model)
    assert torch.equal(model.get_parameter(name), drawn)


def test_a_materialized_llama_computes():
    model = on_meta("LlamaForCausalLM")
    fit.materialize_(model, seed=1, dtype=torch.bfloat16)
    output = model(torch.arange(10)[None], labels=torch.arange(10)[None])
    assert output.loss.isfinite() and abs(output.loss.item() - math.log(128)) < 0.5
    output.loss.backward()


def test_tied_embeddings_of_gpt2_are_drawn_once():
    model = on_meta("GPT2LMHeadModel")
    report = fit.materialize_(model)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert report.tied == {"lm_head.weight": "transformer.wte.weight"}
    scaled = {
        line.name: line.arguments["std"]
        for line in report.filled
        if line.name.endswith("c_proj.weight")
    }
    assert set(scaled.values()) == {0.02 / math.sqrt(4)}


@pytest.mark.parametrize("accelerate_outside", [False, True])
def test_it_nests_with_no_init_weights_in_both_orders(accelerate_outside):
    before = {name: getattr(torch.nn.init, name) for name in torch.nn.init.__all__}
    contexts = [fit.accelerate(), initialization.no_init_weights()]
    first, second = contexts if accelerate_outside else contexts[::-1]
    with first, second:
        linear = torch.nn.Linear(3, 4)
        skipped = build("LlamaForCausalLM")
    assert linear.weight.shape == (4, 3) and skipped.lm_head.weight.shape == (128, 64)
    assert before == {name: getattr(torch.nn.init, name) for name in torch.nn.init.__all__}
    with fit.accelerate() as block:
        torch.nn.Linear(3, 4)
    assert block.fills == 2


def test_the_skipping_block_skips_and_nothing_else_does():
    with fit.accelerate() as block, initialization.no_init_weights():
        torch.nn.Linear(3, 4)
    assert block.fills == 0
    # no_init_weights does not affect a call inside the block by a name that was bound before.
    with fit.accelerate() as block, initialization.no_init_weights():
        initialization.TORCH_INIT_FUNCTIONS["normal_"](torch.empty(3))
    assert block.fills == 1


def test_weights_that_are_marked_as_loaded_are_respected():
    with fit.accelerate() as block:
        loaded = torch.zeros(5)
        loaded._is_hf_initialized = True
        initialization.normal_(loaded)
        with initialization.guard_torch_init_functions():
            torch.nn.init.normal_(loaded)
            torch.nn.init.normal_(torch.empty(5))
    assert not loaded.any() and block.fills == 1


def test_half_precision_orthogonal_of_transformers_runs_here():
    with fit.accelerate(seed=1) as block:
        tensor = initialization.orthogonal_(torch.empty(4, 6, dtype=torch.bfloat16))
    assert block.fills == 1
    assert torch.equal(
        tensor, torch.from_numpy(fi.orthogonal((4, 6), seed=1, name=0)).to(torch.bfloat16)
    )


def test_every_fill_of_a_construction_is_counted():
    model = build("LlamaForCausalLM")
    with fit.accelerate() as block:
        build("LlamaForCausalLM")
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    embedding = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    # Every Linear and Embedding is drawn by its constructor and again by transformers.
    assert block.fills == 2 * (len(linear) + len(embedding))
    assert block.values == 2 * sum(m.weight.numel() for m in linear + embedding)


def test_a_construction_of_transformers_is_completed_by_its_own_code():
    with fit.construction() as made:
        model = build("LlamaForCausalLM")
    report = fit.materialize_(model, made, seed=1)
    plain = on_meta("LlamaForCausalLM")
    fit.materialize_(plain, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True)
    )
    assert report.unknown == ()
