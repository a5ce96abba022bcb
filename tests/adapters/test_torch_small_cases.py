"""Parameters of unusual shapes, dtypes and layouts; real models; parts of models."""

import gc
import random
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import fastinit as fi
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


# ------------------------------------------------------------------------------- blocks of a rule


@pytest.mark.parametrize(
    "rule", [("orthogonal", {"blocks": 4}), {"initializer": "orthogonal", "blocks": 4}]
)
def test_a_rule_fills_blocks_of_rows_each_alone(rule):
    model = on_meta(lambda: nn.LSTM(5, 8))
    recipe = {"weight_hh_l0": rule}
    report = fit.materialize_(model, recipe, seed=6)
    for number, gate in enumerate(model.weight_hh_l0.detach().chunk(4)):
        expected = fi.orthogonal((8, 8), seed=6, name=f"weight_hh_l0[{number}]")
        assert torch.equal(gate, torch.from_numpy(expected))
    assert report.names[1:5] == tuple(f"weight_hh_l0[{number}]" for number in range(4))
    assert fit.verify_(model, recipe, seed=6)


@pytest.mark.parametrize(
    ("blocks", "text"), [(3, "does not divide"), (0, "positive"), (True, "po")]
)
def test_blocks_that_do_not_fit_are_refused(blocks, text):
    with pytest.raises(ValueError, match=text):
        fit.materialize_(on_meta(lambda: nn.LSTM(5, 8)), {"*": ("normal", {"blocks": blocks})})


# ------------------------------------------------------------------------ values from elsewhere


class Table(nn.Module):
    """A table of positions that NumPy computes, as DiT and MAE have it."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 10, 8), requires_grad=False)
        self.lin = nn.Linear(8, 8)
        self.table.data.copy_(torch.from_numpy(positions()).float().unsqueeze(0))
        widths = [width.item() for width in torch.linspace(1, 3, 3)]
        self.scale = nn.Parameter(torch.tensor(widths).repeat(2, 1)[:, ::2] * 2)
        self.flags = nn.Parameter(torch.tensor(torch.arange(4).tolist(), dtype=torch.float32))
        # As RWKV does: the device is that of a parameter.
        time = torch.tensor([n / 8 for n in range(8)], device=self.lin.weight.device)
        self.decay = nn.Parameter(torch.pow(time, 0.5) + self.lin.weight.new_tensor([2.0]))


def positions():
    angle = np.arange(10)[:, None] / 10000 ** (np.arange(4)[None] / 4)
    return np.concatenate([np.sin(angle), np.cos(angle)], 1)


def test_values_that_a_constructor_computes_without_drawing_are_its_values():
    with fit.construction() as made:
        model = Table()
    report = fit.materialize_(model, made)
    plain = Table()
    for name in ("table", "scale", "flags", "decay"):
        assert torch.equal(getattr(model, name), getattr(plain, name)), name
    assert set(report.computed) == {"table", "scale", "flags", "decay"} and fit.verify_(model, made)
    with torch.device("meta"), pytest.raises((RuntimeError, NotImplementedError)):
        Table()  # torch's own refusal: a meta tensor has no item


class ShapedByValues(nn.Module):
    """As PEFT's UniLoRA, which counts indices, and FRoD, which takes all places off a diagonal."""

    def __init__(self):
        super().__init__()
        grid = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        self.places = nn.Parameter(grid[grid[:, 0] != grid[:, 1]].float())
        counts = torch.bincount(torch.tensor([0, 2, 2, 3]), minlength=5)
        scale, used = torch.zeros(5), counts > 0
        scale[used] = counts[used].float().rsqrt()
        self.scale = nn.Parameter(scale)
        self.unique = nn.Parameter(torch.unique(torch.tensor([3.0, 1.0, 3.0])))
        self.equal = nn.Parameter(torch.ones(2 if torch.equal(counts, counts + 0) else 3))
        self.register_buffer("found", torch.nonzero(counts))
        self.lin = nn.Linear(4, 4)
        self.rows = nn.Parameter(self.lin.weight[torch.tensor([True, False, True, False])])
        self.listed = nn.Parameter(self.lin.weight[[2, 0]])
        self.marked = nn.Parameter(torch.zeros(3, 4))
        with torch.no_grad():
            self.marked[:, np.array([1, 3])] = 2.0
            self.marked[[0, 2], 3] = 5.0


