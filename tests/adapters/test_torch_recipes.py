"""Recipes of materialize_, verify_, and construction()."""

import copy
import functools
import math
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn  # noqa: E402

import fastinit as fi  # noqa: E402
import fastinit.torch as fit  # noqa: E402


def on_meta(make):
    with torch.device("meta"):
        return make()


# ------------------------------------------------------------------------------------------ recipes


def sample():
    return nn.ModuleDict(
        {"up": nn.Linear(6, 8), "conv": nn.Conv1d(6, 8, 3), "norm": nn.LayerNorm(8)}
    )


def test_a_recipe_by_patterns_and_types_first_match_first():
    model = on_meta(sample)
    report = fit.materialize_(
        model,
        {
            "up.weight": "default",
            "*.weight": fi.ones,
            nn.Linear: {"bias": ("constant", {"value": 2.0})},
            nn.Conv1d: {"initializer": "normal", "std": 0.5},
        },
        seed=3,
    )
    drawn = {line.name: (line.initializer, line.arguments) for line in report.filled}
    assert drawn["up.weight"][0] == "he_uniform"
    assert drawn["conv.weight"] == drawn["norm.weight"] == ("ones", {})
    assert drawn["up.bias"] == ("constant", {"value": 2.0}) and model["up"].bias.eq(2).all()
    assert drawn["conv.bias"] == ("normal", {"std": 0.5})
    assert drawn["norm.bias"] == ("constant", {"value": 0.0})


@pytest.mark.parametrize(
    "setting",
    [
        "xavier_uniform",
        fi.xavier_uniform,
        "glorot_uniform",
        ("xavier_uniform", {}),
        {"initializer": "xavier_uniform"},
        functools.partial(fi.xavier_uniform, gain=1.0),
    ],
)
def test_all_ways_to_name_an_initializer_agree(setting):
    model = on_meta(sample)
    fit.materialize_(model, {"up.weight": setting}, seed=1)
    assert np.array_equal(
        model["up"].weight.detach().numpy(), fi.xavier_uniform((8, 6), seed=1, name="up.weight")
    )


def test_a_callable_recipe_sees_names_and_parameters():
    seen = []

    def recipe(name, parameter):
        seen.append((name, tuple(parameter.shape)))
        return ("orthogonal", {"gain": 2.0}) if parameter.ndim == 2 else None

    model = on_meta(sample)
    report = fit.materialize_(model, recipe)
    assert seen[0] == ("up.weight", (8, 6)) and len(seen) == 6
    assert [line.initializer for line in report.filled][:2] == ["orthogonal", "uniform"]


@pytest.mark.parametrize(
    ("recipe", "error", "text"),
    [
        (
            {"*.wieght": 0},
            ValueError,
            r"'\*\.wieght' matches no parameter of this model; did you mean '\*\.weight'",
        ),
        ({nn.GRU: 0}, ValueError, "GRU matches no module.*Conv1d, LayerNorm, Linear"),
        ({nn.Linear: {"wight": 0}}, ValueError, "'wight', which no Linear.*did you mean 'weight'"),
        ({"up.weight": "he_norml"}, ValueError, "up.weight.*he_norml.*did you mean 'he_normal'"),
        ({"up.weight": ("normal", {"sdt": 1})}, TypeError, "no argument 'sdt'; did you mean 'std'"),
        ({"up.weight": ("normal", 0.1)}, TypeError, "pair"),
        ({"up.weight": {"std": 0.1}}, ValueError, "key 'initializer'"),
        ({"up.weight": nn.init.normal_}, TypeError, "is not an initializer of fastinit"),
        ({"up.bias": "he_normal"}, ValueError, "up.bias.*fan"),
        ({3: 0}, TypeError, "neither a name pattern nor a type"),
        (3, TypeError, "recipe is int"),
        (lambda name, parameter: 1j, TypeError, "answer for 'up.weight'"),
    ],
)
def test_bad_recipes_are_refused_and_nothing_changes(recipe, error, text):
    model = on_meta(sample)
    with pytest.raises(error, match=text):
        fit.materialize_(model, recipe)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_parameters_without_a_draw_are_refused_by_name():
    model = on_meta(
        lambda: nn.ParameterDict(
            {"a": nn.Parameter(torch.empty(3, dtype=torch.int8), requires_grad=False)}
        )
    )
    with pytest.raises(NotImplementedError, match="'a'.*int8"):
        fit.materialize_(model, {"a": "normal"})
    assert fit.materialize_(model).unknown == ("a",) and model["a"].is_meta
    model = on_meta(lambda: nn.ParameterDict({"z": torch.empty(3, dtype=torch.complex64)}))
    with pytest.raises(ValueError, match=r"(?s)covers 1 of.*z: no reset_parameters"):
        fit.materialize_(model)
    with pytest.raises(NotImplementedError, match="'z'.*complex64"):
        fit.materialize_(model, {"z": "orthogonal"})
    report = fit.materialize_(model, {"z": "normal"}, seed=3)
    parts = fi.normal((3, 2), std=0.5**0.5, seed=3, name="z")
    assert torch.equal(torch.view_as_real(model["z"].detach()), torch.from_numpy(parts))
    assert report.computed == ("z",) and not report.filled
    assert fit.verify_(model, {"z": "normal"}, seed=3)
    with pytest.raises(NotImplementedError, match="int32"):
        fit.materialize_(on_meta(sample), dtype=torch.int32)
    with pytest.raises(ValueError, match="no shape yet"):
        fit.materialize_(on_meta(lambda: nn.LazyLinear(3)))


