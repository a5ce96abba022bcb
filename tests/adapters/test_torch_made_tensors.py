"""fastinit.torch.accelerate() and calls that make tensors: torch.randn, rand and normal are drawn
here, every other draw is counted.
"""

import sys

import numpy as np
import pytest
import torch
from torch import nn

import fastinit as fi
import fastinit.torch as fit
from fastinit.torch._draw import seed_from


def test_tensors_made_by_a_drawing_function_are_drawn_here():
    like = torch.zeros(3, 4, dtype=torch.float64)
    with fit.accelerate(seed=3) as block:
        drawn = [
            nn.Parameter(torch.randn(3, 3)),
            torch.rand(5, dtype=torch.bfloat16, requires_grad=True),
            torch.randn_like(like),
            torch.rand_like(like, dtype=torch.float16),
            torch.normal(2.0, 0.5, (7,)),
            torch.normal(mean=1, std=2.0, size=(2, 3), dtype=torch.float64),
            torch.randn(size=(4,), generator=torch.Generator().manual_seed(5)),
            torch.randn(2, 0),
        ]
        scaled = torch.normal(like + 1, torch.arange(4))
        shifted = torch.normal(torch.arange(6.0), 2)
    expected = [
        fi.normal((3, 3), seed=3, name=0),
        fi.uniform(5, seed=3, name=1, dtype="bfloat16"),
        fi.normal((3, 4), seed=3, name=2, dtype="float64"),
        fi.uniform((3, 4), seed=3, name=3, dtype="float16"),
        fi.normal(7, mean=2.0, std=0.5, seed=3, name=4),
        fi.normal((2, 3), mean=1.0, std=2.0, seed=3, name=5, dtype="float64"),
        fi.normal(4, seed=seed_from(torch.Generator().manual_seed(5))),
    ]
    for tensor, values in zip(drawn, expected, strict=False):
        assert str(tensor.dtype) == f"torch.{values.dtype}" and tensor.shape == values.shape
        assert tensor._version == 0 and tensor.is_leaf
        assert np.array_equal(tensor.detach().double().numpy(), values.astype(np.float64))
    assert drawn[0].requires_grad and drawn[1].requires_grad
    z = torch.from_numpy(fi.normal((3, 4), seed=3, name=7, dtype="float64"))
    assert torch.equal(scaled, z * torch.arange(4) + 1)
    z = torch.from_numpy(fi.normal(6, seed=3, name=8))
    assert torch.equal(shifted, z * 2 + torch.arange(6))
    assert block.fills == 9 and block.values == 9 + 5 + 12 + 12 + 7 + 6 + 4 + 12 + 6
    assert not block.left


def test_made_tensors_follow_torchs_generator_devices_and_errors():
    torch.manual_seed(4)
    with fit.accelerate():
        drawn = torch.randn(6)
    torch.manual_seed(4)
    assert np.array_equal(drawn, fi.normal(6, seed=seed_from(None)))
    leaf = torch.zeros(2, requires_grad=True)
    with fit.accelerate() as block:
        assert torch.randn(3, device="meta").is_meta and torch.rand_like(drawn.to("meta")).is_meta
        assert torch.normal(torch.zeros(3, device="meta"), 1.0).is_meta
        with torch.device("meta"):
            assert torch.randn(3).is_meta and torch.rand(3).is_meta
        with pytest.raises(RuntimeError, match="std"):
            torch.normal(torch.zeros(2), torch.tensor([1.0, -1.0]))
        with pytest.raises(RuntimeError, match="std"):
            torch.normal(0.0, -1.0, (2,))
        assert block.fills == 0 and not block.left
        assert torch.normal(leaf, 1.0).requires_grad  # autograd knows this one
        assert torch.randn(3, dtype=torch.complex64).is_complex()
        assert torch.rand(2, out=drawn[:2]).data_ptr() == drawn.data_ptr()
    assert block.fills == 2 and block.left == {"normal": 1}


DRAWS_OF_TORCH = {
    "exponential_": lambda: torch.empty(3).exponential_(),
    "cauchy_": lambda: torch.empty(3).cauchy_(),
    "geometric_": lambda: torch.empty(3).geometric_(0.5),
    "log_normal_": lambda: torch.empty(3).log_normal_(),
    "bernoulli_": lambda: torch.empty(3).bernoulli_(0.5),
    "bernoulli": lambda: torch.bernoulli(torch.full((3,), 0.5)),
    "random_": lambda: torch.empty(3).random_(),
    "randperm": lambda: torch.randperm(5),
    "randint": lambda: torch.randint(9, (3,)),
    "randint_like": lambda: torch.randint_like(torch.zeros(3), 9),
    "multinomial": lambda: torch.ones(3).multinomial(2),
    "poisson": lambda: torch.poisson(torch.ones(3)),
    "binomial": lambda: torch.binomial(torch.ones(3), torch.full((3,), 0.5)),
    "_standard_gamma": lambda: torch.distributions.Gamma(1.0, 1.0).sample((3,)),
    "_sample_dirichlet": lambda: torch.distributions.Dirichlet(torch.ones(3)).sample(),
    "gumbel_softmax": lambda: nn.functional.gumbel_softmax(torch.ones(3)),
    "dropout": lambda: nn.Dropout()(torch.ones(3)),
    "alpha_dropout": lambda: nn.AlphaDropout()(torch.ones(3)),
    "dropout2d": lambda: nn.Dropout2d()(torch.ones(1, 3, 2, 2)),
    "feature_dropout": lambda: torch.feature_dropout(torch.ones(2, 3), 0.5, True),
    "native_dropout": lambda: torch.native_dropout(torch.ones(3), 0.5, train=True),
    "rrelu": lambda: torch.rrelu(torch.ones(3), 0.1, 0.2, True),
}


@pytest.mark.parametrize("name", DRAWS_OF_TORCH)
def test_every_draw_that_is_left_to_torch_is_counted(name):
    with fit.accelerate() as block:
        DRAWS_OF_TORCH[name]()
    assert block.left == {name: 1} and block.fills == 0


def test_what_draws_nothing_is_not_counted():
    with fit.accelerate() as block:
        nn.Dropout().eval()(torch.ones(3))
        nn.functional.rrelu(torch.ones(3))
        torch.dropout(torch.ones(3), 0.5, False)
        torch.empty(3, device="meta").exponential_()
        torch.randperm(4, device="meta")
    assert not block.left and block.fills == 0


def test_torch_has_no_function_that_draws_and_is_not_counted():
    networks = {"rnn_tanh", "rnn_relu", "lstm", "gru", "miopen_rnn", "scaled_dot_product_attention"}
    seen = set(sys.modules["fastinit.torch.accelerate"]._HANDLERS)
    drawing = set()
    for name in {schema.name for schema in torch._C._jit_get_all_schemas()}:
        kind = name.removeprefix("aten::")
        packet = getattr(torch.ops.aten, kind, None) if name.startswith("aten::") else None
        overloads = [getattr(packet, one) for one in packet.overloads()] if packet else []
        if any(torch.Tag.nondeterministic_seeded in one.tags for one in overloads):
            drawing.add(kind)
    assert len(drawing) > 30
    functions = {
        (kind, getattr(space, kind))
        for kind in drawing - networks
        for space in (torch, torch.Tensor)
        if callable(getattr(space, kind, None))
        and (not kind.startswith("_") or kind in DRAWS_OF_TORCH)
    }
    assert {kind for kind, function in functions if function not in seen} == set()
