"""What a model that was built on the plain meta device does not show is refused or told by name."""

import copy
import threading
import types
import warnings

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils import prune

import fastinit as fi
import fastinit.torch as fit
from fastinit.checkpoint.config import load_config
from fastinit.torch._hidden import of_constructor


def on_meta(make):
    with torch.device("meta"):
        return make()


# ------------------------------------------------------------------------ parameters in real memory


class Old(nn.Module):
    """Makes a parameter in real memory, whatever the device is."""

    def __init__(self, make, reset=None):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.old = nn.Parameter(make())
        self.reset = reset
        self.reset_parameters()

    def reset_parameters(self):
        if self.reset is not None:
            self.reset(self.old)


def in_a_thread():
    model = nn.Module()
    thread = threading.Thread(target=lambda: setattr(model, "old", nn.Linear(4, 3)))
    thread.start()
    thread.join()
    model.lin = nn.Linear(3, 3)
    return model


DRAWN = {
    "in the constructor": lambda: Old(lambda: torch.Tensor(30).uniform_()),
    "by the old constructor of floats": lambda: Old(lambda: torch.FloatTensor(5, 4).normal_()),
    "in its reset": lambda: Old(lambda: torch.Tensor(5, 4), nn.init.xavier_uniform_),
    "truncated": lambda: Old(lambda: torch.Tensor(5, 4), nn.init.trunc_normal_),
    "orthogonal": lambda: Old(lambda: torch.Tensor(5, 4), nn.init.orthogonal_),
    "sparse": lambda: Old(lambda: torch.Tensor(5, 4), lambda w: nn.init.sparse_(w, 0.5)),
    "on a device that is given": lambda: nn.Sequential(
        nn.Linear(3, 3), nn.LSTM(3, 4, device="cpu")
    ),
    "in another thread": in_a_thread,
}


@pytest.mark.parametrize("rule", [None, "normal"])
@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_a_parameter_that_torch_drew_in_real_memory_is_refused_by_name(make, rule):
    model = on_meta(make)
    real = [name for name, one in model.named_parameters() if not one.is_meta]
    recipe = None if rule is None else {"*": rule}
    with pytest.raises(ValueError, match=rf"{real[0]}: it is real memory that its constructor dr"):
        fit.materialize_(model, recipe)
    assert fit.materialize_(model, recipe, overwrite=False).skipped == tuple(real)
    report = fit.materialize_(model, recipe or {real[0]: "normal"}, overwrite=True)
    assert report.skipped == ()
    drawn = model.get_parameter(real[0])
    values = fi.normal(tuple(drawn.shape), seed=0, name=real[0])
    assert torch.equal(drawn, torch.from_numpy(values))


def test_in_a_construction_another_threads_parameters_are_refused_by_name():
    with fit.construction() as made:
        model = in_a_thread()
    with pytest.raises(ValueError, match=r"old\.weight: it is real memory that its constructor"):
        fit.materialize_(model, made)


@pytest.mark.parametrize("way", ["copied", "trained", "constant"])
def test_a_real_layer_that_was_loaded_or_trained_is_kept(way):
    model = on_meta(lambda: nn.ModuleDict({"meta": nn.Linear(3, 3)}))
    model["real"] = nn.Linear(3, 3)
    if way == "copied":
        model["real"].load_state_dict(nn.Linear(3, 3).state_dict())
    elif way == "trained":
        model["real"](torch.ones(2, 3)).sum().backward()
        torch.optim.SGD(model["real"].parameters(), 0.1).step()
    else:
        for one in model["real"].parameters():
            nn.init.ones_(one)
    held = model["real"].weight.detach().clone()
    assert fit.materialize_(model).skipped == ("real.weight", "real.bias")
    assert torch.equal(model["real"].weight, held)


SPEECH = {
    "Wav2Vec2Model": "Wav2Vec2Config",
    "HubertModel": "HubertConfig",
    "WavLMModel": "WavLMConfig",
}


def speech(name):
    config = getattr(transformers, SPEECH[name])(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_stride=(2, 2),
        conv_kernel=(3, 3),
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        vocab_size=12,
        architectures=[name],
    )
    return getattr(transformers, name)(config)


