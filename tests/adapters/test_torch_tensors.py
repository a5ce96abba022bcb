"""fastinit.torch's functions and the tensors they are given: memory, autograd, subclasses,
errors.
"""

import hashlib
import math
import warnings

import pytest
import torch
from torch import nn
from torch_cases import DRAWING, DTYPES, call, every_dtype

import fastinit as fi
import fastinit.torch as fit


def bits(tensor):
    return tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()


GOLDEN = {
    "uniform_": "07edcfdceec069a7",
    "normal_": "f365fc2f3f96975b",
    "trunc_normal_": "610b61c001c0ea31",
    "xavier_uniform_": "d10040a160a1b642",
    "xavier_normal_": "74787cec7d6154df",
    "kaiming_uniform_": "39db1366deb224ec",
    "kaiming_normal_": "a43f9e191355bd83",
    "orthogonal_": "adb3f526ad293775",
    "sparse_": "c20c97b9ac8022da",
}


@pytest.mark.parametrize("name", DRAWING)
def test_what_follows_manual_seed_is_golden_in_every_dtype(name):
    digest = hashlib.blake2b(digest_size=8)
    for dtype in DTYPES:
        digest.update(bits(call(name, torch.empty(48, 40, dtype=dtype), torch.manual_seed(0))))
    assert digest.hexdigest() == GOLDEN[name]


# ------------------------------------------------------------------------------------------- memory


@every_dtype
@pytest.mark.parametrize("name", DRAWING)
def test_strided_tensors_get_the_values_of_contiguous_ones(name, dtype):
    generators = [torch.Generator().manual_seed(8) for _ in range(3)]
    whole = call(name, torch.empty(12, 10, dtype=dtype), generators[0])
    turned = call(name, torch.empty(10, 12, dtype=dtype).t(), generators[1])
    wide = torch.zeros(24, 30, dtype=dtype)
    call(name, wide[::2, 5:25:2], generators[2])
    assert bits(turned) == bits(whole) == bits(wide[::2, 5:25:2])
    assert (
        not wide[1::2].view(torch.uint8).any()
        and not wide[:, :5].contiguous().view(torch.uint8).any()
    )


@every_dtype
def test_narrow_dtypes_are_the_float32_draw_rounded_once(dtype):
    if dtype is torch.float64:
        return  # a draw of its own
    generators = [torch.Generator().manual_seed(8) for _ in range(2)]
    wide = fit.normal_(torch.empty(1000), generator=generators[0])
    assert bits(fit.normal_(torch.empty(1000, dtype=dtype), generator=generators[1])) == bits(
        wide.to(dtype)
    )


@pytest.mark.parametrize("name", DRAWING)
def test_the_tensor_itself_is_returned_and_its_version_counts_the_write(name):
    tensor = torch.empty(4, 4)
    before = tensor._version
    assert call(name, tensor) is tensor and tensor._version > before


@pytest.mark.parametrize("name", DRAWING)
def test_leaves_that_require_grad_are_filled_as_under_no_grad(name):
    parameter = torch.nn.Parameter(torch.zeros(4, 4))
    assert call(name, parameter) is parameter
    assert (
        parameter.is_leaf
        and parameter.requires_grad
        and parameter.grad_fn is None
        and parameter.any()
    )


def test_autograd_notices_that_a_saved_tensor_was_filled():
    weight = torch.ones(3, requires_grad=True)
    other = torch.ones(3)
    product = (weight * other).sum()
    fit.normal_(other)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_inference_tensors_may_be_filled_only_in_inference_mode():
    with torch.inference_mode():
        tensor = fit.normal_(torch.zeros(4))
    assert tensor.any()
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        fit.normal_(tensor)


def test_negative_views_and_parts_of_complex_tensors_are_filled():
    z = torch.zeros(5, dtype=torch.complex64)
    expected = fit.normal_(torch.empty(5), generator=torch.Generator().manual_seed(1))
    fit.normal_(z.imag, generator=torch.Generator().manual_seed(1))
    assert torch.equal(z.imag, expected) and not z.real.any()
    mirrored = z.conj().imag
    assert mirrored.is_neg()
    fit.normal_(mirrored, generator=torch.Generator().manual_seed(1))
    assert torch.equal(mirrored, expected) and torch.equal(z.imag, -expected)


@pytest.mark.parametrize("name", DRAWING)
def test_meta_tensors_are_left_unchanged_and_draw_no_seed(name):
    state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.empty(4, 4, device="meta")
        assert call(name, tensor) is tensor
    assert torch.equal(torch.get_rng_state(), state)


def test_subclasses_that_change_nothing_are_filled_as_tensors():
    class Marked(nn.Parameter):
        pass

    expected = fit.normal_(torch.empty(4), generator=torch.Generator().manual_seed(1))
    for kind in (Marked, type("Named", (torch.Tensor,), {})):
        tensor = torch.empty(4).as_subclass(kind)
        assert torch.equal(
            fit.normal_(tensor, generator=torch.Generator().manual_seed(1)).as_subclass(
                torch.Tensor
            ),
            expected,
        )
    with pytest.raises(ValueError, match="uninitialized parameter"):
        fit.normal_(nn.UninitializedParameter())


