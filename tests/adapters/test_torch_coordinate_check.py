"""muP's coordinate check: a standard model fails it and a muP model passes; and what is refused.

Under FSDP2: torch_ranks.py.
"""

import doctest
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import fastinit as fi
import fastinit.torch as fit
from fastinit.torch import _widths

WIDTHS = (64, 128, 256)
BASE = 64
RATE = 0.001


def tokens(count, name="tokens"):
    drawn = fi.uniform((8, count), low=0, high=1, seed=1, name=name, dtype="float64")
    return torch.from_numpy((drawn * 64).astype(int))


BATCH = tokens(32), tokens(32, "next")


class Block(nn.Module):
    """A transformer's block; `mup` divides scores by the size of a head, not by its root."""

    def __init__(self, width, mup):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = 32**0.5 / 32 if mup else None

    def forward(self, x):
        def split(y):
            return y.unflatten(-1, (-1, 32)).transpose(1, 2)

        y = self.norm_1(x)
        parts = split(self.q(y)), split(self.k(y)), split(self.v(y))
        mixed = nn.functional.scaled_dot_product_attention(*parts, is_causal=True, scale=self.scale)
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.norm_2(x))))


class Transformer(nn.Module):
    def __init__(self, width, mup=False):
        super().__init__()
        self.embedding = nn.Embedding(64, width)
        self.blocks = nn.Sequential(Block(width, mup), Block(width, mup))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 64, bias=False)
        self.divisor = width / BASE if mup else 1
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.embedding(x))) / self.divisor)


def mup(width):
    return Transformer(width, mup=True)


SHAPES = {name: tuple(one.shape) for name, one in mup(BASE).named_parameters()}


def mup_recipe(name, parameter):
    if parameter.dim() < 2:
        return int(name.endswith("weight"))
    return "normal", {"std": 0.02 * fi.mup_scale(parameter.shape, SHAPES[name])}


def mup_adam(model, width):
    """The rate of a matrix that grows in both axes falls as 1/width."""
    hidden = [one for name, one in model.named_parameters() if "blocks" in name and one.dim() == 2]
    ids = {id(one) for one in hidden}
    others = [one for one in model.parameters() if id(one) not in ids]
    groups = [{"params": hidden, "lr": RATE * BASE / width}, {"params": others, "lr": RATE}]
    return torch.optim.Adam(groups)


def linear(width):
    """Standard: torch's own initialization."""
    return nn.Sequential(
        nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, 3)
    )


def numbers(count=16):
    x = torch.from_numpy(fi.normal((count, 8), seed=0, name="x"))
    return x, torch.arange(count) % 3


# ------------------------------------------------------------------------------------ the verdict


def test_a_mup_transformer_passes_and_a_standard_one_fails():
    good = fit.coordinate_check(
        mup, WIDTHS, steps=3, batch=BATCH, recipe=mup_recipe, optimizer=mup_adam
    )
    assert good.passed, str(good)
    bad = fit.coordinate_check(Transformer, WIDTHS, steps=3, batch=BATCH)
    failed = {slope.module for slope in bad.slopes if slope.verdict == "fail"}
    assert {"blocks.0.o", "blocks.1.down", "blocks.0.up"} <= failed
    assert not bad


def test_mup_weights_at_the_standard_rate_fail_only_after_the_start():
    found = fit.coordinate_check(
        mup, WIDTHS, steps=3, batch=BATCH, recipe=mup_recipe, optimizer=0.03
    )
    verdicts = [{s.verdict for s in found.slopes if s.step == step} for step in (0, 3)]
    assert verdicts[0] == {"pass"} and "fail" in verdicts[1]


def test_torchs_own_initialization_fails_once_it_is_trained():
    found = fit.coordinate_check(
        linear, (32, 64, 128, 256, 512), steps=4, batch=numbers(), optimizer=0.01
    )
    assert all(slope.verdict == "pass" for slope in found.slopes if slope.step == 0)
    assert "fail" in {slope.verdict for slope in found.slopes if slope.step == 4}