class Unmetal(nn.Linear):
    """Reads its values, which meta tensors do not have."""

    def reset_parameters(self):
        nn.init.normal_(self.weight)
        self.weight.sum().item()


def unmetal():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[1].__class__ = Unmetal
    return model


@pytest.mark.parametrize(
    ("dtype", "rule", "text"),
    [
        (torch.int8, 2.5, "2.5 has no exact value in int8"),
        (torch.int8, 300, "300 has no exact value in int8"),
        (torch.uint8, -1, "-1 has no exact value in uint8"),
        (torch.bool, 2, "2 has no exact value in bool"),
        (torch.float8_e4m3fnuz, 1e9, "torch does not fill dtype float8_e4m3fnuz with 1000000000.0"),
    ],
)
def test_a_constant_that_the_dtype_does_not_hold_is_refused_by_name(dtype, rule, text):
    model = nn.Module()
    model.q = nn.Parameter(torch.ones(4).to(dtype), requires_grad=False)
    model.register_buffer("b", torch.ones(4).to(dtype))
    for name, given in (
        ("q", {"recipe": {"q": rule}}),
        ("b", {"recipe": {"q": "ones"}, "buffers": {"b": rule}}),
    ):
        with pytest.raises((TypeError, ValueError), match=f"the rule for '{name}': {text}"):
            fit.materialize_(model, **given, overwrite=True)
    with pytest.raises((TypeError, ValueError), match=f"the rule for 'q': {text}"):
        fit.verify_(model, {"q": rule})
    assert torch.equal(model.q.float(), torch.ones(4))


def test_a_constant_that_an_integer_holds_is_written_and_its_call_agrees():
    model = on_meta(nn.Module)
    model.q = nn.Parameter(torch.empty(4, dtype=torch.int8, device="meta"), requires_grad=False)
    model.none = nn.Parameter(torch.empty(2, dtype=torch.int8, device="meta"), requires_grad=False)
    rules = {"q": 2.0, "none": "constant"}
    report = fit.materialize_(model, rules, seed=1)
    assert model.q.tolist() == [2] * 4 and model.none.tolist() == [0] * 2
    for line, tensor in zip(report.filled, (model.q, model.none), strict=True):
        assert eval(line.call(1), {"fi": fi}).tolist() == tensor.tolist()
    assert fit.verify_(model, rules, seed=1)


@pytest.mark.parametrize("model", [[nn.Linear(2, 2)], nn.Linear, torch.zeros(3)], ids=range(3))
def test_what_is_not_a_module_is_refused_by_every_function_that_takes_a_model(model):
    batch = torch.zeros(2, 2)
    for call in (
        lambda: fit.materialize_(model),
        lambda: fit.verify_(model),
        lambda: fit.laws(model),
        lambda: fit.lsuv_(model, batch),
        lambda: fit.match_moments_(model, batch),
        lambda: fit.weight_norm_init_(model, batch),
        lambda: fit.normalize_within_layers_(model, batch),
        lambda: fit.normalize_between_layers_(model, batch),
    ):
        with pytest.raises(TypeError, match=r"model is .*; give a torch\.nn\.Module"):
            call()


