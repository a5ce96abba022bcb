"""fastinit.torch.accelerate(): what is drawn here, what is left to torch, and that everything is
restored.
"""

import math
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn  # noqa: E402
from torch.nn.init import kaiming_normal_, orthogonal_, sparse_, trunc_normal_, uniform_  # noqa: E402  bound by name
from torch_cases import DRAWING

import fastinit as fi  # noqa: E402
import fastinit.torch as fit  # noqa: E402


def codes():
    return {
        name: getattr(torch.nn.init, name).__code__
        for name in torch.nn.init.__all__
        if hasattr(getattr(torch.nn.init, name), "__code__")
    }


PLAIN = codes()


@pytest.fixture(autouse=True)
def everything_is_put_back():
    before = {name: getattr(torch.nn.init, name) for name in torch.nn.init.__all__}
    yield
    assert codes() == PLAIN
    assert before == {name: getattr(torch.nn.init, name) for name in torch.nn.init.__all__}
    assert torch._C._len_torch_function_stack() == 0


def drawn(function, *arguments, seed=7):
    """What a function of the drop-in draws after torch.manual_seed(seed)."""
    torch.manual_seed(seed)
    return function(*arguments)


# ----------------------------------------------------------------------------------- what runs here


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_nn_init_draws_what_the_drop_in_draws(name, dtype):
    more = (0.5,) if name == "sparse_" else ()
    expected = drawn(getattr(fit, name), torch.empty(9, 7, dtype=dtype), *more)
    with fit.accelerate() as block:
        assert torch.equal(
            drawn(getattr(torch.nn.init, name), torch.empty(9, 7, dtype=dtype), *more), expected
        )
    assert block.fills == 1 and block.values == 63 and not block.left


@pytest.mark.parametrize(
    ("bound", "ours", "more"),
    [
        (trunc_normal_, fit.trunc_normal_, ()),
        (orthogonal_, fit.orthogonal_, ()),
        (sparse_, fit.sparse_, (0.5,)),
        (kaiming_normal_, fit.kaiming_normal_, ()),
        (uniform_, fit.uniform_, ()),
    ],
)
def test_functions_bound_to_a_name_before_the_block_run_here(bound, ours, more):
    with fit.accelerate():
        assert torch.equal(
            drawn(bound, torch.empty(5, 6), *more), drawn(ours, torch.empty(5, 6), *more)
        )


def test_functions_kept_in_tables_partials_and_deprecated_names_run_here():
    import functools

    table = {"init": functools.partial(torch.nn.init.trunc_normal_, std=0.02)}
    with fit.accelerate():
        assert torch.equal(
            drawn(table["init"], torch.empty(50)),
            drawn(lambda t: fit.trunc_normal_(t, std=0.02), torch.empty(50)),
        )
        with pytest.warns(FutureWarning, match="deprecated"):
            assert torch.equal(
                drawn(torch.nn.init.normal, torch.empty(50)), drawn(fit.normal_, torch.empty(50))
            )


def test_in_place_methods_of_tensors_run_here():
    with fit.accelerate() as block:
        for method, ours, more in (
            ("normal_", fit.normal_, (1.0, 2.0)),
            ("uniform_", fit.uniform_, (-1.0, 3.0)),
        ):
            expected = drawn(ours, torch.empty(40), *more)
            assert torch.equal(
                drawn(lambda t, m=method, a=more: getattr(t, m)(*a), torch.empty(40)), expected
            )
            assert torch.equal(
                drawn(lambda t, m=method, a=more: getattr(torch.Tensor, m)(t, *a), torch.empty(40)),
                expected,
            )
            parameter = nn.Parameter(torch.empty(40))
            drawn(lambda t, m=method, a=more: getattr(t.data, m)(*a), parameter)
            assert torch.equal(parameter.data, expected)
        names = {"from": -1.0, "to": 3.0}
        assert torch.equal(drawn(lambda t: t.uniform_(**names), torch.empty(40)), expected)
        generator = torch.Generator().manual_seed(7)
        assert torch.equal(torch.empty(40).uniform_(-1.0, 3.0, generator=generator), expected)
    assert block.fills == 8


def test_torchs_own_modules_run_here():
    torch.manual_seed(0)
    with fit.accelerate() as block:
        model = nn.ModuleList(
            [
                nn.Linear(6, 5),
                nn.Conv2d(3, 4, 3),
                nn.Embedding(7, 3, padding_idx=1),
                nn.LSTM(4, 3),
                nn.LayerNorm(3),
                nn.MultiheadAttention(4, 2),
                nn.Bilinear(2, 3, 4),
            ]
        )
    torch.manual_seed(0)
    first = torch.empty((), dtype=torch.int64).random_().item()
    weight = fi.he_uniform((5, 6), negative_slope=math.sqrt(5), seed=first)
    assert np.array_equal(model[0].weight.detach().numpy(), weight)
    assert not model[2].weight[1].any()
    # Linear 2, Conv 2, Embedding 1, LSTM 4, attention 1 + 2 of its Linear, Bilinear 2; constants
    # are not draws.
    assert block.fills == 14 and not block.left


