"""What a record may claim without running the code: the values of the same code on real memory,
in the parameter's own view of memory, with torch's rounding; and what a record ends with.
"""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import fastinit as fi
import fastinit.torch as fit


class Built(nn.Module):
    def __init__(self, code):
        super().__init__()
        with torch.no_grad():
            code(self)


def recorded(code, seed=3):
    with fit.construction() as made:
        model = Built(code)
    fit.materialize_(model, made, seed=seed)
    assert fit.verify_(model, made, seed=seed)
    return model


def value_of(make):
    """The parameter that a function makes, recorded."""

    def code(module):
        tensor = make()
        drawn = tensor.is_floating_point() or tensor.is_complex()
        module.value = nn.Parameter(tensor, requires_grad=drawn)

    return recorded(code).value.detach()


def same_bits(one, two):
    assert (one.shape, one.dtype) == (two.shape, two.dtype)
    assert one.contiguous().view(torch.uint8).equal(two.contiguous().view(torch.uint8))


# ------------------------------------------------------------------------------ the view of memory

VIEWS = {
    "rows": lambda randn: (randn(6, 4) * 0.5)[1:3],
    "a column": lambda randn: randn(6, 4).clone()[:, 1],
    "a transpose": lambda randn: (randn(6, 4) + 1).t(),
    "another shape": lambda randn: (-randn(6, 4)).view(4, 6),
    "every second row": lambda randn: randn(6, 4).half()[::2],
    "moved axes": lambda randn: (randn(2, 3, 4) * 3).permute(2, 0, 1),
    "integers": lambda randn: randn(6, 4).clone().view(torch.int32),
    "wider numbers": lambda randn: (randn(6, 4) * 2).view(torch.float64),
    "narrower numbers": lambda randn: randn(6, 4).bfloat16().view(torch.float16),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_of_a_computed_draw_has_the_values_of_that_view(view):
    drawn = view(lambda *shape: torch.from_numpy(fi.normal(shape, seed=3, name="value[0]")))
    same_bits(value_of(lambda: view(torch.randn)), drawn)


def test_a_draw_by_torch_normal_of_a_size_is_drawn_by_name():
    value = value_of(lambda: torch.normal(1.0, 2.0, (5, 3)))
    same_bits(value, torch.from_numpy(fi.normal((5, 3), mean=1.0, std=2.0, seed=3, name="value")))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.init.normal_(torch.empty(5, 3, dtype=torch.complex64)),
        lambda: torch.empty(5, 3, dtype=torch.complex64).normal_(),
        lambda: torch.randn(5, 3, dtype=torch.complex64),
    ],
)
def test_complex_draws_are_drawn_by_name(make):
    parts = torch.from_numpy(fi.normal((5, 3, 2), std=0.5**0.5, seed=3, name="value[0]"))
    same_bits(value_of(make), torch.view_as_complex(parts))


# ------------------------------------------------------------------------------------ the rounding


def repeated(tensor, count, step):
    for _ in range(count):
        tensor.add_(step)
    return tensor


CONSTANTS = {
    "sums in bfloat16": lambda: repeated(torch.ones(3, dtype=torch.bfloat16), 50, 0.002),
    "sums in float32": lambda: repeated(torch.full((3,), 0.1), 50, 0.1).mul_(1.01).div_(7),
    "an overflow": lambda: torch.full((3,), 6e4, dtype=torch.float16).mul_(2).div_(4),
    "a negative zero": lambda: torch.zeros(3).neg(),
    "infinity": lambda: torch.full((3,), float("-inf")),
    "not a number": lambda: torch.empty(3).fill_(float("nan")),
    "too much for float16": lambda: torch.full((3,), 1e6).half(),
    "too much for 8 bits": lambda: torch.full((3,), 500.0).to(torch.float8_e4m3fn),
    "two roundings": lambda: torch.full((3,), 1.00390625 + 1e-9).bfloat16(),
    "a wrapped integer": lambda: torch.full((3,), -1).to(torch.uint8),
    "a fraction as integer": lambda: torch.full((3,), 2.7).to(torch.int8),
    "a truth": lambda: torch.full((3,), 0.3).bool(),
    "bits of ones": lambda: torch.ones(3).view(torch.int32),
    "bits of a copy": lambda: torch.empty(3).copy_(torch.ones(3).view(torch.int32)),
    "bits of an integer": lambda: torch.full((4,), 3, dtype=torch.int32).view(torch.float32),
}