def test_a_failing_reset_is_reported_with_the_names_of_its_parameters():
    with pytest.raises(
        ValueError,
        match=r"(?s)covers 2 of.*1\.weight: Unmetal.reset_parameters failed on meta.*1\.bias",
    ):
        fit.materialize_(on_meta(unmetal))


@pytest.mark.parametrize("recipe", [{nn.Linear: 1}, {"1.*": 1}, {"*": 1}])
def test_a_recipe_that_covers_a_failing_reset_is_enough(recipe):
    model = on_meta(unmetal)
    report = fit.materialize_(model, recipe)
    assert model[1].weight.eq(1).all() and report.unknown == () and len(report.restored) == 3


def test_a_parameter_that_the_code_replaces_is_reproduced_or_refused():
    class Replacing(nn.Module):
        def __init__(self, make):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(5, 4))
            self.make = make

        def reset_parameters(self):
            self.weight = nn.Parameter(self.make(self.weight))

    model = on_meta(lambda: Replacing(lambda w: torch.randn_like(w) * 0.1))
    assert fit.materialize_(model).filled[0].arguments == {"mean": 0.0, "std": 0.1}
    model = on_meta(lambda: Replacing(lambda w: torch.rand(5, 4, device="cpu")))
    fit.materialize_(model, seed=2)
    assert torch.equal(model.weight, torch.from_numpy(fi.uniform((5, 4), seed=2, name="weight")))
    with pytest.raises(ValueError, match="weight: .*another tensor in its place"):
        fit.materialize_(on_meta(lambda: Replacing(lambda w: torch.rand(5, 3))))


def test_a_report_prints_what_matters():
    model = on_meta(lambda: nn.Sequential(nn.Linear(30, 40), nn.BatchNorm1d(4)))
    text = str(fit.materialize_(model, seed=3))
    assert (
        "4 tensors, 1,248 values, 4,992 bytes" in text
        and "buffers restored: 3 (1.running_mean" in text
    )


# ------------------------------------------------------------------------------------- construction


class Nano(nn.Module):
    """Draws in its constructor, as nanoGPT and timm's models do."""

    def __init__(self, layers=2, width=12):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.decay = nn.Parameter(torch.arange(1, 4, dtype=torch.float32))
        self.embedding = nn.Embedding(20, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"fc": nn.Linear(width, width)}) for _ in range(layers)
        )
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 20, bias=False)
        self.embedding.weight = self.head.weight
        self.apply(self._weights)
        for name, parameter in self.named_parameters():
            if name.endswith("fc.weight"):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers))

    @staticmethod
    def _weights(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)


def test_a_construction_is_what_the_constructors_draw():
    state = torch.get_rng_state()
    with fit.construction() as made:
        model = Nano()
    assert all(parameter.is_meta for parameter in model.parameters()) and torch.equal(
        torch.get_rng_state(), state
    )
    report = fit.materialize_(model, made, seed=4)
    drawn = {line.name: (line.initializer, line.arguments) for line in report.filled}
    assert drawn["scale"] == ("constant", {"value": 1.0}) and drawn["token"] == (
        "normal",
        {"mean": 0.0, "std": 0.02},
    )
    assert drawn["blocks.1.fc.weight"] == ("normal", {"mean": 0.0, "std": 0.01})
    assert drawn["embedding.weight"][1]["std"] == 0.02 and report.tied == {
        "head.weight": "embedding.weight"
    }
    assert drawn["blocks.0.fc.bias"] == ("constant", {"value": 0.0})
    assert report.computed == ("decay",) and model.decay.tolist() == [1, 2, 3]
    assert report.unknown == () and model.norm.running_var.eq(1).all()
    assert fit.verify_(model, made, seed=4) and not fit.verify_(model, made, seed=5)


