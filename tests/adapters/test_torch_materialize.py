"""fastinit.torch.materialize_ and verify_: names, defaults, recipes, ties, buffers, reports."""

import copy
import io
import math
import random
import sys

import numpy as np
import pytest
import torch
from torch import nn  # noqa: E402

import fastinit as fi  # noqa: E402
import fastinit.torch as fit  # noqa: E402

MODULES = {
    "linear": lambda: nn.Linear(30, 40),
    "conv": lambda: nn.Conv2d(8, 12, 3, groups=2),
    "transposed": lambda: nn.ConvTranspose1d(8, 12, 3),
    "embedding": lambda: nn.Embedding(30, 20, padding_idx=2),
    "bag": lambda: nn.EmbeddingBag(30, 20),
    "layer norm": lambda: nn.LayerNorm(9),
    "rms norm": lambda: nn.RMSNorm(9),
    "group norm": lambda: nn.GroupNorm(3, 9),
    "batch norm": lambda: nn.BatchNorm2d(9),
    "lstm": lambda: nn.LSTM(14, 15, 2, proj_size=3),
    "gru": lambda: nn.GRU(14, 15),
    "cell": lambda: nn.RNNCell(14, 15),
    "attention": lambda: nn.MultiheadAttention(16, 2, add_bias_kv=True, kdim=12),
    "bilinear": lambda: nn.Bilinear(12, 13, 4),
    "prelu": lambda: nn.PReLU(3),
    "softmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(18, 40, [14]),
    "encoder": lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
}


def on_meta(make):
    with torch.device("meta"):
        return make()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight


# ---------------------------------------------------------------------------------- module defaults


@pytest.mark.parametrize("kind", MODULES)
def test_module_defaults_have_the_laws_of_torchs_own(kind):
    torch.manual_seed(1)
    plain, model = MODULES[kind](), on_meta(MODULES[kind])
    report = fit.materialize_(model, seed=3)
    assert report.unknown == () and report.skipped == ()
    assert {line.name for line in report.filled} == {name for name, _ in model.named_parameters()}
    for (name, theirs), ours in zip(plain.named_parameters(), model.parameters(), strict=True):
        assert (
            not ours.is_meta
            and ours.dtype == theirs.dtype
            and ours.stride() == theirs.stride()
            and ours.requires_grad
        )
        constant = theirs.min() == theirs.max()
        assert (
            torch.equal(ours, theirs)
            if constant
            else abs(ours.std() / theirs.std() - 1) < 6 / math.sqrt(ours.numel())
        ), name
        if theirs.numel() > 30 and not constant:
            assert 0.8 < ours.abs().max() / theirs.abs().max() < 1.4, name
    for (name, theirs), ours in zip(plain.named_buffers(), model.buffers(), strict=True):
        assert torch.equal(ours, theirs), name
    drawn = any(parameter.min() != parameter.max() for parameter in model.parameters())
    assert fit.verify_(model, seed=3) and bool(fit.verify_(model, seed=4)) is not drawn


def test_every_line_of_the_report_is_a_facade_call_of_the_same_bits():
    model = on_meta(
        lambda: nn.Sequential(
            *[MODULES[kind]() for kind in ("linear", "conv", "lstm", "attention", "layer norm")]
        )
    )
    report = fit.materialize_(model, seed=5)
    parameters = dict(model.named_parameters())
    for line in report.filled:
        assert line.stream == line.name
        again = eval(line.call(5), {"fi": fi})
        assert np.array_equal(again, parameters[line.name].detach().numpy()), line
    assert set(report.names) == set(parameters)


def test_padding_rows_are_zero_and_parts_are_named_by_their_number():
    model = on_meta(lambda: nn.Embedding(30, 20, padding_idx=2))
    report = fit.materialize_(model, seed=1)
    assert not model.weight[2].any()
    rest = torch.arange(30) != 2
    assert torch.equal(
        model.weight[rest], torch.from_numpy(fi.normal((30, 20), seed=1, name="weight"))[rest]
    )
    assert [line.stream for line in report.filled] == ["weight", "weight[1]"]


