"""What the tests of fastinit.torch share: its drawing functions, called alike, and the dtypes."""

import pytest
import torch

import fastinit.torch as fit

DRAWING = [
    "uniform_",
    "normal_",
    "trunc_normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
]
DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=[str(dtype)[6:] for dtype in DTYPES])


def call(name, tensor, generator=None):
    function = getattr(fit, name)
    return (
        function(tensor, 0.5, generator=generator)
        if name == "sparse_"
        else function(tensor, generator=generator)
    )