@pytest.mark.parametrize("name", SPEECH)
def test_the_masked_embedding_of_speech_models_is_keyed_on_every_way(name, tmp_path):
    drawn = torch.from_numpy(fi.uniform(16, seed=4, name="masked_spec_embed"))
    with fit.construction() as made:
        recorded = speech(name)
    fit.materialize_(recorded, made, seed=4)
    model = on_meta(lambda: speech(name))
    with pytest.warns(UserWarning, match=rf"masked_spec_embed get.* what {name}\(config\), run"):
        report = fit.materialize_(model, seed=4)
    assert report.skipped == ()
    for one in (recorded, model):
        assert torch.equal(one.masked_spec_embed, drawn)
    model.config.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = load_config(tmp_path / "config.json")
    (entry,) = [one for one in spec.entries if one.name == "masked_spec_embed"]
    assert (entry.initializer, entry.name) == ("uniform", "masked_spec_embed")
    with fit.accelerate(seed=4) as block:
        speech(name)
    assert not block.left
    changed = on_meta(lambda: speech(name))
    with torch.no_grad():
        changed.masked_spec_embed.copy_(torch.arange(16.0))
    with pytest.raises(ValueError, match="masked_spec_embed: it is real memory"):
        fit.materialize_(changed)


# ------------------------------------------------------------------------ writes on the meta device


def replaced():
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.zeros(4, 4))
    return model


def tied_then_filled():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    nn.init.ones_(model[0].weight)
    return model


def transposed():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[0].weight.t())
    return model


class ByData(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.apply(self.start)

    def start(self, module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0.0, 0.02)


class ByAssignment(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        self.lin.weight.data = torch.zeros(4, 4)


def start_truncated(module):
    nn.init.trunc_normal_(module.weight, std=0.02)


class ByAnotherFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        for module in [self.lin]:
            (lambda one: start_truncated(one))(module)


class ByItsBase(ByData):
    pass


helpers = types.ModuleType("helpers")
helpers.start = lambda module: by_data(module.lin)


class ByAnotherModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        helpers.start(self)


def two():
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


def by_data(module):
    if isinstance(module, nn.Linear):
        module.weight.data.normal_(0.0, 0.02)


def applied():
    return two().apply(by_data)


class Zeroing:
    def __call__(self, module):
        for one in module.parameters(recurse=False):
            one.data[:] = 0.0


def applied_object():
    return two().apply(Zeroing())


def by_given_functions():
    def start(module, weight, bias):
        weight(module.weight.data, gain=2.0)
        bias(module.bias.data)
        return module

    return nn.Sequential(start(nn.Linear(4, 4), nn.init.xavier_normal_, nn.init.zeros_))


class WithMethod(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def start(self):
        nn.init.orthogonal_(self.lin.weight)


def by_method():
    model = WithMethod()
    model.start()
    return model


def pruned():
    model = nn.Linear(4, 4)
    prune.random_unstructured(model, "weight", 0.5)
    return prune.remove(model, "weight")


def copied():
    model = two()
    model[1] = copy.deepcopy(model[0])
    return model


def from_table():
    return nn.Sequential(nn.Embedding.from_pretrained(torch.eye(3)), nn.Linear(3, 3))


def fused():
    norm, layer = nn.BatchNorm1d(4).eval(), nn.Linear(4, 4).eval()
    return nn.Sequential(nn.utils.fusion.fuse_linear_bn_eval(layer, norm), nn.Linear(4, 4))


def normed():
    model = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    nn.init.ones_(model.parametrizations.weight.original0)
    return model


def forwarded():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model(torch.ones(4, 3))
    return model


def drawn_buffer():
    model = nn.Linear(3, 3)
    model.register_buffer("noise", torch.Tensor(5).uniform_())
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (applied, r"around this call \(by_data\) uses \.data: if it wrote to this model"),
        (applied_object, r"around this call \(__call__\) uses \.data: "),
        (by_given_functions, r"around this call \(start\) uses \.data: "),
        (by_method, r"around this call \(start\) uses orthogonal_: "),
        (pruned, r"around this call \(pruned\) uses prune\.remove: "),
        (copied, r"in the places of 1\.weight, 1\.bias, after .* copies of other layers"),
        (from_table, r"in the places of 0\.weight, after"),
        (fused, r"in the places of 0\.weight, 0\.bias, after"),
        (normed, r"write parametrizations\.weight\.original0 more often"),
        (forwarded, r"write 1\.num_batches_tracked more often"),
        (drawn_buffer, r"noise are buffers in real memory that keep what"),
        (replaced, r"other tensors in the places of weight, after"),
        (tied_then_filled, r"write 0\.weight more often than"),
        (transposed, r"1\.weight lie in the memory of other"),
        (ByData, r"constructors of ByData use \.data: what they write"),
        (ByAssignment, r"constructors of ByAssignment use \.data: "),
        (ByAnotherFunction, r"constructors of ByAnotherFunction use trunc_normal_: "),
        (ByAnotherModule, r"constructors of ByAnotherModule use \.data: "),
        (ByItsBase, r"constructors of ByItsBase use \.data: "),
    ],
)
def test_what_constructors_do_beyond_the_reset_is_told(make, text):
    with pytest.warns(UserWarning, match=text) as told:
        fit.materialize_(on_meta(make))
    assert len(told) == 1 and told[0].filename == __file__
    with fit.construction() as made:
        model = make()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit.materialize_(model, made)
    # The values are the code's; that two tensors were one memory is lost, and still told.
    kept = "these lie in the memory of other tensors of the model: 1.weight."
    assert [str(one.message)[: len(kept)] for one in told] == ([kept] if make is transposed else [])


class ByItsReset(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 4))
        self.start()

    def start(self):
        self.weight.data.normal_()
        nn.init.orthogonal_(self.weight)

    def reset_parameters(self):
        self.start()