def test_a_module_may_fill_its_parameters_part_by_part():
    class Gates(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(12, 5))
            self.bias = nn.Parameter(torch.empty(12))
            self.reset_parameters()

        def reset_parameters(self):
            for gate in self.weight.chunk(3):
                nn.init.orthogonal_(gate)
            nn.init.normal_(self.weight.data.t()[1:3, 4:], std=2.0)
            nn.init.uniform_(self.bias)
            with torch.no_grad():
                self.bias[4:8] = 1.0

    model = on_meta(Gates)
    report = fit.materialize_(model, seed=2)
    gates = [fi.orthogonal((4, 5), seed=2, name=f"weight[{number}]") for number in range(3)]
    expected = torch.from_numpy(np.concatenate(gates))
    expected.t()[1:3, 4:] = torch.from_numpy(fi.normal((2, 8), std=2.0, seed=2, name="weight[3]"))
    assert torch.equal(model.weight.data, expected)
    assert model.bias[4:8].eq(1).all() and np.array_equal(
        model.bias.detach().numpy()[:4], fi.uniform(12, seed=2, name="bias")[:4]
    )
    assert [line.stream for line in report.filled] == [f"weight[{n}]" for n in range(4)] + [
        "bias",
        "bias[1]",
    ]
    assert fit.verify_(model, seed=2)