def test_fills_that_a_later_one_overwrites_are_done_all_the_same():
    seen = []

    class Twice(nn.Linear):
        def reset_parameters(self):
            super().reset_parameters()
            seen.append(self.weight.detach().clone())
            nn.init.normal_(self.weight)
            seen.append(self.weight.detach().clone())

    with fit.accelerate() as block:
        Twice(30, 40)
    assert block.fills == 3
    assert 0 < seen[0].abs().max() < 30**-0.5 and seen[1].std() > 0.9


# ---------------------------------------------------------------------------------- erfinv, as timm


def timm_trunc_normal_(tensor, mean, std, a, b):
    """timm's, which torch had until 2.11."""
    lower, upper = ((1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0 for x in (a, b))
    with torch.no_grad():
        tensor.uniform_(2 * lower - 1, 2 * upper - 1)
        tensor.erfinv_()
        tensor.mul_(std * math.sqrt(2.0))
        tensor.add_(mean)
        tensor.clamp_(min=a, max=b)
    return tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_erfinv_based_truncated_normals_run_here_and_put_no_mass_on_the_bounds(dtype):
    from scipy import stats

    torch.manual_seed(3)
    with fit.accelerate() as block:
        tensor = timm_trunc_normal_(torch.empty(200_000, dtype=dtype), 0.5, 1.0, -1.5, 2.5)
    assert block.fills == 1
    assert tensor.min() >= -1.5 and tensor.max() <= 2.5
    distance = stats.kstest(tensor.double().numpy(), stats.truncnorm(-2, 2, loc=0.5).cdf).statistic
    assert distance < (0.004 if dtype is torch.float32 else 0.012)
    if dtype is torch.float32:
        assert (tensor == 2.5).sum() + (tensor == -1.5).sum() <= 2


def test_a_small_std_has_no_outliers_by_erfinv_either():
    with fit.accelerate(seed=1):
        tensor = timm_trunc_normal_(torch.empty(1_000_000), 0.0, 0.002, -2.0, 2.0)
    assert (
        tensor.abs().max() < 6 * 0.002
    )  # torch's float32 arithmetic gives some values of 1000 std


def test_erfinv_of_anything_else_is_left_to_torch():
    with fit.accelerate(seed=1):
        one = torch.empty(50).uniform_(-0.9, 0.9)
        copy = one.clone()
        assert torch.equal(one.erfinv_(), torch.special.erfinv(copy))  # clone came between


# -------------------------------------------------------------------------------------------- seeds


def test_without_a_seed_draws_follow_torchs_generator():
    models = []
    for _ in range(2):
        torch.manual_seed(123)
        with fit.accelerate():
            models.append(nn.Linear(5, 4))
    assert torch.equal(models[0].weight, models[1].weight) and torch.equal(
        models[0].bias, models[1].bias
    )
    assert not torch.equal(models[0].weight.flatten()[:4], models[0].bias)


def test_with_a_seed_fill_number_k_is_the_facade_call_named_k():
    state = torch.get_rng_state()
    with fit.accelerate(seed=9) as block:
        tensors = [
            torch.empty(6).normal_(),
            nn.init.zeros_(torch.empty(6)),
            nn.init.uniform_(torch.empty(6)),
        ]
    assert torch.equal(torch.get_rng_state(), state) and block.fills == 2
    assert np.array_equal(tensors[0].numpy(), fi.normal(6, seed=9, name=0))
    assert np.array_equal(tensors[2].numpy(), fi.uniform(6, seed=9, name=1))


def test_a_given_generator_wins_over_the_seed():
    with fit.accelerate(seed=9):
        one = nn.init.normal_(torch.empty(6), generator=torch.Generator().manual_seed(2))
    assert torch.equal(one, fit.normal_(torch.empty(6), generator=torch.Generator().manual_seed(2)))


def test_as_a_decorator_each_call_is_a_block_of_its_own():
    @fit.accelerate(seed=4)
    def build(width):
        """builds"""
        return nn.Linear(width, 3)

    assert torch.equal(build(5).weight, build(5).weight) and build.__doc__ == "builds"


def test_blocks_nest_and_the_innermost_counts():
    with fit.accelerate(seed=1) as outer:
        torch.empty(3).normal_()
        with fit.accelerate(seed=2) as inner:
            tensor = torch.empty(3).normal_()
        last = torch.empty(3).normal_()
    assert (outer.fills, inner.fills) == (2, 1)
    assert np.array_equal(tensor.numpy(), fi.normal(3, seed=2, name=0))
    assert np.array_equal(last.numpy(), fi.normal(3, seed=1, name=1))


def test_one_accelerate_may_be_entered_again():
    again = fit.accelerate(seed=3)
    results = []
    for _ in range(2):
        with again, again:
            results.append(torch.empty(3).normal_())
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**64, ValueError), (True, TypeError), ("0", TypeError)]
)
def test_a_bad_seed_is_refused_at_once(seed, error):
    with pytest.raises(error, match="seed"):
        fit.accelerate(seed=seed)


