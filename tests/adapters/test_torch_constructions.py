"""What constructors do inside construction() beside filling: memory shared with NumPy, shapes that
depend on values, other dtypes, buffers in real memory; and blocks inside blocks.
"""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import fastinit as fi
import fastinit.torch as fit
from fastinit._core.stream import stream_id
from fastinit.torch.accelerate import Drawing


class Built(nn.Module):
    """One parameter of zeros, or another tensor, and what a constructor does to it."""

    def __init__(self, code, make=lambda: nn.Parameter(torch.zeros(4))):
        super().__init__()
        self.value = make()
        with torch.no_grad():
            code(self)


def recorded(build, seed=3):
    with fit.construction() as made:
        model = build()
    fit.materialize_(model, made, seed=seed)
    assert fit.verify_(model, made, seed=seed)
    return model


def numbers():
    return np.arange(4, dtype=np.float32)


def write_through_numpy(module):
    array = module.value.detach().numpy()
    array[1] = 5.0
    module.value.mul_(2.0)
    array[2:] = 7.0


def rename(module):
    """Compute a table in NumPy from one that is a parameter."""
    module.value.copy_(torch.from_numpy(np.cos(module.value.numpy() + 1.0)))


class Statistics(nn.Module):
    """Statistics of a forward pass that the constructor makes."""

    def __init__(self, _):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.norm(torch.arange(12.0).view(4, 3))


CODES = {
    "an array that is the parameter's memory": write_through_numpy,
    "an array that is asked of NumPy": lambda m: np.asarray(m.value).__setitem__(2, 5.0),
    "a copy into an array": lambda m: np.copyto(m.value.data.numpy(), numbers()),
    "an array that is only read": rename,
    "data from NumPy": lambda m: setattr(m.value, "data", torch.from_numpy(numbers())),
    "data on the device of the parameter": lambda m: setattr(
        m.value, "data", torch.ones(4, device=m.value.device)
    ),
    "data of the old constructor": lambda m: setattr(m.value, "data", torch.FloatTensor([1, 2])),
    "places that are not zero": lambda m: m.value.__setitem__(
        torch.nonzero(torch.arange(4) > 1).squeeze(1), 9.0
    ),
    "a choice by booleans": lambda m: m.value[:2].copy_(
        torch.arange(4.0)[torch.tensor([True, False, True, False])]
    ),
    "different values": lambda m: m.value[:2].copy_(torch.unique(torch.tensor([3, 1, 3]))),
    "equality": lambda m: m.value.fill_(float(torch.equal(m.value, torch.zeros(4)))),
    "nearness": lambda m: m.value.fill_(float(torch.allclose(m.value, torch.zeros(4)))),
    "counts": lambda m: m.value.copy_(torch.bincount(torch.tensor([0, 3, 3]))),
    "a list of tensors": lambda m: m.value.copy_(torch.tensor([torch.tensor(2.0), 1, 1, 1])),
    "no form for the meta device": lambda m: m.value.copy_(torch.eye(4).to_sparse().to_dense()[1]),
    "bits": lambda m: m.value.view(torch.int32).fill_(0x3F800000),
}


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_values_have_the_way_of_the_same_code_on_real_memory(code):
    plain = Built(code).state_dict()
    for name, value in recorded(lambda: Built(code)).state_dict().items():
        assert torch.equal(value, plain[name])


def test_a_draw_that_is_written_through_numpy_afterwards_is_refused_by_name():
    def drawn_then_written(module):
        array = module.value.numpy()
        module.value.normal_()
        array[1] = 5.0

    with fit.construction() as made:
        model = Built(drawn_then_written)
    with pytest.raises(ValueError, match="value: it was written through NumPy after"):
        fit.materialize_(model, made)


def test_statistics_of_a_forward_pass_are_kept():
    plain = Statistics(None).state_dict()
    for name, value in recorded(lambda: Statistics(None)).state_dict().items():
        assert torch.equal(value, plain[name]), name