def test_arithmetic_after_a_fill_is_reproduced():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            for name in "abcdef":
                setattr(self, name, nn.Parameter(torch.empty(200, 100)))

        def reset_parameters(self):
            with torch.no_grad():
                self.a.normal_().mul_(0.5).add_(2)
                self.b.uniform_(-1, 1).div_(-4)
                nn.init.xavier_normal_(self.c).mul_(3)
                lower = math.erf(-2 / math.sqrt(2))
                self.d.uniform_(lower, -lower).erfinv_().mul_(0.1 * math.sqrt(2)).add_(1.0).clamp_(
                    0.8, 1.2
                )
                self.e.copy_(torch.randn_like(self.e) * 0.3)
                nn.init.kaiming_normal_(self.f).mul_(-0.5)

    model = on_meta(Scaled)
    report = fit.materialize_(model, seed=0)
    names = {line.name: (line.initializer, line.arguments) for line in report.filled}
    assert names["a"] == ("normal", {"mean": 2.0, "std": 0.5})
    # A negative factor turns the values round, so what the code gives is computed.
    assert report.computed == ("b", "f")
    drawn = torch.from_numpy(fi.uniform((200, 100), low=-1, high=1, seed=0, name="b[0]"))
    assert torch.equal(model.b, drawn / -4)
    assert names["c"] == ("xavier_normal", {"gain": 3.0})
    assert names["d"][0] == "truncated_normal" and names["d"][1]["std"] == pytest.approx(0.1)
    assert names["e"] == ("normal", {"mean": 0.0, "std": 0.3})
    assert model.f.std().item() == pytest.approx(0.5 * math.sqrt(2 / 100), rel=0.02)
    assert (
        model.d.min() > 0.8
        and model.d.max() < 1.2
        and model.d.std().item() == pytest.approx(0.088, rel=0.02)
    )


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (lambda w: w.copy_(torch.from_numpy(np.random.rand(4, 3))), "NumPy or Python"),
        (
            lambda w: w.copy_(torch.from_numpy(np.full((4, 3), random.random()))),
            "NumPy or Python",
        ),
        (lambda w: w[:2].normal_(), "only a part"),
        (lambda w: w[:2].normal_().tanh_(), "only a part"),
        (lambda w: w.view(2, 6)[:, 1:3].normal_(), "only a part"),
        (lambda w: w.mul_(2.0), "reads what nothing has written"),
        (lambda w: None, "no reset_parameters"),
    ],
)
def test_code_that_cannot_be_reproduced_is_refused_by_name_and_nothing_changes(code, why):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.fine = nn.Linear(3, 3)
            self.odd = nn.Parameter(torch.empty(4, 3))

        def reset_parameters(self):
            with torch.no_grad():
                code(self.odd)

    model = on_meta(Odd)
    with pytest.raises(
        ValueError,
        match=f"(?s)no rule covers 1 of the parameters; nothing was changed.*odd: .*{why}",
    ):
        fit.materialize_(model)
    assert all(parameter.is_meta for parameter in model.parameters())
    fit.materialize_(model, {"odd": ("normal", {"std": 0.02})})
    assert fit.verify_(model, {"odd": ("normal", {"std": 0.02})})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # A state space model's, as transformers' Qwen3-Next and Mamba write them.
        (
            lambda w: w.copy_(torch.empty(40, 30).uniform_(0, 16).log_()),
            lambda u, z: (16 * u(0)).log_(),
        ),
        (
            lambda w: w.copy_((torch.rand(40, 30) * 2 - 5).exp().clamp(min=1e-2)),
            lambda u, z: (u(0) * 2 - 5).exp().clamp(min=1e-2),
        ),
        (lambda w: w.normal_().tanh_(), lambda u, z: z(0).tanh()),
        (lambda w: w.normal_().clamp_(-1, 1), lambda u, z: z(0).clamp(-1, 1)),
        (lambda w: w.normal_().mul_(torch.rand(30)), lambda u, z: z(0) * u(1)[0]),
        (
            lambda w: w.uniform_().masked_fill_(torch.arange(30) < 9, 0),
            lambda u, z: u(0) * (torch.arange(30) >= 9),
        ),
        (lambda w: nn.init.normal_(w.view(20, 60)).view(40, 30).abs_(), lambda u, z: z(0).abs()),
    ],
)
def test_values_that_no_initializer_gives_are_computed_from_draws_by_the_parameters_name(
    code, expected
):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd = nn.Parameter(torch.empty(40, 30))

        def reset_parameters(self):
            with torch.no_grad():
                code(self.odd)

    def drawn(initializer, **own):
        def by_number(number):
            # Philox gives a shorter draw's values first, so that a row's are those of the whole's
            # first row.
            return torch.from_numpy(initializer((40, 30), seed=5, name=f"b.odd[{number}]", **own))

        return by_number

    state = torch.get_rng_state()
    model = on_meta(lambda: nn.ModuleDict({"a": Odd(), "b": Odd()}))
    report = fit.materialize_(model, seed=5)
    assert (
        report.computed == ("a.odd", "b.odd")
        and report.filled == ()
        and torch.equal(torch.get_rng_state(), state)
    )
    assert torch.equal(model["b"].odd, expected(drawn(fi.uniform), drawn(fi.normal)))
    assert fit.verify_(model, seed=5) and not fit.verify_(model, seed=6)
    other = on_meta(lambda: nn.ModuleDict({"b": Odd()}))
    fit.materialize_(other, seed=5)
    assert torch.equal(other["b"].odd, model["b"].odd)
    fit.materialize_(
        half := on_meta(lambda: nn.ModuleDict({"b": Odd()})), seed=5, dtype=torch.bfloat16
    )
    assert half["b"].odd.dtype == torch.bfloat16 and fit.verify_(half, seed=5)


def test_a_view_that_is_not_a_box_is_drawn_as_the_code_sees_it():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(8, 3, 2, 2))

        def reset_parameters(self):
            nn.init.orthogonal_(self.weight.view(8, 12))

    model = on_meta(Patches)
    fit.materialize_(model, seed=5)
    assert torch.equal(
        model.weight.view(8, 12), torch.from_numpy(fi.orthogonal((8, 12), seed=5, name="weight[0]"))
    )