# ---------------------------------------------------------------------------- what is left to torch


def test_a_leaf_that_requires_grad_raises_as_in_torch_outside_no_grad():
    parameter = nn.Parameter(torch.zeros(3))
    with fit.accelerate(), pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        parameter.normal_()
    assert not parameter.any()


def test_autograd_goes_through_a_fill_as_in_torch():
    leaf = torch.ones(4, requires_grad=True)
    with fit.accelerate():
        product = leaf * 3
        product[:2].normal_()
        product.sum().backward()
    assert leaf.grad.tolist() == [0, 0, 3, 3]


def test_complex_tensors_are_drawn_here_and_integer_ones_are_left_to_torch():
    parts = [fi.normal((4, 2), std=0.5**0.5, seed=2, name=number) for number in range(3)]
    parts.append(fi.uniform((4, 2), seed=2, name=3))
    with fit.accelerate(seed=2) as block:
        drawn = [
            torch.empty(4, dtype=torch.complex64).normal_(),
            torch.randn(4, dtype=torch.complex64),
            torch.nn.init.normal_(torch.empty(4, dtype=torch.complex64)),
            torch.rand(4, dtype=torch.complex64),
        ]
        with pytest.raises(NotImplementedError):
            torch.empty(4, dtype=torch.int64).normal_()
    for one, expected in zip(drawn, parts, strict=True):
        assert torch.equal(torch.view_as_real(one), torch.from_numpy(expected))
    assert block.fills == 4 and not block.left  # the integers drew nothing


def test_arguments_that_torch_refuses_get_torchs_error():
    with fit.accelerate(), pytest.raises(RuntimeError, match="normal expects std >= 0.0"):
        torch.empty(3).normal_(0, -1)


def test_dropout_and_other_random_functions_are_unchanged():
    def results():
        torch.manual_seed(5)
        return (
            torch.randint(9, (4,)),
            torch.bernoulli(torch.full((4,), 0.5)),
            torch.randperm(6),
            nn.functional.dropout(torch.ones(9)),
            torch.empty(4).exponential_(),
        )

    plain = results()
    with fit.accelerate():
        assert all(torch.equal(one, two) for one, two in zip(plain, results(), strict=True))


@pytest.mark.parametrize("meta_outside", [False, True])
def test_it_nests_with_the_meta_device_in_both_orders(meta_outside):
    state = torch.get_rng_state()
    first, second = (
        (torch.device("meta"), fit.accelerate())
        if meta_outside
        else (fit.accelerate(), torch.device("meta"))
    )
    with first, second:
        layer = nn.MultiheadAttention(4, 2)
        nn.init.orthogonal_(layer.in_proj_weight)
        trunc_normal_(layer.in_proj_weight, mean=9.0)
    assert all(parameter.is_meta for parameter in layer.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_an_error_inside_the_block_puts_everything_back():
    with pytest.raises(KeyError), fit.accelerate():
        raise KeyError("x")


# ------------------------------------------------------------------------------------------ threads


def test_other_threads_are_not_affected():
    plain = {}
    torch.manual_seed(1)
    plain["before"] = torch.empty(30).normal_(generator=torch.Generator().manual_seed(1))
    plain["orthogonal"] = nn.init.orthogonal_(
        torch.empty(4, 4), generator=torch.Generator().manual_seed(1)
    )
    inside, found = threading.Event(), {}

    def other():
        inside.wait()
        found["before"] = torch.empty(30).normal_(generator=torch.Generator().manual_seed(1))
        found["orthogonal"] = nn.init.orthogonal_(
            torch.empty(4, 4), generator=torch.Generator().manual_seed(1)
        )

    thread = threading.Thread(target=other)
    thread.start()
    with fit.accelerate() as block:
        inside.set()
        thread.join()
    assert block.fills == 0
    assert all(torch.equal(plain[key], found[key]) for key in plain)


def test_many_threads_have_a_block_each():
    wrong = []

    def build(seed):
        for _ in range(20):
            with fit.accelerate(seed=seed):
                layer = nn.Linear(8, 4)
                nn.init.orthogonal_(layer.weight)
            if not np.array_equal(
                layer.weight.detach().numpy(), fi.orthogonal((4, 8), seed=seed, name=2)
            ):
                wrong.append(seed)

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_block_keeps_no_tensor_alive():
    with fit.accelerate(seed=0):
        tensor = torch.empty(4).uniform_()
        alive = weakref.ref(tensor)
        del tensor
        assert alive() is None


def test_a_block_prints_what_it_drew_and_what_it_left():
    with fit.accelerate(seed=0) as block:
        torch.empty(3, 4).normal_()
        torch.randperm(5)
    assert repr(block).splitlines() == [
        "1 fills of 12 values by fastinit",
        "left to torch  calls",
        "randperm           1",
    ]
    assert "<td>randperm</td>" in block._repr_html_()