# ----------------------------------------------------------------------------------- how it is made


def test_sizes_are_the_means_of_the_modules_outputs_at_the_facades_weights():
    found = fit.coordinate_check(linear, (8, 16, 32), steps=0, batch=numbers(), seed=5)
    x = numbers()[0].numpy()
    for number, width in enumerate(found.widths):
        bound = 8**-0.5
        weight = fi.uniform((width, 8), low=-bound, high=bound, seed=5, name="0.weight")
        bias = fi.uniform(width, low=-bound, high=bound, seed=5, name="0.bias")
        one = next(each for each in found.coordinates if each.module == "0")
        expected = np.abs(x @ weight.T + bias).mean()
        assert one.sizes[number] == pytest.approx(expected, rel=1e-5)
    assert [one.module for one in found.coordinates] == ["", "0", "1", "2", "3"]
    assert [one.output for one in found.coordinates] == [True, False, False, False, True]


def test_the_same_call_gives_the_same_numbers_and_leaves_all_random_numbers_alone():
    def dropped(width):
        return nn.Sequential(linear(width), nn.Dropout(0.5))

    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    found = [fit.coordinate_check(dropped, (8, 16, 32), 2, numbers()) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_a_model_whose_maker_filled_it_stays_as_it_is():
    def zero(width):
        model = linear(width).to_empty(device="cpu")
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        return model

    found = fit.coordinate_check(zero, (8, 16, 32), steps=0, batch=numbers())
    assert {one.sizes for one in found.coordinates} == {(0.0, 0.0, 0.0)}
    assert found.passed


def test_a_module_that_is_called_twice_counts_with_both_calls():
    class Twice(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.inner = nn.Linear(8, width)

        def forward(self, x):
            return torch.cat([self.inner(x), self.inner(0 * x)])

    found = fit.coordinate_check(
        Twice, (8, 16, 32), 0, numbers(), loss=lambda model, batch: model(batch[0]).sum()
    )
    whole, inner = found.coordinates
    assert inner.sizes == pytest.approx(whole.sizes, rel=1e-6)


def test_numbers_as_targets_are_fitted_by_least_squares():
    x, _ = numbers()
    found = fit.coordinate_check(linear, (8, 16, 32), steps=1, batch=(x, torch.ones(16, 3)))
    moved = [one.sizes for one in found.coordinates if one.module == "3"]
    assert len(moved) == 2 and moved[0] != moved[1]


# ----------------------------------------------------------------------------- transformers configs


@pytest.fixture
def gpt2():
    return transformers.GPT2Config(
        n_embd=128, n_head=4, n_layer=2, vocab_size=64, n_positions=32, n_inner=256
    )


def test_a_gpt2_config_fails_and_says_what_grew(gpt2):
    found = fit.coordinate_check(gpt2, (64, 128, 256), steps=1)
    assert not found.passed
    assert found.scaled == "grown with n_embd: n_inner, n_head (heads of 32)"
    failed = {slope.module for slope in found.slopes if slope.verdict == "fail"}
    assert "transformer.h.0.mlp.c_proj" in failed


def test_heads_keep_their_size_and_groups_at_every_width():
    config = transformers.LlamaConfig(
        hidden_size=256, num_attention_heads=8, num_key_value_heads=2, intermediate_size=688,
        num_hidden_layers=1, vocab_size=64, head_dim=32,
    )  # fmt: skip
    scaled = _widths.factory(config, (128, 256, 512))
    for width, heads in ((128, 4), (256, 8), (512, 16)):
        with torch.device("meta"):
            own = scaled.make_model(width).config
        assert (own.num_attention_heads, own.num_key_value_heads) == (heads, heads // 4)
        assert (own.head_dim, own.intermediate_size) == (32, 688 * width // 256)
    smaller = _widths.factory(config, (64, 128, 256))
    assert "(heads of 16, not 32)" in smaller.said
    with torch.device("meta"):
        own = smaller.make_model(64).config
    assert (own.num_attention_heads, own.num_key_value_heads, own.head_dim) == (4, 1, 16)


def test_an_encoder_decoder_config_has_its_own_fields():
    config = transformers.T5Config(
        d_model=64, d_kv=16, d_ff=128, num_heads=4, num_layers=1, vocab_size=64,
        architectures=["T5ForConditionalGeneration"], decoder_start_token_id=0,
    )  # fmt: skip
    found = fit.coordinate_check(config, (32, 64, 128), steps=0)
    assert found.scaled == "grown with d_model: d_ff, num_heads (heads of 16)"
    assert {"encoder.block.0", "lm_head"} <= {one.module for one in found.coordinates}


def test_limits_cut_layers_and_tokens(gpt2):
    config, said = _widths.limited(gpt2, layers=1, vocabulary=50)
    assert (config.n_layer, config.vocab_size) == (1, 50)
    assert said == "n_layer 1 of 2, vocab_size 50 of 64"
    assert _widths.limited(gpt2, layers=2, vocabulary=64)[1] == ""


# --------------------------------------------------------------------------------- what is refused


def test_names_that_differ_between_widths_are_named():
    def deeper(width):
        return nn.Sequential(*[nn.Linear(8, 8) for _ in range(width // 8)], nn.Linear(8, 3))

    with pytest.raises(ValueError, match=r"make_model\(16\) adds 2.weight, 2.bias, compared with"):
        fit.coordinate_check(deeper, (8, 16, 32), batch=numbers())

    def renamed(width):
        return nn.Sequential(OrderedDict({f"w{width}": nn.Linear(8, width)}))

    with pytest.raises(ValueError, match="lacks w8.weight, w8.bias and adds w16.weight, w16.bias"):
        fit.coordinate_check(renamed, (8, 16, 32), batch=numbers())

    def late(width):
        return linear(width) if width < 32 else deeper(width)

    def untouched(model, batch):
        pytest.fail("a model was trained before the names of all were compared")

    with pytest.raises(ValueError, match=r"make_model\(32\) adds 1.weight"):
        fit.coordinate_check(late, (8, 16, 32), batch=numbers(), loss=untouched)


@pytest.mark.parametrize(
    ("make", "settings", "error", "message"),
    [
        (linear, {"widths": (8, 16, 16)}, ValueError, "8, 16; a slope .* at least 3 different"),
        (linear, {"widths": (0, 8, 16)}, ValueError, "a width is 0"),
        (linear, {"steps": -1}, ValueError, "steps is -1"),
        (linear, {"batch": None}, ValueError, "batch is missing"),
        (linear, {"batch": 3}, TypeError, "must be .inputs, targets."),
        (lambda width: linear(8), {}, ValueError, "must use the width"),
        (lambda width: width, {}, TypeError, "must give a torch.nn.Module"),
        ("no-such-folder", {}, ValueError, "reads no config"),
        (transformers.ResNetConfig(), {}, ValueError, "none of the fields hidden_size"),
        (
            transformers.GPT2Config(n_embd=96, n_head=3),
            {"widths": (81, 96, 192)},
            ValueError,
            "whole heads of 32 .* multiples of 32",
        ),
        (
            transformers.GPT2Config(n_embd=96, n_head=3, architectures=["GPT2Model"]),
            {"widths": (32, 64, 96), "batch": {"input_ids": BATCH[0]}},
            ValueError,
            "GPT2Model has no loss",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused(make, settings, error, message):
    with pytest.raises(error, match=message):
        fit.coordinate_check(make, **{"widths": (8, 16, 32), "batch": numbers(), **settings})


def test_the_example_in_the_docstring_is_true():
    module = sys.modules["fastinit.torch.coordinate_check"]
    found = doctest.testmod(module, extraglobs={"fi": fi, "fit": fit, "torch": torch})
    assert found.attempted and not found.failed