class Converted(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        for one in self.parameters():
            one.data = one.data.to(torch.bfloat16)


def test_what_a_reset_does_too_and_what_libraries_do_is_not_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (
            ByItsReset,
            Converted,
            lambda: nn.Linear(4, 4).bfloat16(),
            lambda: nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 4)),
            lambda: nn.Linear(4, 4).to("meta"),
        ):
            fit.materialize_(on_meta(make))
    assert of_constructor(ByItsReset) == of_constructor(nn.Linear) == frozenset()
    assert of_constructor(transformers.LlamaModel) == frozenset()


class Filled(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)
        nn.init.ones_(self.lin.weight)


@pytest.mark.parametrize(
    "lose",
    [
        lambda make: make().to("meta"),
        lambda make: copy.deepcopy(on_meta(make)),
        lambda make: on_meta(make).to_empty(device="cpu"),
    ],
)
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Filled, r"constructors of Filled use ones_: "),
        (tied_then_filled, r"this call \(tied_then_filled\) uses .weight = ..., ones_: "),
        (two, None),
    ],
)
def test_code_is_searched_for_every_write_if_a_model_has_lost_its_versions(make, text, lose):
    with pytest.warns(match=text) if text else warnings.catch_warnings():
        fit.materialize_(lose(make), overwrite=True)


def llama(kind=transformers.LlamaForCausalLM):
    return kind(
        transformers.LlamaConfig(
            vocab_size=12,
            hidden_size=4,
            intermediate_size=4,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
        )
    )


class Extended(transformers.LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        self.extra = nn.Linear(4, 2)


class Complete(Extended):
    def __init__(self, config):
        super().__init__(config)
        self.post_init()


def zeroed_head():
    model = llama()
    nn.init.zeros_(model.lm_head.weight)
    return model


def larger_head():
    model = llama()
    model.lm_head = nn.Linear(4, 20)
    return model


def equal_head():
    model = llama()
    model.lm_head = nn.Linear(4, 12, bias=False)
    return model


def set_head():
    model = llama()
    model.set_output_embeddings(nn.Linear(4, 12, bias=False))
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (llama, None),
        (lambda: llama(Complete), None),
        (zeroed_head, r"lm_head\.weight get what _init_weights gives them, but are not as"),
        (larger_head, r"lm_head\.weight, lm_head\.bias get what _init_weights gives"),
        (equal_head, r"this call \(equal_head\) uses \.lm_head = \.\.\.: if it wrote"),
        (set_head, r"this call \(set_head\) uses set_output_embeddings: "),
        (lambda: llama(Extended), r"extra\.weight, extra\.bias get what _init_weights gives"),
    ],
)
def test_what_is_changed_after_a_constructor_of_transformers_is_told(make, text):
    with pytest.warns(UserWarning, match=text) if text else warnings.catch_warnings():
        fit.materialize_(on_meta(make))


