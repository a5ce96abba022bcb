"""Parameters of unusual shapes, dtypes and layouts; real models; parts of models."""

import warnings

import pytest
import torch
from torch import nn

import fastinit.torch as fit


def on_meta(make):
    with torch.device("meta"):
        return make()


class Reset(nn.Module):
    """One parameter and the code that initializes it."""

    def __init__(self, shape, code, dtype=torch.float32):
        super().__init__()
        self.value = nn.Parameter(
            torch.empty(shape, dtype=dtype), requires_grad=dtype.is_floating_point
        )
        self.code = code
        self.reset_parameters()

    def reset_parameters(self):
        with torch.no_grad():
            self.code(self.value)


def fill_parts(value):
    nn.init.zeros_(value)
    nn.init.ones_(value[1])


def set_element(value):
    nn.init.zeros_(value)
    value[0] = 3.0


def set_last(value):
    value.fill_(2.0)
    value[..., -1:] = 4.0


@pytest.mark.parametrize("how", ["reset", "construction"])
@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((), lambda value: nn.init.constant_(value, 2.5)),
        ((1,), set_element),
        ((4,), set_element),
        ((4, 1), fill_parts),
        ((1, 4), set_element),
        ((4, 1, 1), fill_parts),
        ((3, 1, 2), set_last),
        ((2, 3, 1), set_last),
    ],
)
def test_parts_and_scalars_have_the_values_of_the_same_code_on_real_memory(shape, code, how):
    plain = Reset(shape, code)
    if how == "reset":
        model, recipe = on_meta(lambda: Reset(shape, code)), None
    else:
        with fit.construction() as recipe:
            model = Reset(shape, code)
    fit.materialize_(model, recipe, seed=0)
    assert torch.equal(model.value, plain.value) and fit.verify_(model, recipe)


@pytest.mark.parametrize("width", [1, 3])
def test_a_padding_row_is_zero_at_every_width(width):
    model = on_meta(lambda: nn.Embedding(6, width, padding_idx=2))
    fit.materialize_(model, seed=0)
    assert not model.weight[2].any() and model.weight[[0, 1, 3, 4, 5]].all()


# ----------------------------------------------------------------------------------- integer dtypes


class Quantized(nn.Module):
    def __init__(self, kind=torch.int8):
        super().__init__()
        self.lin = nn.Linear(8, 8)
        self.packed = nn.Parameter(torch.zeros(8, 8, dtype=kind), requires_grad=False)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.bool])
@pytest.mark.parametrize(
    ("setting", "value"), [("zeros", 0), ("ones", 1), (1, 1), (("constant", {"value": 0}), 0)]
)
def test_a_recipe_gives_integer_parameters_constants(kind, setting, value):
    model = on_meta(lambda: Quantized(kind))
    report = fit.materialize_(model, {"packed": setting}, seed=0, dtype=torch.bfloat16)
    assert model.packed.dtype == kind and model.packed.eq(value).all()
    assert model.lin.weight.dtype == torch.bfloat16 and report.values == 64 + 8 + 64
    assert fit.verify_(model, {"packed": setting})
    with torch.no_grad():
        model.packed[0, :3] = 1 - value
    assert fit.verify_(model, {"packed": setting}).different == {"packed": 3}


def test_an_integer_parameter_without_a_rule_is_reported_and_the_rest_is_filled():
    model = on_meta(Quantized)
    report = fit.materialize_(model, seed=0)
    assert report.unknown == ("packed",) and model.packed.is_meta
    assert not model.lin.weight.is_meta and "packed" in str(report)


def test_a_draw_for_an_integer_parameter_is_refused_by_name():
    model = on_meta(Quantized)
    with pytest.raises(NotImplementedError, match="'packed'.*int8"):
        fit.materialize_(model, {"packed": "normal"})
    assert model.lin.weight.is_meta


def test_integer_parameters_that_the_module_clears_are_cleared():
    model = on_meta(lambda: Reset((4, 4), lambda value: value.zero_(), torch.int8))
    assert fit.materialize_(model).unknown == () and not model.value.any()


# -------------------------------------------------------------------------- models that are real


def test_a_model_without_meta_parameters_is_told_and_overwrite_fills_it():
    model = on_meta(lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    other = on_meta(lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(float("nan") if tensor.is_floating_point() else 7)
    weight = model[0].weight
    with pytest.warns(UserWarning, match="nothing was filled.*overwrite=True") as found:
        assert fit.materialize_(model).filled == ()
    assert found[0].filename == __file__ and weight.isnan().all()
    version = weight._version
    report = fit.materialize_(model, overwrite=True)
    fit.materialize_(other)
    assert model[0].weight is weight and weight._version > version and report.skipped == ()
    for one, two in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.materialize_(nn.ReLU())  # nothing to fill, nothing to tell


def test_writes_of_constructors_that_a_meta_build_hides_are_named():
    class Zeroed(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(4, 4)
            self.out = nn.Linear(4, 4)
            with torch.no_grad():
                self.out.weight.zero_()

    with pytest.warns(UserWarning, match=r"write out\.weight more often.*construction") as found:
        fit.materialize_(on_meta(Zeroed))
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.materialize_(on_meta(Zeroed), {"out.weight": 0})  # the recipe says it
        with fit.construction() as made:
            model = Zeroed()
        fit.materialize_(model, made)
        for make in (
            lambda: nn.TransformerEncoderLayer(8, 2),
            lambda: nn.Embedding(4, 3, padding_idx=1),
            lambda: nn.LSTM(4, 4),
        ):
            fit.materialize_(on_meta(make))
    assert not model.out.weight.any()


# ------------------------------------------------------------------------------------------- prefix


def test_a_prefix_draws_what_the_whole_models_call_draws():
    def blocks():
        return nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])

    whole, parts = on_meta(blocks), on_meta(blocks)
    fit.materialize_(whole, seed=3)
    for name, block in parts.named_children():
        report = fit.materialize_(block, seed=3, prefix=name)
        assert report.names == (f"{name}.weight", f"{name}.bias")
        assert fit.verify_(block, seed=3, prefix=name)
    for one, two in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, two)


# ------------------------------------------------------------------------ layouts and torch.func


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", ["coo", "csr"])
@pytest.mark.parametrize("name", ["normal_", "uniform_", "zeros_", "xavier_normal_", "eye_"])
def test_sparse_layouts_are_torchs(layout, name):
    results = []
    for module in (torch.nn.init, fit):
        dense = torch.eye(6)
        tensor = dense.to_sparse() if layout == "coo" else dense.to_sparse_csr()
        try:
            results.append((getattr(module, name)(tensor).layout, None))
        except (RuntimeError, NotImplementedError) as error:
            results.append((None, type(error)))
    assert results[0] == results[1]


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("name", ["normal_", "uniform_", "kaiming_uniform_"])
def test_vmap_draws_as_torch_does(name, block):
    def drawn(randomness, module):
        torch.manual_seed(1)
        fill = torch.func.vmap(getattr(module, name), randomness=randomness)
        return fill(torch.zeros(4, 6, 6))

    module = torch.nn.init if block else fit
    for randomness in ("different", "same"):
        expected = drawn(randomness, torch.nn.init)
        if block:
            with fit.accelerate():
                found = drawn(randomness, module)
        else:
            found = drawn(randomness, module)
        assert torch.equal(found, expected) and found.any()
        assert torch.equal(found[0], found[1]) == (randomness == "same")
    with pytest.raises(RuntimeError, match="randomness"):
        drawn("error", module)