class Tutorial(nn.Module):
    """As torch's tutorials and timm write it."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.init_weights()

    def init_weights(self):
        nn.init.normal_(self.fc.weight, std=0.02)


def test_an_init_weights_that_only_a_constructor_calls_gives_a_warning():
    model = on_meta(Tutorial)
    with pytest.warns(
        UserWarning,
        match=r"init_weights\(\) of Tutorial is not run: .* fastinit.torch.construction",
    ) as told:
        fit.materialize_(model)
    assert told[0].filename == __file__
    fit.materialize_(on_meta(Tutorial), {"*": 0.0})  # all said by the recipe: nothing to warn of
    with fit.construction() as made:
        model = Tutorial()
    drawn = {line.name: line.initializer for line in fit.materialize_(model, made).filled}
    assert drawn == {"fc.weight": "normal", "fc.bias": "uniform"}


class ModelMixin(nn.Module):
    """As the base class of diffusers' models."""


class DiffusersHolder(ModelMixin):
    """As a model of diffusers that only holds others, and has no config."""

    def __init__(self, nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)


class DiffusersModel(ModelMixin):
    """As a model of diffusers: its config holds its constructor's arguments."""

    def __init__(self, width):
        super().__init__()
        self.config = {"width": width}
        self.proj_out = nn.Linear(width, 4)
        nn.init.zeros_(self.proj_out.weight)
        self.scale_shift_table = nn.Parameter(torch.randn(2, width) / width**0.5)
        self.register_buffer("mean", torch.full((3,), 0.25))

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_what_plain_meta_loses_of_a_diffusers_model_its_config_gives_again(monkeypatch):
    module = types.ModuleType("diffusers.models.modeling_utils")
    module.ModelMixin = ModelMixin
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = on_meta(lambda: DiffusersModel(16))
    other = copy.deepcopy(model)
    with pytest.warns(UserWarning, match=r"scale_shift_table, mean get .*run once more"):
        fit.materialize_(model, seed=4)
    with fit.construction() as made:
        whole = DiffusersModel(16)
    fit.materialize_(whole, made, seed=4)
    ours, theirs = model.state_dict(), whole.state_dict()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert not model.proj_out.weight.any() and model.scale_shift_table.std() > 0.1
    other.config["width"] = 8
    with pytest.raises(ValueError, match=r"scale_shift_table: no reset_parameters"):
        fit.materialize_(other, seed=4)
    holder = on_meta(lambda: DiffusersHolder([DiffusersModel(16), DiffusersModel(8)]))
    with pytest.warns(UserWarning, match=r"nets\.0\.scale_shift_table, .* what DiffusersModel\("):
        fit.materialize_(holder, seed=4)
    assert not any(net.proj_out.weight.any() for net in holder.nets)


def test_a_construction_records_arithmetic_between_tensors():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            mask = torch.arange(6).view(2, 3)
            self.register_buffer("mask", mask.unsqueeze(1) - mask.unsqueeze(2))
            self.register_buffer("noise", torch.rand(2).exp())
            self.scale = nn.Parameter(torch.log(10 * torch.ones(2, 1)))
            self.gate = nn.Parameter(torch.randn(5).exp())
            self.weight = nn.Parameter(torch.randn(3) * 0.5)

    with fit.construction() as made:
        model = Windows()
    report = fit.materialize_(model, made, seed=2)
    difference = [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]
    assert report.restored == ("mask", "noise") and model.mask.tolist() == [difference, difference]
    noise = torch.from_numpy(fi.uniform(2, seed=2, name="noise[0]")).exp()
    assert report.unknown == () and torch.equal(model.noise, noise)
    assert report.computed == ("scale", "gate") and torch.equal(
        model.scale, torch.log(torch.full((2, 1), 10.0))
    )
    assert torch.equal(model.gate, torch.from_numpy(fi.normal(5, seed=2, name="gate[0]")).exp())
    assert report.filled[0].arguments == {"mean": 0.0, "std": 0.5}


def test_without_its_construction_the_defaults_cover_less():
    with pytest.raises(ValueError, match="(?s)no rule covers 3.*scale: .*token: .*decay: "):
        fit.materialize_(on_meta(Nano))


