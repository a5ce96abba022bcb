"""fastinit.torch.laws: the laws of what materialize_ draws."""

import doctest
import importlib
import math

import pytest
import torch
from torch import nn

import fastinit as fi
import fastinit.torch as fit
from fastinit import inspection


def by_name(laws):
    return {law.name: law for law in laws}


def on_meta(make):
    with torch.device("meta"):
        return make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Linear(64, 48), nn.LayerNorm(48), nn.Conv2d(8, 12, 3)),
        lambda: nn.LSTM(40, 30, 2),
        lambda: nn.TransformerEncoderLayer(64, 2, 96, batch_first=True),
        lambda: nn.Embedding(90, 40),
    ],
    ids=["layers", "lstm", "transformer", "embedding"],
)
def test_every_parameter_has_the_mean_and_std_of_its_law(make):
    model = on_meta(make)
    laws = inspection.laws(model)
    fit.materialize_(model, seed=0)
    state = model.state_dict()
    apart = inspection.laws_by_name(laws)
    assert apart.keys() == state.keys()
    for name, law in apart.items():
        values = state[name].double()
        assert tuple(values.shape) == law.shape
        slack = 5 * law.std / math.sqrt(values.numel())
        assert abs(values.mean() - law.mean) <= slack
        assert abs(values.std(correction=0) - law.std) <= slack + 1e-12


def test_a_real_model_and_one_on_the_meta_device_have_equal_laws():
    make = lambda: nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))  # noqa: E731
    assert fit.laws(make()) == fit.laws(on_meta(make))


def test_a_recipe_and_its_blocks_are_what_counts():
    model = nn.Linear(8, 12)
    laws = by_name(fit.laws(model, {"weight": ("xavier_uniform", {"blocks": 3}), "bias": 1}))
    assert laws["bias"].numbers() == "constant 1"
    assert laws["weight"].std == pytest.approx(math.sqrt(2 / (8 + 4)))
    assert "of (4, 8)" in laws["weight"].rule


def test_what_constructors_draw_is_seen_inside_construction():
    with fit.construction() as made:
        model = nn.Linear(8, 4)
        nn.init.trunc_normal_(model.weight, std=0.02)
    law = by_name(fit.laws(model, made))["weight"]
    assert (law.law, law.sigma, law.high) == ("truncated_normal", 0.02, 2.0)
    assert "nothing is truncated" in law.note


def test_tied_parameters_padding_and_computed_ones_are_named():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4, padding_idx=2)
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.embed.weight
            self.log = nn.Parameter(torch.empty(5))
            self.lost = nn.Parameter(torch.empty(5))
            self.reset_parameters()

        def reset_parameters(self):
            with torch.no_grad():
                self.log.copy_(torch.rand(5).log())

    laws = by_name(fit.laws(on_meta(Model)))
    assert laws["embed.weight"].blocks[0]["start"] == [2, 0]
    assert laws["head.weight"].law == "tied" and "embed.weight" in laws["head.weight"].rule
    assert laws["log"].law == "unknown" and "computed" in laws["log"].rule
    assert laws["lost"].law == "unknown" and "no reset_parameters" in laws["lost"].rule


def test_a_config_and_its_model_have_equal_laws(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=3,
        n_embd=32,
        n_head=2,
        vocab_size=50,
        n_positions=16,
        architectures=["GPT2LMHeadModel"],
    )
    config.save_pretrained(tmp_path)
    model = on_meta(lambda: transformers.GPT2LMHeadModel._from_config(config))
    assert inspection.compare_laws(tmp_path, model) == []
    laws = by_name(inspection.laws(tmp_path))
    assert laws["lm_head.weight"].law == "tied"
    assert laws["transformer.h.{0..2}.mlp.c_proj.weight"].std == pytest.approx(0.02 / 6**0.5)


def test_the_examples_print_what_they_say():
    module = importlib.import_module("fastinit.torch.laws")
    names = {"torch": torch, "fit": fit, "fi": fi}
    assert doctest.testmod(module, extraglobs=names).failed == 0