def test_known_values_decide_shapes_and_places_as_on_real_memory():
    with fit.construction() as made:
        model = ShapedByValues()
    fit.materialize_(model, made)
    plain = ShapedByValues()
    for name in ("places", "scale", "unique", "equal", "found", "marked"):
        assert torch.equal(getattr(model, name), getattr(plain, name)), name
    assert torch.equal(model.rows, model.lin.weight[[0, 2]])
    assert torch.equal(model.listed, model.lin.weight[[2, 0]]) and fit.verify_(model, made)


def on_the_cpu():
    """Real memory to which a drawn value is written, which only the record has."""
    tensor = torch.zeros(3, 3, device="cpu")
    tensor[1] = nn.Linear(3, 3).bias
    return tensor.detach()


@pytest.mark.parametrize(
    "code",
    [
        lambda: nn.Linear(3, 3).weight.max().item(),
        lambda: nn.Linear(3, 3).weight.gt(0).nonzero(),
        lambda: nn.Linear(3, 3).weight[nn.Linear(3, 3).weight > 0],
        lambda: torch.equal(nn.Linear(3, 3).weight, nn.Linear(3, 3).weight),
        lambda: on_the_cpu().numpy(),
        lambda: np.asarray(on_the_cpu().view(9)[2:]),
        lambda: on_the_cpu().tolist(),
        lambda: (on_the_cpu() * 2).max().item(),
        lambda: torch.where(on_the_cpu() == 1.0),
        lambda: torch.randn(3, device="cpu").numpy(),
        lambda: torch.Tensor(3).normal_().tolist(),
        lambda: nn.init.normal_(torch.Tensor(3)).tolist(),
    ],
)
def test_code_that_reads_a_drawn_value_gets_a_clear_error(code):
    with fit.construction(), pytest.raises(RuntimeError, match="reads values that are drawn"):
        code()


def test_sparse_tensors_on_the_cpu_are_read_in_a_construction():
    with fit.construction():
        sparse = torch.eye(2, device="cpu").to_sparse()
        assert sparse[1].to_dense().tolist() == [0.0, 1.0]


