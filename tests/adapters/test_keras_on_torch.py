"""fastinit.keras on the torch backend: devices, gradients, float8."""

import warnings
from unittest import mock

import keras
import pytest
import torch
from keras_cases import core, differ, same
from torch._subclasses.fake_tensor import FakeTensorMode

import fastinit.keras as init

PROCESSES = ("keras_on_torch",)
# Keras' variables, which NumPy finds old-fashioned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_tensors_on_the_meta_device_are_not_drawn():
    def never(*_, **__):
        raise AssertionError("values were drawn")

    with keras.device("meta"), mock.patch.object(init, "_apply", never):
        drawn = init.HeNormal(seed=1)((1 << 20, 1 << 20), "bfloat16")
        assert init.HeNormal(seed=1)((1 << 20, 1 << 20), "complex64").is_meta
    assert drawn.is_meta and drawn.dtype == torch.bfloat16


def test_tensors_are_plain_and_take_gradients():
    drawn = init.HeNormal(seed=1)((3, 4))
    assert type(drawn) is torch.Tensor and not drawn.requires_grad and drawn.is_contiguous()
    drawn.requires_grad_().sum().backward()
    with torch.inference_mode():
        assert not differ(init.HeNormal(seed=1)((3, 4)), drawn)


def test_float8_is_drawn():
    drawn = init.HeNormal(seed=3)((2, 5, 7), dtype="float8_e4m3fn")
    assert drawn.dtype == torch.float8_e4m3fn
    same(drawn, core("HeNormal", dtype="float8_e4m3fn"))


def test_a_draw_inside_torch_compile_ends_a_graph_and_gives_the_same_values():
    initializer = init.Orthogonal(seed=3)

    @torch.compile(backend="eager")
    def scaled(x):
        return initializer((5, 5)) * x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not differ(scaled(torch.ones(())), initializer((5, 5)))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_draws_inside_transformations_of_torch_give_the_same_values():
    initializer = init.HeNormal(seed=3)
    drawn = initializer((3, 4))

    def total(x):
        return (initializer((3, 4)) * x).sum()

    one = torch.tensor(1.0)
    assert torch.func.grad(total)(one) == drawn.sum()
    assert torch.func.functionalize(total)(one) == drawn.sum()
    assert torch.func.jvp(total, (one,), (one,))[1] == drawn.sum()

    class Module(torch.nn.Module):
        def forward(self, x):
            return initializer((3, 4), "bfloat16") * x

    exported = torch.export.export(Module(), (one,)).module()
    assert not differ(exported(one), initializer((3, 4), "bfloat16").float())
    with FakeTensorMode():
        assert init.Zeros()((3, 4), "float8_e5m2").shape == (3, 4)