def conjugated(module):
    module.value.copy_(torch.polar(torch.ones(4), torch.arange(4.0)).conj())


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: nn.Parameter(torch.zeros(4, dtype=torch.complex64)), conjugated),
        (lambda: nn.Parameter(torch.arange(4.0).expand(3, 4)), lambda m: None),
        (lambda: nn.Parameter(torch.arange(6.0).unfold(0, 3, 1)), lambda m: None),
        (lambda: nn.Parameter(torch.full((3,), 0.1).double()), lambda m: None),
        (lambda: torch.zeros(4), lambda m: m.register_buffer("b", torch.FloatTensor([1, 2]))),
        (
            lambda: nn.Buffer(torch.zeros(4, device="cpu")),
            lambda m: m.value.copy_(torch.arange(4.0)),
        ),
    ],
)
def test_parameters_and_buffers_of_every_kind_of_memory_have_their_values(make, code):
    plain, model = (build(lambda: Built(code, make)) for build in (lambda f: f(), recorded))
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_draws_that_are_converted_have_the_values_of_the_conversion():
    def build():
        model = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])
        model[0].double()
        model[1].bfloat16()
        model[2].bfloat16().float()
        model[3].half()
        return model

    model = recorded(build)
    for number, kinds in enumerate(
        [["float64"], ["bfloat16"], ["bfloat16", "float32"], ["float16"]]
    ):
        name = f"{number}.weight"
        stream = f"{name}[0]" if number in (0, 2) else name  # computed, from a draw on the way
        expected = torch.from_numpy(
            fi.he_uniform((4, 4), negative_slope=5**0.5, seed=3, name=stream)
        )
        for kind in kinds:
            expected = expected.to(getattr(torch, kind))
        assert torch.equal(model.get_parameter(name), expected), name


def test_torchs_default_dtype_is_that_of_the_construction():
    def build():
        torch.set_default_dtype(torch.float64)
        try:
            model = nn.Linear(2, 2)
            model.register_buffer("drawn", torch.rand(3).log())
            model.register_buffer("angles", (torch.arange(4) / 3).sin())
            model.register_buffer("phases", torch.exp(1j * torch.arange(3)))
            return model
        finally:
            torch.set_default_dtype(torch.float32)

    model, plain = recorded(build), build()
    drawn = torch.from_numpy(fi.uniform(3, seed=3, name="drawn[0]", dtype="float64")).log()
    assert torch.equal(model.drawn, drawn)
    assert torch.equal(model.angles, plain.angles) and torch.equal(model.phases, plain.phases)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.Tensor(30).uniform_(),
        lambda: torch.rand(30, device="cpu"),
        lambda: torch.empty(30, device="cpu").uniform_(0, 1),
    ],
)
def test_what_is_drawn_in_real_memory_is_keyed_too(make):
    def build():
        model = nn.Module()
        model.parameter = nn.Parameter(make())
        model.register_buffer("buffer", make())
        return model

    model = recorded(build)
    for name in ("parameter", "buffer"):
        drawn = torch.from_numpy(fi.uniform(30, seed=3, name=name))
        assert torch.equal(getattr(model, name), drawn), name


def test_a_buffer_that_was_written_after_the_block_keeps_its_values():
    with fit.construction() as made:
        model = nn.Linear(2, 2)
        model.register_buffer("drawn", torch.Tensor(3).uniform_())
    model.drawn.fill_(2.0)
    fit.materialize_(model, made)
    assert model.drawn.eq(2.0).all()


def test_a_lazy_layer_that_the_block_gives_a_shape_is_drawn():
    def build():
        model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
        model(torch.ones(2, 4))
        return model

    model = recorded(build)
    drawn = fi.he_uniform((3, 4), negative_slope=5**0.5, seed=3, name="0.weight")
    assert torch.equal(model[0].weight, torch.from_numpy(drawn))


class Exponential(nn.Module):
    def forward(self, value):
        return value.exp()

    def right_inverse(self, value):
        return value.clamp(min=1e-3).log()


class Doubled(Exponential):
    def forward(self, value):
        return 2 * value

    def right_inverse(self, value):
        return value / 2


def test_of_several_parametrizations_the_first_decides_the_original():
    def build():
        layer = nn.Linear(4, 3)
        for one in (Doubled(), Exponential()):
            nn.utils.parametrize.register_parametrization(layer, "weight", one)
        return layer

    with torch.device("meta"):
        model = build()
    fit.materialize_(model, seed=3)
    original = model.parametrizations.weight.original
    assert torch.equal(original, recorded(build).parametrizations.weight.original)
    drawn = fi.he_uniform(
        (3, 4), negative_slope=5**0.5, seed=3, name="parametrizations.weight.original"
    )
    assert torch.equal(original, torch.from_numpy(drawn) / 2)


def test_spectral_norm_draws_its_weight_alike_from_meta_and_from_a_construction():
    def build():
        return nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))

    with torch.device("meta"):
        model = build()
    fit.materialize_(model, seed=3)
    for name, value in recorded(build).named_parameters():
        assert torch.equal(value, model.get_parameter(name)), name


# ------------------------------------------------------------------------------------ the drop-ins