@pytest.mark.parametrize("make", CONSTANTS.values(), ids=CONSTANTS)
def test_constants_have_the_bits_that_torch_gives_them_step_by_step(make):
    same_bits(value_of(make), make())


CHANGES = {
    "a shift that is taken back": lambda t: t.add_(1e6).sub_(1e6),
    "an overflow": lambda t: t.mul_(1e38).mul_(1e3).mul_(1e-38),
    "an underflow": lambda t: t.mul_(1e-30).mul_(1e-14).mul_(1e30).mul_(1e14),
    "many small shifts": lambda t: repeated(t, 30, 0.01),
    "a shift that leaves few digits": lambda t: t.bfloat16().add_(-1e3),
    "a shift in bfloat16": lambda t: repeated(t.bfloat16(), 30, 0.01),
    "an inverse of a part": lambda t: t.clamp_(-1, 1)[0].erfinv_(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_that_cost_digits_are_run_and_not_taken_for_a_scaled_draw(change):
    def code(randn):
        tensor = randn(6, 4)
        result = change(tensor)
        return tensor if result.dtype == tensor.dtype else result

    drawn = code(lambda *shape: torch.from_numpy(fi.normal(shape, seed=3, name="value[0]")))
    same_bits(value_of(lambda: code(torch.randn)), drawn)


def test_erfinv_of_a_part_of_a_uniform_leaves_the_rest_uniform():
    def code():
        tensor = torch.empty(4, 50).uniform_(-0.9, 0.9)
        tensor[0].erfinv_()
        return tensor

    value = value_of(code)
    uniform = torch.from_numpy(fi.uniform((4, 50), low=-0.9, high=0.9, seed=3, name="value[0]"))
    same_bits(value[1:], uniform[1:])
    same_bits(value[0], uniform[0].erfinv())


# ------------------------------------------------------------------------- what a block ends with


def replaced(module):
    module.lin = nn.Linear(3, 2)
    module.lin._parameters["bias"] = nn.Parameter(torch.full((2,), 2.0))


def emptied(module):
    module.lin = nn.Linear(3, 2).to_empty(device="cpu")
    nn.init.normal_(module.lin.weight)
    nn.init.constant_(module.lin.bias, 2.0)


def skipped(module):
    module.lin = nn.utils.skip_init(nn.Linear, 3, 2)
    nn.init.normal_(module.lin.weight)
    nn.init.constant_(module.lin.bias, 2.0)


def shared_with_a_shallow_copy(module):
    module.lin = nn.Linear(3, 2)
    copy.copy(module.lin).bias = nn.Parameter(torch.full((2,), 2.0))


def copied(module):
    module.lin = copy.deepcopy(nn.Linear(3, 2))
    nn.init.constant_(module.lin.bias, 2.0)


@pytest.mark.parametrize("code", [replaced, emptied, skipped, shared_with_a_shallow_copy, copied])
def test_the_tensors_that_modules_hold_at_the_end_of_a_block_count(code):
    layer = recorded(code).lin
    assert layer.bias.tolist() == [2.0, 2.0] and layer.weight.unique().numel() == 6
    assert layer.weight.isfinite().all() and layer.weight.abs().max() < 6.0


def test_memory_that_no_code_fills_after_it_was_emptied_is_refused_by_name():
    with fit.construction() as made:
        model = nn.utils.skip_init(nn.Linear, 3, 2)
    with pytest.raises(ValueError, match=r"(?s)2 of the parameters.*weight: .*nothing has written"):
        fit.materialize_(model, made)


def written_by_an_array_that_is_shared(module):
    module.value = nn.Parameter(torch.Tensor(3).fill_(2.0))
    array = module.value.detach().numpy()
    array[0] = 5.0
    module.value.mul_(2.0)
    array[1] = 7.0


def changed_by_real_memory(module):
    new = torch.empty(3, device="cpu").fill_(3.0)
    module.value = nn.Parameter(torch.Tensor([1.0, 2.0, 3.0]).add_(new))


def made_of_an_array_that_is_written_later(module):
    array = np.zeros(3, np.float32)
    module.value = nn.Parameter(torch.as_tensor(array))
    array[0] = 5.0
    module.value.mul_(2.0)
    array[1:] += 7.0


@pytest.mark.parametrize(
    "code",
    [
        written_by_an_array_that_is_shared,
        made_of_an_array_that_is_written_later,
        changed_by_real_memory,
    ],
)
def test_shared_and_real_memory_is_logged_as_it_is_before_an_operation(code):
    assert torch.equal(recorded(code).value, Built(code).value)


def by_numpy():
    return torch.from_numpy(np.random.randn(3)).float()  # noqa: NPY002  the global generator


@pytest.mark.parametrize("make", [by_numpy, lambda: torch.Tensor(3).copy_(by_numpy())])
def test_real_memory_that_numpy_may_have_drawn_is_refused_by_name(make):
    def build():
        with fit.construction() as made:
            model = Built(lambda module: setattr(module, "value", nn.Parameter(make())))
            model.kept = nn.Parameter(torch.Tensor([2.0, 2.0]))
            model.lin = nn.Linear(2, 2)
        return model, made

    with pytest.raises(ValueError, match=r"(?s)covers 1 of.*value: .*NumPy or Python may have"):
        fit.materialize_(*build())
    model, made = build()
    before = model.value.tolist()
    fit.materialize_(model, made, overwrite=False)
    assert model.value.tolist() == before and model.kept.tolist() == [2.0, 2.0]


def test_tensors_with_elements_in_common_are_named():
    def views(module):
        flat = torch.randn(12)
        module.flat = nn.Parameter(flat)
        module.rows = nn.Parameter(flat.view(3, 4)[1:])

    def neighbours(module):
        module.first, module.second = (nn.Parameter(one) for one in torch.randn(2, 3).unbind())

    with pytest.warns(UserWarning, match=r"memory of other tensors of the model: rows\."):
        module = recorded(views)
    assert torch.equal(module.rows.flatten(), module.flat[4:])
    recorded(neighbours)  # without a warning, which would be an error here


# ------------------------------------------------------------------- what torch asks or transforms


@pytest.mark.parametrize("save", [pickle.dumps, lambda one: torch.save(one, "/dev/null")])
def test_pickling_in_a_construction_is_refused_and_a_shallow_copy_is_not(save):
    with fit.construction():
        layer = nn.Linear(3, 2)
        for one in (layer, layer.state_dict(), torch.zeros(2)):
            with pytest.raises(RuntimeError, match="pickles or saves a tensor"):
                save(one)
        assert copy.copy(torch.zeros(2)).shape == (2,)


def test_vmap_in_a_constructor_draws_as_on_real_memory():
    def code(randomness):
        def fill(module):
            module.value = nn.Parameter(torch.empty(3, 20, 10))
            torch.func.vmap(nn.init.xavier_uniform_, randomness=randomness)(module.value)

        return fill

    different, same = (recorded(code(one)).value for one in ("different", "same"))
    bound = (6 / 30) ** 0.5
    for value in (different, same):
        assert 0.9 * bound < value.abs().max() <= bound
    assert different.unique().numel() > 590 and same[1].equal(same[0]) and same[2].equal(same[0])


def test_a_tensor_names_the_type_that_it_has_on_real_memory():
    def code(module):
        module.value = nn.Parameter(torch.zeros(2).type(torch.ones(3).double().type()))

    assert recorded(code).value.dtype == torch.float64