class Spared(Extended):
    def __init__(self, config):
        super().__init__(config)
        self.spared = nn.Linear(4, 2)
        self.spared._is_hf_initialized = True
        self.post_init()


@pytest.mark.parametrize("made", ["on real memory", "on the meta device"])
def test_a_model_that_transformers_has_marked_as_a_whole_is_initialized_again(made):
    model = llama(Spared) if made == "on real memory" else on_meta(lambda: llama(Spared))
    later = nn.Linear(4, 3)
    if made == "on real memory":  # all else has a mark now, and this is not initialized by it
        model.later = later
    fit.materialize_(model.to("meta"), seed=3)
    for name in ("lm_head.weight", "extra.weight"):
        one = model.get_parameter(name)
        drawn = fi.normal(tuple(one.shape), std=0.02, seed=3, name=name)
        assert torch.equal(one, torch.from_numpy(drawn)), name
    for name in ("spared", "later") if made == "on real memory" else ("spared",):
        one = model.get_parameter(f"{name}.weight")
        own = {"negative_slope": 5**0.5, "seed": 3, "name": f"{name}.weight"}
        assert torch.equal(one, torch.from_numpy(fi.he_uniform(tuple(one.shape), **own))), name


def test_weights_that_to_empty_separates_are_told():
    config = transformers.GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1, n_positions=4)
    config.bos_token_id = config.eos_token_id = 1
    model = on_meta(lambda: transformers.GPT2LMHeadModel(config)).to_empty(device="cpu")
    with pytest.warns(UserWarning, match=r"lm_head\.weight are not tied, although .* tie_weights"):
        fit.materialize_(model, overwrite=True)
    model.tie_weights()
    assert fit.materialize_(model, overwrite=True).tied == {
        "lm_head.weight": "transformer.wte.weight"
    }


@pytest.mark.parametrize("kind", ["Encoder", "Decoder"])
def test_the_layers_that_torchs_transformer_copies_are_equal_on_every_way(kind):
    def build():
        layer = getattr(nn, f"Transformer{kind}Layer")(4, 2, 8, batch_first=True)
        return getattr(nn, f"Transformer{kind}")(layer, 3)

    def another():
        model = build()
        model.layers[1] = getattr(nn, f"Transformer{kind}Layer")(4, 2, 8, batch_first=True)
        return model

    for make, equal in ((build, (0, 1, 2)), (another, (0, 2))):
        with fit.construction() as made:
            recorded = make()
        fit.materialize_(recorded, made, seed=3)
        model = on_meta(make)
        fit.materialize_(model, seed=3)
        for one, two in zip(model.parameters(), recorded.parameters(), strict=True):
            assert torch.equal(one, two)
        weights = [layer.linear1.weight for layer in model.layers]
        for number, weight in enumerate(weights):
            assert torch.equal(weight, weights[0]) == (number in equal)


def test_models_that_are_made_in_inference_mode_are_filled():
    with torch.inference_mode():
        model = on_meta(lambda: nn.Linear(3, 3))
        fit.materialize_(model, seed=2)
    drawn = fi.he_uniform((3, 3), negative_slope=5**0.5, seed=2, name="weight")
    assert np.array_equal(model.weight.detach().numpy(), drawn)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        nn.init.zeros_(self.a.weight)
        nn.init.orthogonal_(self.b.weight)


def test_a_write_that_is_seen_does_not_hide_the_warning_of_one_that_is_not():
    with pytest.warns(UserWarning) as told:
        fit.materialize_(on_meta(Both))
    first, second = [str(one.message) for one in told]
    assert "write a.weight more often" in first
    assert "constructors of Both use orthogonal_: " in second
