"""fastinit.torch as a drop-in for torch.nn.init: the checks of PyTorch's own test/nn/test_init.py,
and more.
"""

import inspect
import math
import random
import string

import numpy as np
import pytest
import torch
from scipy import stats
from torch_cases import DRAWING, call, every_dtype

import fastinit as fi
import fastinit.torch as fit


def size(dims, low=30, high=50):
    return [random.Random(dims).randint(low, high) for _ in range(dims)]


def agrees(tensor, distribution):
    """PyTorch's own bound."""
    return stats.kstest(tensor.detach().double().flatten().numpy(), distribution).pvalue > 1e-4


# --------------------------------------------------------------------------------- names, arguments


def test_every_public_name_of_torch_nn_init_exists_here_with_its_arguments_and_defaults():
    for name in torch.nn.init.__all__:
        theirs, ours = (inspect.signature(getattr(module, name)) for module in (torch.nn.init, fit))
        assert [(p.name, p.default, p.kind) for p in ours.parameters.values()] == [
            (p.name, p.default, p.kind) for p in theirs.parameters.values()
        ], name
    assert set(fit.init.__all__) == set(torch.nn.init.__all__)


def test_the_private_fan_functions_that_others_import_exist_here_too():
    assert fit.init._calculate_fan_in_and_fan_out(torch.empty(4, 3, 2)) == (6, 8)
    assert fit.init._calculate_correct_fan(torch.empty(4, 3), "fan_out") == 4


@pytest.mark.parametrize(
    "name",
    [name for name in torch.nn.init.__all__ if not name.endswith("_") and name != "calculate_gain"],
)
def test_deprecated_names_warn_as_torch_and_forward(name):
    arguments = {"constant": (3.0,), "sparse": (0.5,)}.get(name, ())
    shape = (3, 3, 3) if name == "dirac" else (3, 3)
    with pytest.warns(
        FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"
    ):
        torch.manual_seed(1)
        deprecated = getattr(fit, name)(torch.empty(shape), *arguments)
    torch.manual_seed(1)
    assert torch.equal(deprecated, getattr(fit, name + "_")(torch.empty(shape), *arguments))


def test_gains_equal_torchs():
    assert fit.calculate_gain("relu") == math.sqrt(2.0)
    assert fit.calculate_gain("leaky_relu", 0.2) == math.sqrt(2.0 / 1.04)
    for letters in (2, 5, 25):
        with pytest.raises(ValueError, match="Unsupported nonlinearity"):
            fit.calculate_gain(
                "".join(random.Random(letters).choices(string.ascii_lowercase, k=letters))
            )
    for slope in (True, [1], {"a": "b"}):
        with pytest.raises(ValueError, match="not a valid number"):
            fit.calculate_gain("leaky_relu", slope)


# -------------------------------------------------------------------------------------------- seeds