def test_draws_that_only_torch_has_repeat_by_name_and_seed():
    generator = None

    class Mask(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(200))

        def reset_parameters(self):
            with torch.no_grad():
                self.weight.copy_(torch.randint(0, 5, (200,), generator=generator))

    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(made))
        generator = (
            torch.Generator().manual_seed(len(made)) if made else None
        )  # the name and the seed alone decide
        made.append(on_meta(lambda: nn.ModuleList([Mask(), Mask()])))
        fit.materialize_(made[-1], seed=seed)
    one, again, other = made
    assert torch.equal(one[0].weight, again[0].weight) and set(one[0].weight.tolist()) == {
        0.0,
        1.0,
        2.0,
        3.0,
        4.0,
    }
    assert not torch.equal(one[0].weight, one[1].weight) and not torch.equal(
        one[0].weight, other[0].weight
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            lambda w: w.copy_(torch.randn(4, 3, device="cpu")),
            lambda: torch.from_numpy(fi.normal((4, 3), seed=2, name="odd")),
        ),
        (
            lambda w: w.normal_().mul_(torch.rand(3, device="cpu")),
            lambda: torch.from_numpy(
                fi.normal((4, 3), seed=2, name="odd[0]") * fi.uniform(3, seed=2, name="odd[1]")
            ),
        ),
    ],
)
def test_intermediate_draws_on_the_cpu_are_keyed_too_and_do_not_use_torchs_generator(
    code, expected
):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.odd = nn.Parameter(torch.empty(4, 3))

        def reset_parameters(self):
            with torch.no_grad():
                code(self.odd)

    state = torch.get_rng_state()
    model = on_meta(Odd)
    fit.materialize_(model, seed=2)
    assert torch.equal(model.odd, expected()) and torch.equal(torch.get_rng_state(), state)


def test_a_parameter_computed_from_another_uses_its_draw():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.direction = nn.Parameter(torch.empty(5, 4))
            self.length = nn.Parameter(torch.empty(5))

        def reset_parameters(self):
            with torch.no_grad():
                self.direction.normal_()
                self.length.copy_(self.direction.norm(dim=1))

    model = on_meta(Scaled)
    report = fit.materialize_(model, seed=3)
    direction = torch.from_numpy(fi.normal((5, 4), seed=3, name="direction"))
    assert torch.equal(model.direction, direction) and report.computed == ("length",)
    assert torch.equal(model.length, direction.norm(dim=1))
    with pytest.raises(ValueError, match="length: it is computed from direction, which has other"):
        fit.materialize_(on_meta(Scaled), {"direction": "ones"})
    model = on_meta(Scaled)
    model.direction = nn.Parameter(torch.ones(5, 4))
    with pytest.raises(ValueError, match="length: it is computed from direction, which has other"):
        fit.materialize_(model)


def test_values_that_the_code_computes_without_drawing_are_kept_and_reported():
    class Decay(nn.Module):
        def __init__(self):
            super().__init__()
            self.rate = nn.Parameter(torch.empty(6))
            self.register_buffer("table", torch.empty(3), persistent=False)
            self.register_buffer("lost", torch.arange(3))

        def reset_parameters(self):
            with torch.no_grad():
                self.rate.copy_(torch.log(torch.arange(1, 7)))
                self.table.copy_(torch.tensor([1.0, 2.0, 3.0]))

    with pytest.raises(ValueError, match="what 1 of the buffers hold"):
        fit.materialize_(on_meta(Decay))
    model = on_meta(Decay)
    report = fit.materialize_(model, buffers={"lost": "leave"})
    assert (
        report.computed == ("rate",)
        and report.restored == ("table",)
        and report.unknown == ("lost",)
    )
    assert torch.equal(model.rate.data, torch.log(torch.arange(1, 7))) and model.table.tolist() == [
        1,
        2,
        3,
    ]
    assert model.lost.is_meta
    assert fit.verify_(model)


@pytest.mark.parametrize("way", ["plain meta", "construction"])
def test_a_buffer_without_elements_leaves_the_meta_device_too(way):
    class Empty(nn.Linear):
        def __init__(self):
            super().__init__(2, 3)
            self.register_buffer("none", torch.zeros(0, 4))

    with fit.construction() as made:
        model = Empty()
    if way == "plain meta":
        made, model = None, on_meta(Empty)
    report = fit.materialize_(model, made)
    assert report.restored == ("none",) and report.unknown == ()
    assert model.none.device.type == "cpu" and model.none.shape == (0, 4)


