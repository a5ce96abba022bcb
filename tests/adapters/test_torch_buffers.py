"""Buffers in fastinit.torch.materialize_: they are restored under every recipe, refused by name, or
left as they are if the caller says so.
"""

import pytest
import torch
from torch import nn

import fastinit as fi
import fastinit.torch as fit


class Rotary(nn.Module):
    """A buffer that a constructor computes, one that a reset computes, one without elements."""

    def __init__(self, width=8):
        super().__init__()
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.register_buffer("inv_freq", 1.0 / 100 ** (torch.arange(0, width, 2) / width))
        self.register_buffer("none", torch.empty(0))


INV_FREQ = 1.0 / 100 ** (torch.arange(0, 8, 2) / 8)
RULES = {"up.weight": "orthogonal", "*.bias": 0}
ALL = {**RULES, "*.weight": ("normal", {"std": 0.02})}


def on_meta():
    with torch.device("meta"):
        return Rotary()


def recorded():
    with fit.construction() as made:
        model = Rotary()
    return model, made


def check(model, seed):
    assert torch.equal(model.inv_freq, INV_FREQ)
    assert model.norm.running_var.eq(1).all() and not model.norm.running_mean.any()
    assert model.norm.num_batches_tracked == 0
    assert not any(one.is_meta for one in (*model.parameters(), *model.buffers()))
    up = fi.orthogonal((8, 8), seed=seed, name="up.weight")
    assert torch.equal(model.up.weight.detach(), torch.from_numpy(up))


@pytest.mark.parametrize("rules", [RULES, ALL, lambda name, one: RULES.get(name)])
def test_rules_and_a_construction_combine_and_the_rules_come_first(rules):
    model, made = recorded()
    report = fit.materialize_(model, (rules, made), seed=4)
    check(model, 4)
    assert not model.norm.bias.any() and len(report.restored) == 5 and report.unknown == ()
    own = fi.he_uniform((8, 8), negative_slope=5**0.5, seed=4, name="down.weight")
    normal = fi.normal((8, 8), std=0.02, seed=4, name="down.weight")
    expected = normal if rules is ALL else own
    assert torch.equal(model.down.weight.detach(), torch.from_numpy(expected))
    assert fit.verify_(model, (rules, made), seed=4) and not fit.verify_(model, made, seed=4)


@pytest.mark.parametrize("recipe", [None, RULES, ALL, lambda name, one: 0])
def test_a_buffer_whose_code_was_not_seen_is_refused_by_name(recipe):
    model = on_meta()
    with pytest.raises(ValueError, match=r"(?s)what 1 of the buffers.*leave.*  inv_freq: the code"):
        fit.materialize_(model, recipe, seed=4)
    assert all(one.is_meta for one in (*model.parameters(), *model.buffers()))


def test_buffers_can_be_left_on_the_meta_device_all_or_by_name():
    model = on_meta()
    report = fit.materialize_(model, RULES, seed=4, buffers={"inv_*": "leave"})
    assert report.unknown == ("inv_freq",) and model.inv_freq.is_meta
    assert not model.norm.running_var.is_meta and not model.none.is_meta
    model = on_meta()
    report = fit.materialize_(model, RULES, seed=4, buffers="leave")
    assert len(report.unknown) == 5 and report.restored == ()
    assert all(one.is_meta for one in model.buffers()) and not model.up.weight.is_meta


def test_buffers_can_be_given_rules():
    model = on_meta()
    rules = {"inv_freq": ("uniform", {"low": 0.5}), nn.BatchNorm1d: {"running_var": 2.0}}
    report = fit.materialize_(model, RULES, seed=4, buffers=rules)
    expected = fi.uniform(4, low=0.5, seed=4, name="inv_freq")
    assert torch.equal(model.inv_freq, torch.from_numpy(expected))
    assert model.norm.running_var.eq(2).all() and not model.norm.running_mean.any()
    assert report.unknown == () and set(report.restored) == {
        "inv_freq",
        "none",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    }
    block = on_meta()
    fit.materialize_(block, RULES_OF_PREFIX, seed=4, buffers={"b.inv_freq": "normal"}, prefix="b")
    assert torch.equal(block.inv_freq, torch.from_numpy(fi.normal(4, seed=4, name="b.inv_freq")))


RULES_OF_PREFIX = {"b.up.weight": "orthogonal"}


def test_after_to_empty_a_warning_names_buffers_whose_values_are_unknown():
    model = on_meta().to_empty(device="cpu")
    with torch.no_grad():
        model.inv_freq[:] = 7.0
    with pytest.warns(UserWarning, match="1 buffers keep what they hold.*inv_freq"):
        report = fit.materialize_(model, RULES, seed=4, overwrite=True)
    assert report.unknown == ("inv_freq",) and model.inv_freq.eq(7).all()
    model, made = recorded()
    model.to_empty(device="cpu")
    fit.materialize_(model, (RULES, made), seed=4, overwrite=True)
    check(model, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"buffers": "keep"}, TypeError, "buffers is 'keep'; give 'restore', 'leave', or a map"),
        ({"buffers": None}, TypeError, "buffers is None"),
        (
            {"buffers": {"inv_frq": 0}},
            ValueError,
            "buffers key 'inv_frq' matches no buffer.*inv_freq",
        ),
        ({"buffers": {"inv_freq": "nrmal"}}, ValueError, r"buffers\['inv_freq'\]: unknown init"),
        ({"buffers": {"*": "leave", "inv_freq": 0}}, ValueError, "buffers key 'inv_freq' is never"),
        ({"recipe": {"inv_freq": 0}}, ValueError, "matches no parameter.*it is a buffer.*buffers="),
        (
            {"recipe": ({}, {})},
            TypeError,
            r"recipe is tuple .*a pair \(mapping or callable, constr",
        ),
        ({"recipe": 3}, TypeError, "recipe is int 3; give None"),
    ],
)
def test_bad_rules_for_buffers_are_refused_by_name(arguments, error, message):
    model = on_meta()
    with pytest.raises(error, match=message):
        fit.materialize_(model, **arguments)
    assert all(one.is_meta for one in (*model.parameters(), *model.buffers()))