@pytest.mark.parametrize("name", DRAWING)
def test_each_call_takes_its_seed_by_one_random_of_one_int64(name):
    torch.manual_seed(11)
    seed = torch.empty((), dtype=torch.int64).random_().item()
    state = torch.get_rng_state()
    torch.manual_seed(11)
    tensor = call(name, torch.empty(6, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(call(name, torch.empty(6, 5), torch.Generator().manual_seed(11)), tensor)
    same = {
        "uniform_": fi.uniform,
        "normal_": fi.normal,
        "trunc_normal_": lambda *a, **k: fi.truncated_normal(*a, bounds="absolute", **k),
        "xavier_uniform_": fi.xavier_uniform,
        "xavier_normal_": fi.xavier_normal,
        "kaiming_uniform_": fi.he_uniform,
        "kaiming_normal_": fi.he_normal,
        "orthogonal_": lambda *a, **k: fi.orthogonal(*a, **k),
        "sparse_": lambda *a, **k: fi.sparse(*a, sparsity=0.5, **k),
    }[name]
    assert np.array_equal(same((6, 5), seed=seed), tensor.numpy())


def test_the_seed_of_the_first_call_after_manual_seed_is_golden():
    torch.manual_seed(0)
    numbers = [torch.empty((), dtype=torch.int64).random_().item() for _ in range(2)]
    assert numbers == [900450186894289455, 3969543146641149120]
    torch.manual_seed(0)
    tensors = [fit.uniform_(torch.empty(5)) for _ in range(2)]
    for number, tensor in zip(numbers, tensors, strict=True):
        assert np.array_equal(fi.uniform(5, seed=number), tensor.numpy())


@pytest.mark.parametrize("name", DRAWING)
def test_a_given_generator_leaves_torchs_default_one_alone(name):
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(5)
    one = call(name, torch.empty(20, 10), generator)
    two = call(name, torch.empty(20, 10), generator)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one, two)


def test_the_pattern_of_sparse_follows_the_generator():
    one, two = (
        fit.sparse_(torch.empty(50, 30), 0.3, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    torch.manual_seed(99)
    other = fit.sparse_(torch.empty(50, 30), 0.3, generator=torch.Generator().manual_seed(4))
    assert torch.equal(one, two) and not torch.equal(one == 0, other == 0)


@pytest.mark.parametrize("function", ["constant_", "ones_", "zeros_", "eye_", "dirac_"])
def test_a_function_that_draws_nothing_takes_no_seed(function):
    state = torch.get_rng_state()
    tensor = torch.empty(4, 4, 3) if function == "dirac_" else torch.empty(4, 4)
    getattr(fit, function)(tensor, *([2.0] if function == "constant_" else []))
    assert torch.equal(torch.get_rng_state(), state)


# ------------------------------------------------------------------------------------ distributions


@pytest.mark.parametrize("dims", [1, 2, 4])
def test_uniform_and_normal_have_their_laws(dims):
    torch.manual_seed(dims)
    tensor = torch.empty(size(dims))
    assert agrees(fit.uniform_(tensor, -3.0, 5.0), stats.uniform(-3.0, 8.0).cdf)
    assert agrees(fit.normal_(tensor, 1.5, 2.0), stats.norm(1.5, 2.0).cdf)


@pytest.mark.parametrize("dims", [2, 4])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_xavier_has_its_law(dims, gain):
    torch.manual_seed(dims)
    tensor = torch.empty(size(dims, 20, 25))
    fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(tensor)
    std = gain * math.sqrt(2.0 / (fan_in + fan_out))
    bound = math.sqrt(3.0) * std
    assert agrees(fit.xavier_uniform_(tensor, gain), stats.uniform(-bound, 2 * bound).cdf)
    assert agrees(fit.xavier_normal_(tensor, gain=gain), stats.norm(0.0, std).cdf)


@pytest.mark.parametrize("dims", [2, 4])
@pytest.mark.parametrize("mode", ["fan_in", "FAN_OUT"])
@pytest.mark.parametrize(
    ("nonlinearity", "a"),
    [
        ("leaky_relu", 0),
        ("leaky_relu", 0.3),
        ("relu", 0.3),
        ("tanh", 0),
        ("linear", 0),
        ("selu", 0),
    ],
)
def test_kaiming_has_its_law(dims, mode, nonlinearity, a):
    torch.manual_seed(dims)
    tensor = torch.empty(size(dims, 20, 25))
    fan = torch.nn.init._calculate_correct_fan(tensor, mode)
    std = torch.nn.init.calculate_gain(nonlinearity, a) / math.sqrt(fan)
    bound = math.sqrt(3.0) * std
    assert agrees(
        fit.kaiming_uniform_(tensor, a, mode, nonlinearity), stats.uniform(-bound, 2 * bound).cdf
    )
    assert agrees(fit.kaiming_normal_(tensor, a, mode, nonlinearity), stats.norm(0.0, std).cdf)


def truncated(mean, std, a, b):
    return stats.truncnorm((a - mean) / std, (b - mean) / std, loc=mean, scale=std).cdf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (1.0, 3.0, -4.0, 2.0), (0, 1, 2, 3), (-2.0, 0.5, -9.0, -2.5)],
)
def test_trunc_normal_has_its_law_between_absolute_bounds(dtype, mean, std, a, b):
    torch.manual_seed(4)
    tensor = fit.trunc_normal_(torch.empty(30, 40, 10, dtype=dtype), mean, std, a, b)
    assert tensor.min() > a and tensor.max() < b
    assert agrees(tensor, truncated(mean, std, a, b))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_trunc_normal_in_low_precision_keeps_its_bounds_its_values_and_its_law(dtype):
    torch.manual_seed(0)
    tensor = fit.trunc_normal_(torch.empty(10_000, dtype=dtype), 0, 1, -2, 2)
    assert tensor.abs().max() < 2 and tensor.isfinite().all()
    assert tensor.unique().numel() >= (3000 if dtype is torch.float16 else 900)
    rounding = 2.0 ** (-11 if dtype is torch.float16 else -8)
    distance = stats.kstest(tensor.double().numpy(), truncated(0, 1, -2, 2)).statistic
    assert distance < 0.02 + rounding


def test_trunc_normal_of_a_small_std_puts_nothing_on_the_bounds():
    torch.manual_seed(0)
    tensor = fit.trunc_normal_(torch.empty(1_000_000), std=0.002)
    assert tensor.abs().max() < 0.002 * 6
    assert stats.kurtosis(tensor.double().numpy(), fisher=False) == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (20, 2, 3, 4), (2, 3, 4, 5), (1, 7), (16, 16)])