def test_what_is_computed_from_real_memory_that_a_draw_was_written_to_has_the_draw():
    class Copied(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(3, 3)
            table = torch.zeros(2, 3, 3, device="cpu")
            table[1] = self.lin.weight
            self.twice = nn.Parameter((table * 2).detach())
            self.part = nn.Parameter(table.view(18)[8:12].detach().clone())

    with fit.construction() as made:
        model = Copied()
    fit.materialize_(model, made)
    assert not model.twice[0].any() and torch.equal(model.twice[1], model.lin.weight * 2)
    assert torch.equal(model.part[1:], model.lin.weight[0]) and model.part[0] == 0


# -------------------------------------------------------------------------- models that are real


def test_a_model_without_meta_parameters_gives_a_warning_and_overwrite_fills_it():
    model = on_meta(lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    other = on_meta(lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.detach().fill_(float("nan") if tensor.is_floating_point() else 7)
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


class Legacy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.old = nn.Parameter(torch.Tensor(40, 30))  # real memory whatever the device is
        self.kept = nn.Parameter(torch.from_numpy(np.arange(3.0)))

    def reset_parameters(self):
        nn.init.normal_(self.old, std=0.02)


def test_real_memory_that_nothing_has_written_is_refused_filled_or_kept():
    with pytest.raises(ValueError, match=r"(?s)covers 1 of.*old: it is real memory.*overwrite=Tr"):
        fit.materialize_(on_meta(Legacy))
    model = on_meta(Legacy)
    report = fit.materialize_(model, overwrite=False)
    assert report.skipped == ("old", "kept") and not model.first.weight.is_meta
    model = on_meta(Legacy)
    assert fit.materialize_(model, {"kept": 2, "*": "default"}, overwrite=True).skipped == ()
    assert torch.equal(
        model.old, torch.from_numpy(fi.normal((40, 30), std=0.02, seed=0, name="old"))
    )
    model = on_meta(Legacy)
    with torch.no_grad():
        model.old.fill_(1.0)  # loaded: kept without a word
    assert fit.materialize_(model).skipped == ("old", "kept") and model.old.eq(1).all()


def made_real(values):
    def make():
        model = nn.Sequential(nn.Linear(2, 2))
        model.w = nn.Parameter(values())
        return model

    return on_meta(make)


def test_real_memory_that_nothing_covers_or_has_written_is_kept_with_a_warning():
    with pytest.warns(UserWarning, match=r"w keep what they hold.*rubbish if torch\.Tensor\(n\)"):
        assert fit.materialize_(made_real(lambda: torch.Tensor(64, 64))).skipped == ("w",)
    quiet = (
        (lambda: torch.Tensor(4), {"overwrite": False}),
        (lambda: torch.Tensor(4).fill_(2.0), {}),
        (lambda: torch.from_numpy(np.arange(4.0)), {}),
    )
    for values, options in quiet:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert fit.materialize_(made_real(values), **options).skipped == ("w",)


def test_a_rule_that_names_a_parameter_that_is_kept_gives_a_warning():
    def filled():
        return made_real(lambda: torch.Tensor(4).fill_(2.0))

    with pytest.warns(UserWarning, match="rules for w are not used, since these are real"):
        fit.materialize_(filled(), {"w": "zeros"})
    quiet = (({"*": "zeros"}, None), ({"w": "zeros"}, False), ({"w": "zeros"}, True))
    for recipe, overwrite in quiet:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit.materialize_(filled(), recipe, overwrite=overwrite)


# ---------------------------------------------------------------------------------- wrapped modules


def wrap(name, kind, layer):
    where = nn.utils.parametrizations if kind == "new" else nn.utils
    return getattr(where, name)(layer)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["new", "old"])
@pytest.mark.parametrize("make", [lambda: nn.Linear(40, 30), lambda: nn.Conv1d(8, 6, 3)])
def test_weight_norm_has_the_modules_law_and_its_norms(kind, make):
    models = []
    for built in ("meta", "construction"):
        if built == "meta":
            model, made = on_meta(lambda: wrap("weight_norm", kind, make())), None
        else:
            with fit.construction() as made:
                model = wrap("weight_norm", kind, make())
        fit.materialize_(model, made, seed=4)
        assert fit.verify_(model, made, seed=4)
        models.append(model)
        g, v = (
            [model.parametrizations.weight.original0, model.parametrizations.weight.original1]
            if kind == "new"
            else [model.weight_g, model.weight_v]
        )
        name = "parametrizations.weight.original1" if kind == "new" else "weight_v"
        drawn = fi.he_uniform(tuple(v.shape), negative_slope=5**0.5, seed=4, name=name)
        assert torch.equal(v, torch.from_numpy(drawn))
        assert torch.equal(g, torch.norm_except_dim(v, 2, 0))
    for one, two in zip(*[model.parameters() for model in models], strict=True):
        assert torch.equal(one, two)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["new", "old"])
def test_spectral_norm_has_vectors_from_meta_as_from_its_construction(kind):
    models = []
    for built in ("meta", "construction"):
        if built == "meta":
            model, made = on_meta(lambda: wrap("spectral_norm", kind, nn.Linear(20, 30))), None
        else:
            with fit.construction() as made:
                model = wrap("spectral_norm", kind, nn.Linear(20, 30))
        report = fit.materialize_(model, made, seed=4)
        assert report.unknown == ()
        for name, buffer in model.named_buffers():
            assert buffer.norm().item() == pytest.approx(1.0, rel=1e-5), name
        models.append(model.eval())
        assert model(torch.ones(4, 20)).isfinite().all()
    for one, two in zip(*[model.state_dict().values() for model in models], strict=True):
        assert torch.equal(one, two)


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


def test_a_prefix_is_a_name_or_nothing_and_anything_else_is_refused():
    def calls(prefix):
        block = on_meta(lambda: nn.Linear(4, 4))
        yield lambda: fit.laws(block, prefix=prefix)[0].name
        yield lambda: fit.materialize_(block, prefix=prefix).names[0]
        yield lambda: fit.verify_(block, prefix=prefix).equal[0]

    for nothing in (None, ""):
        assert [call() for call in calls(nothing)][1:] == ["weight", "weight"]
    for wrong in (0, b"0", False, ["0"]):
        for call in calls(wrong):
            with pytest.raises(TypeError, match="prefix is .*such as 'blocks.1', or None"):
                call()
    for wrong in ("0.", ".0", ".", "a..b"):
        for call in calls(wrong):
            with pytest.raises(ValueError, match="prefix is .*a dot too many"):
                call()


def test_streams_that_another_module_had_with_the_seed_are_reported():
    one, two = on_meta(lambda: nn.Linear(4, 4)), on_meta(lambda: nn.Linear(4, 4))
    fit.materialize_(one, seed=987)
    report = fit.materialize_(two, seed=987)
    assert report.repeated == ("weight", "bias") and "prefix=" in str(report)
    assert fit.materialize_(two, seed=988, overwrite=True).repeated == ()
    del one, report
    gc.collect()
    three = on_meta(lambda: nn.Linear(4, 4))
    assert fit.materialize_(three, seed=987, prefix="other").repeated == ()


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


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_filled_by_torch():
    def nested():
        return torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(4, 3)])

    assert all(one.any() for one in fit.normal_(nested()).unbind())
    for module in (fit, nn.init):
        with pytest.raises(NotImplementedError):
            module.uniform_(nested())


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