def test_recording_changes_nothing_of_a_real_model_and_takes_no_random_number():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.LSTM(4, 4))
    model[1].running_mean.fill_(7)
    before = copy.deepcopy(model.state_dict())
    identities = [id(parameter) for parameter in model.parameters()]
    attributes = [set(module.__dict__) for module in model.modules()]
    state = torch.get_rng_state()
    assert not fit.verify_(model)
    with pytest.warns(UserWarning, match="nothing was filled"):
        report = fit.materialize_(model)
    assert report.filled == () and len(report.skipped) == 8 and report.values == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert identities == [id(parameter) for parameter in model.parameters()]
    assert attributes == [set(module.__dict__) for module in model.modules()]


# ----------------------------------------------------------------------------------- names and ties


def test_adding_a_layer_changes_no_other_weight():
    one = on_meta(lambda: nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 5)}))
    two = on_meta(
        lambda: nn.ModuleDict({"new": nn.Linear(9, 9), "b": nn.Linear(4, 5), "a": nn.Linear(3, 4)})
    )
    for model in (one, two):
        fit.materialize_(model, seed=8)
    for name, value in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], value)
    assert not torch.equal(one["a"].bias[:4], one["b"].bias[:4])


def test_tied_weights_stay_tied_and_are_drawn_once_by_their_first_name():
    model = on_meta(Tied)
    report = fit.materialize_(model, seed=2)
    assert model.head.weight is model.embedding.weight and report.tied == {
        "head.weight": "embedding.weight"
    }
    assert np.array_equal(
        model.head.weight.detach().numpy(), fi.normal((11, 6), seed=2, name="embedding.weight")
    )
    assert report.values == 66 and [line.name for line in report.filled] == ["embedding.weight"]


class _Wrapper(nn.Module):
    """What FSDP1 looks like from outside."""

    def __init__(self, module):
        super().__init__()
        self._fsdp_wrapped_module = module

    def forward(self, x):
        return self._fsdp_wrapped_module(x)


def wrap(name, model):
    if name == "compile":
        return torch.compile(model)
    if name == "checkpoint":
        from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

        model.body = checkpoint_wrapper(model.body)
        return model
    if name == "FSDP1":
        model.body = _Wrapper(model.body)
        return _Wrapper(model)
    if name == "all":
        return torch.compile(_Wrapper(wrap("checkpoint", model)))
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["none", "compile", "checkpoint", "FSDP1", "all"])
def test_wrappers_add_nothing_to_names(name):
    def make():
        return wrap(
            name,
            nn.ModuleDict(
                {"body": nn.Sequential(nn.Linear(3, 4), nn.ReLU()), "head": nn.Linear(4, 2)}
            ),
        )

    model = on_meta(make)
    report = fit.materialize_(model, {"head.weight": "xavier_normal"}, seed=6)
    assert set(report.names) == {"body.0.weight", "body.0.bias", "head.weight", "head.bias"}
    head = dict(model.named_parameters())
    (head,) = (value for key, value in head.items() if key.endswith("head.weight"))
    assert np.array_equal(
        head.detach().numpy(), fi.xavier_normal((2, 4), seed=6, name="head.weight")
    )


def test_data_parallel_adds_nothing_to_names():
    model = on_meta(lambda: nn.Sequential(nn.Linear(3, 4)))
    fit.materialize_(model, seed=6)
    assert fit.verify_(nn.DataParallel(model), seed=6).equal == ("0.weight", "0.bias")
    # A module that is merely called "module" keeps its name.
    plain = on_meta(lambda: nn.ModuleDict({"module": nn.Linear(3, 4)}))
    assert fit.materialize_(plain).names == ("module.weight", "module.bias")