@pytest.mark.parametrize("gain", [1, 2.5, -1.5])
def test_orthogonal_is_orthogonal(shape, gain):
    torch.manual_seed(0)
    tensor = fit.orthogonal_(torch.empty(shape), gain)
    rows = tensor.flatten(1)
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    assert torch.allclose(gram, torch.eye(gram.shape[0]) * gain**2, rtol=0, atol=5e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_orthogonal_works_in_half_precision_unlike_torchs(dtype):
    torch.manual_seed(0)
    half = fit.orthogonal_(torch.empty(8, 16, dtype=dtype))
    torch.manual_seed(0)
    assert torch.equal(half, fit.orthogonal_(torch.empty(8, 16)).to(dtype))


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9, 1.0, 1.5])
def test_sparse_has_its_zeros_in_every_column_and_its_law(sparsity):
    torch.manual_seed(2)
    tensor = fit.sparse_(torch.empty(200, 40), sparsity, std=0.2)
    assert ((tensor == 0).sum(0) == min(200, math.ceil(sparsity * 200))).all()
    if sparsity < 1:
        assert agrees(tensor[tensor != 0], stats.norm(0, 0.2).cdf)


# --------------------------------------------------------------------------- constants and patterns


@pytest.mark.parametrize("dims", [1, 2, 4])
def test_constants_are_exact(dims):
    tensor = torch.empty(size(dims, 2, 5))
    assert (fit.constant_(tensor, 0.3) == torch.full_like(tensor, 0.3)).all()
    assert (fit.ones_(tensor) == 1).all() and (fit.zeros_(tensor) == 0).all()
    assert fit.constant_(tensor, -math.inf).eq(-math.inf).all()
    assert fit.constant_(torch.empty(3, dtype=torch.int32), 7).eq(7).all()


@every_dtype
def test_eye_is_the_identity(dtype):
    assert torch.equal(fit.eye_(torch.empty(3, 5, dtype=dtype)).float(), torch.eye(3, 5))


@pytest.mark.parametrize("dims", [3, 4, 5])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_dirac_equals_torchs(dims, groups):
    shape = [6, 4, *[3, 2, 5][: dims - 2]]
    assert torch.equal(
        fit.dirac_(torch.empty(shape), groups), torch.nn.init.dirac_(torch.empty(shape), groups)
    )


@pytest.mark.parametrize("groups", [1, 3])
def test_dirac_convolution_gives_its_input_back(groups):
    weight = fit.dirac_(torch.empty(6, 6 // groups, 3, 3), groups)
    x = torch.randn(2, 6, 8, 8)
    assert torch.equal(torch.nn.functional.conv2d(x, weight, padding=1, groups=groups), x)