# ------------------------------------------------------------------------------------ global state


class Drawn(nn.Module):
    """Draws in every way that torch has."""

    def __init__(self):
        super().__init__()
        self.log = nn.Parameter(torch.empty(30))
        self.mask = nn.Parameter(torch.empty(30))
        self.host = nn.Parameter(torch.empty(30))
        self.lin = nn.Linear(3, 3)

    def reset_parameters(self):
        with torch.no_grad():
            self.log.uniform_(1, 16).log_()
            self.mask.copy_(torch.randint(0, 5, (30,)) + torch.randperm(30) + torch.rand(30))
            self.mask.mul_(torch.bernoulli(torch.full((30,), 0.5)))
            self.host.copy_(torch.randn(30, device="cpu").exponential_())


def test_other_threads_draw_what_they_would_have_drawn_anyway():
    def numbers():
        torch.manual_seed(5)
        return [torch.rand(4).tolist() for _ in range(400)]

    expected = numbers()
    stop, errors = threading.Event(), []

    def fill():
        try:
            while not stop.is_set():
                model = on_meta(Drawn)
                fit.materialize_(model, seed=1)
                with fit.construction() as made:
                    model = Drawn()
                    model.reset_parameters()
                fit.materialize_(model, made, seed=1)
                values.append(model.mask.tolist())
        except Exception as error:
            errors.append(error)

    values = []
    thread = threading.Thread(target=fill)
    before = random.getstate(), np.random.get_state()[1].tolist()
    thread.start()
    try:
        while len(values) < 3 and not errors:
            assert numbers() == expected
    finally:
        stop.set()
        thread.join()
    assert not errors and all(one == values[0] for one in values)
    assert before == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize(
    "real",
    [
        lambda tensor: tensor.device != torch.device("meta"),
        lambda tensor: tensor.device.type != "meta",
        lambda tensor: not tensor.is_meta,
        lambda tensor: tensor.is_cpu,
    ],
)
@pytest.mark.parametrize("way", ["constructor", "reset_parameters"])
def test_code_that_skips_meta_tensors_is_recorded_as_for_real_ones(real, way):
    """As DETR's frozen norms and Mamba's step sizes do; what it makes elsewhere is filled too."""

    class Spared(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.scale = nn.Parameter(torch.empty(3))
            self.drawn = nn.Parameter(torch.empty(3, 4))
            if way == "constructor":
                self.fill()

        def fill(self):
            nn.init.zeros_(self.norm.weight)
            nn.init.zeros_(self.scale)
            nn.init.ones_(self.drawn)
            if real(self.norm.weight):
                with torch.no_grad():
                    self.norm.weight.fill_(5.0)
                    self.scale.copy_(self.norm.weight.to(self.scale.device) + 1.0)
                    values = torch.empty(3, 4, device=self.scale.device).normal_(std=2.0)
                    self.drawn.copy_(values.to(self.drawn.device))

        if way == "reset_parameters":
            reset_parameters = fill

    if way == "constructor":
        with fit.construction() as made:
            model = Spared()
    else:
        made, model = None, on_meta(Spared)
    report = fit.materialize_(model, made, seed=3)
    assert model.norm.weight.tolist() == [5.0] * 3 and model.scale.tolist() == [6.0] * 3
    assert model.drawn.unique().numel() == 12 and 0.8 < model.drawn.std() < 4.0
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    assert report.skipped == () and fit.verify_(model, made, seed=3)