def test_parameters_that_constructors_make_on_the_cpu_anyway_are_drawn_too():
    class Old(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.Tensor(40, 30))  # no device reaches this
            self.bias = nn.Parameter(torch.Tensor(40))
            self.table = nn.Parameter(torch.from_numpy(np.arange(3.0)))
            nn.init.xavier_normal_(self.weight)
            self.bias.data.fill_(0.5)

    with fit.construction() as made:
        model, other = Old(), Old()
    with torch.no_grad():
        other.bias.copy_(torch.arange(40.0))  # loaded afterwards: kept
    report = fit.materialize_(model, made, seed=1)
    assert {line.name for line in report.filled} == {"weight", "bias"} and report.skipped == (
        "table",
    )
    assert torch.equal(
        model.weight, torch.from_numpy(fi.xavier_normal((40, 30), seed=1, name="weight"))
    )
    assert model.bias.eq(0.5).all() and model.table.tolist() == [0, 1, 2]
    assert fit.materialize_(other, made).skipped == ("bias", "table") and other.bias[3] == 3


def test_a_construction_refuses_what_it_cannot_reproduce():
    with fit.construction() as made:
        model = nn.Linear(2, 2)
        with torch.no_grad():
            model.bias.copy_(torch.from_numpy(np.random.rand(2)))
    with pytest.raises(
        ValueError, match="bias: it was copied from a tensor with values of its own"
    ):
        fit.materialize_(model, made)


def test_a_construction_belongs_to_its_thread_and_block():
    import threading

    with fit.construction() as made:
        other = []
        thread = threading.Thread(target=lambda: other.append(nn.Linear(2, 2)))
        thread.start()
        thread.join()
        model = nn.Linear(2, 2)
    later = nn.Linear(2, 2)
    assert not other[0].weight.is_meta and model.weight.is_meta and not later.weight.is_meta
    assert len(made._sites) == 1


# ------------------------------------------------------------------------------------------- verify


def test_verify_counts_the_values_that_differ():
    model = on_meta(sample)
    fit.materialize_(model, seed=3)
    with torch.no_grad():
        model["up"].weight[0, :3] += 1
        model["norm"].bias[0] = -0.0  # other bits
    found = fit.verify_(model, seed=3)
    assert (
        not found and found.different == {"up.weight": 3, "norm.bias": 1} and len(found.equal) == 4
    )


def test_verify_is_false_where_something_could_not_be_compared():
    model = on_meta(lambda: nn.Sequential(nn.Linear(3, 4), unmetal()[1]))
    found = fit.verify_(model)
    assert not found and set(found.skipped) == {name for name, _ in model.named_parameters()}
    fit.materialize_(model, {"1.*": 0.5})
    found = fit.verify_(model)
    assert (
        not found
        and set(found.unknown) == {"1.weight", "1.bias"}
        and found.equal == ("0.weight", "0.bias")
    )
    assert fit.verify_(model, {"1.*": 0.5})


# --------------------------------------------------------------------------------------- docstrings


@pytest.mark.parametrize(
    "documented",
    [fit, fit.accelerate, fit.construction, fit.materialize_, fit.lsuv_, fit.verify_],
    ids=lambda one: one.__name__,
)
def test_examples_print_what_they_say_and_docstrings_are_short(documented):
    import doctest
    import inspect

    text = inspect.getdoc(documented)
    names = {"fi": fi, "fit": fit, "torch": torch, "np": np}
    example = doctest.DocTestParser().get_doctest(text, names, documented.__name__, None, 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0
    assert len(text.splitlines()) <= 60  # numpydoc's sections and one example


def test_the_first_match_counts_and_a_key_that_is_never_used_is_refused():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for recipe, key in (
        ({"*.weight": "zeros", "1.weight": "ones", "*": "zeros"}, "'1.weight'"),
        ({"*": "zeros", nn.Linear: "ones"}, "Linear"),
        ({nn.Linear: "zeros", "*.bias": "ones"}, "'*.bias'"),
        ({"*.weight": "zeros", "*.bias": "ones", "*": "zeros"}, "'*'"),
    ):
        with pytest.raises(ValueError, match="is never used") as caught:
            fit.materialize_(model, recipe, seed=0)
        assert f"recipe key {key} " in str(caught.value)
        assert all(parameter.is_meta for parameter in model.parameters())
    fit.materialize_(model, {"1.weight": "ones", "*.weight": "zeros", "*": "zeros"}, seed=0)
    assert model[1].weight.eq(1).all() and model[0].weight.eq(0).all()