def test_subclasses_answer_for_themselves():
    class Loud(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func in (
                torch.nn.init.normal_,
                torch.Tensor.normal_,
                torch.linalg.qr,
                torch.randperm,
            ):
                raise LookupError("asked")
            return super().__torch_function__(func, types, args, kwargs or {})

    for function, more in (
        (fit.normal_, ()),
        (fit.orthogonal_, ()),
        (fit.sparse_, (0.5,)),
        (fit.xavier_normal_, ()),
    ):
        with pytest.raises(LookupError, match="asked"):
            function(torch.empty(3, 3).as_subclass(Loud), *more)


# ------------------------------------------------------------------------------------------- errors


def both_raise(name, tensor, *arguments, **keywords):
    """torch's error and ours: of the same class and, if torch's code raises it in Python or C++,
    with the same text.
    """
    errors = []
    for module in (torch.nn.init, fit):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            getattr(module, name)(tensor, *arguments, **keywords)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    return errors


@pytest.mark.parametrize(
    "name",
    ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_"],
)
@pytest.mark.parametrize("shape", [(), (3,)])
def test_fans_need_two_dimensions(name, shape):
    theirs, ours = both_raise(name, torch.empty(shape))
    assert type(ours) is ValueError and str(ours) == str(theirs)


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("uniform_", (3,), (2.0, 1.0)),
        ("uniform_", (3,), (-3e38, 3e38)),
        ("uniform_", (3,), (0.0, math.nan)),
        ("normal_", (3,), (0.0, -1.0)),
        ("normal_", (3,), (0.0, math.nan)),
        ("normal_", (3,), ("a",)),
        ("trunc_normal_", (3,), (0.0, 0.0)),
        ("trunc_normal_", (3,), (0.0, 1.0, 2.0, 1.0)),
        ("xavier_uniform_", (3, 3), (-1.0,)),
        ("xavier_normal_", (3, 3), (-1.0,)),
        ("xavier_normal_", (0, 0), ()),
        ("kaiming_normal_", (3, 3), (0, "fan_avg")),
        ("kaiming_uniform_", (3, 3), (0, "fan_in", "gelu")),
        ("kaiming_uniform_", (3, 3), (True,)),
        ("eye_", (3,), ()),
        ("eye_", (3, 3, 3), ()),
        ("dirac_", (3, 3), ()),
        ("dirac_", (3, 3, 3, 3, 3, 3), ()),
        ("dirac_", (4, 3, 3), (3,)),
        ("sparse_", (3,), (0.5,)),
        ("sparse_", (3, 3, 3), (0.5,)),
        ("sparse_", (3, 3), (0.5, -1.0)),
    ],
)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_errors_equal_torchs(name, shape, arguments):
    theirs, ours = both_raise(name, torch.empty(shape), *arguments)
    assert str(ours) == str(theirs)


def test_a_refused_call_draws_no_seed_and_writes_nothing():
    tensor, state = torch.zeros(3), torch.get_rng_state()
    for arguments in ((0.0, -1.0), (0.0, math.inf), (math.inf, 1.0), (0.0, 1e38)):
        with pytest.raises((RuntimeError, ValueError)):
            fit.normal_(tensor, *arguments)
    assert torch.equal(torch.get_rng_state(), state) and not tensor.any() and tensor._version == 0


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8])
@pytest.mark.parametrize("name", ["uniform_", "normal_", "kaiming_uniform_", "xavier_normal_"])
def test_integer_tensors_are_refused_with_torchs_class_and_by_name(name, dtype):
    _, ours = both_raise(name, torch.empty(3, 3, dtype=dtype))
    assert (
        isinstance(ours, NotImplementedError)
        and str(dtype)[6:] in str(ours)
        and "bfloat16" in str(ours)
    )


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
@pytest.mark.parametrize("name", ["trunc_normal_", "orthogonal_", "sparse_"])
def test_functions_that_refuse_complex_tensors_say_what_to_do(name):
    with pytest.raises(NotImplementedError, match=r"complex64.*normal_.*\.real and \.imag"):
        call(name, torch.empty(3, 3, dtype=torch.complex64))
    with pytest.raises(NotImplementedError, match=r"complex32.*\.real and \.imag"):
        fit.normal_(torch.empty(3, dtype=torch.complex32))


def test_overlapping_tensors_are_refused_as_by_torch():
    _, ours = both_raise("normal_", torch.empty(1).expand(4))
    assert type(ours) is RuntimeError and "single memory location" in str(ours)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
@pytest.mark.parametrize("shape", [(0, 1), (0,)])
def test_kaiming_of_no_elements_warns_and_does_nothing(name, shape):
    tensor = torch.empty(shape)
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        assert getattr(fit, name)(tensor) is tensor


@pytest.mark.parametrize("name", DRAWING[:5] + DRAWING[7:])
def test_tensors_without_elements_are_returned(name):
    tensor = torch.empty(0, 4)
    assert call(name, tensor) is tensor


def test_a_mean_outside_the_bounds_warns_as_torch():
    for module in (torch.nn.init, fit):
        with pytest.warns(UserWarning, match="mean is more than 2 std from"):
            module.trunc_normal_(torch.empty(10), mean=5.0, a=0.0, b=1.0)


def test_bounds_that_are_equal_give_that_constant():
    assert fit.uniform_(torch.empty(4), 0.5, 0.5).eq(0.5).all()
    assert fit.trunc_normal_(torch.empty(4), a=0.5, b=0.5).eq(0.5).all()


def test_numbers_may_be_zero_dimensional_tensors():
    generators = [torch.Generator().manual_seed(8) for _ in range(2)]
    one = fit.normal_(torch.empty(4), torch.tensor(1.0), torch.tensor(2.0), generators[0])
    assert torch.equal(one, fit.normal_(torch.empty(4), 1.0, 2.0, generators[1]))


def test_the_facade_refuses_a_meta_tensor():
    with pytest.raises(
        ValueError,
        match="out is a tensor on torch's meta device, which has no memory.*materialize_",
    ):
        fi.normal(out=torch.empty(3, device="meta"))
    with pytest.raises(ValueError, match="entry 'x': out is a tensor on torch's meta device"):
        fi.fill([(torch.empty(3, device="meta"), "normal", {}, "x")])