def test_attributes_of_parameters_and_lstm_internals_survive():
    model = on_meta(lambda: nn.LSTM(3, 4))
    model.weight_ih_l0.lr_scale = 3
    model.bias_ih_l0.requires_grad_(False)
    fit.materialize_(model)
    assert model.weight_ih_l0.lr_scale == 3 and not model.bias_ih_l0.requires_grad
    output, _ = model(torch.ones(2, 1, 3))
    output.sum().backward()
    assert model.weight_hh_l0.grad is not None


def test_materializing_to_the_meta_device_is_refused():
    model = on_meta(lambda: nn.Linear(3, 4))
    with pytest.raises(ValueError, match="device is 'meta', which holds no values"):
        fit.materialize_(model, device="meta")


def test_with_torchs_swap_the_parameter_objects_stay():
    model = on_meta(lambda: nn.Linear(3, 4))
    weight = model.weight
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        fit.materialize_(model, seed=1)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    assert model.weight is weight and not weight.is_meta and fit.verify_(model, seed=1)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn]
)
def test_the_dtype_argument_is_the_dtype_of_the_draw(dtype):
    model = on_meta(lambda: nn.Linear(30, 40))
    report = fit.materialize_(model, dtype=dtype, seed=1)
    assert model.weight.dtype == dtype and report.bytes == 1240 * dtype.itemsize
    name = str(dtype)[6:]
    again = fi.he_uniform((40, 30), negative_slope=math.sqrt(5), seed=1, name="weight", dtype=name)
    assert again.tobytes() == model.weight.detach().view(torch.uint8).numpy().tobytes()
    assert fit.verify_(model, seed=1)


def test_parameters_in_another_memory_format_keep_it():
    model = on_meta(lambda: nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last))
    fit.materialize_(model, seed=1)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(
        model.weight.detach().numpy(),
        fi.he_uniform((6, 4, 3, 3), negative_slope=math.sqrt(5), seed=1, name="weight"),
    )


def test_parameters_without_elements_need_no_rule():
    model = on_meta(lambda: nn.ParameterDict({"none": torch.empty(0, 3), "some": torch.empty(2)}))
    report = fit.materialize_(model, {"some": 1.0})
    assert model["none"].shape == (0, 3) and not model["none"].is_meta and report.values == 2


def test_without_a_seed_one_is_drawn_and_reported():
    one, two = (
        fit.materialize_(on_meta(lambda: nn.Linear(2, 2)), seed=None).seed for _ in range(2)
    )
    assert one != two


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_a_bar_over_bytes_on_a_terminal_only(monkeypatch, terminal):
    import tqdm

    screen, bars = Terminal() if terminal else io.StringIO(), []

    class Bar(tqdm.tqdm):
        def close(self):
            bars.append((self.total, self.n, self.unit))
            super().close()

    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(tqdm, "tqdm", Bar)

    def build():
        # A padding row, which is filled twice, and two dtypes.
        return nn.Sequential(nn.Embedding(900, 40, padding_idx=3), nn.Linear(40, 9).to(torch.half))

    shown, quiet = on_meta(build), on_meta(build)
    report = fit.materialize_(shown, seed=1, progress=True)
    size = 900 * 40 * 4 + (40 * 9 + 9) * 2
    assert report.bytes == size
    assert bars[:1] == ([(size, pytest.approx(size), "B")] if terminal else [])
    assert ("B/s" in screen.getvalue()) == terminal
    written = len(screen.getvalue())
    fit.materialize_(quiet, seed=1)
    assert len(screen.getvalue()) == written
    for one, two in zip(shown.parameters(), quiet.parameters(), strict=True):
        assert torch.equal(one, two)


def test_what_verify_found_prints_as_a_table():
    model = nn.Linear(3, 2)
    fit.materialize_(model, seed=0, overwrite=True)
    assert repr(fit.verify_(model, seed=0)) == "2 of 2 parameters are their initial draw, seed 0"
    lines = repr(fit.verify_(model, seed=1)).splitlines()
    assert lines[0].split() == ["parameter", "what", "is", "there"]
    assert lines[1].split() == ["weight", "6", "values", "differ"]
