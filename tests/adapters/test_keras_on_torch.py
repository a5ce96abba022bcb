"""fastinit.keras on the torch backend: devices, gradients, float8."""

from unittest import mock

import keras
import pytest
import torch
from keras_cases import core, differ, same

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
