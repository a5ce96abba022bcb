"""No function of fastinit.torch sets the global random state of torch, NumPy or Python, not even
for a moment; only the drop-ins draw a number from torch's generator, as their contract says.
"""

import threading

import numpy as np
import pytest
import torch
import torch._dynamo  # some meta operations import it, and it lists the functions replaced here
from global_state import Touched, untouched
from torch import nn

import fastinit.torch as fit
from fastinit.torch._private import Private


class Drawing(nn.Module):
    """Draws in its constructor, its reset and its forward, in every way that torch has."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.last = nn.Linear(8, 2)
        self.log = nn.Parameter(torch.empty(3))
        self.order = nn.Parameter(torch.randperm(4).float())
        self.register_buffer("signs", torch.randint(0, 2, (5,)) * 2 - 1)
        self.reset_parameters()

    def reset_parameters(self):
        with torch.no_grad():
            self.log.copy_(torch.rand(3).add(1).log() + torch.bernoulli(torch.full((3,), 0.5)))
            self.order.copy_(torch.randperm(4))

    def forward(self, x):
        x = nn.functional.dropout(self.first(x), training=self.training)
        x = nn.functional.rrelu(x, training=self.training) + torch.rand_like(x)
        return self.last(nn.functional.alpha_dropout(x, training=self.training))


def on_meta():
    with torch.device("meta"):
        return Drawing()


def recorded():
    with fit.construction() as made:
        model = Drawing()
    fit.materialize_(model, made, seed=3)
    return fit.verify_(model, made, seed=3)


def batch():
    return torch.linspace(-1, 1, 80).view(20, 4)


def given():
    return torch.Generator().manual_seed(5)


CALLS = {
    "accelerate": lambda: accelerated(),
    "construction": recorded,
    "coordinate_check": lambda: fit.coordinate_check(
        lambda width: nn.Sequential(nn.Linear(4, width), nn.Dropout(), nn.Linear(width, 2)),
        (8, 16, 32),
        steps=1,
        batch=(batch(), batch()[:, :2]),
    ),
    "calculate_gain": lambda: fit.calculate_gain("relu"),
    "laws": lambda: fit.laws(on_meta()),
    "materialize_": lambda: fit.materialize_(on_meta(), buffers="leave"),
    "verify_": lambda: fit.verify_(model(), seed=1),
    "lsuv_": lambda: fit.lsuv_(model(), batch(), tolerance=0.5),
    "match_moments_": lambda: fit.match_moments_(model(), batch()),
    "normalize_between_layers_": lambda: fit.normalize_between_layers_(model(), batch()),
    "normalize_within_layers_": lambda: fit.normalize_within_layers_(model(), batch()),
    "weight_norm_init_": lambda: fit.weight_norm_init_(model(), batch()),
}
PLAIN = model = None


def accelerated():
    with fit.accelerate(seed=1):
        nn.Linear(3, 3)
        torch.randn(3)
        nn.init.trunc_normal_(torch.empty(3, 3))


def init_call(name):
    kind = name.rstrip("_")  # the others are torch's deprecated names
    tensor = torch.empty(3, 3, 3) if kind == "dirac" else torch.empty(4, 4)
    own = {"sparse": {"sparsity": 0.5}, "constant": {"val": 1.0}}.get(kind, {})
    if kind not in ("constant", "ones", "zeros", "eye", "dirac"):
        own["generator"] = given()
    return lambda: getattr(fit, name)(tensor, **own)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", fit.__all__)
def test_no_public_function_sets_global_random_state(name, monkeypatch):
    plain = Drawing().train()
    monkeypatch.setitem(globals(), "model", lambda: plain)
    call = CALLS.get(name) or init_call(name)
    with untouched():
        call()


def test_the_tripwire_trips():
    for touch in (lambda: torch.manual_seed(1), lambda: np.random.seed(1)):
        with pytest.raises(Touched), untouched():
            touch()
    with pytest.raises(Touched), untouched(), torch.random.fork_rng():
        pass
    with pytest.raises(AssertionError), untouched():
        torch.rand(1)


def test_another_thread_draws_the_numbers_that_it_would_have_drawn():
    plain = Drawing().train()
    torch.manual_seed(9)
    expected = torch.rand(4000, 8)
    torch.manual_seed(9)
    found, done = [], threading.Event()

    def draw():
        while not done.is_set() and len(found) < 4000:
            found.append(torch.rand(8))

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            fit.lsuv_(plain, batch(), tolerance=0.5)
            fit.normalize_between_layers_(plain, batch())
            recorded()
    finally:
        done.set()
        thread.join()
    assert len(found) > 20 and torch.equal(torch.stack(found), expected[: len(found)])


def test_a_private_block_has_the_same_numbers_every_time_and_names_what_it_cannot_run():
    def drawn():
        with Private():
            return (
                torch.rand(3),
                torch.randperm(5),
                torch.native_dropout(torch.ones(9), 0.5, True)[0],
            )

    for one, two in zip(drawn(), drawn(), strict=True):
        assert torch.equal(one, two)
    assert set(drawn()[2].tolist()) == {0.0, 2.0}
    with Private():
        assert torch.equal(torch.native_dropout(torch.ones(3), 0.5, False)[0], torch.ones(3))
        assert torch.randn(2, device="meta").is_meta
        mine = torch.rand(3, generator=given())
        with pytest.raises(RuntimeError, match="takes no generator.*eval"):
            torch.ops.aten._scaled_dot_product_flash_attention(*[torch.ones(1, 1, 2, 8)] * 3, 0.5)
    assert torch.equal(mine, torch.rand(3, generator=given()))