class DropIns(nn.Module):
    """Initializes by fastinit's own functions."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 6))
        self.low = nn.Parameter(torch.empty(4, dtype=torch.bfloat16))
        self.reset_parameters()

    def reset_parameters(self):
        fit.zeros_(self.low)
        fit.kaiming_normal_(self.weight)
        fit.trunc_normal_(self.low, std=0.1)


@pytest.mark.parametrize("way", ["reset_parameters", "construction"])
def test_the_drop_ins_are_recorded_as_torchs_own_functions(way):
    if way == "construction":
        model = recorded(DropIns)
    else:
        with torch.device("meta"):
            model = DropIns()
        fit.materialize_(model, seed=3)
    drawn = fi.he_normal((4, 6), seed=3, name="weight")
    assert torch.equal(model.weight, torch.from_numpy(drawn))
    assert model.low.unique().numel() == 4


# --------------------------------------------------------------------------------- blocks in blocks


@pytest.mark.parametrize("function", [fit.materialize_, fit.verify_])
def test_what_needs_values_is_refused_inside_a_construction(function):
    with torch.device("meta"):
        other = nn.Linear(2, 2)
    with fit.construction() as made:
        for model in (nn.Linear(2, 2), other):
            with pytest.raises(RuntimeError, match=rf"{function.__name__}.*after the block"):
                function(model, made)
    fit.materialize_(other)


def test_constructions_do_not_nest():
    with (
        fit.construction() as made,
        pytest.raises(RuntimeError, match=r"already open.*outer one"),
        fit.construction(),
    ):
        pass
    with fit.construction():
        model = nn.Linear(2, 2)
    assert model.weight.is_meta and not nn.Linear(2, 2).weight.is_meta and made is not None


@pytest.mark.parametrize("outer", ["construction", "accelerate"])
def test_accelerate_and_construction_nest_and_the_construction_counts(outer):
    def build():
        model = nn.Linear(4, 3)
        nn.init.normal_(model.weight)
        model.more = nn.Parameter(torch.rand(5))
        model.more.data.mul_(2.0)
        return model

    if outer == "construction":
        with fit.construction() as made, fit.accelerate(seed=1) as block:
            model = build()
    else:
        with fit.accelerate(seed=1) as block, fit.construction() as made:
            model = build()
    fit.materialize_(model, made, seed=3)
    alone = recorded(build)
    assert block.fills == 0 and not block.left
    for one, two in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, two)
    with fit.accelerate(seed=1) as block:
        copy.deepcopy(nn.Linear(2, 2))
    assert block.fills == 2


def test_a_layer_of_skip_init_is_drawn_by_what_the_block_writes():
    def build():
        model = nn.Sequential(nn.utils.skip_init(nn.Linear, 4, 3))
        nn.init.normal_(model[0].weight)
        nn.init.zeros_(model[0].bias)
        return model

    model = recorded(build)
    assert torch.equal(
        model[0].weight, torch.from_numpy(fi.normal((3, 4), seed=3, name="0.weight"))
    )
    assert model[0].bias.eq(0).all()


class Keyed(Drawing):
    """Draws with the streams that a construction gives to what is computed for `made`."""

    def take(self, generator):
        self.fills += 1
        return 3, stream_id(f"made[{self.fills - 1}]")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.normal(torch.arange(4.0), torch.ones(3, 1)),
        lambda: torch.normal(torch.zeros(4).double(), 2.0),
        lambda: torch.randn(4, dtype=torch.complex64),
        lambda: nn.init.kaiming_normal_(torch.empty(4, 4, dtype=torch.complex64)),
        lambda: torch.empty(4, dtype=torch.complex128).uniform_(),
    ],
)
def test_draws_that_are_no_plain_fill_have_accelerates_values(make):
    def build():
        model = nn.Module()
        model.made = nn.Parameter(make() * 2)
        return model

    with Keyed(None) as block:
        plain = build()
    assert torch.equal(recorded(build).made, plain.made) and not block.left


@pytest.mark.parametrize(
    "compute",
    [
        lambda drawn: torch.geqrf(drawn)[0],
        lambda drawn: torch.linalg.eigh(drawn + drawn.T)[0],
        lambda drawn: torch.histc(drawn, 4),
    ],
)
def test_operations_without_a_form_for_meta_tensors_are_computed_from_the_draws(compute):
    def build():
        model = nn.Module()
        model.made = nn.Parameter(compute(torch.randn(4, 4)))
        return model

    with Keyed(None):
        plain = build()
    assert torch.allclose(recorded(build).made, plain.made, atol=1e-5)


def test_an_orthogonal_parametrization_of_a_matrix_that_is_not_square_is_recorded():
    def build():
        return nn.utils.parametrizations.orthogonal(nn.Linear(4, 3))

    weight = recorded(build).weight
    assert torch.allclose(weight @ weight.T, torch.eye(3), atol=1e-5)


def test_a_construction_is_not_pickled_and_an_accelerate_is():
    for change in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=r"construction\(\) cannot be pickled.*after material"):
            change(fit.construction())
    with pickle.loads(pickle.dumps(fit.accelerate(3))) as block:
        nn.Linear(2, 2)
    assert (block.seed, block.fills) == (3, 2)
